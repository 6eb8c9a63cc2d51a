//! Writes a Responses request.

use shared::json::JsonStr;
use shared::write::JsonWriter;

use super::input;
use crate::translate::ir::{
    Body, Effort, Field, Format, Part, Request, Tool, ToolChoice, Unsupported,
};
use crate::translate::provider::{Options, openai_model};
use crate::translate::signature::{self, Origin};

/// The least that `max_output_tokens` may be. A client that asks for fewer gets an answer that is a
/// few tokens longer, instead of none.
const MIN_OUTPUT_TOKENS: u64 = 16;

/// OpenAI's limit of `top_logprobs`.
const MAX_LOGPROBS: u32 = 20;

/// OpenAI's limit of `user`, `safety_identifier` and `prompt_cache_key`, in characters.
const MAX_NAME: usize = 64;

/// Writes the request. Names what has no place in it in `request.unsupported`.
pub fn write(request: &mut Request<'_>, options: &Options<'_>) -> Result<String, Unsupported> {
    check(request)?;
    openai_model::fit(request, options.model, true);
    let mut w = JsonWriter::with_capacity(1024);
    w.open('{');
    w.key("model");
    w.text(options.model);
    if let [Part { body: Body::Text(text), breakpoint: None, .. }] = request.system.as_slice() {
        string(&mut w, "instructions", text);
    }
    w.key("input");
    input::write(&mut w, request);
    if let Some(max) = request.max_tokens {
        w.key("max_output_tokens");
        w.value(max.max(MIN_OUTPUT_TOKENS));
    }
    write_tools(&mut w, request);
    write_sampling(&mut w, request);
    write_thinking(&mut w, request);
    write_text(&mut w, request);
    write_include(&mut w, request);
    write_notes(&mut w, request, options);
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
    request.turns.iter().try_for_each(|turn| check_parts(&turn.parts))?;
    for (given, field) in [
        (request.top_k.is_some(), Field::TopK),
        (request.frequency_penalty.is_some(), Field::FrequencyPenalty),
        (request.presence_penalty.is_some(), Field::PresencePenalty),
        (request.seed.is_some(), Field::Seed),
        (!request.stop.is_empty(), Field::Stop),
    ] {
        if given {
            request.unsupported.push(field);
        }
    }
    Ok(())
}

