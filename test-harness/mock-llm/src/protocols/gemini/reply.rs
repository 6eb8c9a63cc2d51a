//! An answer in Google's words, whole or in events.

use serde_json::Value;

use super::{is_three, model_of, prompt_tokens};
use crate::json::{Json, object};
use crate::output::{Output, Stop};
use crate::protocols::Call;
use crate::script::Script;
use crate::stream::Event;
use crate::tokens;

/// All that an answer is made of.
pub(super) struct Reply<'a> {
    /// The request.
    pub(super) call: &'a Call<'a>,
    /// The name of the answer.
    pub(super) id: String,
    /// What each candidate says.
    pub(super) outputs: Vec<Output>,
    /// What a thought is signed with.
    pub(super) signature: String,
    /// The request wants to see thoughts.
    pub(super) shows_thoughts: bool,
}

impl Reply<'_> {
    /// The parts of an answer, each with whether it carries a token; texts in pieces.
    fn parts(&self, output: &Output) -> Vec<Json> {
        let mut parts = Vec::new();
        // A prompt or answer that is blocked has none.
        if output.stop == Stop::Refusal || is_malformed(output) {
            return parts;
        }
        for text in output.thinking.iter().filter(|_| self.shows_thoughts) {
            for piece in tokens::pieces(text) {
                parts.push(object! { "text": piece, "thought": true });
            }
        }
        for piece in output.text.iter().flat_map(|text| tokens::pieces(text)) {
            parts.push(object! { "text": piece });
        }
        let three = is_three(model_of(self.call));
        let signs = three || output.thinking.is_some();
        for (index, call) in output.calls.iter().enumerate() {
            let asked: &Script = self.call.script;
            let named = three || asked.tool_calls.get(index).is_some_and(|call| call.id.is_some());
            let args: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
            let named = object! {}.with_some("id", named.then_some(call.id.as_str()));
            let body = named.with("name", call.name.as_str()).with("args", args);
            let part = object! { "functionCall": body };
            // Of calls made at once, only the first is signed.
            let signature = (signs && index == 0).then_some(self.signature.as_str());
            parts.push(part.with_some("thoughtSignature", signature));
        }
        if signs && output.calls.is_empty() {
            let text = object! { "text": "" };
            parts.push(text.with("thoughtSignature", self.signature.as_str()));
        }
        parts
    }

    fn finish_reason(&self, output: &Output) -> String {
        let natural = match output.stop {
            _ if is_malformed(output) => "MALFORMED_FUNCTION_CALL",
            Stop::Length => "MAX_TOKENS",
            Stop::Refusal => "SAFETY",
            Stop::End | Stop::Sequence(_) | Stop::Tools => "STOP",
        };
        self.call.script.finish_reason.clone().unwrap_or_else(|| natural.to_owned())
    }

    /// The counts; before the end only those of the prompt.
    fn usage(&self, end: bool) -> Option<Json> {
        let script = self.call.script;
        if script.hides_usage() {
            return None;
        }
        if let Some(usage @ Value::Object(_)) = &script.usage {
            return Some(usage.clone().into());
        }
        let cached = script.cached_tokens.unwrap_or(0);
        let prompt = prompt_tokens(self.call.body).max(cached);
        let all: u64 = self.outputs.iter().map(|output| output.tokens).sum();
        let thoughts: u64 = self.outputs.iter().map(|output| output.reasoning_tokens).sum();
        let details = object! { "modality": "TEXT", "tokenCount": prompt };
        let usage = object! { "promptTokenCount": prompt };
        let usage = usage.with_some("candidatesTokenCount", end.then_some(all - thoughts));
        let usage = usage.with("totalTokenCount", if end { prompt + all } else { prompt });
        let usage = usage.with_some("cachedContentTokenCount", (cached > 0).then_some(cached));
        let usage = usage.with("promptTokensDetails", vec![details]);
        Some(usage.with_some("thoughtsTokenCount", (end && thoughts > 0).then_some(thoughts)))
    }

    fn envelope(&self, candidates: Vec<Json>, end: bool) -> Json {
        object! { "candidates": candidates }
            .with_some("usageMetadata", self.usage(end))
            .with("modelVersion", model_of(self.call))
            .with("responseId", self.id.as_str())
    }

    fn candidate(&self, index: usize, parts: Vec<Json>, finish: Option<String>) -> Json {
        let content = object! { "parts": parts.clone(), "role": "model" };
        object! {}
            .with_some("content", (!parts.is_empty()).then_some(content))
            .with_some("finishReason", finish)
            .with("index", index)
    }

    /// In one piece.
    pub(super) fn whole(&self) -> Json {
        let candidates = self.outputs.iter().enumerate().map(|(index, output)| {
            let parts = joined(self.parts(output));
            self.candidate(index, parts, Some(self.finish_reason(output)))
        });
        self.envelope(candidates.collect(), true)
    }

    /// In events, the last of which has the end.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let last = self.outputs.len().saturating_sub(1);
        for (index, output) in self.outputs.iter().enumerate() {
            let mut parts = self.parts(output);
            // The end comes with the last part.
            let end = parts.pop();
            for part in parts {
                let chunk = self.envelope(vec![self.candidate(index, vec![part], None)], false);
                events.push(Event::data(chunk.text()).token());
            }
            let finish = Some(self.finish_reason(output));
            let candidate = self.candidate(index, end.into_iter().collect(), finish);
            let event = Event::data(self.envelope(vec![candidate], index == last).text()).token();
            events.push(if index == last { event.terminal() } else { event });
        }
        events
    }
}

/// Whether the model called a function in a way that Google cannot read.
fn is_malformed(output: &Output) -> bool {
    let object = |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|v| v.is_object());
    output.calls.iter().any(|call| !object(&call.arguments))
}

/// Pieces of one text made whole, a thought's apart from the answer's.
fn joined(parts: Vec<Json>) -> Vec<Json> {
    let mut out: Vec<Value> = Vec::new();
    for part in parts {
        let part: Value = serde_json::from_str(&part.text()).unwrap_or_default();
        let text = part.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
        match out.last_mut() {
            Some(last) if part.get("text").is_some() && last.get("text").is_some() => {
                if last.get("thought") != part.get("thought") {
                    out.push(part);
                    continue;
                }
                let before = last.get("text").and_then(Value::as_str).unwrap_or_default();
                let all = [before, &text].concat();
                if let Value::Object(last) = last {
                    last.insert("text".into(), all.into());
                    let signature = part.get("thoughtSignature").cloned();
                    last.extend(signature.map(|s| ("thoughtSignature".to_owned(), s)));
                }
            }
            _ => out.push(part),
        }
    }
    out.into_iter().map(Json::from).collect()
}
