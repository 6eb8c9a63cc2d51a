//! What an exchange costs, in instructions.

use crate::support::*;
use test_harness::emulator::{Options, Profile, Response};

fn gateway(plugin: &Plugin, profile: Profile) -> Gateway {
    match profile {
        Profile::Envoy => plugin.envoy("inline"),
        Profile::Apisix => plugin.start(Options::apisix_bridge(), &config("")),
    }
}

fn streamed(plugin: &Plugin, profile: Profile, events: usize) -> u64 {
    let words = std::iter::repeat_n("word", events);
    let answer = Response::event_stream(anthropic_events(words));
    let done = gateway(plugin, profile).run(streaming("claude-x"), |_| answer.clone());
    let text = done.client.text();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    done.fuel
}

#[test]
fn the_cost_of_a_stream_grows_no_faster_than_the_number_of_its_events() {
    both(|plugin| {
        for profile in [Profile::Envoy, Profile::Apisix] {
            let plain =
                gateway(plugin, profile).run(asking("claude-x", ""), |_| anthropic_answer()).fuel;
            let (some, many) = (streamed(plugin, profile, 100), streamed(plugin, profile, 1000));
            println!("{profile:?}: plain {plain}, 100 events {some}, 1000 events {many}");
            assert!(many < 12 * some, "{some} for 100 events, {many} for 1000");
        }
    });
}

#[test]
fn an_event_that_comes_byte_by_byte_is_not_searched_again_with_every_byte() {
    both(|plugin| {
        let cost = |length: usize| {
            let word = "x".repeat(length);
            let answer = Response::event_stream(anthropic_events([word.as_str()]));
            let answer = answer.in_chunks_of(1);
            gateway(plugin, Profile::Envoy).run(streaming("claude-x"), |_| answer.clone()).fuel
        };
        let (short, long) = (cost(2_000), cost(20_000));
        println!("byte by byte: 2000 bytes {short}, 20000 bytes {long}");
        assert!(long < 12 * short, "{short} for 2000 bytes, {long} for 20000");
    });
}
