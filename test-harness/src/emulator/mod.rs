//! A proxy-wasm host (ABI 0.2.1) that behaves as stock Envoy or as Apache APISIX does.
//!
//! It loads a plugin's `.wasm`, makes every callback with the chunking a test chooses, and lets the
//! test look at everything: what goes upstream, what the client gets, HTTP calls, properties, shared
//! data, metrics, logs, every host call with its status. Time, ids and randomness are fixed, so
//! runs are alike down to the count of instructions.
//!
//! `docs/hosts.md` says what the two hosts do; where the real host would crash or hang, so does the
//! test, with a message. What follows from the sources of Envoy and of wasm-nginx-module beyond that
//! document is marked in the tests `emulator_envoy` and `emulator_apisix`.
//!
//! ```no_run
//! use test_harness::emulator::{Module, Options, Request, Response, Vm, no_callouts, run};
//!
//! let module = Module::from_file("dist/ai_proxy.wasm")?;
//! for options in [Options::envoy(), Options::apisix_bridge()] {
//!     let vm = Vm::start(&module, options)?;
//!     let root = vm.configure(r#"{"providers": []}"#)?;
//!     let request = Request::post("/v1/chat/completions", r#"{"model": "m"}"#).in_chunks_of(7);
//!     let done = run(&vm, root, request, |_| Response::json(200, "{}"), no_callouts);
//!     assert_eq!(done.client.status(), 200);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod abi;
mod exchange;
mod headers;
pub mod imports;
mod instance;
mod map;
mod module;
mod options;
pub mod probe;
mod profile;
mod run;
mod shared;
mod state;
mod stream;
mod vm;

pub use exchange::{ClientResponse, Exchange, Finish};
pub use headers::Headers;
pub use module::{LoadError, Module};
pub use options::{Options, Traps};
pub use profile::Profile;
pub use run::{CalloutReply, Exchanged, Request, Response, no_callouts, run};
pub use shared::{Metric, MetricKind, SharedStore};
pub use state::{Callback, Callout, HostCall, LogLine, Status};
pub use stream::HttpMessage;
pub use vm::{ConfigRefused, RootContext, Vm};
