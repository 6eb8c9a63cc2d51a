//! What each role does with a request and its answer, on a scripted host.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::support::routes::{routes, to};
use crate::support::{
    CONFIG, answer, ask, chat_host, exchange, exchange_of, head, plugin, send, sent, stream,
};
use serde_json::{Value, json};
use shared::exchange::Action;
use shared::host::script::ScriptHost;
use shared::host::{Body, CallId, Capability, Host, Map};
use shared::plugin::Plugin;

const METADATA: &str = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";

fn property(host: &ScriptHost, name: &str) -> String {
    let value = host.properties.borrow().get(name).cloned().unwrap_or_default();
    String::from_utf8(value).unwrap()
}

fn error(host: &ScriptHost) -> (u16, Value) {
    let (status, body) = sent(host);
    (status, serde_json::from_str::<Value>(&body).unwrap()["error"].clone())
}

#[test]
fn route_chooses_the_cluster_states_the_targets_and_leaves_the_body() {
    for (model, cluster, targets) in [
        ("gpt-4", "co", "o=gpt-4\t0.0"),
        ("fast", "ca", "a=claude-haiku\t1.0"),
        ("best", "both", "o=gpt-5\t2.0\na=claude-5\t2.1"),
    ] {
        let host = chat_host();
        host.put(Map::Request, "x-ai-cluster", "spoofed");
        host.put(Map::Request, "cookie", "c");
        let body = ask(model, "");
        assert!(send(&mut exchange(CONFIG, "route"), &host, &body));
        assert_eq!(host.text(Map::Request, "x-ai-cluster").unwrap(), cluster);
        assert_eq!(property(&host, "ai.targets"), targets);
        assert_eq!(property(&host, "ai.requested_model"), model);
        assert_eq!(property(&host, "ai.path"), "/v1/chat/completions");
        assert_eq!(host.body_text(Body::Request), body);
        assert_eq!(host.text(Map::Request, "authorization"), None);
        assert_eq!(host.text(Map::Request, "cookie"), None);
    }
}

#[test]
fn translate_takes_the_provider_from_host_metadata_then_cluster_then_first_target() {
    for (property, value, path, model) in [
        (METADATA, "a", "/v1/messages", "claude-5"),
        (METADATA, "o", "/v1/chat/completions", "gpt-5"),
        (
            "xds.cluster_metadata.filter_metadata.ai-gateway.provider",
            "a",
            "/v1/messages",
            "claude-5",
        ),
        ("xds.cluster_name", "a", "/v1/messages", "claude-5"),
        ("xds.cluster_name", "both", "/v1/chat/completions", "gpt-5"),
    ] {
        let host = chat_host();
        host.properties.borrow_mut().insert(property.into(), value.into());
        assert!(send(&mut exchange(CONFIG, "translate"), &host, &ask("best", "")));
        assert_eq!(host.text(Map::Request, ":path").unwrap(), path, "{property}={value}");
        let body: Value = serde_json::from_str(&host.body_text(Body::Request)).unwrap();
        assert_eq!(body["model"], model);
        let length = host.text(Map::Request, "content-length").unwrap();
        assert_eq!(length, host.body_text(Body::Request).len().to_string());
    }
}

#[test]
fn a_retry_sees_nothing_of_the_attempt_before() {
    let host = chat_host();
    assert!(send(&mut exchange(CONFIG, "route"), &host, &ask("best", "")));
    host.properties.borrow_mut().insert(METADATA.into(), "a".into());
    assert!(send(&mut exchange(CONFIG, "translate"), &host, &ask("best", "")));
    assert_eq!(host.text(Map::Request, "x-api-key").unwrap(), "sk-a");
    assert_eq!(host.text(Map::Request, "x-extra").unwrap(), "1");

    host.properties.borrow_mut().insert(METADATA.into(), "o".into());
    assert!(send(&mut exchange(CONFIG, "translate"), &host, &ask("best", "")));
    assert_eq!(host.text(Map::Request, ":path").unwrap(), "/v1/chat/completions");
    assert_eq!(host.text(Map::Request, "authorization").unwrap(), "Bearer sk-o");
    for gone in ["x-api-key", "anthropic-version", "x-extra", "x-ai-cluster"] {
        assert_eq!(host.text(Map::Request, gone), None, "{gone}");
    }
    assert_eq!(property(&host, "ai.attempts"), "a,o");
    assert_eq!(property(&host, "ai.provider"), "o");
}

