//! Messages, <https://docs.anthropic.com/en/api/messages>.

use shared::usage::Report;

use super::{Told, about, member, only, owned, usage};
use crate::answer::{Object, list, string};

/// A whole answer; see [`super::write`]. SDKs demand a usage.
pub(super) const WHOLE: &str = r#"{"id":$i,"type":"message","role":"assistant","model":$m,
"content":[{"type":"text","text":$t}],"stop_reason":"end_turn","stop_sequence":null,
"usage":{"input_tokens":$f,"cache_creation_input_tokens":$w,"cache_read_input_tokens":$r,"output_tokens":$o}}"#;

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
