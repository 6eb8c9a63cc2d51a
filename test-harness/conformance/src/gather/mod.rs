//! Puts a streamed answer together. Where a provider's text is cut is not meaning, so two streams are
//! compared as the documents that a client makes of them, one form per client's protocol. Whether a
//! stream ended as its protocol demands is part of that document (`ended`).

mod anthropic;
mod gemini;
mod openai_chat;
mod openai_responses;

use ai_proxy::translate::client::Client;
use serde_json::{Map, Value};
use shared::sse;

/// An event as it goes over the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: Option<String>,
    pub(crate) data: String,
}

/// The events of a stream's text.
pub(crate) fn events(text: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut note = |event: sse::Event<'_>| {
        if let Some(data) = event.data() {
            let name = event.name().map(str::to_owned);
            events.push(Event { name, data: data.into_owned() });
        }
    };
    let mut framer = sse::Framer::new();
    // A recorded file is never longer than an event may be.
    let _ = framer.push(text.as_bytes(), &mut note);
    framer.finish(&mut note);
    events
}

/// What the client makes of the events.
pub(crate) fn gather(client: Client, events: &[Event]) -> Value {
    match client {
        Client::OpenAiChat | Client::OpenAiCompletions => openai_chat::gather(events),
        Client::OpenAiResponses => openai_responses::gather(events),
        Client::Anthropic => anthropic::gather(events),
        Client::Gemini => gemini::gather(events),
    }
}

/// The documents of the events.
fn documents(events: &[Event]) -> impl Iterator<Item = Value> {
    events.iter().map(|event| {
        serde_json::from_str(&event.data).unwrap_or_else(|_| Value::from(event.data.as_str()))
    })
}

/// The text of a member.
fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A place in a list.
fn index(value: &Value, key: &str) -> usize {
    let index = value.get(key).and_then(Value::as_u64).unwrap_or(0);
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// Appends to a text member.
fn append(map: &mut Map<String, Value>, key: &str, piece: &str) {
    match map.get_mut(key) {
        Some(Value::String(text)) => text.push_str(piece),
        _ => {
            map.insert(key.to_owned(), piece.into());
        }
    }
}
