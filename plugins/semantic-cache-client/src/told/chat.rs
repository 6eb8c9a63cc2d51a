//! Chat Completions, <https://platform.openai.com/docs/api-reference/chat/object>.

use serde_json::Value;
use shared::usage::Report;

use super::{Told, about, member, only, owned, usage};
use crate::answer::{Object, list, string};

/// A whole answer; see [`super::write`].
pub(super) const WHOLE: &str = r#"{"id":$i,"object":"chat.completion","created":$c,"model":$m,
"choices":[{"index":0,"message":{"role":"assistant","content":$t,"refusal":null},"logprobs":null,"finish_reason":"stop"}]
~,"usage":{"prompt_tokens":$p,"completion_tokens":$o,"total_tokens":$a,
"prompt_tokens_details":{"cached_tokens":$r},"completion_tokens_details":{"reasoning_tokens":$h}}~}"#;

pub(super) fn read(answer: &Object) -> Option<Told> {
    let [Value::Object(choice)] = list(answer, "choices") else { return None };
    let message = choice.get("message")?.as_object()?;
    // Azure's judgements of the content are about it.
    let plain = about(answer, &["choices", "usage", "prompt_filter_results"])
        && about(choice, &["message", "content_filter_results"])
        && only(message, &["role", "content"])
        && string(choice, "finish_reason") == "stop";
    plain.then(|| Told {
        text: owned(message, "content"),
        model: owned(answer, "model"),
        id: owned(answer, "id"),
        created: answer.get("created").and_then(Value::as_u64).unwrap_or(0),
        usage: usage(&member(answer, "usage"), Report::openai_chat),
    })
}
