//! The wire formats of clients and providers, and which request belongs to which.
//!
//! Each format is one file of typed views that borrow from the document and name the fields the
//! gateway works with; what they do not name stays in the document untouched.

pub mod anthropic;
pub mod bedrock;
pub mod cohere;
pub mod content;
pub mod embeddings;
pub mod endpoint;
pub mod gemini;
pub mod head;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_responses;

pub use content::Content;
pub use endpoint::{Endpoint, GooglePath, Service, Vendor};
