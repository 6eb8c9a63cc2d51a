//! OpenAI Chat Completions as the client's protocol.

mod request;
mod response;
mod stream;

pub use request::read;
pub(in crate::translate::client) use request::read_mode;
pub(super) use request::{audio_source, of_openai, padding, source};
pub use response::write;
pub(super) use response::write_usage;
pub use stream::StreamWriter;

use shared::json::JsonStr;

use crate::translate::client::Context;
use crate::translate::ir::{Field, StopReason};

/// Where a field stands in a request.
pub fn name_of(field: Field) -> &'static str {
    match field {
        Field::Temperature => "temperature",
        Field::TopP => "top_p",
        Field::TopK => "top_k",
        Field::FrequencyPenalty => "frequency_penalty",
        Field::PresencePenalty => "presence_penalty",
        Field::Seed => "seed",
        Field::Logprobs => "logprobs",
        Field::Stop => "stop",
        Field::Thinking => "reasoning_effort",
        Field::Format => "response_format",
        Field::Verbosity => "verbosity",
        Field::ToolChoice => "tool_choice",
        Field::ParallelToolCalls => "parallel_tool_calls",
        Field::User => "user",
        Field::CacheControl => "cache_control",
        Field::Breakpoint => "messages.content.prompt_cache_breakpoint",
        Field::Detail => "messages.content.image_url.detail",
        Field::ShowThinking => "reasoning",
        Field::FormatDescription => "response_format.json_schema.description",
        Field::Strict => "tools.function.strict",
        Field::ToolFailure => "messages.is_error",
        Field::Title => "file.filename",
        Field::Thoughts => "messages.reasoning_content",
        Field::CacheKey => "prompt_cache_key",
        Field::Store => "store",
        Field::Metadata => "metadata",
    }
}

/// For an answer that the provider gives none.
fn new_id(context: &Context) -> JsonStr<'static> {
    JsonStr::encode(&format!("chatcmpl-{:016x}", context.id))
}

/// The `finish_reason`.
pub(super) fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End | StopReason::StopSequence => "stop",
        StopReason::Length => "length",
        StopReason::ToolCalls => "tool_calls",
        StopReason::Filter => "content_filter",
    }
}
