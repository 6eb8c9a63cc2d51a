//! Exchanges that wait are woken by the timer, whose period counts from when it is set.

use crate::support::*;
use test_harness::emulator::{Exchange, Finish, Options, Vm};

const BODY: &str =
    r#"{"model":"gpt-5","messages":[{"role":"user","content":"What is a kangaroo?"}]}"#;

fn ask(gateway: &Gateway) -> Exchange {
    let exchange = gateway.vm.exchange(gateway.root);
    let length = BODY.len().to_string();
    exchange.request_headers(
        [
            (":method", "POST"),
            (":path", PATH),
            (":authority", "gateway"),
            ("content-type", "application/json"),
            ("content-length", length.as_str()),
        ],
        false,
    );
    exchange.request_body(BODY, true);
    exchange
}

fn set(vm: &Vm) -> usize {
    vm.answers("proxy_set_tick_period_milliseconds").len()
}

#[test]
fn those_that_come_one_after_another_do_not_put_the_tick_off() {
    let plugin = Plugin { module: module("semantic-cache-client") };
    let gateway = plugin.configure(Options::envoy(), r#"{"scope": "shared"}"#).unwrap();
    let Gateway { vm, root } = &gateway;
    assert!(vm.tick(*root));
    let slow = vm.tick_period_ms(*root);
    // The first asks the provider, and the others wait for what it is answered.
    let first = ask(&gateway);
    assert_eq!(vm.tick_period_ms(*root), slow);
    let before = set(vm);
    let others: Vec<Exchange> = (0..5).map(|_| ask(&gateway)).collect();
    assert_eq!((set(vm), vm.tick_period_ms(*root)), (before + 1, 5));
    // They may leave and come again, and it runs on.
    others.iter().for_each(|other| other.finish(Finish::ClientDisconnect));
    let last = ask(&gateway);
    assert_eq!(set(vm), before + 1);
    assert!(vm.tick(*root));
    assert_eq!(vm.tick_period_ms(*root), 5);
    first.response_headers([(":status", "200"), ("content-type", "application/json")], false);
    let answer = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"An animal."},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}"#;
    first.response_body(answer, true);
    first.finish(Finish::Complete);
    assert!(vm.tick(*root));
    assert!(vm.tick(*root), "until it was stored, and found");
    assert_eq!(last.client_response().status(), 200, "{:?}", vm.logs());
    assert!(vm.tick(*root));
    assert_eq!(vm.tick_period_ms(*root), slow);
}
