//! OpenAI Chat Completions, <https://platform.openai.com/docs/api-reference/chat>.

use serde_json::{Value, json};

use super::{
    Members, drop_default, drop_empty, drop_nulls, drop_zeros, each, parts_of_text, read_json,
};

pub(super) fn request(document: &mut Value) {
    drop_nulls(document, &["parameters", "schema"]);
    let Some(root) = document.as_object_mut() else { return };
    drop_default(root, "stream", false);
    drop_default(root, "n", 1);
    drop_default(root, "parallel_tool_calls", true);
    drop_default(root, "response_format", json!({ "type": "text" }));
    // "`none` is the default when no tools are present. `auto` is the default if tools are present."
    drop_empty(root, "tools");
    let default = if root.contains_key("tools") { "auto" } else { "none" };
    drop_default(root, "tool_choice", default);
    if let Some(Value::String(stop)) = root.get("stop") {
        let list = json!([stop]);
        root.insert("stop".into(), list);
    }
    drop_empty(root, "stop");
    each(root, "messages", message);
    each(root, "tools", |tool| each(tool, "function", function));
    each(root, "response_format", |format| {
        each(format, "json_schema", |schema| drop_default(schema, "strict", false));
    });
}

fn message(message: &mut Members) {
    // An assistant's text may be left out beside its calls; an empty one says nothing.
    if message.get("role").is_some_and(|role| role == "assistant") {
        drop_default(message, "content", "");
    }
    drop_empty(message, "content");
    parts_of_text(message, "content", "text");
    each(message, "content", |part| {
        each(part, "image_url", |image| drop_default(image, "detail", "auto"));
    });
    calls(message);
}

fn calls(message: &mut Members) {
    drop_empty(message, "tool_calls");
    each(message, "tool_calls", |call| {
        each(call, "function", |function| read_json(function, "arguments"));
    });
}

/// "Omitting `parameters` defines a function with an empty parameter list."
fn function(function: &mut Members) {
    drop_default(function, "strict", false);
    drop_default(function, "parameters", json!({ "type": "object", "properties": {} }));
}

pub(super) fn answer(document: &mut Value) {
    drop_nulls(document, &[]);
    let Some(root) = document.as_object_mut() else { return };
    root.remove("created");
    each(root, "choices", |choice| {
        each(choice, "message", |message| {
            // What was not said is null, empty or absent; streams begin with an empty piece.
            drop_default(message, "content", "");
            drop_default(message, "refusal", "");
            drop_empty(message, "annotations");
            calls(message);
        });
    });
    each(root, "usage", |usage| {
        drop_zeros(usage, &["prompt_tokens", "completion_tokens", "total_tokens"]);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: Value, b: Value) -> bool {
        let [mut a, mut b] = [json!({ "messages": [a] }), json!({ "messages": [b] })];
        request(&mut a);
        request(&mut b);
        a == b
    }

    #[test]
    fn a_text_is_a_list_of_one_part() {
        let text = json!({ "role": "user", "content": "a" });
        let list = |parts: Value| json!({ "role": "user", "content": parts });
        assert!(same(text.clone(), list(json!([{ "type": "text", "text": "a" }]))));
        let two = json!([{ "type": "text", "text": "a" }, { "type": "text", "text": "" }]);
        assert!(!same(text, list(two)));
    }

    #[test]
    fn an_assistant_that_calls_may_say_nothing() {
        let call = |content: Value, arguments: &str| {
            let function = json!({ "name": "f", "arguments": arguments });
            let calls = json!([{ "id": "c", "type": "function", "function": function }]);
            json!({ "role": "assistant", "content": content, "tool_calls": calls })
        };
        assert!(same(call(json!(null), "{\"a\":1}"), call(json!(""), "{ \"a\": 1 }")));
        assert!(!same(call(json!(null), "{\"a\":1}"), call(json!(null), "{\"a\":\"1\"}")));
        let tool = |content: &str| json!({ "role": "tool", "content": content });
        assert!(!same(tool(""), json!({ "role": "tool" })));
    }

    #[test]
    fn defaults_are_as_if_absent() {
        let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
        let mut with = json!({ "tools": tools, "tool_choice": "auto", "n": 1, "stream": false,
            "stop": "x", "seed": null });
        request(&mut with);
        assert_eq!(with, json!({ "tools": tools, "stop": ["x"] }));
        let mut none = json!({ "tools": tools, "tool_choice": "none", "n": 2, "stream": true });
        let before = none.clone();
        request(&mut none);
        assert_eq!(none, before);
    }

    #[test]
    fn of_an_answer_the_time_and_the_zeros_go() {
        let usage = json!({ "prompt_tokens": 0, "total_tokens": 0,
            "prompt_tokens_details": { "cached_tokens": 0 } });
        let message = json!({ "role": "assistant", "content": "", "refusal": null });
        let mut whole =
            json!({ "created": 1, "choices": [{ "message": message }], "usage": usage });
        answer(&mut whole);
        let usage = json!({ "prompt_tokens": 0, "total_tokens": 0 });
        let message = json!({ "role": "assistant" });
        assert_eq!(whole, json!({ "choices": [{ "message": message }], "usage": usage }));
    }
}
