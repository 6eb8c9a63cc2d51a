//! Overrides of a body's members: what is set is set, what is removed is gone, and nothing else
//! changes.
//!
//! The input is the overrides and the body, with a zero byte between them.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use ai_proxy::overrides::{Overrides, apply};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

fuzz_target!(|input: &str| {
    let Some((overrides, text)) = input.split_once('\0') else { return };
    let overrides: Overrides = shared::config::record(overrides.as_bytes()).unwrap_or_default();
    let out = apply(text, &overrides.edits(text));
    let Ok(before) = shared::json::fields(text) else {
        return assert_eq!(out, text);
    };
    // One that has a member twice is refused elsewhere.
    let names: BTreeSet<&str> = before.iter().map(|(name, _)| &**name).collect();
    if names.len() < before.len() {
        return;
    }
    let after: BTreeMap<String, &RawValue> = serde_json::from_str(&out).expect("an object");
    for (name, value) in &overrides.set {
        let found = after[name].get();
        assert_eq!(serde_json::from_str::<Value>(found).expect("JSON"), *value, "{out}");
    }
    for name in overrides.default.keys() {
        assert!(after.contains_key(name) || overrides.remove.contains(name), "{out}");
    }
    for name in overrides.remove.iter().filter(|name| !overrides.set.contains_key(*name)) {
        assert!(overrides.default.contains_key(name) || !after.contains_key(name), "{out}");
    }
    for (name, value) in &before {
        let name: &str = name;
        let kept = !overrides.set.contains_key(name)
            && !overrides.default.contains_key(name)
            && !overrides.remove.iter().any(|removed| removed == name);
        assert!(!kept || after[name].get() == value.get(), "{name}: {out}");
    }
});
