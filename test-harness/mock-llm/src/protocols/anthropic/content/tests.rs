use super::*;
use serde_json::json;

fn verdict(list: &Value) -> Check {
    messages(list.as_array().unwrap(), false, false)
}

fn refusal(list: Value) -> String {
    verdict(&list).unwrap_err().message.unwrap()
}

fn user(content: Value) -> Value {
    json!({"role": "user", "content": content})
}

fn call(ids: &[&str]) -> Value {
    let block = |id: &&str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    json!({"role": "assistant", "content": ids.iter().map(block).collect::<Vec<_>>()})
}

fn result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": "x"})
}

#[test]
fn good_conversations_pass() {
    let text = json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}});
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}});
    let list = json!([
        user(json!([text, image, {"type": "document", "source": {"type": "url", "url": "u"}}])),
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "tool_use", "id": "1", "name": "f", "input": {}},
            {"type": "tool_use", "id": "2", "name": "f", "input": {"a": 1}},
        ]},
        user(json!([result("2"), {"type": "tool_result", "tool_use_id": "1", "is_error": true,
            "content": [text, image]}, text])),
        {"role": "assistant", "content": "start"},
    ]);
    assert_eq!(verdict(&list), Ok(()));
}

#[test]
fn tool_results_must_match_their_calls() {
    let hi = user(json!("hi"));
    let text = json!({"type": "text", "text": "a"});
    let without = "messages.1: `tool_use` ids were found without `tool_result` blocks";
    assert!(refusal(json!([hi, call(&["1"])])).starts_with(without));
    assert!(refusal(json!([hi, call(&["1"]), hi])).starts_with(without));
    let half = refusal(json!([hi, call(&["1", "2"]), user(json!([result("1")]))]));
    assert!(half.starts_with(without) && half.contains("after: 2."), "{half}");
    let late = refusal(json!([hi, call(&["1"]), user(json!([text, result("1")]))]));
    assert!(late.starts_with(without), "{late}");
    let unknown = refusal(json!([hi, call(&["1"]), user(json!([result("1"), result("9")]))]));
    assert!(unknown.starts_with("messages.2.content.1: unexpected `tool_use_id`"), "{unknown}");
    let old = json!([hi, call(&["1"]), user(json!([result("1")])), user(json!([result("1")]))]);
    assert!(refusal(old).starts_with("messages.3.content.0: unexpected `tool_use_id`"));
    let twice = refusal(json!([hi, call(&["1"]), user(json!([result("1"), result("1")]))]));
    assert!(twice.contains("single result"), "{twice}");
}

#[test]
fn roles_and_shapes_are_checked() {
    let hi = user(json!("hi"));
    for (list, part) in [
        (json!([]), "at least one message"),
        (json!([{"role": "system", "content": "x"}]), "Unexpected role \"system\""),
        (json!([{"role": "tool", "content": "x"}]), "Unexpected role \"tool\""),
        (json!([{"role": "assistant", "content": "x"}]), "first message"),
        (json!([{"role": "user"}]), "messages.0.content: Field required"),
        (json!([{"role": "user", "content": null}]), "messages.0.content: Input should"),
        (json!([{"role": "user", "content": "x", "name": "n"}]), "messages.0.name: Extra inputs"),
        (json!([user(json!(""))]), "non-empty content"),
        (json!([user(json!([]))]), "non-empty content"),
        (json!([hi, {"role": "assistant", "content": "x "}]), "trailing whitespace"),
    ] {
        let got = refusal(list.clone());
        assert!(got.contains(part), "{list}: {got}");
    }
}

#[test]
fn blocks_are_checked() {
    let image = |source: Value| json!({"type": "image", "source": source});
    for (block, part) in [
        (json!({"type": "text", "text": ""}), "text content blocks must be non-empty"),
        (json!({"type": "text"}), "text.text: Field required"),
        (json!({"type": "text", "text": "a", "x": 1}), "text.x: Extra inputs"),
        (json!({"type": "image_url", "image_url": {}}), "Input tag 'image_url'"),
        (json!({"text": "a"}), "messages.0.content.0.type: Field required"),
        (image(json!({"type": "base64", "data": "AA"})), "media_type: Field required"),
        (image(json!({"type": "base64", "media_type": "image/bmp", "data": "AA"})), "media_type"),
        (image(json!({"type": "base64", "media_type": "image/png", "data": "data:x"})), "base64"),
        (image(json!({"type": "url"})), "source.url: Field required"),
        (json!({"type": "text", "text": "a", "cache_control": {}}), "'ephemeral'"),
        (json!({"type": "tool_result", "content": "x"}), "tool_use_id: Field required"),
        (json!({"type": "thinking", "thinking": "x"}), "signature: Field required"),
    ] {
        let got = refusal(json!([user(json!([block]))]));
        assert!(got.contains(part), "{block}: {got}");
    }
    let arguments = json!({"role": "assistant", "content": [
        {"type": "tool_use", "id": "1", "name": "f", "input": "{}"},
    ]});
    assert!(refusal(json!([user(json!("hi")), arguments])).contains("valid dictionary"));
}
