//! Who is asked after a failure, and who rests, on a scripted host.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::support::routes::{
    SECOND, STREAM, attempt, exchange, property, routed, routes, to, two,
};
use crate::support::{answer, ask, chat_host, exchange_of, head, plugin, send};
use serde_json::{Value, json};
use shared::host::{Host, Map};

#[test]
fn each_attempt_is_told_the_cluster_of_the_next() {
    let config = routes(json!([{"name": "f", "targets": [
        {"provider": "a", "model": "m-a", "region": "us"}, to("b"),
        {"provider": "a", "model": "older", "region": "eu", "body": {"set": {"seed": 1}}}]}]));
    let config = config.to_string();
    let host = chat_host();
    assert!(send(&mut exchange_of(&plugin(&config, "route")), &host, &ask("m", "")));
    assert_eq!(property(&host, "ai.cluster"), "ca");
    let translate = plugin(&config, "translate");
    for (provider, model, region, next) in
        [("a", "m-a", "us", "cb"), ("b", "m-b", "", "ca"), ("a", "older", "eu", "ca")]
    {
        let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
        host.properties.borrow_mut().insert(metadata.into(), provider.into());
        let body = ask("m", "");
        assert!(send(&mut exchange_of(&translate), &host, &body));
        let sent = host.body_text(shared::host::Body::Request);
        let sent: Value = serde_json::from_str(&sent).unwrap();
        assert_eq!((&sent["model"], property(&host, "ai.cluster")), (&json!(model), next.into()));
        assert_eq!(sent["seed"].is_number(), model == "older", "the target's own changes");
        assert_eq!(property(&host, "ai.region"), region, "none is left of the attempt before");
    }
    assert_eq!(property(&host, "ai.attempts"), "a,b,a");
}

