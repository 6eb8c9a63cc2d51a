use hyper::HeaderMap;
use serde_json::{Value, json};

use crate::protocols::bedrock::Bedrock;
use crate::protocols::testing::{check, headers};
use crate::protocols::{ApiError, Endpoint};

fn validate(body: Value) -> Result<(), ApiError> {
    check(&Bedrock, Endpoint::Chat, &headers(), &body)
}

fn messages(messages: Value) -> Result<(), ApiError> {
    let tool = json!({"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}});
    validate(json!({"messages": messages, "toolConfig": {"tools": [tool]}}))
}

#[test]
fn a_full_request_is_accepted() {
    let request = json!({
        "messages": [
            {"role": "user", "content": [
                {"text": "hi"}, {"cachePoint": {"type": "default"}},
                {"image": {"format": "png", "source": {"bytes": "AA=="}}},
                {"document": {"format": "pdf", "name": "a (2)", "source": {"bytes": "AA=="}}}]},
            {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
                {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "t1", "content": [{"json": {}}], "status": "error"}},
                {"text": "and?"}]},
        ],
        "system": [{"text": "be nice"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "inferenceConfig": {"maxTokens": 9, "temperature": 1, "topP": 0.5, "stopSequences": ["x"]},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}],
            "toolChoice": {"tool": {"name": "f"}},
        },
        "additionalModelRequestFields": {"top_k": 5},
        "outputConfig": {"textFormat": {
            "type": "json_schema", "structure": {"jsonSchema": {"schema": "{\"type\":\"object\"}"}}}},
        "requestMetadata": {"a": "b"},
    });
    assert_eq!(validate(request), Ok(()));
}

#[test]
fn conversations_are_checked() {
    let user = |content: Value| json!({"role": "user", "content": content});
    let text = || json!([{"text": "hi"}]);
    let call = || {
        let call = json!({"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}});
        json!({"role": "assistant", "content": [call]})
    };
    let result = |id: &str| json!([{"toolResult": {"toolUseId": id, "content": []}}]);
    let document = || json!({"document": {"format": "pdf", "name": "a", "source": {"bytes": "A"}}});
    for (sent, words) in [
        (json!([]), "is empty"),
        (json!([{"role": "assistant", "content": text()}]), "must start with a user message"),
        (json!([user(text()), user(text())]), "must alternate"),
        (json!([user(json!([]))]), "The content field in the Message object at messages.0"),
        (json!([user(json!([{"text": " \n"}]))]), "messages.0.content.0 is blank"),
        (json!([user(text()), call(), user(text())]), "Expected toolResult blocks"),
        (json!([user(text()), call(), user(result("t2"))]), "exceeds the number"),
        (json!([user(result("t:2"))]), "regular expression"),
        (json!([user(json!([document()]))]), "A text block is required"),
        (json!([user(json!([{"text": "a"}, document(), document()]))]), "duplicate document names"),
        (json!([user(json!([{"what": 1}]))]), "extraneous key [what]"),
        (json!([user(json!([{"text": "a", "image": {}}]))]), "one key only"),
    ] {
        let error = messages(sent.clone()).unwrap_err();
        assert!(error.message.as_ref().unwrap().contains(words), "{sent}: {error:?}");
    }
}

#[test]
fn calls_need_tools() {
    let content = json!([{"toolResult": {"toolUseId": "t1", "content": []}}]);
    let error = validate(json!({"messages": [{"role": "user", "content": content}]})).unwrap_err();
    assert!(error.message.unwrap().starts_with("The toolConfig field must be defined"));
}

#[test]
fn other_fields_are_checked() {
    for (field, value) in [
        ("stream", json!(true)),
        ("inferenceConfig", json!({"temperature": 1.5})),
        ("inferenceConfig", json!({"maxTokens": 0})),
        ("inferenceConfig", json!({"topK": 4})),
        ("inferenceConfig", json!({"stopSequences": [""]})),
        ("system", json!([{"text": " "}])),
        ("toolConfig", json!({"tools": []})),
        ("toolConfig", json!({"tools": [{"toolSpec": {"name": "a b"}}]})),
        ("outputConfig", json!({"textFormat": {"type": "json_schema"}})),
    ] {
        let mut body = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]});
        body[field] = value;
        assert!(validate(body.clone()).is_err(), "{body}");
    }
}

#[test]
fn a_signature_or_a_key_is_needed() {
    let body = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]});
    let with = |authorization: Option<&str>, date: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("x-amz-date", date.parse().unwrap());
        if let Some(value) = authorization {
            headers.insert("authorization", value.parse().unwrap());
        }
        check(&Bedrock, Endpoint::Chat, &headers, &body).map_err(|error| error.kind.unwrap())
    };
    let signed = |scope: &str, names: &str| {
        let signature = "0123456789abcdef".repeat(4);
        format!(
            "AWS4-HMAC-SHA256 Credential=AKID/{scope}, SignedHeaders={names}, Signature={signature}"
        )
    };
    let scope = "20260102/us-east-1/bedrock/aws4_request";
    let date = "20260102T030405Z";
    let good = signed(scope, "content-type;host;x-amz-date");
    assert_eq!(with(Some(&good), date), Ok(()));
    assert_eq!(with(Some("Bearer key"), date), Ok(()));
    let missing = Err("MissingAuthenticationTokenException".to_owned());
    assert_eq!(with(None, date), missing);
    let invalid = Err("InvalidSignatureException".to_owned());
    assert_eq!(with(Some(&good), "20260103T030405Z"), invalid);
    assert_eq!(with(Some(&signed(scope, "content-type;host")), date), invalid);
    assert_eq!(with(Some(&signed(scope, "x-amz-date;host")), date), invalid);
    let other = "20260102/us-east-1/s3/aws4_request";
    assert_eq!(with(Some(&signed(other, "host;x-amz-date")), date), invalid);
}
