//! Writes a streamed answer as Chat Completions chunks.

use shared::json::JsonStr;
use shared::usage::Usage;
use shared::write::JsonWriter;

use super::finish_reason;
use super::response::{write_redacted, write_thought, write_usage};
use crate::translate::ir::Delta;

/// The chunks of one answer, each of which repeats its name and model.
#[derive(Debug)]
pub struct StreamWriter {
    /// What every chunk begins with, up to its choices.
    head: String,
    model: String,
    created: u64,
    include_usage: bool,
    started: bool,
    tools: u32,
}

impl StreamWriter {
    /// `created` in seconds since the Unix epoch, `model` where the provider names none.
    pub fn new(model: &str, created: u64, include_usage: bool) -> StreamWriter {
        let model = model.to_owned();
        let (head, started, tools) = (String::new(), false, 0);
        StreamWriter { head, model, created, include_usage, started, tools }
    }

    /// Turns a step into the data of events.
    pub fn write(&mut self, delta: &Delta<'_>, send: &mut dyn FnMut(&str)) {
        if let Delta::Start { id, model } = delta {
            return self.start(id.as_ref(), model.as_ref(), send);
        }
        if let Delta::Error { kind, message } = delta {
            return error(kind, message, send);
        }
        if !self.started {
            self.start(None, None, send);
        }
        match delta {
            Delta::Start { .. } | Delta::Error { .. } => {}
            Delta::Text(text) => self.delta(send, |w| string(w, "content", text)),
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
            Delta::Stop(reason) => self.chunk("{}", Some(finish_reason(*reason)), send),
            Delta::End(usage) => self.end(usage.as_ref(), send),
        }
    }

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
        w.string(id.unwrap_or(&JsonStr::encode("chatcmpl-gateway")));
        w.field("object", "chat.completion.chunk");
        w.key("created");
        w.value(self.created);
        w.key("model");
        w.string(model.unwrap_or(&JsonStr::encode(&self.model)));
        self.head = w.finish();
        self.chunk(r#"{"role":"assistant","content":""}"#, None, send);
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
        self.chunk(&w.finish(), None, send);
    }

    fn chunk(&self, delta: &str, finish: Option<&str>, send: &mut dyn FnMut(&str)) {
        let mut out = String::with_capacity(self.head.len() + delta.len() + 96);
        out.push_str(&self.head);
        out.push_str(r#","choices":[{"index":0,"delta":"#);
        out.push_str(delta);
        out.push_str(r#","logprobs":null,"finish_reason":"#);
        match finish {
            Some(reason) => {
                out.push('"');
                out.push_str(reason);
                out.push_str("\"}]");
            }
            None => out.push_str("null}]"),
        }
        // With usage asked for, every chunk but the last has it as null.
        out.push_str(if self.include_usage { r#","usage":null}"# } else { "}" });
        send(&out);
    }

    fn end(&self, usage: Option<&Usage>, send: &mut dyn FnMut(&str)) {
        if let Some(usage) = usage.filter(|_| self.include_usage) {
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
fn error(kind: &str, message: &str, send: &mut dyn FnMut(&str)) {
    let error = serde_json::json!({
        "error": { "message": message, "type": kind, "param": null, "code": null }
    });
    send(&error.to_string());
    send("[DONE]");
}
