//! ai-proxy with 500 rules over 200 targets: what configuring it and what a decision take.

use crate::support::module;
use serde_json::json;
use test_harness::emulator::{Options, Request, Response, Vm, no_callouts, run};

#[path = "../../../plugins/ai-proxy/examples/decide/routes.rs"]
mod routes;

const RULES: usize = 500;
const TARGETS: usize = 200;

/// Most instructions of configuring it. A fifth of a millisecond in V8 is about a million, so that this is
/// half of the 200 ms that it may take.
const MOST: u64 = 500_000_000;
/// Most that a request may take that fits the last rule, beyond one that fits the first.
const MOST_OF_RULES: u64 = 500_000;

#[test]
fn many_rules_and_targets_are_configured_and_decided_by_in_a_bearable_number_of_instructions() {
    let module = module("ai-proxy");
    let options = Options { vm_configuration: "route".into(), ..Options::envoy() };
    let vm = Vm::start(&module, options).unwrap();
    let text = routes::configuration(RULES, TARGETS).to_string();
    let before = vm.fuel();
    let begun = std::time::Instant::now();
    let root = vm.configure_now(text.clone()).unwrap();
    let configured = vm.fuel() - before;
    let took = begun.elapsed();
    let ask = |model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        let request = Request::post("/v1/chat/completions", body.to_string());
        let done = run(&vm, root, request, |_| Response::json(200, "{}"), no_callouts);
        assert_eq!(done.client.status(), 200, "{model}: {}", done.client.text());
        (done.client.headers.get("x-ai-route").unwrap_or_default().to_owned(), done.fuel)
    };
    let last = RULES - 1;
    let (route, of_first) = ask("team-0-x");
    assert_eq!(route, "rule-0");
    let (route, of_last) = ask(&format!("model-{last}"));
    assert_eq!(route, format!("rule-{last}"));
    let (route, of_all) = ask("all-cheapest");
    assert_eq!(route, "all-cheapest");
    println!(
        "{} KB configured with {configured} instructions in {took:?}; an exchange takes {of_first} by the \
         first rule, {of_last} by the last, {of_all} by one of {TARGETS} targets",
        text.len() / 1000
    );
    assert!(configured < MOST, "configuring took {configured} instructions");
    assert!(of_last < of_first + MOST_OF_RULES, "{of_first} {of_last}");
}
