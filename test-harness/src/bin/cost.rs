//! Prints what exchanges cost the built plugins: `cost [SCENARIO...] [calls] [x1000]`.
//!
//! `calls` lists every call of the proxy; `x1000` runs each scenario so many times, for a profiler.

use std::collections::BTreeMap;
use std::process::ExitCode;

use test_harness::cost::{by_function, dist, scenarios};
use test_harness::emulator::Module;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let list = arguments.iter().any(|argument| argument == "calls");
    let times: usize =
        arguments.iter().find_map(|argument| argument.strip_prefix('x')?.parse().ok()).unwrap_or(0);
    let named: Vec<&String> = arguments
        .iter()
        .filter(|argument| *argument != "calls" && !argument.starts_with('x'))
        .collect();
    let mut modules = BTreeMap::new();
    println!("{:<40} {:>9} {:>6} {:>8} {:>9}", "", "fuel", "calls", "bytes", "tick");
    for scenario in scenarios() {
        if !named.is_empty() && !named.iter().any(|name| **name == scenario.name) {
            continue;
        }
        let path = dist().join(scenario.module).with_extension("wasm");
        let module = match modules.entry(scenario.module) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => match Module::from_file(&path) {
                Ok(module) => free.insert(module),
                Err(error) => return failed(&error.to_string()),
            },
        };
        let cost = match scenario.cost(module) {
            Ok(cost) => cost,
            Err(error) => return failed(&error.to_string()),
        };
        let bytes: usize = cost.calls.iter().map(|call| call.bytes).sum();
        println!(
            "{:<40} {:>9} {:>6} {:>8} {:>9}",
            scenario.name,
            cost.fuel,
            cost.calls.len(),
            bytes,
            cost.tick
        );
        if list {
            for (function, count, bytes) in by_function(&cost.calls) {
                println!("  {count:>4} {function} {bytes}");
            }
            let mut before = 0;
            for call in &cost.calls {
                // A larger number is a new callback's.
                let used = before.max(call.left) - call.left;
                before = call.left;
                println!(
                    "    {used:>8} {} {:?} {} -> {}",
                    call.function, call.what, call.bytes, call.status
                );
            }
        }
        if times > 0 {
            match scenario.start(module) {
                Ok((vm, root)) => (0..times).for_each(|number| {
                    scenario.exchange(&vm, root, number);
                    vm.clear_trace();
                }),
                Err(error) => return failed(&error.to_string()),
            }
        }
    }
    ExitCode::SUCCESS
}

fn failed(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(2)
}
