//! Responses, <https://platform.openai.com/docs/api-reference/responses-streaming>. The last event of a
//! stream has the whole answer.

use serde_json::Value;

use super::make::{Json, json, put};
use super::node::Node;
use super::{Events, Object, State, Step, Wanted, list, pieces, string};

/// Adds an event.
pub(super) fn add(state: &mut State, mut event: Object) -> Step {
    match string(&event, "type") {
        "response.completed" => match event.remove("response") {
            Some(Value::Object(response)) => {
                state.answer = response;
                Step::End
            }
            _ => Step::Odd,
        },
        "error" | "response.failed" | "response.incomplete" | "" => Step::Odd,
        _ => Step::More,
    }
}

pub(super) fn good(answer: &Node<'_>, wanted: Wanted) -> bool {
    let mut said = false;
    for item in answer.list("output") {
        let kind = item.text("type");
        // Of other items nobody knows which events stand for them.
        match &*kind {
            "message" | "reasoning" => {}
            "function_call" if wanted.tools => said = true,
            _ => return false,
        }
        for part in item.list("content") {
            match &*part.text("type") {
                "refusal" => return false,
                "output_text" => said |= kind == "message" && part.has_text("text"),
                _ => {}
            }
        }
    }
    said && answer.text("status") == "completed"
}

/// Sends events, each with its number.
struct Numbered<'a> {
    out: &'a mut Events,
    next: u64,
}

impl Numbered<'_> {
    fn send(&mut self, kind: &str, mut event: Value) {
        if let Some(event) = event.as_object_mut() {
            event.insert("type".into(), kind.into());
            event.insert("sequence_number".into(), self.next.into());
        }
        self.next = self.next.saturating_add(1);
        self.out.send(Some(kind), &event);
    }
}

pub(super) fn events(answer: &Object, out: &mut Events) {
    let mut out = Numbered { out, next: 0 };
    let mut begun = answer.clone();
    put(&mut begun, "status", "in_progress".into());
    put(&mut begun, "output", json!([]));
    put(&mut begun, "usage", Value::Null);
    begun.remove("output_text");
    out.send("response.created", json!({ "response": begun }));
    out.send("response.in_progress", json!({ "response": begun }));
    for (index, item) in list(answer, "output").iter().enumerate() {
        if let Some(item) = item.as_object() {
            self::item(item, index, &mut out);
        }
    }
    out.send("response.completed", json!({ "response": answer }));
}

fn item(item: &Object, index: usize, out: &mut Numbered<'_>) {
    let mut begun = item.clone();
    if begun.contains_key("status") {
        put(&mut begun, "status", "in_progress".into());
    }
    for key in ["content", "summary"] {
        if begun.get(key).is_some_and(Value::is_array) {
            put(&mut begun, key, json!([]));
        }
    }
    if begun.contains_key("arguments") {
        put(&mut begun, "arguments", "".into());
    }
    out.send("response.output_item.added", json!({ "output_index": index, "item": begun }));
    let id = string(item, "id");
    if string(item, "type") == "function_call" {
        let arguments = string(item, "arguments");
        let place = json!({ "output_index": index, "item_id": id });
        for piece in pieces(arguments) {
            out.send("response.function_call_arguments.delta", with(&place, "delta", piece.into()));
        }
        let mut done = with(&place, "arguments", arguments.into());
        done = with(&done, "name", string(item, "name").into());
        out.send("response.function_call_arguments.done", done);
    }
    for (part, summary) in list(item, "summary").iter().enumerate() {
        let place = json!({ "output_index": index, "item_id": id, "summary_index": part });
        let text = summary.get("text").and_then(Value::as_str).unwrap_or_default();
        let empty = json!({ "type": "summary_text", "text": "" });
        out.send("response.reasoning_summary_part.added", with(&place, "part", empty));
        for piece in pieces(text) {
            out.send("response.reasoning_summary_text.delta", with(&place, "delta", piece.into()));
        }
        out.send("response.reasoning_summary_text.done", with(&place, "text", text.into()));
        out.send("response.reasoning_summary_part.done", with(&place, "part", summary.clone()));
    }
    for (number, part) in list(item, "content").iter().enumerate() {
        content(
            part,
            &json!({ "output_index": index, "item_id": id, "content_index": number }),
            out,
        );
    }
    out.send("response.output_item.done", json!({ "output_index": index, "item": item }));
}

fn content(part: &Value, place: &Value, out: &mut Numbered<'_>) {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
    let (key, name) = match kind {
        "output_text" => ("text", "response.output_text"),
        "reasoning_text" => ("text", "response.reasoning_text"),
        _ => return,
    };
    let text = part.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut empty = part.clone();
    if let Some(empty) = empty.as_object_mut() {
        empty.insert(key.into(), "".into());
        if empty.contains_key("annotations") {
            empty.insert("annotations".into(), json!([]));
        }
    }
    out.send("response.content_part.added", with(place, "part", empty));
    let is_text = kind == "output_text";
    for piece in pieces(text) {
        let mut delta = with(place, "delta", piece.into());
        if is_text {
            delta = with(&delta, "logprobs", json!([]));
        }
        out.send(&format!("{name}.delta"), delta);
    }
    let annotations = part.get("annotations").and_then(Value::as_array);
    for (number, annotation) in annotations.into_iter().flatten().enumerate() {
        let event = with(place, "annotation_index", number.into());
        let event = with(&event, "annotation", annotation.clone());
        out.send("response.output_text.annotation.added", event);
    }
    let mut done = with(place, key, text.into());
    if is_text {
        done = with(&done, "logprobs", part.get("logprobs").cloned().unwrap_or_else(|| json!([])));
    }
    out.send(&format!("{name}.done"), done);
    out.send("response.content_part.done", with(place, "part", part.clone()));
}

fn with(event: &Value, key: &str, value: Value) -> Value {
    let mut event = event.clone();
    if let Some(event) = event.as_object_mut() {
        event.insert(key.into(), value);
    }
    event
}
