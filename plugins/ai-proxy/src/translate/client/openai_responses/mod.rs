//! OpenAI Responses as the client's protocol,
//! <https://platform.openai.com/docs/api-reference/responses>.

mod echo;
mod input;
mod items;
mod names;
mod object;
mod request;
mod response;
mod seal;
mod stream;
mod tools;

pub use request::read;
pub use response::write;
pub use stream::StreamWriter;

use crate::translate::ir::Field;

/// Where a field stands in a request; those that Responses has no name for are not asked of it.
pub fn name_of(field: Field) -> &'static str {
    match field {
        Field::Temperature => "temperature",
        Field::TopP => "top_p",
        Field::Logprobs => "top_logprobs",
        Field::Thinking => "reasoning.effort",
        Field::Format => "text.format",
        Field::Verbosity => "text.verbosity",
        Field::ToolChoice => "tool_choice",
        Field::ParallelToolCalls => "parallel_tool_calls",
        Field::User => "safety_identifier",
        Field::CacheControl => "cache_control",
        Field::Breakpoint => "input.content.prompt_cache_breakpoint",
        Field::Detail => "input.content.detail",
        Field::ShowThinking => "reasoning.summary",
        Field::FormatDescription => "text.format.description",
        Field::Strict => "tools.strict",
        Field::ToolFailure => "function_call_output.is_error",
        Field::Title => "input_file.filename",
        Field::Thoughts => "input.reasoning",
        Field::CacheKey => "prompt_cache_key",
        Field::Store => "store",
        Field::Metadata => "metadata",
        Field::TopK => "top_k",
        Field::FrequencyPenalty => "frequency_penalty",
        Field::PresencePenalty => "presence_penalty",
        Field::Seed => "seed",
        Field::Stop => "stop",
    }
}
