//! OpenAI Responses: one `usage` object in the answer, in a stream in that of the last event. Input
//! tokens include the cached ones, output tokens those of thinking.
//! <https://platform.openai.com/docs/api-reference/responses/object>

use super::{Report, replace};
use crate::protocol::openai_responses::Usage;

pub(super) fn read(report: &mut Report, usage: &Usage<'_>) {
    replace(&mut report.prompt, usage.input_tokens);
    replace(&mut report.completion, usage.output_tokens);
    let input = usage.input_tokens_details.as_ref();
    replace(&mut report.cached, input.and_then(|details| details.cached_tokens));
    replace(&mut report.cache_creation, input.and_then(|details| details.cache_write_tokens));
    let output = usage.output_tokens_details.as_ref();
    replace(&mut report.reasoning, output.and_then(|details| details.reasoning_tokens));
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use crate::json::parse;
    use crate::usage::{Report, Usage};

    fn read(texts: &[&str]) -> Option<Usage> {
        let mut report = Report::default();
        for text in texts {
            report.openai_responses(&parse(text).unwrap());
        }
        report.usage()
    }

    #[test]
    fn cached_and_reasoning_tokens_are_parts_of_the_totals() {
        let text = r#"{"input_tokens":100,"output_tokens":20,"total_tokens":120,
            "input_tokens_details":{"cached_tokens":64,"cache_write_tokens":8},
            "output_tokens_details":{"reasoning_tokens":12}}"#;
        let usage = read(&[text]).unwrap();
        assert_eq!((usage.prompt_tokens, usage.cached_tokens), (100, 64));
        assert_eq!(usage.cache_creation_tokens, 8);
        assert_eq!((usage.completion_tokens, usage.reasoning_tokens), (20, 12));
        assert_eq!(usage.total_tokens(), 120);
    }

    #[test]
    fn details_may_be_missing_and_reports_are_not_added() {
        let first = r#"{"input_tokens":9,"output_tokens":1,"input_tokens_details":null}"#;
        let last = r#"{"input_tokens":9,"output_tokens":7}"#;
        let usage = read(&[first, last]).unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (9, 7));
        assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (0, 0));
        assert_eq!(read(&["{}"]), None);
    }
}
