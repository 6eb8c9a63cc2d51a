//! OpenAI Chat Completions as the provider's protocol,
//! <https://platform.openai.com/docs/api-reference/chat>.

mod request;
mod response;
mod stream;

pub use request::write;
pub use response::{read, read_error};
pub use stream::StreamReader;

use shared::json::JsonStr;

use crate::translate::ir::StopReason;

/// The `finish_reason`; one that is not known counts as the end.
fn stop_reason(reason: &JsonStr<'_>) -> StopReason {
    match &*reason.decode() {
        "length" => StopReason::Length,
        "tool_calls" | "function_call" => StopReason::ToolCalls,
        "content_filter" => StopReason::Filter,
        _ => StopReason::End,
    }
}
