//! What is counted of a request, on a scripted host.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::rc::Rc;

use ai_metrics::{admin, configure};
use serde_json::{Value, json};
use shared::host::script::ScriptHost;
use shared::host::{Body, CallId, Capability, Host, Map};
use shared::plugin::Plugin;
use shared::testing::{answer, chat_host, exchange_of, head, plugin, refused, send, sent, stream};

const BODY: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"secret-prompt"}]}"#;
const WHOLE: &str = r#"{"model":"gpt-4o","choices":[{"index":0,"finish_reason":"stop",
    "message":{"role":"assistant","content":"Hi"}}],
    "usage":{"prompt_tokens":1000,"completion_tokens":500,
             "prompt_tokens_details":{"cached_tokens":200}}}"#;
const PRICES: &str =
    r#"{"prices": [{"model": "gpt-4o", "input": 2.5, "cached": 1.25, "output": 10}]}"#;

fn asked() -> ScriptHost {
    let host = chat_host();
    for (name, value) in [
        ("ai.provider", "openai"),
        ("ai.model", "gpt-4o"),
        ("ai.requested_model", "gpt-4o"),
        ("ai.consumer", "alice"),
        ("ai.tags", r#"{"team":"search"}"#),
        ("ai.attempts", "azure,openai"),
        ("ai.route", "chat"),
    ] {
        host.set_property(&[name], value.as_bytes()).unwrap();
    }
    host
}

/// The sum of all series of a metric that have these labels.
fn count(host: &ScriptHost, name: &str, labels: &[&str]) -> i64 {
    let metrics = host.metrics.borrow();
    let found = metrics.iter().filter(|metric| {
        let mut parts = metric.name.split('|');
        parts.next() == Some(name) && labels.iter().all(|l| metric.name.split('|').any(|p| p == *l))
    });
    found.map(|metric| metric.value + metric.samples.len() as i64).sum()
}

fn one(plugin: &Rc<dyn Plugin>, host: &ScriptHost, status: u16, body: &str) {
    let mut exchange = exchange_of(plugin);
    assert!(send(&mut exchange, host, BODY));
    host.now_nanos.set(host.now_nanos.get() + 50_000_000);
    answer(&mut exchange, host, status, "application/json", body);
    exchange.done(host);
}

/// The same, and the tick with which the proxy is told.
fn told(plugin: &Rc<dyn Plugin>, host: &ScriptHost, status: u16, body: &str) {
    one(plugin, host, status, body);
    plugin.tick(host);
}

#[test]
fn a_whole_answer_is_counted_with_all_its_labels() {
    let (metrics, host) = (plugin(configure, PRICES), asked());
    told(&metrics, &host, 200, WHOLE);
    let labels = [
        "gen_ai_provider_name=openai",
        "consumer=alice",
        "team=search",
        "status=200",
        "finish_reason=stop",
        "route=chat",
        "stream=false",
    ];
    assert_eq!(count(&host, "ai_requests_total", &labels), 1, "{:?}", host.metrics.borrow());
    for (kind, tokens) in [("input", 1000), ("output", 500), ("cached", 200)] {
        let kind = format!("gen_ai_token_type={kind}");
        assert_eq!(count(&host, "ai_tokens_total", &[&kind, "source=reported"]), tokens, "{kind}");
    }
    // 800 x 2.5 + 200 x 1.25 + 500 x 10 dollars per million.
    assert_eq!(count(&host, "ai_cost_nano_usd_total", &["consumer=alice"]), 7_250_000);
    assert_eq!(
        count(&host, "ai_attempts_total", &["gen_ai_provider_name=azure", "result=failed"]),
        1
    );
    assert_eq!(
        count(&host, "ai_attempts_total", &["gen_ai_provider_name=openai", "result=served"]),
        1
    );
    assert_eq!(count(&host, "gen_ai_client_operation_duration_milliseconds", &[]), 1);
    assert_eq!(count(&host, "ai_requests_in_flight", &[]), 0);
}

#[test]
fn an_export_whose_request_was_left_does_not_end_all_exports() {
    let config = r#"{"otlp": {"upstream": "otel:4318", "on_requests": true}}"#;
    let metrics = plugin(configure, config);
    let without_timer = |seconds: u64| {
        let mut host = asked();
        host.cannot.insert(Capability::Tick);
        host.now_nanos.set(host.now_nanos.get() + seconds * 1_000_000_000);
        host
    };
    let asks = |seconds: u64| {
        let host = without_timer(seconds);
        let mut exchange = exchange_of(&metrics);
        host.put_body(Body::Request, BODY.as_bytes());
        exchange.request_headers(&host, false);
        let called = host.calls.borrow().len();
        // The client leaves.
        exchange.done(&host);
        called
    };
    assert_eq!(asks(100), 1);
    assert_eq!(asks(101), 0, "one at a time");
    assert_eq!(asks(3_600), 1);
}

#[test]
fn a_stream_has_times_and_tokens() {
    let (metrics, host) = (plugin(configure, PRICES), asked());
    let mut exchange = exchange_of(&metrics);
    assert!(send(&mut exchange, &host, BODY));
    host.now_nanos.set(host.now_nanos.get() + 120_000_000);
    let chunk = |delta: Value, finish: Value, usage: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        format!("data: {}\n\n", json!({"choices": choices, "usage": usage}))
    };
    let text = chunk(json!({"content": "Hi"}), Value::Null, Value::Null);
    let last =
        chunk(json!({}), json!("length"), json!({"prompt_tokens": 7, "completion_tokens": 2}));
    let pieces = [text.as_bytes(), last.as_bytes(), b"data: [DONE]\n\n"];
    let out = stream(&mut exchange, &host, &pieces);
    assert_eq!(out.concat().as_bytes(), pieces.concat(), "an observer changes nothing");
    exchange.done(&host);
    metrics.tick(&host);
    let labels = ["stream=true", "finish_reason=length", "status=200"];
    assert_eq!(count(&host, "ai_requests_total", &labels), 1, "{:?}", host.metrics.borrow());
    let samples = |name: &str| -> Vec<u64> {
        let metrics = host.metrics.borrow();
        metrics
            .iter()
            .filter(|m| m.name.starts_with(name))
            .flat_map(|m| m.samples.clone())
            .collect()
    };
    assert_eq!(samples("gen_ai_server_time_to_first_token"), [120]);
    assert_eq!(count(&host, "ai_tokens_total", &["gen_ai_token_type=output"]), 2);
}

