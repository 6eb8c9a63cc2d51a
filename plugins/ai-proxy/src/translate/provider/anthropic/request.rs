//! Writes a Messages request.

use serde_json::value::RawValue;
use shared::json::JsonStr;
use shared::write::JsonWriter;

use super::model::Generation;
use super::thinking::Thought;
use crate::provider::Cloud;
use crate::translate::ir::{
    Arguments, Body, Field, Format, Part, Request, Role, Source, Tool, ToolChoice, Turn,
    Unsupported,
};
use crate::translate::provider::Options;
use crate::translate::provider::bedrock::is_blank;
use crate::translate::signature::{self, Origin};

/// The key under which arguments that are no JSON object reach the model, so that it can see its
/// mistake; `input` must be an object. The name is Anthropic's own suggestion,
/// <https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/fine-grained-tool-streaming>.
const INVALID_JSON: &str = "INVALID_JSON";

/// Writes the request. Anthropic demands `max_tokens`; `default_max_tokens` is for clients that leave
/// it open. Names what has no place in it in `request.unsupported`.
pub fn write(request: &mut Request<'_>, options: &Options<'_>) -> Result<String, Unsupported> {
    check(request)?;
    let Options { model, default_max_tokens, .. } = *options;
    let generation = Generation::of(model);
    let thought = Thought::of(request, generation, default_max_tokens);
    let thinking = match thought {
        Thought::Budget(budget) => budget,
        Thought::Adaptive(_) => request.thinking.budget().unwrap_or(0),
        Thought::Default | Thought::Off => 0,
    };
    // What the client left open is the answer's length, not how much of it is thought.
    let max_tokens = request.max_tokens.unwrap_or(default_max_tokens.saturating_add(thinking));
    let mut w = JsonWriter::with_capacity(1024);
    w.open('{');
    match options.cloud.anthropic_version() {
        Some(version) => {
            w.field("anthropic_version", version);
            if !request.betas.is_empty() {
                w.key("anthropic_beta");
                w.raw(&format!("[\"{}\"]", request.betas.join("\",\"")));
            }
        }
        None => {
            w.key("model");
            w.text(model);
        }
    }
    w.key("max_tokens");
    w.value(max_tokens);
    write_system(&mut w, &request.system);
    w.key("messages");
    w.open('[');
    write_turns(&mut w, &request.turns)?;
    w.close(']');
    write_tools(&mut w, request);
    if let Some(thinking) = thought.json(generation) {
        w.key("thinking");
        w.raw(&thinking);
    }
    generation.leave_sampling_out(request);
    write_sampling(&mut w, request, thought.is_on());
    write_config(&mut w, request, thought);
    if let Some(user) = &request.user {
        w.key("metadata");
        w.open('{');
        w.key("user_id");
        w.string(user);
        w.close('}');
    }
    if request.stream && options.cloud != Cloud::Bedrock {
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
    for part in request.turns.iter().flat_map(|turn| &turn.parts) {
        match part.body {
            Body::Audio(_) => return Err(Unsupported("audio")),
            Body::Video(_) => return Err(Unsupported("video")),
            _ => {}
        }
    }
    for (given, field) in [
        (request.frequency_penalty.is_some(), Field::FrequencyPenalty),
        (request.presence_penalty.is_some(), Field::PresencePenalty),
        (request.seed.is_some(), Field::Seed),
        (request.logprobs.is_some(), Field::Logprobs),
        (request.verbosity.is_some(), Field::Verbosity),
    ] {
        if given {
            request.unsupported.push(field);
        }
    }
    Ok(())
}

/// How the answer is to be made and to look.
fn write_config(w: &mut JsonWriter, request: &mut Request<'_>, thought: Thought) {
    let effort = thought.effort();
    let schema = match &request.format {
        // The prompt must ask for JSON as well, so the answer is most often what was wanted.
        Some(Format::Json) => {
            request.unsupported.push(Field::Format);
            None
        }
        Some(Format::Schema { schema, .. }) => Some(schema),
        None => None,
    };
    if effort.is_none() && schema.is_none() {
        return;
    }
    w.key("output_config");
    w.open('{');
    if let Some(effort) = effort {
        w.field("effort", effort);
    }
    if let Some(schema) = schema {
        w.key("format");
        w.raw(r#"{"type":"json_schema","schema":"#);
        w.raw_tail(schema.get());
        w.close('}');
    }
    w.close('}');
}

fn write_system(w: &mut JsonWriter, parts: &[Part<'_>]) {
    let said = said(parts);
    if !said.is_empty() {
        w.key("system");
        write_said(w, &said);
    }
}

/// A turn that has nothing to say here is refused, and two of one role may follow each other.
fn write_turns(w: &mut JsonWriter, turns: &[Turn<'_>]) -> Result<(), Unsupported> {
    let mut empty = true;
    for Turn { role, parts } in turns {
        let said = said(parts);
        if said.is_empty() {
            continue;
        }
        empty = false;
        w.open('{');
        w.field("role", if *role == Role::User { "user" } else { "assistant" });
        w.key("content");
        write_said(w, &said);
        w.close('}');
    }
    if empty { Err(Unsupported("a conversation of white space")) } else { Ok(()) }
}

/// What says something here: white space alone is refused, and so is another provider's thought, which is
/// without Anthropic's signature.
fn said<'r, 'a>(parts: &'r [Part<'a>]) -> Vec<&'r Part<'a>> {
    let says = |part: &&Part<'_>| match &part.body {
        Body::Text(text) | Body::Refusal(text) => !is_blank(text),
        Body::Thinking { signature, .. } => {
            signature.as_ref().and_then(|s| signature::of(Origin::Anthropic, s)).is_some()
        }
        _ => true,
    };
    parts.iter().filter(says).collect()
}

fn write_said(w: &mut JsonWriter, parts: &[&Part<'_>]) {
    match parts {
        [Part { body: Body::Text(text), cache_control: None, .. }] => w.string(text),
        parts => {
            w.open('[');
            parts.iter().for_each(|part| write_part(w, part));
            w.close(']');
        }
    }
}

fn write_part(w: &mut JsonWriter, part: &Part<'_>) {
    w.open('{');
    match &part.body {
        Body::Text(text) | Body::Refusal(text) => {
            w.field("type", "text");
            string(w, "text", text);
        }
        Body::Image(source) => {
            w.field("type", "image");
            write_source(w, source);
        }
        Body::Document { source, title } => {
            w.field("type", "document");
            write_source(w, source);
            if let Some(title) = title {
                string(w, "title", title);
            }
        }
        // Refused before.
        Body::Audio(_) | Body::Video(_) => {}
        Body::ToolCall { id, name, arguments } => {
            w.field("type", "tool_use");
            write_id(w, "id", id);
            string(w, "name", name);
            w.key("input");
            write_arguments(w, arguments);
        }
        Body::ToolResult { id, parts, is_error } => {
            w.field("type", "tool_result");
            write_id(w, "tool_use_id", id);
            write_result(w, parts);
            if *is_error {
                w.key("is_error");
                w.raw("true");
            }
        }
        Body::Thinking { text, signature } => {
            w.field("type", "thinking");
            string(w, "thinking", text);
            if let Some(signature) = signature {
                string(w, "signature", signature);
            }
        }
        Body::RedactedThinking(data) => {
            w.field("type", "redacted_thinking");
            string(w, "data", data);
        }
    }
    if let Some(mark) = part.cache_control {
        w.key("cache_control");
        w.raw(mark.get());
    }
    w.close('}');
}

/// Anthropic takes letters, digits, `_` and `-` only, and other providers' calls, which stand in a
/// conversation that has failed over, have names like `functions.f:0`.
fn write_id(w: &mut JsonWriter, key: &str, id: &JsonStr<'_>) {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !id.is_empty() && id.escaped().chars().all(legal) {
        return string(w, key, id);
    }
    let name: String = id.decode().chars().map(|c| if legal(c) { c } else { '_' }).collect();
    w.field(key, if name.is_empty() { "_" } else { &name });
}

fn write_result(w: &mut JsonWriter, parts: &[Part<'_>]) {
    match parts {
        // A function that returns nothing; the field may be left out.
        [] => {}
        [Part { body: Body::Text(text), cache_control: None, .. }] => string(w, "content", text),
        parts => {
            w.key("content");
            w.open('[');
            parts.iter().for_each(|part| write_part(w, part));
            w.close(']');
        }
    }
}

fn write_source(w: &mut JsonWriter, source: &Source<'_>) {
    w.key("source");
    w.open('{');
    match source {
        Source::Base64 { media_type, data } => {
            w.field("type", "base64");
            w.field("media_type", media_type);
            w.field("data", data);
        }
        Source::Url(url) => {
            w.field("type", "url");
            string(w, "url", url);
        }
    }
    w.close('}');
}

/// Writes the arguments of a call as an object, whatever they are.
pub(in crate::translate::provider) fn write_arguments(
    w: &mut JsonWriter,
    arguments: &Arguments<'_>,
) {
    let decoded;
    let text = match arguments {
        Arguments::Json(json) => json.get(),
        Arguments::Text(text) => {
            decoded = text.decode();
            decoded.trim()
        }
    };
    let is_object = serde_json::from_str::<&RawValue>(text).is_ok() && text.starts_with('{');
    if is_object {
        w.raw(text);
    } else if text.is_empty() {
        w.raw("{}");
    } else {
        w.open('{');
        w.key(INVALID_JSON);
        w.text(text);
        w.close('}');
    }
}

fn write_tools(w: &mut JsonWriter, request: &Request<'_>) {
    if request.tools.is_empty() {
        return;
    }
    w.key("tools");
    w.open('[');
    request.tools.iter().for_each(|tool| write_tool(w, tool));
    w.close(']');
    let kind = match request.tool_choice {
        None | Some(ToolChoice::Auto) => "auto",
        Some(ToolChoice::None) => "none",
        Some(ToolChoice::Required) => "any",
        Some(ToolChoice::Named(_)) => "tool",
    };
    let single = request.parallel_tool_calls == Some(false) && kind != "none";
    if request.tool_choice.is_none() && !single {
        return;
    }
    w.key("tool_choice");
    w.open('{');
    w.field("type", kind);
    if let Some(ToolChoice::Named(name)) = &request.tool_choice {
        string(w, "name", name);
    }
    if single {
        w.key("disable_parallel_tool_use");
        w.raw("true");
    }
    w.close('}');
}

fn write_tool(w: &mut JsonWriter, tool: &Tool<'_>) {
    w.open('{');
    string(w, "name", &tool.name);
    if let Some(description) = &tool.description {
        string(w, "description", description);
    }
    w.key("input_schema");
    w.raw(&tool.object_schema());
    if let Some(strict) = tool.strict {
        w.key("strict");
        w.value(strict);
    }
    if let Some(mark) = tool.cache_control {
        w.key("cache_control");
        w.raw(mark.get());
    }
    w.close('}');
}

fn write_sampling(w: &mut JsonWriter, request: &mut Request<'_>, thinking: bool) {
    if let Some(temperature) = request.temperature {
        // It goes up to 1 only, and must be left alone where the model thinks.
        if thinking || !(0.0..=1.0).contains(&temperature) {
            request.unsupported.push(Field::Temperature);
        }
        if !thinking {
            w.key("temperature");
            w.value(temperature.clamp(0.0, 1.0));
        }
    }
    if let Some(top_p) = request.top_p {
        if thinking && top_p < 0.95 {
            request.unsupported.push(Field::TopP);
        } else {
            w.key("top_p");
            w.value(top_p);
        }
    }
    match request.top_k {
        Some(_) if thinking => request.unsupported.push(Field::TopK),
        Some(top_k) => {
            w.key("top_k");
            w.value(top_k);
        }
        None => {}
    }
    // White space alone is refused.
    let stops: Vec<_> =
        request.stop.iter().filter(|stop| !stop.decode().trim().is_empty()).collect();
    if stops.len() < request.stop.len() {
        request.unsupported.push(Field::Stop);
    }
    if !stops.is_empty() {
        w.key("stop_sequences");
        w.open('[');
        stops.iter().for_each(|stop| w.string(stop));
        w.close(']');
    }
}

fn string(w: &mut JsonWriter, key: &str, value: &JsonStr<'_>) {
    w.key(key);
    w.string(value);
}
