//! What a check of the local store costs natively: `make bench-limits`.
//!
//! 100,000 keys, so that each value holds about 16 counts and up to 32; medians of five rounds.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, missing_docs)]

use std::time::Instant;

use shared::host::script::ScriptHost;
use token_ratelimit::claim::{Claim, Mode};
use token_ratelimit::config::Algorithm;
use token_ratelimit::store::local::Local;
use token_ratelimit::terms::{Kind, Terms};
use token_ratelimit::window::Window;
use token_ratelimit::zone::Zone;

const KEYS: u64 = 100_000;

fn main() {
    let host = ScriptHost::default();
    host.now_nanos.set(1_760_000_000_000_000_000);
    let store = Local::new(100_000);
    store.prepare(&host);
    let kind = Kind::new(Algorithm::SlidingWindow, Window::Seconds(60), Zone::default(), 1_000_000);
    let terms = Terms { kind, limit: 1_000_000 };
    let claim = |number: u64| Claim {
        rule: 0,
        count: format!("s:rule:consumer-{number}"),
        terms,
        amount: 500,
        mode: Mode::Reserve,
        marks: vec![500_000, 900_000],
    };
    let claims: Vec<Claim> = (0..KEYS).map(claim).collect();
    let (mut checks, mut settles) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let begun = Instant::now();
        let answers: Vec<_> = claims.iter().map(|claim| store.apply(&host, claim).result).collect();
        checks.push(begun.elapsed().as_nanos() / u128::from(KEYS));
        let begun = Instant::now();
        for (claim, answer) in claims.iter().zip(answers) {
            store.settle(&host, &claim.count, &claim.terms, answer.receipt.unwrap(), 300);
        }
        settles.push(begun.elapsed().as_nanos() / u128::from(KEYS));
    }
    let bytes: usize = host.shared.borrow().values().map(|value| value.value.len()).sum();
    println!("check   {:>6} ns", median(&mut checks));
    println!("settle  {:>6} ns", median(&mut settles));
    println!("memory  {:>6} KB for {KEYS} keys", bytes / 1_000);
}

fn median(times: &mut [u128]) -> u128 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(0)
}
