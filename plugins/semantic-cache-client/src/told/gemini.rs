//! Gemini, <https://ai.google.dev/api/generate-content#generatecontentresponse>.

use serde_json::Value;
use shared::usage::Report;

use super::{Told, about, member, only, owned, usage};
use crate::answer::{Object, list, string};

/// A whole answer; see [`super::write`].
pub(super) const WHOLE: &str = r#"{"candidates":[{"content":{"parts":[{"text":$t}],"role":"model"},"finishReason":"STOP","index":0}],
~"usageMetadata":{"promptTokenCount":$p,"candidatesTokenCount":$s,"totalTokenCount":$a,
"cachedContentTokenCount":$r,"thoughtsTokenCount":$h},~"modelVersion":$m,"responseId":$i}"#;

pub(super) fn read(answer: &Object) -> Option<Told> {
    let [Value::Object(candidate)] = list(answer, "candidates") else { return None };
    let content = candidate.get("content")?.as_object()?;
    let mut text = String::new();
    for part in list(content, "parts") {
        let part = part.as_object()?;
        // A signature is of a thought that is not shown.
        if !only(part, &["text", "thoughtSignature"]) {
            return None;
        }
        text.push_str(string(part, "text"));
    }
    let plain = about(answer, &["candidates", "usageMetadata", "promptFeedback"])
        && about(candidate, &["content", "safetyRatings"])
        && string(candidate, "finishReason") == "STOP";
    plain.then(|| Told {
        text,
        model: owned(answer, "modelVersion"),
        id: owned(answer, "responseId"),
        created: 0,
        usage: usage(&member(answer, "usageMetadata"), Report::gemini),
    })
}
