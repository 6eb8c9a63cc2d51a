//! What of a request a server of this protocol has nothing for.

use super::messages::audio;
use crate::presets::{Quirks, Switch};
use crate::translate::ir::{
    Body, Effort, Field, Format, Request, Source, Thinking, ToolChoice, Unsupported,
};

/// As good as 0, for servers that refuse that.
const COLDEST: f64 = 0.01;

/// Refuses what has no place here at all.
pub(super) fn check(request: &Request<'_>, quirks: &Quirks) -> Result<(), Unsupported> {
    let several = request.n.is_some_and(|n| n != 1);
    if several && request.stream {
        return Err(Unsupported("a stream of more than one answer"));
    }
    let parts = request.turns.iter().flat_map(|turn| &turn.parts);
    for part in parts {
        match &part.body {
            Body::Audio(source) if audio(source).is_none() => {
                return Err(Unsupported("audio other than WAV or MP3, sent inline,"));
            }
            // OpenAI itself, by what only it demands, takes them in Responses only; other servers
            // take addresses.
            Body::Document { source: Source::Url(_), .. } if quirks.max_completion_tokens => {
                return Err(Unsupported("documents by URL"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Takes thinking back, and says so if it was wanted.
pub(super) fn think_not(request: &mut Request<'_>) {
    if !matches!(request.thinking.effort(), None | Some(Effort::None)) {
        request.unsupported.push(Field::Thinking);
    }
    request.thinking = Thinking { effort: Some(Effort::None), ..Thinking::default() };
}

/// What this server has nothing for.
pub(super) fn leave_out(request: &mut Request<'_>, quirks: &Quirks) {
    let mut out = |given: bool, field: Field| {
        if given {
            request.unsupported.push(field);
        }
        given
    };
    if out(quirks.no_top_k && request.top_k.is_some(), Field::TopK) {
        request.top_k = None;
    }
    if out(quirks.no_seed && request.seed.is_some(), Field::Seed) {
        request.seed = None;
    }
    if out(quirks.no_penalties && request.frequency_penalty.is_some(), Field::FrequencyPenalty) {
        request.frequency_penalty = None;
    }
    if out(quirks.no_penalties && request.presence_penalty.is_some(), Field::PresencePenalty) {
        request.presence_penalty = None;
    }
    if out(quirks.no_logprobs && request.logprobs.is_some(), Field::Logprobs) {
        request.logprobs = None;
    }
    let effort = request.thinking.effort().is_some();
    let unswitched = quirks.no_reasoning_effort && quirks.thinking == Switch::None;
    if out(unswitched && effort, Field::Thinking) {
        request.thinking = Thinking::default();
    }
    let above = request.temperature.is_some_and(|temperature| temperature > 1.0);
    if out(quirks.temperature_to_one && above, Field::Temperature) {
        request.temperature = Some(1.0);
    }
    if quirks.no_zero_temperature && request.temperature == Some(0.0) {
        request.temperature = Some(COLDEST);
    }
    if out(quirks.one_stop && request.stop.len() > 1, Field::Stop) {
        request.stop.truncate(1);
    }
    // One call at a time is a wish; several are what most servers do anyway.
    if quirks.no_parallel_tool_calls && request.parallel_tool_calls.take() == Some(false) {
        request.unsupported.push(Field::ParallelToolCalls);
    }
    let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    if quirks.no_forced_tool && forced {
        request.unsupported.push(Field::ToolChoice);
        request.tool_choice = None;
    }
    if quirks.no_json_schema && matches!(request.format, Some(Format::Schema { .. })) {
        // The nearest that there is; the schema itself must then stand in the prompt.
        request.unsupported.push(Field::Format);
        request.format = Some(Format::Json);
    }
    if quirks.no_notes {
        for (given, field) in [
            (request.user.is_some(), Field::User),
            (request.cache_key.is_some(), Field::CacheKey),
            (request.store == Some(true), Field::Store),
            (request.metadata.is_some(), Field::Metadata),
            (request.verbosity.is_some(), Field::Verbosity),
        ] {
            if given {
                request.unsupported.push(field);
            }
        }
        (request.user, request.cache_key, request.store, request.metadata) =
            (None, None, None, None);
        request.verbosity = None;
        let turns = request.turns.iter_mut().flat_map(|turn| &mut turn.parts);
        for part in request.system.iter_mut().chain(turns) {
            if part.breakpoint.take().is_some() && !request.unsupported.contains(&Field::Breakpoint)
            {
                request.unsupported.push(Field::Breakpoint);
            }
        }
    }
}
