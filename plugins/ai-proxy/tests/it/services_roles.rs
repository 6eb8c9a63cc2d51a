//! Vectors and token counts from the request's first header to the answer's last byte.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::support::{answer, exchange, send, sent};
use serde_json::{Value, json};
use shared::host::script::ScriptHost;
use shared::host::{Body, Map};

const CONFIG: &str = r#"{
    "providers": [
        {"name": "openai", "preset": "openai", "api_key": "k"},
        {"name": "groq", "preset": "groq", "api_key": "k"},
        {"name": "gemini", "protocol": "gemini", "api_key": "k", "body": {"set": {"labels": {}}}},
        {"name": "bedrock", "protocol": "bedrock", "base_url": "https://b.example", "api_key": "k"},
        {"name": "cohere", "protocol": "cohere", "api_key": "k"},
        {"name": "anthropic", "protocol": "anthropic", "api_key": "k"},
        {"name": "vertex", "preset": "vertex", "params": {"region": "r", "project": "p"},
         "auth": "host"}
    ],
    "models": [
        {"name": "embed-o", "targets": [{"provider": "openai", "model": "text-embedding-3-small"}]},
        {"name": "embed-g", "targets": [{"provider": "gemini", "model": "gemini-embedding-001"}]},
        {"name": "embed-v", "targets": [{"provider": "vertex", "model": "text-embedding-005"}]},
        {"name": "embed-b", "targets": [
            {"provider": "bedrock", "model": "cohere.embed-english-v3"}]},
        {"name": "embed-t", "targets": [
            {"provider": "bedrock", "model": "amazon.titan-embed-text-v2:0"}]},
        {"name": "llama", "targets": [{"provider": "groq"}]},
        {"name": "gpt-5", "targets": [{"provider": "openai"}]},
        {"name": "command", "targets": [{"provider": "cohere"}]},
        {"name": "claude-a", "targets": [{"provider": "anthropic", "model": "claude-x"}]},
        {"name": "claude-b", "targets": [
            {"provider": "bedrock", "model": "us.anthropic.claude-x-v1:0"}]},
        {"name": "nova", "targets": [{"provider": "bedrock", "model": "amazon.nova-pro-v1:0"}]},
        {"name": "gemini-x", "targets": [{"provider": "gemini", "model": "gemini-y"}]}
    ]
}"#;

const VECTORS: &str = "/v1/embeddings";

fn post(path: &str) -> ScriptHost {
    let host = ScriptHost::post(path);
    host.put(Map::Request, "content-type", "application/json");
    host
}

/// What the provider gets: path and body.
fn forwarded(host: &ScriptHost) -> (String, Value) {
    let body = serde_json::from_str(&host.body_text(Body::Request)).unwrap();
    (host.text(Map::Request, ":path").unwrap(), body)
}

/// The provider's request and the client's answer, in the role `inline`.
fn through(path: &str, body: &Value, status: u16, reply: &Value) -> (String, Value, Value) {
    let host = post(path);
    let mut gateway = exchange(CONFIG, "inline");
    assert!(send(&mut gateway, &host, &body.to_string()), "{:?}", host.sent.borrow());
    let (path, asked) = forwarded(&host);
    let told = answer(&mut gateway, &host, status, "application/json", &reply.to_string());
    (path, asked, serde_json::from_str(&told).unwrap())
}

/// What the gateway answers by itself.
fn own(role: &str, path: &str, body: &Value) -> (u16, Value, Option<String>) {
    let host = post(path);
    let mut gateway = exchange(CONFIG, role);
    assert!(!send(&mut gateway, &host, &body.to_string()));
    let (status, text) = sent(&host);
    let sent = host.sent.borrow();
    let headers = &sent.as_ref().unwrap().1;
    let estimated = headers.iter().find(|(name, _)| name == "x-ai-estimated");
    (status, serde_json::from_str(&text).unwrap(), estimated.map(|(_, value)| value.clone()))
}

#[test]
fn a_client_of_openais_gets_vectors_of_amazons() {
    let asked = json!({"model": "embed-t", "input": "hello", "dimensions": 256});
    let reply = json!({"embedding": [0.5, -0.25], "inputTextTokenCount": 3});
    let (path, body, told) = through(VECTORS, &asked, 200, &reply);
    assert_eq!(path, "/model/amazon.titan-embed-text-v2%3A0/invoke");
    assert_eq!(body, json!({"inputText": "hello", "dimensions": 256}));
    assert_eq!(
        told,
        json!({"object": "list", "model": "amazon.titan-embed-text-v2:0",
               "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
               "usage": {"prompt_tokens": 3, "total_tokens": 3}})
    );
}

#[test]
fn base64_is_made_of_numbers() {
    let asked = json!({"model": "embed-g", "input": ["a"], "encoding_format": "base64"});
    let reply = json!({"embeddings": [{"values": [1.0, -2.0]}]});
    let (path, body, told) = through(VECTORS, &asked, 200, &reply);
    assert_eq!(path, "/v1beta/models/gemini-embedding-001:batchEmbedContents");
    assert_eq!(body["requests"][0]["model"], "models/gemini-embedding-001");
    assert_eq!(body["labels"], json!({}));
    assert_eq!(told["data"][0]["embedding"], "AACAPwAAAMA=");
}

