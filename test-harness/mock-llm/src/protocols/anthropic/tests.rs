use super::*;
use crate::protocols::testing::{answer, body, data, events};
use serde_json::json;

fn request(extra: Value) -> Value {
    let mut request = json!({
        "model": "claude", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}],
    });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

fn whole(extra: Value, script: Value) -> Value {
    body(answer(&Anthropic, Endpoint::Chat, &request(extra), script))
}

fn stream(script: Value) -> Vec<Event> {
    events(answer(&Anthropic, Endpoint::Chat, &request(json!({"stream": true})), script))
}

/// Puts a stream together as a client does.
fn assemble(events: &[Event]) -> Value {
    let mut message = Value::Null;
    let mut partial = String::new();
    for event in events {
        let data = data(event);
        assert_eq!(event.name.unwrap(), data["type"]);
        let index = data["index"].as_u64().unwrap_or(0) as usize;
        match event.name.unwrap() {
            "message_start" => message = data["message"].clone(),
            "content_block_start" => {
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(content.len(), index);
                content.push(data["content_block"].clone());
                partial.clear();
            }
            "content_block_delta" => {
                let block = &mut message["content"][index];
                let (field, key) = match data["delta"]["type"].as_str().unwrap() {
                    "text_delta" => ("text", "text"),
                    "thinking_delta" => ("thinking", "thinking"),
                    "signature_delta" => ("signature", "signature"),
                    _ => ("partial_json", "input"),
                };
                let piece = data["delta"][field].as_str().unwrap();
                if key == "input" {
                    partial.push_str(piece);
                    block[key] = serde_json::from_str(&partial).unwrap_or(json!({}));
                } else {
                    block[key] = json!(format!("{}{piece}", block[key].as_str().unwrap()));
                }
            }
            "message_delta" => {
                for (key, value) in data["delta"].as_object().unwrap() {
                    message[key] = value.clone();
                }
                for (key, value) in data["usage"].as_object().unwrap() {
                    message["usage"][key] = value.clone();
                }
            }
            _ => {}
        }
    }
    message
}

#[test]
fn a_message_has_every_field() {
    let mut answer = whole(json!({}), json!({"cached_tokens": 2}));
    assert!(answer["id"].as_str().unwrap().starts_with("msg_01"));
    answer.as_object_mut().unwrap().remove("id");
    assert_eq!(
        answer,
        json!({
            "type": "message", "role": "assistant", "model": "claude",
            "content": [{"type": "text", "text": "Hello from a: hi"}],
            "stop_reason": "end_turn", "stop_sequence": null, "stop_details": null,
            "usage": {
                "input_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 5, "service_tier": "standard",
            },
        })
    );
}

#[test]
fn a_stream_adds_up_to_the_message() {
    let scripts = [
        json!({"text": "Hello, world"}),
        json!({"thinking": "hm, well", "text": "ok", "tool_calls": [
            {"name": "f", "arguments": {"city": "Paris", "n": [1, 2]}}, {"name": "g"}]}),
        json!({"refusal": "no way"}),
    ];
    for script in scripts {
        assert_eq!(assemble(&stream(script.clone())), whole(json!({}), script));
    }
}

#[test]
fn events_come_in_order() {
    let events = stream(json!({"text": "a b"}));
    let names: Vec<_> = events.iter().filter_map(|event| event.name).collect();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    assert_eq!(events.last().unwrap().data, br#"{"type":"message_stop"}"#);
    assert!(events.last().unwrap().terminal);
    assert_eq!(data(&events[0])["message"]["usage"]["output_tokens"], 1);
    assert_eq!(data(&events[6])["usage"]["output_tokens"], 2);
}

#[test]
fn stops_are_told_apart() {
    let stop = |extra, script| {
        let answer = whole(extra, script);
        (answer["stop_reason"].clone(), answer["stop_sequence"].clone())
    };
    let none = Value::Null;
    assert_eq!(
        stop(json!({"max_tokens": 1}), json!({"tokens": 5})),
        (json!("max_tokens"), none.clone())
    );
    assert_eq!(
        stop(json!({"stop_sequences": ["END"]}), json!({"text": "a END b"})),
        (json!("stop_sequence"), json!("END"))
    );
    assert_eq!(
        stop(json!({}), json!({"tool_calls": [{"name": "f"}]})),
        (json!("tool_use"), none.clone())
    );
    assert_eq!(stop(json!({}), json!({"refusal": "no"})), (json!("refusal"), none.clone()));
    assert_eq!(
        stop(json!({}), json!({"finish_reason": "pause_turn"})),
        (json!("pause_turn"), none)
    );
}

#[test]
fn usage_can_be_left_out_or_replaced() {
    assert_eq!(whole(json!({}), json!({"usage": false})).get("usage"), None);
    assert_eq!(whole(json!({}), json!({"usage": {"x": 1}}))["usage"], json!({"x": 1}));
    assert!(
        stream(json!({"usage": false}))
            .iter()
            .all(|e| !String::from_utf8_lossy(&e.data).contains("usage"))
    );
}

#[test]
fn errors_have_the_words_of_the_provider() {
    let error = |status| Anthropic.error(&ApiError::status(status), "req_1").text();
    assert_eq!(
        error(529),
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#
    );
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
    ] {
        assert!(error(status).contains(kind), "{status}");
    }
    let event = &Anthropic.error_event(&ApiError::status(503))[0];
    assert_eq!(event.name, Some("error"));
    assert_eq!(data(event)["error"]["type"], "overloaded_error");
}

#[test]
fn tokens_are_counted() {
    let count = |body: Value| body.pointer("/input_tokens").and_then(Value::as_u64).unwrap();
    let ask = |extra| body(answer(&Anthropic, Endpoint::CountTokens, &request(extra), json!({})));
    assert_eq!(count(ask(json!({}))), 8);
    assert!(count(ask(json!({"system": "be nice"}))) == 10);
}
