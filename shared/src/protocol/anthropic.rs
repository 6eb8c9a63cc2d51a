//! Anthropic Messages, <https://docs.anthropic.com/en/api/messages>.

use serde_json::value::RawValue;

use super::Content;
use crate::json::JsonStr;
use crate::view::view;

/// Is in the `anthropic-beta` of every request of a conversation that Anthropic keeps.
/// <https://platform.claude.com/docs/en/build-with-claude/message-threads>
pub const THREADS: &str = "message-threads-";

view! {
    /// What a client asks for.
    pub struct Request<'a> {
        /// The model.
        model: JsonStr<'a>,
        /// The conversation.
        messages: Vec<Message<'a>>,
        /// A string or a list of text blocks.
        system: Content<'a>,
        /// Whether the answer is to be an event stream.
        stream: bool,
        /// Most tokens of the answer, thinking included.
        max_tokens: u64,
        /// What ends the answer.
        stop_sequences: Vec<JsonStr<'a>>,
        /// 0 to 1.
        temperature: f64,
        /// 0 to 1.
        top_p: f64,
        /// How many of the likeliest tokens to choose from.
        top_k: u64,
        /// The functions that the model may call.
        tools: Vec<Tool<'a>>,
        /// Whether it must.
        tool_choice: ToolChoice<'a>,
        /// Whether and how much to think.
        thinking: Thinking<'a>,
        /// The form of the answer, and how much effort is made for it.
        output_config: OutputConfig<'a>,
        /// The older place of the answer's form.
        output_format: &'a RawValue,
        /// Who asks.
        metadata: Metadata<'a>,
        /// `auto` or `standard_only`.
        service_tier: JsonStr<'a>,
        /// Where Anthropic runs its own tools, and keeps what they made.
        container: &'a RawValue,
        /// Whether Anthropic keeps the conversation, or has kept what came before.
        thread: &'a RawValue,
    }
}

view! {
    /// A function that the model may call, or a tool that the provider runs.
    pub struct Tool<'a> {
        /// `custom`, or the name and version of a tool of the provider's.
        kind = "type": JsonStr<'a>,
        /// Its name.
        name: JsonStr<'a>,
        /// What it is for.
        description: JsonStr<'a>,
        /// A JSON Schema.
        input_schema: &'a RawValue,
        /// Whether the arguments are bound to the schema.
        strict: bool,
        /// A mark for the provider's prompt cache.
        cache_control: &'a RawValue,
    }
}

view! {
    /// A mark for the provider's prompt cache.
    pub struct CacheControl<'a> {
        /// `ephemeral`.
        kind = "type": JsonStr<'a>,
        /// How long it is kept: `5m` or `1h`.
        ttl: JsonStr<'a>,
    }
}

view! {
    /// Whether a function must be called.
    pub struct ToolChoice<'a> {
        /// `auto`, `any`, `tool` or `none`.
        kind = "type": JsonStr<'a>,
        /// Of `tool`: which.
        name: JsonStr<'a>,
        /// At most one at a time.
        disable_parallel_tool_use: bool,
    }
}

view! {
    /// Whether and how much to think.
    pub struct Thinking<'a> {
        /// `enabled`, `disabled` or `adaptive`.
        kind = "type": JsonStr<'a>,
        /// Of `enabled`: most tokens to think with.
        budget_tokens: u64,
        /// Whether the client wants to read it: `summarized` or `omitted`.
        display: JsonStr<'a>,
    }
}

view! {
    /// The form of the answer, and how much effort is made for it.
    pub struct OutputConfig<'a> {
        /// `low`, `medium`, `high`, `xhigh` or `max`.
        effort: JsonStr<'a>,
        /// What the answer must fit.
        format: OutputFormat<'a>,
    }
}

view! {
    /// What the answer must fit.
    pub struct OutputFormat<'a> {
        /// `json_schema`.
        kind = "type": JsonStr<'a>,
        /// The schema.
        schema: &'a RawValue,
    }
}

view! {
    /// Who asks.
    pub struct Metadata<'a> {
        /// An opaque name.
        user_id: JsonStr<'a>,
    }
}

view! {
    /// Where a picture or document is.
    pub struct Source<'a> {
        /// `base64`, `url`, `text`, `content` or `file`.
        kind = "type": JsonStr<'a>,
        /// Of `base64` and `text`.
        media_type: JsonStr<'a>,
        /// Of `base64` and `text`.
        data: JsonStr<'a>,
        /// Of `url`.
        url: JsonStr<'a>,
    }
}

