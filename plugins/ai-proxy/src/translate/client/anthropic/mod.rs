//! Anthropic Messages as the client's protocol, <https://docs.anthropic.com/en/api/messages>.

mod request;
mod response;
mod stream;

pub use request::{read, read_to_count};
pub use response::write;
pub use stream::StreamWriter;

use shared::json::JsonStr;
use shared::usage::Usage;
use shared::write::JsonWriter;

use crate::translate::client::Context;
use crate::translate::ir::{Field, StopReason};

/// Where a field stands in a request; those that Anthropic has no name for are not asked of it.
pub fn name_of(field: Field) -> &'static str {
    match field {
        Field::Temperature => "temperature",
        Field::TopP => "top_p",
        Field::TopK => "top_k",
        Field::Stop => "stop_sequences",
        Field::Thinking => "thinking",
        Field::Format => "output_config.format",
        Field::ToolChoice => "tool_choice",
        Field::ParallelToolCalls => "tool_choice.disable_parallel_tool_use",
        Field::User => "metadata.user_id",
        Field::CacheControl => "cache_control",
        Field::Breakpoint => "prompt_cache_breakpoint",
        Field::Detail => "image.detail",
        Field::ShowThinking => "thinking.display",
        Field::FormatDescription => "output_config.format",
        Field::Strict => "tools.strict",
        Field::ToolFailure => "tool_result.is_error",
        Field::Title => "document.title",
        Field::Thoughts => "messages.thinking",
        Field::CacheKey => "prompt_cache_key",
        Field::Store => "store",
        Field::Metadata => "metadata",
        Field::FrequencyPenalty => "frequency_penalty",
        Field::PresencePenalty => "presence_penalty",
        Field::Seed => "seed",
        Field::Logprobs => "logprobs",
        Field::Verbosity => "verbosity",
    }
}

/// For an answer that the provider gives none.
fn new_id(context: &Context) -> JsonStr<'static> {
    JsonStr::encode(&format!("msg_{:016x}", context.id))
}

/// The `stop_reason`.
fn stop_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End => "end_turn",
        StopReason::StopSequence => "stop_sequence",
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
