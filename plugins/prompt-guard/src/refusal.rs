//! How a streamed answer ends that may not go on: as one that a content filter of the provider's has
//! stopped, in the client's own protocol.
//!
//! Sources: <https://platform.openai.com/docs/api-reference/chat-streaming>,
//! <https://platform.openai.com/docs/api-reference/responses-streaming/response/incomplete>,
//! <https://docs.anthropic.com/en/docs/build-with-claude/streaming>,
//! <https://ai.google.dev/api/generate-content#FinishReason>.

use serde_json::{Map, Value, json};
use shared::protocol::{Endpoint, Vendor};
use shared::small_map::SmallMap;

use crate::mask::restore::Sent;

/// Longest first event that is kept, in bytes.
const MAX_FIRST: usize = 16 << 10;

/// What of a stream its end has to go on with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begun {
    /// The first event: ids, the model.
    first: Option<String>,
    /// The numbers of its choices.
    choices: SmallMap<u64, ()>,
    /// Anthropic's block that has begun and not ended.
    block: Option<u64>,
    /// The number of the last event of Responses.
    sequence: u64,
}

impl Begun {
    /// Takes note of an event that goes out.
    pub(crate) fn note(&mut self, endpoint: Option<Endpoint>, name: Option<&str>, data: &str) {
        if self.first.is_none() && data.starts_with('{') && data.len() <= MAX_FIRST {
            self.first = Some(data.to_owned());
        }
        if endpoint == Some(Endpoint::OpenAiResponses) {
            self.sequence = number_after(data, "\"sequence_number\":").unwrap_or(self.sequence);
            return;
        }
        let blocks = endpoint.map(Endpoint::vendor) == Some(Vendor::Anthropic);
        if blocks && !matches!(name, None | Some("content_block_start" | "content_block_stop")) {
            return;
        }
        // All have a first choice.
        if !blocks && number_after(data, "\"index\":").is_none_or(|index| index == 0) {
            return;
        }
        let Ok(value) = shared::json::tree(data) else { return };
        match value.get("type").and_then(Value::as_str) {
            Some("content_block_start") => self.block = index(&value),
            Some("content_block_stop") => self.block = None,
            _ => {
                let choices = value.get("choices").and_then(Value::as_array);
                let numbers = choices.into_iter().flatten().filter_map(index);
                self.choices.extend(numbers.map(|number| (number, ())));
            }
        }
    }

    /// The events that end the stream, after `said` bytes of text.
    pub(crate) fn end(&self, endpoint: Option<Endpoint>, said: usize) -> Vec<Sent> {
        let first = self.first.as_deref().and_then(shared::json::object).unwrap_or_default();
        match endpoint.map(Endpoint::vendor) {
            Some(Vendor::Anthropic) => self.anthropic(said),
            Some(Vendor::Google) => {
                let mut event = json!({"candidates": [{"index": 0, "finishReason": "SAFETY",
                    "content": {"role": "model", "parts": []}}]});
                copy(&first, &["modelVersion", "responseId"], &mut event);
                vec![sent(None, event)]
            }
            _ if endpoint == Some(Endpoint::OpenAiResponses) => vec![self.responses(&first)],
            _ => vec![
                self.choices(&first, endpoint == Some(Endpoint::OpenAiCompletions)),
                Sent { name: None, data: "[DONE]".to_owned() },
            ],
        }
    }

    /// The same for a client that may have got nothing yet of a stream that has begun as `all` has: clients of
    /// Anthropic's and of Responses fail at any event before the one that begins it.
    pub(crate) fn end_withheld(
        &self,
        all: &Begun,
        endpoint: Option<Endpoint>,
        said: usize,
    ) -> Vec<Sent> {
        if self.first.is_some() {
            return self.end(endpoint, said);
        }
        let begun = Begun { first: all.first.clone(), ..Begun::default() };
        let mut events = begun.opening(endpoint);
        events.extend(begun.end(endpoint, said));
        events
    }

