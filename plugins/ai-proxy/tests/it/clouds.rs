//! Providers on the clouds: their paths, credentials and framings.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::rc::Rc;

use crate::support::{chat_host, feed, head, send, sent};
use ai_proxy::configure;
use base64::Engine as _;
use serde_json::{Value, json};
use shared::eventstream::{self, Value as HeaderValue};
use shared::exchange::Exchange;
use shared::filter::CallReply;
use shared::host::script::ScriptHost;
use shared::host::{Body, CallId, Capability, Map};
use shared::plugin::{Plugin, Setup};

fn config() -> String {
    let key = include_str!("../google/key.pem");
    let account = json!({
        "type": "service_account", "client_email": "gateway@acme.iam.gserviceaccount.com",
        "private_key": key, "private_key_id": "k1",
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    let aws = json!({"access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret", "session_token": "st"});
    let google = json!({"service_account": account.to_string(), "token_cluster": "google-oauth"});
    json!({
        "providers": [
            {"name": "bedrock", "preset": "bedrock", "params": {"region": "us-east-1"}, "aws": aws},
            {"name": "claude", "preset": "bedrock-anthropic", "params": {"region": "us-east-1"},
             "api_key": "bedrock-key"},
            {"name": "vertex", "preset": "vertex", "google": google,
             "params": {"region": "europe-west1", "project": "acme"}},
            {"name": "vertex-claude", "preset": "vertex-anthropic", "google": google,
             "params": {"region": "europe-west1", "project": "acme"}}
        ],
        "models": [
            {"name": "nova", "targets": [{"provider": "bedrock", "model": "amazon.nova-pro-v1:0"}]},
            {"name": "claude", "targets": [{"provider": "claude", "model": "anthropic.claude-v2"}]},
            {"name": "claude-by-converse", "targets": [
                {"provider": "bedrock", "model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}]},
            {"name": "gemini", "targets": [{"provider": "vertex", "model": "gemini-2.5-pro"}]},
            {"name": "opus", "targets": [{"provider": "vertex-claude", "model": "claude-opus-4"}]}
        ]
    })
    .to_string()
}

fn plugin() -> Rc<dyn Plugin> {
    configure(Setup { config: config().as_bytes(), vm_config: b"translate" }).unwrap()
}

fn exchange(plugin: &Rc<dyn Plugin>) -> Exchange {
    Exchange::new(Rc::clone(plugin).filters(), plugin.settings())
}

fn ask(model: &str, more: &str) -> String {
    crate::support::ask(model, more)
}

fn messages_host() -> ScriptHost {
    let host = ScriptHost::post("/v1/messages");
    host.put(Map::Request, "content-type", "application/json");
    host
}

fn body(host: &ScriptHost) -> Value {
    serde_json::from_str(&host.body_text(Body::Request)).unwrap()
}

#[test]
fn requests_to_bedrock_are_signed_and_its_streams_come_as_the_client_wants_them() {
    let plugin = plugin();
    let host = chat_host();
    let mut gateway = exchange(&plugin);
    assert!(send(&mut gateway, &host, &ask("nova", r#","stream":true"#)));
    let text = |name: &str| host.text(Map::Request, name).unwrap();
    assert_eq!(text(":path"), "/model/amazon.nova-pro-v1%3A0/converse-stream");
    assert_eq!(text(":authority"), "bedrock-runtime.us-east-1.amazonaws.com");
    assert_eq!(text("x-amz-security-token"), "st");
    assert_eq!(text("x-amz-date"), "20251009T085320Z");
    let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20251009/us-east-1/bedrock/aws4_request, ";
    assert!(text("authorization").starts_with(scope), "{}", text("authorization"));
    let mut bytes = Vec::new();
    for (name, payload) in [
        ("messageStart", r#"{"role":"assistant"}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hello"}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        ("messageStop", r#"{"stopReason":"end_turn"}"#),
        ("metadata", r#"{"usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5}}"#),
    ] {
        let headers = [
            (":message-type", HeaderValue::String("event")),
            (":event-type", HeaderValue::String(name)),
        ];
        eventstream::encode(headers, payload.as_bytes(), &mut bytes).unwrap();
    }
    head(&mut gateway, &host, 200, "application/vnd.amazon.eventstream");
    assert_eq!(host.text(Map::Response, "content-type").unwrap(), "text/event-stream");
    let pieces: Vec<_> = bytes.chunks(7).collect();
    let out = feed(&mut gateway, &host, &pieces).concat();
    assert!(out.contains(r#""content":"Hello""#) && out.ends_with("data: [DONE]\n\n"), "{out}");
}

#[test]
fn anthropic_on_bedrock_takes_the_body_without_the_model_and_wraps_its_events() {
    let plugin = plugin();
    let host = messages_host();
    let mut gateway = exchange(&plugin);
    let request = r#"{"model":"claude","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    assert!(send(&mut gateway, &host, request));
    let text = |name: &str| host.text(Map::Request, name).unwrap();
    assert_eq!(text(":path"), "/model/anthropic.claude-v2/invoke-with-response-stream");
    assert_eq!(text("authorization"), "Bearer bedrock-key");
    let expected = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(host.body_text(Body::Request), expected);
    head(&mut gateway, &host, 200, "application/vnd.amazon.eventstream");
    assert_eq!(host.text(Map::Response, "content-type").unwrap(), "text/event-stream");
    let event = r#"{"type":"message_stop"}"#;
    let bytes = base64::engine::general_purpose::STANDARD.encode(event);
    let payload = json!({ "bytes": bytes, "p": "abc" }).to_string();
    let headers = [(":event-type", HeaderValue::String("chunk"))];
    let mut bytes = Vec::new();
    eventstream::encode(headers, payload.as_bytes(), &mut bytes).unwrap();
    host.put_body(Body::Response, &bytes);
    gateway.response_body(&host, bytes.len(), true);
    let expected = format!("event: message_stop\ndata: {event}\n\n");
    assert_eq!(host.body_text(Body::Response), expected);
}

#[test]
fn vertex_gets_a_token_that_is_fetched_outside_of_requests() {
    let plugin = plugin();
    let host = chat_host();
    assert!(!send(&mut exchange(&plugin), &host, &ask("gemini", "")));
    assert_eq!(sent(&host).0, 503);
    assert!(plugin.tick_period().is_some());
    let needs = plugin.needs();
    let timed = needs.iter().filter(|need| need.capability == Capability::Tick);
    let places: Vec<_> = timed.map(|need| need.otherwise.path.as_str()).collect();
    assert!(
        places.len() == 2 && places.iter().all(|path| path.ends_with("].google")),
        "{places:?}"
    );
    plugin.tick(&host);
    // One for each provider, and none more while they are under way.
    plugin.tick(&host);
    let calls = host.calls.borrow().clone();
    assert_eq!(calls.len(), 2);
    assert_eq!((&*calls[0].upstream, &*calls[0].path), ("google-oauth", "/token"));
    assert!(calls[0].body.starts_with(b"grant_type=urn"));
    for call in [1, 2] {
        let body = br#"{"access_token":"ya29.x","expires_in":3600,"token_type":"Bearer"}"#;
        let reply = CallReply {
            status: Some(200),
            content_type: "application/json".into(),
            retry_after: None,
            body: body.to_vec(),
        };
        plugin.called(&host, CallId(call), reply);
    }
    let host = chat_host();
    assert!(send(&mut exchange(&plugin), &host, &ask("gemini", r#","stream":true"#)));
    let text = |name: &str| host.text(Map::Request, name).unwrap();
    assert_eq!(text("authorization"), "Bearer ya29.x");
    let path = "/v1/projects/acme/locations/europe-west1/publishers/google/models/gemini-2.5-pro:\
                streamGenerateContent?alt=sse";
    assert_eq!(text(":path"), path);
    let host = chat_host();
    assert!(send(&mut exchange(&plugin), &host, &ask("opus", "")));
    let path = "/v1/projects/acme/locations/europe-west1/publishers/anthropic/models/\
                claude-opus-4:rawPredict";
    assert_eq!(host.text(Map::Request, ":path").unwrap(), path);
    let body = body(&host);
    assert_eq!(body["anthropic_version"], "vertex-2023-10-16");
    assert_eq!(body.get("model"), None);
}

/// A frame of Amazon's.
fn frame(kind: &str, name: &str, payload: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let headers = [(kind, HeaderValue::String(name))];
    eventstream::encode(headers, payload.as_bytes(), &mut bytes).unwrap();
    bytes
}

#[test]
fn an_exception_in_an_invoked_models_stream_is_an_error_in_the_clients_form() {
    let plugin = plugin();
    let chunk = |event: Value| {
        let bytes = base64::engine::general_purpose::STANDARD.encode(event.to_string());
        frame(":event-type", "chunk", &json!({ "bytes": bytes }).to_string())
    };
    let begun = [
        chunk(json!({"type": "message_start", "message": {"id": "m", "usage": {}}})),
        chunk(json!({"type": "content_block_start", "index": 0,
                     "content_block": {"type": "text", "text": ""}})),
        chunk(json!({"type": "content_block_delta", "index": 0,
                     "delta": {"type": "text_delta", "text": "Hi"}})),
    ];
    let exception = frame(":exception-type", "throttlingException", r#"{"message":"Too many"}"#);
    for (host, last) in [
        (
            messages_host as fn() -> ScriptHost,
            "event: error\ndata: {\"error\":{\"message\":\"Too many\",\"type\":\"rate_limit_error\"},\"type\":\"error\"}\n\n",
        ),
        (
            chat_host,
            "data: {\"error\":{\"code\":\"throttlingException\",\"message\":\"Too many\",\"param\":null,\"type\":\"rate_limit_error\"}}\n\ndata: [DONE]\n\n",
        ),
    ] {
        // In the middle, and before anything was said: then another target can still be asked.
        let (host, before) = (host(), host());
        let mut gateway = exchange(&plugin);
        let asked = ask("claude", r#","max_tokens":9,"stream":true"#);
        assert!(send(&mut gateway, &host, &asked));
        head(&mut gateway, &host, 200, "application/vnd.amazon.eventstream");
        let unknown = frame(":event-type", "later", "{}");
        let bytes = [begun.concat(), unknown, exception.clone()].concat();
        let out = feed(&mut gateway, &host, &[&bytes]).concat();
        assert!(out.contains("Hi") && out.ends_with(&format!("\n\n{last}")), "{out:?}");
        assert!(!out.contains(":exception-type") && !out.contains("later"), "{out:?}");
        let mut gateway = exchange(&plugin);
        assert!(send(&mut gateway, &before, &asked));
        head(&mut gateway, &before, 200, "application/vnd.amazon.eventstream");
        let out = feed(&mut gateway, &before, &[&exception]).concat();
        assert_eq!(before.text(Map::Response, ":status").unwrap(), "429", "{out}");
        assert!(out.contains("Too many"), "{out}");
    }
}

#[test]
fn errors_of_a_cloud_reach_anthropics_clients_in_anthropics_form() {
    let plugin = plugin();
    let host = messages_host();
    plugin.tick(&host);
    let body = br#"{"access_token":"ya29.x","expires_in":3600}"#.to_vec();
    let content_type = "application/json".to_owned();
    let reply = CallReply { status: Some(200), content_type, retry_after: None, body };
    plugin.called(&host, CallId(2), reply);
    let own = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    let google = r#"{"error":{"code":429,"message":"exhausted","status":"RESOURCE_EXHAUSTED"}}"#;
    let listed = format!("[{google}]");
    for (model, status, error, kind, words) in [
        (
            "claude",
            400,
            r#"{"message":"Input is too long for requested model."}"#,
            "invalid_request_error",
            // The words that agents know it by.
            "prompt is too long: provider `claude`: Input is too long for requested model.",
        ),
        ("claude", 429, r#"{"message":"Too many"}"#, "rate_limit_error", "Too many"),
        ("opus", 429, google, "rate_limit_error", "exhausted"),
        ("opus", 429, &listed, "rate_limit_error", "exhausted"),
        ("opus", 529, own, "overloaded_error", "busy"),
    ] {
        let host = messages_host();
        let mut gateway = exchange(&plugin);
        assert!(send(&mut gateway, &host, &ask(model, r#","max_tokens":9"#)));
        let out = crate::support::answer(&mut gateway, &host, status, "application/json", error);
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&told["type"], &told["error"]["type"]), (&json!("error"), &json!(kind)));
        assert!(told["error"]["message"].as_str().unwrap().contains(words), "{out}");
        assert_eq!(out == own, error == own, "Anthropic's own passes as it is");
    }
}

#[test]
fn conversations_that_anthropic_keeps_are_not_kept_on_bedrock() {
    let plugin = plugin();
    let host = messages_host();
    let mut gateway = exchange(&plugin);
    let begun = ask("claude", r#","max_tokens":9,"thread":{"type":"create"}"#);
    assert!(send(&mut gateway, &host, &begun));
    assert!(!host.body_text(Body::Request).contains("thread"), "Bedrock refuses the member");
    let answer = r#"{"content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn"}"#;
    crate::support::answer(&mut gateway, &host, 200, "application/json", answer);
    assert_eq!(host.text(Map::Response, "x-ai-dropped").unwrap(), "thread");
    let host = messages_host();
    let goes_on =
        ask("claude", r#","max_tokens":9,"thread":{"type":"continue","previous_message_id":"m"}"#);
    assert!(!send(&mut exchange(&plugin), &host, &goes_on));
    let (status, told) = sent(&host);
    assert!(status == 404 && told.contains("thread_not_found"), "{told}");
}

#[test]
fn a_gemini_client_without_events_gets_an_array() {
    let plugin = plugin();
    let host = ScriptHost::post("/v1beta/models/opus:streamGenerateContent");
    host.put(Map::Request, "content-type", "application/json");
    host.put(Map::Request, "x-goog-api-key", "own");
    plugin.tick(&host);
    let body = br#"{"access_token":"ya29.x","expires_in":3600}"#.to_vec();
    let content_type = "application/json".to_owned();
    let reply = CallReply { status: Some(200), content_type, retry_after: None, body };
    plugin.called(&host, CallId(2), reply);
    let mut gateway = exchange(&plugin);
    let request = r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#;
    assert!(send(&mut gateway, &host, request), "{:?}", host.sent.borrow());
    assert_eq!(host.text(Map::Request, "x-goog-api-key"), None);
    let answer = r#"{"content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn"}"#;
    let out = crate::support::answer(&mut gateway, &host, 200, "application/json", answer);
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out[0]["candidates"][0]["content"]["parts"][0]["text"], "Hello");
}

#[test]
fn names_of_anthropics_features_go_where_each_cloud_wants_them() {
    let asked = |model: &str, path: &str| names_of_features(&messages_host(), model, path);
    // Clients of OpenAI may choose some as well.
    let asked_by_chat = |model: &str, path: &str| names_of_features(&chat_host(), model, path);
    for asked in [&asked as &dyn Fn(&str, &str) -> _, &asked_by_chat] {
        let (header, body) = asked("claude", "/invoke");
        assert_eq!(header, None);
        assert_eq!(body["anthropic_beta"], json!(["context-1m-2025-08-07"]));
        assert_eq!(body["anthropic_version"], "bedrock-2023-05-31");

        let (header, body) = asked("opus", ":rawPredict");
        assert_eq!(header.unwrap(), FEATURES);
        assert_eq!(body.get("anthropic_beta"), None);
        assert_eq!(body["anthropic_version"], "vertex-2023-10-16");

        let (header, body) = asked("claude-by-converse", "/converse");
        assert_eq!((header, body.get("anthropic_beta")), (None, None));
        let more = &body["additionalModelRequestFields"];
        assert_eq!(more["anthropic_beta"], json!(["context-1m-2025-08-07"]));

        for (model, path) in [("nova", "/converse"), ("gemini", ":generateContent")] {
            let (header, body) = asked(model, path);
            assert_eq!((header, body.get("anthropic_beta")), (None, None), "{model}");
            assert!(!body.to_string().contains("context-1m"), "{model}");
        }
    }
}

const FEATURES: &str = "claude-code-20250219, context-1m-2025-08-07";

/// What a provider gets of a client's choice of features: the header, and the body.
fn names_of_features(host: &ScriptHost, model: &str, path: &str) -> (Option<String>, Value) {
    host.put(Map::Request, "anthropic-version", "2023-06-01");
    host.put(Map::Request, "anthropic-beta", FEATURES);
    let plugin = plugin();
    plugin.tick(host);
    for call in 1..=host.calls.borrow().len() {
        let body = br#"{"access_token":"ya29.x","expires_in":3600}"#.to_vec();
        let content_type = "application/json".to_owned();
        let reply = CallReply { status: Some(200), content_type, retry_after: None, body };
        plugin.called(host, CallId(u32::try_from(call).unwrap()), reply);
    }
    assert!(send(&mut exchange(&plugin), host, &ask(model, r#","max_tokens":9"#)), "{model}");
    assert!(host.text(Map::Request, ":path").unwrap().ends_with(path), "{model}");
    assert_eq!(host.text(Map::Request, "anthropic-version"), None, "{model}");
    let body: Value = serde_json::from_str(&host.body_text(Body::Request)).unwrap();
    (host.text(Map::Request, "anthropic-beta"), body)
}
