//! Anthropic Messages as the provider's protocol, <https://docs.anthropic.com/en/api/messages>.

mod request;
mod response;
mod stream;

pub use request::write;
pub use response::{read, read_error};
pub use stream::StreamReader;

use shared::json::JsonStr;

use crate::translate::ir::StopReason;

/// The `stop_reason`; one that is not known yet counts as the end.
fn stop_reason(reason: &JsonStr<'_>) -> StopReason {
    match &*reason.decode() {
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "tool_use" => StopReason::ToolCalls,
        "refusal" => StopReason::Filter,
        _ => StopReason::End,
    }
}
