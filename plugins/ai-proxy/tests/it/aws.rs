//! What must hold for every request to Bedrock and Cohere, and for every stream of theirs.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use ai_proxy::config::Protocol;
use ai_proxy::presets::Quirks;
use ai_proxy::provider::Cloud;
use ai_proxy::translate::client::{Client, Context, openai_chat};
use ai_proxy::translate::ir::{Delta, StopReason};
use ai_proxy::translate::provider::{self, Options};
use proptest::prelude::*;
use serde_json::{Value, json};

const PROTOCOLS: [Protocol; 2] = [Protocol::Bedrock, Protocol::Cohere];
const MODELS: [&str; 5] = [
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "amazon.nova-pro-v1:0",
    "us.amazon.nova-2-lite-v1:0",
    "openai.gpt-oss-120b-1:0",
    "command-a-03-2025",
];

/// The names of a stream's events, real ones and others.
const EVENTS: [&str; 12] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "throttlingException",
    "validationException",
    "whatever",
    "",
    "message-end",
    "InternalFailure",
];

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "user",
        "assistant",
        "tool",
        "system",
        "text",
        "image_url",
        "file",
        "function",
        "auto",
        "none",
        "required",
        "high",
        "json_schema",
        "data:image/png;base64,AA",
        "data:application/pdf;base64,AA",
        "s3://b/a.png",
        "https://x/a.png",
        "{}",
        "c.1",
        "",
        " \n",
    ])
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "role",
        "content",
        "type",
        "text",
        "image_url",
        "url",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "tool_call_id",
        "parameters",
        "thinking_blocks",
        "signature",
        "json_schema",
        "schema",
        "cache_control",
        "file",
        "file_data",
        "filename",
        // Of answers.
        "delta",
        "message",
        "start",
        "toolUse",
        "toolUseId",
        "input",
        "reasoningContent",
        "usage",
        "inputTokens",
        "tokens",
        "input_tokens",
        "finish_reason",
        "stopReason",
        "logprobs",
        "tool_plan",
    ])
}

/// JSON made of the words that mean something here.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..6).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

/// A message that is well-formed but of any content.
fn message() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        word().prop_map(|text| json!({"type": "text", "text": text})),
        word().prop_map(|url| json!({"type": "image_url", "image_url": {"url": url}})),
        (word(), word()).prop_map(|(name, data)| {
            json!({"type": "file", "file": {"filename": name, "file_data": data}})
        }),
    ];
    let parts = prop::collection::vec(part, 0..4);
    prop_oneof![
        parts.prop_map(|parts| json!({"role": "user", "content": parts})),
        any::<String>().prop_map(|text| json!({"role": "user", "content": text})),
        any::<String>().prop_map(|text| json!({"role": "assistant", "content": text})),
        word().prop_map(|text| json!({"role": "system", "content": text})),
        (any::<String>(), any::<String>()).prop_map(|(id, arguments)| {
            let function = json!({"name": "f", "arguments": arguments});
            let call = json!({"id": id, "type": "function", "function": function});
            json!({"role": "assistant", "content": null, "tool_calls": [call]})
        }),
        (any::<String>(), any::<String>()).prop_map(|(id, text)| {
            json!({"role": "tool", "tool_call_id": id, "content": text})
        }),
    ]
}

const FIELDS: [&str; 17] = [
    "messages",
    "tools",
    "tool_choice",
    "stop",
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "response_format",
    "reasoning_effort",
    "user",
    "metadata",
    "seed",
    "logprobs",
    "frequency_penalty",
    "stream",
    "parallel_tool_calls",
];

/// What each provider gets of a request; nothing where one of them, or the client's side, refuses.
fn written(text: &str, model: &str) -> Vec<(Protocol, Value)> {
    let mut all = Vec::new();
    for protocol in PROTOCOLS {
        let Ok(mut request) = openai_chat::read(text) else { continue };
        let (quirks, cloud) = (Quirks::NONE, Cloud::Own);
        let options = Options { model, default_max_tokens: 4096, quirks, cloud };
        if let Ok(body) = provider::write(protocol, &mut request, &options) {
            all.push((protocol, serde_json::from_str(&body).unwrap()));
        }
    }
    all
}

