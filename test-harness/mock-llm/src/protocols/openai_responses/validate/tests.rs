use super::*;
use crate::protocols::Endpoint;
use crate::protocols::openai_responses::Responses;
use crate::protocols::testing::{check, headers};
use serde_json::json;

fn request(extra: Value) -> Value {
    let mut body = json!({"model": "gpt-5", "input": "hi"});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn checked(extra: Value) -> Check {
    check(&Responses, Endpoint::Chat, &headers(), &request(extra))
}

#[test]
fn good_requests_pass() {
    let tools = json!([
        {"type": "function", "name": "f", "parameters": {}, "strict": false},
        {"type": "custom", "name": "p"},
        {"type": "web_search"},
    ]);
    for extra in [
        json!({}),
        json!({"temperature": 2, "user": "u", "max_output_tokens": 16, "store": false, "tools": []}),
        json!({"stream": true, "stream_options": {"include_obfuscation": false}}),
        json!({"tools": tools, "tool_choice": "required", "parallel_tool_calls": false}),
        json!({"tools": tools, "tool_choice": {"type": "custom", "name": "p"}}),
        json!({"reasoning": {"effort": "low", "summary": "auto"},
               "include": ["reasoning.encrypted_content"]}),
        json!({"text": {"format": {"type": "json_schema", "name": "a", "schema": {}}}}),
        json!({"metadata": {"a": "b"}}),
    ] {
        assert_eq!(checked(extra.clone()), Ok(()), "{extra}");
    }
}

#[test]
fn bad_arguments_are_named() {
    let strict = |schema: Value| json!({"tools": [{"type": "function", "name": "f", "strict": true, "parameters": schema}]});
    for (extra, part) in [
        (json!({"messages": []}), "Unknown parameter: 'messages'"),
        (json!({"max_tokens": 20}), "Unknown parameter: 'max_tokens'"),
        (json!({"stop": ["a"]}), "Unknown parameter: 'stop'"),
        (json!({"input": null}), "Missing required parameter: 'input'"),
        (json!({"max_output_tokens": 15}), "Expected a value >= 16, but got 15"),
        (json!({"user": "u".repeat(65)}), "maximum length 64, but got a string with length 65"),
        (json!({"metadata": {"a": 1}}), "metadata.a"),
        (json!({"previous_response_id": "resp_1"}), "\"resp_1\" not found"),
        (json!({"stream_options": {}}), "only allowed when 'stream'"),
        (json!({"include": ["logprobs"]}), "Invalid value: 'logprobs'"),
        (
            json!({"model": "gpt-4o", "include": ["reasoning.encrypted_content"]}),
            "Encrypted content is not supported",
        ),
        (json!({"model": "gpt-4o", "reasoning": {"effort": "low"}}), "'reasoning.effort' is not"),
        (json!({"reasoning": {"effort": "extreme"}}), "'extreme'"),
        (json!({"reasoning": {"budget": 1}}), "reasoning.budget"),
        (json!({"text": {"format": {"type": "json_schema", "schema": {}}}}), "text.format.name"),
        (json!({"text": {"response_format": {}}}), "text.response_format"),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
            "Missing required parameter: 'tools[0].name'",
        ),
        (json!({"tools": [{"type": "bash"}]}), "Invalid value: 'bash'"),
        (strict(json!({"type": "object"})), "'additionalProperties' is required"),
        (
            strict(json!({"additionalProperties": false, "properties": {"a": {}}})),
            "every key in properties",
        ),
        (json!({"tool_choice": {"type": "function", "name": "f"}}), "not found in 'tools'"),
    ] {
        let message = checked(extra.clone()).unwrap_err().message.unwrap();
        assert!(message.contains(part), "{extra}: {message}");
    }
}

#[test]
fn no_answer_is_kept() {
    let error = check(&Responses, Endpoint::Model, &headers(), &Value::Null).unwrap_err();
    assert_eq!((error.status, error.param.as_deref()), (404, Some("id")));
}
