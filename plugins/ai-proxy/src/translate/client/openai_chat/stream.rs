//! Writes a streamed answer as Chat Completions chunks.

use shared::errors::{ApiError, ErrorKind};
use shared::json::JsonStr;
use shared::protocol::Vendor;
use shared::usage::Usage;
use shared::write::JsonWriter;

use super::response::{write_image, write_logprobs, write_redacted, write_thought, write_usage};
use super::{finish_reason, new_id};
use crate::translate::client::{self, Context, Send};
use crate::translate::ir::Delta;

/// The chunks of one answer, each of which repeats its name and model.
#[derive(Debug)]
pub struct StreamWriter {
    /// What every chunk begins with, up to its choices.
    head: String,
    context: Context,
    started: bool,
    tools: u32,
}

impl StreamWriter {
    /// Nothing has been written.
    pub fn new(context: Context) -> StreamWriter {
        StreamWriter { head: String::new(), context, started: false, tools: 0 }
    }
}

impl client::StreamWriter for StreamWriter {
    fn write(&mut self, delta: &Delta<'_>, send: Send<'_>) {
        let send: &mut dyn FnMut(&str) = &mut |data| send(None, data);
        if let Delta::Start { id, model } = delta {
            return self.start(id.as_ref(), model.as_ref(), send);
        }
        if let Delta::Error { kind, code, message } = delta {
            return error(*kind, code, message, send);
        }
        if !self.started {
            self.start(None, None, send);
        }
        match delta {
            Delta::Start { .. } | Delta::Error { .. } => {}
            Delta::Text(text) => self.delta(send, |w| string(w, "content", text)),
            Delta::Refusal(text) => self.delta(send, |w| string(w, "refusal", text)),
            Delta::Logprobs(logprobs) => {
                let mut w = JsonWriter::with_capacity(256);
                write_logprobs(&mut w, logprobs);
                self.chunk("{}", &w.finish(), None, send);
            }
            Delta::Image(source) => self.delta(send, |w| {
                w.key("images");
                w.open('[');
                write_image(w, source);
                w.close(']');
            }),
            Delta::Thinking(text) => self.delta(send, |w| string(w, "reasoning_content", text)),
            Delta::ThoughtEnd { text, signature } => {
                self.thought(send, |w| write_thought(w, text, signature));
            }
            Delta::RedactedThinking(data) => self.thought(send, |w| write_redacted(w, data)),
            Delta::ToolStart { id, name } => self.tool(id, name, send),
            Delta::ToolArguments(piece) => {
                let index = self.tools.saturating_sub(1);
                self.delta(send, |w| {
                    w.key("tool_calls");
                    w.raw("[{\"index\":");
                    w.value(index);
                    w.key("function");
                    w.open('{');
                    string(w, "arguments", piece);
                    w.raw_tail("}}]");
                });
            }
            Delta::Lost(_) => {}
            Delta::Stop(reason) => {
                self.chunk("{}", "null", Some(finish_reason(*reason)), send);
            }
            Delta::End(usage) => self.end(usage.as_ref(), send),
        }
    }
}

impl StreamWriter {
    fn start(
        &mut self,
        id: Option<&JsonStr<'_>>,
        model: Option<&JsonStr<'_>>,
        send: &mut dyn FnMut(&str),
    ) {
        self.started = true;
        let mut w = JsonWriter::with_capacity(160);
        w.open('{');
        w.key("id");
        w.string(id.unwrap_or(&new_id(&self.context)));
        w.field("object", "chat.completion.chunk");
        w.key("created");
        w.value(self.context.created);
        w.key("model");
        w.string(model.unwrap_or(&JsonStr::encode(&self.context.model)));
        self.head = w.finish();
        // Whether a text comes is not known yet: what OpenAI has here for calls alone is no text either.
        self.chunk(r#"{"role":"assistant"}"#, "null", None, send);
    }

    fn tool(&mut self, id: &JsonStr<'_>, name: &JsonStr<'_>, send: &mut dyn FnMut(&str)) {
        let index = self.tools;
        self.tools = self.tools.saturating_add(1);
        self.delta(send, |w| {
            w.key("tool_calls");
            w.raw("[{\"index\":");
            w.value(index);
            string(w, "id", id);
            w.field("type", "function");
            w.key("function");
            w.open('{');
            string(w, "name", name);
            w.field("arguments", "");
            w.raw_tail("}}]");
        });
    }

    fn thought(&self, send: &mut dyn FnMut(&str), write: impl FnOnce(&mut JsonWriter)) {
        self.delta(send, |w| {
            w.key("thinking_blocks");
            w.open('[');
            write(w);
            w.close(']');
        });
    }

    fn delta(&self, send: &mut dyn FnMut(&str), write: impl FnOnce(&mut JsonWriter)) {
        let mut w = JsonWriter::with_capacity(128);
        w.open('{');
        write(&mut w);
        w.close('}');
        self.chunk(&w.finish(), "null", None, send);
    }

    fn chunk(&self, delta: &str, logprobs: &str, finish: Option<&str>, send: &mut dyn FnMut(&str)) {
        let length = self.head.len() + delta.len() + logprobs.len() + 96;
        let mut out = String::with_capacity(length);
        out.push_str(&self.head);
        out.push_str(r#","choices":[{"index":0,"delta":"#);
        out.push_str(delta);
        out.push_str(r#","logprobs":"#);
        out.push_str(logprobs);
        out.push_str(r#","finish_reason":"#);
        match finish {
            Some(reason) => {
                out.push('"');
                out.push_str(reason);
                out.push_str("\"}]");
            }
            None => out.push_str("null}]"),
        }
        // With usage asked for, every chunk but the last has it as null.
        out.push_str(if self.context.include_usage { r#","usage":null}"# } else { "}" });
        send(&out);
    }

    fn end(&self, usage: Option<&Usage>, send: &mut dyn FnMut(&str)) {
        if let Some(usage) = usage.filter(|_| self.context.include_usage) {
            let mut w = JsonWriter::with_capacity(160);
            write_usage(&mut w, usage);
            send(&format!(r#"{},"choices":[],"usage":{}}}"#, self.head, w.finish()));
        }
        send("[DONE]");
    }
}

fn string(w: &mut JsonWriter, key: &str, value: &JsonStr<'_>) {
    w.key(key);
    w.string(value);
}

/// The form in which OpenAI's SDKs find an error in a stream; nothing follows it but the end.
fn error(kind: ErrorKind, code: &str, message: &str, send: &mut dyn FnMut(&str)) {
    send(&ApiError::new(kind, message).code(code).body(Vendor::OpenAi));
    send("[DONE]");
}
