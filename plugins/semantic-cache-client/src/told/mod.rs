//! Answers of one API, told in another.
//!
//! What is told is an answer of one text that ended by itself: its text, model, id, time and tokens. One
//! that says more (calls, reasoning, quotations, probabilities, several choices) is of its API alone. One file for each
//! API; each knows two things: what of its whole answers is told, and its whole answer of what was told.

mod anthropic;
mod chat;
mod gemini;
mod responses;

pub(crate) use responses::echo;

use serde_json::Value;
use shared::json::{Read, parse, text_of};
use shared::protocol::Endpoint;
use shared::usage::{Report, Usage};
use shared::write::JsonWriter;

use crate::answer::{Object, string};
use crate::ask::Ask;
use crate::record::{Entry, Head};

/// An answer of no API.
#[derive(Debug, Default, PartialEq)]
struct Told {
    text: String,
    model: String,
    id: String,
    /// Seconds since the Unix epoch.
    created: u64,
    usage: Option<Usage>,
}

/// The letter for an API in entries.
pub(crate) fn letter(endpoint: Endpoint) -> u8 {
    match endpoint {
        Endpoint::OpenAiChat => b'c',
        Endpoint::OpenAiCompletions => b'p',
        Endpoint::OpenAiResponses => b'r',
        Endpoint::AnthropicMessages => b'm',
        _ => b'g',
    }
}

/// An entry in the API of who asks; `None` if that cannot tell it.
pub(crate) fn tell(ask: &Ask, entry: Entry) -> Option<Entry> {
    if entry.head.api == letter(ask.endpoint) {
        return Some(entry);
    }
    if ask.precise {
        return None;
    }
    let Entry { head, body } = entry;
    let answer: Object = shared::json::from_bytes(&body).ok()?;
    let told = read(&head, &answer)?;
    let body = write(ask, &told)?.into_bytes();
    Some(Entry { head: Head { api: letter(ask.endpoint), ..head }, body })
}

fn read(head: &Head, answer: &Object) -> Option<Told> {
    let mut told = match head.api {
        b'c' => chat::read(answer),
        b'r' => responses::read(answer),
        b'm' => anthropic::read(answer),
        b'g' => gemini::read(answer),
        _ => None,
    }?;
    if told.text.is_empty() {
        return None;
    }
    if told.created == 0 {
        told.created = head.created;
    }
    if told.id.is_empty() {
        told.id = head.key.chars().take(24).collect();
    }
    if told.model.is_empty() {
        told.model.clone_from(&head.model);
    }
    Some(told)
}

fn write(ask: &Ask, told: &Told) -> Option<String> {
    let mut w = JsonWriter::with_capacity(told.text.len() + 768);
    w.open('{');
    match ask.endpoint {
        Endpoint::OpenAiChat => chat::write(&mut w, told),
        Endpoint::OpenAiResponses => responses::write(&mut w, told, &ask.echo),
        Endpoint::AnthropicMessages => anthropic::write(&mut w, told),
        Endpoint::Gemini => gemini::write(&mut w, told),
        _ => return None,
    }
    w.close('}');
    Some(w.finish())
}

/// A usage that is there.
fn usage<'a, T: Read<'a>>(text: &'a str, read: fn(&mut Report, &T)) -> Option<Usage> {
    let mut report = Report::default();
    read(&mut report, &parse(text).ok()?);
    report.usage()
}

/// The text of a member.
fn member(answer: &Object, key: &str) -> String {
    answer.get(key).map(text_of).unwrap_or_default()
}

fn owned(answer: &Object, key: &str) -> String {
    string(answer, key).to_owned()
}

/// Whether nothing is there but these members and such as say nothing.
fn only(object: &Object, known: &[&str]) -> bool {
    object.iter().all(|(key, value)| known.contains(&key.as_str()) || says_nothing(value))
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Whether what is there besides these members are single words and numbers, about the answer and not of it.
fn about(object: &Object, known: &[&str]) -> bool {
    object.iter().all(|(key, value)| {
        known.contains(&key.as_str())
            || says_nothing(value)
            || !matches!(value, Value::Array(_) | Value::Object(_))
    })
}

/// Counts, each with its name.
fn counts(w: &mut JsonWriter, counts: &[(&str, u64)]) {
    w.open('{');
    for (key, count) in counts {
        w.key(key);
        w.value(*count);
    }
}
