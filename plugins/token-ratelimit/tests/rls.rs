//! Counts in a rate limit service, on a scripted host: what is asked when, and what is told afterwards.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::rc::Rc;

use serde_json::{Value, json};
use shared::filter::CallReply;
use shared::host::script::ScriptHost;
use shared::host::{CallId, Capability, Host};
use shared::plugin::Plugin;
use shared::testing::{answer, called, chat_host, exchange_of, plugin, refused, send, sent};
use token_ratelimit::configure;
use token_ratelimit::store::proto::{Descriptor, METHOD, request};

/// 2 tokens of prompt, and 10 of the answer are reserved.
const BODY: &str =
    r#"{"model":"gpt-4o","max_tokens":10,"messages":[{"role":"user","content":"one two"}]}"#;

const OK: &str = "\x08\x01";
const OVER: &str = "\x08\x02";

fn rule(name: &str, more: Value) -> Value {
    let mut rule = json!({"name": name, "unit": "completion_tokens", "limit": 100, "window": "minute",
                          "algorithm": "fixed_window"});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rule
}

/// Each test has debts of its own.
fn with(upstream: &str, more: Value, rules: Value) -> Rc<dyn Plugin> {
    let mut rls = json!({"upstream": upstream});
    rls.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    plugin(configure, &json!({"rules": rules, "store": {"rls": rls}}).to_string())
}

fn fact(host: &ScriptHost, name: &str, value: &str) {
    host.set_property(&[&format!("ai.{name}")], value.as_bytes()).unwrap();
}

fn one(rule: &str, hits: Option<(u64, bool)>) -> Descriptor<'_> {
    Descriptor { entry: (rule, "-"), limit: None, hits }
}

/// What the last call has asked.
fn asked(host: &ScriptHost) -> Vec<u8> {
    let calls = host.calls.borrow();
    let call = calls.last().unwrap();
    assert_eq!((call.scheme.as_str(), call.path.as_str()), ("grpc", METHOD));
    call.body.clone()
}

/// A request that is let through and has an answer of so many tokens; `said` to each call.
fn ask(limits: &Rc<dyn Plugin>, host: &ScriptHost, said: &[&str], tokens: u64) {
    let mut exchange = exchange_of(limits);
    send(&mut exchange, host, BODY);
    for said in said {
        let call = u32::try_from(host.calls.borrow().len()).unwrap();
        called(&mut exchange, host, call, 200, said);
    }
    fact(host, "provider", "openai");
    fact(host, "attempts", "openai");
    answer(&mut exchange, host, 200, "application/json", "{}");
    fact(host, "usage", &json!({"prompt_tokens": 2, "completion_tokens": tokens}).to_string());
    exchange.done(host);
}

fn told(limits: &Rc<dyn Plugin>, host: &ScriptHost, status: u32, said: &str) {
    let call = u32::try_from(host.calls.borrow().len()).unwrap();
    let reply = CallReply::of_grpc(status, said.as_bytes().to_vec());
    limits.called(host, CallId(call), reply);
}

#[test]
fn a_service_without_refunds_is_asked_for_one_and_charged_afterwards() {
    let rules = json!([
        rule("a", json!({})),
        rule("b", json!({"unit": "requests"})),
        rule("c", json!({"exceeded": "log"}))
    ]);
    let (limits, host) = (with("weak", json!({}), rules), chat_host());
    ask(&limits, &host, &[OK, OVER], 40);
    let calls = host.calls.borrow().iter().map(|call| call.body.clone()).collect::<Vec<_>>();
    assert_eq!(
        calls,
        [
            request("ai", &[one("a", None), one("b", None)], 1, false),
            request("ai", &[one("c", None)], 1, false)
        ]
    );
    // Nothing more for `b`: the one request was counted. `a` and `c` each for itself.
    limits.tick(&host);
    assert_eq!(host.calls.borrow().len(), 4);
    assert_eq!(host.calls.borrow()[2].body, request("ai", &[one("a", None)], 39, false));
    assert_eq!(asked(&host), request("ai", &[one("c", None)], 39, false));
    // What there is no room for fills what is left.
    for half in [19, 9, 4, 2, 1] {
        told(&limits, &host, 0, if half == 4 { OK } else { OVER });
        assert_eq!(asked(&host), request("ai", &[one("c", None)], half, false));
    }
    told(&limits, &host, 0, OVER);
    assert_eq!(host.calls.borrow().len(), 9, "nothing is left to tell");
}

