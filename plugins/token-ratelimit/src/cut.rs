//! Ends a stream under way as its protocol has it, as if the most tokens had been reached.

use serde_json::{Map, Value, json};
use shared::pick;
use shared::protocol::Endpoint;

/// Longest first event of a Responses stream that is kept, in bytes: its last event repeats it.
const MAX_KEPT: usize = 64 << 10;

/// What must be known of a stream to end it.
#[derive(Clone, Debug, Default)]
pub struct Cut {
    /// Members that every chunk of OpenAI's repeats.
    chunk: Map<String, Value>,
    /// Answers that run side by side and have not ended.
    choices: Vec<u64>,
    /// Tokens of the prompt, where the client of OpenAI's wants the counts at the end.
    counts: Option<u64>,
    /// Of Anthropic: the part that is open.
    block: Option<u64>,
    /// Of Responses: the answer as it began, and the number of the last event.
    response: Option<Value>,
    sequence: u64,
    done: bool,
}

impl Cut {
    /// One that ends with the counts of tokens, where the client wants them: `counts` of the prompt.
    pub fn new(counts: Option<u64>) -> Cut {
        Cut { counts, ..Cut::default() }
    }

    /// An event has passed.
    pub fn seen(&mut self, endpoint: Option<Endpoint>, data: &str) {
        match endpoint {
            Some(Endpoint::OpenAiChat | Endpoint::OpenAiCompletions) => {
                if self.chunk.is_empty()
                    && let Some(mut chunk) = shared::json::object(data)
                {
                    for own in ["choices", "usage", "obfuscation"] {
                        chunk.remove(own);
                    }
                    self.chunk = chunk;
                }
                for choice in pick::items(pick::at(data, &["choices"])) {
                    let [index, reason] = pick::pick(choice.get(), ["index", "finish_reason"]);
                    let index = index.and_then(|index| index.get().parse().ok()).unwrap_or(0);
                    // One that has ended by itself was not cut.
                    self.choices.retain(|open| *open != index);
                    let ended =
                        reason.is_some_and(|reason| !matches!(reason.get(), "null" | "\"\""));
                    if !ended && self.choices.len() < 128 {
                        self.choices.push(index);
                    }
                }
            }
            Some(Endpoint::AnthropicMessages) => {
                let [kind, index] = pick::pick(data, ["type", "index"]);
                match kind.map(|kind| kind.get()) {
                    Some("\"content_block_start\"") => {
                        self.block = index.and_then(|index| index.get().parse().ok());
                    }
                    Some("\"content_block_stop\"") => self.block = None,
                    _ => {}
                }
            }
            Some(Endpoint::OpenAiResponses) => {
                let [number, response] = pick::pick(data, ["sequence_number", "response"]);
                let number = number.and_then(|number| number.get().parse().ok());
                self.sequence = number.unwrap_or(self.sequence);
                if self.response.is_none()
                    && let Some(response) = response.filter(|raw| raw.get().len() <= MAX_KEPT)
                {
                    self.response = shared::json::tree(response.get()).ok();
                }
            }
            _ => {}
        }
    }

