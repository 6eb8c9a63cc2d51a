//! Writes a Chat Completions request.

use shared::json::JsonStr;
use shared::write::JsonWriter;

use super::fit::{check, leave_out, think_not};
use super::messages::{Messages, write_system};
use super::thinking::write_thinking;
use crate::presets::Quirks;
use crate::translate::ir::{Field, Format, Request, Tool, ToolChoice, Unsupported};
use crate::translate::provider::{Options, openai_model};

/// OpenAI's own limit of `stop`.
const MAX_STOPS: usize = 4;

/// Writes the request. A stream is always asked for its token counts. Names what has no place in it in
/// `request.unsupported`.
pub fn write(request: &mut Request<'_>, options: &Options<'_>) -> Result<String, Unsupported> {
    check(request, &options.quirks)?;
    one_answer(request, &options.quirks)?;
    let mut w = JsonWriter::with_capacity(1024);
    w.open('{');
    w.key("model");
    w.text(options.model);
    w.key("messages");
    w.open('[');
    write_system(&mut w, &request.system);
    let mut messages = Messages { quirks: &options.quirks, after_results: false, at_end: false };
    for (index, turn) in request.turns.iter().enumerate() {
        messages.at_end = index + 1 == request.turns.len();
        messages.write_turn(&mut w, turn);
    }
    w.close(']');
    if let Some(max) = request.max_tokens {
        // Newer models of OpenAI refuse the older name, other servers may not know the newer one.
        let new = options.quirks.max_completion_tokens;
        w.key(if new { "max_completion_tokens" } else { "max_tokens" });
        w.value(max);
    }
    write_parameters(&mut w, request, options);
    if request.stream {
        w.key("stream");
        w.raw("true");
        if !options.quirks.no_stream_options {
            w.key("stream_options");
            w.raw(r#"{"include_usage":true}"#);
        }
    }
    w.close('}');
    Ok(w.finish())
}

/// Refuses to leave out what was asked for several times.
pub(super) fn one_answer(request: &Request<'_>, quirks: &Quirks) -> Result<(), Unsupported> {
    match request.n {
        Some(n) if quirks.no_n && n != 1 => {
            Err(Unsupported("more than one answer to a request (`n`, `candidateCount`)"))
        }
        _ => Ok(()),
    }
}

/// What says how to answer, but for the length and the stream.
#[inline(never)]
pub(super) fn write_parameters(
    w: &mut JsonWriter,
    request: &mut Request<'_>,
    options: &Options<'_>,
) {
    leave_out(request, &options.quirks);
    // OpenAI itself and clouds that serve its models, by what only they demand.
    let demands = options.quirks.max_completion_tokens && !request.tools.is_empty();
    if demands && openai_model::calls_or_thinks(options.model) {
        think_not(request);
    }
    openai_model::fit(request, options.model, options.quirks.are_openais());
    write_tools(w, request);
    write_sampling(w, request, &options.quirks);
    write_thinking(w, request.thinking.effort(), &options.quirks);
    write_format(w, request.format.as_ref());
    write_notes(w, request, &options.quirks);
}

fn write_tools(w: &mut JsonWriter, request: &Request<'_>) {
    if request.tools.is_empty() {
        return;
    }
    w.key("tools");
    w.open('[');
    request.tools.iter().for_each(|tool| write_tool(w, tool));
    w.close(']');
    if let Some(choice) = &request.tool_choice {
        w.key("tool_choice");
        match choice {
            ToolChoice::Auto => w.raw("\"auto\""),
            ToolChoice::None => w.raw("\"none\""),
            ToolChoice::Required => w.raw("\"required\""),
            ToolChoice::Named(name) => {
                w.open('{');
                w.field("type", "function");
                w.key("function");
                w.open('{');
                string(w, "name", name);
                w.close('}');
                w.close('}');
            }
        }
    }
    if let Some(parallel) = request.parallel_tool_calls {
        w.key("parallel_tool_calls");
        w.value(parallel);
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
    w.raw(&tool.object_schema());
    if let Some(strict) = tool.strict {
        w.key("strict");
        w.value(strict);
    }
    w.close('}');
    w.close('}');
}

fn write_sampling(w: &mut JsonWriter, request: &mut Request<'_>, quirks: &Quirks) {
    if let Some(temperature) = request.temperature {
        w.key("temperature");
        w.value(temperature);
    }
    if let Some(top_p) = request.top_p {
        w.key("top_p");
        w.value(top_p);
    }
    for (key, value) in [
        ("frequency_penalty", request.frequency_penalty),
        ("presence_penalty", request.presence_penalty),
    ] {
        if let Some(value) = value {
            w.key(key);
            w.value(value);
        }
    }
    if let Some(seed) = request.seed {
        w.key(if quirks.random_seed { "random_seed" } else { "seed" });
        w.value(seed);
    }
    if let Some(n) = request.n.filter(|n| *n != 1) {
        w.key("n");
        w.value(n);
    }
    if let Some(top) = request.logprobs {
        w.key("logprobs");
        w.raw("true");
        w.key("top_logprobs");
        w.value(top);
    }
    if let Some(top_k) = request.top_k {
        w.key("top_k");
        w.value(top_k);
    }
    if request.stop.len() > MAX_STOPS {
        request.unsupported.push(Field::Stop);
    }
    if !request.stop.is_empty() {
        w.key("stop");
        w.open('[');
        request.stop.iter().take(MAX_STOPS).for_each(|stop| w.string(stop));
        w.close(']');
    }
    if let Some(verbosity) = &request.verbosity {
        string(w, "verbosity", verbosity);
    }
}

fn write_format(w: &mut JsonWriter, format: Option<&Format<'_>>) {
    match format {
        None => {}
        Some(Format::Json) => {
            w.key("response_format");
            w.raw(r#"{"type":"json_object"}"#);
        }
        Some(Format::Schema { name, description, schema, strict }) => {
            w.key("response_format");
            w.raw(r#"{"type":"json_schema","json_schema":{"name":"#);
            w.string(name.as_ref().unwrap_or(&JsonStr::encode("answer")));
            if let Some(description) = description {
                string(w, "description", description);
            }
            // Left out it is false, which takes schemas of any form.
            if let Some(strict) = *strict {
                w.key("strict");
                w.value(strict);
            }
            w.key("schema");
            w.raw(schema.get());
            w.raw_tail("}}");
        }
    }
}

fn write_notes(w: &mut JsonWriter, request: &Request<'_>, quirks: &Quirks) {
    if let Some(user) = &request.user {
        string(w, "user", user);
    }
    if let Some(key) = &request.cache_key {
        string(w, "prompt_cache_key", key);
    }
    if let Some(store) = request.store {
        w.key("store");
        w.value(store);
    }
    if let Some(metadata) = request.metadata {
        w.key("metadata");
        w.raw(metadata.get());
    }
    for (key, value) in request.openai.iter().filter(|_| !quirks.no_notes) {
        w.key(key);
        w.raw(value.get());
    }
}

pub(super) fn string(w: &mut JsonWriter, key: &str, value: &JsonStr<'_>) {
    w.key(key);
    w.string(value);
}

#[cfg(test)]
mod tests;