#[test]
fn a_stream_that_reports_no_usage_or_is_left_is_estimated_and_says_so() {
    for left in [false, true] {
        let (metrics, host) = (plugin(configure, PRICES), asked());
        let mut exchange = exchange_of(&metrics);
        assert!(send(&mut exchange, &host, BODY));
        head(&mut exchange, &host, 200, "text/event-stream");
        let text = r#"{"choices":[{"index":0,"delta":{"content":"some eight words of text are here now"}}]}"#;
        let event = format!("data: {text}\n\n");
        host.put_body(Body::Response, event.as_bytes());
        exchange.response_body(&host, event.len(), false);
        if !left {
            host.put_body(Body::Response, b"data: [DONE]\n\n");
            exchange.response_body(&host, 14, true);
        }
        exchange.done(&host);
        metrics.tick(&host);
        let tokens =
            count(&host, "ai_tokens_total", &["gen_ai_token_type=output", "source=estimated"]);
        assert!((5..15).contains(&tokens), "left: {left}, {tokens}");
        let left_label = ["error_type=client_disconnect"];
        assert_eq!(count(&host, "ai_requests_total", &left_label), i64::from(left));
        assert_eq!(count(&host, "ai_requests_total", &[]), 1);
        assert_eq!(count(&host, "ai_requests_in_flight", &[]), 0);
    }
}

#[test]
fn errors_have_a_class_and_no_tokens() {
    for (status, class) in [(429, "rate_limit"), (500, "internal"), (401, "authentication")] {
        let (metrics, host) = (plugin(configure, PRICES), asked());
        told(&metrics, &host, status, r#"{"error":{"message":"no"}}"#);
        let labels = [format!("error_type={class}"), format!("status={status}")];
        assert_eq!(count(&host, "ai_requests_total", &[&labels[0], &labels[1]]), 1);
        assert_eq!(count(&host, "ai_tokens_total", &[]), 0);
    }
}

#[test]
fn neither_prompts_nor_answers_are_in_what_is_exported() {
    let config = r#"{"access_log": {"property": true}, "otlp": {"upstream": "otel"}}"#;
    let (metrics, host) = (plugin(configure, config), asked());
    one(&metrics, &host, 200, &WHOLE.replace("Hi", "secret-answer"));
    host.now_nanos.set(host.now_nanos.get() + 60_000_000_000);
    metrics.tick(&host);
    let calls = host.calls.borrow();
    assert_eq!(
        calls.iter().map(|c| c.path.as_str()).collect::<Vec<_>>(),
        ["/v1/metrics", "/v1/traces"]
    );
    let mut all: Vec<String> =
        calls.iter().map(|call| String::from_utf8(call.body.clone()).unwrap()).collect();
    let line = host.properties.borrow().get("ai.log").cloned().unwrap();
    all.push(String::from_utf8(line).unwrap());
    all.extend(host.metrics.borrow().iter().map(|m| m.name.clone()));
    for text in all {
        assert!(!text.contains("secret"), "{text}");
    }
}

fn attribute<'a>(list: &'a Value, name: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|pair| pair["key"] == name);
    found.map_or(&Value::Null, |pair| &pair["value"])
}

