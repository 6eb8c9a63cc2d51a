//! Who is let in, on a scripted host.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::rc::Rc;

use ai_auth::{configure, key};
use serde_json::{Value, json};
use shared::exchange::Exchange;
use shared::host::script::ScriptHost;
use shared::host::{Body, Host, Map};
use shared::plugin::Plugin;
use shared::testing::{called, chat_host, exchange_of, plugin, refused, send, sent};

const BODY: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"secret-prompt"}]}"#;

fn key_of(id: &str) -> String {
    key::mint("sk-aigw", id, &[id.as_bytes()[0]; 32])
}

fn entry(id: &str) -> Value {
    json!({"id": id, "hash": key::written(None, &key_of(id))})
}

fn with(more: Value) -> Rc<dyn Plugin> {
    let mut config = json!({
    "groups": [{"name": "team", "allow": {"models": ["gpt-*"], "max_tokens": 50}}],
    "consumers": [
        {"name": "alice", "keys": [entry("a1"), entry("a2")], "tags": {"team": "search"}},
        {"name": "bob", "keys": [entry("b1")], "groups": ["team"], "identities": ["spiffe://x/bob"]},
    ]});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    plugin(configure, &config.to_string())
}

fn with_key(id: &str) -> ScriptHost {
    let host = chat_host();
    host.put(Map::Request, "authorization", &format!("Bearer {}", key_of(id)));
    host
}

fn fact(host: &ScriptHost, name: &str) -> Option<String> {
    let value = host.properties.borrow().get(&format!("ai.{name}")).cloned()?;
    Some(String::from_utf8(value).unwrap())
}

fn ask(plugin: &Rc<dyn Plugin>, host: &ScriptHost, body: &str) -> bool {
    send(&mut exchange_of(plugin), host, body)
}

fn status(host: &ScriptHost) -> u16 {
    sent(host).0
}

