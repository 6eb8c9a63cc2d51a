//! Failures that another target may be the answer to, told by what providers say.

use shared::errors::TOO_LONG;

use super::config::Failure;

/// Words of prompts that are too long, in lower case: OpenAI and those that speak like it
/// (`context_length_exceeded`, "maximum context length"), Anthropic ("prompt is too long"), Bedrock
/// ("input is too long"), Gemini ("exceeds the maximum number of tokens"), Cohere ("too many tokens"),
/// Groq ("reduce the length").
const CONTEXT: [&str; 9] = [
    "context_length_exceeded",
    "context length",
    "context window",
    "prompt is too long",
    "input is too long",
    "maximum number of tokens",
    "too many tokens",
    "reduce the length",
    "exceed context limit",
];

/// Words of requests that a provider's filter stopped, in lower case: OpenAI and Azure
/// (`content_filter`, `content_policy_violation`, "content management policy",
/// `responsibleaipolicyviolation`), Alibaba (`data_inspection_failed`), Anthropic ("content filtering
/// policy"), Bedrock ("guardrail").
const FILTER: [&str; 8] = [
    "content_filter",
    "content_policy",
    "content management policy",
    "responsibleaipolicyviolation",
    "data_inspection_failed",
    "content filtering policy",
    "guardrail",
    "safety_violation",
];

/// Most bytes of an error that are looked at.
const LOOKED_AT: usize = 4096;

/// Which of them an error is, by its status and body; none if another target would say the same.
pub fn of_error(status: u16, body: &str) -> Option<Failure> {
    // A request that is too large, or that cannot be processed, comes as 413 and 422 too.
    if !matches!(status, 400 | 403 | 413 | 422) {
        return None;
    }
    let mut end = body.len().min(LOOKED_AT);
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    let body = body.get(..end).unwrap_or_default().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| body.contains(word));
    if says(&CONTEXT) {
        Some(Failure::ContextLength)
    } else if says(&FILTER) {
        Some(Failure::ContentFilter)
    } else {
        None
    }
}

/// The code by which clients are told of an error: that which all programs know a prompt by that is too long, else the
/// provider's own.
pub fn code_of(class: Option<Failure>, code: &str) -> &str {
    match class {
        Some(Failure::ContextLength) => TOO_LONG,
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_providers_say_is_understood() {
        let context = Some(Failure::ContextLength);
        let filter = Some(Failure::ContentFilter);
        for (status, body, failure) in [
            (400, r#"{"error":{"code":"context_length_exceeded"}}"#, context),
            (400, r#"{"type":"error","error":{"message":"prompt is too long: 2 > 1"}}"#, context),
            (400, r#"{"message":"Input is too long for requested model."}"#, context),
            (
                400,
                r#"{"error":{"message":"The input token count (9) exceeds the maximum number of tokens allowed (8)."}}"#,
                context,
            ),
            (400, r#"{"error":{"code":"content_filter"}}"#, filter),
            (400, r#"{"error":{"code":"content_policy_violation"}}"#, filter),
            (400, r#"{"error":{"message":"temperature: must be 2 or less"}}"#, None),
            (429, r#"{"error":{"message":"too many tokens per minute"}}"#, None),
        ] {
            assert_eq!(of_error(status, body), failure, "{body}");
        }
    }
}