#[test]
fn otlp_has_the_same_figures() {
    let config = r#"{"otlp": {"upstream": "otel", "headers": {"X-Key": "k"}}, "site": {"region": "eu"},
        "prices": [{"model": "gpt-4o", "input": 2.5, "output": 10}]}"#;
    let (metrics, host) = (plugin(configure, config), asked());
    host.put(
        Map::Request,
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
    one(&metrics, &host, 200, WHOLE);
    assert!(host.text(Map::Request, "traceparent").unwrap().starts_with("00-0af7651916cd43dd"));
    host.now_nanos.set(host.now_nanos.get() + 60_000_000_000);
    metrics.tick(&host);
    let calls = host.calls.borrow().clone();
    let bodies: Vec<Value> =
        calls.iter().map(|call| serde_json::from_slice(&call.body).unwrap()).collect();
    assert!(calls[0].headers.contains(&("x-key".into(), "k".into())));
    let resource = &bodies[0]["resourceMetrics"][0];
    let attributes = &resource["resource"]["attributes"];
    assert_eq!(attribute(attributes, "cloud.region")["stringValue"], "eu");
    assert!(attribute(attributes, "service.instance.id")["stringValue"].is_string());
    let list = resource["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let metric = |name: &str| list.iter().find(|metric| metric["name"] == name).unwrap();
    let points = metric("ai.tokens")["sum"]["dataPoints"].as_array().unwrap();
    let input = points.iter().find(|point| {
        attribute(&point["attributes"], "gen_ai.token.type")["stringValue"] == "input"
    });
    assert_eq!(input.unwrap()["asInt"], 1000);
    let duration = &metric("gen_ai.client.operation.duration")["histogram"]["dataPoints"][0];
    assert_eq!((&duration["count"], &duration["sum"]), (&json!(1), &json!(0.05)));
    let bounds = duration["explicitBounds"].as_array().unwrap().len();
    assert_eq!(duration["bucketCounts"].as_array().unwrap().len(), bounds + 1);

    let span = &bodies[1]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span["parentSpanId"], "b7ad6b7169203331");
    assert_eq!(span["name"], "chat gpt-4o");
    let attributes = &span["attributes"];
    assert_eq!(attribute(attributes, "gen_ai.usage.input_tokens")["intValue"], "1000");
    assert_eq!(attribute(attributes, "gen_ai.provider.name")["stringValue"], "openai");
}

#[test]
fn spans_wait_for_a_collector_that_is_away_and_no_longer_than_the_queue_is() {
    let config = r#"{"otlp": {"upstream": "otel", "metrics": false, "max_queue": 3}}"#;
    let (metrics, host) = (plugin(configure, config), asked());
    for _ in 0..5 {
        one(&metrics, &host, 200, WHOLE);
    }
    let mut pauses = Vec::new();
    let mut last = host.now_nanos.get();
    for _ in 0..2000 {
        host.now_nanos.set(host.now_nanos.get() + 500_000_000);
        let before = host.calls.borrow().len();
        metrics.tick(&host);
        if host.calls.borrow().len() > before {
            pauses.push((host.now_nanos.get() - last) / 1_000_000_000);
            last = host.now_nanos.get();
            let id = u32::try_from(before + 1).unwrap();
            let reply = shared::filter::CallReply::failed();
            let reply = if pauses.len() > 8 {
                shared::filter::CallReply { status: Some(200), ..reply }
            } else {
                reply
            };
            metrics.called(&host, CallId(id), reply);
        }
    }
    assert!(pauses[1] >= 5 && pauses[4] >= 40 && pauses[8] >= 60, "backs off: {pauses:?}");
    assert_eq!(pauses.len(), 9, "nothing is left to be sent: {pauses:?}");
    let body = String::from_utf8(host.calls.borrow().last().unwrap().body.clone()).unwrap();
    assert_eq!(body.matches("traceId").count(), 3);
    metrics.tick(&host);
    assert_eq!(count(&host, "ai_metrics_dropped_total", &["what=span"]), 2);
    assert_eq!(count(&host, "ai_otlp_exports_total", &["what=traces", "result=ok"]), 1);
}

