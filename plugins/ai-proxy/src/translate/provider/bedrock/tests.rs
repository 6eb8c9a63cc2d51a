//! What depends on whose model it is; everything else is in the golden files.

use serde_json::{Value, json};

use crate::config::Protocol;
use crate::presets::Quirks;
use crate::provider::Cloud;
use crate::translate::client::openai_chat;
use crate::translate::ir::{Field, Unsupported};
use crate::translate::provider::{self, Options};

const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "amazon.nova-pro-v1:0";
const NOVA_2: &str = "us.amazon.nova-2-lite-v1:0";
const GPT: &str = "openai.gpt-oss-120b-1:0";
const LLAMA: &str = "meta.llama3-70b-instruct-v1:0";

fn options(model: &str) -> Options<'_> {
    Options { model, default_max_tokens: 4096, quirks: Quirks::NONE, cloud: Cloud::Own }
}

/// The body and what was dropped.
fn write(model: &str, more: Value) -> Result<(Value, Vec<Field>), Unsupported> {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = body.to_string();
    let mut request = openai_chat::read(&body).unwrap();
    let options = options(model);
    let written = provider::write(Protocol::Bedrock, &mut request, &options)?;
    Ok((serde_json::from_str(&written).unwrap(), request.unsupported))
}

#[test]
fn each_family_is_told_to_think_in_its_own_words() {
    let told = |model, effort: &str| {
        let (body, dropped) = write(model, json!({ "reasoning_effort": effort })).unwrap();
        (body["additionalModelRequestFields"].clone(), dropped)
    };
    let nova =
        |effort| json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}});
    assert_eq!(told(NOVA_2, "low"), (nova("low"), vec![]));
    assert_eq!(told(NOVA_2, "xhigh"), (nova("high"), vec![]));
    assert_eq!(told(NOVA_2, "none"), (Value::Null, vec![]));
    assert_eq!(told(GPT, "minimal"), (json!({"reasoning_effort": "low"}), vec![]));
    assert_eq!(told(GPT, "high"), (json!({"reasoning_effort": "high"}), vec![]));
    let claude = json!({"thinking": {"type": "enabled", "budget_tokens": 2048}});
    assert_eq!(told(CLAUDE, "low"), (claude, vec![]));
    for model in [NOVA, LLAMA] {
        assert_eq!(told(model, "low"), (Value::Null, vec![Field::Thinking]));
        assert_eq!(told(model, "none"), (Value::Null, vec![]));
    }
}

#[test]
fn a_nova_that_thinks_much_has_nothing_else_set() {
    let more = json!({"reasoning_effort": "high", "temperature": 0.5, "top_p": 0.5, "top_k": 5});
    let (body, dropped) = write(NOVA_2, more.clone()).unwrap();
    assert_eq!(body["inferenceConfig"], Value::Null);
    assert_eq!(dropped, [Field::Temperature, Field::TopP, Field::TopK]);
    // A limit of the answer is worth more than the last bit of thought.
    let mut limited = more;
    limited["max_tokens"] = json!(100);
    let (body, dropped) = write(NOVA_2, limited).unwrap();
    let inference = json!({"maxTokens": 100, "temperature": 0.5, "topP": 0.5});
    assert_eq!(body["inferenceConfig"], inference);
    let additional = &body["additionalModelRequestFields"];
    assert_eq!(additional["reasoningConfig"]["maxReasoningEffort"], "medium");
    assert_eq!(additional["inferenceConfig"], json!({"topK": 5}));
    assert_eq!(dropped, []);
}

#[test]
fn top_k_has_a_place_of_its_own_in_each_family() {
    let told = |model| {
        let (body, dropped) = write(model, json!({ "top_k": 40 })).unwrap();
        (body["additionalModelRequestFields"].clone(), dropped)
    };
    assert_eq!(told(CLAUDE), (json!({"top_k": 40}), vec![]));
    assert_eq!(told(NOVA), (json!({"inferenceConfig": {"topK": 40}}), vec![]));
    assert_eq!(told(LLAMA), (Value::Null, vec![Field::TopK]));
}

