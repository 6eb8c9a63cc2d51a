//! What every plugin of wasm-ai-gateway stands on.
//!
//! A plugin is a pure [`Filter`](filter::Filter) over a [`Host`](host::Host); this crate has the two
//! interfaces, the driver between them and a proxy's callbacks ([`exchange`]), and what two plugins
//! or more need: framing, protocols, token counts, errors, facts and config.

// What is derived names this crate, here too.
extern crate self as shared;

pub mod admin;
#[cfg(any(target_os = "wasi", test))]
mod allocator;
pub mod answer;
pub mod audit;
pub mod chain;
pub mod client;
pub mod config;
pub mod errors;
pub mod eventstream;
pub mod exchange;
pub mod facts;
pub mod filter;
pub mod follow;
mod found;
pub mod frames;
pub mod host;
pub mod hours;
pub mod json;

pub mod models;
pub mod multipart;
pub mod pattern;
pub mod percent;
pub mod pick;
pub mod place;
pub mod plugin;
pub mod price;
pub mod protocol;
pub mod remembered;
pub mod request;
pub mod services;
pub mod sigv4;
pub mod sixteen;
pub mod small_map;
pub mod sort;
pub mod sse;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod texts;
pub mod time;
pub mod tokens;
pub mod usage;
pub mod view;
pub mod write;
