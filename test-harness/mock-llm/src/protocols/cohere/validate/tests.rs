use hyper::HeaderMap;
use serde_json::{Value, json};

use crate::protocols::cohere::Cohere;
use crate::protocols::testing::{check, headers};
use crate::protocols::{ApiError, Endpoint};

fn chat(extra: Value) -> Result<(), ApiError> {
    let mut body = json!({"model": "command", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    check(&Cohere, Endpoint::Chat, &headers(), &body)
}

fn tool() -> Value {
    json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}})
}

#[test]
fn a_full_request_is_accepted() {
    let call = json!({"id": "c1", "type": "function",
                      "function": {"name": "f", "arguments": "{}"}});
    let messages = json!([
        {"role": "system", "content": "be nice"},
        {"role": "user", "content": [
            {"type": "text", "text": "hi"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
        {"role": "assistant", "tool_plan": "I will.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "{}"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]},
        {"role": "user", "content": "and?"},
    ]);
    let request = json!({
        "messages": messages, "tools": [tool()], "tool_choice": "REQUIRED", "strict_tools": true,
        "temperature": 0.5, "p": 0.99, "k": 0, "seed": 1, "frequency_penalty": 0.1,
        "stop_sequences": ["a"], "stream": true, "max_tokens": 9,
        "thinking": {"type": "enabled", "token_budget": 5},
    });
    assert_eq!(chat(request), Ok(()));
    let schema = json!({"type": "json_object", "json_schema": {"type": "object"}});
    assert_eq!(chat(json!({"response_format": schema})), Ok(()));
}

#[test]
fn wrong_requests_are_refused() {
    for extra in [
        json!({"top_p": 0.5}),
        json!({"model": ""}),
        json!({"messages": []}),
        json!({"messages": [{"role": "user", "content": ""}]}),
        json!({"messages": [{"role": "developer", "content": "x"}]}),
        json!({"messages": [{"role": "assistant"}]}),
        json!({"messages": [{"role": "tool", "tool_call_id": "c1", "content": "x"}]}),
        json!({"messages": [{"role": "user", "content": [{"type": "file"}]}]}),
        json!({"temperature": 1.5}),
        json!({"p": 1}),
        json!({"k": 501}),
        json!({"frequency_penalty": -1}),
        json!({"stop_sequences": ["a", "b", "c", "d", "e", "f"]}),
        json!({"thinking": {"type": "enabled", "token_budget": 0}}),
        json!({"tool_choice": "REQUIRED"}),
        json!({"tools": [tool()], "tool_choice": "auto"}),
        json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
        json!({"tools": [tool()], "response_format": {"type": "json_object"}}),
        json!({"response_format": {"type": "json_schema"}}),
    ] {
        let error = chat(extra.clone()).expect_err(&extra.to_string());
        assert_eq!(error.status, 400);
    }
}

#[test]
fn a_key_is_needed() {
    let error = check(&Cohere, Endpoint::Chat, &HeaderMap::new(), &json!({})).unwrap_err();
    assert_eq!((error.status, error.message.as_deref()), (401, Some("no api key supplied")));
    assert_eq!(check(&Cohere, Endpoint::Models, &headers(), &Value::Null), Ok(()));
}

#[test]
fn vectors_and_orders_are_checked() {
    let embed = |body: Value| check(&Cohere, Endpoint::Embeddings, &headers(), &body).is_ok();
    assert!(embed(json!({"model": "e", "input_type": "search_query", "texts": ["a"]})));
    assert!(!embed(json!({"model": "e", "texts": ["a"]})));
    assert!(!embed(json!({"model": "e", "input_type": "search_query", "texts": []})));
    let rerank = |body: Value| check(&Cohere, Endpoint::Rerank, &headers(), &body).is_ok();
    assert!(rerank(json!({"model": "r", "query": "a", "documents": ["a"], "top_n": 1})));
    assert!(!rerank(json!({"model": "r", "query": "a", "documents": []})));
    assert!(!rerank(json!({"model": "r", "documents": ["a"]})));
}