#[test]
fn what_waits_is_told_of_all_workers_together_and_is_not_counted_when_it_is_lost() {
    let waiting = |host: &ScriptHost| host.metric_value("ai_limit_settlements_waiting");
    let host = chat_host();
    // Each has a worker of its own.
    let [one, other] =
        ["gauge", "gauged"].map(|name| with(name, json!({}), json!([rule("a", json!({}))])));
    for limits in [&one, &other] {
        ask(limits, &host, &[OK], 40);
        limits.tick(&host);
    }
    assert_eq!(waiting(&host), 2);
    // The other has nothing new to tell, and what was told of it is still so.
    other.tick(&host);
    assert_eq!(waiting(&host), 2);
    other.called(&host, CallId(4), CallReply::of_grpc(0, OK.into()));
    other.tick(&host);
    assert_eq!(waiting(&host), 1);
    // Its successor tells what is left.
    let successor = with("gauge", json!({}), json!([rule("a", json!({}))]));
    one.ended(&host);
    drop(one);
    assert_eq!(waiting(&host), 1);
    successor.ended(&host);
    assert_eq!(waiting(&host), 0);
}

#[test]
fn the_entries_of_all_rules_may_be_in_one_descriptor() {
    let rules = json!([rule("a", json!({})), rule("b", json!({"unit": "requests"}))]);
    let (limits, host) = (with("joined", json!({"one_descriptor": true}), rules), chat_host());
    ask(&limits, &host, &[OK], 40);
    assert_eq!(asked(&host), request("ai", &[one("a", None), one("b", None)], 1, true));
    limits.tick(&host);
    assert_eq!(asked(&host), request("ai", &[one("a", None)], 39, true));
}

#[test]
fn a_service_with_refunds_reserves_and_is_told_the_difference() {
    let rules = json!([
        rule("a", json!({})),
        rule("b", json!({"unit": "total_tokens"})),
        rule("c", json!({"unit": "cost", "limit": 1}))
    ]);
    let config = json!({"refunds": true, "limits": true, "domain": "d"});
    let (limits, host) = (with("refunds", config, rules), chat_host());
    ask(&limits, &host, &[OK], 4);
    let limit = |limit, one| Descriptor { limit: Some((limit, 2)), ..one };
    // 2 tokens at 2.5 and 10 at 10 dollars a million, in millionths of a dollar.
    let first = [
        limit(100, one("a", Some((10, false)))),
        limit(100, one("b", Some((12, false)))),
        limit(1_000_000, one("c", Some((105, false)))),
    ];
    assert_eq!(asked(&host), request("d", &first, 1, false));
    ask(&limits, &host, &[OK], 25);
    limits.tick(&host);
    // Of both requests together: 9 more than twice 10, and 25 + 4 + 2 times 2 for twice 12.
    let both = [
        limit(100, one("a", Some((9, false)))),
        limit(100, one("b", Some((9, false)))),
        limit(1_000_000, one("c", Some((90, false)))),
    ];
    assert_eq!(asked(&host), request("d", &both, 1, false));
    told(&limits, &host, 0, OK);
    ask(&limits, &host, &[OK], 4);
    limits.tick(&host);
    let back = [
        limit(100, one("a", Some((6, true)))),
        limit(100, one("b", Some((6, true)))),
        limit(1_000_000, one("c", Some((60, true)))),
    ];
    assert_eq!(asked(&host), request("d", &back, 1, false));
}

#[test]
fn what_a_service_has_counted_and_refused_is_given_back() {
    for (counts, calls) in [(true, 2), (false, 1)] {
        let rules = json!([rule("a", json!({})), rule("b", json!({"limit": 9}))]);
        let config = json!({"refunds": true, "counts_refused": counts});
        let (limits, host) = (with(&format!("refused {counts}"), config, rules), chat_host());
        let mut exchange = exchange_of(&limits);
        send(&mut exchange, &host, BODY);
        // The second is over: 9, none of them left for 7 seconds.
        let statuses = "\x12\x02\x08\x01\x12\x0a\x08\x02\x12\x02\x08\x09\x22\x02\x08\x07";
        called(&mut exchange, &host, 1, 200, &format!("{OVER}{statuses}"));
        let (status, body) = sent(&host);
        assert!(status == 429 && body.contains("limit `b`") && body.contains("in 7 s"), "{body}");
        exchange.done(&host);
        limits.tick(&host);
        assert_eq!(host.calls.borrow().len(), calls);
        let back = [one("a", Some((10, true))), one("b", Some((10, true)))];
        assert!(!counts || asked(&host) == request("ai", &back, 1, false));
    }
    // One that does not say which it was.
    let rules = json!([rule("a", json!({})), rule("b", json!({}))]);
    let (limits, host) = (with("unnamed", json!({}), rules), chat_host());
    let mut exchange = exchange_of(&limits);
    send(&mut exchange, &host, BODY);
    called(&mut exchange, &host, 1, 200, OVER);
    assert!(sent(&host).1.contains("limit `a` or `b`"), "{}", sent(&host).1);
}

