use super::*;
use crate::protocols::testing::{answer, body, data, events};
use serde_json::json;

fn request(extra: Value) -> Value {
    let mut request = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]});
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

fn whole(extra: Value, script: Value) -> Value {
    body(answer(&OpenAi, Endpoint::Chat, &request(extra), script))
}

fn chunks(extra: Value, script: Value) -> Vec<Value> {
    let mut request = request(extra);
    request["stream"] = json!(true);
    let mut events = events(answer(&OpenAi, Endpoint::Chat, &request, script));
    assert_eq!(events.pop().unwrap(), Event::data("[DONE]").terminal());
    events.iter().map(data).collect()
}

#[test]
fn a_completion_has_every_field() {
    let answer = whole(json!({}), json!({"cached_tokens": 4, "reasoning_tokens": 2}));
    assert_eq!(answer["object"], "chat.completion");
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(answer["created"], EPOCH + 1);
    assert_eq!(
        answer["choices"],
        json!([{
            "index": 0,
            "message": {
                "role": "assistant", "content": "Hello from a: hi", "refusal": null,
                "annotations": [],
            },
            "logprobs": null,
            "finish_reason": "stop",
        }])
    );
    assert_eq!(
        answer["usage"],
        json!({
            "prompt_tokens": 8, "completion_tokens": 7, "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 2, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        })
    );
}

#[test]
fn fields_come_in_the_order_of_the_provider() {
    let Answer::Body(json) = answer(&OpenAi, Endpoint::Chat, &request(json!({})), json!({})) else {
        panic!("a stream");
    };
    assert!(json.text().starts_with(r#"{"id":"chatcmpl-"#));
}

#[test]
fn tool_calls_replace_the_content() {
    let script = json!({"tool_calls": [{"name": "f", "arguments": {"a": 1}, "id": "call_1"}]});
    let choice = whole(json!({}), script)["choices"][0].clone();
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    assert_eq!(
        choice["message"]["tool_calls"],
        json!([{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}])
    );
}

#[test]
fn scripts_change_the_answer() {
    let script = json!({"refusal": "no", "thinking": "hm", "usage": false});
    let answer = whole(json!({"n": 2}), script);
    assert_eq!(answer["choices"].as_array().unwrap().len(), 2);
    assert_eq!(answer["choices"][1]["message"]["refusal"], "no");
    assert_eq!(answer["choices"][1]["message"]["reasoning_content"], "hm");
    assert_eq!(answer.get("usage"), None);
    let answer = whole(json!({"max_tokens": 3}), json!({"tokens": 9, "usage": {"x": 1}}));
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["usage"], json!({"x": 1}));
    let answer = whole(json!({}), json!({"finish_reason": "content_filter"}));
    assert_eq!(answer["choices"][0]["finish_reason"], "content_filter");
}

#[test]
fn a_stream_says_the_same() {
    let chunks = chunks(json!({}), json!({"text": "Hi, you", "thinking": "hm"}));
    assert_eq!(chunks[0]["object"], "chat.completion.chunk");
    assert_eq!(
        chunks[0]["choices"],
        json!([{
            "index": 0, "delta": {"role": "assistant", "content": "", "refusal": null},
            "logprobs": null, "finish_reason": null,
        }])
    );
    assert_eq!(chunks[1]["choices"][0]["delta"], json!({"reasoning_content": "hm"}));
    let text: String =
        chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "Hi, you");
    let last = chunks.last().unwrap();
    assert_eq!(
        (&last["choices"][0]["delta"], &last["choices"][0]["finish_reason"]),
        (&json!({}), &json!("stop"))
    );
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[test]
fn usage_comes_last_if_asked_for() {
    let asked = chunks(json!({"stream_options": {"include_usage": true}}), json!({}));
    let (last, others) = asked.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["prompt_tokens"], 8);
    assert!(others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    let always = chunks(json!({}), json!({"usage_always": true}));
    assert_eq!(always.last().unwrap()["usage"], last["usage"]);
}

#[test]
fn streamed_arguments_join_to_the_call() {
    let arguments = json!({"city": "Berlin", "days": [1, 2]}).to_string();
    let script = json!({"tool_calls": [{"name": "f", "arguments": arguments}, {"name": "g"}]});
    let chunks = chunks(json!({}), script);
    let calls: Vec<&Value> =
        chunks.iter().map(|c| &c["choices"][0]["delta"]["tool_calls"][0]).collect();
    assert_eq!(calls[1]["function"], json!({"name": "f", "arguments": ""}));
    assert_eq!((&calls[1]["type"], &calls[1]["index"]), (&json!("function"), &json!(0)));
    let joined: String = calls
        .iter()
        .filter(|call| call["index"] == 0)
        .filter_map(|call| call["function"]["arguments"].as_str())
        .collect();
    assert_eq!(joined, arguments);
    assert!(calls.iter().any(|call| call["index"] == 1 && call["function"]["name"] == "g"));
}

#[test]
fn choices_take_turns_in_a_stream() {
    let chunks = chunks(json!({"n": 2}), json!({"text": "a b"}));
    let order: Vec<_> = chunks.iter().map(|c| c["choices"][0]["index"].as_u64().unwrap()).collect();
    assert_eq!(order, [0, 1, 0, 1, 0, 1, 0, 1]);
}

#[test]
fn errors_have_the_words_of_the_provider() {
    let error = |status| OpenAi.error(&ApiError::status(status), "").text();
    assert!(
        error(401)
            .ends_with(r#""type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#)
    );
    assert!(
        error(429).ends_with(r#""type":"requests","param":null,"code":"rate_limit_exceeded"}}"#)
    );
    assert!(error(500).ends_with(r#""type":"server_error","param":null,"code":null}}"#));
    let own = ApiError { kind: Some("k".to_owned()), ..ApiError::status(503).message("m") };
    assert_eq!(
        OpenAi.error(&own, "").text(),
        r#"{"error":{"message":"m","type":"k","param":null,"code":null}}"#
    );
}

#[test]
fn models_are_listed() {
    let list = body(answer(&OpenAi, Endpoint::Models, &Value::Null, json!({})));
    assert_eq!(list["data"][0]["id"], "gpt-4o");
    let one = body(answer(&OpenAi, Endpoint::Model, &Value::Null, json!({})));
    assert_eq!(one, json!({"id": "m", "object": "model", "created": EPOCH, "owned_by": "mock"}));
}
