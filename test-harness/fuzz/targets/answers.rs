//! Answers: every provider's readers, every client's writer. What is read becomes valid JSON.
#![no_main]

use ai_proxy::config::Protocol;
use ai_proxy::translate::client::{Client, Context};
use ai_proxy::translate::provider;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use shared::usage::Report;

fuzz_target!(|text: &str| {
    for protocol in Protocol::ALL {
        let mut report = Report::default();
        provider::observe(protocol, text.into(), &mut report);
        let _ = (report.usage(), provider::is_last(protocol, text));
        let _ = provider::read_error(protocol, text);
        match provider::read(protocol, text) {
            Ok(response) => {
                for client in Client::ALL {
                    let context = Context { model: "m".into(), id: 7, ..Context::default() };
                    let body = client.write(&response, &context);
                    if let Err(error) = serde_json::from_str::<&RawValue>(&body) {
                        panic!("{protocol:?} to {client:?}: {error}: {body}");
                    }
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
