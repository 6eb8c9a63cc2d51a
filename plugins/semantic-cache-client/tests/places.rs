//! Answers that are kept elsewhere: found by what a question means, and in Redis.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod gateway;

use gateway::{Gateway, question, reply};
use semantic_cache_client::configure;
use serde_json::json;
use shared::filter::CallReply;
use shared::host::script::ScriptHost;
use shared::host::{CallId, Map};
use shared::testing::{answer, called, exchange_of, plugin, send, sent};

const SEMANTIC: &str =
    r#"{"semantic":{"embedder":{"kind":"openai","model":"m","service":{"upstream":"embed"}}}}"#;

fn vector(numbers: [f64; 3]) -> String {
    json!({"data": [{"embedding": numbers}]}).to_string()
}

/// A request whose question has this vector; true if it was answered from the cache.
fn compare(gateway: &Gateway, text: &str, numbers: [f64; 3]) -> bool {
    gateway.host.sent.replace(None);
    gateway.host.headers.borrow_mut().retain(|(map, _), _| *map != Map::Response as u8);
    let mut exchange = exchange_of(&gateway.plugin);
    send(&mut exchange, &gateway.host, &question(text).to_string());
    if gateway.host.sent.borrow().is_none() {
        let id = u32::try_from(gateway.host.calls.borrow().len()).unwrap();
        if called(&mut exchange, &gateway.host, id, 200, &vector(numbers)) {
            answer(&mut exchange, &gateway.host, 200, "application/json", &reply(text).to_string());
            exchange.done(&gateway.host);
            return false;
        }
    }
    exchange.done(&gateway.host);
    true
}

#[test]
fn a_question_that_means_the_same_gets_the_answer() {
    let gateway = Gateway::new(SEMANTIC);
    assert!(!compare(&gateway, "How do I delete my account?", [1.0, 0.0, 0.0]));
    assert!(compare(&gateway, "How can I remove my account?", [0.99, 0.1, 0.0]));
    let sent = gateway.host.sent.borrow().clone().unwrap();
    assert!(sent.1.contains(&("x-ai-cache".into(), "hit-semantic".into())));
    assert!(
        sent.1
            .iter()
            .any(|(name, value)| name == "x-ai-cache-similarity" && value.starts_with("0.99"))
    );
    assert!(!compare(&gateway, "How do I open my account?", [0.99, 0.1, 0.0]), "the veto");
    assert!(!compare(&gateway, "What is the weather like?", [0.0, 1.0, 0.0]), "not similar");
    assert!(!compare(&gateway, "怎么删除账号", [1.0, 0.0, 0.0]), "an unknown language");
    gateway.consumer("bob");
    assert!(
        !compare(&gateway, "How can I remove my account?", [1.0, 0.0, 0.0]),
        "another consumer"
    );
}

