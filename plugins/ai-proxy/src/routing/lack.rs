//! What a client is told where no target is left.

use shared::errors::{ApiError, ErrorKind, TOO_LONG};

use super::config::Need;

/// Why no target was left.
#[derive(Debug, Default)]
pub(super) struct Lack {
    pub(super) region: bool,
    pub(super) need: Option<Need>,
    pub(super) context: Option<u64>,
    pub(super) exhausted: bool,
    /// The client has named another.
    pub(super) pinned: bool,
}

impl Lack {
    /// In words.
    pub(super) fn error(self) -> ApiError {
        if self.pinned {
            let message = "`x-ai-pin` names a target that this request cannot go to; leave it out, or \
                           name one that `x-ai-provider` and `x-ai-model` have told";
            return ApiError::new(ErrorKind::InvalidRequest, message).code("pin_not_available");
        }
        if self.exhausted {
            let message = "the limits of all providers of this model are used up; try again later";
            return ApiError::new(ErrorKind::RateLimit, message).code("targets_exhausted");
        }
        if let Some(context) = self.context {
            let message = format!(
                "the prompt and the answer asked for are longer than {context} tokens, the most that \
                 a provider of this model takes; shorten the prompt or lower `max_tokens`"
            );
            return ApiError::new(ErrorKind::InvalidRequest, message).code(TOO_LONG);
        }
        if let Some(need) = self.need {
            let what = match need {
                Need::Tools => "call functions",
                Need::Vision => "see pictures",
                Need::Audio => "hear",
                Need::Documents => "read documents",
                Need::JsonSchema => "keep to a JSON Schema",
                Need::Reasoning => "think",
            };
            let message = format!("no provider of this model can {what}; choose another model");
            return ApiError::new(ErrorKind::InvalidRequest, message).code("unsupported_by_model");
        }
        let message = "no provider of this model is in a region that this request may go to";
        ApiError::new(ErrorKind::Permission, message).code("region_not_allowed")
    }
}
