//! What is served besides chat, and what is set around every request.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::support::{answer, ask, chat_host, exchange, head, send, sent};
use ai_proxy::configure;
use serde_json::{Value, json};
use shared::exchange::Exchange;
use shared::host::script::ScriptHost;
use shared::host::{Body, Host, Map};
use shared::plugin::Setup;

const CONFIG: &str = r#"{
    "providers": [
        {"name": "o", "preset": "openai", "api_key": ["sk-1", "sk-2"], "cluster": "co",
         "models": {"mine-*": "gpt-*"}, "query": {"trace": "a b"},
         "body": {"set": {"service_tier": "flex"}, "remove": ["metadata"]},
         "response_headers": {"X-Served-By": "us"}},
        {"name": "a", "protocol": "anthropic", "api_key": "sk-a", "cluster": "ca"},
        {"name": "chat-only", "protocol": "cohere", "api_key": "sk-c"},
        {"name": "azure", "protocol": "openai", "base_url": "https://{resource}.openai.azure.com/openai/deployments/{model}",
         "params": {"resource": "acme"}, "query": {"api-version": "2024-10-21"}, "auth": "host"},
        {"name": "bare", "protocol": "gemini"}
    ],
    "models": [
        {"name": "gpt-5", "targets": [{"provider": "o"}]},
        {"name": "mine-*", "targets": [{"provider": "o"}]},
        {"name": "claude-5", "targets": [{"provider": "a"}]},
        {"name": "command", "targets": [{"provider": "chat-only"}]},
        {"name": "deployed", "targets": [{"provider": "azure"}]},
        {"name": "yours", "key": "passthrough", "targets": [{"provider": "a", "model": "claude-x"}]},
        {"name": "g", "key": "passthrough", "targets": [{"provider": "bare"}]}
    ],
    "aliases": {"fast": "mine-5"}
}"#;

