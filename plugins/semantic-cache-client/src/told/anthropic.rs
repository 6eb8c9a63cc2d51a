//! Messages, <https://docs.anthropic.com/en/api/messages>.

use shared::usage::Report;
use shared::write::JsonWriter;

use super::{Told, about, counts, member, only, owned, usage};
use crate::answer::{Object, list, string};

pub(super) fn read(answer: &Object) -> Option<Told> {
    let mut text = String::new();
    for block in list(answer, "content") {
        let block = block.as_object()?;
        if string(block, "type") != "text" || !only(block, &["type", "text"]) {
            return None;
        }
        text.push_str(string(block, "text"));
    }
    let plain = about(answer, &["content", "usage"])
        && matches!(string(answer, "stop_reason"), "end_turn" | "stop_sequence");
    plain.then(|| Told {
        text,
        model: owned(answer, "model"),
        id: owned(answer, "id"),
        created: 0,
        usage: usage(&member(answer, "usage"), Report::anthropic),
    })
}

pub(super) fn write(w: &mut JsonWriter, told: &Told) {
    w.key("id");
    w.text(&told.id);
    w.field("type", "message");
    w.field("role", "assistant");
    w.key("model");
    w.text(&told.model);
    w.key("content");
    w.raw(r#"[{"type":"text","text":"#);
    w.raw_tail(shared::json::JsonStr::encode(&told.text).quoted());
    w.raw_tail("}]");
    w.field("stop_reason", "end_turn");
    w.key("stop_sequence");
    w.raw("null");
    w.key("usage");
    // SDKs demand one.
    let usage = told.usage.unwrap_or_default();
    let cached = usage.cached_tokens.saturating_add(usage.cache_creation_tokens);
    counts(
        w,
        &[
            ("input_tokens", usage.prompt_tokens.saturating_sub(cached)),
            ("cache_creation_input_tokens", usage.cache_creation_tokens),
            ("cache_read_input_tokens", usage.cached_tokens),
            ("output_tokens", usage.completion_tokens),
        ],
    );
    w.close('}');
}
