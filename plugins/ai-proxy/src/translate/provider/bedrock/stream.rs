//! Reads a streamed answer,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>.
//!
//! An event's name is its `:event-type` or `:exception-type`, its data the payload.

use shared::errors::ErrorKind;
use shared::json::{BadJson, JsonStr, parse};
use shared::protocol::bedrock::{BlockStart, Delta as ApiDelta, Error, Event, Reasoning, ToolUse};

use super::{error_kind, stop_reason};
use crate::translate::ir::Delta;
use crate::translate::lost::Lost;
use crate::translate::provider::{self, Progress};

/// A thought longer than this, in bytes, is streamed but not repeated with its signature.
const MAX_THOUGHT: usize = 1 << 20;

/// What is known between the events of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    progress: Progress,
    /// `messageStop` has come; the token counts come after it.
    stopped: bool,
    /// The block that is being streamed.
    index: Option<u32>,
    call: Call,
    /// The text of the thought so far, between the quotes of a JSON string.
    thought: String,
    thought_too_long: bool,
}

/// The call that is being streamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Call {
    #[default]
    None,
    /// No arguments have come.
    Silent,
    /// Some have.
    Arguments,
}

impl provider::StreamReader for StreamReader {
    fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    fn read<'a>(
        &mut self,
        name: Option<&str>,
        data: &'a str,
        step: &mut dyn FnMut(Delta<'a>),
    ) -> Result<(), BadJson> {
        match name.unwrap_or_default() {
            "messageStart" => step(Delta::Start { id: None, model: None }),
            "contentBlockStart" => {
                let event: Event<'a> = parse(data)?;
                self.block_stop(step);
                self.index = event.index;
                self.block_start(event.start, step);
            }
            "contentBlockDelta" => {
                let event: Event<'a> = parse(data)?;
                // Most blocks begin without a start, and some end without a stop.
                if self.index != event.index {
                    self.block_stop(step);
                    self.index = event.index;
                }
                if let Some(delta) = event.delta {
                    self.block_delta(delta, step);
                }
            }
            "contentBlockStop" => self.block_stop(step),
            "messageStop" => self.message_stop(parse::<Event<'a>>(data)?.stop_reason, step),
            "metadata" => {
                if let Some(usage) = parse::<Event<'a>>(data)?.usage {
                    self.progress.report.bedrock(&usage);
                }
                if self.stopped {
                    self.progress.ended = true;
                    step(Delta::End(self.progress.report.usage()));
                }
            }
            name if is_error(name) => {
                self.progress.ended = true;
                let error: Error<'a> = parse(data).unwrap_or_default();
                let message = error.message.or(error.capital_message);
                let message = message.map(|message| message.decode().into_owned());
                step(Delta::Error {
                    kind: error_kind(name),
                    code: name.to_owned(),
                    message: message.unwrap_or_else(|| "the provider gave up".into()),
                });
            }
            // Whatever is added later.
            _ => {}
        }
        Ok(())
    }

    /// What counts the tokens may have been lost; the answer is complete without.
    fn finish<'a>(&mut self, step: &mut dyn FnMut(Delta<'a>)) -> bool {
        if !self.progress.ended && self.stopped {
            self.progress.ended = true;
            step(Delta::End(self.progress.report.usage()));
        }
        self.progress.ended
    }
}

/// `throttlingException` and its like, and the codes of errors that AWS itself puts into a stream,
/// which begin with a capital letter as no event does.
fn is_error(name: &str) -> bool {
    name.ends_with("Exception") || name.starts_with(|c: char| c.is_ascii_uppercase())
}

impl StreamReader {
    fn block_start<'a>(&mut self, start: Option<BlockStart<'a>>, step: &mut dyn FnMut(Delta<'a>)) {
        let call = start.and_then(|start| start.tool_use);
        // Calls of a kind are those of tools that the provider runs itself.
        let (call, foreign) = match call {
            Some(call) if call.kind.is_some() => (None, true),
            call => (call, false),
        };
        if foreign {
            step(Delta::Lost(Lost::PARTS));
        }
        if let Some(ToolUse { id: Some(id), name: Some(name), .. }) = call {
            self.call = Call::Silent;
            step(Delta::ToolStart { id, name });
        }
    }

    fn block_delta<'a>(&mut self, delta: ApiDelta<'a>, step: &mut dyn FnMut(Delta<'a>)) {
        if let Some(text) = delta.text.filter(|text| !text.is_empty()) {
            step(Delta::Text(text));
        }
        if delta.rest.iter().any(|(key, _)| key == "citation") {
            step(Delta::Lost(Lost::CITATIONS));
        }
        if let Some(reasoning) = delta.reasoning {
            self.reasoning(reasoning, step);
        }
        let input = delta.tool_use.and_then(|call| call.input);
        if let Some(input) = input.filter(|input| input.get().starts_with('"')) {
            let piece = JsonStr::Borrowed(input);
            if self.call != Call::None && !piece.is_empty() {
                self.call = Call::Arguments;
                step(Delta::ToolArguments(piece));
            }
        }
    }

    fn reasoning<'a>(&mut self, reasoning: Reasoning<'a>, step: &mut dyn FnMut(Delta<'a>)) {
        if let Some(text) = reasoning.text.filter(|text| !text.is_empty()) {
            self.thought_too_long |= self.thought.len() + text.escaped().len() > MAX_THOUGHT;
            if !self.thought_too_long {
                self.thought.push_str(text.escaped());
            }
            step(Delta::Thinking(text));
        }
        if let Some(signature) = reasoning.signature.filter(|signature| !signature.is_empty())
            && !self.thought_too_long
            && let Some(text) = JsonStr::from_escaped(&self.thought)
        {
            step(Delta::ThoughtEnd { text, signature });
        }
        if let Some(data) = reasoning.redacted.filter(|data| !data.is_empty()) {
            step(Delta::RedactedThinking(data));
        }
    }

    fn block_stop<'a>(&mut self, step: &mut dyn FnMut(Delta<'a>)) {
        self.close(step);
        self.thought.clear();
        self.thought_too_long = false;
    }

    /// Clients parse the arguments, and nothing is no JSON.
    fn close<'a>(&mut self, step: &mut dyn FnMut(Delta<'a>)) {
        if std::mem::take(&mut self.call) == Call::Silent {
            step(Delta::ToolArguments(JsonStr::encode("{}")));
        }
    }

    fn message_stop<'a>(&mut self, reason: Option<JsonStr<'a>>, step: &mut dyn FnMut(Delta<'a>)) {
        self.close(step);
        let reason = reason.unwrap_or_else(|| JsonStr::encode("end_turn"));
        match stop_reason(&reason) {
            Some(stop) => {
                self.stopped = true;
                step(Delta::Stop(stop));
            }
            None => {
                self.progress.ended = true;
                step(Delta::Error {
                    kind: ErrorKind::BadGateway,
                    code: reason.decode().into_owned(),
                    message: "the model's output was malformed; send the request again".into(),
                });
            }
        }
    }
}
