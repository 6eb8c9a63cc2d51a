//! What a decision costs natively, and what configuring does: `make bench-routing`.
//!
//! 500 rules over 200 targets. The request fits the first rule, the last one, or one behind all of them
//! that has all the targets. Medians; every decision begins with a request of which nothing is known yet.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    clippy::cast_precision_loss
)]

mod routes;

use std::hint::black_box;
use std::time::Instant;

use ai_proxy::gateway::Gateway;
use ai_proxy::routing::ask::Ask;
use shared::facts::Facts;
use shared::filter::Cx;
use shared::host::script::ScriptHost;
use shared::request::RequestBody;

const RULES: usize = 500;
const TARGETS: usize = 200;
const PATH: &str = "/v1/chat/completions";
const BODY: &str = include_str!("../../../../test-harness/bench/src/bodies/chat.request.json");
/// Of each, decisions.
const DECISIONS: usize = 2_001;

fn main() {
    let text = routes::configuration(RULES, TARGETS).to_string();
    let configure = || {
        let config = shared::config::parse(text.as_bytes()).unwrap();
        Gateway::new(config, b"route").unwrap()
    };
    let mut times: Vec<u128> = (0..21)
        .map(|_| {
            let begun = Instant::now();
            black_box(configure());
            begun.elapsed().as_nanos()
        })
        .collect();
    println!(
        "{:<40} {:>9.2} ms",
        format!("configure, {} KB", text.len() / 1000),
        median(&mut times) / 1e6
    );
    let gateway = configure();
    let first = "team-0-x".to_owned();
    let last = format!("model-{}", RULES - 1);
    for (name, model) in [("the first rule", &first), ("the last rule", &last)] {
        println!("{name:<40} {:>9.2} us", decide(&gateway, model) / 1e3);
    }
    for strategy in routes::STRATEGIES {
        let model = format!("all-{strategy}");
        let name = format!("a rule of {TARGETS} targets, {strategy}");
        println!("{name:<40} {:>9.2} us", decide(&gateway, &model) / 1e3);
    }
}

/// Nanoseconds of a decision.
fn decide(gateway: &Gateway, model: &str) -> f64 {
    let host = ScriptHost::default();
    host.now_nanos.set(1_760_000_000_000_000_000);
    let mut body: serde_json::Value = serde_json::from_str(BODY).unwrap();
    body["model"] = model.into();
    body.as_object_mut().unwrap().remove("stream");
    let body = RequestBody::new(body.to_string().into_bytes()).unwrap();
    let endpoint = shared::protocol::endpoint::Endpoint::of(PATH);
    let mut times: Vec<u128> = (0..DECISIONS)
        .map(|_| {
            let mut facts = Facts::default();
            let mut cx = Cx::new(&host, &mut facts, endpoint);
            let asked = ai_proxy::asked::read(&cx, PATH, &body).unwrap();
            let begun = Instant::now();
            let mut ask = Ask::new(&mut cx, PATH, body.text(), &asked.model, asked.stream);
            ask.max_tokens = asked.max_tokens;
            let choice = gateway.choose(&asked, None, &mut ask, &host).unwrap();
            let took = begun.elapsed().as_nanos();
            black_box(choice.targets.len());
            took
        })
        .collect();
    median(&mut times)
}

fn median(times: &mut [u128]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(0) as f64
}
