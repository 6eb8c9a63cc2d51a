//! Reads a streamed answer, <https://docs.cohere.com/reference/chat-stream>.

use serde_json::value::RawValue;
use shared::errors::ErrorKind;
use shared::json::{BadJson, JsonStr, Read, parse};
use shared::protocol::cohere::{Delta as ApiDelta, Event, Part, ToolCall};

use super::response::read_logprob;
use super::stop_reason;
use crate::translate::ir::{Delta, StopReason};
use crate::translate::lost::Lost;
use crate::translate::provider::{self, Progress};

/// What is known between the events of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    progress: Progress,
    call: Call,
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
        _: Option<&str>,
        data: &'a str,
        step: &mut dyn FnMut(Delta<'a>),
    ) -> Result<(), BadJson> {
        // What ends a stream is `message-end`; this comes after it, if at all.
        if data.trim() == "[DONE]" {
            return Err(BadJson { path: String::new(), message: "ended unfinished".into() });
        }
        let event: Event<'a> = parse(data)?;
        let Some(kind) = &event.kind else { return Ok(()) };
        match &*kind.decode() {
            "message-start" => step(Delta::Start { id: event.id, model: None }),
            "content-start" | "content-delta" => {
                let content = event.delta.and_then(|delta| delta.message?.content);
                if let Some(part) = object::<Part<'a>>(content)? {
                    content_piece(part, step);
                }
                if let Some(logprob) = event.logprobs.and_then(read_logprob) {
                    step(Delta::Logprobs(vec![logprob]));
                }
            }
            "tool-plan-delta" => {
                let plan = event.delta.and_then(|delta| delta.message?.tool_plan);
                if let Some(text) = plan.filter(|text| !text.is_empty()) {
                    step(Delta::Text(text));
                }
            }
            kind @ ("tool-call-start" | "tool-call-delta") => {
                let call = event.delta.and_then(|delta| delta.message?.tool_calls);
                if let Some(call) = object::<ToolCall<'a>>(call)? {
                    self.call(call, kind == "tool-call-start", step);
                }
            }
            "tool-call-end" => self.close(step),
            "message-end" => self.end(event.delta.unwrap_or_default(), step),
            "citation-start" => step(Delta::Lost(Lost::CITATIONS)),
            // Whatever is added later.
            _ => {}
        }
        Ok(())
    }
}

/// Where a message starts, these are empty lists.
fn object<'a, T: Read<'a>>(raw: Option<&'a RawValue>) -> Result<Option<T>, BadJson> {
    raw.filter(|raw| raw.get().starts_with('{')).map(|raw| parse(raw.get())).transpose()
}

fn content_piece<'a>(part: Part<'a>, step: &mut dyn FnMut(Delta<'a>)) {
    if let Some(text) = part.thinking.filter(|text| !text.is_empty()) {
        step(Delta::Thinking(text));
    }
    if let Some(text) = part.text.filter(|text| !text.is_empty()) {
        step(Delta::Text(text));
    }
}

impl StreamReader {
    fn call<'a>(&mut self, call: ToolCall<'a>, starts: bool, step: &mut dyn FnMut(Delta<'a>)) {
        let function = call.function.unwrap_or_default();
        if starts {
            self.close(step);
            let (Some(id), Some(name)) = (call.id, function.name) else { return };
            self.call = Call::Silent;
            step(Delta::ToolStart { id, name });
        }
        let piece = function.arguments.filter(|piece| !piece.is_empty());
        if let Some(piece) = piece.filter(|_| self.call != Call::None) {
            self.call = Call::Arguments;
            step(Delta::ToolArguments(piece));
        }
    }

    /// Clients parse the arguments, and nothing is no JSON.
    fn close<'a>(&mut self, step: &mut dyn FnMut(Delta<'a>)) {
        if std::mem::take(&mut self.call) == Call::Silent {
            step(Delta::ToolArguments(JsonStr::encode("{}")));
        }
    }

    fn end<'a>(&mut self, delta: ApiDelta<'a>, step: &mut dyn FnMut(Delta<'a>)) {
        self.close(step);
        self.progress.ended = true;
        if let Some(usage) = &delta.usage {
            self.progress.report.cohere(usage);
        }
        let reason = delta.finish_reason.as_ref();
        let stop = reason.map_or(Ok(StopReason::End), stop_reason);
        let failed = delta.error.filter(|error| !error.is_empty());
        let failed = failed.map(|error| error.decode().into_owned());
        match (stop, failed) {
            (Ok(stop), None) => {
                step(Delta::Stop(stop));
                step(Delta::End(self.progress.report.usage()));
            }
            (stop, message) => step(Delta::Error {
                kind: stop.err().unwrap_or(ErrorKind::BadGateway),
                code: reason.map_or_else(|| "ERROR".into(), |code| code.decode().into_owned()),
                message: message.unwrap_or_else(|| "the provider gave up".into()),
            }),
        }
    }
}
