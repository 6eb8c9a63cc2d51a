//! Counts in Redis, on a scripted host: what is asked when, and what is done without an answer.
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

const BODY: &str =
    r#"{"model":"gpt-4o","max_tokens":10,"messages":[{"role":"user","content":"one two"}]}"#;

/// Each test has a queue of its own.
fn with(upstream: &str, more: Value) -> Rc<dyn Plugin> {
    let mut redis = json!({"upstream": upstream});
    redis.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let rules = json!([{"name": "r", "unit": "requests", "limit": 2, "window": "1h"}]);
    plugin(configure, &json!({"rules": rules, "store": {"redis": redis}}).to_string())
}

/// What the last call has sent as JSON.
fn asked(host: &ScriptHost) -> Value {
    let calls = host.calls.borrow();
    let body = String::from_utf8(calls.last().unwrap().body.clone()).unwrap();
    let last = body.rsplit('/').next().unwrap().replace('+', " ");
    let mut bytes = Vec::new();
    let mut rest = last.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = (*byte == b'%').then(|| std::str::from_utf8(&after[..2]).unwrap());
        bytes.push(hex.map_or(*byte, |hex| u8::from_str_radix(hex, 16).unwrap()));
        rest = if hex.is_some() { &after[2..] } else { after };
    }
    serde_json::from_slice(&bytes).unwrap()
}

/// Redis's answer: the head, and one claim's numbers.
fn says(ok: u8, nonce: &Value, used: u64) -> String {
    json!({"EVAL": [1_760_000_000_000_u64, ok, 0, nonce, used, 2, 60, 1 - ok, 60, 0, 0]})
        .to_string()
}

fn fact(host: &ScriptHost, name: &str, value: &str) {
    host.set_property(&[&format!("ai.{name}")], value.as_bytes()).unwrap();
}

#[test]
fn a_request_asks_once_before_it_goes_on_and_its_end_is_told_from_the_tick() {
    let limits = with("once", json!({}));
    let host = chat_host();
    host.random.set(7);
    let mut exchange = exchange_of(&limits);
    assert!(!send(&mut exchange, &host, BODY), "it waits");
    assert_eq!(host.calls.borrow().len(), 1);
    let check = asked(&host);
    assert!(check.get("f").is_none() && check.get("g").is_none(), "nothing is foretold");
    assert_eq!(check["c"][0], json!([0, 1, 1, 2, 1, 3600, 0, 0]));
    assert!(called(&mut exchange, &host, 1, 200, &says(1, &check["e"], 1)));
    assert_eq!(host.resumed.get(), 1);
    fact(&host, "attempts", "a");
    answer(&mut exchange, &host, 200, "application/json", "{}");
    exchange.done(&host);
    assert_eq!(host.calls.borrow().len(), 1, "nothing while it was answered");
    limits.tick(&host);
    assert_eq!(host.calls.borrow().len(), 2);
    let batch = asked(&host);
    assert_eq!(batch["s"][0]["a"][0], json!([3, 1, 2, 3600, 0, 0, 1, 1]), "1 used, 1 reserved");
    // Until it was taken it is told again, as it is.
    let reply = |body: String| CallReply {
        status: Some(200),
        content_type: "application/json".into(),
        retry_after: None,
        body: body.into_bytes(),
    };
    limits.called(&host, CallId(2), CallReply::failed());
    limits.tick(&host);
    assert_eq!(host.calls.borrow().len(), 2, "it rests after a failure");
    host.now_nanos.set(host.now_nanos.get() + 10_000_000_000);
    limits.tick(&host);
    let again = asked(&host);
    assert_eq!((&again["n"], &again["s"]), (&batch["n"], &batch["s"]));
    limits.called(
        &host,
        CallId(3),
        reply(json!({"EVAL": [1, 1, batch["n"], again["e"]]}).to_string()),
    );
    limits.tick(&host);
    assert_eq!(host.calls.borrow().len(), 3, "nothing is left to tell");
}

