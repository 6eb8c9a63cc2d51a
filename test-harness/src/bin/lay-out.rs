//! The last step of `make wasm`: lets each module copy short pieces of memory itself, and puts what the scenarios of `cost`
//! pass of it next to each other.
//! `lay-out <in.wasm> <out.wasm> ...`; the name of `out` is that of the plugin.

use std::path::Path;
use std::process::ExitCode;
use std::thread;

use layout::{copying, laid_out};
use test_harness::passed::passed;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() || !files.len().is_multiple_of(2) {
        eprintln!("usage: lay-out <in.wasm> <out.wasm> ...");
        return ExitCode::from(2);
    }
    let (pairs, _) = files.as_chunks::<2>();
    let done = thread::scope(|scope| {
        let started: Vec<_> =
            pairs.iter().map(|[from, to]| scope.spawn(|| lay_out(from, to))).collect();
        started.into_iter().map(|one| one.join().unwrap_or(Err("it has panicked".into()))).collect()
    });
    let done: Result<Vec<()>, String> = done;
    match done {
        Ok(_) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn lay_out(from: &str, to: &str) -> Result<(), String> {
    let plugin = Path::new(to).file_stem().unwrap_or_default().to_string_lossy();
    let module = std::fs::read(from).map_err(|error| format!("{from}: {error}"))?;
    let module = copying(&module).map_err(|error| format!("{from}: {error}"))?;
    let passed = passed(&plugin, &module).map_err(|error| format!("{from}: {error}"))?;
    let module = laid_out(&module, &passed).map_err(|error| format!("{from}: {error}"))?;
    // A proxy that is about to load it never finds half of it.
    let new = format!("{to}.new");
    std::fs::write(&new, module).map_err(|error| format!("{new}: {error}"))?;
    std::fs::rename(&new, to).map_err(|error| format!("{to}: {error}"))
}
