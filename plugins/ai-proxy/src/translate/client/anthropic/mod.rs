//! Anthropic Messages as the client's protocol, <https://docs.anthropic.com/en/api/messages>.

mod request;
mod response;
mod stream;

pub use request::read;
pub use response::write;
pub use stream::StreamWriter;

use shared::usage::Usage;
use shared::write::JsonWriter;

use crate::translate::ir::StopReason;

/// The `stop_reason`.
fn stop_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End => "end_turn",
        StopReason::Length => "max_tokens",
        StopReason::ToolCalls => "tool_use",
        StopReason::Filter => "refusal",
    }
}

/// The `usage`; the request's tokens without those of the prompt cache, which are told apart.
fn write_usage(w: &mut JsonWriter, usage: &Usage) {
    let cache = usage.cached_tokens.saturating_add(usage.cache_creation_tokens);
    w.open('{');
    for (key, count) in [
        ("input_tokens", usage.prompt_tokens.saturating_sub(cache)),
        ("cache_creation_input_tokens", usage.cache_creation_tokens),
        ("cache_read_input_tokens", usage.cached_tokens),
        ("output_tokens", usage.completion_tokens),
    ] {
        w.key(key);
        w.value(count);
    }
    w.close('}');
}
