//! Cohere v2 Chat: one `usage` object, in a stream in `message-end`. `tokens` is what went through the
//! model; `billed_units` leaves out what Cohere adds to a prompt, and is a stand-in only.
//! <https://docs.cohere.com/reference/chat>

use super::{Report, replace};
use crate::protocol::cohere::{Tokens, Usage};

pub(super) fn read(report: &mut Report, usage: &Usage<'_>) {
    let count = |of: fn(&Tokens<'_>) -> Option<f64>| {
        let parts = [&usage.tokens, &usage.billed_units];
        parts.into_iter().flatten().find_map(of).map(whole)
    };
    replace(&mut report.prompt, count(|tokens| tokens.input_tokens));
    replace(&mut report.completion, count(|tokens| tokens.output_tokens));
    replace(&mut report.cached, usage.cached_tokens.map(whole));
}

/// Counts are decimals here. A cast ends at 0 and at the largest number.
fn whole(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use crate::json::parse;
    use crate::usage::{Report, Usage};

    fn read(text: &str) -> Option<Usage> {
        let mut report = Report::default();
        report.cohere(&parse(text).unwrap());
        report.usage()
    }

    #[test]
    fn what_went_through_the_model_counts() {
        let text = r#"{"billed_units":{"input_tokens":5,"output_tokens":40},
            "tokens":{"input_tokens":71.0,"output_tokens":43},"cached_tokens":64}"#;
        let usage = read(text).unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (71, 43));
        assert_eq!(usage.cached_tokens, 64);
    }

    #[test]
    fn billed_units_stand_in() {
        let text = r#"{"billed_units":{"input_tokens":5,"output_tokens":40},"tokens":null}"#;
        let usage = read(text).unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (5, 40));
    }

    #[test]
    fn nothing_reported_is_not_zero_and_odd_numbers_are_survived() {
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"tokens":{}}"#), None);
        let text = r#"{"tokens":{"input_tokens":-1,"output_tokens":1e300}}"#;
        assert_eq!(read(text).unwrap().total_tokens(), u64::MAX);
    }
}
