//! Writes a streamed answer: each event is an answer of its own that goes on where the last one ended.
//!
//! The chats of Google's SDKs forget an answer one of whose events says nothing, so the end cannot be
//! an event of its own. The last character or call is held back for it.

use shared::errors::{ApiError, ErrorKind};
use shared::json::JsonStr;
use shared::protocol::Vendor;
use shared::usage::Usage;
use shared::write::JsonWriter;

use super::carry::Carried;
use super::response::{
    write_call, write_image, write_logprobs, write_signature_alone, write_text, write_thought,
    write_usage,
};
use super::{finish_reason, new_id};
use crate::translate::client::{self, Context, Send};
use crate::translate::ir::{Delta, StopReason};

/// The most that a call's arguments may have, in bytes, all calls of an answer together.
const MAX_ARGUMENTS: usize = 4 << 20;

/// The events of one answer.
#[derive(Debug)]
pub struct StreamWriter {
    context: Context,
    /// What every event ends with: the answer's name and model.
    tail: String,
    /// Not to be sent before it is known what follows.
    held: Held,
    /// What was thought before the next part.
    carried: Carried,
    /// The probabilities of a text, which go with the rest of it.
    logprobs: Option<String>,
    /// Bytes of arguments so far.
    collected: usize,
    stop: Option<StopReason>,
    /// An error was sent; nothing follows.
    failed: bool,
}

#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    /// The last of a text, between the quotes of a JSON string.
    Text(String),
    /// A whole part.
    Part(String),
    /// A call whose arguments are not complete.
    Call {
        id: JsonStr<'static>,
        name: JsonStr<'static>,
        arguments: String,
        signature: Option<String>,
    },
}

impl StreamWriter {
    /// Nothing has been written.
    pub fn new(context: Context) -> StreamWriter {
        StreamWriter {
            context,
            tail: String::new(),
            held: Held::Nothing,
            carried: Carried::default(),
            logprobs: None,
            collected: 0,
            stop: None,
            failed: false,
        }
    }
}

impl client::StreamWriter for StreamWriter {
    fn write(&mut self, delta: &Delta<'_>, send: Send<'_>) {
        if self.failed {
            return;
        }
        if self.tail.is_empty() && !matches!(delta, Delta::Error { .. }) {
            match delta {
                Delta::Start { id, model } => self.start(id.as_ref(), model.as_ref()),
                _ => self.start(None, None),
            }
        }
        match delta {
            Delta::Start { .. } => {}
            Delta::Text(text) | Delta::Refusal(text) => self.text(text, send),
            Delta::Thinking(text) => {
                self.release(send);
                self.part(send, |w| write_thought(w, text));
            }
            Delta::ThoughtEnd { text, signature } => {
                self.release(send);
                self.carried.add(text, Some(signature));
            }
            Delta::RedactedThinking(data) => {
                self.release(send);
                self.carried.add_redacted(data);
            }
            Delta::Image(source) => {
                self.release(send);
                let signature = self.carried.take();
                self.held = Held::Part(fragment(|w| write_image(w, source, signature.as_deref())));
            }
            Delta::ToolStart { id, name } => {
                self.release(send);
                self.held = Held::Call {
                    id: JsonStr::encode(&id.decode()),
                    name: JsonStr::encode(&name.decode()),
                    arguments: String::new(),
                    signature: self.carried.take(),
                };
            }
            Delta::ToolArguments(piece) => self.arguments(piece, send),
            Delta::Logprobs(logprobs) => {
                if self.logprobs.is_some() {
                    self.release(send);
                }
                self.logprobs = Some(fragment(|w| write_logprobs(w, logprobs)));
            }
            Delta::Lost(_) => {}
            Delta::Stop(reason) => self.stop = Some(*reason),
            Delta::Error { kind, code, message } => {
                self.release(send);
                self.fail(*kind, code, message, send);
            }
            Delta::End(usage) => self.end(usage.as_ref(), send),
        }
    }
}

impl StreamWriter {
    fn start(&mut self, id: Option<&JsonStr<'_>>, model: Option<&JsonStr<'_>>) {
        let mut w = JsonWriter::with_capacity(96);
        w.open('{');
        w.key("modelVersion");
        w.string(model.unwrap_or(&JsonStr::encode(&self.context.model)));
        w.key("responseId");
        w.string(id.unwrap_or(&new_id(&self.context)));
        w.close('}');
        self.tail = w.finish().replacen('{', ",", 1);
    }

    fn text(&mut self, text: &JsonStr<'_>, send: Send<'_>) {
        if text.is_empty() {
            return;
        }
        let before = match std::mem::take(&mut self.held) {
            Held::Text(before) => before,
            other => {
                self.held = other;
                self.release(send);
                String::new()
            }
        };
        let all = before + text.escaped();
        let (now, later) = all.split_at(last_character(&all));
        if !now.is_empty() {
            let signature = self.carried.take();
            self.part(send, |w| write_escaped(w, now, signature.as_deref()));
        }
        self.held = Held::Text(later.to_owned());
    }

