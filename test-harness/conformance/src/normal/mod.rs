//! Brings documents of one meaning to one form. Every rule here is one of docs/conformance.md, and
//! holds for its protocol because the vendor's document says so; what an API treats differently stays
//! different.

mod anthropic;
mod bedrock;
mod gemini;
mod openai_chat;
mod openai_responses;

use ai_proxy::config::Protocol;
use ai_proxy::translate::client::Client;
use serde_json::{Map, Value, json};

/// An object's members.
type Members = Map<String, Value>;

/// A request in a provider's protocol.
pub(crate) fn request(protocol: Protocol, document: &mut Value) {
    match protocol {
        Protocol::Openai => openai_chat::request(document),
        Protocol::OpenaiResponses => openai_responses::request(document),
        Protocol::Anthropic => anthropic::request(document),
        Protocol::Gemini => gemini::request(document),
        Protocol::Bedrock => bedrock::request(document),
        Protocol::Cohere => drop_nulls(document, &[]),
    }
}

/// An answer in a client's protocol, put together if it was streamed.
pub(crate) fn answer(client: Client, document: &mut Value) {
    match client {
        Client::OpenAiChat | Client::OpenAiCompletions => openai_chat::answer(document),
        Client::OpenAiResponses => openai_responses::answer(document),
        Client::Anthropic => anthropic::answer(document),
        Client::Gemini => gemini::answer(document),
    }
}

/// Takes away ids that were made up: those that the recording hides (`[id]`, `call_xxx`) or that the
/// provider's answer has not got.
pub(crate) fn drop_made_up_ids(ours: &mut Value, theirs: &mut Value, answer: &str) {
    const IDS: [&str; 3] = ["id", "call_id", "item_id"];
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for key in IDS {
                let theirs_is_real = theirs.get(key).and_then(Value::as_str).is_some_and(|id| {
                    !id.is_empty() && answer.contains(&Value::from(id).to_string())
                });
                if !theirs_is_real {
                    theirs.remove(key);
                    ours.remove(key);
                }
            }
            for (key, ours) in ours {
                if let Some(theirs) = theirs.get_mut(key) {
                    drop_made_up_ids(ours, theirs, answer);
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                drop_made_up_ids(ours, theirs, answer);
            }
        }
        _ => {}
    }
}

/// A member that is null is one that is absent; but not below these keys, which hold the user's own
/// JSON.
fn drop_nulls(value: &mut Value, opaque: &[&str]) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            for (_, value) in members.iter_mut().filter(|(key, _)| !opaque.contains(&key.as_str()))
            {
                drop_nulls(value, opaque);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| drop_nulls(value, opaque)),
        _ => {}
    }
}

/// Takes a member away if it says what its absence says.
fn drop_default(members: &mut Members, key: &str, default: impl Into<Value>) {
    if members.get(key) == Some(&default.into()) {
        members.remove(key);
    }
}

/// Takes a list away that has nothing in it.
fn drop_empty(members: &mut Members, key: &str) {
    drop_default(members, key, json!([]));
}

/// Does something to each object of a member's list, or to the one object that the member is.
fn each(members: &mut Members, key: &str, mut change: impl FnMut(&mut Members)) {
    match members.get_mut(key) {
        Some(Value::Array(list)) => {
            list.iter_mut().filter_map(Value::as_object_mut).for_each(change);
        }
        Some(Value::Object(one)) => change(one),
        _ => {}
    }
}

/// A text stands for a list of one part with this text.
fn parts_of_text(members: &mut Members, key: &str, kind: &str) {
    if let Some(Value::String(text)) = members.get(key) {
        let part = json!([{ "type": kind, "text": text }]);
        members.insert(key.into(), part);
    }
}

/// JSON in a text is compared as JSON.
fn read_json(members: &mut Members, key: &str) {
    if let Some(Value::String(text)) = members.get(key)
        && let Ok(document) = serde_json::from_str::<Value>(text)
    {
        members.insert(key.into(), json!({ "(JSON in a text)": document }));
    }
}

/// A count of zero is one that is not told, except of the totals.
fn drop_zeros(usage: &mut Members, totals: &[&str]) {
    for (key, value) in usage.iter_mut() {
        if let (Value::Object(details), false) = (value, totals.contains(&key.as_str())) {
            drop_zeros(details, &[]);
        }
    }
    usage.retain(|key, value| {
        totals.contains(&key.as_str()) || !(*value == json!(0) || *value == json!({}))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(value: &mut Value) -> &mut Members {
        value.as_object_mut().unwrap()
    }

    #[test]
    fn nulls_go_but_not_the_users_own() {
        let mut value = json!({ "a": null, "b": [null, { "c": null }], "schema": { "d": null } });
        drop_nulls(&mut value, &["schema"]);
        assert_eq!(value, json!({ "b": [null, {}], "schema": { "d": null } }));
    }

    #[test]
    fn json_in_a_text_is_no_json() {
        let mut text = json!({ "a": "{\"x\": 1}", "b": "{", "c": { "x": 1 } });
        ["a", "b", "c"].iter().for_each(|key| read_json(members(&mut text), key));
        assert_eq!(text.get("a"), Some(&json!({ "(JSON in a text)": { "x": 1 } })));
        assert_eq!((text.get("b"), text.get("c")), (Some(&json!("{")), Some(&json!({ "x": 1 }))));
    }

    #[test]
    fn zeros_of_details_go() {
        let mut usage =
            json!({ "total": 0, "more": 0, "details": { "a": 0 }, "other": { "b": 1 } });
        drop_zeros(members(&mut usage), &["total"]);
        assert_eq!(usage, json!({ "total": 0, "other": { "b": 1 } }));
    }

    #[test]
    fn an_id_counts_if_the_provider_gave_it() {
        let answer = r#"{"id":"real","x":"other"}"#;
        for (ours, theirs, left) in [
            ("real", "real", (true, true)),
            ("made up", "real", (true, true)),
            ("real", "[id]", (false, false)),
            ("a", "b", (false, false)),
            ("a", "", (false, false)),
        ] {
            let (mut a, mut b) = (json!([{ "id": ours }]), json!([{ "id": theirs }]));
            drop_made_up_ids(&mut a, &mut b, answer);
            let has = |value: &Value| value.pointer("/0/id").is_some();
            assert_eq!((has(&a), has(&b)), left, "{ours} {theirs}");
        }
    }
}
