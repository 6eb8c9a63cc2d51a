//! Writes the items of an answer.

use serde_json::value::RawValue;
use shared::json::{JsonStr, parse};
use shared::write::JsonWriter;

use super::names::Name;
use crate::translate::client::Context;
use crate::translate::ir::Logprob;

/// The name of the item at this place, between quotes. `prefix` says what it is: `msg`, `fc` ...
pub(super) fn id(prefix: &str, index: u32, context: &Context) -> String {
    format!("{prefix}_{:016x}{index:04x}", context.id)
}

/// A message. `content` is a list of parts without its brackets.
pub(super) fn message(w: &mut JsonWriter, id: &str, status: &str, content: &str) {
    w.open('{');
    w.field("id", id);
    w.field("type", "message");
    w.field("status", status);
    w.field("role", "assistant");
    w.key("content");
    w.open('[');
    w.raw_tail(content);
    w.close(']');
    w.close('}');
}

/// A part of a message: a text or, in its place, a refusal, between quotes.
pub(super) fn part(w: &mut JsonWriter, refusal: bool, text: &str, logprobs: &str) {
    w.open('{');
    if refusal {
        w.field("type", "refusal");
        w.field("refusal", text);
    } else {
        w.field("type", "output_text");
        w.field("text", text);
        w.key("annotations");
        w.raw("[]");
        w.key("logprobs");
        w.open('[');
        w.raw_tail(logprobs);
        w.close(']');
    }
    w.close('}');
}

/// A thought: its text between quotes, and what the client is to send back.
pub(super) fn reasoning(w: &mut JsonWriter, id: &str, text: &str, sealed: Option<&str>) {
    w.open('{');
    w.field("id", id);
    w.field("type", "reasoning");
    w.key("summary");
    w.open('[');
    if !text.is_empty() {
        summary(w, text);
    }
    w.close(']');
    if let Some(sealed) = sealed {
        w.field("encrypted_content", sealed);
    }
    w.close('}');
}

/// The part of a thought's summary.
pub(super) fn summary(w: &mut JsonWriter, text: &str) {
    w.open('{');
    w.field("type", "summary_text");
    w.field("text", text);
    w.close('}');
}

/// A call of a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'c> {
    /// The item's name, between quotes.
    pub(super) id: &'c str,
    /// The call's name, between quotes.
    pub(super) call_id: &'c str,
    /// The function.
    pub(super) name: Name<'c>,
    /// The arguments; what a custom tool takes: its text. Between quotes.
    pub(super) arguments: &'c str,
}

/// Writes the call.
pub(super) fn call(w: &mut JsonWriter, status: &str, call: &Call<'_>) {
    let Call { id, call_id, name, arguments } = *call;
    w.open('{');
    w.field("id", id);
    w.field("type", if name.custom { "custom_tool_call" } else { "function_call" });
    w.field("status", status);
    w.field(if name.custom { "input" } else { "arguments" }, arguments);
    w.field("call_id", call_id);
    w.key("name");
    w.text(name.name);
    if let Some(namespace) = name.namespace {
        w.key("namespace");
        w.text(namespace);
    }
    w.close('}');
}

/// A picture, as Base64.
pub(super) fn image(w: &mut JsonWriter, id: &str, status: &str, data: Option<&str>) {
    w.open('{');
    w.field("id", id);
    w.field("type", "image_generation_call");
    w.field("status", status);
    match data {
        Some(data) => w.field("result", data),
        None => {
            w.key("result");
            w.raw("null");
        }
    }
    w.close('}');
}

/// Adds to a list that has no brackets.
pub(super) fn logprobs(list: &mut String, tokens: &[Logprob<'_>]) {
    for Logprob { token, logprob, top } in tokens {
        let mut w = JsonWriter::with_capacity(96);
        open_logprob(&mut w, token, *logprob);
        w.key("top_logprobs");
        w.open('[');
        for (token, logprob) in top {
            open_logprob(&mut w, token, *logprob);
            w.close('}');
        }
        w.raw_tail("]}");
        add(list, &w.finish());
    }
}

/// All but the closing brace.
fn open_logprob(w: &mut JsonWriter, token: &JsonStr<'_>, logprob: f64) {
    w.open('{');
    w.key("token");
    w.string(token);
    w.key("logprob");
    w.value(logprob);
    w.key("bytes");
    w.open('[');
    token.decode().bytes().for_each(|byte| w.value(byte));
    w.close(']');
}

/// Adds to a list that has no brackets.
pub(super) fn add(list: &mut String, element: &str) {
    if !list.is_empty() && !element.is_empty() {
        list.push(',');
    }
    list.push_str(element);
}

shared::partial! {
    /// The arguments of a function that takes any text.
    struct Custom<'a> {
        input: &'a RawValue,
    }
}

/// The text for a custom tool, between quotes; `arguments` is the JSON document that another model
/// made. Where it made none, all of it is the text.
pub(super) fn custom_input(arguments: &str) -> String {
    if let Ok(Custom { input: Some(input) }) = parse(arguments) {
        if let Some(text) = input.get().strip_prefix('"').and_then(|s| s.strip_suffix('"')) {
            return text.to_owned();
        }
        return JsonStr::encode(input.get()).escaped().to_owned();
    }
    JsonStr::encode(arguments).escaped().to_owned()
}
