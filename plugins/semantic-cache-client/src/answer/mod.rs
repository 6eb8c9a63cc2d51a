//! Answers in the client's protocol: put together from a stream's events, checked, and taken apart into
//! events again.
//!
//! One file for each API; each knows three things: how events add up, when a whole answer is one that
//! may be kept, and which events stand for it.

mod anthropic;
mod chat;
mod completions;
mod gemini;
mod make;
mod node;
mod piece;
mod responses;

use make::{Json, json, put};
use node::Node;
use serde_json::{Map, Value};
use shared::follow::Follow;
use shared::json::Document;
use shared::protocol::Endpoint;
use shared::sse;
use shared::usage::Usage;

/// Characters of a text in one event.
const PIECE: usize = 48;

/// Whole objects that are members by name.
pub(crate) type Object = Map<String, Value>;

/// Events that add up to an answer.
#[derive(Debug)]
pub struct Assembly {
    endpoint: Endpoint,
    state: State,
    /// Something came that cannot be put together; the answer is not kept.
    odd: bool,
    /// The last event has come.
    ended: bool,
    /// An event that adds a piece to a text, and the pieces that events like it have had since.
    like: Follow<()>,
    pieces: String,
}

/// An answer in the making.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// As far as it goes.
    pub(crate) answer: Object,
    /// Of Messages: texts of JSON that are not whole yet.
    pub(crate) pieces: Vec<String>,
}

/// What an event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Part of the answer.
    More,
    /// Its end.
    End,
    /// Not what was expected.
    Odd,
}

/// What is expected of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Calls of tools are answers too.
    pub tools: bool,
}

impl Assembly {
    /// Nothing has come yet.
    pub fn new(endpoint: Endpoint) -> Assembly {
        Assembly {
            endpoint,
            state: State::default(),
            odd: false,
            ended: false,
            like: Follow::default(),
            pieces: String::new(),
        }
    }

    /// Adds an event.
    pub fn add(&mut self, data: &str) {
        if self.odd {
            return;
        }
        if let Some(((), piece)) = self.like.next(data) {
            return self.pieces.push_str(piece);
        }
        self.add_pieces();
        self.add_one(data);
        match piece::of(self.endpoint, data) {
            Some(piece) => self.like.learn(data, piece, ()),
            None => self.like.forget(),
        }
    }

    /// Adds what has been put off, as one event.
    fn add_pieces(&mut self) {
        if !self.pieces.is_empty() {
            let data = self.like.with(&self.pieces);
            self.pieces.clear();
            self.add_one(&data);
        }
    }

    fn add_one(&mut self, data: &str) {
        let step = match self.endpoint {
            Endpoint::OpenAiChat | Endpoint::OpenAiCompletions if data.trim() == "[DONE]" => {
                Step::End
            }
            endpoint => match shared::json::object(data) {
                None => Step::Odd,
                Some(event) => match endpoint {
                    Endpoint::OpenAiChat => chat::add(&mut self.state, event),
                    Endpoint::OpenAiCompletions => completions::add(&mut self.state, event),
                    Endpoint::OpenAiResponses => responses::add(&mut self.state, event),
                    Endpoint::AnthropicMessages => anthropic::add(&mut self.state, event),
                    Endpoint::Gemini => gemini::add(&mut self.state, event),
                    _ => Step::Odd,
                },
            },
        };
        match step {
            // Nothing may follow the end.
            _ if self.ended => self.odd = true,
            Step::More => {}
            Step::End => self.ended = true,
            Step::Odd => self.odd = true,
        }
    }

    /// The whole answer, if the events are one.
    pub fn finish(mut self) -> Option<Value> {
        self.add_pieces();
        // Gemini's streams have no last event.
        let ended = self.ended || self.endpoint == Endpoint::Gemini;
        if self.odd || !ended || self.state.answer.is_empty() {
            return None;
        }
        let mut answer = self.state.answer;
        match self.endpoint {
            Endpoint::OpenAiChat => chat::finish(&mut answer),
            Endpoint::OpenAiCompletions => completions::finish(&mut answer),
            _ => {}
        }
        Some(Value::Object(answer))
    }
}

/// Whether a whole answer is one that may be kept: it ended by itself, refused nothing and says
/// something.
pub fn good<'a>(endpoint: Endpoint, answer: impl Into<Document<'a>>, wanted: Wanted) -> bool {
    let Some(answer) = Node::of(answer.into()) else { return false };
    if answer.member("error").is_some_and(|error| error.get() != "null") {
        return false;
    }
    match endpoint {
        Endpoint::OpenAiChat => chat::good(&answer, wanted),
        Endpoint::OpenAiCompletions => completions::good(&answer),
        Endpoint::OpenAiResponses => responses::good(&answer, wanted),
        Endpoint::AnthropicMessages => anthropic::good(&answer, wanted),
        Endpoint::Gemini => gemini::good(&answer, wanted),
        _ => false,
    }
}

