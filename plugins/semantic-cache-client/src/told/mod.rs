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
use shared::json::{JsonStr, Read, parse, text_of};
use shared::protocol::Endpoint;
use shared::usage::{Report, Usage};

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
    let answer = shared::json::object_of(&body)?;
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

/// Puts what was told into the form of an API: `$` and a letter stand for a part of it, and what is between
/// two `~` is left out where the tokens are not known. Line ends are those of the source.
fn write(ask: &Ask, told: &Told) -> Option<String> {
    let form = match ask.endpoint {
        Endpoint::OpenAiChat => chat::WHOLE,
        Endpoint::OpenAiResponses => responses::WHOLE,
        Endpoint::AnthropicMessages => anthropic::WHOLE,
        Endpoint::Gemini => gemini::WHOLE,
        _ => return None,
    };
    let mut out = String::with_capacity(form.len() + told.text.len() + told.text.len() / 8 + 128);
    for (number, section) in form.split('~').enumerate() {
        if number == 1 && told.usage.is_none() {
            continue;
        }
        let mut parts = section.lines().flat_map(|line| line.split_inclusive('$'));
        let mut letter = false;
        for part in &mut parts {
            let mut rest = part;
            if letter {
                let (name, after) = part.split_at_checked(1)?;
                put(&mut out, name, ask, told);
                rest = after;
            }
            letter = rest.ends_with('$');
            out.push_str(rest.trim_end_matches('$'));
        }
    }
    Some(out)
}

/// Writes the part of this letter.
#[inline(never)]
fn put(out: &mut String, letter: &str, ask: &Ask, told: &Told) {
    let usage = told.usage.unwrap_or_default();
    let number = match letter {
        "i" => return out.push_str(JsonStr::encode(&told.id).quoted()),
        "j" => return out.push_str(JsonStr::encode(&told.id).escaped()),
        "m" => return out.push_str(JsonStr::encode(&told.model).quoted()),
        "t" => return out.push_str(JsonStr::encode(&told.text).quoted()),
        "e" => return out.push_str(&ask.echo),
        "c" => told.created,
        "p" => usage.prompt_tokens,
        "o" => usage.completion_tokens,
        "a" => usage.total_tokens(),
        "r" => usage.cached_tokens,
        "w" => usage.cache_creation_tokens,
        "h" => usage.reasoning_tokens,
        "s" => usage.completion_tokens.saturating_sub(usage.reasoning_tokens),
        // What is new of the prompt.
        _ => {
            let cached = usage.cached_tokens.saturating_add(usage.cache_creation_tokens);
            usage.prompt_tokens.saturating_sub(cached)
        }
    };
    out.push_str(&number.to_string());
}

/// A usage that is there.
fn usage<'a, T: Read<'a>>(text: &'a str, read: fn(&mut Report, &T)) -> Option<Usage> {
    let mut report = Report::default();
    read(&mut report, &parse(text).ok()?);
    report.usage()
}

/// The text of a member.
#[inline(never)]
fn member(answer: &Object, key: &str) -> String {
    answer.get(key).map(text_of).unwrap_or_default()
}

#[inline(never)]
fn owned(answer: &Object, key: &str) -> String {
    string(answer, key).to_owned()
}

/// Whether nothing is there but these members and such as say nothing.
#[inline(never)]
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
