//! Reads a streamed answer: each event is an answer of its own that goes on where the last one ended,
//! and nothing says that it was the last, <https://ai.google.dev/api/generate-content#v1beta.models.streamGenerateContent>.

use shared::errors::ErrorKind;
use shared::json::{BadJson, JsonStr, parse};
use shared::protocol::gemini::{Candidate, Part as ApiPart, Response};

use super::response::{Ids, Read, error_in, is_foreign, read_logprobs, status_of};
use super::{error_kind, stop_reason};
use crate::translate::ir::{Arguments, Body, Delta, StopReason};
use crate::translate::lost::{self, Lost};
use crate::translate::provider::{self, Progress};

/// A thought longer than this, in bytes, is streamed but not repeated with its signature.
const MAX_THOUGHT: usize = 1 << 20;

/// What is known between the events of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    progress: Progress,
    /// Of an answer that has begun.
    ids: Option<Ids>,
    /// `finishReason` has come; token counts may follow.
    finished: bool,
    /// A function was called.
    called: bool,
    /// The text of the thought so far, between the quotes of a JSON string.
    thought: String,
    thought_too_long: bool,
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
        if let Some(error) = data.contains("\"error\"").then(|| error_in(data)).flatten() {
            self.progress.ended = true;
            let code = status_of(&error);
            let kind = error_kind(&code, error.code);
            let message = error.message.map(|message| message.decode().into_owned());
            let message = message.unwrap_or_else(|| "the provider gave up".into());
            step(Delta::Error { kind, code, message });
            return Ok(());
        }
        let chunk: Response<'a> = parse(data)?;
        if let Some(usage) = &chunk.usage_metadata {
            self.progress.report.gemini(usage);
        }
        let mut ids = match self.ids.take() {
            Some(ids) => ids,
            None => {
                let ids = Ids::new(chunk.response_id.as_ref(), data);
                step(Delta::Start { id: chunk.response_id, model: chunk.model_version });
                ids
            }
        };
        let blocked = chunk.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
        // One answer was asked for.
        let mut candidates = chunk.candidates.into_iter().flatten();
        let read = match candidates.find(|candidate| candidate.index.unwrap_or(0) == 0) {
            Some(candidate) => self.candidate(candidate, &mut ids, step),
            None if blocked && !self.finished => {
                self.finished = true;
                step(Delta::Stop(StopReason::Filter));
                Ok(())
            }
            None => Ok(()),
        };
        self.ids = Some(ids);
        read
    }

    fn finish<'a>(&mut self, step: &mut dyn FnMut(Delta<'a>)) -> bool {
        if !self.progress.ended && self.finished {
            self.progress.ended = true;
            step(Delta::End(self.progress.report.usage()));
        }
        self.progress.ended
    }
}

impl StreamReader {
    fn candidate<'a>(
        &mut self,
        candidate: Candidate<'a>,
        ids: &mut Ids,
        step: &mut dyn FnMut(Delta<'a>),
    ) -> Result<(), BadJson> {
        if lost::cites(&candidate.rest) {
            step(Delta::Lost(Lost::CITATIONS));
        }
        let parts = candidate.content.and_then(|content| content.parts);
        let parts: Vec<ApiPart<'a>> = match parts.map(|parts| parts.items()).transpose() {
            Ok(parts) => parts.unwrap_or_default(),
            Err(error) => {
                let path = format!("candidates[0].content.parts{}", error.path);
                return Err(BadJson { path, ..error });
            }
        };
        for part in parts {
            if is_foreign(&part) {
                step(Delta::Lost(Lost::PARTS));
            }
            self.part(Read::of(part, ids), step);
        }
        let logprobs = candidate.logprobs_result.map(read_logprobs).unwrap_or_default();
        if !logprobs.is_empty() {
            step(Delta::Logprobs(logprobs));
        }
        let Some(reason) = candidate.finish_reason.filter(|_| !self.finished) else {
            return Ok(());
        };
        match stop_reason(&reason, self.called) {
            Ok(stop) => {
                self.finished = true;
                step(Delta::Stop(stop));
            }
            Err(code) => {
                self.progress.ended = true;
                let message = candidate.finish_message.map(|text| text.decode().into_owned());
                let message = message.unwrap_or_else(|| "the model's call is malformed".into());
                step(Delta::Error { kind: ErrorKind::BadGateway, code, message });
            }
        }
        Ok(())
    }

    fn part<'a>(&mut self, read: Read<'a>, step: &mut dyn FnMut(Delta<'a>)) {
        if let Some(text) = read.thought.filter(|text| !text.is_empty()) {
            self.thought_too_long |= self.thought.len() + text.escaped().len() > MAX_THOUGHT;
            if self.thought_too_long {
                self.thought.clear();
            } else {
                self.thought.push_str(text.escaped());
            }
            step(Delta::Thinking(text));
        }
        if let Some(signature) = read.signature {
            // Google's signature does not depend on the text; a thought too long goes without.
            let text = JsonStr::from_escaped(&self.thought).unwrap_or_else(|| JsonStr::encode(""));
            self.end_thought();
            step(Delta::ThoughtEnd { text, signature });
        }
        match read.body {
            Some(Body::Text(text)) => {
                self.end_thought();
                step(Delta::Text(text));
            }
            Some(Body::Image(source)) => step(Delta::Image(source)),
            Some(Body::ToolCall { id, name, arguments }) => {
                self.end_thought();
                self.called = true;
                step(Delta::ToolStart { id, name });
                step(Delta::ToolArguments(match arguments {
                    Arguments::Text(text) => text,
                    Arguments::Json(json) => JsonStr::encode(json.get()),
                }));
            }
            // Nothing that a stream could say.
            _ => {}
        }
    }

    /// What was said of it came without a signature.
    fn end_thought(&mut self) {
        self.thought.clear();
        self.thought_too_long = false;
    }
}
