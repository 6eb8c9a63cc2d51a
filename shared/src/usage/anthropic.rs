//! Anthropic Messages: `message_start` has the request's counts, each `message_delta` the counts so
//! far. `input_tokens` excludes what was read from or written to the prompt cache.
//! <https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance>

use super::{Report, replace};
use crate::protocol::anthropic::Usage;

pub(super) fn read(report: &mut Report, usage: &Usage<'_>) {
    // The three parts come together or each by itself, so the sum is made of the newest of each.
    let uncached = usage.input_tokens.or_else(|| {
        let cache = report.cached.unwrap_or(0).saturating_add(report.cache_creation.unwrap_or(0));
        report.prompt.map(|prompt| prompt.saturating_sub(cache))
    });
    replace(&mut report.cached, usage.cache_read_input_tokens);
    replace(&mut report.cache_creation, usage.cache_creation_input_tokens);
    report.prompt = uncached.map(|uncached| {
        uncached
            .saturating_add(report.cached.unwrap_or(0))
            .saturating_add(report.cache_creation.unwrap_or(0))
    });
    replace(&mut report.completion, usage.output_tokens);
    let details = usage.output_tokens_details.as_ref();
    replace(&mut report.reasoning, details.and_then(|details| details.thinking_tokens));
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use crate::json::parse;
    use crate::usage::{Report, Usage};

    fn read(texts: &[&str]) -> Usage {
        let mut report = Report::default();
        for text in texts {
            report.anthropic(&parse(text).unwrap());
        }
        report.usage().unwrap()
    }

    #[test]
    fn cached_tokens_count_as_prompt_tokens() {
        let usage = read(&[r#"{"input_tokens":10,"cache_read_input_tokens":100,
            "cache_creation_input_tokens":1000,"output_tokens":5}"#]);
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (1110, 5));
        assert_eq!((usage.cached_tokens, usage.cache_creation_tokens), (100, 1000));
    }

    #[test]
    fn a_streams_counts_are_cumulative() {
        let start = r#"{"input_tokens":10,"cache_read_input_tokens":100,"output_tokens":1}"#;
        let usage = read(&[start, r#"{"output_tokens":40}"#, r#"{"output_tokens":55}"#]);
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (110, 55));
    }

    #[test]
    fn thinking_is_part_of_the_answer() {
        let start = r#"{"input_tokens":10,"output_tokens":1}"#;
        let end = r#"{"output_tokens":50,"output_tokens_details":{"thinking_tokens":30}}"#;
        let usage = read(&[start, end]);
        assert_eq!((usage.completion_tokens, usage.reasoning_tokens), (50, 30));
    }

    #[test]
    fn the_last_event_can_correct_the_prompt() {
        let start = r#"{"input_tokens":10,"cache_read_input_tokens":100,"output_tokens":1}"#;
        let delta = r#"{"input_tokens":30,"cache_read_input_tokens":100,"output_tokens":2}"#;
        assert_eq!(read(&[start, delta]).prompt_tokens, 130);
        let cache_only = r#"{"cache_read_input_tokens":120,"output_tokens":2}"#;
        assert_eq!(read(&[start, cache_only]).prompt_tokens, 130);
    }

    #[test]
    fn counts_at_the_edge_do_not_overflow() {
        let max = u64::MAX;
        let usage = read(&[&format!(
            r#"{{"input_tokens":{max},"cache_read_input_tokens":{max},"output_tokens":{max}}}"#
        )]);
        assert_eq!(usage.total_tokens(), max);
    }
}