    fn arguments(&mut self, piece: &JsonStr<'_>, send: Send<'_>) {
        let Held::Call { arguments, .. } = &mut self.held else { return };
        self.collected = self.collected.saturating_add(piece.escaped().len());
        if self.collected > MAX_ARGUMENTS {
            return self.fail(ErrorKind::BadGateway, "", "a call's arguments are too long", send);
        }
        // Pieces are joined as they stand, so that a character whose halves came apart is whole again.
        arguments.push_str(piece.escaped());
    }

    /// Sends what was held back.
    fn release(&mut self, send: Send<'_>) {
        let part = self.take_held();
        if !part.is_empty() {
            self.event(&part, None, None, send);
        }
    }

    fn take_held(&mut self) -> String {
        match std::mem::take(&mut self.held) {
            Held::Nothing => String::new(),
            Held::Part(part) => part,
            Held::Text(text) => {
                let signature = self.carried.take();
                fragment(|w| write_escaped(w, &text, signature.as_deref()))
            }
            Held::Call { id, name, arguments, signature } => {
                let arguments = JsonStr::from_escaped(&arguments);
                let arguments = arguments.unwrap_or_else(|| JsonStr::encode(""));
                fragment(|w| write_call(w, &id, &name, &arguments.decode(), signature.as_deref()))
            }
        }
    }

    fn part(&mut self, send: Send<'_>, write: impl FnOnce(&mut JsonWriter)) {
        self.event(&fragment(write), None, None, send);
    }

    fn event(&mut self, parts: &str, finish: Option<&str>, usage: Option<&Usage>, send: Send<'_>) {
        let mut out = String::with_capacity(parts.len() + self.tail.len() + 96);
        out.push_str(r#"{"candidates":[{"#);
        if !parts.is_empty() {
            out.push_str(r#""content":{"parts":["#);
            out.push_str(parts);
            out.push_str(r#"],"role":"model"},"#);
        }
        out.push_str(r#""index":0"#);
        if let Some(reason) = finish {
            out.push_str(r#","finishReason":""#);
            out.push_str(reason);
            out.push('"');
        }
        if let Some(logprobs) = self.logprobs.take() {
            out.push_str(r#","logprobsResult":"#);
            out.push_str(&logprobs);
        }
        out.push_str("}]");
        if let Some(usage) = usage {
            out.push_str(r#","usageMetadata":"#);
            out.push_str(&fragment(|w| write_usage(w, usage)));
        }
        out.push_str(&self.tail);
        send(None, &out);
    }

    fn end(&mut self, usage: Option<&Usage>, send: Send<'_>) {
        let mut parts = self.take_held();
        if let Some(signature) = self.carried.take() {
            let alone = fragment(|w| write_signature_alone(w, &signature));
            let comma = if parts.is_empty() { "" } else { "," };
            parts = [&parts, comma, &alone].concat();
        }
        let reason = finish_reason(self.stop.unwrap_or(StopReason::End));
        self.event(&parts, Some(reason), usage, send);
    }

    /// The form in which Google's SDKs find an error in a stream.
    fn fail(&mut self, kind: ErrorKind, code: &str, message: &str, send: Send<'_>) {
        self.failed = true;
        send(None, &ApiError::new(kind, message).code(code).body(Vendor::Google));
    }
}

fn fragment(write: impl FnOnce(&mut JsonWriter)) -> String {
    let mut w = JsonWriter::with_capacity(128);
    write(&mut w);
    w.finish()
}

fn write_escaped(w: &mut JsonWriter, escaped: &str, signature: Option<&str>) {
    match JsonStr::from_escaped(escaped) {
        Some(text) => write_text(w, &text, signature),
        None => write_text(w, &JsonStr::encode(""), signature),
    }
}

/// Where the last character of a JSON string begins. A pair of surrogates is one character, and half a
/// pair waits for its other half.
fn last_character(escaped: &str) -> usize {
    let (mut at, mut last) = (0, 0);
    let mut half = None;
    while let Some(rest) = escaped.get(at..).filter(|rest| !rest.is_empty()) {
        let digits = rest.strip_prefix("\\u").and_then(|rest| rest.get(..2));
        let digits = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        last = match (half, digits) {
            (Some(half), Some(0xdc..=0xdf)) => half,
            _ => at,
        };
        half = matches!(digits, Some(0xd8..=0xdb)).then_some(at);
        at += match digits {
            Some(_) => 6,
            None if rest.starts_with('\\') => 2,
            None => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_never_cut() {
        for (text, last) in [
            ("", ""),
            ("a", "a"),
            ("ab", "b"),
            ("aé", "é"),
            (r"a\n", r"\n"),
            (r"a\\", r"\\"),
            (r"a\\n", "n"),
            (r"a\u00e9", r"\u00e9"),
            (r"\u00e9b", "b"),
            (r"a\ud83d\ude00", r"\ud83d\ude00"),
            (r"a\ud83d", r"\ud83d"),
            (r"\ud83d\ude00\ude00", r"\ude00"),
        ] {
            assert_eq!(text.get(last_character(text)..), Some(last), "{text}");
        }
    }
}
