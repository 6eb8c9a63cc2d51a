//! Writes a streamed answer as Anthropic's events,
//! <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.

use shared::errors::{ApiError, ErrorKind};
use shared::json::JsonStr;
use shared::protocol::Vendor;
use shared::usage::Usage;
use shared::write::JsonWriter;

use super::{new_id, stop_reason, write_usage};
use crate::translate::client::{self, Context, Send};
use crate::translate::ir::{Delta, StopReason};

/// A block of thought that has just begun.
const THINKING: &str = r#"{"type":"thinking","thinking":"","signature":""}"#;

/// The events of one answer.
#[derive(Debug)]
pub struct StreamWriter {
    context: Context,
    started: bool,
    open: Open,
    /// Index of the next block.
    next: u32,
    stop: Option<StopReason>,
}

/// The block that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    None,
    Text,
    Thinking,
    Tool,
}

impl StreamWriter {
    /// Nothing has been written.
    pub fn new(context: Context) -> StreamWriter {
        StreamWriter { context, started: false, open: Open::None, next: 0, stop: None }
    }
}

impl client::StreamWriter for StreamWriter {
    fn write(&mut self, delta: &Delta<'_>, send: Send<'_>) {
        match delta {
            Delta::Start { id, model } => return self.start(id.as_ref(), model.as_ref(), send),
            Delta::Error { kind, code, message } => return error(*kind, code, message, send),
            _ if !self.started => self.start(None, None, send),
            _ => {}
        }
        match delta {
            Delta::Start { .. } | Delta::Error { .. } => {}
            Delta::Logprobs(_) | Delta::Image(_) | Delta::Lost(_) => {}
            Delta::Text(text) | Delta::Refusal(text) => {
                self.enter(Open::Text, send, |w| w.raw(r#"{"type":"text","text":""}"#));
                self.delta("text_delta", "text", text, send);
            }
            Delta::Thinking(text) => {
                self.enter(Open::Thinking, send, |w| w.raw(THINKING));
                self.delta("thinking_delta", "thinking", text, send);
            }
            Delta::ThoughtEnd { signature, .. } => {
                self.enter(Open::Thinking, send, |w| w.raw(THINKING));
                self.delta("signature_delta", "signature", signature, send);
                self.leave(send);
            }
            Delta::RedactedThinking(data) => {
                self.leave(send);
                self.begin(Open::Tool, send, |w| {
                    w.raw(r#"{"type":"redacted_thinking","data":"#);
                    w.raw(data.quoted());
                    w.close('}');
                });
                self.leave(send);
            }
            Delta::ToolStart { id, name } => {
                self.leave(send);
                self.begin(Open::Tool, send, |w| {
                    w.raw(r#"{"type":"tool_use","id":"#);
                    w.raw(id.quoted());
                    w.key("name");
                    w.string(name);
                    w.key("input");
                    w.raw("{}}");
                });
            }
            Delta::ToolArguments(piece) => {
                if self.open == Open::Tool {
                    self.delta("input_json_delta", "partial_json", piece, send);
                }
            }
            Delta::Stop(reason) => {
                self.leave(send);
                self.stop = Some(*reason);
            }
            Delta::End(usage) => self.end(usage.unwrap_or_default(), send),
        }
    }
}

impl StreamWriter {
    fn start(&mut self, id: Option<&JsonStr<'_>>, model: Option<&JsonStr<'_>>, send: Send<'_>) {
        self.started = true;
        let mut w = JsonWriter::with_capacity(320);
        w.raw(r#"{"type":"message_start","message":{"id":"#);
        w.raw(id.unwrap_or(&new_id(&self.context)).quoted());
        w.field("type", "message");
        w.field("role", "assistant");
        w.key("model");
        w.string(model.unwrap_or(&JsonStr::encode(&self.context.model)));
        w.key("content");
        w.raw(r#"[],"stop_reason":null,"stop_sequence":null"#);
        // Other protocols tell the counts at the end; `message_delta` has them all.
        w.key("usage");
        write_usage(&mut w, &Usage::default());
        w.raw_tail("}}");
        send(Some("message_start"), &w.finish());
    }

    /// Goes on with a block of this kind, or begins one.
    fn enter(&mut self, kind: Open, send: Send<'_>, block: impl FnOnce(&mut JsonWriter)) {
        if self.open != kind {
            self.leave(send);
            self.begin(kind, send, block);
        }
    }

    fn begin(&mut self, kind: Open, send: Send<'_>, block: impl FnOnce(&mut JsonWriter)) {
        self.open = kind;
        let mut w = JsonWriter::with_capacity(160);
        w.open('{');
        w.field("type", "content_block_start");
        w.key("index");
        w.value(self.next);
        w.key("content_block");
        block(&mut w);
        w.close('}');
        send(Some("content_block_start"), &w.finish());
    }

    fn leave(&mut self, send: Send<'_>) {
        if self.open == Open::None {
            return;
        }
        self.open = Open::None;
        let index = self.next;
        self.next = self.next.saturating_add(1);
        let data = format!(r#"{{"type":"content_block_stop","index":{index}}}"#);
        send(Some("content_block_stop"), &data);
    }

    fn delta(&self, kind: &str, key: &str, text: &JsonStr<'_>, send: Send<'_>) {
        let mut w = JsonWriter::with_capacity(128);
        w.open('{');
        w.field("type", "content_block_delta");
        w.key("index");
        w.value(self.next);
        w.key("delta");
        w.open('{');
        w.field("type", kind);
        w.key(key);
        w.string(text);
        w.raw_tail("}}");
        send(Some("content_block_delta"), &w.finish());
    }

    fn end(&mut self, usage: Usage, send: Send<'_>) {
        self.leave(send);
        let mut w = JsonWriter::with_capacity(256);
        w.raw(r#"{"type":"message_delta","delta":{"stop_reason":"#);
        w.escaped(stop_reason(self.stop.unwrap_or(StopReason::End)));
        w.key("stop_sequence");
        w.raw("null");
        w.close('}');
        w.key("usage");
        write_usage(&mut w, &usage);
        w.close('}');
        send(Some("message_delta"), &w.finish());
        send(Some("message_stop"), r#"{"type":"message_stop"}"#);
    }
}

/// The last event: nothing follows an error.
fn error(kind: ErrorKind, code: &str, message: &str, send: Send<'_>) {
    let error = ApiError::new(kind, message).code(code);
    send(Some("error"), &error.body(Vendor::Anthropic));
}
