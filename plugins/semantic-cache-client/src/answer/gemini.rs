//! Gemini, <https://ai.google.dev/api/generate-content>: an event of a stream has the form of a whole
//! answer and goes on where the last one ended.

use serde_json::Value;

use super::make::{Json, json, put};
use super::node::Node;
use super::{
    Events, Object, State, Step, Wanted, append, indexed, list, list_mut, object_mut, pieces,
};

/// Adds an event.
pub(super) fn add(state: &mut State, event: Object) -> Step {
    if event.contains_key("error") {
        return Step::Odd;
    }
    for (key, value) in event {
        match (key.as_str(), value) {
            ("candidates", Value::Array(candidates)) => {
                for candidate in candidates {
                    if self::candidate(&mut state.answer, candidate).is_none() {
                        return Step::Odd;
                    }
                }
            }
            (_, Value::Null) => {}
            (_, value) => {
                state.answer.insert(key, value);
            }
        }
    }
    Step::More
}

fn candidate(answer: &mut Object, candidate: Value) -> Option<()> {
    let Value::Object(candidate) = candidate else { return None };
    let index = candidate.get("index").and_then(Value::as_u64).unwrap_or(0);
    let whole = indexed(list_mut(answer, "candidates")?, index)?;
    // Nothing comes after the end.
    if whole.contains_key("finishReason") {
        return None;
    }
    for (key, value) in candidate {
        match (key.as_str(), value) {
            ("index", _) | (_, Value::Null) => {}
            ("content", Value::Object(content)) => {
                let whole = object_mut(whole, "content")?;
                for (key, value) in content {
                    match (key.as_str(), value) {
                        ("parts", Value::Array(parts)) => {
                            let whole = list_mut(whole, "parts")?;
                            parts.into_iter().for_each(|part| self::part(whole, part));
                        }
                        (_, value) => {
                            whole.insert(key, value);
                        }
                    }
                }
            }
            (_, value) => {
                whole.insert(key, value);
            }
        }
    }
    Some(())
}

/// Whether a part is a text and nothing else but, maybe, a thought.
fn plain(part: &Value) -> Option<bool> {
    let part = part.as_object()?;
    let only = part.keys().all(|key| key == "text" || key == "thought");
    (only && part.get("text").is_some_and(Value::is_string))
        .then(|| part.get("thought") == Some(&true.into()))
}

/// Goes on with the last part where both are texts.
fn part(parts: &mut Vec<Value>, part: Value) {
    if let (Some(last), Some(kind)) = (parts.last_mut(), plain(&part))
        && plain(last) == Some(kind)
        && let (Some(last), Some(text)) =
            (last.as_object_mut(), part.get("text").and_then(Value::as_str))
    {
        append(last, "text", text);
        return;
    }
    parts.push(part);
}

pub(super) fn good(answer: &Node<'_>, wanted: Wanted) -> bool {
    let candidates = answer.list("candidates");
    let blocked =
        answer.object("promptFeedback").is_some_and(|feedback| feedback.has("blockReason"));
    let whole = |candidate: &Node<'_>| {
        let content = candidate.object("content");
        let parts = content.map(|content| content.list("parts")).unwrap_or_default();
        let calls = parts.iter().any(|part| part.has("functionCall"));
        let said = parts.iter().any(|part| part.has_text("text") && !part.has("thought"));
        let allowed = wanted.tools || !calls;
        candidate.text("finishReason") == "STOP" && (said || calls) && allowed
    };
    !candidates.is_empty() && !blocked && candidates.iter().all(whole)
}

pub(super) fn events(answer: &Object, out: &mut Events) {
    let mut head = answer.clone();
    head.remove("candidates");
    let usage = head.remove("usageMetadata");
    let feedback = head.remove("promptFeedback");
    let candidates: Vec<&Object> =
        list(answer, "candidates").iter().filter_map(Value::as_object).collect();
    for (number, candidate) in candidates.iter().enumerate() {
        let index = candidate.get("index").cloned().unwrap_or_else(|| 0.into());
        let empty = Object::new();
        let content = candidate.get("content").and_then(Value::as_object).unwrap_or(&empty);
        let role = content.get("role").cloned().unwrap_or_else(|| "model".into());
        let mut parts: Vec<Value> = Vec::new();
        for part in list(content, "parts") {
            match plain(part) {
                None => parts.push(part.clone()),
                Some(thought) => {
                    for piece in
                        pieces(part.get("text").and_then(Value::as_str).unwrap_or_default())
                    {
                        parts.push(if thought {
                            json!({ "text": piece, "thought": true })
                        } else {
                            json!({ "text": piece })
                        });
                    }
                }
            }
        }
        // The last event says something too: Google's chats forget answers with one that does not.
        let last = parts.len().saturating_sub(1);
        for (at, part) in parts.into_iter().enumerate() {
            let mut event = head.clone();
            let mut said = if at == last { (*candidate).clone() } else { Object::new() };
            put(&mut said, "index", index.clone());
            put(&mut said, "content", json!({ "role": role, "parts": json!([part]) }));
            put(&mut event, "candidates", json!([said]));
            if at == last && number + 1 == candidates.len() {
                for (key, value) in [("usageMetadata", &usage), ("promptFeedback", &feedback)] {
                    if let Some(value) = value {
                        event.insert(key.into(), value.clone());
                    }
                }
            }
            out.send(None, &Value::Object(event));
        }
    }
}
