//! Gemini generateContent as the provider's protocol,
//! <https://ai.google.dev/api/generate-content>.

mod contents;
mod model;
mod request;
mod response;
mod stream;

pub use request::write;
pub use response::{observe, read, read_error};
pub use stream::StreamReader;

use shared::errors::ErrorKind;
use shared::json::JsonStr;

use crate::translate::ir::StopReason;

/// What the ids of calls begin with that the model gave none. Such an id is of use to clients only and
/// does not go back: not every model and platform of Google's has the field.
const OWN_ID: &str = "gemini_";

/// What a `finishReason` means, <https://ai.google.dev/api/generate-content#FinishReason>. `Err` if
/// the model's answer came to nothing; one that is not known yet counts as the end.
fn stop_reason(reason: &JsonStr<'_>, called: bool) -> Result<StopReason, String> {
    let reason = reason.decode();
    Ok(match &*reason {
        "MAX_TOKENS" => StopReason::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "OTHER"
        | "NO_IMAGE"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "IMAGE_OTHER" => StopReason::Filter,
        // What the model tried to call cannot be read, not even by Google.
        "MALFORMED_FUNCTION_CALL"
        | "MALFORMED_RESPONSE"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE" => return Err(reason.into_owned()),
        _ if called => StopReason::ToolCalls,
        _ => StopReason::End,
    })
}

/// What the `status` of an error means, or else its `code`, <https://google.aip.dev/193>.
fn error_kind(status: &str, code: Option<u16>) -> ErrorKind {
    match status {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => ErrorKind::InvalidRequest,
        "UNAUTHENTICATED" => ErrorKind::Authentication,
        "PERMISSION_DENIED" => ErrorKind::Permission,
        "NOT_FOUND" => ErrorKind::NotFound,
        "RESOURCE_EXHAUSTED" => ErrorKind::RateLimit,
        "UNAVAILABLE" => ErrorKind::Overloaded,
        "DEADLINE_EXCEEDED" => ErrorKind::Timeout,
        _ => code.map_or(ErrorKind::Internal, ErrorKind::of_status),
    }
}