/// Bedrock's own rules of a conversation.
fn check_converse(body: &Value) {
    let messages = body["messages"].as_array().unwrap();
    assert!(!messages.is_empty());
    for (number, message) in messages.iter().enumerate() {
        let role = if number % 2 == 0 { "user" } else { "assistant" };
        assert_eq!(message["role"], role);
        let content = message["content"].as_array().unwrap();
        assert!(!content.is_empty());
        for block in content {
            assert!(block["text"].as_str().is_none_or(|text| !text.trim().is_empty()));
            let ids = [&block["toolUse"]["toolUseId"], &block["toolResult"]["toolUseId"]];
            for id in ids.into_iter().filter_map(Value::as_str) {
                assert!((1..=64).contains(&id.len()), "{id}");
                let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                assert!(id.bytes().all(legal), "{id}");
            }
            assert!(block["toolUse"].is_null() || block["toolUse"]["input"].is_object());
        }
    }
}

proptest! {
    #[test]
    fn whatever_a_client_sends_is_written_as_json_or_refused(
        body in json_value(),
        keys in prop::collection::vec(0..FIELDS.len(), 0..6),
        model in prop::sample::select(MODELS.to_vec()),
    ) {
        let mut object = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
        for key in keys {
            object[FIELDS[key]] = body.clone();
        }
        for (protocol, body) in written(&object.to_string(), model) {
            if protocol == Protocol::Bedrock {
                check_converse(&body);
            }
        }
    }

    #[test]
    fn every_conversation_has_the_form_that_bedrock_demands(
        messages in prop::collection::vec(message(), 1..7),
        model in prop::sample::select(MODELS.to_vec()),
    ) {
        let text = json!({"model": "m", "messages": messages}).to_string();
        for (protocol, body) in written(&text, model) {
            if protocol == Protocol::Bedrock {
                check_converse(&body);
                // A result without its call is left to Bedrock to refuse.
                if body["messages"].to_string().contains("toolUse\"") {
                    prop_assert_ne!(&body["toolConfig"]["tools"][0], &Value::Null);
                }
            }
        }
    }

    #[test]
    fn whatever_a_provider_streams_is_survived_and_ends_once(
        events in prop::collection::vec(
            (0..EVENTS.len(), prop_oneof![
                json_value().prop_map(|value| value.to_string()),
                any::<String>(),
                prop::sample::select(vec![
                    r#"{"type":"message-start","id":"x"}"#.to_owned(),
                    r#"{"type":"tool-call-start","delta":{"message":{"tool_calls":{"id":"1","function":{"name":"f"}}}}}"#.to_owned(),
                    r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}"#.to_owned(),
                    r#"{"start":{"toolUse":{"toolUseId":"1","name":"f"}}}"#.to_owned(),
                    r#"{"delta":{"toolUse":{"input":"{}"}}}"#.to_owned(),
                    r#"{"delta":{"reasoningContent":{"text":"a","signature":"s"}}}"#.to_owned(),
                    r#"{"stopReason":"end_turn"}"#.to_owned(),
                    r#"{"usage":{"inputTokens":1}}"#.to_owned(),
                    "[DONE]".to_owned(),
                ]),
            ]),
            0..12,
        ),
    ) {
        for protocol in PROTOCOLS {
            let mut reader = provider::stream(protocol);
            let (mut ends, mut after, mut started) = (0, 0, 0_i32);
            let mut count = |delta: Delta<'_>| {
                after += i32::from(ends > 0);
                match delta {
                    Delta::End(_) | Delta::Error { .. } => ends += 1,
                    Delta::ToolStart { .. } => started += 1,
                    _ => {}
                }
            };
            for (name, data) in &events {
                if reader.progress().ended {
                    break;
                }
                if reader.read(Some(EVENTS[*name]), data, &mut count).is_err() {
                    reader.progress().ended = true;
                }
            }
            reader.finish(&mut count);
            prop_assert!(ends <= 1 && after == 0, "{:?}: {} {}", protocol, ends, after);
        }
    }

    #[test]
    fn whatever_a_provider_answers_is_read_or_refused(
        value in json_value(),
        text in any::<String>(),
    ) {
        for protocol in PROTOCOLS {
            for text in [
                value.to_string(),
                json!({"output": {"message": {"content": [value]}}}).to_string(),
                json!({"message": value, "finish_reason": "COMPLETE"}).to_string(),
                text.clone(),
            ] {
                if let Ok(response) = provider::read(protocol, &text) {
                    let out = Client::OpenAiChat.write(&response, &Context::default());
                    prop_assert!(serde_json::from_str::<Value>(&out).is_ok(), "{}", out);
                }
                provider::read_error(protocol, &text);
                provider::observe(protocol, text.as_str().into(), &mut Default::default());
            }
        }
    }

    #[test]
    fn texts_and_arguments_of_a_stream_arrive_whole(
        texts in prop::collection::vec(any::<String>(), 1..5),
        arguments in prop::collection::vec(any::<String>(), 0..4),
    ) {
        for protocol in PROTOCOLS {
            let (mut said, mut called, mut stop, mut tokens) =
                (String::new(), String::new(), None, None);
            let mut reader = provider::stream(protocol);
            for (name, data) in stream_of(protocol, &texts, &arguments) {
                let data = data.to_string();
                reader.read(Some(name), &data, &mut |delta| match delta {
                    Delta::Text(text) => said.push_str(&text.decode()),
                    Delta::ToolArguments(piece) => called.push_str(&piece.decode()),
                    Delta::Stop(reason) => stop = Some(reason),
                    Delta::End(usage) => tokens = usage.map(|usage| usage.total_tokens()),
                    _ => {}
                }).unwrap();
            }
            prop_assert_eq!(said, texts.concat());
            let whole = arguments.concat();
            prop_assert_eq!(called, if whole.is_empty() { "{}".to_owned() } else { whole });
            prop_assert_eq!((stop, tokens), (Some(StopReason::ToolCalls), Some(46)));
            let complete = reader.finish(&mut |_| {});
            prop_assert!(complete);
        }
    }
}

