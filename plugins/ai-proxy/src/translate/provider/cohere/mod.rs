//! Cohere v2 Chat as the provider's protocol, <https://docs.cohere.com/reference/chat>.
//!
//! `tool_plan` is what a model says before it calls tools. It is text here, as other models say it: so
//! it comes back with the next round, where it becomes `tool_plan` again. A thought would be lost, as
//! Cohere signs none.

mod request;
mod response;
mod stream;
mod turns;

pub use request::write;
pub use response::{observe, read, read_error};
pub use stream::StreamReader;

use shared::errors::ErrorKind;
use shared::json::JsonStr;

use crate::translate::ir::StopReason;

/// The `finish_reason`; one that is not known yet counts as the end. An answer that failed is none.
fn stop_reason(reason: &JsonStr<'_>) -> Result<StopReason, ErrorKind> {
    Ok(match &*reason.decode() {
        "STOP_SEQUENCE" => StopReason::StopSequence,
        "MAX_TOKENS" => StopReason::Length,
        "TOOL_CALL" => StopReason::ToolCalls,
        "ERROR" => return Err(ErrorKind::BadGateway),
        "TIMEOUT" => return Err(ErrorKind::Timeout),
        _ => StopReason::End,
    })
}
