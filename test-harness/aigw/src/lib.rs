//! `aigw`: one policy file, every host.
//!
//! A policy says who answers, who may ask, what may pass and what it may cost, in the plugins' own words.
//! It is checked by the plugins' own code, rendered into what a host reads, and compared with what runs.

pub mod check;
pub mod diff;
pub mod doctor;
pub mod hosts;
pub mod live;
pub mod policy;
pub mod update;
pub mod yaml;
