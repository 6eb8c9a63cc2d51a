//! Writes a conversation as a list of items.

use std::borrow::Cow;

use shared::json::{JsonStr, parse};
use shared::write::JsonWriter;

use crate::translate::ir::{Arguments, Body, Part, Request, Role, Source, Turn};
use crate::translate::provider::openai_chat::write_breakpoint;
use crate::translate::signature::{self, Origin};

/// OpenAI's limit of `call_id`, in characters.
const MAX_CALL_ID: usize = 64;

shared::partial! {
    /// The argument of a custom tool that holds its text, see [`Tool::custom`](crate::translate::ir::Tool).
    struct CustomArguments<'a> {
        input: JsonStr<'a>,
    }
}

/// Which of the tools and calls take any text.
struct Custom<'r> {
    tools: Vec<Cow<'r, str>>,
    calls: Vec<&'r str>,
}

/// Writes the list.
pub(super) fn write(w: &mut JsonWriter, request: &Request<'_>) {
    let tools = request.tools.iter().filter(|tool| tool.custom);
    let mut custom =
        Custom { tools: tools.map(|tool| tool.name.decode()).collect(), calls: Vec::new() };
    w.open('[');
    // One text is `instructions`; several keep their cuts as a message.
    if request.system.len() > 1 || request.system.iter().any(|part| part.breakpoint.is_some()) {
        let parts: Vec<_> = request.system.iter().collect();
        write_message(w, "system", &parts);
    }
    request.turns.iter().for_each(|turn| write_turn(w, turn, &mut custom));
    w.close(']');
}

/// What stands next to each other in a message stays in one; calls, their outputs and thoughts are
/// items of their own.
fn write_turn<'r>(w: &mut JsonWriter, turn: &'r Turn<'_>, custom: &mut Custom<'r>) {
    let role = match turn.role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::System => "system",
    };
    let mut said: Vec<&Part<'_>> = Vec::new();
    for part in &turn.parts {
        let is_item = matches!(
            part.body,
            Body::ToolCall { .. }
                | Body::ToolResult { .. }
                | Body::Thinking { .. }
                | Body::RedactedThinking(_)
        );
        if is_item {
            write_message(w, role, &std::mem::take(&mut said));
            write_item(w, &part.body, custom);
        } else if turn.role == Role::User || matches!(part.body, Body::Text(_) | Body::Refusal(_)) {
            said.push(part);
        }
    }
    write_message(w, role, &said);
}

fn write_message(w: &mut JsonWriter, role: &str, parts: &[&Part<'_>]) {
    if parts.is_empty() {
        return;
    }
    w.open('{');
    w.field("type", "message");
    w.field("role", role);
    w.key("content");
    match parts {
        [Part { body: Body::Text(text), breakpoint: None, .. }] => w.string(text),
        parts => {
            let text = if role == "assistant" { "output_text" } else { "input_text" };
            write_parts(w, parts.iter().copied(), text);
        }
    }
    w.close('}');
}

fn write_parts<'r>(w: &mut JsonWriter, parts: impl Iterator<Item = &'r Part<'r>>, text_type: &str) {
    w.open('[');
    parts.for_each(|part| write_part(w, part, text_type));
    w.close(']');
}

fn write_part(w: &mut JsonWriter, part: &Part<'_>, text_type: &str) {
    match &part.body {
        Body::Text(text) => {
            w.open('{');
            w.field("type", text_type);
            string(w, "text", text);
            if text_type == "input_text" {
                write_breakpoint(w, part);
            }
            w.close('}');
        }
        Body::Refusal(text) => {
            w.open('{');
            w.field("type", "refusal");
            string(w, "refusal", text);
            w.close('}');
        }
        Body::Image(source) => {
            w.open('{');
            w.field("type", "input_image");
            w.key("image_url");
            write_url(w, source);
            if let Some(detail) = &part.detail {
                string(w, "detail", detail);
            }
            write_breakpoint(w, part);
            w.close('}');
        }
        Body::Document { source, title } => {
            w.open('{');
            w.field("type", "input_file");
            match (source, title) {
                // A file on the web has its own name.
                (Source::Url(url), _) => string(w, "file_url", url),
                (Source::Base64 { .. }, title) => {
                    match title {
                        Some(title) => string(w, "filename", title),
                        None => w.field("filename", "document.pdf"),
                    }
                    w.key("file_data");
                    write_url(w, source);
                }
            }
            write_breakpoint(w, part);
            w.close('}');
        }
        // Each has its own place, or none with this provider.
        Body::Audio(_)
        | Body::Video(_)
        | Body::ToolCall { .. }
        | Body::ToolResult { .. }
        | Body::Thinking { .. }
        | Body::RedactedThinking(_) => {}
    }
}