#[test]
fn the_report_is_for_who_has_the_key() {
    let config = r#"{"report": {"admin_key": "adm", "min_samples": 1}}"#;
    let (metrics, host) = (plugin(configure, config), asked());
    one(&metrics, &host, 200, WHOLE);
    let get = |path: &str, key: &str| {
        let host2 = ScriptHost::default();
        *host2.shared.borrow_mut() = host.shared.borrow().clone();
        host2.put(Map::Request, ":method", "GET");
        host2.put(Map::Request, ":path", path);
        host2.put(Map::Request, "authorization", &format!("Bearer {key}"));
        let mut exchange = exchange_of(&metrics);
        exchange.request_headers(&host2, true);
        sent(&host2)
    };
    assert_eq!(get("/_ai/report", "wrong").0, 401);
    let (status, body) = get("/_ai/report?format=json", "adm");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("gpt-4o"), "{body}");
    let (status, csv) = get("/_ai/costs?format=csv", "adm");
    assert_eq!(status, 200);
    assert!(csv.contains("alice") && csv.contains("search"), "{csv}");
}

#[test]
fn an_answer_is_given_a_score() {
    let config = r#"{"report": {"admin_key": "adm", "feedback_key": "fb", "min_samples": 1}}"#;
    let (metrics, host) = (plugin(configure, config), asked());
    told(&metrics, &host, 200, WHOLE);
    let about = host.text(Map::Response, "x-ai-feedback").unwrap();
    let rate = |path: &str| {
        let asks = ScriptHost::default();
        asks.put(Map::Request, ":method", "POST");
        asks.put(Map::Request, ":path", path);
        asks.put(Map::Request, "authorization", "Bearer fb");
        exchange_of(&metrics).request_headers(&asks, true);
        metrics.tick(&asks);
        let score = "ai_feedback_milli_total|gen_ai_provider_name=openai|gen_ai_response_model=gpt-4o\
                     |variant=";
        (sent(&asks), asks.metric_value(score))
    };
    let ((status, body), score) = rate(&format!("/_ai/feedback?for={about}&score=0.75"));
    assert_eq!((status, score), (202, 750), "{body}");
    for (query, named) in [
        (format!("for={about}&score=2"), "score"),
        (format!("for={about}"), "score"),
        ("for=nonsense!&score=1".to_owned(), "for"),
        ("score=1".to_owned(), "for"),
    ] {
        let ((status, body), _) = rate(&format!("/_ai/feedback?{query}"));
        assert!((400..405).contains(&status) && body.contains(named), "{query}: {body}");
    }
}

/// What a score is for is in the client's hands: a name that nobody has seen makes no group and no label.
#[test]
fn a_score_for_what_is_not_known_makes_nothing_known() {
    let config = r#"{"report": {"admin_key": "adm", "feedback_key": "fb", "min_samples": 1}}"#;
    let (metrics, host) = (plugin(configure, config), asked());
    host.set_property(&["ai.variant"], b"e=a").unwrap();
    told(&metrics, &host, 200, WHOLE);
    let ask = |method: &str, path: &str, key: &str| {
        let asks = ScriptHost::default();
        asks.put(Map::Request, ":method", method);
        asks.put(Map::Request, ":path", path);
        asks.put(Map::Request, "authorization", key);
        exchange_of(&metrics).request_headers(&asks, true);
        metrics.tick(&asks);
        let names: Vec<_> = asks.metrics.borrow().iter().map(|m| m.name.clone()).collect();
        (sent(&asks), names.join("\n"))
    };
    for about in [("openai", "gpt-4o", "x=1"), ("x", "x2", "e=a")] {
        let about = admin::feedback_header(about.0, about.1, about.2);
        let path = format!("/_ai/feedback?for={about}&score=1");
        let ((status, _), names) = ask("POST", &path, "Bearer fb");
        assert_eq!(status, 202, "one of both is known");
        assert!(!names.contains("x=1") && !names.contains("x2"), "{names}");
    }
    let ((_, report), _) = ask("GET", "/_ai/report?format=json", "Bearer adm");
    assert!(
        report.contains("e=a") && !report.contains("x=1") && !report.contains("x2"),
        "{report}"
    );
}

