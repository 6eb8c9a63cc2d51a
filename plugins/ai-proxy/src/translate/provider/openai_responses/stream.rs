//! Reads a streamed answer, <https://platform.openai.com/docs/api-reference/responses-streaming>.

use shared::json::{BadJson, JsonStr, parse};
use shared::protocol::openai_responses::{Event, EventKind, Item, Response};

use super::error_kind;
use super::response::{
    PARAGRAPH, parts, read_error_value, read_logprobs, said, seal, stop, string, thought,
};
use crate::translate::ir::{Body, Delta};
use crate::translate::lost::Lost;
use crate::translate::provider::interleaved::Interleaved;
use crate::translate::provider::{self, Progress};

/// The most calls whose arguments are being streamed at once.
const MAX_CALLS: usize = 128;

/// What is known between the events of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    progress: Progress,
    items: Interleaved,
    /// The calls that are not over.
    calls: Vec<Call>,
    /// A function was called.
    called: bool,
    /// The model refused.
    refused: bool,
    /// The last item of which some text has come.
    said: Option<u32>,
    thought: Thought,
}

/// A call that is not over.
#[derive(Debug)]
struct Call {
    item: u32,
    custom: bool,
    /// No arguments have come.
    silent: bool,
}

/// The thought that is being streamed.
#[derive(Clone, Copy, Debug, Default)]
struct Thought {
    item: Option<u32>,
    /// The summary's part, or `None` where the thought itself is shown.
    part: Option<u32>,
}

type Step<'s, 'a> = &'s mut dyn FnMut(Delta<'a>);
type Result = std::result::Result<(), BadJson>;

impl provider::StreamReader for StreamReader {
    fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    fn read<'a>(&mut self, _: Option<&str>, data: &'a str, step: Step<'_, 'a>) -> Result {
        // Some servers end as in Chat Completions.
        if data.trim() == "[DONE]" {
            return Ok(());
        }
        // Events that are not known may have any form.
        let kind = parse::<EventKind<'_>>(data)?.kind;
        let Some(kind) = kind.as_ref().map(JsonStr::decode) else { return Ok(()) };
        if !KNOWN.contains(&&*kind) {
            return Ok(());
        }
        self.event(&kind, parse(data)?, step)
    }
}

/// The events that mean something here.
const KNOWN: [&str; 16] = [
    "response.created",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.output_text.annotation.added",
    "response.refusal.delta",
    "response.reasoning_summary_text.delta",
    "response.reasoning_text.delta",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.custom_tool_call_input.delta",
    "response.custom_tool_call_input.done",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
];

