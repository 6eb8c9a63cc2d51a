//! A gateway of two providers on a scripted host.
// What follows are helpers of tests, outside of the functions that clippy knows as tests.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic
)]

pub(crate) mod cases;
pub(crate) mod members;
pub(crate) mod routes;

use std::rc::Rc;

use ai_proxy::configure;
use shared::exchange::Exchange;
use shared::plugin::{Plugin, Setup};
pub use shared::testing::{answer, chat_host, exchange_of, feed, head, send, sent, stream};

/// OpenAI as `o`, Anthropic as `a`; `best` is both, in this order.
pub const CONFIG: &str = r#"{
    "providers": [
        {"name": "o", "protocol": "openai", "api_key": "sk-o", "cluster": "co"},
        {"name": "a", "protocol": "anthropic", "api_key": "sk-a", "cluster": "ca",
         "headers": {"X-Extra": "1"}}
    ],
    "models": [
        {"name": "gpt-*", "targets": [{"provider": "o"}]},
        {"name": "claude-*", "targets": [{"provider": "a"}]},
        {"name": "best", "cluster": "both", "targets": [
            {"provider": "o", "model": "gpt-5"}, {"provider": "a", "model": "claude-5"}]}
    ],
    "aliases": {"fast": "claude-haiku"}
}"#;

/// An exchange of a gateway with this configuration in this role.
pub fn exchange(config: &str, role: &str) -> Exchange {
    exchange_of(&plugin(config, role))
}

/// A gateway with this configuration in this role.
pub fn plugin(config: &str, role: &str) -> Rc<dyn Plugin> {
    configure(Setup { config: config.as_bytes(), vm_config: role.as_bytes() }).unwrap()
}

/// A request for Anthropic's model.
pub fn ask(model: &str, more: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]{more}}}"#)
}
