//! Writes the list of functions that modules are laid out by, from the scenarios of `cost`: the functions that each of
//! them calls and none before it did, in the order of their first calls. `make layout` runs it on modules that still
//! have the names of their functions: `record-layout <folder of modules>`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use test_harness::called::{LIST, Traced};
use test_harness::cost::scenarios;

const HEAD: &str = "\
# The functions that requests pass, in the order of their first calls; modules have them first and in this order.
# Written by `make layout`.
";

fn main() -> ExitCode {
    let Some(modules) = std::env::args().nth(1) else {
        eprintln!("usage: record-layout <folder of modules>");
        return ExitCode::from(2);
    };
    match record(modules.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn record(modules: &Path) -> Result<(), Box<dyn Error>> {
    let mut traced = BTreeMap::new();
    let (mut list, mut known) = (HEAD.to_owned(), HashSet::new());
    // What most exchanges of the bundle have, then what is particular to others.
    let mut scenarios = scenarios();
    scenarios.sort_by_key(|scenario| scenario.module != "ai-gateway");
    for scenario in scenarios {
        let module = match traced.entry(scenario.module) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let file = format!("{}.wasm", scenario.module.replace('-', "_"));
                free.insert(Traced::from_file(&modules.join(file))?)
            }
        };
        let called = module.called_in(&scenario)?;
        let all = called.len();
        let mut added = 0;
        for name in called {
            if known.insert(name.to_owned()) {
                added += 1;
                list.extend([name, "\n"]);
            }
        }
        println!("{:<40} {all:>5} functions, {added} of them new", scenario.name);
    }
    Ok(std::fs::write(LIST, list)?)
}
