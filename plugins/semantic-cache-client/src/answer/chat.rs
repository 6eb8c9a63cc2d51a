//! Chat Completions, <https://platform.openai.com/docs/api-reference/chat/streaming>.

use serde_json::Value;

use super::make::{Json, json, put};
use super::node::Node;
use super::{
    Events, Object, State, Step, Wanted, append, extend, indexed, list, list_mut, object_mut,
    pieces, string,
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
            (_, Value::Null) => {}
            // Padding against the guessing of lengths.
            ("obfuscation", _) => {}
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
            ("delta", Value::Object(delta)) => merge(object_mut(whole, "message")?, delta)?,
            ("delta" | "index", _) | (_, Value::Null) => {}
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

fn merge(message: &mut Object, delta: Object) -> Option<()> {
    for (key, value) in delta {
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            ("role", role) => {
                message.insert("role".into(), role);
            }
            ("tool_calls", Value::Array(calls)) => {
                let whole = list_mut(message, "tool_calls")?;
                for call in calls {
                    let Value::Object(call) = call else { return None };
                    let index = call.get("index").and_then(Value::as_u64)?;
                    merge_call(indexed(whole, index)?, call)?;
                }
            }
            ("function_call", Value::Object(call)) => {
                merge_call(object_mut(message, "function_call")?, call)?;
            }
            (_, Value::String(piece)) => append(message, &key, &piece),
            (_, Value::Array(items)) => extend(message, &key, items),
            // Of something new nobody knows how its pieces add up.
            _ => return None,
        }
    }
    Some(())
}

fn merge_call(whole: &mut Object, call: Object) -> Option<()> {
    for (key, value) in call {
        match (key.as_str(), value) {
            (_, Value::Null) | ("index", _) => {}
            ("function" | "custom", Value::Object(function)) => {
                merge_call(object_mut(whole, &key)?, function)?;
            }
            ("arguments" | "input", Value::String(piece)) => append(whole, &key, &piece),
            // Some servers repeat them in every chunk.
            ("id" | "type" | "name", Value::String(text)) => {
                whole.insert(key, text.into());
            }
            _ => return None,
        }
    }
    Some(())
}

/// Gives a stream's answer the form of a whole one.
pub(super) fn finish(answer: &mut Object) {
    answer.insert("object".into(), "chat.completion".into());
    let Some(choices) = list_mut(answer, "choices") else { return };
    for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
        choice.entry("logprobs").or_insert(Value::Null);
        let Some(message) = object_mut(choice, "message") else { continue };
        message.entry("role").or_insert_with(|| "assistant".into());
        let calls = message.contains_key("tool_calls") || message.contains_key("function_call");
        if calls && string(message, "content").is_empty() {
            message.insert("content".into(), Value::Null);
        }
        message.entry("content").or_insert(Value::Null);
        message.entry("refusal").or_insert(Value::Null);
        if let Some(calls) = message.get_mut("tool_calls").and_then(Value::as_array_mut) {
            for call in calls.iter_mut().filter_map(Value::as_object_mut) {
                call.remove("index");
            }
        }
    }
}

pub(super) fn good(answer: &Node<'_>, wanted: Wanted) -> bool {
    let choices = answer.list("choices");
    let whole = |choice: &Node<'_>| {
        let Some(message) = choice.object("message") else { return false };
        let finished = match &*choice.text("finish_reason") {
            "stop" => message.has_text("content"),
            "tool_calls" | "function_call" => wanted.tools,
            _ => false,
        };
        finished && !message.says("refusal")
    };
    !choices.is_empty() && choices.iter().all(whole)
}

pub(super) fn events(answer: &Object, include_usage: bool, out: &mut Events) {
    let mut head = answer.clone();
    head.remove("choices");
    head.remove("usage");
    put(&mut head, "object", "chat.completion.chunk".into());
    let chunk = |choices: Value| {
        let mut chunk = head.clone();
        put(&mut chunk, "choices", choices);
        if include_usage {
            put(&mut chunk, "usage", Value::Null);
        }
        Value::Object(chunk)
    };
    for choice in list(answer, "choices").iter().filter_map(Value::as_object) {
        let index = choice.get("index").cloned().unwrap_or_else(|| 0.into());
        let mut send = |delta: Value, probabilities: Value, finish: Value| {
            let choice = json!({
                "index": index, "delta": delta, "logprobs": probabilities, "finish_reason": finish
            });
            out.send(None, &chunk(json!([choice])));
        };
        let empty = Object::new();
        let message = choice.get("message").and_then(Value::as_object).unwrap_or(&empty);
        // Of an answer that only calls tools the text is null, in a stream as in a whole one.
        let silent = message.get("content").is_none_or(Value::is_null);
        let content = if silent { Value::Null } else { "".into() };
        send(json!({"role": "assistant", "content": content}), Value::Null, Value::Null);
        for key in ["reasoning_content", "reasoning"] {
            for piece in pieces(string(message, key)) {
                send(json!({ key: piece }), Value::Null, Value::Null);
            }
        }
        let probabilities = choice.get("logprobs").filter(|value| !value.is_null());
        for piece in pieces(string(message, "content")) {
            send(json!({ "content": piece }), Value::Null, Value::Null);
        }
        for (key, value) in message {
            match (key.as_str(), value) {
                ("role" | "content" | "reasoning_content" | "reasoning", _) | (_, Value::Null) => {}
                ("tool_calls", Value::Array(calls)) => {
                    for (index, call) in calls.iter().enumerate() {
                        let mut call = call.clone();
                        if let Some(call) = call.as_object_mut() {
                            call.insert("index".into(), index.into());
                        }
                        send(json!({ "tool_calls": json!([call]) }), Value::Null, Value::Null);
                    }
                }
                _ => send(json!({ key: value }), Value::Null, Value::Null),
            }
        }
        if let Some(probabilities) = probabilities {
            send(json!({}), probabilities.clone(), Value::Null);
        }
        let finish = choice.get("finish_reason").cloned().unwrap_or(Value::Null);
        send(json!({}), Value::Null, finish);
    }
    if let Some(usage) = answer.get("usage").filter(|usage| include_usage && !usage.is_null()) {
        let mut last = head.clone();
        put(&mut last, "choices", json!([]));
        put(&mut last, "usage", usage.clone());
        out.send(None, &Value::Object(last));
    }
    out.text(None, "[DONE]");
}
