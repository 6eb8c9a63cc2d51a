//! Writes a Chat request.

use shared::json::JsonStr;
use shared::write::JsonWriter;

use super::turns::{string, write_messages};
use crate::translate::ir::{Effort, Field, Format, Request, Tool, ToolChoice, Unsupported};
use crate::translate::provider::Options;

/// The most `stop_sequences`.
const MAX_STOPS: usize = 5;

/// The largest `k`.
const MAX_TOP_K: u64 = 500;

/// Writes the request. Names what has no place in it in `request.unsupported`.
pub fn write(request: &mut Request<'_>, options: &Options<'_>) -> Result<String, Unsupported> {
    check(request)?;
    let mut w = JsonWriter::with_capacity(1024);
    w.open('{');
    w.key("model");
    w.text(options.model);
    w.key("messages");
    w.open('[');
    write_messages(&mut w, request)?;
    w.close(']');
    write_tools(&mut w, request);
    if let Some(max) = request.max_tokens {
        w.key("max_tokens");
        w.value(max);
    }
    write_sampling(&mut w, request);
    write_penalties(&mut w, request);
    write_thinking(&mut w, request);
    write_format(&mut w, request);
    if request.stream {
        w.key("stream");
        w.raw("true");
    }
    w.close('}');
    Ok(w.finish())
}

fn check(request: &mut Request<'_>) -> Result<(), Unsupported> {
    if request.n.is_some_and(|n| n != 1) {
        return Err(Unsupported("more than one answer to a request (`n`, `candidateCount`)"));
    }
    for (given, field) in [
        (request.verbosity.is_some(), Field::Verbosity),
        (request.user.is_some(), Field::User),
        // Those of the answer's own tokens are there, those in their place are not.
        (request.logprobs.is_some_and(|top| top > 0), Field::Logprobs),
    ] {
        if given {
            request.unsupported.push(field);
        }
    }
    Ok(())
}

/// There is no choice of one tool: to be left with that one, and forced to call, is the same.
fn write_tools(w: &mut JsonWriter, request: &mut Request<'_>) {
    if request.tools.is_empty() {
        return;
    }
    let named = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => Some(name.decode()),
        _ => None,
    };
    let is_named = |tool: &&Tool<'_>| named.as_ref().is_none_or(|name| tool.name == **name);
    let tools: Vec<_> = request.tools.iter().filter(is_named).collect();
    // There is no such tool.
    let tools = if tools.is_empty() { request.tools.iter().collect() } else { tools };
    w.key("tools");
    w.open('[');
    tools.iter().for_each(|tool| write_tool(w, tool));
    w.close(']');
    // It is for all of them or none.
    if tools.iter().all(|tool| tool.strict == Some(true)) {
        w.key("strict_tools");
        w.raw("true");
    }
    match &request.tool_choice {
        None | Some(ToolChoice::Auto) => {}
        Some(ToolChoice::None) => w.field("tool_choice", "NONE"),
        Some(ToolChoice::Required | ToolChoice::Named(_)) => w.field("tool_choice", "REQUIRED"),
    }
    let may_call = !matches!(request.tool_choice, Some(ToolChoice::None));
    if may_call && request.parallel_tool_calls == Some(false) {
        request.unsupported.push(Field::ParallelToolCalls);
    }
}

fn write_tool(w: &mut JsonWriter, tool: &Tool<'_>) {
    w.open('{');
    w.field("type", "function");
    w.key("function");
    w.open('{');
    string(w, "name", &tool.name);
    if let Some(description) = &tool.description {
        string(w, "description", description);
    }
    w.key("parameters");
    w.raw(tool.schema());
    w.raw_tail("}}");
}

fn write_sampling(w: &mut JsonWriter, request: &mut Request<'_>) {
    if let Some(temperature) = request.temperature {
        w.key("temperature");
        w.value(temperature.clamp(0.0, 1.0));
        if !(0.0..=1.0).contains(&temperature) {
            request.unsupported.push(Field::Temperature);
        }
    }
    if let Some(top_p) = request.top_p {
        // 0 and 1 are just outside.
        w.key("p");
        w.value(top_p.clamp(0.01, 0.99));
        if !(0.0..=1.0).contains(&top_p) {
            request.unsupported.push(Field::TopP);
        }
    }
    if let Some(top_k) = request.top_k {
        w.key("k");
        w.value(top_k.min(MAX_TOP_K));
        if top_k > MAX_TOP_K {
            request.unsupported.push(Field::TopK);
        }
    }
    match request.seed {
        Some(seed) if seed >= 0 => {
            w.key("seed");
            w.value(seed);
        }
        Some(_) => request.unsupported.push(Field::Seed),
        None => {}
    }
    let stops: Vec<&JsonStr<'_>> = request.stop.iter().filter(|stop| !stop.is_empty()).collect();
    if stops.len().min(MAX_STOPS) < request.stop.len() {
        request.unsupported.push(Field::Stop);
    }
    if !stops.is_empty() {
        w.key("stop_sequences");
        w.open('[');
        stops.iter().take(MAX_STOPS).for_each(|stop| w.string(stop));
        w.close(']');
    }
    if request.logprobs.is_some() {
        w.key("logprobs");
        w.raw("true");
    }
}

/// They go from 0 to 1 only.
fn write_penalties(w: &mut JsonWriter, request: &mut Request<'_>) {
    for (key, penalty, field) in [
        ("frequency_penalty", request.frequency_penalty, Field::FrequencyPenalty),
        ("presence_penalty", request.presence_penalty, Field::PresencePenalty),
    ] {
        let Some(penalty) = penalty else { continue };
        w.key(key);
        w.value(penalty.clamp(0.0, 1.0));
        if !(0.0..=1.0).contains(&penalty) {
            request.unsupported.push(field);
        }
    }
}

/// <https://docs.cohere.com/docs/reasoning>
fn write_thinking(w: &mut JsonWriter, request: &Request<'_>) {
    let thinking = request.thinking;
    let off = thinking.effort == Some(Effort::None) && thinking.budget.is_none();
    match thinking.budget() {
        None => {}
        Some(budget) => {
            w.key("thinking");
            w.open('{');
            if off || budget == 0 {
                w.field("type", "disabled");
            } else {
                w.field("type", "enabled");
                w.key("token_budget");
                // What is thought counts as answer, and of that something must be left.
                let most = request.max_tokens.map_or(u64::MAX, |max| max.saturating_sub(1).max(1));
                w.value(budget.min(most));
            }
            w.close('}');
        }
    }
}

/// <https://docs.cohere.com/docs/structured-outputs>
fn write_format(w: &mut JsonWriter, request: &mut Request<'_>) {
    let Some(format) = &request.format else { return };
    // Not together with tools.
    if !request.tools.is_empty() {
        request.unsupported.push(Field::Format);
        return;
    }
    w.key("response_format");
    w.open('{');
    w.field("type", "json_object");
    if let Format::Schema { schema, .. } = format {
        w.key("json_schema");
        w.raw(schema.get());
    }
    w.close('}');
}
