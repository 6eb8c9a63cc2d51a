//! What every plugin of wasm-ai-gateway stands on.
pub mod eventstream;
pub mod sse;
