//! Gemini: an event and a whole answer have one form.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use shared::protocol::gemini::Usage;

use super::{Finish, Watch};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow)]
    usage_metadata: Option<Usage<'a>>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(borrow)]
    block_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    thought: Option<bool>,
    #[serde(borrow)]
    function_call: Option<Call<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

pub(super) fn body(watch: &mut Watch, text: &str) {
    let Ok(body) = serde_json::from_str::<Body<'_>>(text) else { return };
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
