//! What the suite is tested with: the [`emulator`], a proxy-wasm host that behaves as stock Envoy or
//! as Apache APISIX does, and the scenarios that run on it.
pub mod apisix;
pub mod cost;
pub mod emulator;
pub mod passed;