#[test]
fn every_attempt_at_anthropic_gets_the_clients_versions_and_no_other_provider_does() {
    let versions = |host: &ScriptHost| {
        ["anthropic-version", "anthropic-beta"].map(|name| host.text(Map::Request, name))
    };
    for sent in [None, Some(("2023-01-01", "files-api-2025-04-14,context-1m-2025-08-07"))] {
        let host = ScriptHost::post("/v1/messages");
        host.put(Map::Request, "content-type", "application/json");
        if let Some((version, beta)) = sent {
            host.put(Map::Request, "anthropic-version", version);
            host.put(Map::Request, "anthropic-beta", beta);
        }
        let body = ask("best", r#","max_tokens":9"#);
        assert!(send(&mut exchange(CONFIG, "route"), &host, &body));
        // What another of Anthropic's providers is configured to get is not the next one's.
        for provider in ["o", "a", "o", "beta", "a"] {
            host.put(Map::Request, ":path", "/v1/messages");
            host.properties.borrow_mut().insert(METADATA.into(), provider.into());
            let config = CONFIG.replace(
                r#"{"name": "o","#,
                r#"{"name": "beta", "protocol": "anthropic", "api_key": "k",
                    "headers": {"anthropic-beta": "its-own"}}, {"name": "o","#,
            );
            let config = config.replace(
                r#"{"provider": "o", "model": "gpt-5"},"#,
                r#"{"provider": "o", "model": "gpt-5"}, {"provider": "beta"},"#,
            );
            let targets = "o=gpt-5\t2.0\nbeta=best\t2.1\na=claude-5\t2.2";
            host.properties.borrow_mut().insert("ai.targets".into(), targets.into());
            assert!(send(&mut exchange(&config, "translate"), &host, &body), "{provider}");
            let (version, beta) = match sent {
                Some((version, beta)) => (version, Some(beta.to_owned())),
                None => ("2023-06-01", None),
            };
            let version = Some(version.to_owned());
            let expected = match provider {
                "o" => [None, None],
                "beta" => [version, Some("its-own".to_owned())],
                _ => [version, beta],
            };
            assert_eq!(versions(&host), expected, "{provider}");
        }
    }
}

#[test]
fn an_error_on_a_retry_is_still_in_the_clients_form() {
    let host = chat_host();
    let body = r#"{"model":"best","messages":[{"role":"user","content":7}]}"#;
    assert!(send(&mut exchange(CONFIG, "route"), &host, body));
    host.put(Map::Request, ":path", "/v1/messages");
    host.properties.borrow_mut().insert(METADATA.into(), "a".into());
    assert!(!send(&mut exchange(CONFIG, "translate"), &host, body));
    let (status, error) = error(&host);
    assert_eq!((status, &error["param"]), (400, &"messages[0].content".into()));
}

#[test]
fn a_cluster_that_leads_elsewhere_is_a_502() {
    let host = chat_host();
    host.properties.borrow_mut().insert(METADATA.into(), "o".into());
    assert!(!send(&mut exchange(CONFIG, "translate"), &host, &ask("claude-x", "")));
    assert_eq!(error(&host).0, 502);
}

#[test]
fn same_protocol_changes_nothing_but_the_models_name() {
    let body = r#"{ "x":[1.50, "é\/"], "model" : "best", "messages":[], "y":null }"#;
    let host = chat_host();
    host.properties.borrow_mut().insert(METADATA.into(), "o".into());
    assert!(send(&mut exchange(CONFIG, "translate"), &host, body));
    assert_eq!(host.body_text(Body::Request), body.replace("best", "gpt-5"));
}

#[test]
fn what_an_answer_loses_is_named_in_a_header_or_at_a_streams_end() {
    let cited = r#"{"id":"m","model":"c","content":[{"type":"text","text":"It is.","citations":[{"type":
        "char_location","cited_text":"x"}]},{"type":"server_tool_use","id":"s","name":"web_search",
        "input":{}}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let host = chat_host();
    let mut gateway = exchange(CONFIG, "inline");
    assert!(send(&mut gateway, &host, &ask("claude-x", r#","seed":1"#)));
    answer(&mut gateway, &host, 200, "application/json", cited);
    let named = "seed,answer.citations,answer.parts";
    assert_eq!(host.text(Map::Response, "x-ai-dropped").unwrap(), named);

    let host = chat_host();
    let mut gateway = exchange(CONFIG, "inline");
    assert!(send(&mut gateway, &host, &ask("claude-x", r#","seed":1,"stream":true"#)));
    let events = [
        r#"{"type":"message_start","message":{"id":"m","model":"c"}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"It is."}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{}}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let events = events.map(|event| format!("data: {event}\n\n")).concat();
    let pieces: Vec<&[u8]> = events.as_bytes().chunks(64).collect();
    let out = stream(&mut gateway, &host, &pieces).concat();
    assert_eq!(host.text(Map::Response, "x-ai-dropped").unwrap(), "seed");
    assert!(out.ends_with("data: [DONE]\n\n: x-ai-dropped: answer.citations\n\n"), "{out}");
}

#[test]
fn names_of_what_is_dropped_are_cut_at_a_name() {
    let host = chat_host();
    let mut gateway = exchange(CONFIG, "inline");
    let fields: String = (0..200).map(|n| format!(r#","field_{n:03}":1"#)).collect();
    assert!(send(&mut gateway, &host, &ask("claude-x", &fields)));
    answer(&mut gateway, &host, 200, "application/json", r#"{"content":[]}"#);
    let named = host.text(Map::Response, "x-ai-dropped").unwrap();
    let names: Vec<_> = named.split(',').collect();
    assert!(named.len() < 1100 && names.len() > 90, "{named}");
    assert_eq!(names.last(), Some(&"..."));
    assert!(names.iter().rev().skip(1).all(|name| name.len() == 9), "{named}");
}

#[test]
fn usage_is_stated_for_every_kind_of_answer() {
    let whole = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
    let mut gateway = exchange(CONFIG, "inline");
    let host = chat_host();
    assert!(send(&mut gateway, &host, &ask("gpt-4", "")));
    assert_eq!(answer(&mut gateway, &host, 200, "application/json", whole), whole);
    assert!(property(&host, "ai.usage").contains(r#""prompt_tokens":5,"completion_tokens":2"#));

    let mut gateway = exchange(CONFIG, "inline");
    let host = chat_host();
    let asked = r#","stream":true,"stream_options":{"include_usage":true}"#;
    assert!(send(&mut gateway, &host, &ask("gpt-4", asked)));
    let chunk = format!("data: {whole}\n\ndata: [DONE]\n\n");
    assert_eq!(stream(&mut gateway, &host, &[chunk.as_bytes()]).concat(), chunk);
    assert!(property(&host, "ai.usage").contains(r#""prompt_tokens":5,"completion_tokens":2"#));
}

#[test]
fn a_stream_tells_the_gateway_its_usage_and_not_the_client_who_has_not_asked() {
    let mut gateway = exchange(CONFIG, "inline");
    let host = chat_host();
    assert!(send(&mut gateway, &host, &ask("gpt-4", r#","stream":true"#)));
    let sent = host.body_text(Body::Request);
    assert!(sent.starts_with(r#"{"stream_options":{"include_usage":true},"model":"gpt-4","#));
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n";
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
    let body = format!(": hi\n\n{text}data: {usage}\n\ndata: [DONE]\n\n");
    let expected = format!(": hi\n\n{text}data: [DONE]\n\n");
    assert_eq!(stream(&mut gateway, &host, &[body.as_bytes()]).concat(), expected);
    assert!(property(&host, "ai.usage").contains(r#""prompt_tokens":5,"completion_tokens":2"#));
}

#[test]
fn streams_of_completions_are_counted_as_well() {
    let mut gateway = exchange(CONFIG, "inline");
    let host = chat_host();
    host.put(Map::Request, ":path", "/v1/completions");
    assert!(send(&mut gateway, &host, r#"{"model":"gpt-4","prompt":"hi","stream":true}"#));
    let sent = host.body_text(Body::Request);
    assert!(sent.starts_with(r#"{"stream_options":{"include_usage":true},"model":"gpt-4","#));
    let text = "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"a\",\"finish_reason\":\"stop\"}]}\n\n";
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
    let body = format!("{text}data: {usage}\n\ndata: [DONE]\n\n");
    let expected = format!("{text}data: [DONE]\n\n");
    assert_eq!(stream(&mut gateway, &host, &[body.as_bytes()]).concat(), expected);
    assert!(property(&host, "ai.usage").contains(r#""prompt_tokens":5,"completion_tokens":2"#));
}

#[test]
fn what_a_clients_own_key_is_used_for_is_no_use_of_the_gateways() {
    let config = json!({
        "providers": [{"name": "o", "protocol": "openai", "api_key": ["k1", "k2"],
                       "key_limits": {"requests_per_minute": 9}}],
        "models": [{"name": "own", "targets": [{"provider": "o"}], "key": "passthrough"},
                   {"name": "gpt", "targets": [{"provider": "o"}]}]
    });
    for role in ["inline", "translate"] {
        for (model, counted) in [("own", false), ("gpt", true)] {
            let host = chat_host();
            assert!(send(&mut exchange(&config.to_string(), role), &host, &ask(model, "")));
            let used = host.shared("ai-proxy.keys.1.o.0").is_some();
            assert_eq!(used, counted, "{role} {model}");
        }
    }
}

#[test]
fn nobody_can_keep_a_streams_usage_from_the_gateway() {
    for (options, sent) in [
        ("{}", r#"{"include_usage":true}"#),
        ("null", r#"{"include_usage":true}"#),
        (
            r#"{"include_obfuscation":false,"include_usage":false}"#,
            r#"{"include_obfuscation":false,"include_usage":true}"#,
        ),
    ] {
        let mut gateway = exchange(CONFIG, "inline");
        let host = chat_host();
        let more = format!(r#","stream":true,"stream_options":{options}"#);
        assert!(send(&mut gateway, &host, &ask("gpt-4", &more)));
        let more = format!(r#","stream":true,"stream_options":{sent}"#);
        assert_eq!(host.body_text(Body::Request), ask("gpt-4", &more));
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
        let body = format!("data: {usage}\n\ndata: [DONE]\n\n");
        assert_eq!(stream(&mut gateway, &host, &[body.as_bytes()]).concat(), "data: [DONE]\n\n");
        assert!(property(&host, "ai.usage").contains(r#""prompt_tokens":5,"completion_tokens":2"#));
    }
}

#[test]
fn a_stream_that_passes_as_it_is_does_not_end_cleanly_if_it_broke_off() {
    let part = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    for (body, broken) in [(part.to_owned(), true), (format!("{part}{end}"), false)] {
        let mut gateway = exchange(CONFIG, "translate");
        let host = chat_host();
        assert!(send(&mut gateway, &host, &ask("gpt-4", r#","stream":true"#)));
        let out = stream(&mut gateway, &host, &[body.as_bytes()]).concat();
        assert!(out.starts_with(&body));
        assert_eq!(out.contains("stream_interrupted"), broken, "{out}");
    }
}

#[test]
fn a_responses_stream_that_passes_as_it_is_does_not_end_cleanly_if_it_broke_off() {
    let event =
        |kind: &str, more: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{more}}}\n\n");
    let answer = |status: &str| {
        format!(r#","response":{{"id":"r","status":"{status}","error":null,"output":[]}}"#)
    };
    let begun = event("response.created", &answer("in_progress"))
        + &event("response.in_progress", &answer("in_progress"))
        + &event("response.output_text.delta", r#","delta":"a""#);
    let error = event("error", r#","code":"server_error","message":"m""#);
    for (end, broken) in [
        (String::new(), true),
        (event("response.completed", &answer("completed")), false),
        (event("response.incomplete", &answer("incomplete")), false),
        (error, false),
    ] {
        let config = CONFIG.replace(r#""protocol": "openai""#, r#""preset": "openai""#);
        let mut gateway = exchange(&config, "translate");
        let host = ScriptHost::post("/v1/responses");
        host.put(Map::Request, "content-type", "application/json");
        assert!(send(&mut gateway, &host, r#"{"model":"gpt-5","input":"hi","stream":true}"#));
        let body = format!("{begun}{end}");
        let out = stream(&mut gateway, &host, &[body.as_bytes()]).concat();
        assert!(out.starts_with(&body));
        assert_eq!(out.contains("broke off"), broken, "{out}");
    }
}

#[test]
fn what_was_reported_before_the_client_left_counts() {
    let mut gateway = exchange(CONFIG, "inline");
    let host = chat_host();
    assert!(send(&mut gateway, &host, &ask("fast", r#","stream":true"#)));
    head(&mut gateway, &host, 200, "text/event-stream");
    let start =
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7}}}\n\n";
    host.put_body(Body::Response, start.as_bytes());
    gateway.response_body(&host, start.len(), false);
    assert_eq!(property(&host, "ai.usage"), "");
    gateway.done(&host);
    assert!(property(&host, "ai.usage").contains(r#""prompt_tokens":7"#));
}

#[test]
fn errors_of_a_provider_come_in_the_clients_form() {
    let told = r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
    for (model, status, content_type, body, expected, message) in [
        ("fast", 429, "application/json", told, 429, "provider `a`: slow down"),
        ("fast", 500, "text/html", "<html>", 500, "provider `a` answered with status 500"),
        ("fast", 401, "application/json", told, 502, "provider `a` refused the gateway's key"),
        ("gpt-4", 403, "application/json", told, 502, "provider `o` refused the gateway's key"),
        ("gpt-4", 503, "text/plain", "upstream", 503, "provider `o` answered with status 503"),
        ("fast", 200, "application/json", "{}", 502, "provider `a` sent no readable answer"),
        ("fast", 200, "text/html", "<html>", 502, "provider `a` sent no readable answer"),
    ] {
        let mut gateway = exchange(CONFIG, "inline");
        let host = chat_host();
        assert!(send(&mut gateway, &host, &ask(model, "")));
        let out = answer(&mut gateway, &host, status, content_type, body);
        let error = &serde_json::from_str::<Value>(&out).unwrap()["error"];
        assert_eq!(error["message"], message);
        assert_eq!(host.text(Map::Response, ":status").unwrap(), expected.to_string(), "{message}");
        assert_eq!(host.text(Map::Response, "content-type").unwrap(), "application/json");
    }
    // The provider speaks the client's protocol: its error is passed on as it is.
    let mut gateway = exchange(CONFIG, "inline");
    let host = chat_host();
    assert!(send(&mut gateway, &host, &ask("gpt-4", "")));
    assert_eq!(answer(&mut gateway, &host, 429, "application/json", "{ }"), "{ }");
}

#[test]
fn a_compressed_answer_that_would_have_to_be_changed_is_a_502() {
    let mut gateway = exchange(CONFIG, "inline");
    let host = chat_host();
    assert!(send(&mut gateway, &host, &ask("fast", "")));
    host.put(Map::Response, "content-encoding", "gzip");
    let out = answer(&mut gateway, &host, 200, "application/json", "\u{1f}gzip");
    assert!(out.contains("no readable answer"));
    assert_eq!(host.text(Map::Response, "content-encoding"), None);
}

#[test]
fn the_proxys_own_errors_come_in_the_clients_form() {
    let mut gateway = exchange(CONFIG, "route");
    let host = chat_host();
    assert!(send(&mut gateway, &host, &ask("fast", "")));
    let out = answer(&mut gateway, &host, 504, "text/plain", "upstream request timeout");
    assert!(out.contains(r#""type":"timeout_error""#), "{out}");
}

#[test]
fn unsupported_fields_are_named_or_refused() {
    let body = ask("fast", r#","seed":1,"logprobs":true"#);
    let mut gateway = exchange(CONFIG, "inline");
    let host = chat_host();
    assert!(send(&mut gateway, &host, &body));
    head(&mut gateway, &host, 200, "application/json");
    assert_eq!(host.text(Map::Response, "x-ai-dropped").unwrap(), "seed,logprobs");

    let strict = CONFIG.replacen('{', r#"{"on_unsupported":"error","#, 1);
    let host = chat_host();
    assert!(!send(&mut exchange(&strict, "inline"), &host, &body));
    let (status, error) = error(&host);
    assert_eq!((status, &error["param"]), (400, &"seed".into()));
}

#[test]
fn off_and_dry_run_change_and_refuse_nothing() {
    for mode in ["off", "dry_run"] {
        let config = CONFIG.replacen('{', &format!(r#"{{"mode":"{mode}","#), 1);
        for role in ["route", "translate", "inline"] {
            for body in [ask("fast", ""), ask("nope", ""), "no json".into()] {
                let host = chat_host();
                let before = format!("{:?}", host.headers.borrow());
                assert!(send(&mut exchange(&config, role), &host, &body), "{mode} {role} {body}");
                assert_eq!(host.body_text(Body::Request), body);
                assert_eq!(format!("{:?}", host.headers.borrow()), before, "{mode} {role}");
            }
        }
    }
}

/// A host as APISIX is without the bridge.
fn read_only_host() -> ScriptHost {
    let mut host = chat_host();
    host.cannot.extend([
        Capability::HoldRequest,
        Capability::HoldResponse,
        Capability::RewriteRequestBody,
        Capability::RewriteResponseBody,
        Capability::ReplacePrefix,
        Capability::SetContentLength,
        Capability::SharedProperties,
        Capability::Clusters,
        Capability::Tick,
    ]);
    host
}

fn reply(host: &ScriptHost, status: u16, content_type: &str, body: &str) -> usize {
    host.put(Map::CallReply, ":status", &status.to_string());
    host.put(Map::CallReply, "content-type", content_type);
    host.put_body(Body::CallReply, body.as_bytes());
    body.len()
}

#[test]
fn where_bodies_cannot_be_changed_the_plugin_calls_one_provider_after_the_other() {
    let host = read_only_host();
    let mut gateway = exchange(CONFIG, "inline");
    host.put_body(Body::Request, ask("best", "").as_bytes());
    assert_eq!(gateway.request_headers(&host, false), Action::Continue);
    assert_eq!(gateway.request_body(&host, ask("best", "").len(), true), Action::Pause);
    // The host's copy is gone when the call ends.
    host.put_body(Body::Request, b"");
    let size = reply(&host, 503, "text/plain", "down");
    gateway.call_response(&host, CallId(1), 2, size);
    let whole = r#"{"id":"m","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn"}"#;
    let size = reply(&host, 200, "application/json", whole);
    gateway.call_response(&host, CallId(2), 2, size);

    let calls = host.calls.borrow();
    assert_eq!(
        (calls[0].upstream.as_str(), calls[0].path.as_str()),
        ("api.openai.com:443", "/v1/chat/completions")
    );
    assert_eq!(
        (calls[1].upstream.as_str(), calls[1].path.as_str()),
        ("api.anthropic.com:443", "/v1/messages")
    );
    assert!(calls[1].headers.contains(&("x-api-key".into(), "sk-a".into())));
    assert!(calls[1].body.starts_with(br#"{"model":"claude-5""#));
    let (status, body) = sent(&host);
    assert_eq!(status, 200);
    assert!(body.contains(r#""content":"hello""#), "{body}");
    assert_eq!(host.text(Map::Request, "content-length"), None);
}

/// Asks for `best` where the plugin calls, with so many keys of the first provider; it answers with this status,
/// the second one with an answer. The key that the first one was asked with.
fn call_with_keys(plugin: &std::rc::Rc<dyn Plugin>, status: u16) -> String {
    let host = read_only_host();
    let mut gateway = exchange_of(plugin);
    let body = ask("best", "");
    host.put_body(Body::Request, body.as_bytes());
    gateway.request_headers(&host, false);
    gateway.request_body(&host, body.len(), true);
    let whole = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
    let size = reply(&host, status, "application/json", whole);
    gateway.call_response(&host, CallId(1), 2, size);
    let calls = host.calls.borrow();
    let key = calls[0].headers.iter().find(|(name, _)| name == "authorization");
    key.unwrap().1.trim_start_matches("Bearer ").to_owned()
}

#[test]
fn a_provider_that_is_called_gets_its_keys_in_turn() {
    let config = CONFIG.replace(r#""sk-o""#, r#"["k0","k1"]"#);
    let plugin = plugin(&config, "inline");
    let keys: Vec<_> = (0..3).map(|_| call_with_keys(&plugin, 200)).collect();
    assert_eq!(keys, ["k0", "k1", "k0"]);
}

#[test]
fn a_key_that_a_called_provider_refused_rests_though_another_provider_answers() {
    let config = CONFIG.replace(r#""sk-o""#, r#"["k0","k1","k2"]"#);
    let plugin = plugin(&config, "inline");
    let refused = call_with_keys(&plugin, 401);
    for _ in 0..6 {
        assert_ne!(call_with_keys(&plugin, 200), refused);
    }
}

/// Asks for `best` where bodies can be changed; the answer has these headers. Who was asked.
fn rewritten(plugin: &std::rc::Rc<dyn Plugin>, status: u16, headers: &[(&str, &str)]) -> String {
    let host = chat_host();
    let mut gateway = exchange_of(plugin);
    assert!(send(&mut gateway, &host, &ask("best", "")));
    headers.iter().for_each(|(name, value)| host.put(Map::Response, name, value));
    answer(&mut gateway, &host, status, "application/json", r#"{"error":{"message":"no"}}"#);
    gateway.done(&host);
    host.text(Map::Request, ":authority").unwrap()
}

#[test]
fn a_target_rests_in_one_place_as_it_does_in_two() {
    let used_up = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "20s")];
    let gateway = plugin(CONFIG, "inline");
    assert_eq!(rewritten(&gateway, 200, &used_up), "api.openai.com");
    assert_eq!(rewritten(&gateway, 200, &[]), "api.anthropic.com", "nothing is left");

    // As long as another key can be used, so can the provider.
    let gateway = plugin(&CONFIG.replace(r#""sk-o""#, r#"["k0","k1"]"#), "inline");
    assert_eq!(rewritten(&gateway, 429, &[("retry-after", "20")]), "api.openai.com");
    assert_eq!(rewritten(&gateway, 200, &[]), "api.openai.com");
}

#[test]
fn a_called_providers_filter_lets_the_target_that_is_there_for_it_be_asked() {
    let config = routes(json!([{"name": "f", "targets": [
        to("a"), {"provider": "b", "model": "m-b", "fallback_for": ["content_filter"]}]}]));
    let host = read_only_host();
    let mut gateway = exchange(&config.to_string(), "inline");
    let body = ask("m", "");
    host.put_body(Body::Request, body.as_bytes());
    gateway.request_headers(&host, false);
    gateway.request_body(&host, body.len(), true);
    let stopped = r#"{"choices":[{"message":{"content":null},"finish_reason":"content_filter"}]}"#;
    let size = reply(&host, 200, "application/json", stopped);
    gateway.call_response(&host, CallId(1), 2, size);
    let whole = r#"{"id":"m","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn"}"#;
    let size = reply(&host, 200, "application/json", whole);
    gateway.call_response(&host, CallId(2), 2, size);
    let (status, body) = sent(&host);
    assert_eq!((status, host.calls.borrow().len()), (200, 2), "{body}");
    assert!(body.contains("hello"), "{body}");
}

#[test]
fn a_streamed_answer_of_a_call_is_one_whole_event_stream() {
    let host = read_only_host();
    let mut gateway = exchange(CONFIG, "inline");
    let body = ask("fast", r#","stream":true"#);
    host.put_body(Body::Request, body.as_bytes());
    gateway.request_headers(&host, false);
    gateway.request_body(&host, body.len(), true);
    let events = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n\
                  data: {\"type\":\"message_stop\"}\n\n";
    let size = reply(&host, 200, "text/event-stream", events);
    gateway.call_response(&host, CallId(1), 2, size);
    let (status, body) = sent(&host);
    assert_eq!(status, 200);
    assert!(
        body.starts_with("data: {\"id\":\"m\"") && body.ends_with("data: [DONE]\n\n"),
        "{body}"
    );
}

#[test]
fn when_no_provider_can_be_called_the_client_is_told() {
    let host = read_only_host();
    let mut gateway = exchange(CONFIG, "inline");
    host.put_body(Body::Request, ask("best", "").as_bytes());
    gateway.request_headers(&host, false);
    gateway.request_body(&host, ask("best", "").len(), true);
    gateway.call_response(&host, CallId(1), 0, 0);
    gateway.call_response(&host, CallId(2), 0, 0);
    let (status, error) = error(&host);
    assert_eq!((status, &error["message"]), (503, &"provider `a` could not be reached".into()));
}

#[test]
fn a_body_that_needs_no_change_is_passed_through_where_none_is_possible() {
    let host = read_only_host();
    let mut gateway = exchange(CONFIG, "inline");
    assert!(send(&mut gateway, &host, &ask("gpt-4", "")));
    assert_eq!(host.text(Map::Request, "authorization").unwrap(), "Bearer sk-o");
    assert!(host.calls.borrow().is_empty());

    let pass = CONFIG.replacen('{', r#"{"inline":"pass","#, 1);
    let host = read_only_host();
    assert!(!send(&mut exchange(&pass, "inline"), &host, &ask("fast", "")));
    assert_eq!(error(&host).0, 500);
}