view! {
    /// One message of the conversation.
    pub struct Message<'a> {
        /// `user` or `assistant`.
        role: JsonStr<'a>,
        /// A string or a list of blocks.
        content: Content<'a>,
    }
}

view! {
    /// An answer.
    pub struct Response<'a> {
        /// Its name.
        id: JsonStr<'a>,
        /// The model that answered.
        model: JsonStr<'a>,
        /// What it says.
        content: Vec<Block<'a>>,
        /// `end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, `pause_turn`, `refusal` or
        /// `model_context_window_exceeded`.
        stop_reason: JsonStr<'a>,
        /// The sequence that stopped it.
        stop_sequence: JsonStr<'a>,
        /// The token counts.
        usage: Usage<'a>,
    }
}

view! {
    /// One block of an answer or a message.
    pub struct Block<'a> {
        /// `text`, `thinking`, `redacted_thinking`, `tool_use`, `image`, `tool_result` ...
        kind = "type": JsonStr<'a>,
        /// Of `text`.
        text: JsonStr<'a>,
        /// Of `thinking`.
        thinking: JsonStr<'a>,
        /// Of `thinking`: proves that it was not changed.
        signature: JsonStr<'a>,
        /// Of `redacted_thinking`.
        data: JsonStr<'a>,
        /// Of `tool_use`: names the call.
        id: JsonStr<'a>,
        /// Of `tool_use`: what is called.
        name: JsonStr<'a>,
        /// Of `tool_use`: the arguments, an object.
        input: &'a RawValue,
        /// Of `image` and `document`.
        source: Source<'a>,
        /// Of `document`: its name.
        title: JsonStr<'a>,
        /// Of `tool_result`: which call it answers.
        tool_use_id: JsonStr<'a>,
        /// Of `tool_result`: a string or a list of blocks.
        content: Content<'a>,
        /// Of `tool_result`: the function failed.
        is_error: bool,
        /// A mark for the provider's prompt cache.
        cache_control: &'a RawValue,
    }
}

view! {
    /// The token counts.
    pub struct Usage<'a> {
        /// Of the request, without those that were read from or written to the prompt cache.
        input_tokens: u64,
        /// Of the answer, thinking included.
        output_tokens: u64,
        /// Read from the prompt cache.
        cache_read_input_tokens: u64,
        /// Written to the prompt cache.
        cache_creation_input_tokens: u64,
        /// Of the answer's tokens.
        output_tokens_details: OutputDetails<'a>,
    }
}

view! {
    /// Of the answer's tokens.
    pub struct OutputDetails<'a> {
        /// Spent on thinking.
        thinking_tokens: u64,
    }
}

view! {
    /// One event of a stream; which fields it has depends on `type`.
    pub struct Event<'a> {
        /// `message_start`, `content_block_start`, `content_block_delta`, `content_block_stop`,
        /// `message_delta`, `message_stop`, `ping` or `error`.
        kind = "type": JsonStr<'a>,
        /// Of `message_start`.
        message: Box<Response<'a>>,
        /// Of the `content_block_*`: which block.
        index: u32,
        /// Of `content_block_start`.
        content_block: Box<Block<'a>>,
        /// Of `content_block_delta` and `message_delta`.
        delta: Delta<'a>,
        /// Of `message_delta`: the counts so far.
        usage: Usage<'a>,
        /// Of `error`.
        error: Error<'a>,
    }
}

view! {
    /// What a stream adds.
    pub struct Delta<'a> {
        /// `text_delta`, `thinking_delta`, `signature_delta`, `input_json_delta`,
        /// `citations_delta`.
        kind = "type": JsonStr<'a>,
        /// Of `text_delta`.
        text: JsonStr<'a>,
        /// Of `thinking_delta`.
        thinking: JsonStr<'a>,
        /// Of `signature_delta`.
        signature: JsonStr<'a>,
        /// Of `input_json_delta`: a piece of a JSON document as a string.
        partial_json: JsonStr<'a>,
        /// Of `message_delta`.
        stop_reason: JsonStr<'a>,
        /// Of `message_delta`.
        stop_sequence: JsonStr<'a>,
    }
}

view! {
    /// An error's body, or `error` of a stream's event.
    pub struct Error<'a> {
        /// `invalid_request_error`, `overloaded_error` ...
        kind = "type": JsonStr<'a>,
        /// In words.
        message: JsonStr<'a>,
    }
}

view! {
    /// An event within one of Amazon's.
    pub struct Chunk<'a> {
        /// The event, Base64.
        bytes: JsonStr<'a>,
    }
}
