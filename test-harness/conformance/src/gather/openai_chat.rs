//! Chunks of Chat Completions become a completion.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Event, append, documents, index};

#[derive(Default)]
struct Choice {
    message: Map<String, Value>,
    calls: BTreeMap<usize, Map<String, Value>>,
    finish: Option<Value>,
    logprobs: Vec<Value>,
}

pub(super) fn gather(events: &[Event]) -> Value {
    let mut whole = Map::new();
    let mut choices: BTreeMap<usize, Choice> = BTreeMap::new();
    for chunk in documents(events) {
        if chunk == "[DONE]" {
            whole.insert("ended".into(), true.into());
            continue;
        }
        let Value::Object(mut chunk) = chunk else { continue };
        if let Some(Value::Array(list)) = chunk.remove("choices") {
            list.into_iter().for_each(|part| add(&mut choices, part));
        }
        // Each chunk repeats the answer's head; the token counts come last.
        let said = chunk.into_iter().filter(|(_, value)| !value.is_null());
        whole.extend(said.filter(|(key, _)| key != "object"));
    }
    let choices = choices.into_iter().map(|(at, choice)| finished(at, choice));
    whole.insert("choices".into(), choices.collect());
    whole.into()
}

fn add(choices: &mut BTreeMap<usize, Choice>, mut part: Value) {
    let choice = choices.entry(index(&part, "index")).or_default();
    let finish = part.get("finish_reason").filter(|reason| !reason.is_null());
    choice.finish = finish.cloned().or(choice.finish.take());
    if let Some(Value::Array(tokens)) = part.pointer_mut("/logprobs/content") {
        choice.logprobs.append(tokens);
    }
    let Some(Value::Object(delta)) = part.get_mut("delta").map(Value::take) else { return };
    for (key, value) in delta {
        match value {
            Value::Null => {}
            Value::Array(calls) if key == "tool_calls" => {
                calls.into_iter().for_each(|call| add_call(&mut choice.calls, call));
            }
            Value::String(piece) if key != "role" => append(&mut choice.message, &key, &piece),
            Value::Array(mut list) => match choice.message.get_mut(&key) {
                Some(Value::Array(all)) => all.append(&mut list),
                _ => {
                    choice.message.insert(key, list.into());
                }
            },
            value => {
                choice.message.insert(key, value);
            }
        }
    }
}

fn add_call(calls: &mut BTreeMap<usize, Map<String, Value>>, piece: Value) {
    let call = calls.entry(index(&piece, "index")).or_default();
    let Value::Object(piece) = piece else { return };
    for (key, value) in piece {
        match value {
            Value::Object(function) if key == "function" => {
                let whole = call.entry(key).or_insert_with(|| Map::new().into());
                let Some(whole) = whole.as_object_mut() else { continue };
                for (key, value) in function {
                    match value {
                        Value::String(piece) => append(whole, &key, &piece),
                        Value::Null => {}
                        value => {
                            whole.insert(key, value);
                        }
                    }
                }
            }
            Value::Null => {}
            value if key != "index" => {
                call.insert(key, value);
            }
            _ => {}
        }
    }
}

fn finished(at: usize, mut choice: Choice) -> Value {
    if !choice.calls.is_empty() {
        let calls = choice.calls.into_values().map(Value::Object);
        choice.message.insert("tool_calls".into(), calls.collect());
    }
    let mut whole = Map::new();
    whole.insert("index".into(), at.into());
    whole.insert("message".into(), choice.message.into());
    whole.insert("finish_reason".into(), choice.finish.into());
    if !choice.logprobs.is_empty() {
        whole.insert("logprobs".into(), choice.logprobs.into());
    }
    whole.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gather::events;

    fn chunk(delta: Value, finish: Value) -> String {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        format!("data: {}\n\n", json!({ "id": "1", "choices": [choice], "usage": null }))
    }

    #[test]
    fn pieces_are_joined() {
        let call = |piece: Value| json!({ "tool_calls": [piece] });
        let stream = [
            chunk(json!({ "role": "assistant", "content": "" }), json!(null)),
            chunk(json!({ "content": "a" }), json!(null)),
            chunk(json!({ "content": "b" }), json!(null)),
            chunk(call(json!({ "index": 0, "id": "c", "function": { "name": "f" } })), json!(null)),
            chunk(call(json!({ "index": 0, "function": { "arguments": "{" } })), json!(null)),
            chunk(call(json!({ "index": 0, "function": { "arguments": "}" } })), json!(null)),
            chunk(json!({}), json!("tool_calls")),
            "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n".into(),
        ];
        let message = json!({
            "role": "assistant",
            "content": "ab",
            "tool_calls": [{ "id": "c", "function": { "name": "f", "arguments": "{}" } }],
        });
        let whole = json!({
            "id": "1",
            "choices": [{ "index": 0, "message": message, "finish_reason": "tool_calls" }],
            "usage": { "total_tokens": 3 },
        });
        assert_eq!(gather(&events(&stream.concat())), whole);
        let ended = gather(&events(&(stream.concat() + "data: [DONE]\n\n")));
        assert_eq!(ended.get("ended"), Some(&json!(true)));
    }
}