#[test]
fn a_key_tells_who_asks_and_goes_no_further() {
    let auth = with(json!({}));
    for (header, value) in [
        ("authorization", format!("Bearer {}", key_of("a1"))),
        ("x-api-key", key_of("a2")),
        ("x-goog-api-key", key_of("a1")),
        ("api-key", key_of("a1")),
    ] {
        let host = chat_host();
        host.remove_header(Map::Request, "authorization").unwrap();
        host.put(Map::Request, header, &value);
        assert!(ask(&auth, &host, BODY), "{header}");
        assert_eq!(fact(&host, "consumer").as_deref(), Some("alice"));
        assert_eq!(fact(&host, "tags").as_deref(), Some(r#"{"team":"search"}"#));
        assert_eq!(host.text(Map::Request, header), None, "{header}");
    }
}

#[test]
fn the_requests_of_a_batch_are_held_against_the_rules_too() {
    let auth = with(json!({}));
    let batch = |params: Value| {
        let host = with_key("b1");
        host.put(Map::Request, ":path", "/v1/messages/batches");
        let body = json!({"requests": [{"custom_id": "1", "params": {"model": "gpt-4o", "max_tokens": 5}},
                                       {"custom_id": "2", "params": params}]});
        ask(&auth, &host, &body.to_string())
    };
    assert!(batch(json!({"model": "gpt-5", "max_tokens": 50})));
    assert!(!batch(json!({"model": "claude-opus-4-5", "max_tokens": 50})));
    assert!(!batch(json!({"model": "gpt-5", "max_tokens": 51})));
}

#[test]
fn the_id_in_a_key_says_whose_it_is_though_another_entry_has_its_hash() {
    let copy = json!({"id": "zz", "hash": key::written(None, &key_of("a1"))});
    let first = json!({"name": "carol", "keys": [entry("a1")]});
    let last = json!({"name": "dave", "keys": [copy]});
    for consumers in [[first.clone(), last.clone()], [last, first]] {
        let auth = with(json!({ "consumers": consumers }));
        let host = with_key("a1");
        assert!(ask(&auth, &host, BODY));
        assert_eq!(fact(&host, "consumer").as_deref(), Some("carol"));
    }
}

#[test]
fn every_refusal_of_a_key_looks_the_same() {
    let auth = with(json!({}));
    let mut wrong = key_of("a1");
    wrong.replace_range(12..13, "f");
    let unknown = key_of("zz");
    let mut texts = Vec::new();
    for credential in
        [None, Some(wrong.as_str()), Some(&unknown), Some("sk-openai"), Some("eyJ.a.b")]
    {
        let host = chat_host();
        host.remove_header(Map::Request, "authorization").unwrap();
        if let Some(credential) = credential {
            host.put(Map::Request, "authorization", &format!("Bearer {credential}"));
        }
        assert!(!ask(&auth, &host, BODY));
        assert_eq!(status(&host), 401);
        texts.push(sent(&host).1);
        let headers = host.sent.borrow().as_ref().unwrap().1.clone();
        assert!(headers.contains(&("www-authenticate".into(), "Bearer".into())));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[test]
fn a_refusal_is_in_the_clients_protocol() {
    let auth = with(json!({}));
    for (path, pointer, value) in [
        ("/v1/chat/completions", "/error/type", "authentication_error"),
        ("/v1/messages", "/error/type", "authentication_error"),
        ("/v1beta/models/g:generateContent", "/error/status", "UNAUTHENTICATED"),
    ] {
        let host = ScriptHost::post(path);
        assert!(!ask(&auth, &host, BODY));
        let body: Value = serde_json::from_str(&sent(&host).1).unwrap();
        assert_eq!(body.pointer(pointer).unwrap(), value);
    }
}

#[test]
fn keys_have_a_time() {
    // The host's clock stands in October 2025.
    let key = |times: Value| {
        let mut entry = entry("t1");
        entry.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
        with(json!({"consumers": [{"name": "t", "keys": [entry]}]}))
    };
    for (times, ok) in [
        (json!({"expires": "2026-01-01T00:00:00Z"}), true),
        (json!({"expires": "2025-10-01"}), false),
        (json!({"not_before": "2026-01-01"}), false),
        (json!({"not_before": "2025-01-01", "expires": "2025-12-31T00:00:00+08:00"}), true),
    ] {
        assert_eq!(ask(&key(times.clone()), &with_key("t1"), BODY), ok, "{times}");
    }
}

#[test]
fn a_key_from_elsewhere_may_have_any_form() {
    let hash = key::written(None, "old-key-of-another-gateway");
    let auth = with(json!({"consumers": [{"name": "o", "keys": [{"id": "old", "hash": hash}]}]}));
    let host = chat_host();
    host.put(Map::Request, "authorization", "Bearer old-key-of-another-gateway");
    assert!(ask(&auth, &host, BODY));
    assert_eq!(fact(&host, "key_id").as_deref(), Some("old"));
}

fn only(allow: Value) -> Rc<dyn Plugin> {
    with(json!({"consumers": [{"name": "c", "keys": [entry("c1")], "allow": allow}]}))
}

#[test]
fn what_a_consumer_may_do_is_held_to() {
    for (allow, ok) in [
        (json!({"models": ["gpt-*"]}), true),
        (json!({"models": ["claude-*", "~^o[0-9]"]}), false),
        (json!({"models": []}), false),
        (json!({"endpoints": ["chat", "models"]}), true),
        (json!({"endpoints": ["embeddings"]}), false),
        (json!({"ips": ["10.0.0.0/8"]}), true),
        (json!({"ips": ["192.168.0.0/16", "::/0"]}), false),
        (json!({"hours": {"from": "00:00", "to": "23:59"}}), true),
        (json!({"hours": {"from": "03:00", "to": "03:01"}}), false),
    ] {
        let host = with_key("c1");
        host.properties.borrow_mut().insert("source.address".into(), "10.1.2.3:5555".into());
        let went = ask(&only(allow.clone()), &host, BODY);
        assert_eq!(went, ok, "{allow}");
        if !ok {
            assert_eq!(status(&host), 403);
        }
    }
}

#[test]
fn tools_and_tokens_are_held_to() {
    let tool = |name: &str| {
        let function = json!({"type": "function", "function": {"name": name}});
        json!({"model": "m", "messages": [], "tools": [function]}).to_string()
    };
    let auth = only(json!({"tools": ["get_*"]}));
    assert!(ask(&auth, &with_key("c1"), &tool("get_weather")));
    let host = with_key("c1");
    assert!(!ask(&auth, &host, &tool("delete_all")));
    assert_eq!(status(&host), 403);
    assert!(!sent(&host).1.contains("delete_all"));

    let auth = only(json!({"max_tokens": 100}));
    let host = with_key("c1");
    assert!(ask(&auth, &host, r#"{"model":"m","messages":[]}"#));
    assert_eq!(
        host.body_text(Body::Request),
        r#"{"max_completion_tokens":100,"model":"m","messages":[]}"#
    );
    assert!(ask(&auth, &with_key("c1"), r#"{"model":"m","max_tokens":100}"#));
    assert!(!ask(&auth, &with_key("c1"), r#"{"model":"m","max_tokens":101}"#));
    assert!(!ask(
        &auth,
        &with_key("c1"),
        r#"{"model":"m","max_tokens":1,"max_completion_tokens":1e9}"#
    ));
}

#[test]
fn groups_speak_where_the_consumer_does_not() {
    let auth = with(json!({}));
    let host = with_key("b1");
    assert!(ask(&auth, &host, BODY));
    assert_eq!(fact(&host, "groups").as_deref(), Some("team"));
    assert_eq!(fact(&host, "allowed_models").as_deref(), Some("gpt-*"));
    assert_eq!(fact(&host, "max_tokens").as_deref(), Some("50"));
    assert!(!ask(&auth, &with_key("b1"), &BODY.replace("gpt-4o", "claude-5")));
}

#[test]
fn a_model_named_twice_is_not_let_through() {
    let host = with_key("b1");
    assert!(!ask(&with(json!({})), &host, r#"{"model":"gpt-4o","model":"claude-5"}"#));
    assert_eq!(status(&host), 400);
}

#[test]
fn a_key_in_the_query_is_for_who_allows_it() {
    let path = format!("/v1beta/models/gemini:generateContent?alt=sse&key={}", key_of("a1"));
    let asked = |auth: &Rc<dyn Plugin>| {
        let host = ScriptHost::post(&path);
        let went = ask(auth, &host, "{}");
        (went, host)
    };
    assert!(!asked(&with(json!({}))).0);
    let (went, host) = asked(&with(json!({"query_key": "key"})));
    assert!(went);
    assert_eq!(host.path().unwrap(), "/v1beta/models/gemini:generateContent?alt=sse");
}

#[test]
fn what_the_proxy_has_proved_is_taken_and_nothing_a_client_says() {
    let auth = with(json!({"host_identity": {"from": "mtls_uri"}}));
    let host = chat_host();
    host.remove_header(Map::Request, "authorization").unwrap();
    host.put(Map::Request, "x-consumer-username", "alice");
    assert!(!ask(&auth, &host, BODY));
    let host = chat_host();
    host.remove_header(Map::Request, "authorization").unwrap();
    let san = "connection.uri_san_peer_certificate";
    host.properties.borrow_mut().insert(san.into(), "spiffe://x/bob".into());
    assert!(ask(&auth, &host, BODY));
    assert_eq!(fact(&host, "consumer").as_deref(), Some("bob"));

    let config = json!({"host_identity": {"from": "jwt_authn", "payload": "jwt",
                                          "default_consumer": "alice"}});
    let host = chat_host();
    host.remove_header(Map::Request, "authorization").unwrap();
    let claim = "metadata.filter_metadata.envoy.filters.http.jwt_authn.jwt.sub";
    host.properties.borrow_mut().insert(claim.into(), "carol".into());
    assert!(ask(&with(config), &host, BODY));
    assert_eq!(fact(&host, "consumer").as_deref(), Some("carol"), "with alice's rules");
}

#[test]
fn nobody_is_somebody_if_the_configuration_says_so() {
    let auth = with(json!({"anonymous": "bob"}));
    let host = chat_host();
    host.remove_header(Map::Request, "authorization").unwrap();
    assert!(ask(&auth, &host, BODY));
    assert_eq!(fact(&host, "consumer").as_deref(), Some("bob"));
    assert!(!ask(&auth, &with_key("zz"), BODY), "a wrong key is not nobody");
}

#[test]
fn endpoints_with_keys_of_their_own_pass_and_nothing_that_looks_like_them() {
    let auth = with(json!({}));
    for (path, ok) in
        [("/_ai/limits?rule=r", true), ("/_ai/v1/chat/completions", false), ("/x", false)]
    {
        assert_eq!(ask(&auth, &ScriptHost::post(path), "{}"), ok, "{path}");
    }
}

#[test]
fn a_dry_run_refuses_nothing() {
    let auth = with(json!({"mode": "dry_run"}));
    let host = with_key("zz");
    assert!(ask(&auth, &host, BODY));
    assert!(host.text(Map::Request, "authorization").is_some());
    assert!(ask(&auth, &with_key("b1"), &BODY.replace("gpt-4o", "claude-5")));
    let off = with(json!({"mode": "off"}));
    assert!(Rc::clone(&off).filters().is_empty());
}

const LOOKUP: &str = r#"{"lookup": {"kind": "webdis", "upstream": "webdis", "prefix": "ai:key:"}}"#;

fn held(auth: &Rc<dyn Plugin>, host: &ScriptHost) -> Exchange {
    let mut exchange = exchange_of(auth);
    host.put_body(Body::Request, BODY.as_bytes());
    exchange.request_headers(host, false);
    exchange
}

/// What Webdis answers with this value, or none.
fn found(host: &ScriptHost, value: Value) -> String {
    let calls = host.calls.borrow();
    let body = String::from_utf8(calls.last().unwrap().body.clone()).unwrap();
    let (_, nonce) = body.rsplit_once('/').unwrap();
    json!({"EVAL": [nonce, value]}).to_string()
}

#[test]
fn keys_may_be_kept_in_redis() {
    let auth = with(serde_json::from_str(LOOKUP).unwrap());
    let host = with_key("r1");
    let mut exchange = held(&auth, &host);
    let asked = String::from_utf8(host.calls.borrow()[0].body.clone()).unwrap();
    assert!(
        asked.starts_with("EVAL/return%20%7BARGV%5B1%5D%2C") && asked.contains("/1/ai:key:r1/")
    );
    let entry = json!({"hash": key::written(None, &key_of("r1")),
                       "consumer": {"name": "rita", "groups": ["team"]}});
    let reply = found(&host, entry.to_string().into());
    assert!(called(&mut exchange, &host, 1, 200, &reply));
    assert_eq!(fact(&host, "consumer").as_deref(), Some("rita"));

    // What was found is used again for a while, and no longer.
    assert!(ask(&auth, &with_key("r1"), BODY));
    let later = with_key("r1");
    later.now_nanos.set(later.now_nanos.get() + 6_000_000_000);
    let mut exchange = held(&auth, &later);
    assert_eq!(later.calls.borrow().len(), 1);
    let nothing = found(&later, Value::Null);
    assert!(!called(&mut exchange, &later, 1, 200, &nothing));
    assert_eq!(status(&later), 401);
}

#[test]
fn a_store_that_is_down_lets_nobody_in_and_says_so() {
    let auth = with(serde_json::from_str(LOOKUP).unwrap());
    let entry = json!({"hash": key::written(None, &key_of("r1")), "consumer": {"name": "rita"}});
    // The last is the answer to somebody else.
    let other = json!({"EVAL": ["ffff", entry.to_string()]}).to_string();
    for (status_code, reply) in [(500, ""), (200, "what"), (200, "{}"), (200, &other)] {
        let host = with_key("r1");
        let mut exchange = held(&auth, &host);
        let bad = found(&host, "{}".into());
        let reply = if reply == "{}" { &bad } else { reply };
        assert!(!called(&mut exchange, &host, 1, status_code, reply));
        assert_eq!(status(&host), 503, "{reply}");
    }
    let host = with_key("a1");
    assert!(ask(&auth, &host, BODY), "configured keys need no store");
}

#[test]
fn a_wrong_secret_for_an_id_of_the_store_is_refused() {
    let auth = with(serde_json::from_str(LOOKUP).unwrap());
    let host = with_key("r1");
    let mut exchange = held(&auth, &host);
    let other = key::mint("sk-aigw", "r1", &[9; 32]);
    let entry = json!({"hash": key::written(None, &other), "consumer": {"name": "rita"}});
    let reply = found(&host, entry.to_string().into());
    assert!(!called(&mut exchange, &host, 1, 200, &reply));
    assert_eq!(status(&host), 401);
}

#[test]
fn mistakes_are_named() {
    let wrong = |config: Value| refused(configure, &config.to_string());
    for (config, place) in [
        (json!({"consumers": [{"name": "a,b"}]}), "consumers[0].name: "),
        (json!({"consumers": [{"name": "a"}, {"name": "a"}]}), "consumers[1].name: "),
        (json!({"consumers": [{"name": "a", "groups": ["g"]}]}), "consumers[0].groups[0]: "),
        (
            json!({"consumers": [{"name": "a", "keys": [{"id": "x", "hash": "abc"}]}]}),
            "consumers[0].keys[0].hash: ",
        ),
        (
            json!({"consumers": [{"name": "a", "keys": [{"id": "x-y", "hash": "abc"}]}]}),
            "consumers[0].keys[0].id: ",
        ),
        (
            json!({"consumers": [{"name": "a", "allow": {"endpoints": ["chat", "chta"]}}]}),
            "consumers[0].allow.endpoints[1]: ",
        ),
        (
            json!({"consumers": [{"name": "a", "allow": {"ips": ["10.0.0.0/99"]}}]}),
            "consumers[0].allow.ips[0]: ",
        ),
        (
            json!({"consumers": [{"name": "a", "allow": {"modles": []}}]}),
            "consumers[0].allow.modles: ",
        ),
        (json!({"anonymous": "x"}), "anonymous: "),
        (json!({"jwt": [{"issuer": "i", "algorithms": ["none"]}]}), "jwt[0].algorithms[0]: "),
        (json!({"jwt": [{"issuer": "i", "algorithms": ["RS256"]}]}), "jwt[0].jwks_url: "),
        (
            json!({"jwt": [{"issuer": "i", "algorithms": ["HS256"], "secret": "short"}]}),
            "jwt[0].secret: ",
        ),
        (json!({"lookup": {"kind": "http", "upstream": "u", "prefix": "keys"}}), "lookup.prefix: "),
        (json!({"host_identity": {"from": "jwt_authn"}}), "host_identity.payload: "),
    ] {
        assert!(wrong(config.clone()).starts_with(place), "{config}: {}", wrong(config.clone()));
    }
}
