use super::*;
use crate::protocols::testing::{answer, body, data, events};
use serde_json::json;

fn request(extra: Value) -> Value {
    let mut request = json!({"model": "command", "messages": [{"role": "user", "content": "hi"}]});
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

fn whole(script: Value) -> Value {
    body(answer(&Cohere, Endpoint::Chat, &request(json!({})), script))
}

fn stream(script: Value) -> Vec<Event> {
    events(answer(&Cohere, Endpoint::Chat, &request(json!({"stream": true})), script))
}

#[test]
fn an_answer_has_every_field() {
    let mut answer = whole(json!({"cached_tokens": 2}));
    assert_eq!(answer["id"].as_str().unwrap().len(), 36);
    answer.as_object_mut().unwrap().remove("id");
    assert_eq!(
        answer,
        json!({
            "message": {"role": "assistant",
                        "content": [{"type": "text", "text": "Hello from a: hi"}]},
            "finish_reason": "COMPLETE",
            "usage": {"billed_units": {"input_tokens": 1, "output_tokens": 5},
                      "tokens": {"input_tokens": 67, "output_tokens": 5}, "cached_tokens": 2},
        })
    );
}

/// Puts a stream together as a client does.
fn assemble(events: &[Event]) -> Value {
    let mut answer = json!({"message": {"role": "assistant"}});
    for event in events {
        let data = data(event);
        assert_eq!(event.name.unwrap(), data["type"]);
        let index = data["index"].as_u64().unwrap_or(0) as usize;
        let added = &data["delta"]["message"];
        let message = &mut answer["message"];
        let join = |value: &mut Value, piece: &Value| {
            *value = json!(value.as_str().unwrap_or_default().to_owned() + piece.as_str().unwrap());
        };
        match event.name.unwrap() {
            "message-start" => answer["id"] = data["id"].clone(),
            "content-start" => {
                if index == 0 {
                    message["content"] = json!([]);
                }
                message["content"].as_array_mut().unwrap().push(added["content"].clone());
            }
            "content-delta" => {
                for (key, piece) in added["content"].as_object().unwrap() {
                    join(&mut message["content"][index][key], piece);
                }
            }
            "tool-plan-delta" => join(&mut message["tool_plan"], &added["tool_plan"]),
            "tool-call-start" => {
                if index == 0 {
                    message["tool_calls"] = json!([]);
                }
                message["tool_calls"].as_array_mut().unwrap().push(added["tool_calls"].clone());
            }
            "tool-call-delta" => {
                let call = &mut message["tool_calls"][index]["function"]["arguments"];
                join(call, &added["tool_calls"]["function"]["arguments"]);
            }
            "message-end" => {
                for (key, value) in data["delta"].as_object().unwrap() {
                    answer[key] = value.clone();
                }
            }
            _ => {}
        }
    }
    answer
}

#[test]
fn a_stream_adds_up_to_the_answer() {
    for script in [
        json!({"text": "Hello, world"}),
        json!({"thinking": "hm, well", "text": "ok"}),
        json!({"text": "I will look.", "tool_calls": [
            {"name": "f", "arguments": {"city": "Paris", "n": [1, 2]}}, {"name": "g"}]}),
        json!({"refusal": "no way"}),
        json!({"usage": false}),
    ] {
        assert_eq!(assemble(&stream(script.clone())), whole(script));
    }
    assert!(stream(json!({})).last().unwrap().terminal);
}

#[test]
fn text_beside_calls_is_their_plan() {
    let answer = whole(json!({"text": "I will.", "tool_calls": [{"name": "f", "id": "c1"}]}));
    let function = json!({"name": "f", "arguments": "{}"});
    let call = json!({"id": "c1", "type": "function", "function": function});
    let message = json!({"role": "assistant", "tool_plan": "I will.", "tool_calls": [call]});
    assert_eq!((&answer["message"], &answer["finish_reason"]), (&message, &json!("TOOL_CALL")));
}

#[test]
fn finish_reasons() {
    let reason = |extra, script| {
        body(answer(&Cohere, Endpoint::Chat, &request(extra), script))["finish_reason"].clone()
    };
    assert_eq!(reason(json!({"max_tokens": 1}), json!({"tokens": 9})), "MAX_TOKENS");
    assert_eq!(reason(json!({"stop_sequences": ["!"]}), json!({"text": "a!"})), "STOP_SEQUENCE");
    assert_eq!(reason(json!({}), json!({"finish_reason": "TIMEOUT"})), "TIMEOUT");
}

#[test]
fn errors_have_the_words_of_the_provider() {
    let error = |status| Cohere.error(&ApiError::status(status), "id").text();
    assert_eq!(error(401), r#"{"id":"id","message":"invalid api token"}"#);
    assert!(error(429).contains("Trial key"));
    let event = &Cohere.error_event(&ApiError::status(503))[0];
    assert_eq!(event.name, Some("message-end"));
    assert_eq!(data(event)["delta"]["finish_reason"], "ERROR");
}

#[test]
fn vectors_and_orders() {
    let texts = json!({"model": "e", "input_type": "search_query", "texts": ["a", "b", "a"],
                       "output_dimension": 8});
    let embedded = body(answer(&Cohere, Endpoint::Embeddings, &texts, json!({})));
    let vectors = &embedded["embeddings"]["float"];
    assert_eq!(vectors[0], vectors[2]);
    assert_ne!(vectors[0], vectors[1]);
    assert_eq!(vectors[0].as_array().unwrap().len(), 8);
    let documents = json!({"model": "r", "query": "red apple", "top_n": 2,
                           "documents": ["blue sky", "a red apple", "Red wine"]});
    let ranked = body(answer(&Cohere, Endpoint::Rerank, &documents, json!({})));
    let order: Vec<_> =
        ranked["results"].as_array().unwrap().iter().map(|r| r["index"].clone()).collect();
    assert_eq!(order, [1, 2]);
    assert_eq!(ranked["results"][0]["relevance_score"], 1.0);
    let models = body(answer(&Cohere, Endpoint::Models, &Value::Null, json!({})));
    assert_eq!(models["models"][0]["name"], "command-a-03-2025");
}
