//! Which target a request goes to, on a scripted host.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::rc::Rc;

use crate::support::routes::{SECOND, fact, gateway, property, refused, routed, routes, to, two};
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
fn a_long_prompt_is_sent_where_long_prompts_are_cheaper() {
    // 1.25 and 10 dollars, but 2.5 and 15 above 200,000 tokens; 2 and 8 of whatever length.
    let gateway = gateway(json!([{"name": "x", "strategy": "cheapest", "targets": [
        {"provider": "a", "model": "gpt-4.1"}, {"provider": "c", "model": "gemini-2.5-pro"}]}]));
    let sized = |tokens: &str| {
        let host = chat_host();
        fact(&host, "estimate", tokens);
        routed(&gateway, &host, &ask("m", r#","max_tokens":9"#))
    };
    assert_eq!(sized("200000"), "cc");
    assert_eq!(sized("200001"), "ca");
}

#[test]
fn by_night_in_euros_and_by_the_hour_of_the_electricity() {
    let night = json!({"time": {"from": "08:00", "to": "09:00"}, "discount": 0.9});
    let mut config = routes(json!([{"name": "x", "strategy": "cheapest", "targets": [
        {"provider": "a", "model": "x", "price": {"input": 2, "output": 2}},
        {"provider": "b", "model": "y", "price": {"input": 1, "output": 1, "currency": "EUR"}},
        {"provider": "c", "model": "z", "price": {"input": 9, "output": 9, "off_peak": night}}]}]));
    config["currencies"] = json!({"EUR": 3.0});
    let cheapest = plugin(&config.to_string(), "route");
    let at = |gateway: &Rc<dyn shared::plugin::Plugin>, hours: u64| {
        let host = chat_host();
        host.now_nanos.set(host.now_nanos.get() + hours * 3_600 * 1_000_000_000);
        routed(gateway, &host, &ask("m", ""))
    };
    assert_eq!(at(&cheapest, 0), "cc", "0.9 in this hour");
    assert_eq!(at(&cheapest, 1), "ca", "a euro is worth three dollars");
    // Of 24 numbers that of hour 8, then of hour 9.
    let mut hours = vec![500; 24];
    hours[8] = 10;
    let mut config = routes(json!([{"name": "x", "strategy": "carbon", "targets": [
        {"provider": "a", "model": "x", "region": "us"},
        {"provider": "b", "model": "y", "region": "se"}]}]));
    config["carbon"] = json!({"regions": {"us": 100, "se": hours}});
    let cleanest = plugin(&config.to_string(), "route");
    assert_eq!(at(&cleanest, 0), "cb");
    assert_eq!(at(&cleanest, 1), "ca");
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
    assert_eq!(asked("法国的首都是哪里?", ""), "cc", "unless it is said");
}

#[test]
fn auto_can_take_a_better_one_for_other_scripts() {
    let target = |provider: &str, tier: &str, price: f64| {
        json!({"provider": provider, "model": provider, "tier": tier,
               "price": {"input": price, "output": price}})
    };
    let mut config = routes(json!([{"name": "auto", "strategy": "auto",
        "targets": [target("b", "medium", 3.0), target("c", "small", 1.0)]}]));
    config["auto"] = json!({"other_scripts": "medium"});
    let gateway = plugin(&config.to_string(), "route");
    let asked = |text: &str| routed(&gateway, &chat_host(), &ask("auto", "").replace("hi", text));
    assert_eq!(asked("法国的首都是哪里?"), "cb");
    assert_eq!(asked("What is the capital of France?"), "cc");
}

#[test]
fn a_conversation_keeps_to_its_target_while_it_goes_on() {
    let gateway = gateway(json!([{"name": "s", "strategy": "weighted", "sticky": "prompt_prefix",
        "targets": [{"provider": "a"}, {"provider": "b"}, {"provider": "c"}]}]));
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..30 {
        let question = format!("question {number}");
        let mut messages = vec![
            json!({"role": "system", "content": "Be kind."}),
            json!({"role": "user", "content": question}),
        ];
        let asked = |messages: &[Value], temperature: u32| {
            let body = json!({"model": "m", "temperature": temperature, "messages": messages});
            routed(&gateway, &chat_host(), &body.to_string())
        };
        let first = asked(&messages, 0);
        for turn in 0..4 {
            messages.push(json!({"role": "assistant", "content": format!("answer {turn}")}));
            messages.push(json!({"role": "user", "content": "and then?"}));
            assert_eq!(asked(&messages, turn), first);
        }
        seen.insert(first);
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn whole_answers_are_weighed_by_their_end_and_streams_by_their_first_word() {
    let config = routes(json!([{"name": "l", "strategy": "least_latency",
        "targets": [to("a"), to("b")]}]));
    let (route, translate) =
        (plugin(&config.to_string(), "route"), plugin(&config.to_string(), "translate"));
    // `a` begins soon and ends late, `b` begins late and ends soon.
    for (provider, first, total) in [("a", 100, 2000), ("b", 600, 700)].repeat(6) {
        let host = chat_host();
        host.put(Map::Request, "x-ai-pin", provider);
        let mut outer = exchange_of(&route);
        assert!(send(&mut outer, &host, &ask("m", "")));
        let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
        host.properties.borrow_mut().insert(metadata.into(), provider.into());
        let mut inner = exchange_of(&translate);
        assert!(send(&mut inner, &host, &ask("m", "")));
        let start = host.now_nanos.get();
        host.now_nanos.set(start + first * 1_000_000);
        answer(&mut inner, &host, 200, "application/json", "{}");
        inner.done(&host);
        host.now_nanos.set(start + total * 1_000_000);
        answer(&mut outer, &host, 200, "application/json", "{}");
        outer.done(&host);
    }
    assert_eq!(routed(&route, &chat_host(), &ask("m", r#","stream":true"#)), "ca");
    assert_eq!(routed(&route, &chat_host(), &ask("m", "")), "cb");
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
