//! OpenAI's older Completions as the client's protocol: one text in, one text out.
//! <https://platform.openai.com/docs/api-reference/completions>

mod request;
mod response;

pub use request::read;
pub use response::{StreamWriter, write};

use crate::translate::client::openai_chat;
use crate::translate::ir::Field;

/// Where a field stands in a request; those that are not here are named as in Chat Completions.
pub fn name_of(field: Field) -> &'static str {
    openai_chat::name_of(field)
}
