//! Copies of requests, and how their answers compare, on a scripted host.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::support::routes::{fact, property, routes, to};
use crate::support::{answer, ask, chat_host, exchange_of, plugin, send};
use ai_proxy::objects::{Objects, Place};
use serde_json::{Value, json};
use shared::filter::CallReply;
use shared::host::CallId;

const MORE: &str = r#","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":
    {"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}}},
    "tools":[{"type":"function","function":{"name":"get","parameters":{"type":"object"}}}]"#;

fn openai(text: &str, finish: &str) -> String {
    json!({"choices": [{"index": 0, "finish_reason": finish, "message": {
        "role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}})
    .to_string()
}

fn calling(name: &str, arguments: &str) -> String {
    json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function",
            "function": {"name": name, "arguments": arguments}}]}}]})
    .to_string()
}

fn anthropic(content: Value, reason: &str) -> String {
    json!({"content": content, "stop_reason": reason,
        "usage": {"input_tokens": 900, "output_tokens": 200}})
    .to_string()
}

/// What is counted when the client gets the one answer and the copy the other.
fn counted(primary: &str, (status, shadow): (u16, &str)) -> Vec<(String, i64)> {
    let price = |input: u32| json!({"input": input, "output": 10});
    let mut targets = [to("a"), to("b")];
    targets[0]["price"] = price(1);
    targets[1]["price"] = price(2);
    targets[1]["needs_approval"] = json!(true);
    let config = routes(json!([{"name": "s", "targets": targets, "shadow": {}}]));
    let gateway = plugin(&config.to_string(), "route");
    let host = chat_host();
    let mut outer = exchange_of(&gateway);
    assert!(send(&mut outer, &host, &ask("m", MORE)));
    assert_eq!(property(&host, "ai.cluster"), "ca", "only copies go to the other");
    gateway.tick(&host);
    let call = host.calls.borrow().last().unwrap().clone();
    assert_eq!((call.upstream.as_str(), call.path.as_str()), ("cb", "/v1/messages"));
    let sent: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!((&sent["model"], &sent["tools"][0]["name"]), (&json!("m-b"), &json!("get")));
    assert_eq!(sent["messages"][0]["content"], "hi", "with its body");
    host.now_nanos.set(host.now_nanos.get() + 30_000_000);
    fact(&host, "provider", "a");
    fact(&host, "model", "m-a");
    answer(&mut outer, &host, 200, "application/json", primary);
    outer.done(&host);
    host.now_nanos.set(host.now_nanos.get() + 10_000_000);
    let body = shadow.as_bytes().to_vec();
    gateway.called(
        &host,
        CallId(1),
        CallReply { status: Some(status), body, ..CallReply::failed() },
    );
    let metrics = host.metrics.borrow();
    metrics.iter().map(|metric| (metric.name.clone(), metric.value)).collect()
}

fn total(counted: &[(String, i64)], what: &str, kind: &str) -> i64 {
    let name = format!("ai_shadow_total|route=s|what={what}|kind={kind}");
    counted.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value)
}

fn compared(counted: &[(String, i64)]) -> Vec<&str> {
    let told = counted
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("ai_shadow_compared_total|route=s|what="));
    let mut told: Vec<_> = told.collect();
    told.sort_unstable();
    told
}

#[test]
fn answers_are_compared_by_schema_end_and_refusal_latency_and_cost() {
    let text = json!([{"type": "text", "text": "{\"n\": \"one\"}"}]);
    let found = counted(&openai("{\"n\": 1}", "stop"), (200, &anthropic(text, "max_tokens")));
    assert_eq!(
        compared(&found),
        [
            "finish|result=different",
            "refusal|result=same",
            "schema|result=different",
            "success|result=same",
        ]
    );
    assert_eq!((total(&found, "answers", "primary"), total(&found, "answers", "shadow")), (1, 1));
    assert_eq!(
        (total(&found, "invalid_schema", "primary"), total(&found, "invalid_schema", "shadow")),
        (0, 1)
    );
    assert_eq!(
        (total(&found, "cut_short", "primary"), total(&found, "cut_short", "shadow")),
        (0, 1)
    );
    assert_eq!(
        (total(&found, "milliseconds", "primary"), total(&found, "milliseconds", "shadow")),
        (30, 40)
    );
    // Each at the price of its own target: 1000 at 1 and 100 at 10 dollars a million, 900 at 2 and 200 at 10.
    assert_eq!(
        (total(&found, "nano_usd", "primary"), total(&found, "nano_usd", "shadow")),
        (2_000_000, 3_800_000)
    );
}

#[test]
fn answers_are_compared_by_the_functions_they_call_and_their_arguments() {
    let call = |name: &str, input: Value| {
        let content = json!([{"type": "tool_use", "id": "1", "name": name, "input": input}]);
        anthropic(content, "tool_use")
    };
    let found = counted(&calling("get", "{\"a\": 1}"), (200, &call("get", json!({"a": 2}))));
    assert!(compared(&found).contains(&"tools|result=same"));
    assert!(compared(&found).contains(&"arguments|result=different"));
    assert_eq!(total(&found, "tool_calls", "shadow"), 1);
    let found = counted(&calling("get", "{"), (200, &call("put", json!({}))));
    assert!(compared(&found).contains(&"tools|result=different"));
    assert_eq!(total(&found, "invalid_arguments", "primary"), 1);
}

