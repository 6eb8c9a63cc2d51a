//! Requests that ask for the same while nobody has the answer yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod gateway;

use gateway::{Came, Gateway, question, reply};
use shared::exchange::Exchange;
use shared::host::Capability;
use shared::testing::{answer, exchange_of, send, sent};

#[test]
fn one_of_equal_requests_is_sent_and_the_others_wait() {
    let gateway = Gateway::new("{}");
    let (mut first, came) = gateway.begin(&question("hi"));
    assert_eq!(came, Came::Sent);
    let mut others: Vec<Exchange> = (0..9)
        .map(|_| {
            let mut exchange = exchange_of(&gateway.plugin);
            assert!(!send(&mut exchange, &gateway.host, &question("hi").to_string()));
            assert!(exchange.waits());
            exchange
        })
        .collect();
    others[0].tick(&gateway.host);
    assert!(others[0].waits());
    answer(&mut first, &gateway.host, 200, "application/json", &reply("hello").to_string());
    first.done(&gateway.host);
    for other in &mut others {
        gateway.host.sent.replace(None);
        other.tick(&gateway.host);
        assert!(sent(&gateway.host).1.contains("hello"));
        other.done(&gateway.host);
    }
}

#[test]
fn after_a_client_that_left_the_next_takes_its_place() {
    let gateway = Gateway::new("{}");
    let (mut first, _) = gateway.begin(&question("hi"));
    let wait = || {
        let mut exchange = exchange_of(&gateway.plugin);
        send(&mut exchange, &gateway.host, &question("hi").to_string());
        exchange
    };
    let (mut second, mut third) = (wait(), wait());
    first.done(&gateway.host);
    second.tick(&gateway.host);
    third.tick(&gateway.host);
    assert!(!second.waits() && third.waits());
    assert_eq!(gateway.host.resumed.get(), 1);
    // What could not be kept is not worth waiting for.
    answer(&mut second, &gateway.host, 200, "application/json", "{}");
    second.done(&gateway.host);
    third.tick(&gateway.host);
    assert!(!third.waits());
    assert_eq!(gateway.host.resumed.get(), 2);
}

#[test]
fn after_a_purge_one_is_sent_and_the_others_wait_again() {
    let gateway = Gateway::new(r#"{"admin_key":"top"}"#);
    let purge = || assert_eq!(gateway.purge("all=true", "top").0, 200);
    gateway.ask(&question("hi"), &reply("hello"));
    purge();
    let (mut first, came) = gateway.begin(&question("hi"));
    assert_eq!(came, Came::Sent);
    let mut second = exchange_of(&gateway.plugin);
    assert!(!send(&mut second, &gateway.host, &question("hi").to_string()) && second.waits());
    // The answer to what was asked before a purge is not kept: who waits fetches it anew.
    purge();
    answer(&mut first, &gateway.host, 200, "application/json", &reply("hello").to_string());
    first.done(&gateway.host);
    second.tick(&gateway.host);
    assert!(!second.waits());
    let mut third = exchange_of(&gateway.plugin);
    assert!(!send(&mut third, &gateway.host, &question("hi").to_string()) && third.waits());
}

#[test]
fn a_wait_is_bounded_in_time_and_number() {
    let gateway = Gateway::new(r#"{"stampede":{"max_wait_ms":1000,"max_waiting":1}}"#);
    let (_first, _) = gateway.begin(&question("hi"));
    let mut second = exchange_of(&gateway.plugin);
    assert!(!send(&mut second, &gateway.host, &question("hi").to_string()));
    let mut third = exchange_of(&gateway.plugin);
    assert!(send(&mut third, &gateway.host, &question("hi").to_string()), "too many wait");
    gateway.later(2);
    second.tick(&gateway.host);
    assert!(!second.waits());
    assert_eq!(gateway.host.resumed.get(), 1);
}

#[test]
fn where_nothing_can_wait_requests_go_on() {
    let mut gateway = Gateway::new("{}");
    for capability in [Capability::Tick, Capability::SharedData, Capability::Metrics] {
        gateway.host.cannot.insert(capability);
    }
    let (mut first, _) = gateway.begin(&question("hi"));
    let (_second, came) = gateway.begin(&question("hi"));
    assert_eq!(came, Came::Sent);
    answer(&mut first, &gateway.host, 200, "application/json", &reply("x").to_string());
    first.done(&gateway.host);
    assert!(gateway.hits(&question("hi")), "each worker has its own");
}
