//! Prints what translating takes on this machine, in nanoseconds of the best of several rounds. Fails
//! if a streamed token takes longer than 4 microseconds. Not a test, because time depends on the
//! machine; what does not, the instructions, is counted by `count-fuel` in `test-harness`.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use bench::{BODIES, Bodies, Side, once, stream};

/// Most nanoseconds that a streamed token may take.
const TOKEN_NANOS: f64 = 4000.0;

const ROUNDS: usize = 15;
const REPEATS: usize = 400;
const EVENTS: usize = 2000;

fn main() -> ExitCode {
    println!("{:<16} {:>8} {:>12} {:>12}", "nanoseconds", "bytes", "translated", "Value");
    for bodies in &BODIES {
        for (name, length, ours, theirs) in [
            ("request", bodies.request.len(), Side::TranslateRequest, Side::ValueRequest),
            ("answer", bodies.answer.len(), Side::TranslateAnswer, Side::ValueAnswer),
        ] {
            let (ours, theirs) = (time(bodies, ours), time(bodies, theirs));
            let name = format!("{} {name}", bodies.name);
            println!("{name:<16} {length:>8} {ours:>12.0} {theirs:>12.0} {:>6.0} %", 100.0 * ours / theirs);
        }
    }
    let token = best(|| {
        black_box(stream(black_box(EVENTS)));
    });
    let token = token / EVENTS as f64;
    println!("{:<16} {:>8} {token:>12.0}", "streamed token", bench::EVENT.len());
    if token > TOKEN_NANOS {
        eprintln!("a streamed token may take {TOKEN_NANOS} ns");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Nanoseconds of one time.
fn time(bodies: &Bodies, side: Side) -> f64 {
    let nanos = best(|| {
        for _ in 0..REPEATS {
            black_box(once(black_box(bodies), side));
        }
    });
    nanos / REPEATS as f64
}

/// Nanoseconds of the quickest round: what disturbs only ever adds.
fn best(mut work: impl FnMut()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_nanos() as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}
