//! Anthropic Messages, <https://docs.anthropic.com/en/api/messages>.

use serde_json::{Value, json};

use super::{Members, drop_default, drop_empty, drop_nulls, drop_zeros, each, parts_of_text};

pub(super) fn request(document: &mut Value) {
    drop_nulls(document, &["input", "input_schema", "schema"]);
    let Some(root) = document.as_object_mut() else { return };
    drop_default(root, "stream", false);
    ["tools", "stop_sequences", "system"].iter().for_each(|key| drop_empty(root, key));
    each(root, "tool_choice", |choice| drop_default(choice, "disable_parallel_tool_use", false));
    drop_default(root, "tool_choice", json!({ "type": "auto" }));
    parts_of_text(root, "system", "text");
    each(root, "messages", |message| {
        parts_of_text(message, "content", "text");
        each(message, "content", block);
    });
    if let Some(Value::Array(messages)) = root.get_mut("messages") {
        *messages = merged(std::mem::take(messages));
    }
}

fn block(block: &mut Members) {
    if block.get("type").is_some_and(|kind| kind == "tool_result") {
        drop_default(block, "is_error", false);
        drop_default(block, "content", "");
        drop_empty(block, "content");
        parts_of_text(block, "content", "text");
    }
}

/// "Consecutive `user` or `assistant` turns in your request will be combined into a single turn."
fn merged(messages: Vec<Value>) -> Vec<Value> {
    let mut merged: Vec<Value> = Vec::new();
    for mut message in messages {
        match merged.last_mut() {
            Some(last) if last.get("role") == message.get("role") => {
                let more = message.get_mut("content").map(Value::take);
                if let (Some(Value::Array(more)), Some(Value::Array(content))) =
                    (more, last.get_mut("content"))
                {
                    content.extend(more);
                }
            }
            _ => merged.push(message),
        }
    }
    merged
}

pub(super) fn answer(document: &mut Value) {
    drop_nulls(document, &["input"]);
    let Some(root) = document.as_object_mut() else { return };
    each(root, "content", |block| drop_empty(block, "citations"));
    each(root, "usage", |usage| drop_zeros(usage, &["input_tokens", "output_tokens"]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(mut document: Value) -> Value {
        request(&mut document);
        document
    }

    #[test]
    fn turns_of_one_role_are_one() {
        let text = |text: &str| json!({ "type": "text", "text": text });
        let one = json!([{ "role": "user", "content": [text("a"), text("b")] }]);
        let two =
            json!([{ "role": "user", "content": "a" }, { "role": "user", "content": [text("b")] }]);
        assert_eq!(normal(json!({ "messages": one })), normal(json!({ "messages": two })));
        let other = json!([{ "role": "user", "content": "ab" }]);
        assert_ne!(normal(json!({ "messages": one })), normal(json!({ "messages": other })));
    }

    #[test]
    fn a_result_without_content() {
        let message = |result: Value| {
            normal(json!({ "messages": [{ "role": "user", "content": [result] }] }))
        };
        let plain = json!({ "type": "tool_result", "tool_use_id": "a" });
        let full = json!({ "type": "tool_result", "tool_use_id": "a", "content": "",
            "is_error": false });
        assert_eq!(message(plain.clone()), message(full));
        let failed = json!({ "type": "tool_result", "tool_use_id": "a", "is_error": true });
        assert_ne!(message(plain), message(failed));
    }

    #[test]
    fn a_choice_that_is_the_default() {
        let choice = |choice: Value| normal(json!({ "tool_choice": choice }));
        let auto = json!({ "type": "auto", "disable_parallel_tool_use": false });
        assert_eq!(choice(auto), json!({}));
        let single = json!({ "type": "auto", "disable_parallel_tool_use": true });
        assert_eq!(choice(single.clone()), json!({ "tool_choice": single }));
    }

    #[test]
    fn input_is_the_users_own() {
        let block = json!({ "type": "tool_use", "input": { "a": null } });
        let mut whole = json!({ "content": [block], "stop_sequence": null,
            "usage": { "input_tokens": 0, "cache_read_input_tokens": 0 } });
        answer(&mut whole);
        assert_eq!(whole, json!({ "content": [block], "usage": { "input_tokens": 0 } }));
    }
}
