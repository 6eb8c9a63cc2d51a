//! Where answers are.

pub mod fills;
pub mod local;
pub mod memory;
pub mod redis;
pub mod webdis;
