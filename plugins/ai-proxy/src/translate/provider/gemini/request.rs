//! Writes a generateContent request. The model, and whether the answer is to be a stream, stand in
//! the path.

use shared::write::JsonWriter;

use super::contents::{Target, string, write_contents, write_system};
use super::model::Family;
use crate::provider::Cloud;
use crate::translate::ir::{Field, Format, Request, Source, Tool, ToolChoice, Unsupported};
use crate::translate::provider::Options;

/// The most `stopSequences`.
const MAX_STOPS: usize = 5;
/// The most answers to one request.
const MAX_CANDIDATES: u32 = 8;

/// Writes the request. Names what has no place in it in `request.unsupported`.
pub fn write(request: &mut Request<'_>, options: &Options<'_>) -> Result<String, Unsupported> {
    let family = Family::of(options.model);
    check(request)?;
    let mut w = JsonWriter::with_capacity(1024);
    w.open('{');
    write_system(&mut w, &request.system);
    let ids = options.cloud != Cloud::Vertex;
    write_contents(&mut w, &request.turns, Target { family, ids });
    write_tools(&mut w, request);
    let mut config = JsonWriter::with_capacity(256);
    write_config(&mut config, request, options.model, family);
    let config = config.finish();
    if !config.is_empty() {
        w.key("generationConfig");
        w.open('{');
        w.raw(&config);
        w.close('}');
    }
    w.close('}');
    Ok(w.finish())
}

fn check(request: &mut Request<'_>) -> Result<(), Unsupported> {
    let n = request.n.unwrap_or(1);
    if n > MAX_CANDIDATES {
        return Err(Unsupported("more than eight answers to a request"));
    }
    if n > 1 && request.stream {
        return Err(Unsupported("a stream of more than one answer"));
    }
    for (given, field) in [
        (request.verbosity.is_some(), Field::Verbosity),
        (request.user.is_some(), Field::User),
        (request.parallel_tool_calls == Some(false), Field::ParallelToolCalls),
    ] {
        if given {
            request.unsupported.push(field);
        }
    }
    Ok(())
}

