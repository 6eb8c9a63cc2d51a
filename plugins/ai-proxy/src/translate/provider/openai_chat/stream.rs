//! Reads a streamed answer, <https://platform.openai.com/docs/api-reference/chat-streaming>.

use shared::json::{BadJson, parse};
use shared::protocol::content::Form;
use shared::protocol::openai_chat::{Choice, Message, Part as ApiPart, Response};

use super::calls::Calls;
use super::response::{read_error_value, read_logprobs};
use super::{error_kind, stop_reason};
use crate::translate::ir::{Delta, StopReason};
use crate::translate::lost::{self, Lost};
use crate::translate::provider::{self, Progress};

/// What is known between the chunks of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    progress: Progress,
    started: bool,
    /// The model will not answer.
    refused: bool,
    /// `finish_reason` has come.
    finished: bool,
    calls: Calls,
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
        if data.trim() == "[DONE]" {
            return match self.finish(step) {
                true => Ok(()),
                false => Err(BadJson { path: String::new(), message: "ended unfinished".into() }),
            };
        }
        let chunk: Response<'a> = parse(data)?;
        if let Some(error) = chunk.error {
            self.progress.ended = true;
            let told = read_error_value(error.get());
            let (code, message) =
                told.unwrap_or_else(|| ("server_error".into(), "the provider gave up".into()));
            step(Delta::Error { kind: error_kind(&code), code, message });
            return Ok(());
        }
        if let Some(usage) = &chunk.usage {
            self.progress.report.openai_chat(usage);
        }
        if !std::mem::replace(&mut self.started, true) {
            step(Delta::Start { id: chunk.id, model: chunk.model });
        }
        if lost::cites(&chunk.rest) {
            step(Delta::Lost(Lost::CITATIONS));
        }
        // One answer was asked for.
        for choice in chunk.choices.into_iter().flatten().take(1) {
            self.choice(choice, step)?;
        }
        Ok(())
    }

    /// Some servers leave `[DONE]` out.
    fn finish<'a>(&mut self, step: &mut dyn FnMut(Delta<'a>)) -> bool {
        if !self.progress.ended && self.finished {
            self.progress.ended = true;
            step(Delta::End(self.progress.report.usage()));
        }
        self.progress.ended
    }
}

impl StreamReader {
    fn choice<'a>(
        &mut self,
        choice: Choice<'a>,
        step: &mut dyn FnMut(Delta<'a>),
    ) -> Result<(), BadJson> {
        if let Some(delta) = choice.delta {
            self.delta(delta, step)?;
        }
        let logprobs = choice.logprobs.map(read_logprobs).unwrap_or_default();
        if !logprobs.is_empty() {
            step(Delta::Logprobs(logprobs));
        }
        // Some servers write an empty one where there is none yet.
        let reason = choice.finish_reason.filter(|reason| !reason.is_empty() && !self.finished);
        if let Some(reason) = reason {
            self.finished = true;
            self.calls.finish(step);
            let called = self.calls.any();
            let stop = stop_reason(&reason, called);
            step(Delta::Stop(if self.refused { StopReason::Filter } else { stop }));
        }
        Ok(())
    }

    fn delta<'a>(
        &mut self,
        delta: Message<'a>,
        step: &mut dyn FnMut(Delta<'a>),
    ) -> Result<(), BadJson> {
        if lost::cites(&delta.rest) {
            step(Delta::Lost(Lost::CITATIONS));
        }
        if let Some(text) = delta.thought() {
            step(Delta::Thinking(text));
        }
        match delta.content.map(|content| content.form::<ApiPart<'a>>()).transpose()? {
            Some(Form::Text(text)) if !text.is_empty() => step(Delta::Text(text)),
            Some(Form::Parts(parts)) => parts.into_iter().for_each(|part| {
                if let Some(thought) = part.thought() {
                    step(Delta::Thinking(thought));
                } else if let Some(text) = part.text {
                    step(Delta::Text(text));
                }
            }),
            Some(Form::Text(_)) | None => {}
        }
        if let Some(text) = delta.refusal.filter(|text| !text.is_empty()) {
            self.refused = true;
            step(Delta::Refusal(text));
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.calls.piece(call, step)?;
        }
        Ok(())
    }
}
