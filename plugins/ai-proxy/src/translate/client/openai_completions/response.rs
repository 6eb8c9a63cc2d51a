//! Writes an answer, whole or streamed. What a model thinks or calls has no place in it.

use shared::errors::{ApiError, ErrorKind};
use shared::json::JsonStr;
use shared::protocol::Vendor;
use shared::write::JsonWriter;

use crate::translate::client::openai_chat::{finish_reason, write_usage};
use crate::translate::client::{self, Context, Send};
use crate::translate::ir::{Body, Choice, Delta, Response, StopReason};

/// Writes the answer.
pub fn write(response: &Response<'_>, context: &Context) -> String {
    let mut w = JsonWriter::with_capacity(512);
    write_head(&mut w, response.id.as_ref(), response.model.as_ref(), context);
    w.key("choices");
    w.open('[');
    let blocked = [Choice { stop: Some(StopReason::Filter), ..Choice::default() }];
    let choices = match response.choices.as_slice() {
        [] => blocked.as_slice(),
        choices => choices,
    };
    for (index, choice) in choices.iter().enumerate() {
        let mut text = String::new();
        for part in &choice.parts {
            if let Body::Text(said) | Body::Refusal(said) = &part.body {
                text.push_str(said.escaped());
            }
        }
        let stop = finish_reason(choice.stop.unwrap_or(StopReason::End));
        write_choice(&mut w, index, &text, Some(stop));
    }
    w.close(']');
    if let Some(usage) = &response.usage {
        w.key("usage");
        write_usage(&mut w, usage);
    }
    w.close('}');
    w.finish()
}

/// All but the choices.
fn write_head(
    w: &mut JsonWriter,
    id: Option<&JsonStr<'_>>,
    model: Option<&JsonStr<'_>>,
    context: &Context,
) {
    w.open('{');
    w.key("id");
    match id {
        Some(id) => w.string(id),
        None => w.escaped(&format!("cmpl-{:016x}", context.id)),
    }
    w.field("object", "text_completion");
    w.key("created");
    w.value(context.created);
    w.key("model");
    w.string(model.unwrap_or(&JsonStr::encode(&context.model)));
}

/// `text` as it stands between the quotes of a JSON string.
fn write_choice(w: &mut JsonWriter, index: usize, text: &str, stop: Option<&str>) {
    w.open('{');
    w.key("text");
    w.escaped(text);
    w.key("index");
    w.value(index);
    w.key("logprobs");
    w.raw("null");
    w.key("finish_reason");
    match stop {
        Some(stop) => w.escaped(stop),
        None => w.raw("null"),
    }
    w.close('}');
}

/// The chunks of one answer.
#[derive(Debug)]
pub struct StreamWriter {
    /// What every chunk begins with, up to its choices.
    head: String,
    context: Context,
}

impl StreamWriter {
    /// Nothing has been written.
    pub fn new(context: Context) -> StreamWriter {
        let mut w = JsonWriter::with_capacity(128);
        write_head(&mut w, None, None, &context);
        StreamWriter { head: w.finish(), context }
    }

    fn chunk(&self, text: &str, stop: Option<&str>, send: Send<'_>) {
        let mut w = JsonWriter::with_capacity(self.head.len() + text.len() + 96);
        w.raw(&self.head);
        w.key("choices");
        w.open('[');
        write_choice(&mut w, 0, text, stop);
        w.close(']');
        w.close('}');
        send(None, &w.finish());
    }
}

impl client::StreamWriter for StreamWriter {
    fn write(&mut self, delta: &Delta<'_>, send: Send<'_>) {
        match delta {
            Delta::Start { id, model } => {
                let mut w = JsonWriter::with_capacity(128);
                write_head(&mut w, id.as_ref(), model.as_ref(), &self.context);
                self.head = w.finish();
            }
            Delta::Text(text) | Delta::Refusal(text) => self.chunk(text.escaped(), None, send),
            Delta::Stop(reason) => self.chunk("", Some(finish_reason(*reason)), send),
            Delta::Error { kind, code, message } => error(*kind, code, message, send),
            Delta::End(usage) => {
                if let Some(usage) = usage.filter(|_| self.context.include_usage) {
                    let mut w = JsonWriter::with_capacity(256);
                    w.raw(&self.head);
                    w.key("choices");
                    w.raw("[]");
                    w.key("usage");
                    write_usage(&mut w, &usage);
                    w.close('}');
                    send(None, &w.finish());
                }
                send(None, "[DONE]");
            }
            Delta::Lost(_)
            | Delta::Logprobs(_)
            | Delta::Image(_)
            | Delta::Thinking(_)
            | Delta::ThoughtEnd { .. }
            | Delta::RedactedThinking(_)
            | Delta::ToolStart { .. }
            | Delta::ToolArguments(_) => {}
        }
    }
}

fn error(kind: ErrorKind, code: &str, message: &str, send: Send<'_>) {
    send(None, &ApiError::new(kind, message).code(code).body(Vendor::OpenAi));
    send(None, "[DONE]");
}
