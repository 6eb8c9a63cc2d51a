use super::*;
use crate::protocols::Protocol as _;
use crate::protocols::anthropic::Anthropic;
use crate::protocols::testing::{check, headers};
use serde_json::json;

fn request(extra: Value) -> Value {
    let mut body = json!({
        "model": "m", "max_tokens": 2048, "messages": [{"role": "user", "content": "hi"}],
    });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn verdict(extra: Value) -> Check {
    check(&Anthropic, Endpoint::Chat, &headers(), &request(extra))
}

#[test]
fn good_requests_pass() {
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]);
    for extra in [
        json!({}),
        json!({"system": "x", "temperature": 1, "stop_sequences": ["a"], "stream": true}),
        json!({"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}),
        json!({"tools": tools, "tool_choice": {"type": "tool", "name": "f"}}),
        json!({"tools": tools, "tool_choice": {"type": "any", "disable_parallel_tool_use": true}}),
        json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "temperature": 1.0}),
        json!({"thinking": {"type": "adaptive"}, "metadata": {"user_id": "u"}}),
    ] {
        assert_eq!(verdict(extra.clone()), Ok(()), "{extra}");
    }
}

#[test]
fn bad_requests_say_what_is_wrong() {
    let tool = |tool: Value| json!({ "tools": [tool] });
    for (extra, part) in [
        (json!({"frequency_penalty": 0}), "frequency_penalty: Extra inputs are not permitted"),
        (json!({"max_tokens": 0}), "max_tokens: must be greater"),
        (json!({"max_tokens": null}), "max_tokens: Input should be a valid integer"),
        (json!({"messages": []}), "messages: at least one message is required"),
        (json!({"model": 1}), "model: Input should be a valid string"),
        (json!({"system": [{"type": "text", "text": ""}]}), "system.0.text"),
        (json!({"system": [{"type": "image"}]}), "system.0.type"),
        (json!({"temperature": 1.5}), "temperature: range: 0..1"),
        (json!({"top_p": -1}), "top_p: range"),
        (json!({"top_k": 1.5}), "top_k"),
        (json!({"stop_sequences": ["a", " \n"]}), "stop_sequences.1"),
        (json!({"stop_sequences": "a"}), "stop_sequences: Input should be a valid list"),
        (json!({"metadata": {"user": "u"}}), "metadata.user: Extra inputs"),
        (json!({"service_tier": "default"}), "service_tier"),
        (tool(json!({"name": "f"})), "tools.0.custom.input_schema: Field required"),
        (tool(json!({"name": "f", "input_schema": {}})), "input_schema.type: Field required"),
        (tool(json!({"name": "f", "parameters": {}})), "tools.0.custom.parameters: Extra"),
        (tool(json!({"type": "function", "function": {}})), "tools.0.name: Field required"),
        (tool(json!({"name": "a b", "input_schema": {"type": "object"}})), "pattern"),
        (json!({"tool_choice": {"type": "auto"}}), "while providing tools"),
        (json!({"tool_choice": "auto"}), "tool_choice: Input should be a valid dictionary"),
        (json!({"tool_choice": {"type": "required"}}), "'required'"),
        (json!({"tool_choice": {"type": "tool", "name": "x"}}), "'x' not found"),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 1000}}), "equal to 1024"),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}), "`max_tokens` must"),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "temperature": 0}),
            "set to 1",
        ),
    ] {
        let message = verdict(extra.clone()).unwrap_err().message.unwrap();
        assert!(message.contains(part), "{extra}: {message}");
    }
}

#[test]
fn headers_are_required() {
    for (header, status) in
        [("authorization", 401), ("anthropic-version", 400), ("content-type", 400)]
    {
        let mut headers = headers();
        headers.remove(header);
        let error = check(&Anthropic, Endpoint::Chat, &headers, &request(json!({})));
        assert_eq!(error.unwrap_err().status, status, "{header}");
    }
    let mut headers = headers();
    headers.remove("authorization");
    headers.insert("x-api-key", "k".parse().unwrap());
    assert_eq!(check(&Anthropic, Endpoint::Chat, &headers, &request(json!({}))), Ok(()));
}

