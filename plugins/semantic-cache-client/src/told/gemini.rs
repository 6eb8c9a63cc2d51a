//! Gemini, <https://ai.google.dev/api/generate-content#generatecontentresponse>.

use serde_json::Value;
use shared::usage::Report;
use shared::write::JsonWriter;

use super::{Told, about, counts, member, only, owned, usage};
use crate::answer::{Object, list, string};

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

pub(super) fn write(w: &mut JsonWriter, told: &Told) {
    w.key("candidates");
    w.raw(r#"[{"content":{"parts":[{"text":"#);
    w.raw_tail(shared::json::JsonStr::encode(&told.text).quoted());
    w.raw_tail(r#"}],"role":"model"},"finishReason":"STOP","index":0}]"#);
    if let Some(usage) = &told.usage {
        w.key("usageMetadata");
        let said = usage.completion_tokens.saturating_sub(usage.reasoning_tokens);
        counts(
            w,
            &[
                ("promptTokenCount", usage.prompt_tokens),
                ("candidatesTokenCount", said),
                ("totalTokenCount", usage.total_tokens()),
            ],
        );
        // Zero also stands for a provider that does not say.
        for (key, count) in [
            ("cachedContentTokenCount", usage.cached_tokens),
            ("thoughtsTokenCount", usage.reasoning_tokens),
        ] {
            if count > 0 {
                w.key(key);
                w.value(count);
            }
        }
        w.close('}');
    }
    w.key("modelVersion");
    w.text(&told.model);
    w.key("responseId");
    w.text(&told.id);
}
