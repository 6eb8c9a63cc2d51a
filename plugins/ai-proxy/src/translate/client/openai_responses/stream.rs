//! Writes a streamed answer as the events of Responses,
//! <https://platform.openai.com/docs/api-reference/responses-streaming>.

mod close;
mod events;

use shared::errors::ErrorKind;
use shared::json::JsonStr;
use shared::protocol::Vendor;
use shared::usage::Usage;
use shared::write::JsonWriter;

use super::names::Names;
use super::object::{Head, Status, error_code};
use super::{items, seal};
use crate::translate::client::{self, Context, Send};
use crate::translate::ir::{Delta, Source, StopReason};

/// The most that is kept of an answer, in bytes (16 MiB), for the events that repeat it. What comes
/// after is streamed, but missing there, and the answer counts as incomplete.
const MAX_KEPT: usize = 16 << 20;

/// The events of one answer.
#[derive(Debug)]
pub struct StreamWriter {
    context: Context,
    names: Names,
    head: Option<Head>,
    /// Number of the next event.
    sequence: u64,
    /// The items that are over, as a list without its brackets.
    output: String,
    /// Place of the item that is open, or else of the next.
    index: u32,
    open: Open,
    kept: Kept,
    stop: Option<StopReason>,
    refused: bool,
    /// The last event was sent.
    over: bool,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    bytes: usize,
    /// Something was not.
    cut: bool,
}

impl Kept {
    fn add(&mut self, to: &mut String, piece: &str) {
        let bytes = self.bytes.saturating_add(piece.len());
        self.cut |= bytes > MAX_KEPT;
        if !self.cut {
            self.bytes = bytes;
            to.push_str(piece);
        }
    }
}

/// The item that is being written.
#[derive(Debug)]
enum Open {
    None,
    Message {
        id: String,
        /// The parts that are over, as a list without its brackets.
        content: String,
        /// Place of the part that is open.
        index: u32,
        refusal: bool,
        text: String,
        logprobs: String,
    },
    Thought {
        id: String,
        /// Some of it was told.
        shown: bool,
        text: String,
    },
    Call {
        id: String,
        call_id: String,
        /// The function, as the provider calls it.
        called: String,
        custom: bool,
        arguments: String,
    },
}

impl StreamWriter {
    /// Nothing has been written.
    pub fn new(context: Context) -> StreamWriter {
        StreamWriter {
            names: Names::new(&context),
            context,
            head: None,
            sequence: 0,
            output: String::new(),
            index: 0,
            open: Open::None,
            kept: Kept::default(),
            stop: None,
            refused: false,
            over: false,
        }
    }
}

impl client::StreamWriter for StreamWriter {
    fn write(&mut self, delta: &Delta<'_>, send: Send<'_>) {
        if self.over {
            return;
        }
        match delta {
            Delta::Start { id, model } => return self.start(id.as_ref(), model.as_ref(), send),
            _ if self.head.is_none() => self.start(None, None, send),
            _ => {}
        }
        match delta {
            Delta::Start { .. } => {}
            Delta::Text(text) => self.said(text, false, send),
            Delta::Refusal(text) => self.said(text, true, send),
            Delta::Logprobs(tokens) => {
                let mut list = String::new();
                items::logprobs(&mut list, tokens);
                self.logprobs(&list, send);
            }
            Delta::Image(Source::Base64 { data, .. }) => self.image(data, send),
            Delta::Image(Source::Url(_)) | Delta::Lost(_) => {}
            Delta::Thinking(text) => self.thinking(text.escaped(), send),
            Delta::ThoughtEnd { signature, .. } => {
                if !matches!(self.open, Open::Thought { .. }) {
                    self.begin_thought(send);
                }
                self.close("completed", Some(&seal::seal(signature)), send);
            }
            Delta::RedactedThinking(data) => {
                self.begin_thought(send);
                self.close("completed", Some(&seal::seal_redacted(data)), send);
            }
            Delta::ToolStart { id, name } => self.begin_call(id, name, send),
            Delta::ToolArguments(piece) => self.arguments(piece.escaped(), send),
            Delta::Stop(reason) => {
                self.stop = Some(*reason);
                self.close(self.status().of_item(), None, send);
            }
            Delta::Error { kind, code, message } => self.fail(*kind, code, message, send),
            Delta::End(usage) => self.end(usage.as_ref(), send),
        }
    }
}

impl StreamWriter {
    fn start(&mut self, id: Option<&JsonStr<'_>>, model: Option<&JsonStr<'_>>, send: Send<'_>) {
        self.head = Some(Head::new(id, model, &self.context));
        self.whole("response.created", Status::InProgress, None, send);
        self.whole("response.in_progress", Status::InProgress, None, send);
    }

    fn end(&mut self, usage: Option<&Usage>, send: Send<'_>) {
        let status = self.status();
        self.close(status.of_item(), None, send);
        let (kind, status) = match self.status() {
            Status::Completed if self.kept.cut => {
                ("response.incomplete", Status::Incomplete("max_output_tokens"))
            }
            Status::Completed => ("response.completed", Status::Completed),
            status => ("response.incomplete", status),
        };
        self.whole(kind, status, usage, send);
        self.over = true;
    }

