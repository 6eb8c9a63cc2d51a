//! Writes a whole answer as a Message object.

use serde_json::value::RawValue;
use shared::json::JsonStr;
use shared::write::JsonWriter;

use super::{new_id, stop_reason, write_usage};
use crate::translate::client::Context;
use crate::translate::ir::{Arguments, Body, Choice, Response, StopReason};

/// Writes the answer, the first if there are several.
pub fn write(response: &Response<'_>, context: &Context) -> String {
    let choice = response.choices.first();
    let mut w = JsonWriter::with_capacity(1024);
    w.open('{');
    w.key("id");
    w.string(response.id.as_ref().unwrap_or(&new_id(context)));
    w.field("type", "message");
    w.field("role", "assistant");
    w.key("model");
    w.string(response.model.as_ref().unwrap_or(&JsonStr::encode(&context.model)));
    w.key("content");
    w.open('[');
    let parts = choice.map(|choice| choice.parts.as_slice()).unwrap_or_default();
    parts.iter().for_each(|part| write_block(&mut w, &part.body));
    w.close(']');
    w.field("stop_reason", stop_reason(stop(choice)));
    w.key("stop_sequence");
    w.raw("null");
    w.key("usage");
    write_usage(&mut w, &response.usage.unwrap_or_default());
    w.close('}');
    w.finish()
}

/// An answer that is not there was blocked.
fn stop(choice: Option<&Choice<'_>>) -> StopReason {
    choice.map_or(StopReason::Filter, |choice| choice.stop.unwrap_or(StopReason::End))
}

fn write_block(w: &mut JsonWriter, body: &Body<'_>) {
    match body {
        Body::Text(text) | Body::Refusal(text) => {
            w.open('{');
            w.field("type", "text");
            w.key("text");
            w.string(text);
            w.close('}');
        }
        Body::Thinking { text, signature } => {
            w.open('{');
            w.field("type", "thinking");
            w.key("thinking");
            w.string(text);
            w.key("signature");
            match signature {
                Some(signature) => w.string(signature),
                // Clients demand the field. Without a signature the thought is left out when it comes
                // back.
                None => w.escaped(""),
            }
            w.close('}');
        }
        Body::RedactedThinking(data) => {
            w.open('{');
            w.field("type", "redacted_thinking");
            w.key("data");
            w.string(data);
            w.close('}');
        }
        Body::ToolCall { id, name, arguments } => {
            w.open('{');
            w.field("type", "tool_use");
            w.key("id");
            w.string(id);
            w.key("name");
            w.string(name);
            w.key("input");
            write_input(w, arguments);
            w.close('}');
        }
        // Providers do not say these.
        Body::Image(_)
        | Body::Audio(_)
        | Body::Video(_)
        | Body::Document { .. }
        | Body::ToolResult { .. } => {}
    }
}

/// `input` must be an object; what is none is shown as it is.
fn write_input(w: &mut JsonWriter, arguments: &Arguments<'_>) {
    let decoded;
    let text = match arguments {
        Arguments::Json(json) => json.get(),
        Arguments::Text(text) => {
            decoded = text.decode();
            decoded.trim()
        }
    };
    if text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok() {
        w.raw(text);
    } else if text.is_empty() {
        w.raw("{}");
    } else {
        w.open('{');
        w.key("INVALID_JSON");
        w.text(text);
        w.close('}');
    }
}
