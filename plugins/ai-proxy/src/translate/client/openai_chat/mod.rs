//! OpenAI Chat Completions as the client's protocol.

mod request;
mod response;
mod stream;

pub use request::read;
pub use response::write;
pub use stream::StreamWriter;

use crate::translate::ir::StopReason;

/// The `finish_reason`.
fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End => "stop",
        StopReason::Length => "length",
        StopReason::ToolCalls => "tool_calls",
        StopReason::Filter => "content_filter",
    }
}
