//! From every client's protocol to every provider's and back, through one hub ([`ir`]), so that a pair
//! cannot be missing.

mod arrange;
pub mod client;
pub mod count;
pub mod embed;
pub mod ir;
pub mod lost;
mod media;
pub mod provider;
pub mod signature;
