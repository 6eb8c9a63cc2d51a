//! Errors in the client's own protocol.
//!
//! Sources: <https://platform.openai.com/docs/guides/error-codes>,
//! <https://docs.anthropic.com/en/api/errors>, <https://google.aip.dev/193>.

use crate::filter::Reply;
use crate::json::JsonStr;
use crate::protocol::{Endpoint, Vendor};

/// The code of a prompt that is longer than the model takes. Programs shorten the conversation upon it.
pub const TOO_LONG: &str = "context_length_exceeded";
/// The code of a conversation that is not kept.
const NO_THREAD: &str = "thread_not_found";

/// What went wrong, apart from its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is malformed or asks for what cannot be had (400).
    InvalidRequest,
    /// No valid key (401).
    Authentication,
    /// The key may not do this (403).
    Permission,
    /// No such model or path (404).
    NotFound,
    /// The method does not fit the path (405).
    MethodNotAllowed,
    /// The body is larger than allowed (413).
    TooLarge,
    /// The content type or encoding cannot be read (415).
    UnsupportedMediaType,
    /// Too many requests or tokens (429).
    RateLimit,
    /// A mistake in the gateway or its setup (500).
    Internal,
    /// The provider's answer makes no sense, or broke off (502).
    BadGateway,
    /// The provider cannot be reached or is overloaded (503; Anthropic's 529).
    Overloaded,
    /// The provider took too long (504).
    Timeout,
}

impl ErrorKind {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            ErrorKind::InvalidRequest => 400,
            ErrorKind::Authentication => 401,
            ErrorKind::Permission => 403,
            ErrorKind::NotFound => 404,
            ErrorKind::MethodNotAllowed => 405,
            ErrorKind::TooLarge => 413,
            ErrorKind::UnsupportedMediaType => 415,
            ErrorKind::RateLimit => 429,
            ErrorKind::Internal => 500,
            ErrorKind::BadGateway => 502,
            ErrorKind::Overloaded => 503,
            ErrorKind::Timeout => 504,
        }
    }

    /// The kind that a provider's status stands for.
    pub fn of_status(status: u16) -> ErrorKind {
        match status {
            401 => ErrorKind::Authentication,
            402 | 403 => ErrorKind::Permission,
            404 => ErrorKind::NotFound,
            405 => ErrorKind::MethodNotAllowed,
            408 | 504 => ErrorKind::Timeout,
            413 => ErrorKind::TooLarge,
            415 => ErrorKind::UnsupportedMediaType,
            429 => ErrorKind::RateLimit,
            502 => ErrorKind::BadGateway,
            503 | 529 => ErrorKind::Overloaded,
            400..=499 => ErrorKind::InvalidRequest,
            _ => ErrorKind::Internal,
        }
    }

    /// The vendor's name for it: the `type` of OpenAI's and Anthropic's errors, the `status` of
    /// Google's.
    pub fn name(self, vendor: Vendor) -> &'static str {
        match vendor {
            Vendor::OpenAi => self.openai(),
            Vendor::Anthropic => self.anthropic(),
            Vendor::Google => self.google(),
        }
    }

    fn openai(self) -> &'static str {
        match self {
            ErrorKind::Authentication => "authentication_error",
            ErrorKind::Permission => "permission_error",
            ErrorKind::RateLimit => "rate_limit_error",
            ErrorKind::Internal | ErrorKind::BadGateway => "server_error",
            ErrorKind::Overloaded => "service_unavailable_error",
            ErrorKind::Timeout => "timeout_error",
            _ => "invalid_request_error",
        }
    }

    fn anthropic(self) -> &'static str {
        match self {
            ErrorKind::Authentication => "authentication_error",
            ErrorKind::Permission => "permission_error",
            ErrorKind::NotFound => "not_found_error",
            ErrorKind::TooLarge => "request_too_large",
            ErrorKind::RateLimit => "rate_limit_error",
            ErrorKind::Internal | ErrorKind::BadGateway => "api_error",
            ErrorKind::Overloaded => "overloaded_error",
            ErrorKind::Timeout => "timeout_error",
            _ => "invalid_request_error",
        }
    }

    fn google(self) -> &'static str {
        match self {
            ErrorKind::Authentication => "UNAUTHENTICATED",
            ErrorKind::Permission => "PERMISSION_DENIED",
            ErrorKind::NotFound => "NOT_FOUND",
            ErrorKind::RateLimit => "RESOURCE_EXHAUSTED",
            ErrorKind::Internal | ErrorKind::BadGateway => "INTERNAL",
            ErrorKind::Overloaded => "UNAVAILABLE",
            ErrorKind::Timeout => "DEADLINE_EXCEEDED",
            _ => "INVALID_ARGUMENT",
        }
    }
}

/// An error as the client is told of it. The message names the field and what to do; it never
/// quotes a prompt, an answer or a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// HTTP status; [`ErrorKind::status`] unless a provider said otherwise.
    pub status: u16,
    /// For people.
    pub message: String,
    /// The field at fault, as `messages[2].content`.
    pub param: Option<String>,
    /// For programs, as `model_not_found`.
    pub code: Option<String>,
}

