//! Which target a request goes to, on a scripted host.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::rc::Rc;

use crate::support::{answer, ask, chat_host, exchange_of, head, plugin, send, sent};
use serde_json::{Value, json};
use shared::host::Map;
use shared::host::script::ScriptHost;
use shared::plugin::Plugin;

const SECOND: u64 = 1_000_000_000;

/// Three providers of the same models; `routes` as given.
fn routes(routes: Value) -> Value {
    let provider = |name: &str, protocol: &str| {
        json!({"name": name, "protocol": protocol, "api_key": format!("sk-{name}"),
               "cluster": format!("c{name}")})
    };
    json!({"providers": [provider("a", "openai"), provider("b", "anthropic"),
                         provider("c", "gemini")], "routes": routes})
}

fn gateway(list: Value) -> Rc<dyn Plugin> {
    plugin(&routes(list).to_string(), "route")
}

fn refused(list: Value) -> String {
    let config = routes(list).to_string();
    let setup = shared::plugin::Setup { config: config.as_bytes(), vm_config: b"route" };
    ai_proxy::configure(setup).err().map(|error| error.to_string()).unwrap_or_default()
}

fn fact(host: &ScriptHost, name: &str, value: &str) {
    host.properties.borrow_mut().insert(format!("ai.{name}"), value.into());
}

fn property(host: &ScriptHost, name: &str) -> String {
    let value = host.properties.borrow().get(name).cloned().unwrap_or_default();
    String::from_utf8(value).unwrap()
}

/// The cluster that a request is sent to, or the status and code of the refusal.
fn routed(gateway: &Rc<dyn Plugin>, host: &ScriptHost, body: &str) -> String {
    if send(&mut exchange_of(gateway), host, body) {
        return property(host, "ai.cluster");
    }
    let (status, body) = sent(host);
    let body: Value = serde_json::from_str(&body).unwrap();
    format!("{status} {}", body["error"]["code"].as_str().unwrap_or_default())
}

