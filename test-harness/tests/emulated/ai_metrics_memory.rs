//! The module over many streams: its memory does not grow with their number, and their times are the proxy's.
//!
//! `SOAK=200000 cargo test --release -p test-harness --features built --test emulated ai_metrics_memory:: -- --nocapture` (or `make
//! soak-metrics`) is the long version, whose result stands in `docs/ai-metrics.md`.

use crate::support::module;
use test_harness::emulator::{Finish, Options, Vm};

const CONFIG: &str = r#"{
    "access_log": {"property": true},
    "otlp": {"upstream": "otel", "traces": 0.1},
    "report": {"admin_key": "adm", "feedback_key": "fb", "repeats": 500, "max_groups": 100},
    "labels": {"max_values": 50, "max_series": 500}
}"#;

const EVENTS: usize = 8;

fn stream(vm: &Vm, root: test_harness::emulator::RootContext, number: usize) {
    let body = format!(
        r#"{{"model":"m-{}","stream":true,"messages":[{{"role":"user","content":"question {number}"}}]}}"#,
        number % 120
    );
    let exchange = vm.exchange(root);
    let length = body.len().to_string();
    exchange.request_headers(
        [
            (":method", "POST"),
            (":path", "/v1/chat/completions"),
            (":authority", "gateway"),
            ("content-type", "application/json"),
            ("content-length", length.as_str()),
        ],
        false,
    );
    exchange.request_body(body, true);
    let mut facts = String::new();
    for (name, value) in [
        ("provider", "openai".to_owned()),
        ("model", format!("m-{}", number % 120)),
        ("consumer", format!("consumer-{}", number % 700)),
        ("route", format!("route-{}", number % 90)),
        ("attempts", "azure,openai".to_owned()),
    ] {
        shared::facts::state(&mut facts, name, &value);
    }
    exchange.set_property(&[shared::facts::PROPERTY], facts);
    exchange.response_headers([(":status", "200"), ("content-type", "text/event-stream")], false);
    for _ in 0..EVENTS {
        vm.advance(10_000_000);
        let event = r#"{"choices":[{"index":0,"delta":{"content":" and some words"}}]}"#;
        exchange.response_body(format!("data: {event}\n\n"), false);
    }
    // Every tenth client leaves.
    if number.is_multiple_of(10) {
        exchange.finish(Finish::ClientDisconnect);
        return;
    }
    let last = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":9,"completion_tokens":24}}"#;
    let last = last.replace('\n', " ");
    exchange.response_body(format!("data: {last}\n\ndata: [DONE]\n\n"), true);
    exchange.finish(Finish::Complete);
}

#[test]
fn memory_stays_flat_however_many_streams_there_were() {
    let count = std::env::var("SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000);
    let module = module("ai-metrics");
    let vm = Vm::start(&module, Options::envoy()).unwrap();
    let root = vm.configure_now(CONFIG).unwrap();
    let mut after_a_third = 0;
    for number in 0..count {
        stream(&vm, root, number);
        if number.is_multiple_of(50) {
            vm.tick(root);
            for call in vm.callouts() {
                vm.answer_callout(call.id, [(":status", "200")], "{}");
            }
            vm.clear_trace();
        }
        if number == count / 3 {
            after_a_third = vm.memory_bytes();
        }
        if number.is_multiple_of(count / 10) {
            println!("{number:>7} streams: {:>5} KiB", vm.memory_bytes() >> 10);
        }
    }
    let memory = vm.memory_bytes();
    println!("{count:>7} streams: {:>5} KiB", memory >> 10);
    assert!(after_a_third > 0 && memory == after_a_third, "{after_a_third} bytes became {memory}");
    assert!(memory < 8 << 20, "{memory}");
}

#[test]
fn time_goes_on_from_one_callback_to_the_next() {
    let module = module("ai-metrics");
    let vm = Vm::start(&module, Options::envoy()).unwrap();
    let root = vm.configure_now(CONFIG).unwrap();
    stream(&vm, root, 1);
    vm.tick(root);
    let samples = |name: &str| {
        let metrics = vm.metrics();
        let found = metrics.iter().filter(|(known, _)| known.starts_with(name));
        found.flat_map(|(_, metric)| metric.samples.clone()).collect::<Vec<_>>()
    };
    // The first event came after 10 ms, the last after 80.
    assert_eq!(samples("gen_ai_server_time_to_first_token_milliseconds"), [10]);
    assert_eq!(samples("gen_ai_client_operation_duration_milliseconds"), [80]);
}
