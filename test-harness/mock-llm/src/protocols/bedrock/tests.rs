use super::*;
use crate::protocols::testing::{answer_at, body, data, events};
use serde_json::json;
use shared::eventstream::Decoder;

const MODEL: &str = "/model/amazon.nova-pro-v1%3A0";

fn request() -> Value {
    json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}],
           "inferenceConfig": {"maxTokens": 100, "stopSequences": ["END"]}})
}

fn whole(script: Value) -> Value {
    body(answer_at(&Bedrock, Endpoint::Chat, &format!("{MODEL}/converse"), &request(), script))
}

fn stream(script: Value) -> Vec<Event> {
    let path = format!("{MODEL}/converse-stream");
    events(answer_at(&Bedrock, Endpoint::Chat, &path, &request(), script))
}

#[test]
fn an_answer_has_every_field() {
    assert_eq!(
        whole(json!({"cached_tokens": 2})),
        json!({
            "metrics": {"latencyMs": 42},
            "output": {"message": {
                "role": "assistant", "content": [{"text": "Hello from a: hi"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 6, "outputTokens": 5, "totalTokens": 13,
                      "cacheReadInputTokens": 2, "cacheWriteInputTokens": 0},
        })
    );
}

/// Puts a stream together as a client does.
fn assemble(events: &[Event]) -> Value {
    let mut content: Vec<Value> = Vec::new();
    let (mut open, mut partial, mut answer) = (Value::Null, String::new(), json!({}));
    for event in events {
        let data = data(event);
        match event.name.unwrap() {
            "contentBlockStart" => open = data["start"].clone(),
            "contentBlockDelta" => {
                let delta = &data["delta"];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                if let Some(piece) = delta.get("text") {
                    open = json!({"text": text(&open["text"]) + &text(piece)});
                } else if let Some(piece) = delta.pointer("/reasoningContent/text") {
                    let known = &open["reasoningContent"]["reasoningText"]["text"];
                    let joined = text(known) + &text(piece);
                    open = json!({"reasoningContent": {"reasoningText": {"text": joined}}});
                } else if let Some(signature) = delta.pointer("/reasoningContent/signature") {
                    open["reasoningContent"]["reasoningText"]["signature"] = signature.clone();
                } else {
                    partial += &text(&delta["toolUse"]["input"]);
                }
            }
            "contentBlockStop" => {
                if open.get("toolUse").is_some() {
                    let input = if partial.is_empty() { "{}" } else { &partial };
                    open["toolUse"]["input"] = serde_json::from_str(input).unwrap();
                }
                content.push(std::mem::take(&mut open));
                partial.clear();
            }
            "messageStop" => answer["stopReason"] = data["stopReason"].clone(),
            "metadata" => {
                answer["usage"] = data["usage"].clone();
                answer["metrics"] = data["metrics"].clone();
            }
            _ => {}
        }
    }
    answer["output"] = json!({"message": {"role": "assistant", "content": content}});
    answer
}

#[test]
fn a_stream_adds_up_to_the_answer() {
    for script in [
        json!({"text": "Hello, world"}),
        json!({"thinking": "hm, well", "text": "ok", "tool_calls": [
            {"name": "f", "arguments": {"city": "Paris", "n": [1, 2]}}, {"name": "g"}]}),
        json!({"refusal": "no way"}),
        json!({"text": "one END two"}),
    ] {
        assert_eq!(assemble(&stream(script.clone())), whole(script));
    }
}

#[test]
fn the_counts_come_after_the_end() {
    let names = |script| stream(script).iter().filter_map(|e| e.name).collect::<Vec<_>>();
    let all = names(json!({"text": "a"}));
    let blocks = ["messageStart", "contentBlockDelta", "contentBlockStop"];
    assert_eq!(all[..3], blocks);
    assert_eq!(all[3..], ["messageStop", "metadata"]);
    assert_eq!(names(json!({"text": "a", "usage": false}))[3..], ["messageStop"]);
    assert_eq!(whole(json!({"usage": false})).get("usage"), None);
}

#[test]
fn errors_have_their_name_in_a_header() {
    let error = ApiError::status(429);
    let body: Value = serde_json::from_str(&Bedrock.error(&error, "r").text()).unwrap();
    assert!(body["message"].as_str().unwrap().starts_with("Too many requests"));
    let name = |status| Bedrock.error_headers(&ApiError::status(status))[0].1.clone();
    assert_eq!(name(429), "ThrottlingException:http://internal.amazon.com/coral/");
    assert!(name(500).starts_with("InternalServerException"));
    let scripted = ApiError { kind: Some("ThrottlingException".into()), ..error };
    let event = &Bedrock.error_event(&scripted)[0];
    assert_eq!(event.name, Some("throttlingException"));
    let plain = &Bedrock.error_event(&ApiError::status(503))[0];
    assert_eq!(plain.name, Some("serviceUnavailableException"));
}

#[test]
fn streams_are_framed_as_amazon_does() {
    use crate::script::Script;
    use crate::stream::{Step, plan};
    let script = Script::parse(json!({"error_after_events": 2}), "a").unwrap();
    let error = Bedrock.error_event(&ApiError::status(503));
    let steps = plan(stream(json!({"text": "a b"})), Framing::EventStream, &script, error);
    let mut decoder = Decoder::new();
    let mut seen = Vec::new();
    for step in steps {
        let Step::Write(bytes, _) = step else { continue };
        decoder
            .push(&bytes, |message| {
                let header = |name| Some(message.header(name)?.as_str()?.to_owned());
                let name = header(":event-type").or_else(|| header(":exception-type"));
                seen.push((name.unwrap(), header(":message-type").unwrap()));
                assert_eq!(header(":content-type").unwrap(), "application/json");
                assert!(serde_json::from_slice::<Value>(message.payload()).is_ok());
            })
            .unwrap();
    }
    decoder.finish().unwrap();
    let seen: Vec<_> = seen.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    let expected = [
        ("messageStart", "event"),
        ("contentBlockDelta", "event"),
        ("serviceUnavailableException", "exception"),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn only_its_own_paths_are_taken() {
    let route = |method, path: &str| Bedrock.route(&method, path);
    assert!(route(Method::POST, "/model/arn%3Aaws%3Abedrock/converse").is_some());
    assert!(route(Method::GET, "/model/m/converse").is_none());
    assert!(route(Method::POST, "/model//converse").is_none());
    assert!(route(Method::POST, "/models/m/converse").is_none());
    assert!(route(Method::POST, "/model/m/invoke").is_none());
}
