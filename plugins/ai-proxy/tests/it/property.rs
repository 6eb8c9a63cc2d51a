//! What must hold for every request and every stream.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

use crate::support::{ask, chat_host, exchange, send, stream};
use ai_proxy::config::Protocol;
use ai_proxy::overrides::apply;
use ai_proxy::presets::{self, Quirks};
use ai_proxy::provider::Cloud;
use ai_proxy::translate::client::openai_chat;
use ai_proxy::translate::ir::{Request, Unsupported};
use ai_proxy::translate::provider::openai_chat::same;
use ai_proxy::translate::provider::{self, Options};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A streamed answer as Anthropic sends it, of these texts, a thought and a call.
fn anthropic_stream(texts: &[String], line_end: &str) -> String {
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude",
               "usage": {"input_tokens": 3, "output_tokens": 1}}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_start", "index": 0,
               "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
    ];
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    for text in texts {
        events.push(delta(json!({"type": "thinking_delta", "thinking": text})));
    }
    events.push(delta(json!({"type": "signature_delta", "signature": "sig"})));
    events.push(json!({"type": "content_block_stop", "index": 0}));
    events.push(json!({"type": "content_block_start", "index": 1,
                       "content_block": {"type": "text", "text": ""}}));
    for text in texts {
        events.push(delta(json!({"type": "text_delta", "text": text})));
    }
    events.push(json!({"type": "content_block_stop", "index": 1}));
    events.push(json!({"type": "content_block_start", "index": 2,
                       "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}));
    for text in texts {
        let piece = json!({ "type": "input_json_delta", "partial_json": text });
        events.push(delta(piece));
    }
    events.push(json!({"type": "content_block_stop", "index": 2}));
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"},
                       "usage": {"output_tokens": 9}}));
    events.push(json!({"type": "message_stop"}));
    let mut out = String::new();
    for event in events {
        let name = event["type"].as_str().unwrap();
        out.push_str(&format!("event: {name}{line_end}data: {event}{line_end}{line_end}"));
    }
    out
}

fn anthropic(request: &mut Request<'_>) -> Result<String, Unsupported> {
    let (quirks, cloud) = (Quirks::NONE, Cloud::Own);
    let options = Options { model: "x", default_max_tokens: 4096, quirks, cloud };
    provider::write(Protocol::Anthropic, request, &options)
}

fn translate(pieces: &[&[u8]]) -> Vec<String> {
    let host = chat_host();
    let mut exchange = exchange(crate::support::CONFIG, "translate");
    let more = r#","stream":true,"stream_options":{"include_usage":true}"#;
    assert!(send(&mut exchange, &host, &ask("claude-x", more)));
    stream(&mut exchange, &host, pieces)
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn chunks(text: &str) -> Vec<Value> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.filter(|data| *data != "[DONE]").map(|d| serde_json::from_str(d).unwrap()).collect()
}

fn joined(chunks: &[Value], path: &str) -> String {
    chunks.iter().filter_map(|chunk| chunk.pointer(path)?.as_str()).collect()
}

