//! Anthropic Messages as the provider's protocol, <https://docs.anthropic.com/en/api/messages>.

mod model;
mod request;
mod response;
mod stream;
mod thinking;

pub(super) use model::Generation;
pub use request::write;
pub(super) use request::write_arguments;
pub use response::{observe, read, read_error};
pub use stream::StreamReader;
pub(super) use thinking::Thought;

use shared::errors::ErrorKind;
use shared::json::JsonStr;

use crate::translate::ir::StopReason;

/// The `stop_reason`; one that is not known yet counts as the end.
fn stop_reason(reason: &JsonStr<'_>) -> StopReason {
    match &*reason.decode() {
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "tool_use" => StopReason::ToolCalls,
        "refusal" => StopReason::Filter,
        "stop_sequence" => StopReason::StopSequence,
        _ => StopReason::End,
    }
}

/// What a type of error means, <https://docs.anthropic.com/en/api/errors>.
fn error_kind(kind: &str) -> ErrorKind {
    match kind {
        "invalid_request_error" => ErrorKind::InvalidRequest,
        "authentication_error" => ErrorKind::Authentication,
        "permission_error" | "billing_error" => ErrorKind::Permission,
        "not_found_error" => ErrorKind::NotFound,
        "request_too_large" => ErrorKind::TooLarge,
        "rate_limit_error" => ErrorKind::RateLimit,
        "timeout_error" => ErrorKind::Timeout,
        "overloaded_error" => ErrorKind::Overloaded,
        _ => ErrorKind::Internal,
    }
}
