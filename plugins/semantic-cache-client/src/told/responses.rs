//! Responses, <https://platform.openai.com/docs/api-reference/responses/object>.

use serde_json::Value;
use shared::usage::Report;
use shared::write::JsonWriter;

use super::{Told, member, only, owned, usage};
use crate::answer::{Object, list, string};
use crate::ask::Member;

/// A whole answer; see [`super::write`]. SDKs demand some of what it says of its request. It is not kept: the
/// provider knows no answer of this id.
pub(super) const WHOLE: &str = r#"{"id":$i,"object":"response","created_at":$c,"status":"completed","model":$m,
"output":[{"type":"message","id":"msg_$j","status":"completed","role":"assistant",
"content":[{"type":"output_text","annotations":[],"logprobs":[],"text":$t}]}],
~"usage":{"input_tokens":$p,"input_tokens_details":{"cached_tokens":$r},
"output_tokens":$o,"output_tokens_details":{"reasoning_tokens":$h},"total_tokens":$a},~$e,
"error":null,"incomplete_details":null,"metadata":{},"parallel_tool_calls":true,"previous_response_id":null,
"reasoning":{"effort":null,"summary":null},"store":false,"text":{"format":{"type":"text"}},
"tool_choice":"auto","tools":[],"truncation":"disabled"}"#;

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
