//! Which of a rule's targets is asked first, by each strategy, on a scripted host.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::rc::Rc;

use crate::support::routes::{SECOND, fact, gateway, property, routed, routes, to, two};
use crate::support::{answer, ask, chat_host, exchange_of, head, plugin, send, sent};
use serde_json::{Value, json};
use shared::filter::CallReply;
use shared::host::script::ScriptHost;
use shared::host::{CallId, Map};
use shared::plugin::Plugin;

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
    let at = |gateway: &Rc<dyn Plugin>, hours: u64| {
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
    assert_eq!(asked("Hm?", r#","reasoning_effort":"high""#), "ca");
    assert_eq!(asked(r#""},{"type":"image_url","x":""#, ""), "cb", "a picture");
    let turn = r#"{"role":"user","content":"hi"},{"role":"assistant","content":"ho"},"#;
    let talk =
        ask("auto", "").replace(r#"{"role""#, &format!("{}{}", turn.repeat(4), r#"{"role""#));
    assert_eq!(routed(&gateway, &chat_host(), &talk), "cb", "many turns");
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

/// A request to this provider, whose answer begins and ends after so many milliseconds.
fn took(
    (route, translate): (&Rc<dyn Plugin>, &Rc<dyn Plugin>),
    provider: &str,
    (first, total): (u64, u64),
) {
    let host = chat_host();
    host.put(Map::Request, "x-ai-pin", provider);
    let mut outer = exchange_of(route);
    assert!(send(&mut outer, &host, &ask("m", "")));
    let metadata = "xds.upstream_host_metadata.filter_metadata.ai-gateway.provider";
    host.properties.borrow_mut().insert(metadata.into(), provider.into());
    let mut inner = exchange_of(translate);
    assert!(send(&mut inner, &host, &ask("m", "")));
    let start = host.now_nanos.get();
    host.now_nanos.set(start + first * 1_000_000);
    answer(&mut inner, &host, 200, "application/json", "{}");
    inner.done(&host);
    host.now_nanos.set(start + total * 1_000_000);
    answer(&mut outer, &host, 200, "application/json", "{}");
    outer.done(&host);
}

#[test]
fn whole_answers_are_weighed_by_their_end_and_streams_by_their_first_word() {
    let (route, translate) = two(json!([{"name": "l", "strategy": "least_latency",
        "targets": [to("a"), to("b")]}]));
    // `a` begins soon and ends late, `b` begins late and ends soon.
    for _ in 0..6 {
        took((&route, &translate), "a", (100, 2000));
        took((&route, &translate), "b", (600, 700));
    }
    assert_eq!(routed(&route, &chat_host(), &ask("m", r#","stream":true"#)), "ca");
    assert_eq!(routed(&route, &chat_host(), &ask("m", "")), "cb");
}

#[test]
fn nobody_waits_for_the_faster_one_if_it_has_a_queue() {
    let (route, translate) = two(json!([{"name": "l", "strategy": "least_latency",
        "targets": [to("a"), to("b")]}]));
    took((&route, &translate), "a", (100, 100));
    took((&route, &translate), "b", (350, 350));
    // Requests that are under way, as their exchanges have not ended.
    let mut under_way = Vec::new();
    let mut asked = || {
        let host = chat_host();
        let mut exchange = exchange_of(&route);
        assert!(send(&mut exchange, &host, &ask("m", "")));
        under_way.push(exchange);
        property(&host, "ai.cluster")
    };
    let five: Vec<String> = (0..5).map(|_| asked()).collect();
    assert_eq!(five, ["ca", "ca", "ca", "cb", "ca"]);
}

#[test]
fn a_mix_weighs_what_is_known_of_each_target() {
    let mixed = |weights: Value| {
        let mut config = routes(json!([{"name": "x", "strategy": "scored", "weights": weights,
            "targets": [
                {"provider": "a", "model": "x", "region": "us", "price": {"input": 1, "output": 1}},
                {"provider": "b", "model": "y", "region": "se", "price": {"input": 2, "output": 2}}]}]));
        config["carbon"] = json!({"regions": {"us": 400, "se": 20}});
        let config = config.to_string();
        let (route, translate) = (plugin(&config, "route"), plugin(&config, "translate"));
        took((&route, &translate), "a", (900, 900));
        took((&route, &translate), "b", (100, 100));
        routed(&route, &chat_host(), &ask("m", ""))
    };
    assert_eq!(mixed(json!({"cost": 1})), "ca");
    assert_eq!(mixed(json!({"carbon": 1})), "cb");
    assert_eq!(mixed(json!({"latency": 1})), "cb");
    assert_eq!(mixed(json!({"cost": 9, "latency": 1, "carbon": 1})), "ca");
}

#[test]
fn what_is_fetched_counts_electricity_and_the_load_of_servers() {
    let reply = |text: &str| CallReply {
        status: Some(200),
        body: text.as_bytes().to_vec(),
        ..CallReply::failed()
    };
    let mut config = routes(json!([{"name": "x", "strategy": "carbon", "targets": [
        {"provider": "a", "model": "x", "region": "us"},
        {"provider": "b", "model": "y", "region": "de"}]}]));
    config["carbon"] = json!({"regions": {"us": 100, "de": 300}, "sources": [
        {"region": "de", "url": "http://grid/now", "cluster": "grid", "pointer": "/data/0/value"}]});
    let gateway = plugin(&config.to_string(), "route");
    let host = chat_host();
    assert_eq!(routed(&gateway, &chat_host(), &ask("m", "")), "ca");
    gateway.tick(&host);
    assert_eq!(
        (host.calls.borrow()[0].upstream.as_str(), host.calls.borrow()[0].path.as_str()),
        ("grid", "/now")
    );
    gateway.called(&host, CallId(1), reply(r#"{"data":[{"value":20}]}"#));
    assert_eq!(routed(&gateway, &chat_host(), &ask("m", "")), "cb");
    // After `max_age_seconds` it does not.
    let later = chat_host();
    later.now_nanos.set(later.now_nanos.get() + 3601 * SECOND);
    assert_eq!(routed(&gateway, &later, &ask("m", "")), "ca");

    let server = |number: u32| {
        json!({"address": format!("10.0.0.{number}:8000"),
               "metrics": {"url": format!("http://10.0.0.{number}:8000/metrics"), "cluster": "m"}})
    };
    let gateway = plugin(
        &routes(json!([{"name": "x", "strategy": "least_busy", "targets": [
        {"provider": "a", "model": "x", "endpoints": [server(1), server(2)]}]}]))
        .to_string(),
        "route",
    );
    let host = chat_host();
    gateway.tick(&host);
    assert_eq!(host.calls.borrow().len(), 2);
    let busy = |waiting: u32| format!("vllm:num_requests_waiting{{engine=\"0\"}} {waiting}\n");
    let sent_to = || {
        let host = chat_host();
        assert!(send(&mut exchange_of(&gateway), &host, &ask("m", "")));
        host.text(Map::Request, "x-gateway-destination-endpoint")
    };
    assert_eq!(sent_to(), None, "while nobody has said how it is, the proxy chooses");
    gateway.called(&host, CallId(1), reply(&busy(9)));
    gateway.called(&host, CallId(2), reply(&busy(2)));
    assert_eq!(sent_to().unwrap(), "10.0.0.2:8000");
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