fn write_tools(w: &mut JsonWriter, request: &Request<'_>) {
    if request.tools.is_empty() {
        return;
    }
    w.key("tools");
    w.raw(r#"[{"functionDeclarations":["#);
    request.tools.iter().for_each(|tool| write_tool(w, tool));
    w.raw_tail("]}]");
    let (mode, named) = match &request.tool_choice {
        None => return,
        Some(ToolChoice::Auto) => ("AUTO", None),
        Some(ToolChoice::None) => ("NONE", None),
        Some(ToolChoice::Required) => ("ANY", None),
        Some(ToolChoice::Named(name)) => ("ANY", Some(name)),
    };
    w.key("toolConfig");
    w.raw(r#"{"functionCallingConfig":"#);
    w.open('{');
    w.field("mode", mode);
    if let Some(name) = named {
        w.key("allowedFunctionNames");
        w.open('[');
        w.string(name);
        w.close(']');
    }
    w.raw_tail("}}");
}

/// `parameters` takes but a part of OpenAPI, `parametersJsonSchema` any JSON Schema.
fn write_tool(w: &mut JsonWriter, tool: &Tool<'_>) {
    w.open('{');
    string(w, "name", &tool.name);
    if let Some(description) = &tool.description {
        string(w, "description", description);
    }
    w.key("parametersJsonSchema");
    w.raw(tool.schema());
    w.close('}');
}

/// The members of `generationConfig`.
fn write_config(w: &mut JsonWriter, request: &mut Request<'_>, model: &str, family: Family) {
    if let Some(max) = request.max_tokens {
        w.key("maxOutputTokens");
        w.value(max);
    }
    for (penalty, field) in [
        (&mut request.presence_penalty, Field::PresencePenalty),
        (&mut request.frequency_penalty, Field::FrequencyPenalty),
    ] {
        if family.no_penalties() && penalty.take().is_some_and(|penalty| penalty != 0.0) {
            request.unsupported.push(field);
        }
    }
    for (key, value) in [
        ("temperature", request.temperature),
        ("topP", request.top_p),
        ("presencePenalty", request.presence_penalty),
        ("frequencyPenalty", request.frequency_penalty),
    ] {
        if let Some(value) = value {
            w.key(key);
            w.value(value);
        }
    }
    if let Some(top_k) = request.top_k {
        w.key("topK");
        w.value(top_k);
    }
    match request.seed.map(i32::try_from) {
        Some(Ok(seed)) => {
            w.key("seed");
            w.value(seed);
        }
        Some(Err(_)) => request.unsupported.push(Field::Seed),
        None => {}
    }
    if let Some(n) = request.n.filter(|n| *n > 1) {
        w.key("candidateCount");
        w.value(n);
    }
    if let Some(top) = request.logprobs {
        w.key("responseLogprobs");
        w.raw("true");
        if top > 0 {
            w.key("logprobs");
            w.value(top);
        }
    }
    write_stops(w, request);
    write_format(w, request, family);
    write_thinking(w, request, model, family);
}

fn write_stops(w: &mut JsonWriter, request: &mut Request<'_>) {
    let stops: Vec<_> = request.stop.iter().filter(|stop| !stop.is_empty()).collect();
    if stops.len().min(MAX_STOPS) < request.stop.len() {
        request.unsupported.push(Field::Stop);
    }
    if !stops.is_empty() {
        w.key("stopSequences");
        w.open('[');
        stops.into_iter().take(MAX_STOPS).for_each(|stop| w.string(stop));
        w.close(']');
    }
}

fn write_format(w: &mut JsonWriter, request: &mut Request<'_>, family: Family) {
    let Some(format) = &request.format else { return };
    if family.format_or_tools() && !request.tools.is_empty() {
        return request.unsupported.push(Field::Format);
    }
    w.field("responseMimeType", "application/json");
    if let Format::Schema { schema, .. } = format {
        w.key("responseJsonSchema");
        w.raw(schema.get());
    }
}

fn write_thinking(w: &mut JsonWriter, request: &mut Request<'_>, model: &str, family: Family) {
    let config = family.thinking(request.thinking, model);
    if config.differs {
        request.unsupported.push(Field::Thinking);
    }
    if config.level.is_none() && config.budget.is_none() && !config.show {
        return;
    }
    w.key("thinkingConfig");
    w.open('{');
    if let Some(level) = config.level {
        w.field("thinkingLevel", level);
    }
    if let Some(budget) = config.budget {
        w.key("thinkingBudget");
        w.value(budget);
    }
    if config.show {
        w.key("includeThoughts");
        w.raw("true");
    }
    w.close('}');
}

/// A picture, sound, film or document as a part of its own.
pub(super) fn write_source(w: &mut JsonWriter, source: &Source<'_>) {
    w.open('{');
    match source {
        Source::Base64 { media_type, data } => {
            w.key("inlineData");
            w.open('{');
            w.field("mimeType", media_type);
            w.field("data", data);
        }
        Source::Url(url) => {
            w.key("fileData");
            w.open('{');
            if let Some(kind) = crate::translate::media::type_of(url) {
                w.field("mimeType", kind);
            }
            string(w, "fileUri", url);
        }
    }
    w.raw_tail("}}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::Quirks;
    use crate::translate::client::Client;

    #[test]
    fn penalties_go_to_models_that_know_them() {
        let both = [Field::PresencePenalty, Field::FrequencyPenalty];
        for (model, penalty, written, left_out) in [
            ("gemini-2.0-flash", "0.5", true, &[][..]),
            ("tuned", "0.5", true, &[]),
            ("gemini-2.5-flash", "0.5", false, &both),
            ("gemini-3-pro-preview", "-0.5", false, &both),
            ("gemini-2.5-pro", "0", false, &[]),
        ] {
            let text = format!(
                r#"{{"messages":[{{"role":"user","content":"a"}}],
                "presence_penalty":{penalty},"frequency_penalty":{penalty}}}"#
            );
            let mut request = Client::OpenAiChat.read(&text).unwrap();
            let (quirks, cloud) = (Quirks::NONE, Cloud::Own);
            let options = Options { model, default_max_tokens: 9, quirks, cloud };
            let body = write(&mut request, &options).unwrap();
            assert_eq!(body.contains("Penalty"), written, "{body}");
            assert_eq!(request.unsupported, left_out, "{model}");
        }
    }
}