fn get(path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let host = request("GET", path, headers);
    let mut gateway = exchange(CONFIG, "route");
    gateway.request_headers(&host, true);
    let (status, body) = sent(&host);
    (status, serde_json::from_str(&body).unwrap())
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> ScriptHost {
    let host = ScriptHost::post(path);
    host.put(Map::Request, ":method", method);
    host.put(Map::Request, "authorization", "Bearer the-clients-own");
    headers.iter().for_each(|(name, value)| host.put(Map::Request, name, value));
    host
}

fn json_request(path: &str) -> ScriptHost {
    request("POST", path, &[("content-type", "application/json")])
}

/// What the provider gets: path, a header, body.
fn forwarded(host: &ScriptHost, header: &str) -> (String, Option<String>, String) {
    let text = |name: &str| host.text(Map::Request, name);
    (text(":path").unwrap(), text(header), host.body_text(Body::Request))
}

fn pass(host: &ScriptHost, body: &str) -> Exchange {
    let mut gateway = exchange(CONFIG, "inline");
    assert!(send(&mut gateway, host, body), "{:?}", host.sent.borrow());
    gateway
}

fn refused(host: &ScriptHost, body: &str) -> (u16, Value) {
    let mut gateway = exchange(CONFIG, "inline");
    assert!(!send(&mut gateway, host, body));
    let (status, body) = sent(host);
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn models_are_listed_under_the_clients_names_in_the_clients_form() {
    let names = ["claude-5", "command", "deployed", "fast", "g", "gpt-5", "yours"];
    let (status, list) = get("/v1/models", &[]);
    assert_eq!((status, &list["object"]), (200, &json!("list")));
    let found: Vec<_> = list["data"].as_array().unwrap().iter().map(|m| &m["id"]).collect();
    assert_eq!(found, names);
    let owned = json!({"id": "fast", "object": "model", "created": 0, "owned_by": "o"});
    assert_eq!(list["data"][3], owned);
    assert_eq!(get("/v1/models/fast", &[]).1, owned);
    assert_eq!(get("/v1/models/mine-7", &[]).0, 200);
    assert_eq!(get("/v1/models/none", &[]).1["error"]["code"], "model_not_found");
    let (_, list) = get("/v1/models?limit=5", &[("anthropic-version", "2023-06-01")]);
    assert_eq!((&list["first_id"], &list["has_more"]), (&json!("claude-5"), &json!(false)));
    let (_, list) = get("/v1beta/models", &[]);
    assert_eq!(list["models"][1]["name"], "models/command");
    assert_eq!(get("/v1beta/models/command", &[]).1["name"], "models/command");
    let google = [("x-goog-api-client", "google-genai-sdk/1.50.0 gl-python/3.11")];
    assert_eq!(get("/v1/models?pageSize=9", &google).1["models"][1]["name"], "models/command");
    assert_eq!(get("/v1/models/command", &google).1["name"], "models/command");
}

#[test]
fn a_consumer_sees_the_models_that_it_may_ask_for() {
    let host = ScriptHost::post("/v1/models");
    host.put(Map::Request, ":method", "GET");
    host.set_property(&["ai.allowed_models"], b"g*\nfast").unwrap();
    assert!(!send(&mut exchange(CONFIG, "inline"), &host, ""));
    let list: Value = serde_json::from_str(&sent(&host).1).unwrap();
    let found: Vec<_> = list["data"].as_array().unwrap().iter().map(|m| &m["id"]).collect();
    assert_eq!(found, ["fast", "g", "gpt-5"]);

    let host = ScriptHost::post("/v1/models/claude-5");
    host.put(Map::Request, ":method", "GET");
    host.set_property(&["ai.allowed_models"], b"g*").unwrap();
    assert!(!send(&mut exchange(CONFIG, "inline"), &host, ""));
    assert_eq!(sent(&host).0, 404);
}

#[test]
fn services_pass_to_providers_that_have_them() {
    let host = json_request("/gateway/v1/embeddings");
    pass(&host, r#"{"input":["a"],"model":"mine-e", "metadata":{}}"#);
    let (path, key, body) = forwarded(&host, "authorization");
    assert_eq!(path, "/v1/embeddings?trace=a%20b");
    assert_eq!(key.unwrap(), "Bearer sk-1");
    assert_eq!(body, r#"{"service_tier":"flex","input":["a"],"model":"gpt-e"}"#);
    for (path, expected) in [
        ("/v1/images/generations", "/v1/images/generations?trace=a%20b"),
        ("/v1/audio/speech", "/v1/audio/speech?trace=a%20b"),
        ("/v1/moderations?x=1", "/v1/moderations?x=1&trace=a%20b"),
        ("/v1/completions", "/v1/completions?trace=a%20b"),
        ("/v1/responses", "/v1/responses?trace=a%20b"),
    ] {
        let host = json_request(path);
        pass(&host, r#"{"model":"gpt-5","prompt":"x","input":"y"}"#);
        assert_eq!(forwarded(&host, "x").0, expected);
    }
}

#[test]
fn the_tokens_of_pictures_and_sounds_are_counted() {
    let counts = r#""usage":{"input_tokens":50,"output_tokens":1056,"total_tokens":1106,
        "input_tokens_details":{"text_tokens":50,"image_tokens":0}}"#;
    for (path, kind, told) in [
        (
            "/v1/images/generations",
            "application/json",
            format!(r#"{{"data":[{{"b64_json":"AA"}}],{counts}}}"#),
        ),
        ("/v1/audio/transcriptions", "application/json", format!(r#"{{"text":"a",{counts}}}"#)),
        (
            "/v1/images/generations",
            "text/event-stream",
            format!(
                "data: {{\"type\":\"image_generation.completed\",{}}}\n\n",
                counts.replace('\n', " ")
            ),
        ),
    ] {
        let host = json_request(path);
        let mut gateway = exchange(CONFIG, "inline");
        assert!(send(&mut gateway, &host, r#"{"model":"gpt-5","prompt":"x"}"#));
        assert_eq!(answer(&mut gateway, &host, 200, kind, &told), told);
        let usage = host.properties.borrow().get("ai.usage").cloned().unwrap_or_default();
        let usage: Value = serde_json::from_slice(&usage).unwrap();
        assert_eq!(usage, json!({"prompt_tokens": 50, "completion_tokens": 1056}), "{path}");
    }
}

#[test]
fn a_service_that_the_provider_has_not_is_a_clear_error() {
    let body = r#"{"model":"command","input":"x"}"#;
    let (status, error) = refused(&json_request("/v1/audio/speech"), body);
    assert_eq!((status, &error["error"]["code"]), (404, &json!("unsupported_by_provider")));
    let message = error["error"]["message"].as_str().unwrap();
    assert_eq!(message, "provider `chat-only` has no speech; ask another model");
    let (status, _) =
        refused(&json_request("/v1/embeddings"), r#"{"model":"claude-5","input":"x"}"#);
    assert_eq!(status, 404);
    let (status, error) = refused(&json_request("/v1/embeddings"), r#"{"input":"x"}"#);
    assert_eq!((status, &error["error"]["param"]), (400, &json!("model")));
}

#[test]
fn a_forms_model_is_found_and_renamed_and_its_files_stay() {
    let kind = [("content-type", "multipart/form-data; boundary=b")];
    let host = request("POST", "/v1/audio/transcriptions", &kind);
    let form = |model: &str| {
        let mut form = Vec::new();
        form.extend_from_slice(b"--b\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n");
        form.extend_from_slice(&[0xff, 0x00, 0xfe]);
        let field = "\r\n--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n";
        form.extend_from_slice(format!("{field}{model}\r\n--b--\r\n").as_bytes());
        form
    };
    let sent = form("mine-whisper");
    host.put_body(Body::Request, &sent);
    let mut gateway = exchange(CONFIG, "inline");
    gateway.request_headers(&host, false);
    gateway.request_body(&host, sent.len(), true);
    assert!(host.sent.borrow().is_none());
    assert_eq!(forwarded(&host, "x").0, "/v1/audio/transcriptions?trace=a%20b");
    assert_eq!(*host.bodies.borrow().values().next().unwrap(), form("gpt-whisper"));
    let json = json_request("/v1/audio/transcriptions");
    assert_eq!(refused(&json, r#"{"x":1}"#).0, 400);
}

#[test]
fn files_go_to_the_provider_that_is_named_or_the_first_that_has_them() {
    let host = request("GET", "/v1/files?limit=2", &[]);
    let mut gateway = exchange(CONFIG, "inline");
    gateway.request_headers(&host, true);
    assert_eq!(forwarded(&host, "x").0, "/v1/files?limit=2&trace=a%20b");
    let host = request("DELETE", "/v1/files/file-1", &[("x-ai-provider", "o")]);
    exchange(CONFIG, "inline").request_headers(&host, true);
    let (path, key, _) = forwarded(&host, "authorization");
    assert_eq!(path, "/v1/files/file-1?trace=a%20b");
    assert_eq!(key.unwrap(), "Bearer sk-1");
    let host = request("GET", "/v1/batches", &[("x-ai-provider", "a")]);
    exchange(CONFIG, "inline").request_headers(&host, true);
    assert_eq!(sent(&host).0, 404);
    let host = request("GET", "/v1/messages/batches/b1", &[]);
    exchange(CONFIG, "inline").request_headers(&host, true);
    assert_eq!(forwarded(&host, "x").0, "/v1/messages/batches/b1");
    let host = request("PUT", "/v1/files", &[]);
    exchange(CONFIG, "inline").request_headers(&host, true);
    assert_eq!(sent(&host).0, 405);
}

#[test]
fn the_model_may_stand_in_the_providers_path() {
    let host = chat_host();
    pass(&host, &ask("deployed", ""));
    let path = "/openai/deployments/deployed/chat/completions?api-version=2024-10-21";
    assert_eq!(forwarded(&host, "x").0, path);
    assert_eq!(host.text(Map::Request, ":authority").unwrap(), "acme.openai.azure.com");
    assert_eq!(host.text(Map::Request, "authorization"), None);
}

#[test]
fn a_key_that_is_over_its_limit_rests() {
    let setup = Setup { config: CONFIG.as_bytes(), vm_config: b"inline" };
    let plugin = configure(setup).unwrap();
    let ask = |model: &str| {
        let mut gateway = Exchange::new(plugin.clone().filters(), plugin.settings());
        let host = chat_host();
        assert!(send(&mut gateway, &host, &crate::support::ask(model, "")));
        let key = host.text(Map::Request, "authorization").unwrap();
        (gateway, host, key)
    };
    let (mut gateway, host, key) = ask("gpt-5");
    assert_eq!(key, "Bearer sk-1");
    host.put(Map::Response, "retry-after", "60");
    head(&mut gateway, &host, 429, "application/json");
    assert_eq!(ask("gpt-5").2, "Bearer sk-2");
    assert_eq!(ask("gpt-5").2, "Bearer sk-2");
}

#[test]
fn the_clients_own_key_goes_on_only_where_the_model_says_so() {
    for (header, value) in
        [("authorization", "bearer sk-own"), ("x-api-key", "sk-own"), ("x-goog-api-key", "sk-own")]
    {
        let host = ScriptHost::post("/v1/chat/completions");
        host.put(Map::Request, "content-type", "application/json");
        host.put(Map::Request, header, value);
        pass(&host, &ask("yours", ""));
        assert_eq!(host.text(Map::Request, "x-api-key").unwrap(), "sk-own", "{header}");
        assert_eq!(host.text(Map::Request, "authorization"), None);
    }
    let host = chat_host();
    pass(&host, &ask("claude-5", ""));
    assert_eq!(host.text(Map::Request, "x-api-key").unwrap(), "sk-a");
    assert_eq!(host.text(Map::Request, "authorization"), None);
    let host = ScriptHost::post("/v1/chat/completions");
    host.put(Map::Request, "content-type", "application/json");
    assert_eq!(refused(&host, &ask("yours", "")).0, 401);
    // With two roles the first leaves it to the second, which sends it as the provider takes it.
    let host = chat_host();
    host.put(Map::Request, "authorization", "Bearer sk-own");
    assert!(send(&mut exchange(CONFIG, "route"), &host, &ask("yours", "")));
    assert_eq!(host.text(Map::Request, "authorization").unwrap(), "Bearer sk-own");
    assert!(send(&mut exchange(CONFIG, "translate"), &host, &ask("yours", "")));
    assert_eq!(host.text(Map::Request, "x-api-key").unwrap(), "sk-own");
    assert_eq!(host.text(Map::Request, "authorization"), None);
}