#[test]
fn a_refusal_of_redis_is_one_of_ours() {
    let limits = with("refusal", json!({}));
    let host = chat_host();
    let mut exchange = exchange_of(&limits);
    send(&mut exchange, &host, BODY);
    let check = asked(&host);
    assert!(!called(&mut exchange, &host, 1, 200, &says(0, &check["e"], 2)));
    assert_eq!(sent(&host).0, 429);
}

#[test]
fn without_an_answer_it_is_as_configured() {
    for (fail, went) in
        [("open", [true; 3]), ("closed", [false; 3]), ("local", [true, false, false])]
    {
        let limits = with(fail, json!({"fail": fail, "local_share": 0.5}));
        let mut shared = std::collections::BTreeMap::new();
        for (turn, went) in went.into_iter().enumerate() {
            let host = chat_host();
            *host.shared.borrow_mut() = shared;
            let mut exchange = exchange_of(&limits);
            send(&mut exchange, &host, BODY);
            // Gone, in trouble, or with the answer that another request is waiting for.
            let (status, body) =
                [(503, String::new()), (200, "{}".into()), (200, says(1, &json!(1_u64 << 50), 1))]
                    [turn]
                    .clone();
            assert_eq!(called(&mut exchange, &host, 1, status, &body), went, "{fail}, {turn}");
            if !went {
                assert_eq!(sent(&host).0, if fail == "closed" { 503 } else { 429 });
            }
            shared = host.shared.take();
        }
    }
}

#[test]
fn without_an_answer_nothing_is_given_out_again_that_was_used_before() {
    let limits = with("before", json!({"fail": "local", "local_share": 1}));
    let mut shared = std::collections::BTreeMap::new();
    // How much of 2 Redis says is used, if it answers, and whether the request goes on.
    let turns = [
        (Some(1), true),
        (None, true),
        (None, false),
        // It was not told yet of what went on meanwhile.
        (Some(1), true),
        (None, false),
        // Now it was, so that is among what it says.
        (Some(1), true),
        (None, true),
        (None, false),
        (Some(2), true),
        (None, false),
    ];
    for (turn, (used, went)) in turns.into_iter().enumerate() {
        let host = chat_host();
        *host.shared.borrow_mut() = shared;
        let mut exchange = exchange_of(&limits);
        send(&mut exchange, &host, BODY);
        let nonce = &asked(&host)["e"];
        let (status, body) = used.map_or((503, String::new()), |used| (200, says(1, nonce, used)));
        assert_eq!(called(&mut exchange, &host, 1, status, &body), went, "{turn}");
        if turn == 4 {
            limits.tick(&host);
            let told = asked(&host);
            let body = json!({"EVAL": [1, 1, told["n"], told["e"]]}).to_string().into_bytes();
            let content_type = "application/json".into();
            let reply = CallReply { status: Some(200), content_type, retry_after: None, body };
            limits.called(&host, CallId(2), reply);
        }
        shared = host.shared.take();
    }
}