proptest! {
    #[test]
    fn a_stream_is_the_same_however_it_is_cut_and_loses_no_text(
        texts in prop::collection::vec(any::<String>(), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        crlf in any::<bool>(),
    ) {
        let input = anthropic_stream(&texts, if crlf { "\r\n" } else { "\n" });
        let whole = translate(&[input.as_bytes()]).concat();
        let cut = translate(&pieces(input.as_bytes(), &cuts)).concat();
        // A cut between CR and LF leaves an empty line more, which means nothing.
        let lines = |text: &str| text.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect();
        let (one, other): (Vec<_>, Vec<_>) = (lines(&whole), lines(&cut));
        prop_assert_eq!(one, other);
        prop_assert!(whole.ends_with("data: [DONE]\n\n"));
        let chunks = chunks(&whole);
        let text = texts.concat();
        prop_assert_eq!(joined(&chunks, "/choices/0/delta/content"), text.clone());
        prop_assert_eq!(joined(&chunks, "/choices/0/delta/reasoning_content"), text.clone());
        let thought = joined(&chunks, "/choices/0/delta/thinking_blocks/0/thinking");
        prop_assert_eq!(thought, text.clone());
        let arguments = joined(&chunks, "/choices/0/delta/tool_calls/0/function/arguments");
        prop_assert_eq!(arguments, if text.is_empty() { "{}".into() } else { text });
        prop_assert_eq!(&chunks.last().unwrap()["usage"]["total_tokens"], 12);
    }

    #[test]
    fn a_cut_stream_never_looks_complete(
        texts in prop::collection::vec("[a-z]{0,9}", 1..4),
        at in any::<prop::sample::Index>(),
    ) {
        let input = anthropic_stream(&texts, "\n");
        let end = input.find("event: message_stop").unwrap();
        let out = translate(&[&input.as_bytes()[..at.index(end)]]).concat();
        prop_assert!(out.contains(r#""error":{"#), "{}", out);
        // Cut before it has begun it is no stream at all, and another provider may be asked.
        if serde_json::from_str::<Value>(&out).is_err() {
            prop_assert_eq!(out.matches("[DONE]").count(), 1);
        }
    }

    #[test]
    fn any_bytes_as_a_stream_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
    ) {
        let out = translate(&pieces(&bytes, &cuts)).concat();
        prop_assert!(out.contains("broke off"));
    }

    #[test]
    fn texts_arrive_as_they_were_written(
        system in any::<String>(),
        user in any::<String>(),
        arguments in any::<String>(),
        result in any::<String>(),
    ) {
        let body = json!({"model": "m", "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": [{"type": "text", "text": user}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}]},
            {"role": "tool", "tool_call_id": "1", "content": result},
        ]}).to_string();
        let mut request = openai_chat::read(&body).unwrap();
        let out: Value = serde_json::from_str(&anthropic(&mut request).unwrap()).unwrap();
        // White space alone is left out, which Anthropic refuses.
        let said = |text: &str| !text.trim().is_empty();
        let expected = if said(&system) { system.as_str() } else { "" };
        prop_assert_eq!(out["system"].as_str().unwrap_or_default(), expected);
        let messages = out["messages"].as_array().unwrap();
        let call = messages.iter().find_map(|m| m.pointer("/content/0/input")).unwrap();
        let object = serde_json::from_str::<Value>(&arguments).is_ok_and(|v| v.is_object());
        if !object && !arguments.trim().is_empty() {
            prop_assert_eq!(call["INVALID_JSON"].as_str().unwrap(), arguments.trim());
        }
        if said(&user) {
            prop_assert_eq!(messages[0]["content"].as_str().unwrap(), &user);
        }
        let last = &messages.last().unwrap()["content"][0];
        prop_assert_eq!(last["content"].as_str().unwrap_or_default(), &result);
    }

    #[test]
    fn what_another_server_of_the_protocol_gets_is_json_and_fits(
        value in json_value(),
        keys in prop::collection::vec(0..FIELDS.len(), 0..6),
        preset in prop::sample::select(vec!["mistral", "deepseek", "groq", "minimax", "openai"]),
    ) {
        let mut object = json!({"model": "m", "messages": [{"role": "user", "content": "x"}, &value]});
        for key in keys {
            object[FIELDS[key]] = value.clone();
        }
        let quirks = presets::find(preset).unwrap().quirks;
        let options = Options { model: "gpt-5", default_max_tokens: 9, quirks, cloud: Cloud::Own };
        let fitted = |text: &str| {
            let Ok(fit) = same::fit(text.into(), &options, true) else { return text.to_owned() };
            let mut edits = fit.members.edits(text);
            edits.extend(fit.edits);
            edits.sort_by_key(|(range, _)| range.start);
            assert!(edits.is_sorted_by(|one, next| one.0.end <= next.0.start), "{edits:?}");
            apply(text, &edits)
        };
        let text = object.to_string();
        let once = fitted(&text);
        let [before, after] = [&text, &once].map(|text| serde_json::from_str::<Value>(text).unwrap());
        prop_assert_eq!(&before["whatever"], &after["whatever"]);
        prop_assert_eq!(fitted(&once), once);
    }

    #[test]
    fn what_a_client_sends_is_read_or_refused_and_what_is_written_is_json(
        body in json_value(),
        keys in prop::collection::vec(0..FIELDS.len(), 0..6),
    ) {
        let mut object = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
        for key in keys {
            object[FIELDS[key]] = body.clone();
        }
        let text = object.to_string();
        match openai_chat::read(&text) {
            Ok(mut request) => {
                let out = anthropic(&mut request).unwrap_or_else(|_| "null".into());
                prop_assert!(serde_json::from_str::<Value>(&out).is_ok(), "{}", out);
            }
            Err(error) => prop_assert!(error.status == 400 && error.param.is_some()),
        }
    }
}

const FIELDS: [&str; 16] = [
    "messages",
    "tools",
    "tool_choice",
    "stop",
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_completion_tokens",
    "response_format",
    "reasoning_effort",
    "user",
    "n",
    "stream",
    "parallel_tool_calls",
    "whatever",
];

/// JSON made of the words that mean something here.
fn json_value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "user",
        "assistant",
        "tool",
        "system",
        "text",
        "image_url",
        "function",
        "auto",
        "required",
        "low",
        "json_schema",
        "data:image/png;base64,AA",
        "data:x",
        "{}",
        "",
        " ",
    ]);
    let key = prop::sample::select(vec![
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
        "json_schema",
        "schema",
        "cache_control",
        "file",
        "file_data",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}