#[test]
fn without_an_answer_it_is_as_configured_and_all_is_told_later() {
    for (fail, went) in [("open", true), ("closed", false), ("local", true)] {
        let rules = json!([rule("a", json!({}))]);
        let (limits, host) =
            (with(fail, json!({"fail": fail, "refunds": true}), rules), chat_host());
        let mut exchange = exchange_of(&limits);
        send(&mut exchange, &host, BODY);
        assert_eq!(called(&mut exchange, &host, 1, 503, ""), went);
        if !went {
            assert_eq!(sent(&host).0, 503);
            continue;
        }
        fact(&host, "attempts", "openai");
        answer(&mut exchange, &host, 200, "application/json", "{}");
        fact(&host, "usage", &json!({"prompt_tokens": 2, "completion_tokens": 4}).to_string());
        exchange.done(&host);
        limits.tick(&host);
        assert_eq!(asked(&host), request("ai", &[one("a", Some((4, false)))], 1, false));
    }
}

#[test]
fn what_is_given_back_is_told_again_only_where_it_has_not_arrived() {
    // Unavailable, and too late.
    for (status, again) in [(14, 3), (4, 2)] {
        let rules = json!([rule("a", json!({}))]);
        let name = format!("again {status}");
        let (limits, host) = (with(&name, json!({"refunds": true}), rules), chat_host());
        ask(&limits, &host, &[OK], 4);
        limits.tick(&host);
        told(&limits, &host, status, "");
        limits.tick(&host);
        assert_eq!(host.calls.borrow().len(), 2, "it rests after a failure");
        host.now_nanos.set(host.now_nanos.get() + 10_000_000_000);
        limits.tick(&host);
        assert_eq!(host.calls.borrow().len(), again);
        assert_eq!(asked(&host), request("ai", &[one("a", Some((6, true)))], 1, false));
    }
}

#[test]
fn mistakes_are_named_and_a_proxy_without_grpc_refuses_it() {
    let limits = with("needs", json!({}), json!([]));
    let need = &limits.needs()[0];
    assert_eq!(need.capability, Capability::Clusters);
    assert!(need.otherwise.to_string().starts_with("store.rls: "), "{}", need.otherwise);
    let wrong = |rls: Value, rule: Value| {
        refused(configure, &json!({"store": {"rls": rls}, "rules": [rule]}).to_string())
    };
    let good = json!({"upstream": "limiter"});
    for (rls, more, place) in [
        (json!({"upstream": ""}), json!({}), "store.rls.upstream: "),
        (json!({"upstream": "x", "domain": ""}), json!({}), "store.rls.domain: "),
        (json!({"upstream": "x", "local_share": 2}), json!({}), "store.rls.local_share: "),
        (json!({"upstream": "x", "timeout_ms": 0}), json!({}), "store.rls: "),
        (
            json!({"upstream": "x", "refunds": true, "one_descriptor": true}),
            json!({}),
            "store.rls.one_descriptor: ",
        ),
        (good.clone(), json!({"key": ["provider"], "providers": ["x"]}), "rules[0].key: "),
        (good.clone(), json!({"soft": [0.5]}), "rules[0].soft: "),
        (good.clone(), json!({"forecast": {}, "window": "month"}), "rules[0].forecast: "),
        (good.clone(), json!({"cut": true}), "rules[0].cut: "),
    ] {
        let error = wrong(rls, rule("a", more));
        assert!(error.starts_with(place), "{place} {error}");
    }
    let places = json!({"name": "a", "unit": "concurrent", "limit": 1});
    assert!(wrong(good, places).starts_with("rules[0].unit: "));
}
