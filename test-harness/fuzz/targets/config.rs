//! Configurations: any bytes are taken or refused with a reason, and what is taken makes filters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::plugin::Setup;

fuzz_target!(|config: &[u8]| {
    for vm_config in [&b""[..], b"route", b"translate"] {
        match ai_gateway::configure(Setup { config, vm_config }) {
            Ok(plugin) => assert!(plugin.filters().len() <= 1),
            Err(error) => assert!(!error.message.is_empty()),
        }
    }
});