#[test]
fn a_question_that_may_not_leave_its_regions_is_not_sent_to_an_embedder_elsewhere() {
    let calls = |region: &str, allowed: Option<&str>| {
        let gateway = Gateway::new(
            &SEMANTIC.replace(r#""semantic":{"#, &format!(r#""semantic":{{"region":"{region}","#)),
        );
        gateway.fact("allowed_regions", allowed);
        let mut exchange = exchange_of(&gateway.plugin);
        send(&mut exchange, &gateway.host, &question("How do I delete my account?").to_string());
        gateway.host.calls.borrow().len()
    };
    assert_eq!([calls("", None), calls("us", None), calls("eu", Some("de,eu"))], [1, 1, 1]);
    assert_eq!([calls("us", Some("eu")), calls("", Some("eu")), calls("eu", Some(""))], [0, 0, 0]);
    // An answer is still found exactly.
    let gateway = Gateway::new(SEMANTIC);
    gateway.fact("allowed_regions", Some("eu"));
    gateway.ask(&question("hi"), &reply("x"));
    assert!(gateway.hits(&question("hi")));
}

#[test]
fn an_embedder_that_fails_is_as_good_as_none() {
    let gateway = Gateway::new(SEMANTIC);
    for status in [500_u16, 503, 500, 429, 500] {
        let mut exchange = exchange_of(&gateway.plugin);
        send(&mut exchange, &gateway.host, &question(&format!("Q{status}?")).to_string());
        let id = u32::try_from(gateway.host.calls.borrow().len()).unwrap();
        assert!(called(&mut exchange, &gateway.host, id, status, "x"));
        answer(&mut exchange, &gateway.host, 500, "application/json", "{}");
        exchange.done(&gateway.host);
    }
    let calls = gateway.host.calls.borrow().len();
    assert!(!gateway.hits(&question("And now?")));
    assert_eq!(gateway.host.calls.borrow().len(), calls, "it is left alone");
}

#[test]
fn answers_are_kept_in_redis_and_found_there() {
    let config = r#"{"redis":{"service":{"upstream":"webdis"}},"local":{"front_ttl":1}}"#;
    let gateway = Gateway::new(config);
    let host = &gateway.host;
    let mut exchange = exchange_of(&gateway.plugin);
    assert!(!send(&mut exchange, host, &question("hi").to_string()));
    assert!(host.calls.borrow()[0].body.starts_with(b"GET/ai-cache:a"));
    assert!(called(&mut exchange, host, 1, 200, r#"{"GET":null}"#));
    answer(&mut exchange, host, 200, "application/json", &reply("hello").to_string());
    exchange.done(host);
    assert_eq!(host.calls.borrow().len(), 1);
    gateway.plugin.tick(host);
    let put = String::from_utf8(host.calls.borrow()[1].body.clone()).unwrap();
    assert!(put.starts_with("EVAL/"), "{put}");
    // Another gateway finds it.
    let words: Vec<&str> = put.split('/').collect();
    let entry = percent(words[words.len() - 2]);
    let other = Gateway::new(config);
    let mut exchange = exchange_of(&other.plugin);
    assert!(!send(&mut exchange, &other.host, &question("hi").to_string()));
    let found = json!({ "GET": entry }).to_string();
    assert!(!called(&mut exchange, &other.host, 1, 200, &found));
    assert!(sent(&other.host).1.contains("hello"));
}

#[test]
fn behind_redis_an_answer_is_in_memory_for_a_short_time() {
    let config = r#"{"redis":{"service":{"upstream":"webdis"}},"local":{"front_ttl":30}}"#;
    let gateway = Gateway::new(config);
    let ask = || {
        let mut exchange = exchange_of(&gateway.plugin);
        gateway.host.sent.replace(None);
        send(&mut exchange, &gateway.host, &question("hi").to_string());
        exchange
    };
    let calls = || u32::try_from(gateway.host.calls.borrow().len()).unwrap();
    let mut first = ask();
    called(&mut first, &gateway.host, calls(), 200, r#"{"GET":null}"#);
    answer(&mut first, &gateway.host, 200, "application/json", &reply("hello").to_string());
    first.done(&gateway.host);
    gateway.later(29);
    let before = calls();
    ask().done(&gateway.host);
    assert_eq!(calls(), before, "from memory");
    gateway.later(2);
    let _waits = ask();
    assert_eq!(calls(), before + 1, "what another gateway has purged is not served for longer");
}

#[test]
fn what_waits_to_be_sent_is_not_sent_after_a_purge() {
    let config = r#"{"redis":{"service":{"upstream":"webdis"}},"admin_key":"top"}"#;
    let gateway = Gateway::new(config);
    let host = &gateway.host;
    let mut exchange = exchange_of(&gateway.plugin);
    send(&mut exchange, host, &question("hi").to_string());
    called(&mut exchange, host, 1, 200, r#"{"GET":null}"#);
    answer(&mut exchange, host, 200, "application/json", &reply("hello").to_string());
    exchange.done(host);
    // By another worker.
    let other = Gateway { plugin: plugin(configure, config), ..Gateway::new(config) };
    other.host.shared.replace(std::mem::take(&mut *host.shared.borrow_mut()));
    assert_eq!(other.purge("all=true", "top").0, 200);
    host.shared.replace(std::mem::take(&mut *other.host.shared.borrow_mut()));
    gateway.plugin.tick(host);
    assert_eq!(host.calls.borrow().len(), 1, "the answer is not put into Redis");
}

#[test]
fn a_purge_that_does_not_reach_redis_is_sent_again() {
    let config = r#"{"redis":{"service":{"upstream":"webdis"}},"admin_key":"top"}"#;
    let gateway = Gateway::new(config);
    let host = &gateway.host;
    let tick = || {
        gateway.plugin.tick(host);
        u32::try_from(host.calls.borrow().len()).unwrap()
    };
    let told = |id: u32, status: Option<u16>| {
        let reply =
            CallReply { status, content_type: String::new(), retry_after: None, body: Vec::new() };
        gateway.plugin.called(host, CallId(id), reply);
    };
    assert_eq!(gateway.purge("user=u1", "top").0, 200);
    assert_eq!(tick(), 1);
    told(1, None);
    assert_eq!(tick(), 2);
    told(2, Some(503));
    for call in 3..=5 {
        assert_eq!(tick(), call);
        told(call, Some(500));
    }
    assert_eq!(tick(), 5, "Redis is left alone");
    gateway.later(10);
    assert_eq!(tick(), 6);
    told(6, Some(200));
    gateway.later(1_000);
    assert_eq!(tick(), 6);
    let bodies: Vec<_> = host.calls.borrow().iter().map(|call| call.body.clone()).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    // What it refuses is not sent again.
    assert_eq!(gateway.purge("user=u2", "top").0, 200);
    assert_eq!(tick(), 7);
    told(7, Some(403));
    assert_eq!(tick(), 7);
}

/// Webdis passes Redis's mistakes on with the status 200: while it loads its data after a start, or is a replica.
#[test]
fn a_purge_that_redis_cannot_take_now_is_sent_again() {
    let config = r#"{"redis":{"service":{"upstream":"webdis"}},"admin_key":"top"}"#;
    let gateway = Gateway::new(config);
    let host = &gateway.host;
    let tick = || {
        gateway.plugin.tick(host);
        u32::try_from(host.calls.borrow().len()).unwrap()
    };
    let told = |id: u32, body: &str| {
        let content_type = "application/json".into();
        let body = body.as_bytes().to_vec();
        let reply = CallReply { status: Some(200), content_type, retry_after: None, body };
        gateway.plugin.called(host, CallId(id), reply);
    };
    assert_eq!(gateway.purge("user=u1", "top").0, 200);
    assert_eq!(tick(), 1);
    told(1, r#"{"EVAL":[false,"LOADING Redis is loading the dataset in memory"]}"#);
    assert_eq!(tick(), 2);
    told(2, r#"{"EVAL":[false,"READONLY You can't write against a read only replica."]}"#);
    assert_eq!(tick(), 3);
    told(3, r#"{"EVAL":[false,"ERR Error running script: @user_script:1: -READONLY You can't"]}"#);
    assert_eq!(tick(), 4);
    told(4, r#"{"EVAL":1}"#);
    assert_eq!(tick(), 4);
    // What it refuses for good is not, and is counted.
    assert_eq!(gateway.purge("user=u2", "top").0, 200);
    assert_eq!(tick(), 5);
    told(5, r#"{"EVAL":[false,"NOPERM this user has no permissions to run the 'eval' command"]}"#);
    assert_eq!(tick(), 5);
    assert_eq!(host.metric_value("ai_cache_failed_total|what=write"), 4);
}

#[test]
fn a_purge_that_waits_outlives_the_configuration() {
    let config = r#"{"redis":{"service":{"upstream":"reloaded"}},"admin_key":"top"}"#;
    let gateway = Gateway::new(config);
    let host = &gateway.host;
    // One is on its way and one waits when the configuration is replaced.
    assert_eq!(gateway.purge("user=u1", "top").0, 200);
    gateway.plugin.tick(host);
    assert_eq!(gateway.purge("user=u2", "top").0, 200);
    gateway.plugin.ended(host);
    let elsewhere = Gateway::new(r#"{"redis":{"service":{"upstream":"other"}},"admin_key":"top"}"#);
    elsewhere.plugin.tick(&elsewhere.host);
    assert!(elsewhere.host.calls.borrow().is_empty(), "it is for another Redis");
    let next = Gateway::new(config);
    next.plugin.tick(&next.host);
    let sent = |host: &ScriptHost| -> Vec<_> {
        host.calls.borrow().iter().map(|call| call.body.clone()).collect()
    };
    let calls = sent(&next.host);
    assert_eq!((calls.len(), &calls[..1]), (2, &sent(host)[..]));
    next.plugin.tick(&next.host);
    assert_eq!(next.host.calls.borrow().len(), 2, "once");
}

fn percent(word: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = word.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex: Vec<u8> = bytes.by_ref().take(2).collect();
            out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}
