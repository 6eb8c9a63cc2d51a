//! Files, batches, stored answers and cached contents belong to the consumer, provider and key that made
//! them.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::support::{answer, exchange, send, sent};
use serde_json::{Value, json};
use shared::host::script::ScriptHost;
use shared::host::{Body, Host, Map};

const CONFIG: &str = r#"{
    "object_secret": "0123456789abcdef",
    "providers": [
        {"name": "one", "preset": "openai", "api_key": ["k1", "k2"], "base_url": "https://one.example/v1"},
        {"name": "two", "preset": "openai", "api_key": "k3", "base_url": "https://two.example/v1"},
        {"name": "claude", "protocol": "anthropic", "api_key": "k4"},
        {"name": "gemini", "protocol": "gemini", "api_key": "k5"}
    ],
    "models": [
        {"name": "gpt-5", "targets": [{"provider": "two"}, {"provider": "one"}]},
        {"name": "gpt-4", "targets": [{"provider": "one"}]},
        {"name": "claude-x", "targets": [{"provider": "claude"}]},
        {"name": "own", "targets": [{"provider": "one"}], "key": "passthrough"},
        {"name": "gemini-x", "targets": [{"provider": "gemini", "model": "gemini-y"}]}
    ]
}"#;

/// A request and its answer, through the role `inline`.
struct Through {
    status: u16,
    told: Value,
    path: String,
    authority: String,
    key: String,
    body: Value,
}

fn ask(
    consumer: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
    reply: &Value,
) -> Through {
    through(CONFIG, consumer, method, path, headers, body, reply)
}

fn through(
    config: &str,
    consumer: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
    reply: &Value,
) -> Through {
    let host = ScriptHost::post(path);
    host.put(Map::Request, ":method", method);
    host.put(Map::Request, "content-type", "application/json");
    host.set_property(&["ai", "consumer"], consumer.as_bytes()).unwrap();
    host.set_property(&["ai.consumer"], consumer.as_bytes()).unwrap();
    for (name, value) in headers {
        host.put(Map::Request, name, value);
    }
    let mut gateway = exchange(config, "inline");
    if !send(&mut gateway, &host, body) {
        let (status, text) = sent(&host);
        return Through {
            status,
            told: serde_json::from_str(&text).unwrap(),
            path: String::new(),
            authority: String::new(),
            key: String::new(),
            body: Value::Null,
        };
    }
    let told = answer(&mut gateway, &host, 200, "application/json", &reply.to_string());
    Through {
        status: 200,
        told: serde_json::from_str(&told).unwrap(),
        path: host.text(Map::Request, ":path").unwrap(),
        authority: host.text(Map::Request, ":authority").unwrap_or_default(),
        key: host.text(Map::Request, "authorization").unwrap_or_default(),
        body: serde_json::from_str(&host.body_text(Body::Request)).unwrap_or_default(),
    }
}