/// Redis was only slow: it has reserved what it was asked for, and knows nothing of what a stream has reserved here
/// since.
#[test]
fn a_stream_that_went_on_without_an_answer_is_charged_what_it_used() {
    let rules = json!([{"name": "r", "unit": "completion_tokens", "limit": 10_000, "window": "1h", "cut": true}]);
    let store = json!({"redis": {"upstream": "slow", "fail": "local"}});
    let limits = plugin(configure, &json!({"rules": rules, "store": store}).to_string());
    let host = chat_host();
    let mut exchange = exchange_of(&limits);
    send(&mut exchange, &host, BODY);
    assert!(called(&mut exchange, &host, 1, 503, ""));
    fact(&host, "attempts", "a");
    let text = "one two three four five ".repeat(40);
    let event = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    answer(&mut exchange, &host, 200, "text/event-stream", &format!("data: {event}\n\n"));
    fact(&host, "usage", r#"{"prompt_tokens":3,"completion_tokens":200}"#);
    exchange.done(&host);
    limits.tick(&host);
    assert_eq!(asked(&host)["s"][0]["a"][0].as_array().unwrap()[6..], [json!(200), json!(10)]);
}

#[test]
fn without_a_timer_the_next_request_tells() {
    let limits = with("requests", json!({"on_requests": true}));
    assert_eq!(limits.tick_period(), None);
    let mut host = chat_host();
    host.cannot.insert(Capability::Tick);
    for turn in 1..=2_u32 {
        let mut exchange = exchange_of(&limits);
        send(&mut exchange, &host, BODY);
        let check = asked(&host);
        assert_eq!(check.get("s").is_some(), turn == 2);
        called(&mut exchange, &host, turn, 200, &says(1, &check["e"], 1));
        exchange.done(&host);
    }
}

/// What has been used is foretold at the first request after everything has been started anew, by a model
/// that was kept in Redis.
#[test]
fn forecasts_outlive_the_proxy() {
    let rules = json!([{"name": "day", "unit": "total_tokens", "limit": 100_000, "window": "week",
                        "algorithm": "fixed_window", "forecast": {}}]);
    let new_proxy = |name: &str| {
        let store = json!({"redis": {"upstream": name}});
        plugin(configure, &json!({"rules": rules, "store": store}).to_string())
    };
    let mut kept = vec![0_u64; token_ratelimit::forecast::NUMBERS];
    let mut forecast = |limits: &Rc<dyn Plugin>, shared: &mut _, hour: u64| {
        let host = chat_host();
        host.now_nanos.set((490_000 + hour) * 3_600_000_000_000);
        *host.shared.borrow_mut() = std::mem::take(shared);
        let mut exchange = exchange_of(limits);
        send(&mut exchange, &host, BODY);
        let check = asked(&host);
        let now = check["f"].is_array();
        if let Some(numbers) = check["g"][0][2].as_str() {
            kept = numbers.split(',').map(|number| number.parse().unwrap()).collect();
            assert_eq!(check["g"][0][1], json!(kept[0]));
        }
        let used = 100 * hour;
        let mut said = vec![1_760_000_000_000, 1, 0, check["e"].as_u64().unwrap()];
        said.extend([used, 100_000, 50 * 3_600, 0, 60, 0, used]);
        if now {
            said.extend(&kept);
        }
        assert!(called(&mut exchange, &host, 1, 200, &json!({"EVAL": said}).to_string()));
        answer(&mut exchange, &host, 200, "application/json", "{}");
        exchange.done(&host);
        *shared = host.shared.take();
        let found = host.header(shared::host::Map::Response, "x-ai-forecast");
        (now, found.map(|found| String::from_utf8(found).unwrap()))
    };
    let (before, mut memory) = (new_proxy("before"), Default::default());
    for hour in 0..30 {
        let (fetched, told) = forecast(&before, &mut memory, hour);
        assert!(fetched, "once in an hour");
        assert!(!forecast(&before, &mut memory, hour).0, "and no more");
        assert_eq!(told.is_some(), hour >= 24);
    }
    // What nobody has seen meanwhile is known from the sum.
    let (after, mut memory) = (new_proxy("after"), Default::default());
    let told = forecast(&after, &mut memory, 33).1.unwrap();
    let mean: f64 = told.split("mean=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
    assert!(
        (mean - 8_300.0).abs() < 100.0,
        "3,300 were used, and 100 are in each of 50 hours: {told}"
    );
}

#[test]
fn mistakes_are_named() {
    let wrong = |redis: Value| refused(configure, &json!({"store": {"redis": redis}}).to_string());
    for (redis, place) in [
        (json!({"upstream": ""}), "store.redis.upstream: "),
        (json!({"upstream": "w", "scheme": "x"}), "store.redis.scheme: "),
        (json!({"upstream": "w", "prefix": "a b"}), "store.redis.prefix: "),
        (json!({"upstream": "w", "local_share": 2}), "store.redis.local_share: "),
        (json!({"upstream": "w", "timeout_ms": 0}), "store.redis: "),
    ] {
        let error = wrong(redis.clone());
        assert!(error.starts_with(place), "{redis}: {error}");
    }
}
