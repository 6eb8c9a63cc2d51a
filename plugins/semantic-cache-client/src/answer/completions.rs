//! Completions, <https://platform.openai.com/docs/api-reference/completions>: a chunk has the form of a
//! whole answer.

use serde_json::Value;

use super::make::{Json, json, put};
use super::node::Node;
use super::{
    Events, Object, State, Step, append, extend, indexed, list, list_mut, object_mut, pieces,
    string,
};

/// Adds a chunk.
pub(super) fn add(state: &mut State, event: Object) -> Step {
    if event.contains_key("error") {
        return Step::Odd;
    }
    for (key, value) in event {
        match (key.as_str(), value) {
            ("choices", Value::Array(choices)) => {
                for choice in choices {
                    if self::choice(&mut state.answer, choice).is_none() {
                        return Step::Odd;
                    }
                }
            }
            (_, Value::Null) | ("obfuscation", _) => {}
            (_, value) => {
                state.answer.insert(key, value);
            }
        }
    }
    Step::More
}

fn choice(answer: &mut Object, choice: Value) -> Option<()> {
    let Value::Object(choice) = choice else { return None };
    let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
    let whole = indexed(list_mut(answer, "choices")?, index)?;
    for (key, value) in choice {
        match (key.as_str(), value) {
            ("index", _) | (_, Value::Null) => {}
            ("text", Value::String(piece)) => append(whole, "text", &piece),
            ("logprobs", Value::Object(probabilities)) => {
                let whole = object_mut(whole, "logprobs")?;
                for (key, value) in probabilities {
                    match value {
                        Value::Array(items) => extend(whole, &key, items),
                        Value::Null => {}
                        _ => return None,
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

/// Gives a stream's answer the form of a whole one.
pub(super) fn finish(answer: &mut Object) {
    answer.insert("object".into(), "text_completion".into());
    let Some(choices) = list_mut(answer, "choices") else { return };
    for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
        choice.entry("logprobs").or_insert(Value::Null);
        choice.entry("text").or_insert_with(|| "".into());
    }
}

pub(super) fn good(answer: &Node<'_>) -> bool {
    let choices = answer.list("choices");
    let whole =
        |choice: &Node<'_>| choice.text("finish_reason") == "stop" && choice.has_text("text");
    !choices.is_empty() && choices.iter().all(whole)
}

pub(super) fn events(answer: &Object, include_usage: bool, out: &mut Events) {
    let mut head = answer.clone();
    head.remove("choices");
    let usage = head.remove("usage").filter(|usage| include_usage && !usage.is_null());
    let chunk = |choices: Value| {
        let mut chunk = head.clone();
        put(&mut chunk, "choices", choices);
        Value::Object(chunk)
    };
    for choice in list(answer, "choices").iter().filter_map(Value::as_object) {
        let index = choice.get("index").cloned().unwrap_or_else(|| 0.into());
        let mut send = |text: &str, probabilities: &Value, finish: &Value| {
            out.send(
                None,
                &chunk(json!([json!({
                    "index": index, "text": text, "logprobs": probabilities, "finish_reason": finish
                })])),
            );
        };
        for piece in pieces(string(choice, "text")) {
            send(piece, &Value::Null, &Value::Null);
        }
        let null = Value::Null;
        let member = |key: &str| choice.get(key).unwrap_or(&null);
        send("", member("logprobs"), member("finish_reason"));
    }
    if let Some(usage) = usage {
        let mut last = head.clone();
        put(&mut last, "choices", json!([]));
        put(&mut last, "usage", usage);
        out.send(None, &Value::Object(last));
    }
    out.text(None, "[DONE]");
}