/// A file of this consumer's at provider `one`, under the key `k1`.
fn file_of(consumer: &str) -> String {
    let reply = json!({"id": "file-abc", "object": "file", "bytes": 3});
    let made = ask(consumer, "POST", "/v1/files", &[("x-ai-provider", "one")], "", &reply);
    assert_eq!((made.key.as_str(), &made.told["bytes"]), ("Bearer k1", &json!(3)));
    let id = made.told["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("file-abc-gw-"), "{id}");
    id
}

fn refusal(through: &Through) -> (u16, &str) {
    (through.status, through.told["error"]["code"].as_str().unwrap_or_default())
}

#[test]
fn a_file_is_its_makers_alone() {
    let id = file_of("anna");
    let reply = json!({"id": "file-abc", "object": "file"});
    let path = format!("/v1/files/{id}");
    let asked = ask("anna", "GET", &path, &[], "", &reply);
    assert_eq!((asked.status, asked.path.as_str()), (200, "/v1/files/file-abc"));
    assert_eq!(asked.told["id"], id, "the client knows one name only");
    assert_eq!(asked.authority, "one.example");
    assert_eq!(refusal(&ask("bert", "GET", &path, &[], "", &reply)), (404, "object_not_found"));
    assert_eq!(
        refusal(&ask("anna", "GET", "/v1/files/file-abc", &[], "", &reply)),
        (404, "object_not_found")
    );
    assert_eq!(
        refusal(&ask("anna", "DELETE", "/v1/files/file-xyz", &[], "", &reply)),
        (404, "object_not_found")
    );
    let content = ask("anna", "GET", &format!("{path}/content?x=y"), &[], "", &reply);
    assert_eq!(content.path, "/v1/files/file-abc/content?x=y");
    assert_eq!(content.told["id"], "file-abc", "what is in a file is not touched");
}

#[test]
fn no_path_leads_from_an_object_of_ones_own_to_another() {
    let id = file_of("anna");
    for more in
        ["/..", "/../file-other/content", "/%2e%2e/file-other", "/content/../../../responses/x"]
    {
        let asked = ask("anna", "GET", &format!("/v1/files/{id}{more}"), &[], "", &json!({}));
        assert_eq!(refusal(&asked), (404, "unknown_path"), "{more}");
    }
    let body = json!({"model": "gpt-5", "input": "hi"}).to_string();
    let asked = ask("anna", "POST", "/v1/moderations/../responses", &[], &body, &json!({}));
    assert_eq!(refusal(&asked), (404, "unknown_path"));
}

#[test]
fn a_list_would_be_that_of_all() {
    for path in ["/v1/files", "/v1/files?purpose=batch", "/v1/batches", "/v1beta/cachedContents"] {
        let asked = ask("anna", "GET", path, &[], "", &Value::Null);
        assert_eq!(asked.status, 403, "{path}");
    }
    let messages = ask("anna", "GET", "/v1/messages/batches", &[], "", &Value::Null);
    assert_eq!(
        (messages.status, &messages.told["error"]["type"]),
        (403, &json!("permission_error"))
    );
}

#[test]
fn a_batch_goes_where_its_file_is_and_under_the_same_key() {
    let id = file_of("anna");
    let body = json!({"input_file_id": id, "endpoint": "/v1/chat/completions",
                      "metadata": {"file_id": "mine"}});
    let reply = json!({"id": "batch_1", "object": "batch", "input_file_id": "file-abc",
                       "output_file_id": "file-out", "error_file_id": null});
    for _ in 0..3 {
        let made = ask(
            "anna",
            "POST",
            "/v1/batches",
            &[("x-ai-provider", "two")],
            &body.to_string(),
            &reply,
        );
        assert_eq!((made.authority.as_str(), made.key.as_str()), ("one.example", "Bearer k1"));
        assert_eq!(made.body["input_file_id"], "file-abc");
        assert_eq!(made.body["metadata"]["file_id"], "mine");
        assert_eq!(made.told["input_file_id"], id);
        assert_eq!(made.told["error_file_id"], Value::Null);
        let out = made.told["output_file_id"].as_str().unwrap();
        let got = ask("anna", "GET", &format!("/v1/files/{out}/content"), &[], "", &json!({}));
        assert_eq!(got.path, "/v1/files/file-out/content");
        let batch = made.told["id"].as_str().unwrap();
        let cancelled =
            ask("anna", "POST", &format!("/v1/batches/{batch}/cancel"), &[], "", &reply);
        assert_eq!(cancelled.path, "/v1/batches/batch_1/cancel");
    }
    let stolen = ask("bert", "POST", "/v1/batches", &[], &body.to_string(), &reply);
    assert_eq!(refusal(&stolen), (404, "object_not_found"));
    assert_eq!(stolen.told["error"]["param"], "input_file_id");
}

/// <https://platform.openai.com/docs/api-reference/uploads/complete>
#[test]
fn the_parts_of_an_upload_are_put_together_by_their_names() {
    let reply = json!({"id": "upload_1", "object": "upload", "status": "pending"});
    let made = ask("anna", "POST", "/v1/uploads", &[("x-ai-provider", "one")], "", &reply);
    let upload = made.told["id"].as_str().unwrap();
    let reply = json!({"id": "part_1", "object": "upload.part", "upload_id": "upload_1"});
    let part = ask("anna", "POST", &format!("/v1/uploads/{upload}/parts"), &[], "", &reply);
    assert_eq!(part.path, "/v1/uploads/upload_1/parts");
    assert_eq!(part.told["upload_id"], upload);
    let reply = json!({"id": "upload_1", "status": "completed", "file": {"id": "file-abc"}});
    let path = format!("/v1/uploads/{upload}/complete");
    let body = json!({"part_ids": [part.told["id"]]}).to_string();
    let done = ask("anna", "POST", &path, &[], &body, &reply);
    assert_eq!(
        (done.path.as_str(), done.key.as_str()),
        ("/v1/uploads/upload_1/complete", "Bearer k1")
    );
    assert_eq!(done.body["part_ids"], json!(["part_1"]));
    assert!(done.told["file"]["id"].as_str().unwrap().starts_with("file-abc-gw-"));
}

fn response(id: &str) -> Value {
    json!({"id": id, "object": "response", "status": "completed", "model": "gpt-5", "output": [],
           "previous_response_id": null, "usage": {"input_tokens": 1, "output_tokens": 1}})
}

#[test]
fn a_conversation_is_gone_on_with_where_it_began() {
    let body = json!({"model": "gpt-4", "input": "hi"});
    let first = ask("anna", "POST", "/v1/responses", &[], &body.to_string(), &response("resp_1"));
    let id = first.told["id"].as_str().unwrap();
    assert!(id.starts_with("resp_1-gw-"), "{id}");
    // Provider `two` would be first.
    let body = json!({"model": "gpt-5", "input": "and?", "previous_response_id": id});
    let mut reply = response("resp_2");
    reply["previous_response_id"] = json!("resp_1");
    let second = ask("anna", "POST", "/v1/responses", &[], &body.to_string(), &reply);
    assert_eq!((second.authority.as_str(), second.key.as_str()), ("one.example", "Bearer k1"));
    assert_eq!(second.body["previous_response_id"], "resp_1");
    assert_eq!(second.told["previous_response_id"], id);
    let stolen = ask("bert", "POST", "/v1/responses", &[], &body.to_string(), &reply);
    assert_eq!(refusal(&stolen), (404, "object_not_found"));
    // Escapes hide nothing.
    let hidden = body.to_string().replace("previous_response_id", "previous_response\\u005fid");
    assert_eq!(ask("bert", "POST", "/v1/responses", &[], &hidden, &reply).status, 404);
    // Another provider has not got it, and it is not left out.
    let body = json!({"model": "claude-x", "input": "and?", "previous_response_id": id});
    let elsewhere = ask("anna", "POST", "/v1/responses", &[], &body.to_string(), &reply);
    assert_eq!(
        (elsewhere.status, &elsewhere.told["error"]["param"]),
        (400, &json!("previous_response_id"))
    );
    let kept = ask("anna", "GET", &format!("/v1/responses/{id}"), &[], "", &response("resp_1"));
    assert_eq!(
        (kept.path.as_str(), kept.told["id"].as_str().unwrap()),
        ("/v1/responses/resp_1", id)
    );
}

#[test]
fn a_streamed_answer_has_the_same_name_in_each_event() {
    let host = ScriptHost::post("/v1/responses");
    host.put(Map::Request, "content-type", "application/json");
    host.set_property(&["ai.consumer"], b"anna").unwrap();
    let mut gateway = exchange(CONFIG, "inline");
    assert!(send(&mut gateway, &host, r#"{"model":"gpt-4","input":"hi","stream":true}"#));
    let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"delta\":\"resp_1\"}\n\n";
    let event = |kind: &str| {
        format!(
            "event: {kind}\ndata: {}\n\n",
            json!({"type": kind, "response": response("resp_1")})
        )
    };
    let stream = format!("{}{delta}{}", event("response.created"), event("response.completed"));
    let told = answer(&mut gateway, &host, 200, "text/event-stream", &stream);
    assert!(told.contains(delta), "what names no object stays as it is");
    let ids: Vec<Value> = told
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|data| data.get("response").map(|r| r["id"].clone()))
        .collect();
    assert_eq!(ids.len(), 2);
    assert!(ids[0] == ids[1] && ids[0].as_str().unwrap().starts_with("resp_1-gw-"), "{told}");
    assert!(told.contains("event: response.completed\n"));
}

#[test]
fn what_has_no_known_owner_is_refused() {
    for body in [
        json!({"model": "gpt-4", "input": [{"type": "item_reference", "id": "msg_1"}]}),
        json!({"model": "gpt-4", "input": "x", "conversation": "conv_1"}),
        json!({"model": "gpt-4", "input": "x", "conversation": {"id": "conv_1"}}),
    ] {
        let asked = ask("anna", "POST", "/v1/responses", &[], &body.to_string(), &Value::Null);
        assert_eq!(asked.status, 400, "{body}");
        let member = asked.told["error"]["param"].as_str().unwrap();
        assert!(body.get(member).is_some(), "{member}");
        assert!(asked.told["error"]["message"].as_str().unwrap().contains("`store`"));
    }
    let body = json!({"contents": [{"role": "user", "parts": [{"fileData": {
        "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}}]}]});
    let path = "/v1beta/models/gemini-x:generateContent";
    assert_eq!(ask("anna", "POST", path, &[], &body.to_string(), &Value::Null).status, 400);
}

/// A request of a conversation that Anthropic keeps, of this consumer and with this member.
fn in_thread(consumer: &str, model: &str, member: &Value) -> Through {
    let beta = [("anthropic-beta", "a-2025-01-01,message-threads-2026-08-12")];
    let mut body = json!({"model": model, "max_tokens": 5,
                          "messages": [{"role": "user", "content": "x"}]});
    for (name, value) in member.as_object().unwrap() {
        body[name] = value.clone();
    }
    let reply = json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [],
                       "model": "claude-x", "stop_reason": "end_turn",
                       "usage": {"input_tokens": 1, "output_tokens": 1}});
    ask(consumer, "POST", "/v1/messages", &beta, &body.to_string(), &reply)
}

fn thread(previous: &str) -> Value {
    json!({"thread": {"type": "continue", "previous_message_id": previous}})
}

#[test]
fn a_conversation_that_is_kept_goes_on_for_its_owner_alone() {
    let begun = in_thread("anna", "claude-x", &json!({"thread": {"type": "create"}}));
    let id = begun.told["id"].as_str().unwrap();
    assert!(id.starts_with("msg_1-gw-"), "{id}");
    let own = in_thread("anna", "claude-x", &thread(id));
    assert_eq!(own.body["thread"], thread("msg_1")["thread"]);
    // Its SDKs send the whole conversation upon this.
    for (consumer, model, id) in [
        ("bert", "claude-x", id),
        ("anna", "claude-x", "msg_1"),
        ("anna", "gpt-4", id),
        ("anna", "gpt-4", "msg_1"),
    ] {
        let refused = in_thread(consumer, model, &thread(id));
        assert_eq!(
            (refused.status, &refused.told["error"]["details"]),
            (404, &json!({"error_code": "thread_not_found"})),
            "{consumer} {model} {id}: {}",
            refused.told
        );
    }
    // What is asked about the prompt cache binds nobody.
    let asked = |model, id: &str| {
        in_thread("anna", model, &json!({"diagnostics": {"previous_message_id": id}}))
    };
    assert_eq!(asked("claude-x", id).body["diagnostics"]["previous_message_id"], "msg_1");
    assert_eq!(asked("claude-x", "msg_2").body["diagnostics"]["previous_message_id"], "msg_2");
    assert_eq!(asked("gpt-4", id).status, 200);
}

#[test]
fn a_streamed_answer_of_a_conversation_that_is_kept_has_a_sealed_name() {
    let host = ScriptHost::post("/v1/messages");
    host.put(Map::Request, "content-type", "application/json");
    host.put(Map::Request, "anthropic-beta", "message-threads-2026-08-12");
    host.set_property(&["ai.consumer"], b"anna").unwrap();
    let mut gateway = exchange(CONFIG, "inline");
    let body = json!({"model": "claude-x", "max_tokens": 5, "stream": true,
                      "thread": {"type": "create"}, "messages": [{"role": "user", "content": "x"}]});
    assert!(send(&mut gateway, &host, &body.to_string()));
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "content": []}});
    let rest = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"\\\"message\\\" msg_1\"}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let stream = format!("event: message_start\ndata: {start}\n\n{rest}");
    let told = answer(&mut gateway, &host, 200, "text/event-stream", &stream);
    assert!(told.ends_with(rest), "{told}");
    assert!(
        told.starts_with("event: message_start\ndata: ") && told.contains(r#""id":"msg_1-gw-"#)
    );
}

#[test]
fn the_arguments_of_a_call_are_the_clients_own() {
    let body = json!({"model": "claude-x", "max_tokens": 5, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "t", "name": "f", "input": {"file_id": "mine"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "y"}]}
    ]});
    let reply = json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [],
                       "model": "claude-x", "stop_reason": "end_turn",
                       "usage": {"input_tokens": 1, "output_tokens": 1}});
    let asked = ask("anna", "POST", "/v1/messages", &[], &body.to_string(), &reply);
    assert_eq!(asked.body["messages"], body["messages"]);
    assert_eq!(asked.told["id"], "msg_1", "this answer is not kept");
    let mut body = body;
    body["messages"][0]["content"] =
        json!([{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]);
    let asked = ask("anna", "POST", "/v1/messages", &[], &body.to_string(), &reply);
    assert_eq!((asked.status, &asked.told["error"]["type"]), (404, &json!("not_found_error")));
}

#[test]
fn the_results_of_a_batch_are_fetched_through_the_gateway() {
    let reply = json!({"id": "msgbatch_1", "type": "message_batch", "processing_status": "ended",
        "results_url": "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results"});
    let made = ask("anna", "POST", "/v1/messages/batches", &[], r#"{"requests":[]}"#, &reply);
    let (id, url) = (made.told["id"].as_str().unwrap(), made.told["results_url"].as_str().unwrap());
    assert!(url.ends_with(&format!("/v1/messages/batches/{id}/results")), "{url}");
    assert!(!url.contains("anthropic.com"), "{url}");
    let path = format!("/v1/messages/batches/{id}/results");
    let results = ask("anna", "GET", &path, &[], "", &json!({"id": "x"}));
    assert_eq!(
        (results.path.as_str(), &results.told["id"]),
        ("/v1/messages/batches/msgbatch_1/results", &json!("x"))
    );
}

#[test]
fn cached_contents_are_made_used_and_deleted() {
    let reply = json!({"name": "cachedContents/c1", "model": "models/gemini-y"});
    let body = json!({"model": "models/gemini-x", "contents": [{"parts": [{"text": "long"}]}]});
    let made = ask("anna", "POST", "/v1beta/cachedContents", &[], &body.to_string(), &reply);
    assert_eq!(
        (made.path.as_str(), &made.body["model"]),
        ("/v1beta/cachedContents", &json!("models/gemini-y"))
    );
    let name = made.told["name"].as_str().unwrap();
    assert!(name.starts_with("cachedContents/c1-gw-"), "{name}");
    let body =
        json!({"contents": [{"role": "user", "parts": [{"text": "q"}]}], "cachedContent": name});
    let path = "/v1beta/models/gemini-x:generateContent";
    let reply = json!({"candidates": [], "usageMetadata": {}});
    let used = ask("anna", "POST", path, &[], &body.to_string(), &reply);
    assert_eq!(used.body["cachedContent"], "cachedContents/c1");
    assert_eq!(ask("bert", "POST", path, &[], &body.to_string(), &reply).status, 404);
    let gone = ask("anna", "DELETE", &format!("/v1beta/{name}"), &[], "", &json!({}));
    assert_eq!(gone.path, "/v1beta/cachedContents/c1");
}

#[test]
fn without_a_secret_known_consumers_have_no_objects_and_without_consumers_names_pass() {
    let config = CONFIG.replace(r#""object_secret": "0123456789abcdef","#, "");
    let reply = json!({"id": "file-abc"});
    let asked =
        through(&config, "anna", "POST", "/v1/files", &[("x-ai-provider", "one")], "", &reply);
    assert_eq!(refusal(&asked), (403, "objects_not_set_up"));
    for config in [CONFIG, &config] {
        let host = ScriptHost::post("/v1/files/file-abc");
        host.put(Map::Request, ":method", "GET");
        let mut gateway = exchange(config, "inline");
        assert!(send(&mut gateway, &host, ""));
        assert_eq!(host.text(Map::Request, ":path").unwrap(), "/v1/files/file-abc");
        let told = answer(&mut gateway, &host, 200, "application/json", &reply.to_string());
        assert_eq!(told, reply.to_string());
    }
}

#[test]
fn with_the_clients_own_key_names_are_the_providers() {
    let body = json!({"model": "own", "input": "x", "previous_response_id": "resp_1"});
    let headers = [("authorization", "Bearer client-key")];
    let asked =
        ask("anna", "POST", "/v1/responses", &headers, &body.to_string(), &response("resp_2"));
    assert_eq!((asked.key.as_str(), &asked.told["id"]), ("Bearer client-key", &json!("resp_2")));
    assert_eq!(asked.body["previous_response_id"], "resp_1");
}
