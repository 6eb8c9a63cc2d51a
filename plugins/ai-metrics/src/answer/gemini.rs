//! Gemini: an event and a whole answer have one form.

use serde_json::value::RawValue;
use shared::protocol::gemini::Usage;

use super::{Finish, Watch};

shared::partial! {
    struct Body<'a> {
        candidates: Vec<Candidate<'a>>,
        prompt_feedback = "promptFeedback": Feedback<'a>,
        usage_metadata = "usageMetadata": Usage<'a>,
        error: &'a RawValue,
    }
}

shared::partial! {
    struct Feedback<'a> {
        block_reason = "blockReason": &'a RawValue,
    }
}

shared::partial! {
    struct Candidate<'a> {
        content: Content<'a>,
        finish_reason = "finishReason": &'a RawValue,
    }
}

shared::partial! {
    struct Content<'a> {
        parts: Vec<Part<'a>>,
    }
}

shared::partial! {
    struct Part<'a> {
        text: &'a RawValue,
        thought: bool,
        function_call = "functionCall": Call<'a>,
    }
}

shared::partial! {
    struct Call<'a> {
        args: &'a RawValue,
    }
}

pub(super) fn body(watch: &mut Watch, text: &str) {
    let Ok(body) = shared::json::parse::<Body<'_>>(text) else { return };
    watch.failed |= body.error.is_some();
    if let Some(usage) = &body.usage_metadata {
        watch.report.gemini(usage);
    }
    if body.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some()) {
        watch.finished(Finish::ContentFilter);
        watch.ended = true;
    }
    for candidate in body.candidates.into_iter().flatten() {
        let parts = candidate.content.and_then(|content| content.parts);
        for part in parts.into_iter().flatten() {
            if let Some(text) = part.text {
                watch.wrote(text, part.thought != Some(true));
            }
            if let Some(call) = part.function_call {
                watch.called(call.args);
            }
        }
        if let Some(reason) = candidate.finish_reason {
            watch.finished(match reason.get() {
                "\"STOP\"" if watch.tool_call => Finish::ToolCalls,
                "\"STOP\"" => Finish::Stop,
                "\"MAX_TOKENS\"" => Finish::Length,
                "\"SAFETY\""
                | "\"RECITATION\""
                | "\"BLOCKLIST\""
                | "\"PROHIBITED_CONTENT\""
                | "\"SPII\""
                | "\"IMAGE_SAFETY\"" => Finish::ContentFilter,
                _ => Finish::Other,
            });
            watch.ended = true;
        }
    }
}
