//! OpenAI Chat Completions as the provider's protocol,
//! <https://platform.openai.com/docs/api-reference/chat>.

mod calls;
mod fit;
mod messages;
mod request;
mod response;
pub mod same;
mod stream;
mod thinking;

pub(super) use messages::write_breakpoint;
pub use request::write;
pub(super) use response::read_logprobs;
pub use response::{observe, read, read_error};
pub use stream::StreamReader;

use shared::errors::ErrorKind;
use shared::json::JsonStr;

use crate::translate::ir::StopReason;

/// The `finish_reason` of an answer that may have called functions; one that is not known counts as the end.
/// Where a function must be called OpenAI says `stop`, and so do some other servers after any call.
/// <https://community.openai.com/t/731488/13>
fn stop_reason(reason: &JsonStr<'_>, called: bool) -> StopReason {
    match &*reason.decode() {
        "length" => StopReason::Length,
        // The model's own limit (Mistral), and answers that were cut short (DeepSeek, GLM, Mistral, OpenRouter),
        // which must not look complete.
        "model_length" | "insufficient_system_resource" | "network_error" | "error" => {
            StopReason::Length
        }
        "tool_calls" | "function_call" => StopReason::ToolCalls,
        // The second is GLM's.
        "content_filter" | "sensitive" => StopReason::Filter,
        _ if called => StopReason::ToolCalls,
        _ => StopReason::End,
    }
}

/// What a type or code of error means, <https://platform.openai.com/docs/guides/error-codes>.
pub(super) fn error_kind(kind: &str) -> ErrorKind {
    match kind {
        // The last is vLLM's and SGLang's.
        "invalid_request_error" | "context_length_exceeded" | "BadRequestError" => {
            ErrorKind::InvalidRequest
        }
        "authentication_error" | "invalid_api_key" => ErrorKind::Authentication,
        "permission_error" | "permission_denied" => ErrorKind::Permission,
        "not_found_error" | "model_not_found" => ErrorKind::NotFound,
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "insufficient_quota"
        | "tokens"
        | "requests" => ErrorKind::RateLimit,
        "overloaded_error" | "service_unavailable_error" | "engine_overloaded" => {
            ErrorKind::Overloaded
        }
        "timeout_error" | "timeout" => ErrorKind::Timeout,
        // Some servers say a status.
        kind => match kind.parse() {
            Ok(status @ 400..600) => ErrorKind::of_status(status),
            _ => ErrorKind::Internal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_a_stream_may_be_told_by_its_status() {
        for (kind, meant) in [
            ("429", ErrorKind::RateLimit),
            ("BadRequestError", ErrorKind::InvalidRequest),
            ("400", ErrorKind::InvalidRequest),
            ("502", ErrorKind::BadGateway),
            ("rate_limit_error", ErrorKind::RateLimit),
            ("200", ErrorKind::Internal),
            ("70000", ErrorKind::Internal),
            ("server_error", ErrorKind::Internal),
        ] {
            assert_eq!(error_kind(kind), meant, "{kind}");
        }
    }
}