    fn status(&self) -> Status<'static> {
        Status::of(self.stop.unwrap_or(StopReason::End), self.refused)
    }

    /// As OpenAI does: `error`, whose `error` member makes its SDKs raise, and then the failed answer,
    /// which is what others wait for (Codex).
    fn fail(&mut self, kind: ErrorKind, code: &str, message: &str, send: Send<'_>) {
        let name = kind.name(Vendor::OpenAi);
        let (quoted_code, quoted) = (JsonStr::encode(code), JsonStr::encode(message));
        self.event("error", send, |w| {
            let write = |w: &mut JsonWriter| {
                w.key("code");
                w.string(&quoted_code);
                w.key("message");
                w.string(&quoted);
                w.key("param");
                w.raw("null");
            };
            write(w);
            w.key("error");
            w.open('{');
            w.field("type", name);
            write(w);
            w.close('}');
        });
        let status = Status::Failed { code: error_code(kind, code), message };
        self.whole("response.failed", status, None, send);
        self.over = true;
    }

    fn said(&mut self, text: &JsonStr<'_>, refusal: bool, send: Send<'_>) {
        self.refused |= refusal;
        if !matches!(&self.open, Open::Message { refusal: open, .. } if *open == refusal) {
            self.begin_part(refusal, send);
        }
        if let Open::Message { text: all, .. } = &mut self.open {
            self.kept.add(all, text.escaped());
        }
        let kind = if refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        self.part_event(kind, send, |w| {
            w.field("delta", text.escaped());
            if !refusal {
                w.key("logprobs");
                w.raw("[]");
            }
        });
    }

    /// They come after their text, whose delta is gone: with one that adds nothing to it.
    fn logprobs(&mut self, list: &str, send: Send<'_>) {
        let Open::Message { refusal: false, logprobs, .. } = &mut self.open else { return };
        let comma = if logprobs.is_empty() { "" } else { "," };
        self.kept.add(logprobs, &[comma, list].concat());
        self.part_event("response.output_text.delta", send, |w| {
            w.field("delta", "");
            w.key("logprobs");
            w.open('[');
            w.raw_tail(list);
            w.close(']');
        });
    }

    /// Goes on with the open message, or begins one.
    fn begin_part(&mut self, refusal: bool, send: Send<'_>) {
        self.close_part(send);
        if let Open::Message { index, refusal: open, .. } = &mut self.open {
            *index = index.saturating_add(1);
            *open = refusal;
        } else {
            self.close("completed", None, send);
            let id = items::id("msg", self.index, &self.context);
            self.place_event("response.output_item.added", send, |w| {
                items::message(w, &id, "in_progress", "");
            });
            self.open = Open::Message {
                id,
                content: String::new(),
                index: 0,
                refusal,
                text: String::new(),
                logprobs: String::new(),
            };
        }
        self.part_event("response.content_part.added", send, |w| {
            w.key("part");
            items::part(w, refusal, "", "");
        });
    }

    fn begin_thought(&mut self, send: Send<'_>) {
        self.close("completed", None, send);
        let id = items::id("rs", self.index, &self.context);
        self.place_event("response.output_item.added", send, |w| {
            items::reasoning(w, &id, "", None);
        });
        self.open = Open::Thought { id, shown: false, text: String::new() };
    }

    fn thinking(&mut self, piece: &str, send: Send<'_>) {
        if piece.is_empty() {
            return;
        }
        if !matches!(self.open, Open::Thought { .. }) {
            self.begin_thought(send);
            self.summary_event("response.reasoning_summary_part.added", send, |w| {
                w.key("part");
                items::summary(w, "");
            });
        }
        if let Open::Thought { text, shown, .. } = &mut self.open {
            *shown = true;
            self.kept.add(text, piece);
        }
        self.summary_event("response.reasoning_summary_text.delta", send, |w| {
            w.field("delta", piece);
        });
    }

    fn begin_call(&mut self, call_id: &JsonStr<'_>, name: &JsonStr<'_>, send: Send<'_>) {
        self.close("completed", None, send);
        let called = name.decode().into_owned();
        let custom = self.names.of(&called).custom;
        let id = items::id(if custom { "ctc" } else { "fc" }, self.index, &self.context);
        let mut w = JsonWriter::with_capacity(160);
        let name = self.names.of(&called);
        let call = items::Call { id: &id, call_id: call_id.escaped(), name, arguments: "" };
        items::call(&mut w, "in_progress", &call);
        let item = w.finish();
        self.place_event("response.output_item.added", send, |w| w.raw(&item));
        let call_id = call_id.escaped().to_owned();
        self.open = Open::Call { id, call_id, called, custom, arguments: String::new() };
    }

    /// A custom tool's text is within the arguments and can be told when they are whole.
    fn arguments(&mut self, piece: &str, send: Send<'_>) {
        let Open::Call { custom, arguments, .. } = &mut self.open else { return };
        self.kept.add(arguments, piece);
        if *custom {
            if self.kept.cut {
                let message = "the text for the tool is too long for this gateway";
                self.fail(ErrorKind::BadGateway, "server_error", message, send);
            }
            return;
        }
        self.item_event("response.function_call_arguments.delta", send, |w| {
            w.field("delta", piece);
        });
    }
}