#[test]
fn the_newest_version_takes_less() {
    let verdict = |version: &str, extra: Value| {
        let mut headers = headers();
        headers.insert("anthropic-version", version.parse().unwrap());
        check(&Anthropic, Endpoint::Chat, &headers, &request(extra))
    };
    assert_eq!(verdict(CURRENT, json!({})), Ok(()));
    assert!(verdict("2024-01-01", json!({})).is_err());
    let document = json!({"type": "document", "source": {"type": "url", "url": "u"}});
    let cited = json!({"type": "text", "text": "a", "citations": [{}]});
    for extra in [
        json!({"temperature": 1}),
        json!({"top_p": 1}),
        json!({"top_k": 1}),
        json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [document]}]}),
        json!({"messages": [{"role": "user", "content": [cited]}]}),
    ] {
        assert_eq!(verdict("2023-06-01", extra.clone()), Ok(()), "{extra}");
        assert!(verdict(CURRENT, extra.clone()).is_err(), "{extra}");
    }
}

#[test]
fn counting_takes_no_limit() {
    let mut body = request(json!({}));
    let message = check(&Anthropic, Endpoint::CountTokens, &headers(), &body).unwrap_err();
    assert_eq!(message.message.unwrap(), "max_tokens: Extra inputs are not permitted");
    body.as_object_mut().unwrap().remove("max_tokens");
    assert_eq!(check(&Anthropic, Endpoint::CountTokens, &headers(), &body), Ok(()));
}

#[test]
fn on_vertex_the_version_stands_in_the_body() {
    let path = "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict";
    let (_, endpoint) = crate::protocols::find(&hyper::Method::POST, path).unwrap();
    assert_eq!(endpoint, Endpoint::CountTokens);
    let mut body = json!({"model": "claude-x", "messages": [{"role": "user", "content": "hi"}],
                          "anthropic_version": "vertex-2023-10-16"});
    let (headers, script) = (headers(), crate::script::Script::default());
    let validate = |body: &Value| {
        let (listener, query, number) = ("a", "", 0);
        let (headers, script) = (&headers, &script);
        Anthropic.validate(&Call { endpoint, listener, path, query, headers, body, script, number })
    };
    assert_eq!(validate(&body), Ok(()));
    body["max_tokens"] = json!(1);
    assert!(validate(&body).is_err());
    body.as_object_mut()
        .unwrap()
        .retain(|key, _| key != "max_tokens" && key != "anthropic_version");
    assert!(validate(&body).is_err());
}

#[test]
fn a_conversation_that_is_kept_goes_on_without_what_came_before() {
    let mut headers = headers();
    headers.insert("anthropic-beta", "message-threads-2026-08-12".parse().unwrap());
    let verdict = |extra| check(&Anthropic, Endpoint::Chat, &headers, &request(extra));
    let goes_on = |id: &str| {
        let result = json!([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}]);
        verdict(json!({
            "thread": {"type": "continue", "previous_message_id": id},
            "messages": [{"role": "user", "content": result}],
        }))
    };
    assert_eq!(verdict(json!({"thread": {"type": "create"}})), Ok(()));
    assert_eq!(goes_on("msg_01ZzatMNOekGcETIZ1P6EVmn"), Ok(()));
    let lost = goes_on("msg_01ZzatMNOekGcETIZ1P6EVmn-gw-NkU6iOES_Ts5ADLp1rbegpxz43Q").unwrap_err();
    assert_eq!((lost.status, lost.code), (404, Some("thread_not_found")));
    assert!(verdict(json!({"thread": {"type": "other"}})).is_err());
    assert!(self::verdict(json!({"thread": {"type": "create"}})).is_err(), "it needs the header");
}