impl ApiError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> ApiError {
        ApiError { kind, status: kind.status(), message: message.into(), param: None, code: None }
    }

    /// A conversation that Anthropic does not keep, or not here: its SDKs send all of it upon this.
    /// <https://platform.claude.com/docs/en/build-with-claude/message-threads>
    pub fn no_thread() -> ApiError {
        let message =
            "thread.previous_message_id: the conversation is not kept here; send all of it";
        ApiError::new(ErrorKind::NotFound, message).code(NO_THREAD)
    }

    /// Names the field at fault.
    pub fn param(mut self, param: impl Into<String>) -> ApiError {
        let param = param.into();
        self.param = (!param.is_empty()).then_some(param);
        self
    }

    /// Gives it a code for programs.
    pub fn code(mut self, code: &str) -> ApiError {
        self.code = Some(code.to_owned());
        self
    }

    /// Keeps a provider's own status (529, say).
    pub fn status(mut self, status: u16) -> ApiError {
        self.status = status;
        self
    }

    /// The body, in the form of this vendor.
    pub fn body(&self, vendor: Vendor) -> String {
        let code = self.code.as_deref().unwrap_or_default();
        // Where a vendor has no codes its own words are what programs know a prompt by that is too long.
        let words = match vendor {
            Vendor::Anthropic if code == TOO_LONG => "prompt is too long: ",
            Vendor::Google if code == TOO_LONG => {
                "the input exceeds the maximum number of tokens allowed: "
            }
            _ => "",
        };
        let quoted = |text: &str| JsonStr::encode(text).quoted().to_owned();
        let optional =
            |text: &Option<String>| text.as_deref().map_or_else(|| "null".to_owned(), quoted);
        let message = quoted(&[words, &self.message].concat());
        let kind = self.kind.name(vendor);
        match vendor {
            Vendor::OpenAi => format!(
                r#"{{"error":{{"code":{},"message":{message},"param":{},"type":"{kind}"}}}}"#,
                optional(&self.code),
                optional(&self.param)
            ),
            Vendor::Anthropic => {
                let details = match code {
                    NO_THREAD => r#""details":{"error_code":"thread_not_found"},"#,
                    _ => "",
                };
                format!(
                    r#"{{"error":{{{details}"message":{message},"type":"{kind}"}},"type":"error"}}"#
                )
            }
            Vendor::Google => format!(
                r#"{{"error":{{"code":{},"message":{message},"status":"{kind}"}}}}"#,
                self.status
            ),
        }
    }

    /// The whole answer, in the form of the API that was asked; OpenAI's for an unknown path.
    pub fn reply(&self, endpoint: Option<Endpoint>) -> Reply {
        let vendor = endpoint.map_or(Vendor::OpenAi, Endpoint::vendor);
        Reply {
            status: self.status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: self.body(vendor).into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::{Value, from_str, json};

    use super::*;

    #[test]
    fn each_vendors_form() {
        let error = ApiError::new(ErrorKind::NotFound, "no \"x\"").param("model").code("none");
        let body = |vendor| from_str::<Value>(&error.body(vendor)).unwrap();
        assert_eq!(
            body(Vendor::OpenAi),
            json!({"error": {"message": "no \"x\"", "type": "invalid_request_error",
                             "param": "model", "code": "none"}})
        );
        assert_eq!(
            body(Vendor::Anthropic),
            json!({"type": "error", "error": {"type": "not_found_error", "message": "no \"x\""}})
        );
        assert_eq!(
            body(Vendor::Google),
            json!({"error": {"code": 404, "message": "no \"x\"", "status": "NOT_FOUND"}})
        );
    }

    #[test]
    fn programs_know_errors_that_they_can_do_something_about() {
        let error = ApiError::new(ErrorKind::InvalidRequest, "x").code(TOO_LONG);
        let told = |error: &ApiError, vendor| from_str::<Value>(&error.body(vendor)).unwrap();
        let long = |vendor| told(&error, vendor)["error"]["message"].clone();
        assert_eq!(long(Vendor::Anthropic), "prompt is too long: x");
        assert_eq!(
            long(Vendor::Google),
            "the input exceeds the maximum number of tokens allowed: x"
        );
        assert_eq!(told(&error, Vendor::OpenAi)["error"]["code"], TOO_LONG);
        assert_eq!(long(Vendor::OpenAi), "x");
        let thread = told(&ApiError::no_thread(), Vendor::Anthropic);
        assert_eq!(thread["error"]["details"], json!({"error_code": "thread_not_found"}));
        assert_eq!(told(&error, Vendor::Anthropic)["error"].get("details"), None);
    }

    #[test]
    fn every_status_has_a_kind_of_its_class() {
        for status in 400..600_u16 {
            let kind = ErrorKind::of_status(status);
            assert_eq!(kind.status() / 100, if status == 408 { 5 } else { status / 100 });
        }
    }
}
