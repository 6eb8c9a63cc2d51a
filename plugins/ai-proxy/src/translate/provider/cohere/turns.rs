//! Writes the messages of a Chat request.

use shared::json::JsonStr;
use shared::write::JsonWriter;

use crate::translate::ir::{Arguments, Body, Part, Request, Role, Source, Turn, Unsupported};

/// Writes all messages.
pub(super) fn write_messages(w: &mut JsonWriter, request: &Request<'_>) -> Result<(), Unsupported> {
    if !request.system.is_empty() {
        w.open('{');
        w.field("role", "system");
        write_content(w, &request.system.iter().collect::<Vec<_>>())?;
        w.close('}');
    }
    request.turns.iter().try_for_each(|turn| write_turn(w, turn))
}

fn write_turn(w: &mut JsonWriter, turn: &Turn<'_>) -> Result<(), Unsupported> {
    match turn.role {
        Role::Assistant => write_assistant(w, &turn.parts),
        // What comes in the midst has been moved.
        Role::User | Role::System => write_user(w, &turn.parts),
    }
}

/// Results are messages of their own, which must follow the calls at once; what else the user says
/// comes after them, pictures among the results included, which a result has no place for.
fn write_user(w: &mut JsonWriter, parts: &[Part<'_>]) -> Result<(), Unsupported> {
    let mut said: Vec<&Part<'_>> = Vec::new();
    for part in parts {
        let Body::ToolResult { id, parts, is_error } = &part.body else {
            said.push(part);
            continue;
        };
        let (texts, others): (Vec<_>, Vec<_>) =
            parts.iter().partition(|part| matches!(part.body, Body::Text(_)));
        w.open('{');
        w.field("role", "tool");
        string(w, "tool_call_id", id);
        match (texts.as_slice(), is_error) {
            ([], true) => w.field("content", "error"),
            // Cohere takes a result for a JSON object.
            ([], false) => w.field("content", "{}"),
            (texts, _) => write_content(w, texts)?,
        }
        w.close('}');
        said.extend(others);
    }
    if !said.is_empty() {
        w.open('{');
        w.field("role", "user");
        write_content(w, &said)?;
        w.close('}');
    }
    Ok(())
}

fn write_assistant(w: &mut JsonWriter, parts: &[Part<'_>]) -> Result<(), Unsupported> {
    let said = |part: &&Part<'_>| matches!(part.body, Body::Text(_) | Body::Refusal(_));
    let texts: Vec<_> = parts.iter().filter(said).collect();
    let calls = || parts.iter().filter(|part| matches!(part.body, Body::ToolCall { .. }));
    let called = calls().next().is_some();
    // Thoughts alone say nothing to another provider.
    if texts.is_empty() && !called {
        return Ok(());
    }
    w.open('{');
    w.field("role", "assistant");
    if !called {
        write_content(w, &texts)?;
    } else if !texts.is_empty() {
        let texts = texts.iter().filter_map(|part| match &part.body {
            Body::Text(text) | Body::Refusal(text) => Some(text.escaped()),
            _ => None,
        });
        w.field("tool_plan", &texts.collect::<Vec<_>>().concat());
    }
    if called {
        w.key("tool_calls");
        w.open('[');
        calls().for_each(|call| write_call(w, &call.body));
        w.close(']');
    }
    w.close('}');
    Ok(())
}

fn write_call(w: &mut JsonWriter, call: &Body<'_>) {
    let Body::ToolCall { id, name, arguments } = call else { return };
    w.open('{');
    string(w, "id", id);
    w.field("type", "function");
    w.key("function");
    w.open('{');
    string(w, "name", name);
    w.key("arguments");
    match arguments {
        Arguments::Text(text) if text.is_empty() => w.escaped("{}"),
        Arguments::Text(text) => w.string(text),
        Arguments::Json(json) => w.text(json.get()),
    }
    w.raw_tail("}}");
}

fn write_content(w: &mut JsonWriter, parts: &[&Part<'_>]) -> Result<(), Unsupported> {
    w.key("content");
    if let [Part { body: Body::Text(text) | Body::Refusal(text), .. }] = parts {
        w.string(text);
        return Ok(());
    }
    w.open('[');
    parts.iter().try_for_each(|part| write_part(w, part))?;
    w.close(']');
    Ok(())
}

fn write_part(w: &mut JsonWriter, part: &Part<'_>) -> Result<(), Unsupported> {
    match &part.body {
        Body::Text(text) | Body::Refusal(text) => {
            w.open('{');
            w.field("type", "text");
            string(w, "text", text);
            w.close('}');
        }
        Body::Image(source) => {
            w.open('{');
            w.field("type", "image_url");
            w.key("image_url");
            w.open('{');
            w.key("url");
            match source {
                Source::Base64 { media_type, data } => {
                    w.escaped(&["data:", media_type, ";base64,", data].concat());
                }
                Source::Url(url) => w.string(url),
            }
            match &part.detail {
                // The nearest that there is here.
                Some(detail) if *detail == *"original" => w.field("detail", "high"),
                Some(detail) => string(w, "detail", detail),
                None => {}
            }
            w.raw_tail("}}");
        }
        Body::Document { .. } => return Err(Unsupported("documents that are not plain text")),
        Body::Audio(_) => return Err(Unsupported("audio")),
        Body::Video(_) => return Err(Unsupported("video")),
        // Each has its own place, or none with another provider.
        Body::ToolCall { .. }
        | Body::ToolResult { .. }
        | Body::Thinking { .. }
        | Body::RedactedThinking(_) => {}
    }
    Ok(())
}

pub(super) fn string(w: &mut JsonWriter, key: &str, value: &JsonStr<'_>) {
    w.key(key);
    w.string(value);
}
