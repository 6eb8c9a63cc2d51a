//! Chat Completions, <https://platform.openai.com/docs/api-reference/chat/object>.

use serde_json::Value;
use shared::usage::Report;
use shared::write::JsonWriter;

use super::{Told, about, counts, member, only, owned, usage};
use crate::answer::{Object, list, string};

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

pub(super) fn write(w: &mut JsonWriter, told: &Told) {
    w.key("id");
    w.text(&told.id);
    w.field("object", "chat.completion");
    w.key("created");
    w.value(told.created);
    w.key("model");
    w.text(&told.model);
    w.key("choices");
    w.raw(r#"[{"index":0,"message":{"role":"assistant","content":"#);
    w.raw_tail(shared::json::JsonStr::encode(&told.text).quoted());
    w.raw_tail(r#","refusal":null},"logprobs":null,"finish_reason":"stop"}]"#);
    let Some(usage) = &told.usage else { return };
    w.key("usage");
    counts(
        w,
        &[
            ("prompt_tokens", usage.prompt_tokens),
            ("completion_tokens", usage.completion_tokens),
            ("total_tokens", usage.total_tokens()),
        ],
    );
    w.key("prompt_tokens_details");
    counts(w, &[("cached_tokens", usage.cached_tokens)]);
    w.close('}');
    w.key("completion_tokens_details");
    counts(w, &[("reasoning_tokens", usage.reasoning_tokens)]);
    w.raw_tail("}}");
}
