//! How a provider is told who is asking, where a key in a header is not enough.

pub mod google;
