//! OpenAI Responses as the provider's protocol,
//! <https://platform.openai.com/docs/api-reference/responses>.

mod input;
mod request;
mod response;
mod stream;

pub use request::write;
pub use response::{observe, read, read_error};
pub use stream::StreamReader;

use shared::errors::ErrorKind;
use shared::json::JsonStr;

use super::openai_chat;
use crate::translate::ir::StopReason;

/// Why an answer is incomplete.
fn stop_reason(reason: Option<&JsonStr<'_>>) -> StopReason {
    match reason {
        Some(reason) if *reason == *"content_filter" => StopReason::Filter,
        _ => StopReason::Length,
    }
}

/// What a code or type of error means,
/// <https://platform.openai.com/docs/api-reference/responses/object#responses/object-error>.
fn error_kind(code: &str) -> ErrorKind {
    match code {
        "invalid_prompt" => ErrorKind::InvalidRequest,
        code if code.contains("image") => ErrorKind::InvalidRequest,
        code => openai_chat::error_kind(code),
    }
}
