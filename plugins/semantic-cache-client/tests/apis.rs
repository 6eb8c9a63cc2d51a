//! An answer that came through one API is served through the others.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod gateway;

use std::path::Path;

use gateway::{Came, Gateway};
use serde_json::{Value, json};
use shared::host::Map;

/// Each API: its word, its path, that of its streams.
const APIS: [(&str, &str, &str); 4] = [
    ("chat", "/v1/chat/completions", "/v1/chat/completions"),
    ("responses", "/v1/responses", "/v1/responses"),
    ("messages", "/v1/messages", "/v1/messages"),
    (
        "gemini",
        "/v1beta/models/m:generateContent",
        "/v1beta/models/m:streamGenerateContent?alt=sse",
    ),
];

const TEXT: &str =
    "The capital of France is \"Paris\",\nwhich lies on the river Seine. 巴黎是法国的首都。";

/// The same request to each API.
fn request(api: &str, stream: bool) -> Value {
    let (system, first, said, last) = ("Be brief.", "Hi", "Hello!", "Capital of France?");
    let mut body = match api {
        "chat" => {
            json!({"model": "m", "max_completion_tokens": 50, "temperature": 0.5, "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": first},
            {"role": "assistant", "content": said, "refusal": null},
            {"role": "user", "content": [{"type": "text", "text": last}]}]})
        }
        "responses" => {
            json!({"model": "m", "max_output_tokens": 50, "temperature": 0.5, "instructions": system, "input": [
            {"role": "user", "content": first},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": said}]},
            {"role": "user", "content": [{"type": "input_text", "text": last}]}]})
        }
        "messages" => {
            json!({"model": "m", "max_tokens": 50, "temperature": 0.5, "system": [{"type": "text", "text": system}], "messages": [
            {"role": "user", "content": first},
            {"role": "assistant", "content": [{"type": "text", "text": said}]},
            {"role": "user", "content": last}]})
        }
        _ => json!({"generationConfig": {"maxOutputTokens": 50, "temperature": 0.5},
            "systemInstruction": {"role": "user", "parts": [{"text": system}]}, "contents": [
            {"role": "user", "parts": [{"text": first}]},
            {"role": "model", "parts": [{"text": said}]},
            {"parts": [{"text": last}]}]}),
    };
    if stream && api != "gemini" {
        body["stream"] = json!(true);
    }
    if stream && api == "chat" {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

/// An answer of each API's.
fn provider(api: &str) -> Value {
    match api {
        "chat" => {
            json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m-2026", "system_fingerprint": "fp",
            "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
                "message": {"role": "assistant", "content": TEXT, "refusal": null, "annotations": []}}],
            "usage": {"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 10}, "completion_tokens_details": {"reasoning_tokens": 8}}})
        }
        "responses" => {
            json!({"id": "resp_1", "object": "response", "created_at": 7, "status": "completed", "model": "m-2026",
            "output": [{"type": "reasoning", "id": "rs_1", "summary": []},
                {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [
                    {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}]}],
            "usage": {"input_tokens": 30, "input_tokens_details": {"cached_tokens": 10}, "output_tokens": 20,
                "output_tokens_details": {"reasoning_tokens": 8}, "total_tokens": 50}})
        }
        "messages" => {
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m-2026",
            "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 20, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 0, "output_tokens": 20}})
        }
        _ => {
            json!({"candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": TEXT}]}}],
            "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 12, "thoughtsTokenCount": 8,
                "cachedContentTokenCount": 10, "totalTokenCount": 50},
            "modelVersion": "m-2026", "responseId": "g1"})
        }
    }
}

/// Asks through an API; a provider that is asked gives the answer of that API.
fn ask(gateway: &Gateway, api: &str, stream: bool, body: &Value, answer: &Value) -> Came {
    let (_, path, streams) = APIS.into_iter().find(|(name, ..)| *name == api).unwrap();
    gateway.host.put(Map::Request, ":path", if stream { streams } else { path });
    gateway.ask(body, answer)
}

fn plainly(gateway: &Gateway, api: &str, body: &Value) -> Came {
    ask(gateway, api, false, body, &provider(api))
}

