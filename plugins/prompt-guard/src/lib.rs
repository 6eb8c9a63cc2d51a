//! prompt-guard: what may pass between a client and a model.

pub mod detect;
pub mod mask;
pub mod normalise;
pub mod pii;
