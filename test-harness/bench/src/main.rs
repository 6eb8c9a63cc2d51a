//! Prints what translating costs: `bench <bench.wasm>`.
//!
//! Wasm instructions (wasmtime's fuel) are exact and the same on every machine; nanoseconds are the
//! best of several rounds. Fails if translating costs more instructions than `serde_json::Value`
//! does to parse and write the same bodies, or if a streamed token takes longer than 4 microseconds.
//! Not a test, because the time depends on the machine.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use bench::{BODIES, Bodies, Side, once, stream};
use wasmtime::{Config, Engine, Instance, Linker, Module, Store, TypedFunc};

/// Most nanoseconds that a streamed token may take.
const TOKEN_NANOS: f64 = 4000.0;

const ROUNDS: usize = 15;
const REPEATS: usize = 400;
const EVENTS: usize = 2000;

type Result<T> = std::result::Result<T, wasmtime::Error>;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: bench <bench.wasm>; `make bench-translate` does it all");
        return ExitCode::from(2);
    };
    match report(&path) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{path}: {error:?}");
            ExitCode::from(2)
        }
    }
}

/// True if all is as it must be.
fn report(path: &str) -> Result<bool> {
    let mut guest = Guest::load(path)?;
    let mut good = true;
    println!("OpenAI request to Anthropic, Anthropic answer to OpenAI; `Value` parses and writes the same bodies");
    println!("{:<16} {:>6} {:>12} {:>12} {:>7} {:>12} {:>12} {:>7}",
        "", "bytes", "fuel", "Value", "", "ns", "Value", "");
    for (index, bodies) in BODIES.iter().enumerate() {
        let mut sums = [0_u64; 2];
        for (name, length, ours, theirs) in [
            ("request", bodies.request.len(), Side::TranslateRequest, Side::ValueRequest),
            ("answer", bodies.answer.len(), Side::TranslateAnswer, Side::ValueAnswer),
        ] {
            let fuel = [guest.once(index, ours)?, guest.once(index, theirs)?];
            let nanos = [time(bodies, ours), time(bodies, theirs)];
            sums[0] += fuel[0];
            sums[1] += fuel[1];
            println!("{:<16} {length:>6} {:>12} {:>12} {:>6.0}% {:>12.0} {:>12.0} {:>6.0}%",
                format!("{} {name}", bodies.name), fuel[0], fuel[1], percent(fuel[0] as f64, fuel[1] as f64),
                nanos[0], nanos[1], percent(nanos[0], nanos[1]));
        }
        println!("{:<16} {:>6} {:>12} {:>12} {:>6.0}%",
            format!("{} both", bodies.name), "", sums[0], sums[1], percent(sums[0] as f64, sums[1] as f64));
        good &= sums[0] <= sums[1];
    }
    let token = best(|| {
        black_box(stream(black_box(EVENTS)));
    }) / EVENTS as f64;
    println!("a streamed token: {} fuel, {token:.0} ns", guest.token()?);
    Ok(good && token <= TOKEN_NANOS)
}

fn percent(part: f64, whole: f64) -> f64 {
    100.0 * part / whole
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

/// The same work as a Wasm module.
struct Guest {
    store: Store<()>,
    once: TypedFunc<(u32, u32), u32>,
    stream: TypedFunc<u32, u32>,
}

impl Guest {
    fn load(path: &str) -> Result<Guest> {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config)?;
        let module = Module::from_file(&engine, path)?;
        let mut store = Store::new(&engine, ());
        store.set_fuel(u64::MAX)?;
        let mut linker = Linker::new(&engine);
        // The work asks the host for nothing; a random seed of 0 is as good as any.
        linker.define_unknown_imports_as_default_values(&mut store, &module)?;
        let instance: Instance = linker.instantiate(&mut store, &module)?;
        if let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut store, "_initialize") {
            initialize.call(&mut store, ())?;
        }
        let once = instance.get_typed_func(&mut store, "bench_once")?;
        let stream = instance.get_typed_func(&mut store, "bench_stream")?;
        Ok(Guest { store, once, stream })
    }

    /// Instructions of one time, once the allocator has what it needs.
    fn once(&mut self, bodies: usize, side: Side) -> Result<u64> {
        let side = Side::ALL.iter().position(|other| *other == side).unwrap_or(usize::MAX);
        let arguments = (bodies as u32, side as u32);
        let mut fuel = 0;
        for _ in 0..3 {
            fuel = self.count(|guest| guest.once.call(&mut guest.store, arguments))?;
        }
        Ok(fuel)
    }

    /// Instructions of one more event.
    fn token(&mut self) -> Result<u64> {
        let mut of = |events: u32| self.count(|guest| guest.stream.call(&mut guest.store, events));
        let few = of(100)?;
        Ok((of(1100)? - few) / 1000)
    }

    fn count(&mut self, work: impl FnOnce(&mut Guest) -> Result<u32>) -> Result<u64> {
        self.store.set_fuel(u64::MAX)?;
        let length = work(self)?;
        if length == 0 {
            return Err(wasmtime::Error::msg("nothing came out"));
        }
        Ok(u64::MAX - self.store.get_fuel()?)
    }
}