fn check_parts(parts: &[Part<'_>]) -> Result<(), Unsupported> {
    parts.iter().try_for_each(|part| match &part.body {
        Body::Audio(_) => Err(Unsupported("audio")),
        Body::Video(_) => Err(Unsupported("video")),
        Body::ToolResult { parts, .. } => check_parts(parts),
        _ => Ok(()),
    })
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
            ToolChoice::Auto => w.escaped("auto"),
            ToolChoice::None => w.escaped("none"),
            ToolChoice::Required => w.escaped("required"),
            ToolChoice::Named(name) => {
                let decoded = name.decode();
                let custom = |tool: &Tool<'_>| tool.custom && tool.name == *decoded;
                let custom = request.tools.iter().any(custom);
                w.open('{');
                w.field("type", if custom { "custom" } else { "function" });
                string(w, "name", name);
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
    w.field("type", if tool.custom { "custom" } else { "function" });
    string(w, "name", &tool.name);
    if let Some(description) = &tool.description {
        string(w, "description", description);
    }
    if !tool.custom {
        w.key("parameters");
        w.raw(&tool.object_schema());
        // Left out it would be true here, which refuses most schemas that were written for others.
        w.key("strict");
        w.value(tool.strict.unwrap_or(false));
    }
    w.close('}');
}

fn write_sampling(w: &mut JsonWriter, request: &Request<'_>) {
    for (key, value) in [("temperature", request.temperature), ("top_p", request.top_p)] {
        if let Some(value) = value {
            w.key(key);
            w.value(value);
        }
    }
    if let Some(top) = request.logprobs {
        w.key("top_logprobs");
        w.value(top.min(MAX_LOGPROBS));
    }
}

fn write_thinking(w: &mut JsonWriter, request: &Request<'_>) {
    let effort = request.thinking.effort();
    let show = request.thinking.show == Some(true) && effort != Some(Effort::None);
    if effort.is_none() && !show {
        return;
    }
    w.key("reasoning");
    w.open('{');
    if let Some(effort) = effort {
        w.field("effort", effort.word());
    }
    if show {
        w.field("summary", "auto");
    }
    w.close('}');
}

fn write_text(w: &mut JsonWriter, request: &Request<'_>) {
    if request.format.is_none() && request.verbosity.is_none() {
        return;
    }
    w.key("text");
    w.open('{');
    match &request.format {
        None => {}
        Some(Format::Json) => {
            w.key("format");
            w.raw(r#"{"type":"json_object"}"#);
        }
        Some(Format::Schema { name, description, schema, strict }) => {
            w.key("format");
            w.open('{');
            w.field("type", "json_schema");
            string(w, "name", name.as_ref().unwrap_or(&JsonStr::encode("answer")));
            if let Some(description) = description {
                string(w, "description", description);
            }
            // True would refuse most schemas whose client has not said that they are meant for it.
            w.key("strict");
            w.value(strict.unwrap_or(false));
            w.key("schema");
            w.raw(schema.get());
            w.close('}');
        }
    }
    if let Some(verbosity) = &request.verbosity {
        string(w, "verbosity", verbosity);
    }
    w.close('}');
}

/// What is not kept by OpenAI has to come back from the client: thoughts, encrypted. Only asked for
/// where the client asked to think or goes on from such a thought, because models that do not think
/// refuse it.
fn write_include(w: &mut JsonWriter, request: &Request<'_>) {
    let asked = !request.thinking.is_default() && request.thinking.effort() != Some(Effort::None);
    let thinks = asked || request.turns.iter().flat_map(|turn| &turn.parts).any(is_own_thought);
    let thoughts = thinks && request.store != Some(true);
    let include = [
        (thoughts, "reasoning.encrypted_content"),
        (request.logprobs.is_some(), "message.output_text.logprobs"),
    ];
    if include.iter().any(|(wanted, _)| *wanted) {
        w.key("include");
        w.open('[');
        include.iter().filter(|(wanted, _)| *wanted).for_each(|(_, name)| w.escaped(name));
        w.close(']');
    }
}

fn is_own_thought(part: &Part<'_>) -> bool {
    match &part.body {
        Body::Thinking { signature: Some(s), .. } => signature::of(Origin::OpenAi, s).is_some(),
        _ => false,
    }
}

fn write_notes(w: &mut JsonWriter, request: &mut Request<'_>, options: &Options<'_>) {
    let fits = |name: &JsonStr<'_>| name.decode().chars().count() <= MAX_NAME;
    match &request.user {
        // Servers that imitate OpenAI know the older name.
        Some(user) if fits(user) => {
            string(
                w,
                if options.quirks.safety_identifier { "safety_identifier" } else { "user" },
                user,
            );
        }
        Some(_) => request.unsupported.push(Field::User),
        None => {}
    }
    match &request.cache_key {
        Some(key) if fits(key) => string(w, "prompt_cache_key", key),
        Some(_) => request.unsupported.push(Field::CacheKey),
        None => {}
    }
    // Of all protocols only this one keeps answers unless told not to, and clients of the others do
    // not expect their conversations to be kept.
    w.key("store");
    w.value(request.store.unwrap_or(false));
    if let Some(metadata) = request.metadata {
        w.key("metadata");
        w.raw(metadata.get());
    }
    for (key, value) in request.openai.iter().filter(|_| !options.quirks.no_notes) {
        w.key(key);
        w.raw(value.get());
    }
}

fn string(w: &mut JsonWriter, key: &str, value: &JsonStr<'_>) {
    w.key(key);
    w.string(value);
}
