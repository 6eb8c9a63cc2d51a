//! prompt-guard: what may pass between a client and a model.

pub mod pii;
pub mod mask;