/// The tokens of an answer whose stream did not name them.
pub fn add_usage(endpoint: Endpoint, answer: &mut Value, usage: &Usage) {
    if !matches!(endpoint, Endpoint::OpenAiChat | Endpoint::OpenAiCompletions) {
        return;
    }
    let Some(answer) = answer.as_object_mut() else { return };
    if answer.get("usage").is_none_or(Value::is_null) {
        let usage = json!({
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens(),
            "prompt_tokens_details": json!({ "cached_tokens": usage.cached_tokens }),
            "completion_tokens_details": json!({ "reasoning_tokens": usage.reasoning_tokens }),
        });
        answer.insert("usage".into(), usage);
    }
}

/// The stream that stands for a whole answer; `None` if it is none.
pub fn stream(endpoint: Endpoint, answer: &[u8], include_usage: bool) -> Option<Vec<u8>> {
    let answer = shared::json::object_of(answer)?;
    let mut events = Events::default();
    match endpoint {
        Endpoint::OpenAiChat => chat::events(&answer, include_usage, &mut events),
        Endpoint::OpenAiCompletions => completions::events(&answer, include_usage, &mut events),
        Endpoint::OpenAiResponses => responses::events(&answer, &mut events),
        Endpoint::AnthropicMessages => anthropic::events(&answer, &mut events),
        Endpoint::Gemini => gemini::events(&answer, &mut events),
        _ => return None,
    }
    Some(events.bytes)
}

/// Events in the making.
#[derive(Debug, Default)]
pub(crate) struct Events {
    bytes: Vec<u8>,
}

impl Events {
    pub(crate) fn send(&mut self, name: Option<&str>, data: &Value) {
        self.text(name, &shared::json::text_of(data));
    }

    pub(crate) fn text(&mut self, name: Option<&str>, data: &str) {
        sse::write_event(&mut self.bytes, name, data);
    }
}

/// A text in pieces of some words.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while rest.len() > PIECE {
        // Before the last space, else at any character.
        let end =
            rest.char_indices().map(|(at, _)| at).find(|at| *at >= PIECE).unwrap_or(rest.len());
        let space = rest.get(1..end).and_then(|piece| piece.rfind(' ')).map(|at| at + 1);
        let Some((piece, after)) = rest.split_at_checked(space.unwrap_or(end)) else { break };
        out.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        out.push(rest);
    }
    out
}

#[inline(never)]
pub(crate) fn string<'a>(object: &'a Object, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[inline(never)]
pub(crate) fn list<'a>(object: &'a Object, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Adds a piece to a string that may not be there yet.
pub(crate) fn append(object: &mut Object, key: &str, piece: &str) {
    match object.get_mut(key) {
        Some(Value::String(text)) => text.push_str(piece),
        _ => {
            object.insert(key.into(), piece.into());
        }
    }
}

/// Adds items to a list that may not be there yet.
pub(crate) fn extend(object: &mut Object, key: &str, items: Vec<Value>) {
    match object.get_mut(key) {
        Some(Value::Array(list)) => list.extend(items),
        _ => {
            object.insert(key.into(), Value::Array(items));
        }
    }
}

/// The item of a list that has this index, made if there is none.
pub(crate) fn indexed(list: &mut Vec<Value>, index: u64) -> Option<&mut Object> {
    let at = list.iter().position(|item| item.get("index").and_then(Value::as_u64) == Some(index));
    let at = match at {
        Some(at) => at,
        // An answer has a few choices and a few calls.
        None if list.len() < 256 => {
            list.push(json!({ "index": index }));
            list.len().saturating_sub(1)
        }
        None => return None,
    };
    list.get_mut(at).and_then(Value::as_object_mut)
}

/// The list of this name, made if there is none.
pub(crate) fn list_mut<'a>(object: &'a mut Object, key: &str) -> Option<&'a mut Vec<Value>> {
    object.entry(key).or_insert_with(|| Value::Array(Vec::new())).as_array_mut()
}

/// The object of this name, made if there is none.
pub(crate) fn object_mut<'a>(object: &'a mut Object, key: &str) -> Option<&'a mut Object> {
    let value = object.entry(key).or_insert_with(|| Value::Object(Object::new()));
    if value.is_null() {
        *value = Value::Object(Object::new());
    }
    value.as_object_mut()
}

#[cfg(test)]
mod tests;
