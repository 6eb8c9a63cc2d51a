//! Amazon Bedrock Converse: one `usage` object, in a stream in its last event. `inputTokens` excludes
//! what was read from or written to the prompt cache.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>

use super::{Report, replace};
use crate::protocol::bedrock::Usage;

pub(super) fn read(report: &mut Report, usage: &Usage<'_>) {
    replace(&mut report.cached, usage.cache_read);
    replace(&mut report.cache_creation, usage.cache_write);
    let sum = usage.input_tokens.map(|uncached| {
        uncached
            .saturating_add(usage.cache_read.unwrap_or(0))
            .saturating_add(usage.cache_write.unwrap_or(0))
    });
    replace(&mut report.prompt, sum);
    replace(&mut report.completion, usage.output_tokens);
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use crate::json::parse;
    use crate::usage::{Report, Usage};

    fn read(text: &str) -> Option<Usage> {
        let mut report = Report::default();
        report.bedrock(&parse(text).unwrap());
        report.usage()
    }

    #[test]
    fn cached_tokens_count_as_prompt_tokens() {
        let text = r#"{"inputTokens":10,"outputTokens":5,"totalTokens":1115,
            "cacheReadInputTokens":100,"cacheWriteInputTokens":1000,
            "cacheDetails":[{"ttl":"5m","inputTokens":1000}]}"#;
        let usage = read(text).unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (1110, 5));
        assert_eq!((usage.cached_tokens, usage.cache_creation_tokens), (100, 1000));
    }

    #[test]
    fn without_a_cache() {
        let usage = read(r#"{"inputTokens":10,"outputTokens":5,"totalTokens":15}"#).unwrap();
        assert_eq!((usage.prompt_tokens, usage.total_tokens()), (10, 15));
    }

    #[test]
    fn nothing_reported_is_not_zero_and_counts_at_the_edge_do_not_overflow() {
        assert_eq!(read("{}"), None);
        let max = u64::MAX;
        let text = format!(
            r#"{{"inputTokens":{max},"outputTokens":{max},"cacheReadInputTokens":{max},
                "cacheWriteInputTokens":{max}}}"#
        );
        assert_eq!(read(&text).unwrap().total_tokens(), max);
    }
}
