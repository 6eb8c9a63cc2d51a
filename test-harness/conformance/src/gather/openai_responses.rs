//! Events of Responses become the items that they tell of piece by piece (`items`), beside the
//! response that the last event holds (`response`). Its clients go by the `type` in the data, not by
//! the event's name.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Event, append, documents, index, text};

#[derive(Default)]
struct Item {
    head: Map<String, Value>,
    parts: BTreeMap<usize, Map<String, Value>>,
    summary: BTreeMap<usize, String>,
    closed: bool,
}

pub(super) fn gather(events: &[Event]) -> Value {
    let mut items: BTreeMap<usize, Item> = BTreeMap::new();
    let mut whole = Map::new();
    let mut number = None;
    for event in documents(events) {
        let kind = text(&event, "type").to_owned();
        if let Some(at) = event.get("sequence_number").and_then(Value::as_u64) {
            if number.is_some_and(|last| at != last + 1) {
                whole.insert("misnumbered".into(), at.into());
            }
            number = Some(at);
        }
        match kind.as_str() {
            "response.completed" | "response.incomplete" | "response.failed" => {
                whole.insert("ended".into(), kind.into());
                whole.insert("response".into(), event.get("response").cloned().into());
            }
            "error" => {
                whole.insert("error".into(), event);
            }
            _ if event.get("output_index").is_some() => {
                add(items.entry(index(&event, "output_index")).or_default(), &kind, &event);
            }
            _ => {}
        }
    }
    let items = items.into_values().map(finished);
    whole.insert("items".into(), items.collect());
    whole.into()
}

fn add(item: &mut Item, kind: &str, event: &Value) {
    let delta = text(event, "delta");
    let at = index(event, "content_index");
    let mut part = |kind: &str, key: &str| {
        let part = item.parts.entry(at).or_default();
        part.insert("type".into(), kind.into());
        append(part, key, delta);
    };
    match kind {
        "response.output_item.added" => {
            if let Some(Value::Object(head)) = event.get("item") {
                item.head = head.clone();
                // They come piece by piece.
                for key in ["content", "summary", "arguments", "input", "status"] {
                    item.head.remove(key);
                }
            }
        }
        "response.output_item.done" => item.closed = true,
        "response.output_text.delta" => part("output_text", "text"),
        "response.refusal.delta" => part("refusal", "refusal"),
        "response.reasoning_text.delta" => part("reasoning_text", "text"),
        "response.reasoning_summary_text.delta" => {
            item.summary.entry(index(event, "summary_index")).or_default().push_str(delta);
        }
        "response.function_call_arguments.delta" => append(&mut item.head, "arguments", delta),
        "response.custom_tool_call_input.delta" => append(&mut item.head, "input", delta),
        _ => {}
    }
}

fn finished(item: Item) -> Value {
    let mut whole = item.head;
    if !item.parts.is_empty() {
        let parts = item.parts.into_values().map(Value::Object);
        whole.insert("content".into(), parts.collect());
    }
    if !item.summary.is_empty() {
        whole.insert("summary".into(), item.summary.into_values().collect());
    }
    if item.closed {
        whole.insert("closed".into(), true.into());
    }
    whole.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gather::events;

    #[test]
    fn items_are_put_together() {
        let item = json!({ "type": "message", "content": [], "status": "in_progress" });
        let delta = |piece: &str| {
            json!({ "type": "response.output_text.delta", "output_index": 0, "content_index": 0,
                "delta": piece })
        };
        let stream: String = [
            json!({ "type": "response.created", "response": {}, "sequence_number": 0 }),
            json!({ "type": "response.output_item.added", "output_index": 0, "item": item }),
            delta("a"),
            delta("b"),
            json!({ "type": "response.output_item.done", "output_index": 0, "item": {} }),
            json!({ "type": "response.completed", "response": { "status": "completed" } }),
        ]
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect();
        let content = json!([{ "type": "output_text", "text": "ab" }]);
        let whole = json!({
            "items": [{ "type": "message", "content": content, "closed": true }],
            "response": { "status": "completed" },
            "ended": "response.completed",
        });
        assert_eq!(gather(&events(&stream)), whole);
    }

    #[test]
    fn a_gap_in_the_numbers_shows() {
        let stream = "data: {\"sequence_number\":1}\n\ndata: {\"sequence_number\":3}\n\n";
        assert_eq!(gather(&events(stream)), json!({ "items": [], "misnumbered": 3 }));
    }
}
