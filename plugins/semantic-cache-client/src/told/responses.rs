//! Responses, <https://platform.openai.com/docs/api-reference/responses/object>.

use serde_json::Value;
use shared::usage::Report;
use shared::write::JsonWriter;

use super::{Told, counts, member, only, owned, usage};
use crate::answer::{Object, list, string};
use crate::ask::Member;

pub(super) fn read(answer: &Object) -> Option<Told> {
    let mut text = String::new();
    for item in list(answer, "output") {
        let item = item.as_object()?;
        match string(item, "type") {
            // Of what was thought nothing is shown.
            "reasoning" if only(item, &["type", "id", "status"]) => {}
            "message" => {
                for part in list(item, "content") {
                    let part = part.as_object()?;
                    if string(part, "type") != "output_text" || !only(part, &["type", "text"]) {
                        return None;
                    }
                    text.push_str(string(part, "text"));
                }
            }
            _ => return None,
        }
    }
    (string(answer, "status") == "completed").then(|| Told {
        text,
        model: owned(answer, "model"),
        id: owned(answer, "id"),
        created: answer.get("created_at").and_then(seconds).unwrap_or(0),
        usage: usage(&member(answer, "usage"), Report::openai_responses),
    })
}

/// Some servers write the time with a fraction.
fn seconds(time: &Value) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    time.as_u64().or_else(|| time.as_f64().map(|time| time as u64))
}

pub(super) fn write(w: &mut JsonWriter, told: &Told, echo: &str) {
    w.key("id");
    w.text(&told.id);
    w.field("object", "response");
    w.key("created_at");
    w.value(told.created);
    w.field("status", "completed");
    w.key("model");
    w.text(&told.model);
    w.key("output");
    w.raw(r#"[{"type":"message","id":"#);
    w.raw_tail(shared::json::JsonStr::encode(&format!("msg_{}", told.id)).quoted());
    w.raw_tail(r#","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"#);
    w.raw_tail(shared::json::JsonStr::encode(&told.text).quoted());
    w.raw_tail("}]}]");
    if let Some(usage) = &told.usage {
        w.key("usage");
        counts(w, &[("input_tokens", usage.prompt_tokens)]);
        w.key("input_tokens_details");
        counts(w, &[("cached_tokens", usage.cached_tokens)]);
        w.close('}');
        w.key("output_tokens");
        w.value(usage.completion_tokens);
        w.key("output_tokens_details");
        counts(w, &[("reasoning_tokens", usage.reasoning_tokens)]);
        w.close('}');
        w.key("total_tokens");
        w.value(usage.total_tokens());
        w.close('}');
    }
    w.raw(echo);
    // SDKs demand some of these. It is not kept: the provider knows no answer of this id.
    w.raw(r#""error":null,"incomplete_details":null,"metadata":{},"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"store":false,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"truncation":"disabled""#);
}

/// What an answer repeats of its request, with what stands for what the request does not say.
pub(crate) fn echo(members: &[&Member<'_>]) -> String {
    let mut w = JsonWriter::with_capacity(128);
    for (key, or) in [
        ("instructions", "null"),
        ("max_output_tokens", "null"),
        ("temperature", "1.0"),
        ("top_p", "1.0"),
        ("user", "null"),
    ] {
        w.key(key);
        let said = members.iter().find(|(name, _)| name == key);
        w.raw(said.map_or(or, |(_, value)| value.get()));
    }
    w.finish()
}