fn to(provider: &str) -> Value {
    json!({"provider": provider, "model": format!("m-{provider}")})
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rule = |name: &str, when: Value, provider: &str| json!({"name": name, "when": when, "targets": [to(provider)]});
    let gateway = gateway(json!([
        rule("pii", json!({"facts": {"pii": "*"}}), "c"),
        rule("vip", json!({"consumers": ["vip-*"], "models": ["gpt-*"]}), "b"),
        rule("header", json!({"headers": {"X-Team": "~^(red|blue)$"}}), "b"),
        rule("query", json!({"query": {"tier": "gold"}}), "c"),
        rule("streams", json!({"stream": true}), "b"),
        rule("tools", json!({"needs": ["tools"]}), "c"),
        rule("long", json!({"prompt_tokens": {"min": 100}}), "c"),
        rule("rest", json!({}), "a"),
    ]));
    let body = ask("gpt-4o", "");
    assert_eq!(routed(&gateway, &chat_host(), &body), "ca");
    let with = |name: &str, value: &str| {
        let host = chat_host();
        fact(&host, name, value);
        host
    };
    assert_eq!(routed(&gateway, &with("pii", "email,phone"), &body), "cc");
    assert_eq!(routed(&gateway, &with("consumer", "vip-1"), &body), "cb");
    assert_eq!(routed(&gateway, &with("consumer", "vip-1"), &ask("o4", "")), "ca");
    let host = chat_host();
    host.put(Map::Request, "x-team", "blue");
    assert_eq!(routed(&gateway, &host, &body), "cb");
    let host = chat_host();
    host.put(Map::Request, ":path", "/v1/chat/completions?x=1&tier=gold");
    assert_eq!(routed(&gateway, &host, &body), "cc");
    assert_eq!(routed(&gateway, &chat_host(), &ask("m", r#","stream":true"#)), "cb");
    assert_eq!(routed(&gateway, &chat_host(), &ask("m", r#","tools":[]"#)), "cc");
    let long = ask("m", "").replace("hi", &"word ".repeat(200));
    assert_eq!(routed(&gateway, &chat_host(), &long), "cc");
    let talk = ask("m", "").replace("hi", r#"what is \"tools\" for?"#);
    assert_eq!(routed(&gateway, &chat_host(), &talk), "ca", "a word in a text is no need");
}

#[test]
fn what_was_decided_is_told() {
    let gateway = gateway(json!([
        {"name": "test", "experiment": "tone", "targets": [
            {"provider": "a", "model": "x", "variant": "warm"}]}
    ]));
    let (host, mut exchange) = (chat_host(), exchange_of(&gateway));
    assert!(send(&mut exchange, &host, &ask("m", "")));
    assert_eq!(property(&host, "ai.route"), "test");
    head(&mut exchange, &host, 200, "application/json");
    assert_eq!(host.text(Map::Response, "x-ai-route").unwrap(), "test");
}

#[test]
fn weights_are_kept_to_the_request() {
    let gateway = gateway(json!([{"name": "w", "strategy": "weighted", "targets": [
        {"provider": "a", "weight": 7}, {"provider": "b", "weight": 2}, {"provider": "c"}]}]));
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..1000 {
        *counts.entry(routed(&gateway, &chat_host(), &ask("m", ""))).or_insert(0) += 1;
    }
    assert_eq!(counts["ca"], 700);
    assert_eq!(counts["cb"], 200);
    assert_eq!(counts["cc"], 100);
}

#[test]
fn a_consumer_keeps_to_its_target() {
    let gateway = gateway(json!([{"name": "s", "strategy": "weighted", "sticky": "consumer",
        "targets": [{"provider": "a"}, {"provider": "b"}]}]));
    let mut seen = std::collections::BTreeSet::new();
    for consumer in 0..50 {
        let of = || {
            let host = chat_host();
            fact(&host, "consumer", &format!("consumer-{consumer}"));
            routed(&gateway, &host, &ask("m", ""))
        };
        let first = of();
        assert!((0..5).all(|_| of() == first));
        seen.insert(first);
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn where_a_request_may_not_go_it_never_goes() {
    let gateway = gateway(json!([{"name": "r", "targets": [
        {"provider": "a", "region": "us"}, {"provider": "b", "region": "eu"}, {"provider": "c"}]}]));
    let bound = |regions: &str| {
        let host = chat_host();
        fact(&host, "allowed_regions", regions);
        let cluster = routed(&gateway, &host, &ask("m", ""));
        (cluster, property(&host, "ai.targets").lines().count())
    };
    assert_eq!(bound("eu"), ("cb".into(), 1));
    assert_eq!(bound("eu, us"), ("ca".into(), 2));
    assert_eq!(bound("cn").0, "403 region_not_allowed");
    assert_eq!(bound("").0, "403 region_not_allowed");
}

#[test]
fn one_target_is_bound_by_the_consumers_regions_too() {
    let gateway = gateway(json!([{"name": "r", "targets": [{"provider": "a", "region": "us"}]}]));
    let host = chat_host();
    fact(&host, "allowed_regions", "eu");
    assert_eq!(routed(&gateway, &host, &ask("m", "")), "403 region_not_allowed");
}

#[test]
fn a_target_that_lacks_what_is_needed_is_left_out() {
    let gateway = gateway(json!([{"name": "n", "targets": [
        {"provider": "a", "can": ["tools"]},
        {"provider": "b", "can": ["tools", "vision"], "context": 1000}]}]));
    let body = ask("m", "");
    assert_eq!(routed(&gateway, &chat_host(), &body), "ca");
    let picture = body.replace(r#""hi""#, r#"[{"type":"image_url","image_url":{"url":"u"}}]"#);
    assert_eq!(routed(&gateway, &chat_host(), &picture), "cb");
    let long = picture
        .replace("}}]", &format!("}}}},{{\"type\":\"text\",\"text\":\"{}\"}}]", "w ".repeat(5000)));
    assert_eq!(routed(&gateway, &chat_host(), &long), "400 context_length_exceeded");
    let schema = ask("m", r#","response_format":{"type":"json_schema"}"#);
    assert_eq!(routed(&gateway, &chat_host(), &schema), "400 unsupported_by_model");
    let host = chat_host();
    fact(&host, "exhausted", "a=*\nb=*");
    assert_eq!(routed(&gateway, &host, &body), "429 targets_exhausted");
    let host = chat_host();
    fact(&host, "exhausted", "a=*");
    assert_eq!(routed(&gateway, &host, &body), "cb");
}

#[test]
fn the_cheapest_and_the_cleanest_are_found() {
    let target = |provider: &str, input: f64, output: f64, region: &str| {
        json!({"provider": provider, "price": {"input": input, "output": output},
               "region": region})
    };
    let targets = json!([target("a", 10.0, 1.0, "us"), target("b", 1.0, 10.0, "se")]);
    let cheap = gateway(json!([{"name": "x", "strategy": "cheapest", "targets": targets}]));
    assert_eq!(routed(&cheap, &chat_host(), &ask("m", r#","max_tokens":500"#)), "ca");
    let long = ask("m", r#","max_tokens":5"#).replace("hi", &"word ".repeat(500));
    assert_eq!(routed(&cheap, &chat_host(), &long), "cb");
    let mut config = routes(json!([{"name": "x", "strategy": "carbon", "targets": targets}]));
    config["carbon"] = json!({"regions": {"us": 380, "se": 20}});
    assert_eq!(routed(&plugin(&config.to_string(), "route"), &chat_host(), &ask("m", "")), "cb");
}

#[test]
fn auto_takes_the_cheapest_that_is_good_enough() {
    let target = |provider: &str, tier: &str, price: f64| {
        json!({"provider": provider, "model": provider, "tier": tier,
               "price": {"input": price, "output": price}})
    };
    let gateway = gateway(json!([{"name": "auto", "when": {"models": ["auto"]},
        "strategy": "auto", "targets": [
            target("a", "large", 10.0), target("b", "medium", 3.0), target("c", "small", 1.0)]}]));
    let asked = |text: &str, more: &str| {
        routed(&gateway, &chat_host(), &ask("auto", more).replace("hi", text))
    };
    assert_eq!(asked("What is the capital of France?", ""), "cc");
    assert_eq!(asked("Weather?", r#","tools":[{"type":"function"}]"#), "cb");
    assert_eq!(asked("Fix this:\\n```rust\\nfn main() {}\\n```", ""), "ca");
    assert_eq!(asked("证明勾股定理", ""), "ca");
    assert_eq!(asked(&"word ".repeat(5000), ""), "ca");
}

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

/// Sends a request through both roles; the first attempt is answered with `status`, the second, if
/// there is one, with 200.
fn exchange(route: &Rc<dyn Plugin>, translate: &Rc<dyn Plugin>, host: &ScriptHost, status: u16) {
    let mut outer = exchange_of(route);
    assert!(send(&mut outer, host, &ask("m", "")));
    let mut next = status;
    let last = loop {
        let cluster = property(host, "ai.cluster");
        let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
        host.properties
            .borrow_mut()
            .insert(metadata.into(), cluster.strip_prefix('c').unwrap().into());
        let mut inner = exchange_of(translate);
        assert!(send(&mut inner, host, &ask("m", "")));
        let body = if next == 200 { "{}" } else { r#"{"error":{"message":"no"}}"# };
        answer(&mut inner, host, next, "application/json", body);
        inner.done(host);
        if next < 429 {
            break next;
        }
        next = 200;
    };
    head(&mut outer, host, last, "application/json");
    outer.done(host);
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
    let config = routes(json!([{"name": "f", "targets": [to("a"), to("b")]}])).to_string();
    let (route, translate) = (plugin(&config, "route"), plugin(&config, "translate"));
    let host = chat_host();
    host.put(Map::Response, "retry-after", "20");
    exchange(&route, &translate, &host, 429);
    assert_eq!(routed(&route, &chat_host(), &ask("m", "")), "cb");
    let later = chat_host();
    later.now_nanos.set(later.now_nanos.get() + 21 * SECOND);
    assert_eq!(routed(&route, &later, &ask("m", "")), "ca");
}

#[test]
fn the_faster_target_is_found() {
    let config = routes(json!([{"name": "l", "strategy": "least_latency",
        "targets": [to("a"), to("b")]}]));
    let (route, translate) =
        (plugin(&config.to_string(), "route"), plugin(&config.to_string(), "translate"));
    let mut counts = [0, 0];
    for turn in 0..100 {
        let host = chat_host();
        host.now_nanos.set(host.now_nanos.get() + turn * SECOND);
        let mut outer = exchange_of(&route);
        assert!(send(&mut outer, &host, &ask("m", "")));
        let slow = property(&host, "ai.cluster") == "ca";
        counts[usize::from(!slow)] += 1;
        let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
        let name = if slow { "a" } else { "b" };
        host.properties.borrow_mut().insert(metadata.into(), name.into());
        let mut inner = exchange_of(&translate);
        assert!(send(&mut inner, &host, &ask("m", "")));
        let millis = if slow { 900 } else { 100 };
        host.now_nanos.set(host.now_nanos.get() + millis * 1_000_000);
        answer(&mut inner, &host, 200, "application/json", "{}");
        inner.done(&host);
        head(&mut outer, &host, 200, "application/json");
        outer.done(&host);
    }
    assert!(counts[0] <= 5, "the slower one was asked {} times of 100", counts[0]);
    assert!(counts[0] >= 1, "it was tried");
}

#[test]
fn a_canary_that_fails_is_rolled_back() {
    let config = routes(json!([{"name": "c", "targets": [to("a"), to("b")],
        "canary": {"target": 1, "steps": [50], "min_requests": 10}}]));
    let (route, translate) =
        (plugin(&config.to_string(), "route"), plugin(&config.to_string(), "translate"));
    let shared = std::cell::RefCell::new(std::collections::BTreeMap::new());
    let mut tried = 0;
    for turn in 0..200 {
        let host = chat_host();
        host.random.set(turn);
        host.shared.swap(&shared);
        let before = property(&host, "ai.cluster");
        assert_eq!(before, "");
        let mut outer = exchange_of(&route);
        assert!(send(&mut outer, &host, &ask("m", "")));
        let canary = property(&host, "ai.cluster") == "cb";
        tried += u32::from(canary);
        assert_eq!(property(&host, "ai.variant"), if canary { "c=canary" } else { "c=stable" });
        let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
        let name = if canary { "b" } else { "a" };
        host.properties.borrow_mut().insert(metadata.into(), name.into());
        let mut inner = exchange_of(&translate);
        assert!(send(&mut inner, &host, &ask("m", "")));
        let status = if canary { 500 } else { 200 };
        answer(&mut inner, &host, status, "application/json", r#"{"error":{"message":"no"}}"#);
        inner.done(&host);
        head(&mut outer, &host, status, "application/json");
        outer.done(&host);
        host.shared.swap(&shared);
    }
    assert!((1..=3).contains(&tried), "{tried} requests went to it");
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (list, mistake) in [
        (json!([{"name": "", "targets": [to("a")]}]), "routes[0].name: must not be empty"),
        (
            json!([{"name": "x", "targets": [to("a")], "when": {"models": ["y"]}},
                   {"name": "x", "targets": [to("a")]}]),
            "routes[1].name: is there already",
        ),
        (json!([{"name": "x", "targets": []}]), "routes[0].targets: give 1 to 256"),
        (
            json!([{"name": "x", "targets": [{"provider": "z"}]}]),
            "routes[0].targets[0].provider: no provider `z`; there are a, b, c",
        ),
        (
            json!([{"name": "x", "strategy": "weighted",
                    "targets": [{"provider": "a", "weight": 0}]}]),
            "routes[0].targets: all have the weight 0",
        ),
        (
            json!([{"name": "x", "targets": [to("a")]}, {"name": "y", "targets": [to("a")]}]),
            "routes[1]: is never reached: `x` before it fits every request",
        ),
        (
            json!([{"name": "x", "strategy": "auto", "targets": [to("a")]}]),
            "routes[0].targets[0]: the strategy `auto` needs",
        ),
        (
            json!([{"name": "x", "experiment": "e", "targets": [to("a")]}]),
            "routes[0].targets[0].variant: is required",
        ),
        (
            json!([{"name": "x", "strategy": "scored", "targets": [to("a")]}]),
            "routes[0].weights: must be 0 or more, and one of them above 0",
        ),
        (
            json!([{"name": "x", "when": {"models": ["~("]}, "targets": [to("a")]}]),
            "routes[0].when.models[0]: is not a regular expression",
        ),
        (
            json!([{"name": "x", "targets": [to("a")], "max_attempts": 0}]),
            "routes[0].max_attempts: must be 1 to 10",
        ),
        (
            json!([{"name": "x", "targets": [to("a"), to("b")], "canary": {"target": 2}}]),
            "routes[0].canary.target: ",
        ),
    ] {
        let found = refused(list);
        assert!(found.starts_with(mistake), "{found}");
    }
}

/// One attempt of both roles; `pieces` is the provider's stream. Gives the status and the body that go
/// on to Envoy.
fn attempt(
    translate: &Rc<dyn Plugin>,
    host: &ScriptHost,
    more: &str,
    pieces: &[&[u8]],
) -> (String, String) {
    let provider = property(host, "ai.cluster").replacen('c', "", 1);
    let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
    host.properties.borrow_mut().insert(metadata.into(), provider.into());
    let mut inner = exchange_of(translate);
    assert!(send(&mut inner, host, &ask("m", more)));
    let out = crate::support::stream(&mut inner, host, pieces).concat();
    (host.text(Map::Response, ":status").unwrap(), out)
}

const STREAM: &str = r#","stream":true"#;

fn two(list: Value) -> (Rc<dyn Plugin>, Rc<dyn Plugin>) {
    let config = routes(list).to_string();
    (plugin(&config, "route"), plugin(&config, "translate"))
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
fn a_client_can_pin_a_target_and_ask_why() {
    let gateway = gateway(json!([{"name": "p", "strategy": "cheapest", "targets": [
        {"provider": "a", "model": "gpt-5", "price": {"input": 9, "output": 9}},
        {"provider": "b", "model": "claude", "price": {"input": 1, "output": 1}, "region": "eu"},
        {"provider": "c", "model": "new", "needs_approval": true}]}]));
    let pinned = |pin: &str| {
        let host = chat_host();
        host.put(Map::Request, "x-ai-pin", pin);
        routed(&gateway, &host, &ask("m", ""))
    };
    assert_eq!(pinned("a"), "ca");
    assert_eq!(pinned("a/gpt-5"), "ca");
    assert_eq!(pinned("claude"), "cb");
    assert_eq!(pinned("c"), "400 pin_not_available", "it is not approved");
    let host = chat_host();
    host.put(Map::Request, "x-ai-debug", "1");
    fact(&host, "allowed_regions", "eu");
    let mut exchange = exchange_of(&gateway);
    assert!(send(&mut exchange, &host, &ask("m", "")));
    head(&mut exchange, &host, 200, "application/json");
    let why = host.text(Map::Response, "x-ai-decision").unwrap();
    assert!(
        why.starts_with("route=p strategy=cheapest without=a/gpt-5:region without=c/new"),
        "{why}"
    );
    assert!(why.contains(" order=b/claude(usd=0.0005"), "{why}");
}

#[test]
fn aliases_are_followed_and_versions_are_exact() {
    let mut config = routes(json!([]));
    config["models"] = json!([{"name": "m-*", "targets": [{"provider": "a"}]}]);
    config["aliases"] = json!({"best": "good", "good": "m-1"});
    config["versions"] = json!({"best": {"2025": "m-2025"}});
    let gateway = plugin(&config.to_string(), "route");
    let asked = |name: &str| {
        let host = chat_host();
        routed(&gateway, &host, &ask(name, ""));
        property(&host, "ai.targets").lines().next().unwrap_or_default().to_owned()
    };
    assert!(asked("best").starts_with("a=m-1\t"));
    assert!(asked("best@2025").starts_with("a=m-2025\t"));
    assert_eq!(asked("best@2024"), "");
    let refused = |aliases: Value| {
        let mut config = config.clone();
        config["aliases"] = aliases;
        let config = config.to_string();
        let setup = shared::plugin::Setup { config: config.as_bytes(), vm_config: b"route" };
        ai_proxy::configure(setup).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let circle = refused(json!({"a": "b", "b": "c", "c": "a"}));
    assert!(circle.starts_with("aliases.a: goes round in a circle: a -> b -> c -> a"), "{circle}");
}

#[test]
fn a_rules_messages_come_before_everybody_looks_and_only_once() {
    let config = routes(json!([{"name": "m", "targets": [{"provider": "a", "region": "eu"}],
        "allowed_regions": ["eu", "us"],
        "messages": {"prepend": [{"role": "system", "content": "Be kind."}]}}]))
    .to_string();
    let host = chat_host();
    fact(&host, "allowed_regions", "eu,cn");
    assert!(send(&mut exchange_of(&plugin(&config, "prepare")), &host, &ask("m", "")));
    let prepared = host.body_text(shared::host::Body::Request);
    assert!(prepared.contains(r#"[{"role":"system","content":"Be kind."},"#), "{prepared}");
    assert_eq!(property(&host, "ai.allowed_regions"), "eu");
    let route = plugin(&config, "route");
    assert!(send(&mut exchange_of(&route), &host, &prepared));
    assert_eq!(host.body_text(shared::host::Body::Request), prepared);
    // Without that role, the role `route` does it.
    let host = chat_host();
    assert!(send(&mut exchange_of(&route), &host, &ask("m", "")));
    assert!(host.body_text(shared::host::Body::Request).contains("Be kind."));
}

#[test]
fn canaries_are_in_the_hands_of_who_has_the_key() {
    let mut config = routes(json!([{"name": "c", "targets": [to("a"), to("b")],
        "canary": {"target": 1, "steps": [50]}}]));
    config["admin_key"] = json!("0123456789abcdef");
    let gateway = plugin(&config.to_string(), "route");
    let asked = |host: &ScriptHost, method: &str, path: &str, key: &str| {
        let request = ScriptHost::post(path);
        request.put(Map::Request, ":method", method);
        request.put(Map::Request, "authorization", &format!("Bearer {key}"));
        request.now_nanos.set(host.now_nanos.get());
        request.shared.swap(&host.shared);
        exchange_of(&gateway).request_headers(&request, true);
        request.shared.swap(&host.shared);
        sent(&request)
    };
    let host = chat_host();
    let (status, body) = asked(&host, "GET", "/_ai/canaries", "0123456789abcdef");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(r#""percent":50.0"#), "{body}");
    assert_eq!(asked(&host, "GET", "/_ai/canaries", "wrong").0, 401);
    let abort = "/_ai/canaries/abort?route=c";
    assert_eq!(asked(&host, "POST", abort, "wrong").0, 401);
    assert_eq!(asked(&host, "GET", abort, "0123456789abcdef").0, 405);
    assert_eq!(asked(&host, "POST", "/_ai/canaries/abort?route=x", "0123456789abcdef").0, 404);
    let (status, body) = asked(&host, "POST", abort, "0123456789abcdef");
    assert!(status == 200 && body.contains(r#""status":"aborted""#), "{body}");
    let (_, body) = asked(&host, "GET", "/_ai/canaries", "0123456789abcdef");
    assert!(body.contains(r#""percent":0.0"#), "{body}");
}

#[test]
fn users_tell_what_an_answer_was_like_once() {
    let mut config =
        routes(json!([{"name": "q", "strategy": "quality", "targets": [to("a"), to("b")]}]));
    config["feedback"] = json!({"secret": "0123456789abcdef"});
    let gateway = plugin(&config.to_string(), "route");
    let host = chat_host();
    fact(&host, "consumer", "ann");
    fact(&host, "provider", "a");
    fact(&host, "model", "m-a");
    let mut exchange = exchange_of(&gateway);
    assert!(send(&mut exchange, &host, &ask("m", "")));
    head(&mut exchange, &host, 200, "application/json");
    let token = host.text(Map::Response, "x-ai-feedback").unwrap();
    let vote = |consumer: &str, shared: &ScriptHost| {
        let host = ScriptHost::post("/v1/feedback");
        host.put(Map::Request, "content-type", "application/json");
        host.now_nanos.set(chat_host().now_nanos.get());
        fact(&host, "consumer", consumer);
        host.shared.swap(&shared.shared);
        send(&mut exchange_of(&gateway), &host, &json!({"token": token, "score": 0.0}).to_string());
        host.shared.swap(&shared.shared);
        (sent(&host).0, property(&host, "ai.feedback"))
    };
    assert_eq!(vote("bob", &host).0, 403);
    let (status, told) = vote("ann", &host);
    assert_eq!(status, 202);
    assert!(told.contains(r#""model":"m-a""#), "{told}");
    assert_eq!(vote("ann", &host).0, 409);
    assert_eq!(routed(&gateway, &chat_host(), &ask("m", "")), "cb", "it is not liked");
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
fn capacity_that_is_paid_for_anyway_is_used_first_and_used_up() {
    let (route, translate) = two(json!([{"name": "f", "strategy": "cheapest", "targets": [
        {"provider": "a", "model": "m-a", "price": {"input": 1, "output": 1}},
        {"provider": "b", "model": "m-b", "price": {"input": 9, "output": 9,
            "committed": {"tokens": 1000, "seconds": 3600}}}]}]));
    let host = chat_host();
    let mut outer = exchange_of(&route);
    assert!(send(&mut outer, &host, &ask("m", "")));
    assert_eq!(property(&host, "ai.cluster"), "cb");
    let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
    host.properties.borrow_mut().insert(metadata.into(), "b".into());
    let mut inner = exchange_of(&translate);
    assert!(send(&mut inner, &host, &ask("m", "")));
    let body = r#"{"content":[],"usage":{"input_tokens":900,"output_tokens":90}}"#;
    answer(&mut inner, &host, 200, "application/json", body);
    inner.done(&host);
    head(&mut outer, &host, 200, "application/json");
    outer.done(&host);
    assert_eq!(routed(&route, &chat_host(), &ask("m", "")), "ca");
}
