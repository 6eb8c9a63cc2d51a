use super::*;
use crate::protocols::openai::OpenAi;
use crate::protocols::testing::{check, headers};
use serde_json::json;

fn message(endpoint: Endpoint, body: &Value) -> String {
    check(&OpenAi, endpoint, &headers(), body).unwrap_err().message.unwrap()
}

fn chat(extra: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

#[test]
fn good_requests_pass() {
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    for extra in [
        json!({}),
        json!({"temperature": 2, "n": 1, "stop": ["a"], "user": "u", "max_tokens": null}),
        json!({"stream": true, "stream_options": {"include_usage": true}}),
        json!({"tools": tools, "tool_choice": "required", "parallel_tool_calls": false}),
        json!({"tools": tools, "tool_choice": {"type": "function", "function": {"name": "f"}}}),
    ] {
        assert_eq!(check(&OpenAi, Endpoint::Chat, &headers(), &chat(extra)), Ok(()));
    }
}

#[test]
fn bad_arguments_are_named() {
    for (extra, part) in [
        (json!({"top_k": 1}), "Unrecognized request argument supplied: top_k"),
        (json!({"model": ""}), "Invalid type for 'model'"),
        (json!({"messages": []}), "Invalid 'messages': empty array"),
        (json!({"messages": null}), "Missing required parameter: 'messages'"),
        (json!({"temperature": 2.5}), "above maximum value. Expected a value <= 2, but got 2.5"),
        (json!({"n": 0}), "integer below minimum value. Expected a value >= 1, but got 0"),
        (json!({"n": 1.5}), "Invalid type for 'n': expected an integer, but got a decimal"),
        (json!({"stream": "yes"}), "Invalid type for 'stream'"),
        (json!({"stream_options": {"include_usage": true}}), "only allowed when 'stream'"),
        (json!({"stream": true, "stream_options": {"x": 1}}), "'stream_options.x'"),
        (json!({"stop": ["a", "b", "c", "d", "e"]}), "Invalid type for 'stop'"),
        (json!({"tools": []}), "Invalid 'tools': empty array"),
        (json!({"tools": [{"name": "f"}]}), "'tools[0].type'"),
        (json!({"tools": [{"type": "function", "function": {"name": "a b"}}]}), "pattern"),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f", "input_schema": {}}}]}),
            "input_schema",
        ),
        (json!({"tool_choice": "auto"}), "only allowed when 'tools'"),
        (json!({"response_format": {"type": "yaml"}}), "Invalid value: 'yaml'"),
        (json!({"response_format": {"type": "json_schema"}}), "json_schema.name"),
    ] {
        let message = message(Endpoint::Chat, &chat(extra.clone()));
        assert!(message.contains(part), "{extra}: {message}");
    }
}

#[test]
fn unknown_arguments_have_the_exact_form() {
    let error = check(&OpenAi, Endpoint::Chat, &headers(), &chat(json!({"x": 1}))).unwrap_err();
    assert_eq!(
        crate::protocols::Protocol::error(&OpenAi, &error, "").text(),
        r#"{"error":{"message":"Unrecognized request argument supplied: x","type":"invalid_request_error","param":"x","code":null}}"#
    );
}

#[test]
fn headers_are_checked() {
    let mut wrong = headers();
    wrong.insert("authorization", "Basic x".parse().unwrap());
    let error = check(&OpenAi, Endpoint::Models, &wrong, &Value::Null).unwrap_err();
    assert_eq!((error.status, error.code), (401, Some("invalid_api_key")));
    let mut wrong = headers();
    wrong.insert("content-type", "text/plain".parse().unwrap());
    let error = check(&OpenAi, Endpoint::Chat, &wrong, &chat(json!({}))).unwrap_err();
    assert_eq!(error.code, Some("unsupported_content_type"));
}

#[test]
fn inputs_of_embeddings_are_checked() {
    for input in [json!("a"), json!(["a"]), json!([1]), json!([[1], [2]])] {
        let body = json!({"model": "m", "input": input});
        assert_eq!(check(&OpenAi, Endpoint::Embeddings, &headers(), &body), Ok(()));
    }
    for input in [json!(""), json!([]), json!([""]), json!(["a", 1]), json!([[]]), json!({})] {
        let body = json!({"model": "m", "input": input});
        assert!(message(Endpoint::Embeddings, &body).contains("Invalid 'input'"), "{input}");
    }
    let unknown = json!({"model": "m", "input": "a", "input_type": "query"});
    assert!(message(Endpoint::Embeddings, &unknown).contains("input_type"));
}
