//! Gemini generateContent as the client's protocol, <https://ai.google.dev/api/generate-content>.
//!
//! The model, and whether the answer is to be a stream, stand in the path and not in the body.

mod base64;
mod carry;
mod config;
mod contents;
mod request;
mod response;
mod schema;
mod stream;

pub use request::read;
pub use response::write;
pub use stream::StreamWriter;

use shared::json::JsonStr;

use crate::translate::client::Context;
use crate::translate::ir::{Field, StopReason};

/// Where a field stands in a request; those that Gemini has no name for are not asked of it.
pub fn name_of(field: Field) -> &'static str {
    match field {
        Field::Temperature => "generationConfig.temperature",
        Field::TopP => "generationConfig.topP",
        Field::TopK => "generationConfig.topK",
        Field::FrequencyPenalty => "generationConfig.frequencyPenalty",
        Field::PresencePenalty => "generationConfig.presencePenalty",
        Field::Seed => "generationConfig.seed",
        Field::Logprobs => "generationConfig.responseLogprobs",
        Field::Stop => "generationConfig.stopSequences",
        Field::Thinking => "generationConfig.thinkingConfig",
        Field::Format => "generationConfig.responseMimeType",
        Field::ToolChoice => "toolConfig.functionCallingConfig",
        Field::Verbosity => "verbosity",
        Field::ParallelToolCalls => "parallelToolCalls",
        Field::User => "user",
        Field::CacheControl => "cacheControl",
        Field::Breakpoint => "promptCacheBreakpoint",
        Field::Detail => "mediaResolution",
        Field::ShowThinking => "generationConfig.thinkingConfig.includeThoughts",
        Field::FormatDescription => "generationConfig.responseSchema",
        Field::Strict => "strict",
        Field::ToolFailure => "functionResponse.response.error",
        Field::Title => "displayName",
        Field::Thoughts => "parts.thoughtSignature",
        Field::CacheKey => "cacheKey",
        Field::Store => "store",
        Field::Metadata => "labels",
    }
}

/// For an answer that the provider gives none.
fn new_id(context: &Context) -> JsonStr<'static> {
    JsonStr::encode(&format!("{:016x}", context.id))
}

/// The `finishReason`.
fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End | StopReason::StopSequence | StopReason::ToolCalls => "STOP",
        StopReason::Length => "MAX_TOKENS",
        StopReason::Filter => "SAFETY",
    }
}
