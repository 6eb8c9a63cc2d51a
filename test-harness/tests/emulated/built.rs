//! The plugins as they were built: what they import, and how many instructions an exchange takes.

use std::collections::BTreeMap;

use std::path::Path;

use crate::support::{built, dist, module};
use layout::Shape;
use serde::{Deserialize, Serialize};
use test_harness::cost;
use test_harness::emulator::imports;
use test_harness::passed::passed;
use wasmparser::{Parser, Payload};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuel.json");
/// More than the baseline by so many percent is too much.
const ROOM: u64 = 3;

/// Instructions by scenario, of modules that were built in one way.
#[derive(Serialize, Deserialize)]
struct Baseline {
    /// As `test-harness/optimize.sh` says it: profile, compiler, optimizer.
    built_as: String,
    fuel: BTreeMap<String, u64>,
}

/// A module with one import that a host lacks does not load there, on APISIX without a word.
#[test]
fn every_built_plugin_imports_only_what_both_hosts_offer() {
    for module in built() {
        if let Err(wrong) = imports::check(&module) {
            panic!("{}:\n{}", module.name(), wrong.join("\n"));
        }
    }
}

/// How the modules were built. Other optimizers and compilers make other instructions of the same code.
fn built_as() -> String {
    let built_as = std::fs::read_to_string(dist().join("built-as")).unwrap_or_default();
    built_as.trim().to_owned()
}

#[test]
fn what_exchanges_pass_of_a_module_is_next_to_each_other() {
    if !built_as().starts_with("release") {
        println!("not compared: built as {:?}", built_as());
        return;
    }
    for plugin in ["ai-proxy", "ai-gateway"] {
        let module = std::fs::read(dist().join(plugin).with_extension("wasm")).unwrap();
        let passed = passed(plugin, &module).unwrap();
        // Those whose index takes one byte are before them, called or not.
        let short = 128 - Shape::of(&module).unwrap().imported as usize;
        let last = passed.functions.iter().max().unwrap();
        assert!((100..=passed.functions.len() + short).contains(last), "{plugin}: {last}");
        let name = |payload: &Payload<'_>| match payload {
            Payload::CustomSection(section) => Some(section.name().to_owned()),
            _ => None,
        };
        let payloads = Parser::new(0).parse_all(&module);
        let names: Vec<_> = payloads.filter_map(|payload| name(&payload.unwrap())).collect();
        assert_eq!(names, ["metadata.code.branch_hint"], "{plugin}");
    }
}

#[test]
fn no_exchange_takes_more_instructions_than_the_baseline_says() {
    let built_as = built_as();
    let update = std::env::var_os("UPDATE").is_some();
    let baseline: Baseline = match std::fs::read_to_string(BASELINE) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(_) if update => Baseline { built_as: String::new(), fuel: BTreeMap::new() },
        Err(error) => panic!("{BASELINE}: {error}"),
    };
    if !update && built_as != baseline.built_as {
        println!("not compared: built as {built_as:?}, the baseline as {:?}", baseline.built_as);
        return;
    }
    let fuel: BTreeMap<String, u64> = cost::scenarios()
        .iter()
        .map(|scenario| {
            let cost = scenario.cost(&module(scenario.module)).unwrap();
            // Envoy keeps an entry for each time that one is declared, and never forgets it.
            let declares = cost.calls.iter().find(|call| call.function == "proxy_define_metric");
            assert_eq!(declares, None, "{}: once and not in each exchange", scenario.name);
            (scenario.name.clone(), cost.fuel)
        })
        .collect();
    if update {
        let text = serde_json::to_string_pretty(&Baseline { built_as, fuel }).unwrap();
        std::fs::write(BASELINE, text + "\n").unwrap();
        return;
    }
    let rose: Vec<String> = fuel
        .iter()
        .filter_map(|(name, now)| {
            let before = *baseline.fuel.get(name)?;
            (*now * 100 > before * (100 + ROOM)).then(|| format!("{name}: {before} -> {now}"))
        })
        .collect();
    assert!(
        rose.is_empty(),
        "these take over {ROOM} % more Wasm instructions than {} says:\n  {}\n`cargo run -p test-harness \
         --bin cost -- SCENARIO calls` shows where they go. If they are worth it, run `make fuel-baseline` \
         and commit the file.",
        Path::new(BASELINE).file_name().unwrap_or_default().display(),
        rose.join("\n  "),
    );
    let names: Vec<_> = fuel.keys().collect();
    let known: Vec<_> = baseline.fuel.keys().collect();
    assert_eq!(names, known, "other scenarios than in the baseline: run `make fuel-baseline`");
}