#[test]
fn marks_of_the_cache_go_where_there_is_one() {
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    let tool = json!({"type": "function", "function": {"name": "f"}, "cache_control": mark});
    let text = json!({"type": "text", "text": "a", "cache_control": mark});
    let marked = |model| {
        let messages = json!([{"role": "user", "content": [text]}]);
        let (body, _) = write(model, json!({"messages": messages, "tools": [tool]})).unwrap();
        let content = body["messages"][0]["content"][1].clone();
        (content, body["toolConfig"]["tools"][1].clone())
    };
    let point = |ttl: Option<&str>| {
        let mut point = json!({"cachePoint": {"type": "default"}});
        if let Some(ttl) = ttl {
            point["cachePoint"]["ttl"] = ttl.into();
        }
        point
    };
    assert_eq!(marked(CLAUDE), (point(Some("1h")), point(Some("1h"))));
    assert_eq!(marked(NOVA), (point(None), Value::Null));
    assert_eq!(marked(LLAMA), (Value::Null, Value::Null));
}

#[test]
fn claudes_thoughts_go_back_to_claude_alone() {
    let messages = json!([
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "Sun.", "thinking_blocks": [
            {"type": "thinking", "thinking": "Hm.", "signature": "sig=="},
            {"type": "thinking", "thinking": "Ho.", "signature": "gemini#sig=="},
            {"type": "redacted_thinking", "data": "abc"}]},
        {"role": "user", "content": "And?"},
    ]);
    let said = |model| {
        let (body, _) = write(model, json!({ "messages": messages })).unwrap();
        body["messages"][1]["content"].as_array().unwrap().len()
    };
    assert_eq!(said(CLAUDE), 3);
    assert_eq!(said(NOVA_2), 1);
}

#[test]
fn blank_stops_are_left_out_where_they_are_refused() {
    let told = |model| {
        let (body, dropped) = write(model, json!({"stop": ["\n\n", "END"]})).unwrap();
        (body["inferenceConfig"]["stopSequences"].clone(), dropped)
    };
    assert_eq!(told(CLAUDE), (json!(["END"]), vec![Field::Stop]));
    assert_eq!(told(LLAMA), (json!(["\n\n", "END"]), vec![]));
}

#[test]
fn a_failed_call_is_marked_where_that_is_known() {
    use crate::translate::client::anthropic;
    let text = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "c1", "name": "f", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "is_error": true, "content": [
                {"type": "text", "text": "No."},
                {"type": "image", "source": {
                    "type": "base64", "media_type": "image/png", "data": "AA=="}}]}]},
    ]})
    .to_string();
    let result = |model| {
        let mut request = anthropic::read(&text).unwrap();
        let options = options(model);
        let body = provider::write(Protocol::Bedrock, &mut request, &options).unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        body["messages"][2]["content"][0]["toolResult"].clone()
    };
    let content = json!([
        {"text": "No."}, {"image": {"format": "png", "source": {"bytes": "AA=="}}}]);
    let marked = json!({"toolUseId": "c1", "content": content, "status": "error"});
    assert_eq!(result(NOVA), marked);
    assert_eq!(result(LLAMA), json!({"toolUseId": "c1", "content": content}));
}

#[test]
fn only_notes_that_bedrock_takes_are_passed_on() {
    let long = "x".repeat(257);
    let mut metadata = json!({"a": "b c", "emoji": "😀", "": "x", "n": 7, "long": long});
    for number in 0..30 {
        metadata[format!("k{number:02}")] = json!("v");
    }
    let (body, _) = write(CLAUDE, json!({ "metadata": metadata })).unwrap();
    let notes = body["requestMetadata"].as_object().unwrap();
    assert_eq!(notes.len(), 16);
    assert_eq!(notes["a"], "b c");
    assert!(!notes.contains_key("emoji") && !notes.contains_key("n"));
}
