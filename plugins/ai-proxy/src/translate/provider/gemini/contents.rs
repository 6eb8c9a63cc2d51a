//! Writes instructions and the conversation.

use serde_json::value::RawValue;
use shared::json::JsonStr;
use shared::write::JsonWriter;

use super::OWN_ID;
use super::model::{Family, NO_SIGNATURE};
use super::request::write_source;
use crate::translate::ir::{Arguments, Body, Part, Role, Source, Turn};
use crate::translate::signature::{self, Origin};

/// The key under which arguments that are no JSON object reach the model; `args` must be an object.
const INVALID_JSON: &str = "INVALID_JSON";

/// Writes `systemInstruction`.
pub(super) fn write_system(w: &mut JsonWriter, parts: &[Part<'_>]) {
    if parts.is_empty() {
        return;
    }
    w.key("systemInstruction");
    w.raw(r#"{"parts":["#);
    for part in parts {
        if let Body::Text(text) = &part.body {
            write_text(w, text, None);
        }
    }
    w.raw_tail("]}");
}

/// Whom the contents are for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// The model.
    pub(super) family: Family,
    /// Calls have ids; Vertex AI answers 400 to them.
    pub(super) ids: bool,
}

/// Writes `contents`.
pub(super) fn write_contents(w: &mut JsonWriter, turns: &[Turn<'_>], target: Target) {
    w.key("contents");
    w.open('[');
    let mut calls: Vec<Call<'_, '_>> = Vec::new();
    for turn in turns {
        match turn.role {
            Role::Assistant => {
                write_model(w, &turn.parts, target);
                calls.extend(turn.parts.iter().filter_map(|part| match &part.body {
                    Body::ToolCall { id, name, .. } => Some(Call { id, name }),
                    _ => None,
                }));
            }
            // What comes in the midst has been moved.
            Role::User | Role::System => write_user(w, &turn.parts, &calls, target),
        }
    }
    w.close(']');
}

/// A call that was made.
struct Call<'r, 'a> {
    id: &'r JsonStr<'a>,
    name: &'r JsonStr<'a>,
}

/// Results are a content of their own, as many as there were calls and in their order: models that do
/// not know ids go by it. What else the user says comes after them, pictures among the results
/// included where a result has no place for them.
fn write_user(w: &mut JsonWriter, parts: &[Part<'_>], calls: &[Call<'_, '_>], target: Target) {
    let (mut pictures, mut said): (Vec<&Body<'_>>, Vec<&Body<'_>>) = (Vec::new(), Vec::new());
    let mut results = Vec::new();
    for part in parts {
        let Body::ToolResult { id, parts, is_error } = &part.body else {
            said.push(&part.body);
            continue;
        };
        let call = calls.iter().rposition(|call| call.id.decode() == id.decode());
        results.push((call.unwrap_or(calls.len()), id, parts, *is_error));
    }
    if !results.is_empty() {
        shared::sort::by_key(&mut results, |(call, ..)| *call);
        open_content(w, "user");
        for (call, id, parts, is_error) in results {
            // The name is required, and clients give it with the call only.
            let name = calls.get(call).map_or(id, |call| call.name);
            write_result(w, id, name, parts, is_error, target, &mut pictures);
        }
        w.raw_tail("]}");
    }
    if !pictures.is_empty() || !said.is_empty() {
        open_content(w, "user");
        pictures.into_iter().chain(said).for_each(|body| write_body(w, body, None));
        w.raw_tail("]}");
    }
}

fn open_content(w: &mut JsonWriter, role: &str) {
    w.open('{');
    w.field("role", role);
    w.key("parts");
    w.open('[');
}

fn write_result<'r, 'a>(
    w: &mut JsonWriter,
    id: &JsonStr<'_>,
    name: &JsonStr<'_>,
    parts: &'r [Part<'a>],
    is_error: bool,
    target: Target,
    outside: &mut Vec<&'r Body<'a>>,
) {
    let mut text = String::new();
    let mut inside = Vec::new();
    for part in parts {
        match &part.body {
            Body::Text(piece) => {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&piece.decode());
            }
            Body::Image(source) | Body::Document { source, .. }
                if target.family.pictures_in_results() && fits_in_result(source) =>
            {
                inside.push(source);
            }
            other => outside.push(other),
        }
    }
    w.open('{');
    w.key("functionResponse");
    w.open('{');
    write_id(w, id, target);
    string(w, "name", name);
    w.key("response");
    match (object(&text), is_error) {
        (Some(object), false) => w.raw(object),
        (object, _) => {
            w.open('{');
            w.key(if is_error { "error" } else { "result" });
            match object {
                Some(object) => w.raw(object),
                None => w.text(&text),
            }
            w.close('}');
        }
    }
    if !inside.is_empty() {
        w.key("parts");
        w.open('[');
        inside.into_iter().for_each(|source| write_source(w, source));
        w.close(']');
    }
    w.raw_tail("}}");
}

/// What `functionResponse.parts` takes,
/// <https://ai.google.dev/gemini-api/docs/function-calling#multimodal>.
fn fits_in_result(source: &Source<'_>) -> bool {
    let kinds = ["image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"];
    matches!(source, Source::Base64 { media_type, .. } if kinds.contains(media_type))
}

/// A signature belongs to the call that follows it, or else to the text; one that nothing follows
/// comes with an empty text, just as Google sends it.
fn write_model(w: &mut JsonWriter, parts: &[Part<'_>], target: Target) {
    let empty = parts.iter().all(|part| match &part.body {
        Body::Thinking { .. } => signature_of(&part.body).is_none(),
        Body::RedactedThinking(_) => true,
        _ => false,
    });
    // Another model's thoughts alone say nothing to this one.
    if empty {
        return;
    }
    open_content(w, "model");
    let mut signature: Option<&str> = None;
    let mut called = false;
    for (at, part) in parts.iter().enumerate() {
        match &part.body {
            Body::Thinking { .. } => signature = signature_of(&part.body).or(signature),
            Body::RedactedThinking(_) => {}
            Body::ToolCall { id, name, arguments } => {
                // Of calls made at once, only the first is signed.
                let unsigned = (target.family.signs_calls() && !called).then_some(NO_SIGNATURE);
                called = true;
                let signature = signature.take().or(unsigned);
                write_call(w, id, name, arguments, signature, target);
            }
            body => {
                let rest = parts.get(at..).unwrap_or_default();
                let signature = if call_is_next(rest) { None } else { signature.take() };
                write_body(w, body, signature);
            }
        }
    }
    if let Some(signature) = signature {
        write_text(w, &JsonStr::encode(""), Some(signature));
    }
    w.raw_tail("]}");
}

/// Whether a call follows before another signature does.
fn call_is_next(parts: &[Part<'_>]) -> bool {
    parts
        .iter()
        .take_while(|part| signature_of(&part.body).is_none())
        .any(|part| matches!(part.body, Body::ToolCall { .. }))
}

/// Google's own signature of a thought.
fn signature_of<'p>(body: &'p Body<'_>) -> Option<&'p str> {
    match body {
        Body::Thinking { signature: Some(s), .. } => signature::of(Origin::Gemini, s),
        _ => None,
    }
}

fn write_call(
    w: &mut JsonWriter,
    id: &JsonStr<'_>,
    name: &JsonStr<'_>,
    arguments: &Arguments<'_>,
    signature: Option<&str>,
    target: Target,
) {
    w.open('{');
    w.key("functionCall");
    w.open('{');
    write_id(w, id, target);
    string(w, "name", name);
    w.key("args");
    write_arguments(w, arguments);
    w.close('}');
    write_signature(w, signature);
    w.close('}');
}

fn write_id(w: &mut JsonWriter, id: &JsonStr<'_>, target: Target) {
    if target.ids && !id.escaped().starts_with(OWN_ID) && !id.is_empty() {
        string(w, "id", id);
    }
}

fn write_arguments(w: &mut JsonWriter, arguments: &Arguments<'_>) {
    let decoded;
    let text = match arguments {
        Arguments::Json(json) => json.get(),
        Arguments::Text(text) => {
            decoded = text.decode();
            decoded.trim()
        }
    };
    match object(text) {
        Some(object) => w.raw(object),
        None if text.is_empty() => w.raw("{}"),
        None => {
            w.open('{');
            w.key(INVALID_JSON);
            w.text(text);
            w.close('}');
        }
    }
}

/// The text, if it is a JSON object.
fn object(text: &str) -> Option<&str> {
    let text = text.trim();
    (text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok()).then_some(text)
}

fn write_body(w: &mut JsonWriter, body: &Body<'_>, signature: Option<&str>) {
    match body {
        Body::Text(text) | Body::Refusal(text) => write_text(w, text, signature),
        Body::Image(source)
        | Body::Audio(source)
        | Body::Video(source)
        | Body::Document { source, .. } => write_source(w, source),
        // Each has its own place.
        Body::ToolCall { .. }
        | Body::ToolResult { .. }
        | Body::Thinking { .. }
        | Body::RedactedThinking(_) => {}
    }
}

fn write_text(w: &mut JsonWriter, text: &JsonStr<'_>, signature: Option<&str>) {
    w.open('{');
    string(w, "text", text);
    write_signature(w, signature);
    w.close('}');
}

fn write_signature(w: &mut JsonWriter, signature: Option<&str>) {
    if let Some(signature) = signature {
        w.field("thoughtSignature", signature);
    }
}

pub(super) fn string(w: &mut JsonWriter, key: &str, value: &JsonStr<'_>) {
    w.key(key);
    w.string(value);
}
