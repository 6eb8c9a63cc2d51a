//! Amazon Bedrock Converse and ConverseStream as the provider's protocol,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

mod content;
mod family;
mod media;
mod request;
mod response;
mod stream;
mod tools;

pub(super) use content::is_blank;
pub use request::write;
pub use response::{observe, read, read_error};
pub use stream::StreamReader;

use shared::errors::ErrorKind;
use shared::json::JsonStr;

use crate::translate::ir::StopReason;
use family::Family;

/// The `stopReason`; one that is not known yet counts as the end. `None` where what the model said
/// could not be read by Bedrock itself, so that the answer is none.
fn stop_reason(reason: &JsonStr<'_>) -> Option<StopReason> {
    Some(match &*reason.decode() {
        "tool_use" => StopReason::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "stop_sequence" => StopReason::StopSequence,
        "guardrail_intervened" | "content_filtered" => StopReason::Filter,
        "malformed_model_output" | "malformed_tool_use" => return None,
        _ => StopReason::End,
    })
}

/// What an exception means,
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html>. In a stream its name
/// begins with a small letter.
fn error_kind(name: &str) -> ErrorKind {
    match name.to_ascii_lowercase().trim_end_matches("exception") {
        "validation" | "conflict" => ErrorKind::InvalidRequest,
        "unrecognizedclient"
        | "invalidsignature"
        | "incompletesignature"
        | "missingauthenticationtoken"
        | "expiredtoken" => ErrorKind::Authentication,
        "accessdenied" | "notauthorized" | "optinrequired" => ErrorKind::Permission,
        "resourcenotfound" => ErrorKind::NotFound,
        "throttling" | "toomanyrequests" | "servicequotaexceeded" => ErrorKind::RateLimit,
        "serviceunavailable" | "modelnotready" => ErrorKind::Overloaded,
        "modeltimeout" => ErrorKind::Timeout,
        "modelerror" | "modelstreamerror" => ErrorKind::BadGateway,
        _ => ErrorKind::Internal,
    }
}

/// Whether a model is Anthropic's Claude, or Amazon's Nova.
pub(in crate::translate) fn is_claude_or_nova(model: &str) -> (bool, bool) {
    let family = Family::of(model);
    (family == Family::Claude, matches!(family, Family::Nova | Family::Nova2))
}

#[cfg(test)]
mod tests;