/// The texts of an answer or of its events, in one.
fn texts(document: &str) -> String {
    fn walk(value: &Value, key: &str, out: &mut String) {
        match value {
            Value::String(text) if ["text", "content", "delta"].contains(&key) => {
                out.push_str(text)
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, "", out)),
            Value::Object(members) => members.iter().for_each(|(key, value)| walk(value, key, out)),
            _ => {}
        }
    }
    let mut out = String::new();
    let events: Vec<&str> =
        document.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let all = if events.is_empty() { vec![document] } else { events };
    for event in all {
        // The events of Responses that sum up repeat the text.
        if let Ok(value) = serde_json::from_str::<Value>(event)
            && !value["type"]
                .as_str()
                .is_some_and(|kind| kind.ends_with("done") || kind.ends_with("completed"))
        {
            walk(&value, "", &mut out);
        }
    }
    out
}

#[test]
fn an_answer_is_told_in_each_api_whole_and_as_a_stream() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (from, ..) in APIS {
        let gateway = Gateway::new("{}");
        assert_eq!(plainly(&gateway, from, &request(from, false)), Came::Sent, "{from}");
        for (to, ..) in APIS {
            for stream in [false, true] {
                let came = ask(&gateway, to, stream, &request(to, stream), &Value::Null);
                let Came::Answered(200, verdict, kind, text) = came else { panic!("{from} {to}") };
                assert_eq!(verdict, "hit-exact", "{from} {to}");
                assert_eq!(kind == "text/event-stream", stream, "{from} {to}");
                assert_eq!(texts(&text), TEXT, "{from} {to} {stream}: {text}");
                if from == to {
                    let given = provider(from).to_string();
                    assert!(stream || text == given);
                    continue;
                }
                let file =
                    golden.join(format!("{from}-{to}.{}", if stream { "sse" } else { "json" }));
                let shown = if stream {
                    text
                } else {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    format!("{}\n", serde_json::to_string_pretty(&value).unwrap())
                };
                if std::env::var("UPDATE").is_ok() {
                    std::fs::create_dir_all(&golden).unwrap();
                    std::fs::write(&file, &shown).unwrap();
                }
                let expected = std::fs::read_to_string(&file).unwrap_or_default();
                assert_eq!(shown, expected, "{}", file.display());
            }
        }
    }
}

#[test]
fn what_another_api_cannot_tell_is_fetched_for_it_once_and_kept_beside() {
    let mut thinks = provider("chat");
    thinks["choices"][0]["message"]["reasoning_content"] = json!("Hm");
    let mut quotes = provider("messages");
    quotes["content"][0]["citations"] = json!([{"type": "char_location", "cited_text": "x"}]);
    let gateway = Gateway::new("{}");
    for round in 0..3 {
        // Each gets its own, whoever came last, and nobody asks the provider a second time.
        for (api, answer) in
            [("chat", &thinks), ("messages", &quotes), ("gemini", &provider("gemini"))]
        {
            let came = ask(&gateway, api, false, &request(api, false), answer);
            if round == 0 {
                assert_eq!(came, Came::Sent, "{api}");
            } else {
                let Came::Answered(200, _, _, text) = came else { panic!("{api}") };
                assert_eq!(text, answer.to_string(), "{api}");
            }
        }
    }
}

#[test]
fn an_answer_that_says_more_than_a_text_is_of_its_api() {
    let changed = |api: &str, path: &str, value: Value| {
        let mut answer = provider(api);
        *answer.pointer_mut(path).unwrap() = value;
        (api.to_owned(), answer)
    };
    let mut choices = provider("chat");
    choices["choices"].as_array_mut().unwrap().push(provider("chat")["choices"][0].clone());
    let mut summary = provider("responses");
    summary["output"][0]["summary"] = json!([{"type": "summary_text", "text": "thought"}]);
    let mut grounded = provider("gemini");
    grounded["candidates"][0]["groundingMetadata"] = json!({"webSearchQueries": ["x"]});
    let mut cited = provider("chat");
    cited["citations"] = json!(["https://example.com"]);
    let all = [
        ("chat".to_owned(), choices),
        ("chat".to_owned(), cited),
        changed("chat", "/choices/0/logprobs", json!({"content": [{"token": "x"}]})),
        changed("chat", "/choices/0/message/annotations", json!([{"type": "url_citation"}])),
        ("responses".to_owned(), summary),
        changed("responses", "/output/1/content/0/annotations", json!([{"type": "file_citation"}])),
        changed(
            "messages",
            "/content",
            json!([{"type": "thinking", "thinking": "x", "signature": "s"},
            {"type": "text", "text": TEXT}]),
        ),
        ("gemini".to_owned(), grounded),
        changed(
            "gemini",
            "/candidates/0/content/parts",
            json!([{"text": "x", "thought": true}, {"text": TEXT}]),
        ),
    ];
    for (api, answer) in all {
        let gateway = Gateway::new("{}");
        assert_eq!(ask(&gateway, &api, false, &request(&api, false), &answer), Came::Sent);
        let other = if api == "messages" { "chat" } else { "messages" };
        assert_eq!(plainly(&gateway, other, &request(other, false)), Came::Sent, "{answer}");
        assert_ne!(plainly(&gateway, &api, &request(&api, false)), Came::Sent, "{answer}");
        assert_ne!(plainly(&gateway, other, &request(other, false)), Came::Sent, "{answer}");
    }
}

