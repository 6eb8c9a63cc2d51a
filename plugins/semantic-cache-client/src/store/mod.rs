//! Where answers are.

pub mod index;
pub mod local;
pub mod memory;
pub mod redis;
pub mod webdis;