impl StreamReader {
    fn event<'a>(&mut self, kind: &str, event: Event<'a>, step: Step<'_, 'a>) -> Result {
        let item = event.output_index.unwrap_or(0);
        match kind {
            "response.created" => {
                let response = event.response.unwrap_or_default();
                step(Delta::Start { id: response.id, model: response.model });
            }
            "response.output_item.added" => {
                if let Some(begun) = event.item {
                    self.call_begins(item, &begun, step)?;
                }
            }
            "response.output_item.done" => {
                if let Some(over) = event.item {
                    self.item_ends(item, &over, step)?;
                }
            }
            "response.output_text.delta" => {
                self.text(item, event.delta.map(Delta::Text), step)?;
                let logprobs = event.logprobs.map(read_logprobs).unwrap_or_default();
                if !logprobs.is_empty() {
                    self.items.step(item, Delta::Logprobs(logprobs), step)?;
                }
            }
            "response.output_text.annotation.added" => step(Delta::Lost(Lost::CITATIONS)),
            "response.refusal.delta" => self.text(item, event.delta.map(Delta::Refusal), step)?,
            "response.reasoning_summary_text.delta" => {
                self.thinking(item, Some(event.summary_index.unwrap_or(0)), event.delta, step)?;
            }
            "response.reasoning_text.delta" => self.thinking(item, None, event.delta, step)?,
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                if let Some(piece) = event.delta {
                    self.arguments(item, piece, step)?;
                }
            }
            "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
                if let Some(all) = event.arguments.or(event.input) {
                    self.all_arguments(item, all, step)?;
                }
            }
            "response.completed" | "response.incomplete" => {
                self.ended(&event.response.unwrap_or_default(), step)?;
            }
            _ => self.failed(event, step),
        }
        Ok(())
    }

    fn text<'a>(&mut self, item: u32, delta: Option<Delta<'a>>, step: Step<'_, 'a>) -> Result {
        let Some(delta) = delta else { return Ok(()) };
        if matches!(&delta, Delta::Text(text) | Delta::Refusal(text) if text.is_empty()) {
            return Ok(());
        }
        self.refused |= matches!(delta, Delta::Refusal(_));
        self.said = Some(item);
        self.items.step(item, delta, step)
    }

    fn thinking<'a>(
        &mut self,
        item: u32,
        part: Option<u32>,
        text: Option<JsonStr<'a>>,
        step: Step<'_, 'a>,
    ) -> Result {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(()) };
        let before = self.thought;
        if before.item == Some(item) && before.part.is_some() != part.is_some() {
            // The same thought, once in short and once in full.
            return Ok(());
        }
        self.thought = Thought { item: Some(item), part };
        if before.item == Some(item)
            && before.part != part
            && let Some(paragraph) = JsonStr::from_escaped(PARAGRAPH)
        {
            self.items.step(item, Delta::Thinking(paragraph), step)?;
        }
        self.items.step(item, Delta::Thinking(text), step)
    }

    fn call_begins<'a>(&mut self, at: u32, item: &Item<'a>, step: Step<'_, 'a>) -> Result {
        let kind = item.kind.as_ref().map(JsonStr::decode);
        let custom = match kind.as_deref() {
            Some("function_call") => false,
            Some("custom_tool_call") => true,
            _ => return Ok(()),
        };
        let (Some(id), Some(name)) = (item.call_id.clone().or(item.id.clone()), item.name.clone())
        else {
            return Ok(());
        };
        if self.calls.len() >= MAX_CALLS {
            let message = "too many calls at once".to_owned();
            return Err(BadJson { path: "output_index".into(), message });
        }
        self.called = true;
        self.calls.push(Call { item: at, custom, silent: true });
        self.items.step(at, Delta::ToolStart { id, name }, step)?;
        if custom {
            let start = JsonStr::encode(r#"{"input":""#);
            self.items.step(at, Delta::ToolArguments(start), step)?;
        }
        Ok(())
    }

    fn arguments<'a>(&mut self, at: u32, piece: JsonStr<'a>, step: Step<'_, 'a>) -> Result {
        let Some(call) = self.calls.iter_mut().find(|call| call.item == at) else {
            return Ok(());
        };
        if piece.is_empty() {
            return Ok(());
        }
        call.silent = false;
        // A custom tool's text becomes that of a string within the arguments.
        let piece = if call.custom { JsonStr::encode(piece.escaped()) } else { piece };
        self.items.step(at, Delta::ToolArguments(piece), step)
    }

    /// They are in the deltas already, unless the server has sent none.
    fn all_arguments<'a>(&mut self, at: u32, all: JsonStr<'a>, step: Step<'_, 'a>) -> Result {
        if self.calls.iter().any(|call| call.item == at && call.silent) {
            self.arguments(at, all, step)?;
        }
        Ok(())
    }

    fn item_ends<'a>(&mut self, at: u32, item: &Item<'a>, step: Step<'_, 'a>) -> Result {
        let kind = item.kind.as_ref().map(JsonStr::decode);
        match kind.as_deref() {
            Some("function_call" | "custom_tool_call") => {
                if !self.calls.iter().any(|call| call.item == at) {
                    self.call_begins(at, item, step)?;
                }
                if let Some(all) = string(item.arguments).or(string(item.input)) {
                    self.all_arguments(at, all, step)?;
                }
                self.call_ends(at, step)?;
            }
            Some("message") if self.said != Some(at) => {
                for body in parts(item.content).into_iter().filter_map(said) {
                    match body {
                        Body::Text(text) => self.text(at, Some(Delta::Text(text)), step)?,
                        Body::Refusal(text) => self.text(at, Some(Delta::Refusal(text)), step)?,
                        _ => {}
                    }
                }
            }
            Some("reasoning") => self.thought_ends(at, item, step)?,
            Some("message") | None => {}
            Some(_) => step(Delta::Lost(Lost::PARTS)),
        }
        self.items.end(at, step)
    }

    fn call_ends<'a>(&mut self, at: u32, step: Step<'_, 'a>) -> Result {
        let Some(place) = self.calls.iter().position(|call| call.item == at) else {
            return Ok(());
        };
        let call = self.calls.remove(place);
        // Clients parse the arguments, and nothing is no JSON.
        let rest = match call {
            Call { custom: true, .. } => r#""}"#,
            Call { silent: true, .. } => "{}",
            Call { .. } => return Ok(()),
        };
        self.items.step(at, Delta::ToolArguments(JsonStr::encode(rest)), step)
    }

    fn thought_ends<'a>(&mut self, at: u32, item: &Item<'a>, step: Step<'_, 'a>) -> Result {
        let text = thought(item);
        if self.thought.item != Some(at) {
            self.thinking(at, Some(0), Some(text.clone()), step)?;
        }
        self.thought = Thought::default();
        match seal(item) {
            Some(signature) => self.items.step(at, Delta::ThoughtEnd { text, signature }, step),
            None => Ok(()),
        }
    }

    fn ended<'a>(&mut self, response: &Response<'a>, step: Step<'_, 'a>) -> Result {
        self.progress.ended = true;
        if let Some(usage) = &response.usage {
            self.progress.report.openai_responses(usage);
        }
        while let Some(call) = self.calls.first() {
            let at = call.item;
            self.call_ends(at, step)?;
            self.items.end(at, step)?;
        }
        self.items.finish(step);
        step(Delta::Stop(stop(response, self.called, self.refused)));
        step(Delta::End(self.progress.report.usage()));
        Ok(())
    }

    /// OpenAI says `error` and then `response.failed`, with the same.
    fn failed<'a>(&mut self, event: Event<'a>, step: Step<'_, 'a>) {
        self.progress.ended = true;
        let text = |text: Option<JsonStr<'_>>| text.map(|text| text.decode().into_owned());
        let response = event.response.unwrap_or_default();
        if let Some(usage) = &response.usage {
            self.progress.report.openai_responses(usage);
        }
        let nested = event.error.or(response.error);
        let told = nested.and_then(|error| read_error_value(error.get()));
        let (code, message) = told.unwrap_or_else(|| {
            let code = text(event.code).unwrap_or_else(|| "server_error".into());
            (code, text(event.message).unwrap_or_else(|| "the provider gave up".into()))
        });
        step(Delta::Error { kind: error_kind(&code), code, message });
    }
}
