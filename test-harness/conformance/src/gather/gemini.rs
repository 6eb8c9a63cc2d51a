//! Chunks of Gemini's become one answer.

use serde_json::{Map, Value, json};

use super::{Event, append, documents, index, text};

pub(super) fn gather(events: &[Event]) -> Value {
    let mut whole = Map::new();
    let mut candidates: Vec<Value> = Vec::new();
    for chunk in documents(events) {
        let Value::Object(mut chunk) = chunk else { continue };
        if let Some(Value::Array(list)) = chunk.remove("candidates") {
            list.into_iter().for_each(|candidate| add(&mut candidates, candidate));
        }
        whole.extend(chunk);
    }
    whole.insert("candidates".into(), candidates.into());
    whole.into()
}

fn add(candidates: &mut Vec<Value>, mut piece: Value) {
    let at = index(&piece, "index").min(candidates.len());
    if at == candidates.len() {
        candidates.push(json!({ "content": { "role": "model", "parts": [] } }));
    }
    let Some(candidate) = candidates.get_mut(at) else { return };
    let new = piece.pointer_mut("/content/parts").map(Value::take);
    if let (Some(Value::Array(new)), Some(Value::Array(parts))) =
        (new, candidate.pointer_mut("/content/parts"))
    {
        new.into_iter().for_each(|part| add_part(parts, part));
    }
    if let (Value::Object(piece), Value::Object(candidate)) = (piece, candidate) {
        candidate.extend(piece.into_iter().filter(|(key, _)| key != "content"));
    }
}

/// Neighbouring texts of one kind are pieces of one text.
fn add_part(parts: &mut Vec<Value>, part: Value) {
    let plain = |part: &Value| {
        part.as_object()
            .is_some_and(|part| part.keys().all(|key| matches!(key.as_str(), "text" | "thought")))
    };
    if let Some(last) = parts.last_mut()
        && plain(last)
        && plain(&part)
        && last.get("thought") == part.get("thought")
        && let Some(last) = last.as_object_mut()
    {
        return append(last, "text", text(&part, "text"));
    }
    parts.push(part);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::events;

    #[test]
    fn texts_are_joined() {
        let chunk = |parts: Value, finish: Value| {
            let content = json!({ "role": "model", "parts": parts });
            let candidate = json!({ "content": content, "finishReason": finish });
            format!("data: {}\n\n", json!({ "candidates": [candidate], "modelVersion": "m" }))
        };
        let stream = [
            chunk(json!([{ "text": "a", "thought": true }]), json!(null)),
            chunk(json!([{ "text": "b", "thought": true }, { "text": "c" }]), json!(null)),
            chunk(json!([{ "text": "d" }]), json!("STOP")),
        ];
        let parts = json!([{ "text": "ab", "thought": true }, { "text": "cd" }]);
        let candidate =
            json!({ "content": { "role": "model", "parts": parts }, "finishReason": "STOP" });
        let whole = json!({ "candidates": [candidate], "modelVersion": "m" });
        assert_eq!(gather(&events(&stream.concat())), whole);
    }
}
