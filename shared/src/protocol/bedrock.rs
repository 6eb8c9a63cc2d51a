//! Amazon Bedrock Converse and ConverseStream,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.
//!
//! Answers only: no client speaks it. A union is an object with one member, so its kinds are fields.

use serde_json::value::RawValue;

use crate::json::JsonStr;
use crate::view::view;

view! {
    /// An answer.
    pub struct Response<'a> {
        /// What the model says.
        output: Output<'a>,
        /// `end_turn`, `tool_use`, `max_tokens`, `stop_sequence`, `guardrail_intervened`,
        /// `content_filtered`, `malformed_model_output`, `malformed_tool_use` or
        /// `model_context_window_exceeded`.
        stop_reason = "stopReason": JsonStr<'a>,
        /// The token counts.
        usage: Usage<'a>,
    }
}

view! {
    /// What the model says.
    pub struct Output<'a> {
        /// Its one kind.
        message: Message<'a>,
    }
}

view! {
    /// A message.
    pub struct Message<'a> {
        /// What it says.
        content: Vec<Block<'a>>,
    }
}

view! {
    /// One block of a message.
    pub struct Block<'a> {
        /// Text.
        text: JsonStr<'a>,
        /// A call.
        tool_use = "toolUse": ToolUse<'a>,
        /// A thought.
        reasoning = "reasoningContent": Reasoning<'a>,
        /// Text with its sources.
        citations = "citationsContent": Citations<'a>,
        /// A picture.
        image: Image<'a>,
    }
}

view! {
    /// A call.
    pub struct ToolUse<'a> {
        /// Names the call.
        id = "toolUseId": JsonStr<'a>,
        /// What is called.
        name: JsonStr<'a>,
        /// The arguments: an object; in a stream a piece of a JSON document as a string.
        input: &'a RawValue,
        /// `server_tool_use` where the provider runs the tool itself.
        kind = "type": JsonStr<'a>,
    }
}

view! {
    /// A thought, whole or a piece of one.
    pub struct Reasoning<'a> {
        /// Of a whole answer.
        whole = "reasoningText": ReasoningText<'a>,
        /// Of a stream: a piece.
        text: JsonStr<'a>,
        /// Of a stream: proves that the thought was not changed.
        signature: JsonStr<'a>,
        /// An encrypted thought, in Base64.
        redacted = "redactedContent": JsonStr<'a>,
    }
}

view! {
    /// A whole thought.
    pub struct ReasoningText<'a> {
        /// The thought.
        text: JsonStr<'a>,
        /// Proves that it was not changed.
        signature: JsonStr<'a>,
    }
}

view! {
    /// Text with its sources.
    pub struct Citations<'a> {
        /// The text, in pieces.
        content: Vec<Cited<'a>>,
    }
}

view! {
    /// A piece of text.
    pub struct Cited<'a> {
        /// The text.
        text: JsonStr<'a>,
    }
}

view! {
    /// A picture.
    pub struct Image<'a> {
        /// `png`, `jpeg`, `gif` or `webp`.
        format: JsonStr<'a>,
        /// Where it is.
        source: ImageSource<'a>,
    }
}

view! {
    /// Where a picture is.
    pub struct ImageSource<'a> {
        /// The bytes, in Base64.
        bytes: JsonStr<'a>,
    }
}

view! {
    /// The token counts.
    pub struct Usage<'a> {
        /// Of the request, without those that were read from or written to the prompt cache.
        input_tokens = "inputTokens": u64,
        /// Of the answer, thinking included.
        output_tokens = "outputTokens": u64,
        /// Read from the prompt cache.
        cache_read = "cacheReadInputTokens": u64,
        /// Written to the prompt cache.
        cache_write = "cacheWriteInputTokens": u64,
    }
}

view! {
    /// The payload of an event; which fields it has depends on the event's type.
    pub struct Event<'a> {
        /// Of the `contentBlock*`: which block.
        index = "contentBlockIndex": u32,
        /// Of `contentBlockStart`.
        start: BlockStart<'a>,
        /// Of `contentBlockDelta`.
        delta: Delta<'a>,
        /// Of `messageStop`.
        stop_reason = "stopReason": JsonStr<'a>,
        /// Of `metadata`.
        usage: Usage<'a>,
    }
}

view! {
    /// What begins. Blocks of text and thought do without it.
    pub struct BlockStart<'a> {
        /// A call.
        tool_use = "toolUse": ToolUse<'a>,
    }
}

view! {
    /// What a stream adds.
    pub struct Delta<'a> {
        /// Text.
        text: JsonStr<'a>,
        /// The arguments of a call.
        tool_use = "toolUse": ToolUse<'a>,
        /// A thought.
        reasoning = "reasoningContent": Reasoning<'a>,
    }
}

view! {
    /// An error's body, or the payload of an exception in a stream.
    pub struct Error<'a> {
        /// In words.
        message: JsonStr<'a>,
        /// The same, from parts of AWS that spell it so.
        capital_message = "Message": JsonStr<'a>,
        /// Its name, after a namespace and `#`; most often a header has it instead.
        kind = "__type": JsonStr<'a>,
        /// The same, from other parts.
        code: JsonStr<'a>,
    }
}