#[test]
fn who_asks_where_an_answer_ended_is_not_served_with_one_that_does_not_say() {
    let stops = |api: &str, key: &str| {
        let mut body = request(api, false);
        body[key] = json!(["END"]);
        body
    };
    let (chat, messages) = (stops("chat", "stop"), stops("messages", "stop_sequences"));
    let gateway = Gateway::new("{}");
    assert_eq!(plainly(&gateway, "chat", &chat), Came::Sent);
    assert_eq!(plainly(&gateway, "messages", &messages), Came::Sent);
    assert_ne!(plainly(&gateway, "messages", &messages), Came::Sent);
    // The other way round nothing is missing.
    let gateway = Gateway::new("{}");
    assert_eq!(plainly(&gateway, "messages", &messages), Came::Sent);
    assert_ne!(plainly(&gateway, "chat", &chat), Came::Sent);
}

#[test]
fn what_not_every_api_can_be_asked_is_apart() {
    let with = |api: &str, key: &str, value: Value| {
        let mut body = request(api, false);
        body[key] = value;
        (api.to_owned(), body)
    };
    let turns = |turns: Value| with("chat", "messages", turns);
    let user = json!({"role": "user", "content": "x"});
    let mut all = vec![
        with("chat", "seed", json!(1)),
        with("chat", "n", json!(2)),
        with("chat", "response_format", json!({"type": "json_object"})),
        with("chat", "max_tokens", json!(50)),
        with("responses", "store", json!(true)),
        with("responses", "text", json!({"format": {"type": "json_object"}})),
        with("messages", "top_k", json!(3)),
        with("messages", "metadata", json!({"user_id": "u", "x": 1})),
        with("gemini", "safetySettings", json!([{"category": "X", "threshold": "Y"}])),
        with("gemini", "temperature", json!(0.5)),
        // Who goes on from what the assistant has begun asks for something else in each API.
        turns(json!([user, {"role": "assistant", "content": "The"}])),
        turns(json!([{"role": "developer", "content": "Be brief."}, user])),
        turns(json!([{"role": "user", "name": "ann", "content": "x"}])),
        turns(json!([{"role": "user", "content": []}])),
    ];
    let mut cached = request("messages", false);
    cached["system"][0]["cache_control"] = json!({"type": "ephemeral"});
    all.push(("messages".to_owned(), cached));
    for (api, body) in all {
        let gateway = Gateway::new("{}");
        assert_eq!(plainly(&gateway, &api, &body), Came::Sent, "{body}");
        assert_ne!(plainly(&gateway, &api, &body), Came::Sent, "{body}");
        for (other, ..) in APIS.into_iter().filter(|(other, ..)| *other != api) {
            let came = plainly(&gateway, other, &request(other, false));
            // The first of them fetches it for the others.
            let first = APIS.into_iter().find(|(name, ..)| *name != api).unwrap().0;
            assert_eq!(came == Came::Sent, other == first, "{other} {body}");
        }
    }
}

#[test]
fn a_version_of_anthropics_api_that_not_all_clients_speak_is_apart() {
    for (name, value, samples, shared) in [
        ("anthropic-version", "2023-06-01", true, true),
        ("anthropic-version", "2026-10-21", false, true),
        // It would be refused.
        ("anthropic-version", "2026-10-21", true, false),
        ("anthropic-version", "2027-01-01", false, false),
        ("anthropic-beta", "context-1m", false, false),
    ] {
        let asked = |api: &str| {
            let mut body = request(api, false);
            if !samples {
                body.as_object_mut().unwrap().remove("temperature");
            }
            body
        };
        let gateway = Gateway::new("{}");
        assert_eq!(plainly(&gateway, "chat", &asked("chat")), Came::Sent);
        gateway.header(name, value);
        let came = plainly(&gateway, "messages", &asked("messages"));
        assert_eq!(came != Came::Sent, shared, "{name}: {value} {samples}");
    }
}