#[test]
fn a_count_in_a_header_is_read() {
    let host = post(VECTORS);
    let mut gateway = exchange(CONFIG, "inline");
    assert!(send(&mut gateway, &host, r#"{"model":"embed-b","input":["a"]}"#));
    host.put(Map::Response, "x-amzn-bedrock-input-token-count", "7");
    let told = answer(&mut gateway, &host, 200, "application/json", r#"{"embeddings":[[1]]}"#);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["usage"], json!({"prompt_tokens": 7, "total_tokens": 7}));
}

#[test]
fn a_client_of_geminis_gets_vectors_of_openais() {
    let asked = json!({"content": {"parts": [{"text": "hello"}]}, "taskType": "CLUSTERING",
                       "outputDimensionality": 2});
    let reply = json!({"object": "list", "model": "text-embedding-3-small",
                       "data": [{"object": "embedding", "index": 0, "embedding": [1, 2]}],
                       "usage": {"prompt_tokens": 1, "total_tokens": 1}});
    let (path, body, told) = through("/v1beta/models/embed-o:embedContent", &asked, 200, &reply);
    assert_eq!(path, "/v1/embeddings");
    let expected = json!({"model": "text-embedding-3-small", "input": ["hello"], "dimensions": 2});
    assert_eq!(body, expected);
    let expected =
        json!({"embedding": {"values": [1, 2]}, "usageMetadata": {"promptTokenCount": 1}});
    assert_eq!(told, expected);
}

#[test]
fn the_same_protocol_passes_but_for_the_models_name_wherever_it_stands() {
    let host = post("/v1beta/models/embed-g:batchEmbedContents");
    let mut gateway = exchange(CONFIG, "inline");
    let body = r#"{"requests": [{"model": "models/embed-g", "content": {"parts": [{"text": "a"}]},
        "future": 1}, {"content": {"parts": []}, "model":"models/embed-g"}]}"#;
    assert!(send(&mut gateway, &host, body));
    let named = body.replace("models/embed-g", "models/gemini-embedding-001");
    assert_eq!(host.body_text(Body::Request), named.replacen('{', r#"{"labels":{},"#, 1));
    let host = post("/v1beta/models/gemini-x:countTokens");
    let body = r#"{"generateContentRequest":{"model":"models/gemini-x","contents":[]}}"#;
    assert!(send(&mut exchange(CONFIG, "inline"), &host, body));
    assert_eq!(host.body_text(Body::Request), body.replace("gemini-x", "gemini-y"));
}

#[test]
fn vertex_is_asked_to_predict() {
    let asked = json!({"requests": [{"content": {"parts": [{"text": "a"}]}},
                                    {"content": {"parts": [{"text": "b"}]}}]});
    let one = json!({"embeddings": {"values": [1], "statistics": {"token_count": 2}}});
    let reply = json!({"predictions": [one, one]});
    let (path, body, told) =
        through("/v1beta/models/embed-v:batchEmbedContents", &asked, 200, &reply);
    assert!(path.ends_with("/publishers/google/models/text-embedding-005:predict"), "{path}");
    assert_eq!(body, json!({"instances": [{"content": "a"}, {"content": "b"}]}));
    let expected = json!({"embeddings": [{"values": [1]}, {"values": [1]}],
                          "usageMetadata": {"promptTokenCount": 4}});
    assert_eq!(told, expected);
}

#[test]
fn what_a_provider_cannot_do_is_refused_in_the_clients_protocol() {
    let (status, error, _) =
        own("inline", VECTORS, &json!({"model": "embed-t", "input": ["a", "b"]}));
    assert_eq!((status, &error["error"]["param"]), (400, &json!("input")));
    let message = "input: provider `bedrock` takes at most 1 text in one request of this model, not \
                   2; send several requests";
    assert_eq!(error["error"]["message"], message);
    let (status, error, _) = own("inline", VECTORS, &json!({"model": "embed-t", "input": [1, 2]}));
    assert_eq!((status, &error["error"]["code"]), (400, &json!("unsupported_by_provider")));
    let asked = json!({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 7});
    let (status, error, _) = own("inline", "/v1beta/models/embed-b:embedContent", &asked);
    assert_eq!((status, &error["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    assert_eq!(
        error["error"]["message"],
        "outputDimensionality: this model's vectors have 1024 numbers"
    );
    let (status, error, _) = own("inline", VECTORS, &json!({"model": "claude-a", "input": "a"}));
    assert_eq!((status, &error["error"]["code"]), (404, &json!("unsupported_by_provider")));
    let (status, _, _) = own("inline", VECTORS, &json!({"model": "claude-b", "input": "a"}));
    assert_eq!(status, 404);
}

#[test]
fn a_providers_error_is_told_in_the_clients_protocol() {
    let asked = json!({"model": "embed-t", "input": "a"});
    let reply = json!({"message": "Malformed input request"});
    let (_, _, told) = through(VECTORS, &asked, 400, &reply);
    assert_eq!(told["error"]["type"], "invalid_request_error");
    assert_eq!(told["error"]["message"], "provider `bedrock`: Malformed input request");
    let (_, _, told) = through(VECTORS, &asked, 200, &json!({"embedding": 3}));
    assert_eq!(told["error"]["message"], "provider `bedrock` sent no readable answer");
    let (_, _, told) = through("/v1/messages/count_tokens", &messages("claude-b"), 429, &reply);
    assert_eq!(
        (&told["type"], &told["error"]["type"]),
        (&json!("error"), &json!("rate_limit_error"))
    );
}

fn messages(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello, how are you?"}]})
}

#[test]
fn a_client_of_anthropics_has_its_tokens_counted_by_others() {
    let path = "/v1/messages/count_tokens";
    let (to, body, told) = through(path, &messages("claude-b"), 200, &json!({"inputTokens": 9}));
    assert_eq!(to, "/model/anthropic.claude-x-v1%3A0/count-tokens");
    assert_eq!(
        body["input"]["converse"]["messages"][0]["content"][0]["text"],
        "Hello, how are you?"
    );
    assert_eq!(told, json!({"input_tokens": 9}));
    let (to, body, told) = through(path, &messages("gemini-x"), 200, &json!({"totalTokens": 9}));
    assert_eq!(to, "/v1beta/models/gemini-y:countTokens");
    let counted = &body["generateContentRequest"];
    assert_eq!((&counted["model"], counted.get("labels")), (&json!("models/gemini-y"), None));
    assert_eq!(told, json!({"input_tokens": 9}));
    let reply = json!({"object": "response.input_tokens", "input_tokens": 9});
    let (to, _, told) = through(path, &messages("gpt-5"), 200, &reply);
    assert_eq!((to.as_str(), told), ("/v1/responses/input_tokens", json!({"input_tokens": 9})));
    let (to, body, told) = through(path, &messages("claude-a"), 200, &json!({"input_tokens": 9}));
    assert_eq!((to.as_str(), body), (path, messages("claude-x")));
    assert_eq!(told, json!({"input_tokens": 9}));
}

#[test]
fn other_clients_have_their_tokens_counted_by_anthropic() {
    let reply = json!({"input_tokens": 9});
    let asked = json!({"contents": [{"parts": [{"text": "hi"}]}]});
    let (to, body, told) = through("/v1beta/models/claude-a:countTokens", &asked, 200, &reply);
    assert_eq!(to, "/v1/messages/count_tokens");
    assert_eq!(body, json!({"model": "claude-x", "messages": [{"role": "user", "content": "hi"}]}));
    assert_eq!(told, json!({"totalTokens": 9}));
    let asked = json!({"model": "claude-a", "input": "hi"});
    let (_, _, told) = through("/v1/responses/input_tokens", &asked, 200, &reply);
    assert_eq!(told, json!({"object": "response.input_tokens", "input_tokens": 9}));
}

#[test]
fn where_nobody_can_be_asked_the_gateway_estimates_in_every_role() {
    for role in ["route", "translate", "inline"] {
        for model in ["llama", "command", "nova"] {
            let (status, told, estimated) =
                own(role, "/v1/messages/count_tokens", &messages(model));
            assert_eq!((status, estimated.as_deref()), (200, Some("true")), "{role} {model}");
            let tokens = told["input_tokens"].as_u64().unwrap();
            assert!((8..=16).contains(&tokens), "{tokens}");
        }
    }
    let asked = json!({"contents": [{"parts": [{"text": "hi"}]}]});
    let (_, told, _) = own("inline", "/v1beta/models/llama:countTokens", &asked);
    assert!(told["totalTokens"].as_u64().unwrap() > 0);
    let asked = json!({"model": "llama", "input": "hi"});
    let (_, told, _) = own("inline", "/v1/responses/input_tokens", &asked);
    assert_eq!(told["object"], "response.input_tokens");
    let (status, told, estimated) =
        own("inline", "/v1/messages/count_tokens", &json!({"model": "llama", "messages": [{}]}));
    assert_eq!((status, estimated), (400, None));
    assert_eq!(told["error"]["message"], "messages[0].role: is required");
}

#[test]
fn an_estimate_grows_with_what_is_said() {
    let count = |body: &Value| {
        let (_, told, _) = own("inline", "/v1/messages/count_tokens", body);
        told["input_tokens"].as_u64().unwrap()
    };
    let mut body = messages("llama");
    let mut last = count(&body);
    for (place, value) in [
        ("system", json!("You are a scientist who answers in one sentence.")),
        (
            "tools",
            json!([{"name": "f", "description": "does it", "input_schema": {"type": "object"}}]),
        ),
        (
            "messages",
            json!([{"role": "user", "content": [
                {"type": "text", "text": "Hello, how are you?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            ]}]),
        ),
    ] {
        body[place] = value;
        let now = count(&body);
        assert!(now > last, "{place}");
        last = now;
    }
}
