//! Whether a model, or its provider's filter, has refused to answer.

use crate::translate::ir::{Choice, Response, StopReason};

/// Whether something stands in an answer that stands in each that a filter has kept back. `"refusal":null`,
/// which every answer of OpenAI's has, does not count.
pub(super) fn may_be_filtered(text: &str) -> bool {
    memchr::memchr_iter(b'"', text.as_bytes()).any(|quote| {
        let string = || text.get(quote + 1..).unwrap_or_default();
        match text.as_bytes().get(quote + 1) {
            Some(b'c') => string().starts_with("content_filter"),
            Some(b'b') => string().starts_with("blockReason"),
            Some(b's') => string().starts_with("sensitive"),
            // What stands there most often is `STOP`.
            Some(b'f') => string().strip_prefix("finishReason\"").is_some_and(|rest| {
                let reason = rest.trim_start_matches([':', ' ', '"']);
                !reason.starts_with("STOP") && !reason.starts_with("MAX_TOKENS")
            }),
            Some(b'r') => string().strip_prefix("refusal\"").is_some_and(|rest| {
                let value = rest.trim_start().strip_prefix(':').map(str::trim_start);
                !value.is_some_and(|value| value.starts_with("null"))
            }),
            _ => false,
        }
    })
}

/// Whether all that it says is that it says nothing.
pub(super) fn is_filtered(response: &Response<'_>) -> bool {
    let refused =
        |choice: &Choice<'_>| choice.stop == Some(StopReason::Filter) && choice.parts.is_empty();
    response.choices.iter().all(refused)
}

#[cfg(test)]
mod tests {
    use super::may_be_filtered;

    #[test]
    fn an_answer_is_read_for_a_refusal_only_if_it_may_have_one() {
        for text in [
            r#"{"choices":[{"message":{"content":null},"finish_reason":"content_filter"}]}"#,
            r#"{"choices":[{"message":{"refusal": "I cannot"}}]}"#,
            r#"{"stop_reason":"refusal"}"#,
            r#"{"candidates":[{"finishReason":"SAFETY"}]}"#,
            r#"{"candidates":[{"finishReason":"PROHIBITED_CONTENT"}]}"#,
            r#"{"candidates":[{"finishReason":"RECITATION"}]}"#,
            r#"{"candidates":[{"finishReason": "SPII"}]}"#,
            r#"{"candidates":[{"finishReason":"BLOCKLIST"}]}"#,
            r#"{"choices":[{"finish_reason":"sensitive","message":{"content":""}}]}"#,
            r#"{"promptFeedback":{"blockReason":"OTHER"}}"#,
        ] {
            assert!(may_be_filtered(text), "{text}");
        }
        for text in [
            r#"{"choices":[{"message":{"content":"Safety first","refusal":null}}]}"#,
            r#"{"choices":[{"message":{"content":"hi", "refusal" : null}}]}"#,
            r#"{"candidates":[{"finishReason": "STOP"}]}"#,
            "",
        ] {
            assert!(!may_be_filtered(text), "{text}");
        }
    }
}