fn write_url(w: &mut JsonWriter, source: &Source<'_>) {
    match source {
        Source::Base64 { media_type, data } => {
            w.escaped(&["data:", media_type, ";base64,", data].concat());
        }
        Source::Url(url) => w.string(url),
    }
}

fn write_item<'r>(w: &mut JsonWriter, body: &'r Body<'_>, custom: &mut Custom<'r>) {
    match body {
        Body::ToolCall { id, name, arguments } => {
            let input = custom_input(name, arguments, custom);
            w.open('{');
            w.field("type", if input.is_some() { "custom_tool_call" } else { "function_call" });
            write_call_id(w, id);
            string(w, "name", name);
            match (&input, arguments) {
                (Some(input), _) => {
                    custom.calls.push(id.escaped());
                    string(w, "input", input);
                }
                (None, Arguments::Text(text)) if text.is_empty() => w.field("arguments", "{}"),
                (None, Arguments::Text(text)) => string(w, "arguments", text),
                (None, Arguments::Json(json)) => {
                    w.key("arguments");
                    w.text(json.get());
                }
            }
            w.close('}');
        }
        Body::ToolResult { id, parts, is_error } => {
            let custom = custom.calls.contains(&id.escaped());
            w.open('{');
            let kind = if custom { "custom_tool_call_output" } else { "function_call_output" };
            w.field("type", kind);
            write_call_id(w, id);
            w.key("output");
            match (parts.as_slice(), is_error) {
                ([], true) => w.escaped("error"),
                ([], false) => w.escaped(""),
                ([Part { body: Body::Text(text), breakpoint: None, .. }], _) => w.string(text),
                (parts, _) => write_parts(w, parts.iter(), "input_text"),
            }
            w.close('}');
        }
        Body::Thinking { text, signature: Some(signature) } => {
            write_thought(w, text, signature);
        }
        // Without OpenAI's own proof a thought is refused.
        _ => {}
    }
}

/// The text of a call of a custom tool.
fn custom_input<'c>(
    name: &JsonStr<'_>,
    arguments: &'c Arguments<'_>,
    custom: &Custom<'_>,
) -> Option<JsonStr<'c>> {
    if !custom.tools.contains(&name.decode()) {
        return None;
    }
    let input = match arguments {
        Arguments::Json(json) => {
            parse::<CustomArguments<'c>>(json.get()).ok().and_then(|c| c.input)
        }
        Arguments::Text(text) => {
            let decoded = text.decode();
            let input = parse::<CustomArguments<'_>>(&decoded).ok().and_then(|c| c.input);
            input.and_then(|input| JsonStr::from_escaped(input.escaped()))
        }
    };
    input.or(match arguments {
        Arguments::Json(json) => Some(JsonStr::encode(json.get())),
        Arguments::Text(text) => JsonStr::from_escaped(text.escaped()),
    })
}

fn write_thought(w: &mut JsonWriter, text: &JsonStr<'_>, signature: &JsonStr<'_>) {
    let Some((id, content)) =
        signature::of(Origin::OpenAi, signature).and_then(|signature| signature.split_once('#'))
    else {
        return;
    };
    w.open('{');
    w.field("type", "reasoning");
    if !id.is_empty() {
        w.field("id", id);
    }
    w.key("summary");
    w.open('[');
    if !text.is_empty() {
        w.open('{');
        w.field("type", "summary_text");
        string(w, "text", text);
        w.close('}');
    }
    w.close(']');
    w.field("encrypted_content", content);
    w.close('}');
}

/// Other providers' names of calls, which stand in a conversation that has failed over, can be longer
/// than OpenAI takes. A cut one ends with a hash of the whole, so that a call and its output still
/// have the same.
fn write_call_id(w: &mut JsonWriter, id: &JsonStr<'_>) {
    let name = id.decode();
    if name.chars().count() <= MAX_CALL_ID {
        return string(w, "call_id", id);
    }
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let head: String = name.chars().take(MAX_CALL_ID - 17).collect();
    w.key("call_id");
    w.text(&format!("{head}_{hash:016x}"));
}

fn string(w: &mut JsonWriter, key: &str, value: &JsonStr<'_>) {
    w.key(key);
    w.string(value);
}
