//! Reads a streamed answer, <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.

use shared::json::{BadJson, JsonStr, parse};
use shared::protocol::anthropic::{Block, Delta as ApiDelta, Event};

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
    block: Open,
    /// The text of the thought so far, between the quotes of a JSON string.
    thought: String,
    thought_too_long: bool,
}

/// The block that is being streamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    None,
    Text,
    Thinking,
    /// `silent`: no arguments have come.
    Tool {
        silent: bool,
    },
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
        let event: Event<'a> = parse(data)?;
        let Some(kind) = &event.kind else { return Ok(()) };
        match &*kind.decode() {
            "message_start" => {
                let message = event.message.unwrap_or_default();
                if let Some(usage) = &message.usage {
                    self.progress.report.anthropic(usage);
                }
                step(Delta::Start { id: message.id, model: message.model });
            }
            "content_block_start" => {
                self.block_start(event.content_block.map(|block| *block), step)
            }
            "content_block_delta" => self.block_delta(event.delta, step),
            "content_block_stop" => self.block_stop(step),
            "message_delta" => {
                if let Some(usage) = &event.usage {
                    self.progress.report.anthropic(usage);
                }
                let reason = event.delta.and_then(|delta| delta.stop_reason);
                if let Some(reason) = reason {
                    step(Delta::Stop(stop_reason(&reason)));
                }
            }
            "message_stop" => {
                self.progress.ended = true;
                step(Delta::End(self.progress.report.usage()));
            }
            "error" => {
                self.progress.ended = true;
                let error = event.error.unwrap_or_default();
                let text = |text: Option<JsonStr<'_>>, or: &str| {
                    text.map_or_else(|| or.to_owned(), |text| text.decode().into_owned())
                };
                let code = text(error.kind, "api_error");
                let message = text(error.message, "the provider gave up");
                step(Delta::Error { kind: error_kind(&code), code, message });
            }
            // `ping`, and whatever is added later.
            _ => {}
        }
        Ok(())
    }
}

impl StreamReader {
    fn block_start<'a>(&mut self, block: Option<Block<'a>>, step: &mut dyn FnMut(Delta<'a>)) {
        self.block = Open::None;
        self.thought.clear();
        self.thought_too_long = false;
        let Some(block) = block else { return };
        let Some(kind) = &block.kind else { return };
        match &*kind.decode() {
            "text" => {
                self.block = Open::Text;
                if let Some(text) = block.text.filter(|text| !text.is_empty()) {
                    step(Delta::Text(text));
                }
            }
            "thinking" => self.block = Open::Thinking,
            "redacted_thinking" => {
                if let Some(data) = block.data {
                    step(Delta::RedactedThinking(data));
                }
            }
            "tool_use" => {
                if let (Some(id), Some(name)) = (block.id, block.name) {
                    self.block = Open::Tool { silent: true };
                    step(Delta::ToolStart { id, name });
                }
            }
            _ => step(Delta::Lost(Lost::PARTS)),
        }
    }

    fn block_delta<'a>(&mut self, delta: Option<ApiDelta<'a>>, step: &mut dyn FnMut(Delta<'a>)) {
        let Some(delta) = delta else { return };
        match self.block {
            Open::None => {}
            Open::Text => {
                if let Some(text) = delta.text {
                    step(Delta::Text(text));
                } else if delta.rest.iter().any(|(key, _)| key == "citation") {
                    step(Delta::Lost(Lost::CITATIONS));
                }
            }
            Open::Thinking => self.thinking(delta, step),
            Open::Tool { .. } => {
                if let Some(piece) = delta.partial_json.filter(|piece| !piece.is_empty()) {
                    self.block = Open::Tool { silent: false };
                    step(Delta::ToolArguments(piece));
                }
            }
        }
    }

    fn thinking<'a>(&mut self, delta: ApiDelta<'a>, step: &mut dyn FnMut(Delta<'a>)) {
        if let Some(text) = delta.thinking {
            self.thought_too_long |= self.thought.len() + text.escaped().len() > MAX_THOUGHT;
            if !self.thought_too_long {
                self.thought.push_str(text.escaped());
            }
            step(Delta::Thinking(text));
        }
        if let Some(signature) = delta.signature
            && !self.thought_too_long
            && let Some(text) = JsonStr::from_escaped(&self.thought)
        {
            step(Delta::ThoughtEnd { text, signature });
        }
    }

    /// Clients parse the arguments, and nothing is no JSON.
    fn block_stop<'a>(&mut self, step: &mut dyn FnMut(Delta<'a>)) {
        if self.block == (Open::Tool { silent: true }) {
            step(Delta::ToolArguments(JsonStr::encode("{}")));
        }
        self.block = Open::None;
    }
}
