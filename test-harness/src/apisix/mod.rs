//! An HTTP front of the [`emulator`](crate::emulator)'s APISIX: reads what `config.yaml` and
//! `apisix.yaml` say, listens on a port, runs each request through the route's plugins in APISIX's order,
//! makes real HTTP requests to upstreams and callouts, and streams answers back.
//!
//! It plays what the examples use and refuses the rest, so that a misspelt key is an error and not
//! silence. Each worker is a thread with its own instance of every module, as each nginx process has.
//! Where a module would bring a real worker down, this process ends.

mod bridge;
mod client;
mod conf;
mod exchange;
mod nginx;
mod server;
mod site;
mod wire;
mod worker;

pub use server::{Modules, Server, Settings};
pub use site::{Plugin, Route, Site, SiteError, Upstream, WasmPlugin};
