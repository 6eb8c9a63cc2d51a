//! Between protocols: each is read into and written from one hub ([`ir`]), so a further protocol is
//! one more folder and not one more pair with every other. A protocol that lacks a part of what is
//! asked of it here does not compile.

pub mod client;
pub mod ir;
pub mod provider;