    /// The event that begins the stream, in the protocols that have one.
    fn opening(&self, endpoint: Option<Endpoint>) -> Vec<Sent> {
        let (name, member, otherwise) = match endpoint {
            Some(Endpoint::AnthropicMessages) => {
                let message = json!({"id": "msg_guard", "type": "message", "role": "assistant",
                    "model": "", "content": [], "stop_reason": null, "stop_sequence": null,
                    "usage": {"input_tokens": 0, "output_tokens": 0}});
                ("message_start", "message", message)
            }
            Some(Endpoint::OpenAiResponses) => {
                let response = json!({"id": "resp_guard", "object": "response",
                    "status": "in_progress", "output": []});
                ("response.created", "response", response)
            }
            _ => return Vec::new(),
        };
        let first = self.first.as_deref().and_then(shared::json::object).unwrap_or_default();
        let begins = first.get("type").and_then(Value::as_str) == Some(name);
        let mut event = json!({"type": name});
        let value = first.get(member).filter(|_| begins).cloned().unwrap_or(otherwise);
        set(&mut event, member, value);
        if member == "response" {
            set(&mut event, "sequence_number", json!(0));
        }
        vec![sent(Some(name), event)]
    }

    fn anthropic(&self, said: usize) -> Vec<Sent> {
        let mut events = Vec::new();
        if let Some(index) = self.block {
            let event = json!({"type": "content_block_stop", "index": index});
            events.push(sent(Some("content_block_stop"), event));
        }
        // Four bytes to a token: what the provider counted is not known here.
        let event = json!({"type": "message_delta",
            "delta": {"stop_reason": "refusal", "stop_sequence": null},
            "usage": {"output_tokens": said.div_ceil(4)}});
        events.push(sent(Some("message_delta"), event));
        events.push(sent(Some("message_stop"), json!({"type": "message_stop"})));
        events
    }

    fn responses(&self, first: &Map<String, Value>) -> Sent {
        let mut response = match first.get("response") {
            Some(response @ Value::Object(_)) => response.clone(),
            _ => json!({"id": "resp_guard", "object": "response"}),
        };
        set(&mut response, "status", json!("incomplete"));
        set(&mut response, "incomplete_details", json!({"reason": "content_filter"}));
        set(&mut response, "output", json!([]));
        let event = json!({"type": "response.incomplete", "response": response,
            "sequence_number": self.sequence.saturating_add(1)});
        sent(Some("response.incomplete"), event)
    }

    fn choices(&self, first: &Map<String, Value>, completions: bool) -> Sent {
        let mut numbers = self.choices.clone();
        numbers.insert(0, ());
        let choice = |index: &u64| match completions {
            true => json!({"index": index, "text": "", "logprobs": null,
                           "finish_reason": "content_filter"}),
            false => json!({"index": index, "delta": {}, "finish_reason": "content_filter"}),
        };
        let object = if completions { "text_completion" } else { "chat.completion.chunk" };
        let mut event = json!({"id": "guard", "object": object, "created": 0, "model": "",
            "choices": numbers.keys().map(choice).collect::<Vec<_>>()});
        copy(first, &["id", "created", "model", "system_fingerprint"], &mut event);
        sent(None, event)
    }
}

/// An event without what says that its answer is finished: that is said by [`Begun::end`].
pub(crate) fn unfinished(data: &str) -> String {
    let Ok(mut value) = shared::json::tree(data) else { return data.to_owned() };
    for (list, key) in [("choices", "finish_reason"), ("candidates", "finishReason")] {
        let answers = value.get_mut(list).and_then(Value::as_array_mut);
        for answer in answers.into_iter().flatten().filter_map(Value::as_object_mut) {
            if list == "choices" {
                answer.insert(key.to_owned(), Value::Null);
            } else {
                answer.remove(key);
            }
        }
    }
    shared::json::text_of(&value)
}

fn copy(from: &Map<String, Value>, keys: &[&str], to: &mut Value) {
    for key in keys {
        if let Some(value) = from.get(*key) {
            set(to, key, value.clone());
        }
    }
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// The number behind a key, where it stands the last time.
fn number_after(data: &str, key: &str) -> Option<u64> {
    let rest = data.get(memchr::memmem::rfind(data.as_bytes(), key.as_bytes())? + key.len()..)?;
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

fn index(value: &Value) -> Option<u64> {
    value.get("index").and_then(Value::as_u64)
}

fn sent(name: Option<&str>, event: Value) -> Sent {
    Sent { name: name.map(str::to_owned), data: shared::json::text_of(&event) }
}