    /// The last events: name and data. `tokens`: of the answer, estimated.
    pub fn end(
        &mut self,
        endpoint: Option<Endpoint>,
        tokens: u64,
    ) -> Vec<(Option<&'static str>, String)> {
        if std::mem::replace(&mut self.done, true) {
            return Vec::new();
        }
        let event = |name: &'static str, data: Value| (Some(name), shared::json::text_of(&data));
        match endpoint {
            Some(Endpoint::OpenAiChat | Endpoint::OpenAiCompletions) => {
                let chat = endpoint == Some(Endpoint::OpenAiChat);
                if self.choices.is_empty() {
                    self.choices.push(0);
                }
                shared::sort::by(&mut self.choices, |a, b| a < b);
                let choices = self.choices.iter().map(|index| match chat {
                    true => json!({"index": index, "delta": {}, "finish_reason": "length"}),
                    false => json!({"index": index, "text": "", "finish_reason": "length"}),
                });
                let mut chunk = self.chunk.clone();
                chunk.insert("choices".into(), Value::Array(choices.collect()));
                let mut events = vec![(None, shared::json::text_of(&Value::Object(chunk)))];
                if let Some(prompt) = self.counts {
                    let mut last = self.chunk.clone();
                    last.insert("choices".into(), json!([]));
                    let total = prompt.saturating_add(tokens);
                    let usage = json!({"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": total});
                    last.insert("usage".into(), usage);
                    events.push((None, shared::json::text_of(&Value::Object(last))));
                }
                events.push((None, "[DONE]".to_owned()));
                events
            }
            Some(Endpoint::AnthropicMessages) => {
                let mut events = Vec::new();
                if let Some(index) = self.block.take() {
                    let data = json!({"type": "content_block_stop", "index": index});
                    events.push(event("content_block_stop", data));
                }
                let delta = json!({"stop_reason": "max_tokens", "stop_sequence": null});
                let usage = json!({"output_tokens": tokens});
                let data = json!({"type": "message_delta", "delta": delta, "usage": usage});
                events.push(event("message_delta", data));
                events.push(event("message_stop", json!({"type": "message_stop"})));
                events
            }
            Some(Endpoint::OpenAiResponses) => {
                let mut response = self.response.take().unwrap_or_else(|| json!({}));
                if let Some(response) = response.as_object_mut() {
                    response.insert("status".into(), json!("incomplete"));
                    let details = json!({"reason": "max_output_tokens"});
                    response.insert("incomplete_details".into(), details);
                }
                let number = self.sequence.saturating_add(1);
                let kind = "response.incomplete";
                let data = json!({"type": kind, "sequence_number": number, "response": response});
                vec![event(kind, data)]
            }
            Some(Endpoint::Gemini) => {
                let content = json!({"role": "model", "parts": [{"text": ""}]});
                let candidate =
                    json!({"index": 0, "content": content, "finishReason": "MAX_TOKENS"});
                vec![(None, shared::json::text_of(&json!({"candidates": [candidate]})))]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_its_own_end() {
        let mut chat = Cut::default();
        chat.seen(
            Some(Endpoint::OpenAiChat),
            r#"{"id":"c1","object":"chat.completion.chunk","model":"m","choices":[{"index":1,"delta":{}}]}"#,
        );
        let events = chat.end(Some(Endpoint::OpenAiChat), 5);
        let chunk: Value = serde_json::from_str(&events[0].1).unwrap();
        assert_eq!(chunk["id"], "c1");
        assert_eq!(chunk["choices"][0]["index"], 1);
        assert_eq!(chunk["choices"][0]["finish_reason"], "length");
        assert_eq!(events[1].1, "[DONE]");
        assert!(chat.end(Some(Endpoint::OpenAiChat), 5).is_empty(), "once");

        // One of two has ended by itself, and the counts are wanted.
        let (mut chat, endpoint) = (Cut::new(Some(7)), Some(Endpoint::OpenAiChat));
        for (index, reason) in [(0, "null"), (1, "null"), (1, "\"stop\"")] {
            chat.seen(
                endpoint,
                &format!(r#"{{"id":"c1","choices":[{{"index":{index},"delta":{{}},"finish_reason":{reason}}}]}}"#),
            );
        }
        let events = chat.end(endpoint, 5);
        let chunk: Value = serde_json::from_str(&events[0].1).unwrap();
        assert_eq!(chunk["choices"], json!([{"index": 0, "delta": {}, "finish_reason": "length"}]));
        let last: Value = serde_json::from_str(&events[1].1).unwrap();
        assert_eq!((&last["id"], &last["choices"]), (&json!("c1"), &json!([])));
        assert_eq!(last["usage"]["total_tokens"], 12);
        assert_eq!(events[2].1, "[DONE]");

        let mut messages = Cut::default();
        let endpoint = Some(Endpoint::AnthropicMessages);
        messages.seen(endpoint, r#"{"type":"content_block_start","index":2}"#);
        let names: Vec<_> = messages.end(endpoint, 5).iter().filter_map(|e| e.0).collect();
        assert_eq!(names, ["content_block_stop", "message_delta", "message_stop"]);

        let mut responses = Cut::default();
        let endpoint = Some(Endpoint::OpenAiResponses);
        responses.seen(endpoint, r#"{"sequence_number":0,"response":{"id":"r1"}}"#);
        responses.seen(endpoint, r#"{"sequence_number":4}"#);
        let last: Value = serde_json::from_str(&responses.end(endpoint, 5)[0].1).unwrap();
        assert_eq!(last["sequence_number"], 5);
        assert_eq!(last["response"]["id"], "r1");
        assert_eq!(last["response"]["status"], "incomplete");

        let gemini = Cut::default().end(Some(Endpoint::Gemini), 5);
        assert!(gemini[0].1.contains("MAX_TOKENS"));
    }
}
