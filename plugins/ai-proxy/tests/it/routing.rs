//! Which target a request goes to, on a scripted host.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::support::routes::{fact, gateway, property, refused, routed, routes, to};
use crate::support::{answer, ask, chat_host, exchange_of, head, plugin, send, sent};
use serde_json::{Value, json};
use shared::host::Map;
use shared::host::script::ScriptHost;

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
fn a_rule_can_be_for_groups_paths_hours_and_much_more() {
    let rule = |name: &str, when: Value, provider: &str| json!({"name": name, "when": when, "targets": [to(provider)]});
    let body = ask("m", "");
    // 1,760,000,000 seconds: a Thursday, 08:53 UTC.
    for (when, fits) in [
        (json!({"groups": ["red"]}), true),
        (json!({"groups": ["blue", "redd"]}), false),
        (json!({"paths": ["/v1/chat/*"]}), true),
        (json!({"paths": ["/v1/responses"]}), false),
        (json!({"time": {"from": "08:00", "to": "09:00"}}), true),
        (json!({"time": {"from": "08:00", "to": "09:00", "days": ["thu"]}}), true),
        (json!({"time": {"from": "08:00", "to": "09:00", "days": ["fri"]}}), false),
        (json!({"time": {"from": "08:00", "to": "09:00", "utc_offset": "+02:00"}}), false),
        (json!({"models": ["~^[mn]$"]}), true),
        (json!({"models": ["~^n$"]}), false),
        (json!({"prompt_tokens": {"max": 10}}), true),
        (json!({"prompt_tokens": {"min": 1, "max": 0}}), false),
        (json!({"needs": ["vision"]}), false),
        (json!({"stream": false}), true),
        (json!({"query": {"a": "*"}}), true),
        (json!({"query": {"a": "2"}}), false),
        (json!({"headers": {"x-a": "1"}, "facts": {"tags": "beta"}}), true),
        (json!({"headers": {"x-a": "1"}, "facts": {"tags": "gamma"}}), false),
    ] {
        let list = json!([rule("it", when.clone(), "b"), rule("rest", json!({}), "a")]);
        if when == json!({"prompt_tokens": {"min": 1, "max": 0}}) {
            assert!(refused(list).starts_with("routes[0].when.prompt_tokens: "));
            continue;
        }
        let host = chat_host();
        host.put(Map::Request, ":path", "/v1/chat/completions?a=1");
        host.put(Map::Request, "x-a", "1");
        fact(&host, "groups", "green,red");
        fact(&host, "tags", "alpha,beta");
        let went = routed(&gateway(list), &host, &body);
        assert_eq!(went == "cb", fits, "{when}: {went}");
    }
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
fn where_a_request_may_not_go_it_never_goes() {
    let unbound = gateway(json!([{"name": "r", "targets": [
        {"provider": "a", "region": "us"}, {"provider": "b", "region": "eu"}, {"provider": "c"}]}]));
    let bound = |regions: &str| {
        let host = chat_host();
        fact(&host, "allowed_regions", regions);
        let cluster = routed(&unbound, &host, &ask("m", ""));
        (cluster, property(&host, "ai.targets").lines().count())
    };
    assert_eq!(bound("eu"), ("cb".into(), 1));
    assert_eq!(bound("eu, us"), ("ca".into(), 2));
    assert_eq!(bound("cn").0, "403 region_not_allowed");
    assert_eq!(bound("").0, "403 region_not_allowed");
    let rule = gateway(json!([{"name": "r", "allowed_regions": ["eu"], "targets": [
        {"provider": "a", "region": "us"}, {"provider": "b", "region": "eu"}, {"provider": "c"}]}]));
    let host = chat_host();
    assert_eq!(routed(&rule, &host, &ask("m", "")), "cb");
    assert_eq!(property(&host, "ai.targets").lines().count(), 1);
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
    // Longer than the context in bytes, but not in tokens; and what is known to be longer than it looks.
    let words = picture.replace(
        "}}]",
        &format!("}}}},{{\"type\":\"text\",\"text\":\"{}\"}}]", "word ".repeat(300)),
    );
    assert_eq!(routed(&gateway, &chat_host(), &words), "cb");
    let host = chat_host();
    fact(&host, "estimate", "1001");
    assert_eq!(routed(&gateway, &host, &picture), "400 context_length_exceeded");
    let schema = ask("m", r#","response_format":{"type":"json_schema"}"#);
    assert_eq!(routed(&gateway, &chat_host(), &schema), "400 unsupported_by_model");
    // What a function's parameters are called is nobody's ability.
    let tool = r#","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object",
        "properties":{"reasoning":{"type":"string"},"file":{"type":"string"},"image":{"type":"string"}}}}}]"#;
    assert_eq!(routed(&gateway, &chat_host(), &ask("m", tool)), "ca");
    let host = chat_host();
    fact(&host, "exhausted", "a=*\nb=*");
    assert_eq!(routed(&gateway, &host, &body), "429 targets_exhausted");
    let host = chat_host();
    fact(&host, "exhausted", "a=*");
    assert_eq!(routed(&gateway, &host, &body), "cb");
}

