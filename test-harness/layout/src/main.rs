//! `layout <list> <in.wasm> <out.wasm> ...`: modules with the listed functions first, and without names.

#![allow(clippy::print_stderr, reason = "a tool")]

use std::process::ExitCode;

use layout::ordered;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((list, modules)) = arguments.split_first() else {
        eprintln!("usage: layout <list> <in.wasm> <out.wasm> ...");
        return ExitCode::from(2);
    };
    match lay_out(list, modules) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn lay_out(list: &str, modules: &[String]) -> Result<(), String> {
    let listed = std::fs::read_to_string(list).map_err(|error| format!("{list}: {error}"))?;
    for pair in modules.chunks(2) {
        let [from, to] = pair else { return Err(format!("{}: written to where?", pair.concat())) };
        let module = std::fs::read(from).map_err(|error| format!("{from}: {error}"))?;
        let names = listed.lines().filter(|line| !line.starts_with('#'));
        let module = ordered(&module, names).map_err(|error| format!("{from}: {error}"))?;
        // A proxy that is about to load it never finds half of it.
        let new = format!("{to}.new");
        std::fs::write(&new, module).map_err(|error| format!("{new}: {error}"))?;
        std::fs::rename(&new, to).map_err(|error| format!("{to}: {error}"))?;
    }
    Ok(())
}
