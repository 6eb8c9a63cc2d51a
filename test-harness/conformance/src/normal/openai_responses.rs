//! OpenAI Responses, <https://platform.openai.com/docs/api-reference/responses>.

use serde_json::{Value, json};

use super::{
    Members, drop_default, drop_empty, drop_nulls, drop_zeros, each, parts_of_text, read_json,
};

/// Members of a response that only repeat the request.
const REPEATED: [&str; 3] = ["tools", "tool_choice", "parallel_tool_calls"];

pub(super) fn request(document: &mut Value) {
    drop_nulls(document, &["parameters", "schema"]);
    let Some(root) = document.as_object_mut() else { return };
    drop_default(root, "stream", false);
    drop_default(root, "parallel_tool_calls", true);
    drop_default(root, "text", json!({ "format": { "type": "text" } }));
    drop_empty(root, "tools");
    drop_default(root, "tool_choice", "auto");
    // "A text input to the model, equivalent to a text input with the `user` role."
    if let Some(Value::String(text)) = root.get("input") {
        let list = json!([{ "role": "user", "content": text }]);
        root.insert("input".into(), list);
    }
    // "A system (or developer) message inserted into the model's context", before all others.
    if let Some(Value::String(text)) = root.remove("instructions")
        && let Some(Value::Array(items)) = root.get_mut("input")
    {
        items.insert(0, json!({ "role": "system", "content": text }));
    }
    each(root, "input", |item| {
        if item.contains_key("role") {
            item.entry("type").or_insert_with(|| "message".into());
        }
        // "Populated when items are returned via API."
        item.remove("status");
        let said = item.get("role").is_some_and(|role| role == "assistant");
        parts_of_text(item, "content", if said { "output_text" } else { "input_text" });
        parts_of_text(item, "output", "input_text");
        each(item, "content", |part| {
            if part.get("type").is_some_and(|kind| kind == "input_image") {
                drop_default(part, "detail", "auto");
            }
            drop_empty(part, "annotations");
        });
        calls(item);
    });
}

fn calls(item: &mut Members) {
    if item.get("type").is_some_and(|kind| kind == "function_call") {
        read_json(item, "arguments");
    }
}

pub(super) fn answer(document: &mut Value) {
    drop_nulls(document, &[]);
    let Some(root) = document.as_object_mut() else { return };
    // A stream: its items, and the response of its last event.
    each(root, "items", item);
    each(root, "response", response);
    response(root);
}

fn response(root: &mut Members) {
    root.remove("created_at");
    root.remove("completed_at");
    REPEATED.iter().for_each(|key| {
        root.remove(*key);
    });
    each(root, "output", item);
    each(root, "usage", |usage| {
        drop_zeros(usage, &["input_tokens", "output_tokens", "total_tokens"]);
    });
}

fn item(item: &mut Members) {
    calls(item);
    each(item, "content", |part| {
        drop_empty(part, "annotations");
        drop_empty(part, "logprobs");
    });
    if item.get("type").is_some_and(|kind| kind == "reasoning") {
        drop_empty(item, "content");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(input: Value) -> Value {
        let mut document = json!({ "input": input });
        request(&mut document);
        document
    }

    #[test]
    fn a_text_is_a_message_of_the_user() {
        let part = json!({ "type": "input_text", "text": "a" });
        let long = json!([{ "type": "message", "role": "user", "content": [part] }]);
        assert_eq!(normal(json!("a")), normal(long.clone()));
        assert_eq!(normal(json!([{ "role": "user", "content": "a" }])), normal(long.clone()));
        assert_ne!(normal(json!([{ "role": "developer", "content": "a" }])), normal(long));
    }

    #[test]
    fn instructions_are_the_first_message() {
        let message = json!({ "role": "system", "content": "a" });
        let mut document = json!({ "input": "b", "instructions": "a" });
        request(&mut document);
        assert_eq!(document, normal(json!([message, { "role": "user", "content": "b" }])));
        assert_ne!(document, normal(json!([{ "role": "user", "content": "b" }, message])));
    }

    #[test]
    fn a_result_is_a_text_or_a_list() {
        let result = |output: Value| json!([{ "type": "function_call_output", "call_id": "c", "output": output }]);
        let list = json!([{ "type": "input_text", "text": "a" }]);
        assert_eq!(normal(result(json!("a"))), normal(result(list)));
        assert_ne!(normal(result(json!("a"))), normal(result(json!("b"))));
    }

    #[test]
    fn what_repeats_the_request_is_no_answer() {
        let part = json!({ "type": "output_text", "text": "a", "annotations": [], "logprobs": [] });
        let mut whole = json!({
            "created_at": 1,
            "tools": [],
            "output": [{ "type": "message", "content": [part] }],
            "status": "completed",
            "error": null,
        });
        answer(&mut whole);
        let part = json!({ "type": "output_text", "text": "a" });
        let output = json!([{ "type": "message", "content": [part] }]);
        assert_eq!(whole, json!({ "output": output, "status": "completed" }));
    }
}