#[test]
fn a_copy_that_fails_or_is_refused_is_counted_as_such() {
    let found = counted(&openai("{\"n\": 1}", "stop"), (529, "{}"));
    assert_eq!(compared(&found), ["success|result=different"]);
    assert_eq!(total(&found, "failures", "shadow"), 1);
    let refusal = anthropic(json!([]), "refusal");
    let found = counted(&openai("{\"n\": 1}", "stop"), (200, &refusal));
    assert!(compared(&found).contains(&"refusal|result=different"));
    assert_eq!(total(&found, "refusals", "shadow"), 1);
}

#[test]
fn a_copy_is_not_streamed_and_what_is_too_long_or_too_much_is_not_copied() {
    let gateway = |shadow: Value| {
        let mut targets = [to("a"), to("b")];
        targets[1]["needs_approval"] = json!(true);
        let config = routes(json!([{"name": "s", "targets": targets, "shadow": shadow}]));
        plugin(&config.to_string(), "route")
    };
    let copies = |shadow: Value, requests: usize, more: &str| {
        let gateway = gateway(shadow);
        let host = chat_host();
        for _ in 0..requests {
            assert!(send(&mut exchange_of(&gateway), &host, &ask("m", more)));
        }
        gateway.tick(&host);
        let calls = host.calls.borrow().clone();
        let dropped = host.metric_value("ai_shadow_total|route=s|what=dropped|kind=shadow");
        (calls, dropped)
    };
    let (calls, _) =
        copies(json!({}), 1, r#","stream":true,"stream_options":{"include_usage":true}"#);
    let sent: Value = serde_json::from_slice(&calls[0].body).unwrap();
    assert_ne!(sent["stream"], json!(true));
    assert_eq!(copies(json!({"max_bytes": 50}), 1, "").0.len(), 0);
    let (calls, dropped) = copies(json!({"max_under_way": 2}), 5, "");
    assert_eq!((calls.len(), dropped), (2, 3));
    assert_eq!(copies(json!({"percent": 0}), 5, "").0.len(), 0);
}

#[test]
fn what_names_an_object_that_a_provider_keeps_is_not_copied() {
    let mut targets = [to("a"), json!({"provider": "a", "model": "other"})];
    targets[1]["needs_approval"] = json!(true);
    let mut config = routes(json!([{"name": "s", "targets": targets, "shadow": {}}]));
    config["object_secret"] = json!("0123456789abcdef");
    let secrets = shared::config::document(r#""0123456789abcdef""#).unwrap();
    let objects = Objects::new(&secrets).unwrap().unwrap();
    let (provider, key) = (objects.mark("a"), objects.mark("sk-a"));
    let file = objects.seal(&Place { owner: "anna".into(), provider, key }, "file-1");
    let part = format!(r#"{{"type":"file","file":{{"file_id":"{file}"}}}}"#);
    for (content, copies) in [(part.as_str(), 0), (r#"{"type":"text","text":"hi"}"#, 1)] {
        let gateway = plugin(&config.to_string(), "route");
        let host = chat_host();
        fact(&host, "consumer", "anna");
        let body = ask("m", "").replace(r#""hi""#, &format!("[{content}]"));
        assert!(send(&mut exchange_of(&gateway), &host, &body));
        gateway.tick(&host);
        assert_eq!(host.calls.borrow().len(), copies, "{content}");
    }
}

#[test]
fn a_copy_has_the_model_that_an_alias_stands_for() {
    let mut config = routes(json!([{"name": "s", "shadow": {"targets": [1]},
        "targets": [to("a"), {"provider": "b"}]}]));
    config["aliases"] = json!({"fast": "claude-haiku-4-5"});
    let gateway = plugin(&config.to_string(), "route");
    let host = chat_host();
    assert!(send(&mut exchange_of(&gateway), &host, &ask("fast", "")));
    gateway.tick(&host);
    let sent: Value = serde_json::from_slice(&host.calls.borrow()[0].body).unwrap();
    assert_eq!(sent["model"], "claude-haiku-4-5");
}

#[test]
fn an_answer_that_its_client_has_left_is_compared_with_nothing() {
    let mut targets = [to("a"), to("b")];
    targets[1]["needs_approval"] = json!(true);
    let config = routes(json!([{"name": "s", "targets": targets, "shadow": {}}]));
    let gateway = plugin(&config.to_string(), "route");
    let host = chat_host();
    let mut outer = exchange_of(&gateway);
    assert!(send(&mut outer, &host, &ask("m", "")));
    gateway.tick(&host);
    outer.done(&host);
    let body = anthropic(json!([{"type": "text", "text": "one"}]), "end_turn").into_bytes();
    let reply = CallReply { status: Some(200), body, ..CallReply::failed() };
    gateway.called(&host, CallId(1), reply);
    let metrics = host.metrics.borrow();
    let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert!(names.contains(&"ai_shadow_total|route=s|what=answers|kind=shadow"));
    assert!(
        !names.iter().any(|name| name.contains("compared") || name.contains("primary")),
        "{names:?}"
    );
}