#[test]
fn the_next_server_of_the_same_protocol_gets_what_it_takes() {
    let provider = |name: &str, preset: &str| json!({"name": name, "preset": preset, "api_key": "sk-x", "cluster": name});
    let config = |drop: &str| {
        let plain = json!({"name": "plain", "protocol": "openai", "base_url": "https://llm.example.com/v1"});
        json!({"providers": [provider("openai", "openai"), provider("mistral", "mistral"), plain],
               "on_unsupported": drop,
               "models": [{"name": "m", "targets": [{"provider": "openai", "model": "gpt-4.1"},
                                                     {"provider": "mistral", "model": "mistral-large-latest"},
                                                     {"provider": "plain", "model": "m"}]}]})
        .to_string()
    };
    let body = r#"{"model":"m","messages":[{"role":"developer","content":"s"},{"role":"user","content":"a"},{"role":"assistant","refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"1"}],"seed":7,"user":"u","max_completion_tokens":9,"future":[1]}"#;
    let translate = plugin(&config("drop"), "translate");
    let attempt = |provider: &str| {
        let host = chat_host();
        let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
        host.properties.borrow_mut().insert(metadata.into(), provider.into());
        let mut exchange = exchange_of(&translate);
        assert!(send(&mut exchange, &host, body));
        head(&mut exchange, &host, 200, "application/json");
        (
            host.body_text(shared::host::Body::Request),
            host.header_text(Map::Response, "x-ai-dropped").unwrap_or_default(),
        )
    };
    let (first, dropped) = attempt("openai");
    assert_eq!((first, dropped.as_str()), (body.replace("\"m\"", "\"gpt-4.1\""), ""));
    assert_eq!(attempt("plain"), (body.to_owned(), String::new()), "nothing is known of it");
    let (second, dropped) = attempt("mistral");
    let (_, id) = second.split_once(r#""tool_call_id":""#).unwrap();
    let (id, _) = id.split_once('"').unwrap();
    let expected = format!(
        r#"{{"max_tokens":9,"random_seed":7,"model":"mistral-large-latest","messages":[{{"role":"system","content":"s"}},{{"role":"user","content":"a"}},{{"role":"assistant","tool_calls":[{{"id":"{id}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"{id}","content":"1"}}],"future":[1]}}"#
    );
    assert_eq!((second.as_str(), dropped.as_str()), (expected.as_str(), "user"));
    assert_eq!(id.len(), 9);

    let strict = plugin(&config("error"), "translate");
    let host = chat_host();
    let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
    host.properties.borrow_mut().insert(metadata.into(), "mistral".into());
    assert!(!send(&mut exchange_of(&strict), &host, body));
    let (status, said) = crate::support::sent(&host);
    assert_eq!(status, 400);
    assert!(said.contains("user: provider `mistral` has nothing for it"), "{said}");
}

#[test]
fn a_target_that_keeps_failing_rests_and_comes_back() {
    let config = routes(json!([{"name": "f", "targets": [to("a"), to("b")]}])).to_string();
    let (route, translate) = (plugin(&config, "route"), plugin(&config, "translate"));
    let start = chat_host().now_nanos.get();
    let at = |seconds: u64| {
        let host = chat_host();
        host.now_nanos.set(start + seconds * SECOND);
        host
    };
    for _ in 0..5 {
        exchange(&route, &translate, &at(0), 503);
    }
    assert_eq!(routed(&route, &at(1), &ask("m", "")), "cb", "it rests");
    exchange(&route, &translate, &at(31), 200);
    assert_eq!(routed(&route, &at(31), &ask("m", "")), "ca", "the probe went well");
}

#[test]
fn retry_after_is_heeded_at_the_first_refusal() {
    // 1,760,000,000 seconds, and 20 more.
    for after in ["20", "Thu, 09 Oct 2025 08:53:40 GMT"] {
        let (route, translate) = two(json!([{"name": "f", "targets": [to("a"), to("b")]}]));
        let host = chat_host();
        host.put(Map::Response, "retry-after", after);
        exchange(&route, &translate, &host, 429);
        assert_eq!(routed(&route, &chat_host(), &ask("m", "")), "cb", "{after}");
        let later = chat_host();
        later.now_nanos.set(later.now_nanos.get() + 21 * SECOND);
        assert_eq!(routed(&route, &later, &ask("m", "")), "ca", "{after}");
    }
}

#[test]
fn a_stream_that_fails_before_it_has_begun_can_be_asked_of_another() {
    let failures: [(&str, &[&[u8]], &str); 4] = [
        (
            "an error event",
            &[
                b"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
                b": ping\n\ndata: {\"error\":{\"message\":\"busy\",\"code\":\"rate_limit_exceeded\"}}\n\n",
            ],
            "429",
        ),
        ("nothing at all", &[], "502"),
        ("garbage", &[b"data: {\"choices\":[{\"del\n\n"], "502"),
        ("cut", &[b"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n"], "502"),
    ];
    for provider in ["a", "b"] {
        // Of a client in the provider's protocol and of one in another.
        let (route, translate) = two(json!([{"name": "f", "targets": [to(provider), to("c")]}]));
        for (name, pieces, status) in
            failures.iter().filter(|(name, ..)| provider == "a" || *name != "an error event")
        {
            let host = chat_host();
            assert!(send(&mut exchange_of(&route), &host, &ask("m", STREAM)));
            let (came, body) = attempt(&translate, &host, STREAM, pieces);
            assert_eq!(&came, status, "{name}");
            assert!(body.starts_with(r#"{"error":{"#), "{name}: {body}");
            assert!(property(&host, "ai.outcomes").starts_with(&format!("0 {status} ")));
        }
    }
}

#[test]
fn a_stream_goes_on_from_its_first_word_and_what_came_before_is_not_lost() {
    for provider in ["a", "b"] {
        let (route, translate) = two(json!([{"name": "f", "targets": [to(provider), to("c")]}]));
        let host = chat_host();
        assert!(send(&mut exchange_of(&route), &host, &ask("m", STREAM)));
        let pieces: &[&[u8]] = if provider == "a" {
            &[
                b"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n",
                b"data: {\"choices\":[{\"delta\":{\"content\":\"he",
                b"llo\"}}]}\n\n",
                b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            ]
        } else {
            &[
                b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"1\"}}\n\n",
                b"event: ping\ndata: {\"type\":\"ping\"}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n",
                b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            ]
        };
        let (status, body) = attempt(&translate, &host, STREAM, pieces);
        assert_eq!(status, "200");
        assert!(body.contains(r#""role":"assistant""#) && body.contains("hello"), "{body}");
        assert!(body.ends_with("data: [DONE]\n\n"), "{body}");
        assert!(property(&host, "ai.outcomes").starts_with("0 200 "));
    }
}

/// The stream passes as it is; only what the gateway reads of its beginning must not fail.
#[test]
fn a_stream_that_is_held_begins_whatever_its_server_adds() {
    let (route, translate) = two(json!([{"name": "f", "targets": [to("a"), to("c")]}]));
    for chunk in [
        // SambaNova.
        r#"{"created":1753736826.6309338,"choices":[{"delta":{"content":"hello"},"finish_reason":null}]}"#,
        // vLLM, MLX.
        r#"{"choices":[{"delta":{"reasoning":"hm","reasoning_content":"hm"},"finish_reason":null}]}"#,
        // Mistral.
        r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}}]}"#,
    ] {
        let host = chat_host();
        assert!(send(&mut exchange_of(&route), &host, &ask("m", STREAM)));
        let event = format!("data: {chunk}\n\n");
        let end =
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let (status, body) =
            attempt(&translate, &host, STREAM, &[event.as_bytes(), end.as_bytes()]);
        assert_eq!((status.as_str(), body), ("200", event + end));
    }
}

#[test]
fn a_prompt_that_is_too_long_goes_to_the_target_that_is_there_for_it() {
    let (route, translate) = two(json!([{"name": "f", "targets": [
        to("a"), to("b"), {"provider": "c", "model": "long", "fallback_for": ["context_length"]}]}]));
    let host = chat_host();
    let mut outer = exchange_of(&route);
    assert!(send(&mut outer, &host, &ask("m", "")));
    assert_eq!(host.text(Map::Request, "x-envoy-max-retries").unwrap(), "2");
    assert_eq!(property(&host, "ai.targets").lines().count(), 3);
    let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
    host.properties.borrow_mut().insert(metadata.into(), "a".into());
    let mut inner = exchange_of(&translate);
    assert!(send(&mut inner, &host, &ask("m", "")));
    let said = r#"{"error":{"code":"context_length_exceeded","message":"too long"}}"#;
    let body = answer(&mut inner, &host, 400, "application/json", said);
    assert_eq!(
        (host.text(Map::Response, ":status").unwrap().as_str(), body.as_str()),
        ("503", said)
    );
    assert_eq!(property(&host, "ai.cluster"), "cc", "not the next one in order");
    // Envoy has no attempt left: the client gets what it was.
    head(&mut outer, &host, 503, "application/json");
    assert_eq!(host.text(Map::Response, ":status").unwrap(), "400");
    // What is wrong with the request itself nobody else is asked.
    let host = chat_host();
    assert!(send(&mut exchange_of(&route), &host, &ask("m", "")));
    host.properties.borrow_mut().insert(metadata.into(), "a".into());
    let mut inner = exchange_of(&translate);
    assert!(send(&mut inner, &host, &ask("m", "")));
    answer(&mut inner, &host, 400, "application/json", r#"{"error":{"message":"bad n"}}"#);
    assert_eq!(host.text(Map::Response, ":status").unwrap(), "400");
}

#[test]
fn when_all_others_rest_the_local_model_answers() {
    let (route, translate) = two(json!([{"name": "f", "targets": [
        to("a"), {"provider": "c", "fallback_for": ["outage"]}]}]));
    assert_eq!(routed(&route, &chat_host(), &ask("m", "")), "ca");
    for _ in 0..5 {
        exchange(&route, &translate, &chat_host(), 503);
    }
    assert_eq!(routed(&route, &chat_host(), &ask("m", "")), "cc");
}

#[test]
fn a_provider_that_says_that_nothing_is_left_rests() {
    let (route, translate) = two(json!([{"name": "f", "targets": [to("a"), to("b")]}]));
    let host = chat_host();
    host.put(Map::Response, "x-ratelimit-remaining-requests", "0");
    host.put(Map::Response, "x-ratelimit-reset-requests", "20s");
    exchange(&route, &translate, &host, 200);
    assert_eq!(routed(&route, &chat_host(), &ask("m", "")), "cb");
    let later = chat_host();
    later.now_nanos.set(later.now_nanos.get() + 21 * SECOND);
    assert_eq!(routed(&route, &later, &ask("m", "")), "ca");
}

#[test]
fn an_answer_that_a_filter_has_stopped_is_asked_of_the_target_that_is_there_for_it() {
    let targets = json!([{"name": "f", "targets": [
        to("a"), to("b"), {"provider": "c", "fallback_for": ["content_filter"]}]}]);
    let refused = |body: &str, status: u16| {
        let (route, translate) = two(targets.clone());
        let host = chat_host();
        let mut outer = exchange_of(&route);
        assert!(send(&mut outer, &host, &ask("m", "")));
        let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
        host.properties.borrow_mut().insert(metadata.into(), "a".into());
        let mut inner = exchange_of(&translate);
        assert!(send(&mut inner, &host, &ask("m", "")));
        answer(&mut inner, &host, status, "application/json", body);
        (host.text(Map::Response, ":status").unwrap(), property(&host, "ai.cluster"))
    };
    let stopped = r#"{"choices":[{"message":{"content":null},"finish_reason":"content_filter"}]}"#;
    assert_eq!(refused(stopped, 200), ("503".into(), "cc".into()));
    let azure = r#"{"error":{"code":"content_filter","message":"filtered"}}"#;
    assert_eq!(refused(azure, 400), ("503".into(), "cc".into()));
    let fine = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
    assert_eq!(
        refused(fine, 200),
        ("200".into(), "cb".into()),
        "as it was, the next in order next"
    );
    // A stream that is stopped before its first word.
    let (route, translate) = two(targets.clone());
    let host = chat_host();
    assert!(send(&mut exchange_of(&route), &host, &ask("m", STREAM)));
    let event: &[u8] =
        b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\n";
    let (status, _) = attempt(&translate, &host, STREAM, &[event]);
    assert_eq!((status.as_str(), property(&host, "ai.cluster")), ("503", "cc".into()));
}

#[test]
fn a_provider_whose_only_key_has_used_up_its_limits_rests_for_the_rest_of_the_minute() {
    for limits in [json!({"requests_per_minute": 3}), json!({"tokens_per_minute": 30})] {
        let mut config = routes(json!([{"name": "f", "targets": [to("a"), to("b")]}]));
        config["providers"][0]["key_limits"] = limits.clone();
        let config = config.to_string();
        let (route, translate) = (plugin(&config, "route"), plugin(&config, "translate"));
        let minute = chat_host().now_nanos.get() / (60 * SECOND) * 60 * SECOND + 60 * SECOND;
        let mut asked = Vec::new();
        let shared = std::cell::RefCell::default();
        for turn in 0..8 {
            let host = chat_host();
            host.now_nanos.set(minute + turn * SECOND);
            host.shared.swap(&shared);
            exchange(&route, &translate, &host, 200);
            host.shared.swap(&shared);
            asked.push(property(&host, "ai.attempts"));
        }
        let count = asked.iter().filter(|asked| *asked == "a").count();
        assert!((3..=6).contains(&count), "{limits} {asked:?}");
        assert_eq!(asked.last().unwrap(), "b", "{limits}: traffic goes elsewhere before a 429");
        let later = chat_host();
        later.now_nanos.set(minute + 61 * SECOND);
        assert_eq!(routed(&route, &later, &ask("m", "")), "ca", "another minute");
    }
}

#[test]
fn a_rule_says_how_often_and_how_long() {
    let (route, _) = two(json!([{"name": "f", "targets": [to("a"), to("b"), to("c")],
        "max_attempts": 2, "first_token_timeout_ms": 700, "attempt_timeout_ms": 1500,
        "total_timeout_ms": 9000}]));
    let asked = |more: &str| {
        let host = chat_host();
        assert!(send(&mut exchange_of(&route), &host, &ask("m", more)));
        let text = |name: &str| host.text(Map::Request, name).unwrap_or_default();
        assert_eq!(property(&host, "ai.targets").lines().count(), 2);
        [
            "x-envoy-max-retries",
            "x-envoy-upstream-rq-per-try-timeout-ms",
            "x-envoy-upstream-rq-timeout-ms",
        ]
        .map(text)
    };
    assert_eq!(asked(""), ["1", "1500", "9000"]);
    assert_eq!(asked(STREAM), ["1", "700", "9000"]);
}

/// Of several clusters in one (aggregate, or one of all hosts) the proxy chooses.
#[test]
fn a_target_that_the_proxy_has_not_asked_is_not_under_way() {
    let (route, translate) =
        two(json!([{"name": "f", "strategy": "least_busy", "targets": [to("a"), to("b")]}]));
    let asked = |provider: &str| {
        let host = chat_host();
        let mut outer = exchange_of(&route);
        assert!(send(&mut outer, &host, &ask("m", "")));
        let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
        host.properties.borrow_mut().insert(metadata.into(), provider.into());
        let mut inner = exchange_of(&translate);
        assert!(send(&mut inner, &host, &ask("m", "")));
        answer(&mut inner, &host, 200, "application/json", "{}");
        inner.done(&host);
        head(&mut outer, &host, 200, "application/json");
        outer.done(&host);
        property(&host, "ai.targets").lines().next().unwrap().to_owned()
    };
    for _ in 0..3 {
        assert!(asked("b").starts_with("a="), "nothing is under way");
    }
}

/// What is wrong with a client's own key, and its limits, say nothing of the target.
#[test]
fn a_clients_own_key_makes_no_target_rest_for_others() {
    for (status, header) in [
        (401, ("x-nothing", "")),
        (429, ("retry-after", "600")),
        (200, ("x-ratelimit-remaining-requests", "0")),
    ] {
        let (route, translate) = two(json!([{"name": "f", "key": "passthrough",
            "targets": [to("a"), to("b")]}]));
        for _ in 0..6 {
            let host = chat_host();
            host.put(Map::Request, "authorization", "Bearer sk-mine");
            host.put(Map::Response, header.0, header.1);
            host.put(Map::Response, "x-ratelimit-reset-requests", "600s");
            let mut outer = exchange_of(&route);
            assert!(send(&mut outer, &host, &ask("m", "")));
            let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
            host.properties.borrow_mut().insert(metadata.into(), "a".into());
            let mut inner = exchange_of(&translate);
            assert!(send(&mut inner, &host, &ask("m", "")));
            answer(&mut inner, &host, status, "application/json", "{}");
            inner.done(&host);
            head(&mut outer, &host, status, "application/json");
            outer.done(&host);
        }
        let host = chat_host();
        host.put(Map::Request, "authorization", "Bearer sk-other");
        assert_eq!(routed(&route, &host, &ask("m", "")), "ca", "{status}");
    }
}

/// Its key was refused, and the next one is not to be reached: that is the proxy's own word.
#[test]
fn what_the_proxy_says_itself_is_not_what_an_attempt_before_was() {
    for status in [401, 429] {
        let (route, translate) = two(json!([{"name": "f", "targets": [to("a"), to("b")]}]));
        let host = chat_host();
        let mut outer = exchange_of(&route);
        assert!(send(&mut outer, &host, &ask("m", "")));
        let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
        host.properties.borrow_mut().insert(metadata.into(), "a".into());
        let mut inner = exchange_of(&translate);
        assert!(send(&mut inner, &host, &ask("m", "")));
        answer(&mut inner, &host, status, "application/json", "{}");
        inner.done(&host);
        let body = answer(&mut outer, &host, 503, "text/plain", "no healthy upstream");
        assert_eq!(host.text(Map::Response, ":status").unwrap(), "503");
        assert!(body.contains("no provider could be reached"), "{body}");
    }
}
