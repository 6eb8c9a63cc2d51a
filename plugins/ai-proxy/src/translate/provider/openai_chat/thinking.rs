//! Says how much to think, in each server's way.

use shared::write::JsonWriter;

use crate::presets::{Quirks, Switch};
use crate::translate::ir::Effort;

/// Writes what the client has said. Where there is a switch, `none` is said by it alone, since servers
/// with one may not know the word.
pub(super) fn write_thinking(w: &mut JsonWriter, effort: Option<Effort>, quirks: &Quirks) {
    let Some(effort) = effort else { return };
    let on = effort != Effort::None;
    match quirks.thinking {
        Switch::None => {}
        Switch::HighOrNone => return w.field("reasoning_effort", if on { "high" } else { "none" }),
        Switch::Type => {
            w.key("thinking");
            w.raw(if on { r#"{"type":"enabled"}"# } else { r#"{"type":"disabled"}"# });
        }
        Switch::Enable => {
            w.key("enable_thinking");
            w.value(on);
        }
        Switch::Reasoning => {
            w.key("reasoning");
            w.raw(if on { r#"{"enabled":true}"# } else { r#"{"enabled":false}"# });
        }
        Switch::Template => {
            w.key("chat_template_kwargs");
            let json =
                if on { r#"{"enable_thinking":true}"# } else { r#"{"enable_thinking":false}"# };
            w.raw(json);
        }
    }
    if !quirks.no_reasoning_effort && (on || quirks.thinking == Switch::None) {
        w.field("reasoning_effort", effort.word());
    }
}
