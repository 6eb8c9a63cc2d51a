//! OpenAI Chat Completions: one `usage` object, in a stream in the last chunk
//! (`stream_options.include_usage`). Prompt tokens include the cached ones.
//! <https://platform.openai.com/docs/api-reference/chat/object>

use super::{Report, replace};
use crate::protocol::openai_chat::Usage;

pub(super) fn read(report: &mut Report, usage: &Usage<'_>) {
    replace(&mut report.prompt, usage.prompt_tokens);
    let beyond = beyond_completion(usage);
    replace(
        &mut report.completion,
        usage.completion_tokens.map(|completion| completion.saturating_add(beyond)),
    );
    let prompt = usage.prompt_tokens_details.as_ref();
    let cached = prompt.and_then(|details| details.cached_tokens);
    let cached = cached.or(usage.prompt_cache_hit_tokens).or(usage.cached_tokens);
    replace(&mut report.cached, cached);
    replace(&mut report.cache_creation, prompt.and_then(|details| details.cache_creation_tokens));
    replace(&mut report.prompt_audio, prompt.and_then(|details| details.audio_tokens));
    let completion = usage.completion_tokens_details.as_ref();
    let reasoning = completion.and_then(|details| details.reasoning_tokens);
    replace(&mut report.reasoning, reasoning.or((beyond > 0).then_some(beyond)));
    replace(&mut report.completion_audio, completion.and_then(|details| details.audio_tokens));
}

/// xAI and Google's OpenAI-compatible endpoint leave thinking out of `completion_tokens`, which
/// OpenAI counts there; only their total has it.
/// <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/grok/capabilities/reasoning>
fn beyond_completion(usage: &Usage<'_>) -> u64 {
    let (Some(prompt), Some(completion), Some(total)) =
        (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    else {
        return 0;
    };
    total.saturating_sub(prompt).saturating_sub(completion)
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
            report.openai_chat(&parse(text).unwrap());
        }
        report.usage()
    }

    #[test]
    fn cached_and_reasoning_tokens_are_parts_of_the_totals() {
        let text = r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,
            "prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":12}}"#;
        let usage = read(&[text]).unwrap();
        assert_eq!((usage.prompt_tokens, usage.cached_tokens), (100, 64));
        assert_eq!((usage.completion_tokens, usage.reasoning_tokens), (20, 12));
        assert_eq!(usage.total_tokens(), 120);
    }

    #[test]
    fn sound_and_what_is_written_to_the_cache_are_parts_of_the_totals() {
        for name in ["cache_write_tokens", "cache_creation_tokens"] {
            let text = format!(
                r#"{{"prompt_tokens":100,"completion_tokens":20,
                "prompt_tokens_details":{{"{name}":64,"audio_tokens":30}},
                "completion_tokens_details":{{"audio_tokens":12}}}}"#
            );
            let usage = read(&[&text]).unwrap();
            assert_eq!((usage.prompt_audio_tokens, usage.completion_audio_tokens), (30, 12));
            assert_eq!(usage.cache_creation_tokens, 64);
        }
    }

    #[test]
    fn deepseeks_and_moonshots_names_for_cached_tokens() {
        for name in ["prompt_cache_hit_tokens", "cached_tokens"] {
            let text = format!(r#"{{"prompt_tokens":9,"completion_tokens":1,"{name}":8}}"#);
            assert_eq!(read(&[&text]).unwrap().cached_tokens, 8, "{name}");
        }
    }

    #[test]
    fn thinking_that_only_the_total_has() {
        let google = r#"{"prompt_tokens":7,"completion_tokens":12,"total_tokens":402}"#;
        let usage = read(&[google]).unwrap();
        assert_eq!((usage.completion_tokens, usage.reasoning_tokens), (395, 383));
        assert_eq!(usage.total_tokens(), 402);
        let xai = r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,
            "completion_tokens_details":{"reasoning_tokens":94}}"#;
        let usage = read(&[xai]).unwrap();
        assert_eq!((usage.completion_tokens, usage.reasoning_tokens), (103, 94));
        let less = r#"{"prompt_tokens":7,"completion_tokens":12,"total_tokens":12}"#;
        assert_eq!(read(&[less]).unwrap().completion_tokens, 12);
    }

    #[test]
    fn a_repeated_report_is_not_added() {
        let first = r#"{"prompt_tokens":9,"completion_tokens":1}"#;
        let last = r#"{"prompt_tokens":9,"completion_tokens":7,"prompt_tokens_details":null}"#;
        assert_eq!(read(&[first, last]).unwrap().completion_tokens, 7);
    }

    #[test]
    fn nothing_reported_is_not_zero() {
        assert_eq!(read(&["{}"]), None);
    }
}
