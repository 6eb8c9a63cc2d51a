//! Gemini: `usageMetadata`, in a stream in every chunk and each time with all that is known. Of the
//! answer, thoughts are counted apart; of the request, what Google's own tools returned.
//! <https://ai.google.dev/api/generate-content#UsageMetadata>

use super::{Report, replace};
use crate::protocol::gemini::{ModalityCount, Usage};

pub(super) fn read(report: &mut Report, usage: &Usage<'_>) {
    let tools = usage.tool_use_prompt_token_count.unwrap_or(0);
    let prompt = usage.prompt_token_count.map(|prompt| prompt.saturating_add(tools));
    replace(&mut report.prompt, prompt);
    replace(&mut report.cached, usage.cached_content_token_count);
    replace(&mut report.reasoning, usage.thoughts_token_count);
    // The first chunks have neither, or thoughts alone.
    let thoughts = usage.thoughts_token_count;
    let completion = match (usage.candidates_token_count, thoughts) {
        (None, None) => None,
        (said, thoughts) => Some(said.unwrap_or(0).saturating_add(thoughts.unwrap_or(0))),
    };
    replace(&mut report.completion, completion);
    replace(&mut report.prompt_audio, audio(usage.prompt_tokens_details.as_deref()));
    replace(&mut report.completion_audio, audio(usage.candidates_tokens_details.as_deref()));
}

fn audio(details: Option<&[ModalityCount<'_>]>) -> Option<u64> {
    let is_audio =
        |count: &&ModalityCount<'_>| count.modality.as_ref().is_some_and(|m| m == "AUDIO");
    details?.iter().find(is_audio)?.token_count
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
            report.gemini(&parse(text).unwrap());
        }
        report.usage().unwrap()
    }

    #[test]
    fn thoughts_and_tool_results_are_counted_in() {
        let usage = read(&[r#"{"promptTokenCount":100,"toolUsePromptTokenCount":11,
            "cachedContentTokenCount":64,"candidatesTokenCount":20,"thoughtsTokenCount":30,
            "totalTokenCount":161}"#]);
        assert_eq!((usage.prompt_tokens, usage.cached_tokens), (111, 64));
        assert_eq!((usage.completion_tokens, usage.reasoning_tokens), (50, 30));
        assert_eq!(usage.total_tokens(), 161);
    }

    #[test]
    fn a_streams_chunks_repeat_what_is_known_and_are_not_added() {
        let usage = read(&[
            r#"{"promptTokenCount":9,"totalTokenCount":9}"#,
            r#"{"promptTokenCount":9,"thoughtsTokenCount":40,"totalTokenCount":49}"#,
            r#"{"promptTokenCount":9,"candidatesTokenCount":3,"thoughtsTokenCount":40}"#,
            r#"{"promptTokenCount":9,"candidatesTokenCount":5,"thoughtsTokenCount":40}"#,
        ]);
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (9, 45));
    }

    #[test]
    fn sound_is_found_among_the_kinds() {
        let usage = read(&[r#"{"promptTokenCount":9,"candidatesTokenCount":5,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":2},
                {"modality":"AUDIO","tokenCount":7}],
            "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":5}]}"#]);
        assert_eq!((usage.prompt_audio_tokens, usage.completion_audio_tokens), (7, 5));
    }

    #[test]
    fn a_blocked_prompt_has_no_completion() {
        let usage = read(&[r#"{"promptTokenCount":12,"totalTokenCount":12}"#]);
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (12, 0));
    }

    #[test]
    fn counts_at_the_edge_do_not_overflow() {
        let max = u64::MAX;
        let text = format!(
            r#"{{"promptTokenCount":{max},"toolUsePromptTokenCount":{max},
                "candidatesTokenCount":{max},"thoughtsTokenCount":{max}}}"#
        );
        assert_eq!(read(&[&text]).total_tokens(), max);
    }
}
