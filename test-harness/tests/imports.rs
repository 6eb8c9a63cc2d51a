//! A module with one import that a host lacks does not load there, on APISIX without a word.

mod support;

use test_harness::emulator::imports;

#[test]
fn every_built_plugin_imports_only_what_both_hosts_offer() {
    for module in support::built() {
        if let Err(wrong) = imports::check(&module) {
            panic!("{}:\n{}", module.name(), wrong.join("\n"));
        }
    }
}