#[test]
fn what_a_model_can_do_is_commonly_known_but_not_of_one_that_anybody_serves() {
    let gateway = gateway(json!([{"name": "n", "targets": [
        {"provider": "a", "model": "gpt-3.5-turbo"}, {"provider": "b", "model": "qwen3-32b"}]}]));
    let tools = ask("m", r#","tools":[{"type":"function","function":{"name":"f"}}]"#);
    assert_eq!(routed(&gateway, &chat_host(), &tools), "ca");
    let picture =
        ask("m", "").replace(r#""hi""#, r#"[{"type":"image_url","image_url":{"url":"u"}}]"#);
    assert_eq!(routed(&gateway, &chat_host(), &picture), "cb");
}

#[test]
fn a_target_that_needs_an_approval_gets_nothing_without_one() {
    let asked = |more: Value| {
        let mut tried = json!({"provider": "b", "model": "new", "needs_approval": true});
        tried.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let gateway = gateway(json!([{"name": "n", "targets": [tried, to("a")]}]));
        routed(&gateway, &chat_host(), &ask("m", ""))
    };
    assert_eq!(asked(json!({})), "ca");
    assert_eq!(asked(json!({"approved_by": "jo"})), "ca");
    assert_eq!(asked(json!({"approved_by": "jo", "evidence": ""})), "ca");
    assert_eq!(asked(json!({"approved_by": "jo", "evidence": "https://e/1"})), "cb");
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
            "routes[1]: is never reached: `x` before it fits all of its requests",
        ),
        (
            json!([{"name": "x", "strategy": "auto", "targets": [to("a")]}]),
            "routes[0].targets[0]: the strategy `auto` needs",
        ),
        (
            json!([{"name": "x", "targets": [{"provider": "a", "price": {"input": 1, "output": 1,
                "long_context": [{"above": 5, "input": 1, "output": 1},
                    {"above": 4, "input": 1, "output": 1}]}}]}]),
            "routes[0].targets[0].price.long_context[1].above: must be above 0",
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
    let nobody = refused(json!({"a": "zzz"}));
    assert!(nobody.starts_with("aliases.a: no entry of `models` fits `zzz`"), "{nobody}");
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
fn another_target_is_tried_from_the_first_step_on() {
    let shared = std::cell::RefCell::new(std::collections::BTreeMap::new());
    let percent = |model: &str, action: &str| {
        let mut config = routes(json!([{"name": "c",
            "targets": [to("a"), {"provider": "b", "model": model}],
            "canary": {"target": 1, "steps": [5, 50]}}]));
        config["admin_key"] = json!("0123456789abcdef");
        let gateway = plugin(&config.to_string(), "route");
        let host = ScriptHost::post(&format!("/_ai/canaries{action}"));
        let method = if action.is_empty() { "GET" } else { "POST" };
        host.put(Map::Request, ":method", method);
        host.put(Map::Request, "authorization", "Bearer 0123456789abcdef");
        host.now_nanos.set(chat_host().now_nanos.get());
        host.shared.swap(&shared);
        exchange_of(&gateway).request_headers(&host, true);
        host.shared.swap(&shared);
        let said: Value = serde_json::from_str(&sent(&host).1).unwrap();
        let canary = if action.is_empty() { &said["canaries"][0] } else { &said };
        canary["percent"].as_f64().unwrap()
    };
    assert_eq!(percent("v2", ""), 5.0);
    assert_eq!(percent("v2", "/promote?route=c"), 100.0);
    assert_eq!(percent("v2", ""), 100.0, "over a reload");
    assert_eq!(percent("v3", ""), 5.0);
}

/// What it does not say, its provider knows: by that name the model is told, counted and pinned.
#[test]
fn a_target_without_a_model_is_known_by_its_providers_name_of_it() {
    let mut config = routes(json!([{"name": "p", "targets": [{"provider": "a"}, to("b")]}]));
    config["providers"][0]["models"] = json!({"m": "deployment"});
    let gateway = plugin(&config.to_string(), "route");
    for (pin, cluster) in [
        ("a", "ca"),
        ("deployment", "ca"),
        ("a/deployment", "ca"),
        ("b/m-b", "cb"),
        ("a/m", "400 pin_not_available"),
    ] {
        let host = chat_host();
        host.put(Map::Request, "x-ai-pin", pin);
        assert_eq!(routed(&gateway, &host, &ask("m", "")), cluster, "{pin}");
    }
    let host = chat_host();
    fact(&host, "exhausted", "a=deployment");
    assert_eq!(routed(&gateway, &host, &ask("m", "")), "cb");
}

/// Whose answer it was is told, not whose it was to be.
#[test]
fn a_variant_is_that_of_the_target_that_has_answered() {
    let variant = |more: Value| {
        let mut rule = json!({"name": "t", "sticky": "consumer", "targets": [
            {"provider": "a", "model": "x", "variant": "warm"},
            {"provider": "b", "model": "y", "variant": "cold", "weight": 0}]});
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (route, translate) = crate::support::routes::two(json!([rule]));
        let attempt = |host: &ScriptHost, status: u16| {
            let cluster = property(host, "ai.cluster");
            let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
            let provider = cluster.strip_prefix('c').unwrap();
            host.properties.borrow_mut().insert(metadata.into(), provider.into());
            let mut inner = exchange_of(&translate);
            assert!(send(&mut inner, host, &ask("m", "")));
            answer(&mut inner, host, status, "application/json", "{}");
            inner.done(host);
        };
        let mut told = Vec::new();
        for _ in 0..6 {
            let host = chat_host();
            fact(&host, "consumer", "ada");
            let mut outer = exchange_of(&route);
            assert!(send(&mut outer, &host, &ask("m", "")));
            if property(&host, "ai.cluster") == "ca" {
                attempt(&host, 503);
            }
            attempt(&host, 200);
            head(&mut outer, &host, 200, "application/json");
            outer.done(&host);
            let header = host.text(Map::Response, "x-ai-variant").unwrap();
            assert_eq!(property(&host, "ai.variant"), header);
            told.push(header);
        }
        told.dedup();
        told
    };
    // After five failures it rests and is not even asked.
    assert_eq!(variant(json!({"experiment": "tone"})), ["tone=cold"]);
    let canary = json!({"target": 1, "steps": [0.001], "max_error_margin": 1});
    assert_eq!(variant(json!({"canary": canary})), ["t=canary"]);
}

#[test]
fn who_is_not_sent_to_the_canary_keeps_to_its_target_too() {
    let gateway = gateway(json!([{"name": "c", "strategy": "weighted", "sticky": "consumer",
        "targets": [to("a"), to("b"), to("c")], "canary": {"target": 2, "steps": [1]}}]));
    let mut seen = std::collections::BTreeSet::new();
    for consumer in 0..20 {
        let of = || {
            let host = chat_host();
            fact(&host, "consumer", &format!("consumer-{consumer}"));
            routed(&gateway, &host, &ask("m", ""))
        };
        let first = of();
        assert!((0..5).all(|_| of() == first), "{consumer}");
        seen.insert(first);
    }
    assert!(seen.contains("ca") && seen.contains("cb"), "{seen:?}");
}