/// A stream of these texts, and of a call with these arguments.
fn stream_of(
    protocol: Protocol,
    texts: &[String],
    arguments: &[String],
) -> Vec<(&'static str, Value)> {
    let mut events = Vec::new();
    if protocol == Protocol::Bedrock {
        events.push(("messageStart", json!({"role": "assistant"})));
        for text in texts {
            events.push(("contentBlockDelta", json!({"delta": {"text": text}})));
        }
        events.push(("contentBlockStop", json!({})));
        let call = json!({"toolUseId": "1", "name": "f"});
        events.push(("contentBlockStart", json!({"start": {"toolUse": call}})));
        for piece in arguments {
            let delta = json!({"toolUse": {"input": piece}});
            events.push(("contentBlockDelta", json!({ "delta": delta })));
        }
        events.push(("contentBlockStop", json!({})));
        events.push(("messageStop", json!({"stopReason": "tool_use"})));
        let usage = json!({"inputTokens": 12, "outputTokens": 34, "totalTokens": 46});
        events.push(("metadata", json!({ "usage": usage })));
        return events;
    }
    let mut push = |kind: &'static str, message: Value| {
        events.push((kind, json!({"type": kind, "delta": {"message": message}})));
    };
    push("message-start", json!({"content": [], "tool_calls": []}));
    for text in texts {
        push("content-delta", json!({"content": {"text": text}}));
    }
    let call = json!({"id": "1", "function": {"name": "f", "arguments": ""}});
    push("tool-call-start", json!({ "tool_calls": call }));
    for piece in arguments {
        push("tool-call-delta", json!({"tool_calls": {"function": {"arguments": piece}}}));
    }
    push("tool-call-end", json!({}));
    let usage = json!({"tokens": {"input_tokens": 12, "output_tokens": 34}});
    let end = json!({"finish_reason": "TOOL_CALL", "usage": usage});
    events.push(("message-end", json!({"type": "message-end", "delta": end})));
    events
}
