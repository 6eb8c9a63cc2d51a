//! Anthropic's events become a Message; each block says whether it was closed.

use serde_json::{Map, Value};

use super::{Event, append, documents, index, text};

pub(super) fn gather(events: &[Event]) -> Value {
    let mut whole = Map::new();
    let mut blocks: Vec<Map<String, Value>> = Vec::new();
    let mut usage = Map::new();
    for (event, document) in events.iter().zip(documents(events)) {
        // Clients of Anthropic's go by the event's name.
        if event.name.as_deref().unwrap_or_default() != text(&document, "type") {
            whole.insert("misnamed".into(), document);
            continue;
        }
        let Value::Object(mut document) = document else { continue };
        let at = index(&Value::Object(document.clone()), "index");
        let mut take = |key: &str| match document.remove(key) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        match event.name.as_deref().unwrap_or_default() {
            "message_start" => {
                let mut message = take("message");
                usage.extend(counts(&mut message));
                message.remove("content");
                whole.extend(message);
            }
            "content_block_start" => {
                if at != blocks.len() {
                    whole.insert("misplaced".into(), at.into());
                }
                let mut block = take("content_block");
                // The arguments come as text.
                if block.get("type").is_some_and(|kind| kind == "tool_use") {
                    block.remove("input");
                }
                blocks.push(block);
            }
            "content_block_delta" => match blocks.get_mut(at) {
                Some(block) => add(block, take("delta")),
                None => {
                    whole.insert("misplaced".into(), at.into());
                }
            },
            "content_block_stop" => {
                if let Some(block) = blocks.get_mut(at) {
                    block.insert("closed".into(), true.into());
                }
            }
            "message_delta" => {
                whole.extend(take("delta"));
                usage.extend(take("usage"));
            }
            "message_stop" => {
                whole.insert("ended".into(), true.into());
            }
            "error" => {
                whole.insert("error".into(), take("error").into());
            }
            _ => {}
        }
    }
    let blocks = blocks.into_iter().map(finished);
    whole.insert("content".into(), blocks.collect());
    whole.insert("usage".into(), usage.into());
    whole.into()
}

fn counts(message: &mut Map<String, Value>) -> Map<String, Value> {
    match message.remove("usage") {
        Some(Value::Object(usage)) => usage,
        _ => Map::new(),
    }
}

fn add(block: &mut Map<String, Value>, delta: Map<String, Value>) {
    for (key, value) in delta {
        match value {
            Value::String(piece) if key != "type" => append(block, &key, &piece),
            value if key != "type" => {
                block.insert(key, value);
            }
            _ => {}
        }
    }
}

/// A call's arguments, which must be JSON.
fn finished(mut block: Map<String, Value>) -> Value {
    if block.get("type").is_some_and(|kind| kind == "tool_use") {
        let input = block.remove("partial_json").unwrap_or_else(|| "{}".into());
        let json = input.as_str().and_then(|text| serde_json::from_str(text).ok());
        block.insert("input".into(), json.unwrap_or(input));
    }
    block.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gather::events;

    fn event(data: Value) -> String {
        format!("event: {}\ndata: {data}\n\n", text(&data, "type"))
    }

    fn delta(at: usize, delta: Value) -> String {
        event(json!({ "type": "content_block_delta", "index": at, "delta": delta }))
    }

    #[test]
    fn blocks_are_put_together() {
        let call = json!({ "type": "tool_use", "id": "c", "name": "f", "input": {} });
        let usage = json!({ "input_tokens": 1, "output_tokens": 1 });
        let message = json!({ "id": "m", "content": [], "stop_reason": null, "usage": usage });
        let stream = [
            event(json!({ "type": "message_start", "message": message })),
            event(json!({ "type": "content_block_start", "index": 0, "content_block": call })),
            delta(0, json!({ "type": "input_json_delta", "partial_json": "{\"a\"" })),
            delta(0, json!({ "type": "input_json_delta", "partial_json": ":1}" })),
            event(json!({ "type": "content_block_stop", "index": 0 })),
            event(json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" },
                "usage": { "output_tokens": 9 } })),
            event(json!({ "type": "message_stop" })),
        ];
        let block = json!({ "type": "tool_use", "id": "c", "name": "f", "input": { "a": 1 },
            "closed": true });
        let whole = json!({
            "id": "m",
            "content": [block],
            "stop_reason": "tool_use",
            "usage": { "input_tokens": 1, "output_tokens": 9 },
            "ended": true,
        });
        assert_eq!(gather(&events(&stream.concat())), whole);
    }

    #[test]
    fn what_is_against_the_protocol_shows() {
        let text = json!({ "type": "text", "text": "" });
        let open =
            event(json!({ "type": "content_block_start", "index": 0, "content_block": text }));
        let whole = gather(&events(&open));
        assert_eq!(whole, json!({ "content": [{ "type": "text", "text": "" }], "usage": {} }));
        let whole = gather(&events(&delta(3, json!({ "type": "text_delta", "text": "a" }))));
        assert_eq!(whole.get("misplaced"), Some(&json!(3)));
        let whole = gather(&events("data: {\"type\":\"message_stop\"}\n\n"));
        assert!(whole.get("misnamed").is_some() && whole.get("ended").is_none());
    }
}
