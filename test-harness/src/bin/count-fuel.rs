//! Prints what translating costs in Wasm instructions (wasmtime's fuel): `count-fuel <bench.wasm>`.
//! They are exact and the same on every machine.
//!
//! Fails if a request and its answer cost more to translate than `serde_json::Value` needs to parse
//! and write the same bodies.

use std::process::ExitCode;

use bench::{BODIES, Side};
use wasmtime::{Config, Engine, Linker, Module, Store, TypedFunc};

type Result<T> = std::result::Result<T, wasmtime::Error>;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: count-fuel <bench.wasm>; `make bench-translate` does it all");
        return ExitCode::from(2);
    };
    match Guest::load(&path).and_then(|mut guest| report(&mut guest)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("translating costs more than a round trip through `Value`");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{path}: {error:?}");
            ExitCode::from(2)
        }
    }
}

/// True if all is as it must be.
fn report(guest: &mut Guest) -> Result<bool> {
    let mut good = true;
    println!("{:<16} {:>8} {:>12} {:>12}", "fuel", "bytes", "translated", "Value");
    for (index, bodies) in BODIES.iter().enumerate() {
        let mut sum = (0, 0);
        for (name, length, ours, theirs) in [
            ("request", bodies.request.len(), Side::TranslateRequest, Side::ValueRequest),
            ("answer", bodies.answer.len(), Side::TranslateAnswer, Side::ValueAnswer),
        ] {
            let (ours, theirs) = (guest.once(index, ours)?, guest.once(index, theirs)?);
            row(&format!("{} {name}", bodies.name), length, ours, theirs);
            sum = (sum.0 + ours, sum.1 + theirs);
        }
        let length = bodies.request.len() + bodies.answer.len();
        row(&format!("{} both", bodies.name), length, sum.0, sum.1);
        good &= sum.0 <= sum.1;
    }
    println!("{:<16} {:>8} {:>12}", "streamed token", bench::EVENT.len(), guest.token()?);
    Ok(good)
}

fn row(name: &str, length: usize, ours: u64, theirs: u64) {
    let percent = 100 * ours / theirs.max(1);
    println!("{name:<16} {length:>8} {ours:>12} {theirs:>12} {percent:>6} %");
}

/// The work as a Wasm module.
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
        let instance = linker.instantiate(&mut store, &module)?;
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
        if work(self)? == 0 {
            return Err(wasmtime::Error::msg("nothing came out"));
        }
        Ok(u64::MAX - self.store.get_fuel()?)
    }
}