#[test]
fn an_answer_from_the_cache_asks_for_no_score() {
    let config = r#"{"report": {"admin_key": "adm", "feedback_key": "fb"}}"#;
    let (metrics, host) = (plugin(configure, config), chat_host());
    for (name, value) in [("ai.cache", "hit-exact"), ("ai.model", "gpt-4o")] {
        host.set_property(&[name], value.as_bytes()).unwrap();
    }
    one(&metrics, &host, 200, WHOLE);
    assert_eq!(host.text(Map::Response, "x-ai-feedback"), None);
}

#[test]
fn a_vote_that_ai_proxy_has_taken_is_counted() {
    let config = r#"{"report": {"admin_key": "adm", "min_samples": 1}}"#;
    let (metrics, host) = (plugin(configure, config), asked());
    told(&metrics, &host, 200, WHOLE);
    let asks = asked();
    asks.put(Map::Request, ":path", "/v1/feedback");
    let vote = br#"{"provider":"openai","model":"gpt-4o","variant":"","score":0.25}"#;
    asks.set_property(&["ai.feedback"], vote).unwrap();
    // The proxy's metrics outlive its requests.
    asks.metrics.swap(&host.metrics);
    told(&metrics, &asks, 202, "{}");
    let score = "ai_feedback_milli_total|gen_ai_provider_name=openai|gen_ai_response_model=gpt-4o\
                 |variant=";
    assert_eq!(asks.metric_value(score), 250);
}

#[test]
fn a_refusal_by_another_plugin_and_by_a_provider_have_the_same_class() {
    for (stated, status, class) in [
        ("rate_limit_error", 429, "rate_limit"),
        ("", 429, "rate_limit"),
        ("content_policy_violation", 400, "content_policy_violation"),
        ("api_error", 503, "overloaded"),
    ] {
        let (metrics, host) = (plugin(configure, PRICES), asked());
        host.set_property(&["ai.error"], stated.as_bytes()).unwrap();
        told(&metrics, &host, status, r#"{"error":{"message":"no"}}"#);
        let label = format!("error_type={class}");
        assert_eq!(count(&host, "ai_requests_total", &[&label]), 1, "{stated} {status}");
    }
}

#[test]
fn mistakes_are_named() {
    for (config, place) in [
        (r#"{"otlp": {"upstream": ""}}"#, "otlp.upstream"),
        (r#"{"otlp": {"upstream": "a", "traces": 2}}"#, "otlp.traces"),
        (r#"{"otlp": {"upstream": "a", "scheme": "grpc"}}"#, "otlp.scheme"),
        (r#"{"otlp": {"upstream": "a", "headers": {"a b": "c"}}}"#, "otlp.headers"),
        (r#"{"nope": 1}"#, "nope"),
    ] {
        assert!(refused(configure, config).contains(place), "{}", refused(configure, config));
    }
}

#[test]
fn what_waits_for_a_tick_is_told_when_none_comes_any_more() {
    let total = |host: &ScriptHost| count(host, "ai_requests_total", &["status=200"]);
    let (metrics, host) = (plugin(configure, "{}"), asked());
    one(&metrics, &host, 200, WHOLE);
    assert_eq!(total(&host), 0);
    metrics.ended(&host);
    assert_eq!(total(&host), 1);
    one(&metrics, &host, 200, WHOLE);
    assert_eq!(total(&host), 2, "nor does it wait then");

    let (metrics, mut host) = (plugin(configure, "{}"), asked());
    host.cannot.insert(Capability::Tick);
    one(&metrics, &host, 200, WHOLE);
    assert_eq!(total(&host), 1, "or where there is none at all");
}

#[test]
fn however_many_requests_come_between_two_ticks_no_value_is_lost() {
    let (metrics, host) = (plugin(configure, "{}"), asked());
    for _ in 0..3000 {
        one(&metrics, &host, 200, WHOLE);
    }
    metrics.tick(&host);
    assert_eq!(count(&host, "ai_requests_total", &["status=200"]), 3000);
    let histogram = "gen_ai_client_operation_duration_milliseconds";
    assert_eq!(count(&host, histogram, &[]), 3000);
    assert_eq!(count(&host, "ai_tokens_total", &["gen_ai_token_type=input"]), 3_000_000);
}

#[test]
fn a_host_without_metrics_or_timer_is_no_error() {
    let (metrics, mut host) = (plugin(configure, "{}"), asked());
    host.cannot.extend([Capability::Metrics, Capability::Tick, Capability::SharedData]);
    told(&metrics, &host, 200, WHOLE);
    assert!(host.metrics.borrow().is_empty());
}
