//! The plugin on a scripted host: what is answered from the cache, and what is kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod gateway;

use gateway::{Came, Gateway, question, reply, with};
use semantic_cache_client::configure;
use serde_json::{Value, json};
use shared::host::{Body, Map};
use shared::testing::{answer, exchange_of, plugin, refused, send, sent, stream};

#[test]
fn an_equal_request_gets_the_same_answer() {
    let gateway = Gateway::new("{}");
    let (mut exchange, came) = gateway.begin(&question("hi"));
    assert_eq!(came, Came::Sent);
    gateway.fact("usage", Some(r#"{"prompt_tokens":7,"completion_tokens":2}"#));
    answer(&mut exchange, &gateway.host, 200, "application/json", &reply("hello").to_string());
    assert_eq!(gateway.host.text(Map::Response, "x-ai-cache").unwrap(), "miss");
    exchange.done(&gateway.host);
    gateway.later(5);
    let spelt = json!({"messages": [{"content": "\u{68}i", "role": "user"}], "stream": false, "model": "gpt-4o"});
    let expected = Came::Answered(
        200,
        "hit-exact".into(),
        "application/json".into(),
        reply("hello").to_string(),
    );
    assert_eq!(gateway.ask(&spelt, &Value::Null), expected);
    let sent = gateway.host.sent.borrow().clone().unwrap();
    assert!(sent.1.contains(&("age".into(), "5".into())), "{:?}", sent.1);
    assert_eq!(gateway.told("cache"), "hit-exact");
    let usage: Value = serde_json::from_str(&gateway.told("usage")).unwrap();
    assert_eq!(usage["prompt_tokens"], 7, "{usage}");
    gateway.plugin.tick(&gateway.host);
    assert!(gateway.host.metric_value("ai_cache_saved_nanodollars_total") > 0);
    assert_eq!(gateway.host.calls.borrow().len(), 0, "no callout");
    gateway.later(3_600 * 2);
    assert!(!gateway.hits(&question("hi")), "it is over");
}

#[test]
fn streams_and_whole_answers_stand_for_each_other() {
    let gateway = Gateway::new("{}");
    let streamed = with(&question("hi"), "stream", json!(true));
    let (mut exchange, _) = gateway.begin(&streamed);
    let events: [&[u8]; 3] = [
        b"data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"he\"},\"finish_reason\":null}]}\n\ndata: {\"id\"",
        b":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"llo\"},\"finish_reason\":\"stop\"}]}\n\n",
        b"data: [DONE]\n\n",
    ];
    let out = stream(&mut exchange, &gateway.host, &events).concat();
    assert_eq!(out.as_bytes(), events.concat(), "it passes unchanged");
    gateway.fact("usage", Some(r#"{"prompt_tokens":7,"completion_tokens":2}"#));
    exchange.done(&gateway.host);
    let Came::Answered(200, _, kind, body) = gateway.ask(&question("hi"), &Value::Null) else {
        panic!()
    };
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(kind, "application/json");
    assert_eq!(body["choices"][0]["message"]["content"], "hello");
    assert_eq!(body["usage"]["total_tokens"], 9);
    let Came::Answered(200, _, kind, body) = gateway.ask(&streamed, &Value::Null) else { panic!() };
    assert_eq!(kind, "text/event-stream");
    assert!(body.contains("\"hello\"") && body.ends_with("data: [DONE]\n\n"), "{body}");
}

#[test]
fn what_differs_in_anything_is_not_shared() {
    let gateway = Gateway::new(r#"{"cache":{"tools":true}}"#);
    let base = json!({
        "model": "gpt-4o", "temperature": 0.5, "seed": 1,
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]
    });
    gateway.ask(&base, &reply("x"));
    assert!(gateway.hits(&base));
    for (key, value) in [
        ("model", json!("gpt-4o-mini")),
        ("temperature", json!(0.6)),
        ("seed", json!(2)),
        ("top_p", json!(0.1)),
        ("max_tokens", json!(5)),
        ("response_format", json!({"type": "json_object"})),
        ("tools", json!([{"type": "function", "function": {"name": "f"}}])),
        ("user", json!("somebody")),
        (
            "messages",
            json!([{"role": "system", "content": "t"}, {"role": "user", "content": "hi"}]),
        ),
        ("messages", json!([{"role": "user", "content": "hi"}])),
    ] {
        assert!(!gateway.hits(&with(&base, key, value.clone())), "{key} {value}");
    }
    gateway.consumer("bob");
    assert!(!gateway.hits(&base), "another consumer");
    gateway.consumer("ann");
    gateway.header("x-ai-cache-key", "other");
    assert!(!gateway.hits(&base), "apart by the client's wish");
    gateway.plain();
    let other = Gateway { plugin: plugin(configure, r#"{"generation":"2"}"#), ..gateway };
    assert!(!other.hits(&base), "another generation");
}

#[test]
fn a_request_that_came_before_is_still_judged_by_what_is_known_of_it_now() {
    let gateway = Gateway::new(r#"{"rules":[{"consumers":["eve"],"ttl":0}],"scope":"shared"}"#);
    gateway.ask(&question("hi"), &reply("x"));
    assert!(gateway.hits(&question("hi")) && gateway.hits(&question("hi")));
    gateway.consumer("eve");
    assert!(!gateway.hits(&question("hi")), "a rule of another consumer");
    gateway.consumer("ann");
    for (name, value) in [("cache-control", "no-store"), ("x-ai-cache-key", "mine")] {
        gateway.header(name, value);
        assert!(!gateway.hits(&question("hi")), "{name}");
        gateway.plain();
    }
    for (fact, value) in [("allowed_models", "m"), ("allowed_regions", "eu")] {
        gateway.fact(fact, Some(value));
        assert!(!gateway.hits(&question("hi")), "{fact}");
        gateway.fact(fact, None);
    }
    let flagged = |guard: &str, pii: Option<&str>| {
        gateway.host.sent.replace(None);
        gateway.fact("guard", Some(guard));
        gateway.fact("pii", pii);
        let mut exchange = exchange_of(&gateway.plugin);
        let went = send(&mut exchange, &gateway.host, &question("hi").to_string());
        exchange.done(&gateway.host);
        gateway.fact("pii", None);
        went
    };
    assert!(flagged("flag", None) && flagged("mask", Some("EMAIL")) && !flagged("pass", None));
    gateway.fact("guard", None);
    assert!(gateway.hits(&question("hi")));
}

#[test]
fn what_is_shared_by_all_is_still_apart_by_the_regions_of_a_route() {
    let gateway = Gateway::new(r#"{"scope": "shared"}"#);
    gateway.fact("consumer", None);
    let body = question("Where does this run?");
    gateway.fact("allowed_regions", Some("eu"));
    gateway.ask(&body, &reply("in Europe"));
    assert!(gateway.hits(&body));
    for regions in [Some("us"), Some(""), None] {
        gateway.fact("allowed_regions", regions);
        assert!(!gateway.hits(&body), "{regions:?}");
    }
}

#[test]
fn nobody_in_particular_is_not_cached() {
    let gateway = Gateway::new("{}");
    gateway.fact("consumer", None);
    gateway.ask(&question("hi"), &reply("x"));
    assert!(!gateway.hits(&question("hi")));
    assert_eq!(gateway.told("cache"), "bypass");
    let shared = Gateway::new(r#"{"scope":"shared"}"#);
    shared.fact("consumer", None);
    shared.ask(&question("hi"), &reply("x"));
    shared.consumer("bob");
    assert!(shared.hits(&question("hi")));
    let group = Gateway::new(r#"{"scope":"group"}"#);
    group.fact("groups", Some("b,a"));
    group.ask(&question("hi"), &reply("x"));
    group.consumer("bob");
    group.fact("groups", Some("a,b"));
    assert!(group.hits(&question("hi")));
    group.fact("groups", Some("a"));
    assert!(!group.hits(&question("hi")));
}

#[test]
fn what_goes_on_from_what_a_provider_keeps_is_not_cached() {
    for (member, value) in [
        ("previous_response_id", json!("resp_1")),
        ("thread", json!({"type": "continue", "previous_message_id": "msg_1"})),
    ] {
        let gateway = Gateway::new("{}");
        let body = with(&question("hi"), member, value);
        gateway.ask(&body, &reply("x"));
        assert!(!gateway.hits(&body), "{member}");
    }
}

#[test]
fn what_is_not_configured_is_not_cached() {
    let media = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "what is it"}, {"type": "image_url", "image_url": {"url": "u"}}]}]});
    let tools =
        with(&question("hi"), "tools", json!([{"type": "function", "function": {"name": "f"}}]));
    let hot = with(&question("hi"), "temperature", json!(1.5));
    for (body, allow) in [(media, "media"), (tools, "tools")] {
        let gateway = Gateway::new("{}");
        gateway.ask(&body, &reply("x"));
        assert!(!gateway.hits(&body), "{allow}");
        let gateway = Gateway::new(&format!(r#"{{"cache":{{"{allow}":true}}}}"#));
        gateway.ask(&body, &reply("x"));
        assert!(gateway.hits(&body), "{allow}");
    }
    let gateway = Gateway::new("{}");
    gateway.ask(&hot, &reply("x"));
    assert!(!gateway.hits(&hot));
    for (fact, value) in [("pii", "EMAIL"), ("guard", "flag")] {
        let gateway = Gateway::new("{}");
        let mut exchange = exchange_of(&gateway.plugin);
        gateway.fact("guard", Some("mask"));
        gateway.fact(fact, Some(value));
        send(&mut exchange, &gateway.host, &question("hi").to_string());
        answer(&mut exchange, &gateway.host, 200, "application/json", &reply("x").to_string());
        exchange.done(&gateway.host);
        gateway.fact(fact, None);
        assert!(!gateway.hits(&question("hi")), "{fact}");
    }
}

#[test]
fn an_answer_that_is_not_whole_and_good_is_not_kept() {
    let cut =
        json!({"choices": [{"index": 0, "finish_reason": "length", "message": {"content": "x"}}]});
    let refused = json!({"choices": [{"index": 0, "finish_reason": "content_filter", "message": {"content": "x"}}]});
    for bad in [cut, refused, json!({"error": {"message": "x"}}), json!([]), json!({})] {
        let gateway = Gateway::new("{}");
        gateway.ask(&question("hi"), &bad);
        assert!(!gateway.hits(&question("hi")), "{bad}");
    }
    for status in [201, 400, 429, 500] {
        let gateway = Gateway::new("{}");
        let (mut exchange, _) = gateway.begin(&question("hi"));
        answer(&mut exchange, &gateway.host, status, "application/json", &reply("x").to_string());
        exchange.done(&gateway.host);
        assert!(!gateway.hits(&question("hi")), "{status}");
    }
}

#[test]
fn what_prompt_guard_or_an_error_has_spoilt_is_not_kept() {
    for (fact, value) in [("guard", "block_answer"), ("guard", "block"), ("error", "server_error")]
    {
        let gateway = Gateway::new("{}");
        let (mut exchange, _) = gateway.begin(&question("hi"));
        answer(&mut exchange, &gateway.host, 200, "application/json", &reply("x").to_string());
        gateway.fact(fact, Some(value));
        exchange.done(&gateway.host);
        gateway.fact(fact, None);
        assert!(!gateway.hits(&question("hi")), "{fact}");
    }
}

#[test]
fn half_a_stream_is_not_kept() {
    let gateway = Gateway::new("{}");
    let streamed = with(&question("hi"), "stream", json!(true));
    let event = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n";
    // Without its last event.
    let (mut exchange, _) = gateway.begin(&streamed);
    stream(&mut exchange, &gateway.host, &[event]);
    exchange.done(&gateway.host);
    assert!(!gateway.hits(&streamed));
    // The client left.
    let (mut exchange, _) = gateway.begin(&streamed);
    shared::testing::head(&mut exchange, &gateway.host, 200, "text/event-stream");
    let all = [event.as_slice(), b"data: [DONE]\n\n"].concat();
    gateway.host.put_body(Body::Response, &all);
    exchange.response_body(&gateway.host, all.len(), false);
    exchange.done(&gateway.host);
    assert!(!gateway.hits(&streamed));
}

#[test]
fn clients_can_say_what_they_want() {
    let gateway = Gateway::new("{}");
    gateway.ask(&question("hi"), &reply("one"));
    gateway.header("cache-control", "no-cache");
    assert_eq!(gateway.ask(&question("hi"), &reply("two")), Came::Sent);
    gateway.plain();
    let Came::Answered(_, _, _, body) = gateway.ask(&question("hi"), &Value::Null) else {
        panic!()
    };
    assert!(body.contains("two"), "no-cache renews it");
    gateway.later(10);
    gateway.header("cache-control", "max-age=5");
    assert!(!gateway.hits(&question("hi")));
    gateway.header("cache-control", "max-age=50");
    assert!(gateway.hits(&question("hi")));
    gateway.header("cache-control", "no-store");
    gateway.ask(&question("new"), &reply("x"));
    gateway.plain();
    assert!(!gateway.hits(&question("new")));
    gateway.header("cache-control", "only-if-cached");
    assert!(gateway.hits(&question("hi")));
    let (_, came) = gateway.begin(&question("never asked"));
    assert!(matches!(came, Came::Answered(504, ..)));
    gateway.plain();
    gateway.header("x-ai-cache-ttl", "60");
    gateway.ask(&question("short"), &reply("x"));
    gateway.plain();
    gateway.later(70);
    assert!(!gateway.hits(&question("short")));
    gateway.header("x-ai-cache-ttl", "soon");
    let (_, came) = gateway.begin(&question("hi"));
    let Came::Answered(400, _, _, body) = came else { panic!() };
    assert!(body.contains("x-ai-cache-ttl"));
}

#[test]
fn rules_give_other_lives() {
    let gateway = Gateway::new(
        r#"{"rules":[{"models":["gpt-*"],"consumers":["ann"],"ttl":0},{"models":["o3"],"ttl":10}]}"#,
    );
    gateway.ask(&question("hi"), &reply("x"));
    assert!(!gateway.hits(&question("hi")));
    let other = with(&question("hi"), "model", json!("o3"));
    gateway.ask(&other, &reply("x"));
    assert!(gateway.hits(&other));
    gateway.later(12);
    assert!(!gateway.hits(&other));
}

#[test]
fn an_old_answer_serves_when_providers_fail() {
    let gateway = Gateway::new(r#"{"ttl":10,"stale_if_error":100}"#);
    gateway.ask(&question("hi"), &reply("old"));
    gateway.later(50);
    let (mut exchange, came) = gateway.begin(&question("hi"));
    assert_eq!(came, Came::Sent);
    let body = answer(&mut exchange, &gateway.host, 503, "application/json", "{}");
    assert!(body.contains("old"), "{body}");
    assert_eq!(gateway.host.text(Map::Response, ":status").unwrap(), "200");
    assert_eq!(gateway.host.text(Map::Response, "x-ai-cache").unwrap(), "stale");
    exchange.done(&gateway.host);
    assert_eq!(gateway.told("cache"), "stale");
    let (mut exchange, _) = gateway.begin(&question("hi"));
    gateway.host.put(Map::Response, "content-encoding", "gzip");
    let body = answer(&mut exchange, &gateway.host, 503, "application/json", "\u{1f}zipped");
    assert!(body.contains("old"), "{body}");
    assert_eq!(gateway.host.text(Map::Response, "content-encoding"), None);
    exchange.done(&gateway.host);
    // A refusal is an answer, and so is what is asked for once more.
    let (mut exchange, _) = gateway.begin(&question("hi"));
    assert_eq!(answer(&mut exchange, &gateway.host, 400, "application/json", "{}"), "{}");
    exchange.done(&gateway.host);
    gateway.later(100);
    let (mut exchange, _) = gateway.begin(&question("hi"));
    assert_eq!(answer(&mut exchange, &gateway.host, 503, "application/json", "{}"), "{}");
}

#[test]
fn a_dry_run_serves_nothing_and_counts() {
    let gateway = Gateway::new(r#"{"mode":"dry_run"}"#);
    gateway.ask(&question("hi"), &reply("x"));
    assert!(!gateway.hits(&question("hi")));
    gateway.plugin.tick(&gateway.host);
    assert_eq!(gateway.host.metric_value("ai_cache_would_hit_total|result=hit-exact"), 1);
}

/// Clients write members that they do not set as `null`, and some their numbers as numbers.
#[test]
fn an_end_user_is_erased_however_it_is_written() {
    for more in [
        json!({"user": "u1", "safety_identifier": null}),
        json!({"user": "u1", "metadata": {"user_id": null}}),
        json!({"safety_identifier": "u1", "user": ""}),
        json!({"metadata": {"user_id": "u1"}, "user": null}),
    ] {
        let gateway = Gateway::new(r#"{"admin_key":"top"}"#);
        let mut body = question("hi");
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gateway.ask(&body, &reply("hello"));
        assert_eq!(gateway.purge("user=u1", "top"), (200, r#"{"removed":1}"#.into()), "{more}");
        assert!(!gateway.hits(&body));
    }
    let gateway = Gateway::new(r#"{"admin_key":"top"}"#);
    gateway.ask(&with(&question("hi"), "user", json!(17)), &reply("hello"));
    assert_eq!(gateway.purge("user=17", "top").1, r#"{"removed":1}"#);
}

#[test]
fn answers_can_be_purged_by_who_may() {
    let gateway = Gateway::new(r#"{"admin_key":"secret"}"#);
    let purge = |query: &str, key: &str| gateway.purge(query, key);
    let of_user = with(&question("hi"), "user", json!("u1"));
    for body in [&question("hi"), &of_user] {
        gateway.ask(body, &reply("x"));
    }
    assert_eq!(purge("all=true", "wrong").0, 401);
    assert_eq!(purge("everything", "secret").0, 400);
    assert!(gateway.hits(&of_user));
    assert_eq!(purge("user=u1", "secret"), (200, r#"{"removed":1}"#.into()));
    assert!(!gateway.hits(&of_user) && gateway.hits(&question("hi")));
    assert_eq!(purge("consumer=ann", "secret"), (200, r#"{"removed":1}"#.into()));
    assert!(!gateway.hits(&question("hi")));
    // What was asked before a purge is not kept after it.
    let (mut exchange, _) = gateway.begin(&question("hi"));
    purge("all=true", "secret");
    gateway.host.sent.replace(None);
    answer(&mut exchange, &gateway.host, 200, "application/json", &reply("x").to_string());
    exchange.done(&gateway.host);
    assert!(!gateway.hits(&question("hi")));
    let closed = Gateway::new("{}");
    closed.host.put(Map::Request, ":path", "/_ai/cache/purge?all=true");
    exchange_of(&closed.plugin).request_headers(&closed.host, true);
    assert_eq!(sent(&closed.host).0, 404);
}

#[test]
fn every_protocol_is_cached_in_its_own_form() {
    let anthropic = json!({"id": "m", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn",
        "stop_sequence": null, "content": [{"type": "text", "text": "hello"}], "usage": {"input_tokens": 1, "output_tokens": 1}});
    let responses = json!({"id": "r", "object": "response", "status": "completed", "model": "m", "output": [
        {"type": "message", "id": "i", "status": "completed", "role": "assistant", "content": [
            {"type": "output_text", "text": "hello", "annotations": []}]}]});
    let gemini = json!({"candidates": [{"index": 0, "finishReason": "STOP",
        "content": {"role": "model", "parts": [{"text": "hello"}]}}], "modelVersion": "g"});
    let completions = json!({"id": "c", "object": "text_completion", "choices": [{"index": 0, "text": "hello",
        "finish_reason": "stop", "logprobs": null}]});
    let ask =
        json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    for (path, body, answer) in [
        ("/v1/messages", ask, anthropic),
        ("/v1/responses", json!({"model": "m", "input": "hi"}), responses),
        ("/v1beta/models/g:generateContent", contents, gemini),
        ("/v1/completions", json!({"model": "m", "prompt": "hi"}), completions),
    ] {
        let gateway = Gateway::at(path);
        assert_eq!(gateway.ask(&body, &answer), Came::Sent, "{path}");
        let Came::Answered(200, verdict, _, text) = gateway.ask(&body, &Value::Null) else {
            panic!("{path}")
        };
        assert_eq!(verdict, "hit-exact");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), answer);
        gateway.host.put(Map::Request, ":path", "/v1beta/models/g:streamGenerateContent?alt=sse");
        let streamed = if path.contains("generate") {
            body.clone()
        } else {
            gateway.host.put(Map::Request, ":path", path);
            with(&body, "stream", json!(true))
        };
        let Came::Answered(200, _, kind, text) = gateway.ask(&streamed, &Value::Null) else {
            panic!("{path}")
        };
        assert_eq!(kind, "text/event-stream");
        assert!(text.contains("hello"));
    }
}

#[test]
fn mistakes_in_a_configuration_are_named() {
    for (config, path) in [
        (r#"{"ttl":0}"#, "ttl"),
        (r#"{"jitter":2}"#, "jitter"),
        (r#"{"local":{"max_bytes":1}}"#, "local.max_bytes"),
        (r#"{"local":{"front_ttl":0}}"#, "local.front_ttl"),
        (r#"{"vary":["a b"]}"#, "vary[0]"),
        (r#"{"rules":[{"ttl":1,"model":"x"}]}"#, "rules[0].model"),
        (r#"{"redis":{"service":{"upstream":""}}}"#, "redis.service.upstream"),
        (
            r#"{"semantic":{"embedder":{"kind":"openai","service":{"upstream":"u"}}}}"#,
            "semantic.embedder.model",
        ),
    ] {
        let error = refused(configure, config);
        assert!(error.starts_with(path), "{config}: {error}");
    }
}
