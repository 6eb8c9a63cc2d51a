//! Cohere v2 Chat, <https://docs.cohere.com/reference/chat>.
//!
//! Answers only: no client speaks it.

use serde_json::value::RawValue;

use crate::json::JsonStr;
use crate::view::view;

view! {
    /// An answer.
    pub struct Response<'a> {
        /// Its name.
        id: JsonStr<'a>,
        /// What the model says.
        message: Message<'a>,
        /// `COMPLETE`, `STOP_SEQUENCE`, `MAX_TOKENS`, `TOOL_CALL`, `ERROR` or `TIMEOUT`.
        finish_reason: JsonStr<'a>,
        /// The token counts.
        usage: Usage<'a>,
        /// How likely the text was, piece by piece.
        logprobs: Vec<Logprob<'a>>,
    }
}

view! {
    /// What the model says.
    pub struct Message<'a> {
        /// Texts and thoughts.
        content: Vec<Part<'a>>,
        /// What it means to do with the tools.
        tool_plan: JsonStr<'a>,
        /// Functions that it calls.
        tool_calls: Vec<ToolCall<'a>>,
    }
}

view! {
    /// One part of an answer, or a piece of one.
    pub struct Part<'a> {
        /// `text` or `thinking`.
        kind = "type": JsonStr<'a>,
        /// Of `text`.
        text: JsonStr<'a>,
        /// Of `thinking`.
        thinking: JsonStr<'a>,
    }
}

view! {
    /// A function that is called.
    pub struct ToolCall<'a> {
        /// Names the call.
        id: JsonStr<'a>,
        /// What is called.
        function: Function<'a>,
    }
}

view! {
    /// What is called.
    pub struct Function<'a> {
        /// Its name.
        name: JsonStr<'a>,
        /// The arguments: a JSON document as a string, in a stream a piece of one.
        arguments: JsonStr<'a>,
    }
}

view! {
    /// How likely a piece of text was.
    pub struct Logprob<'a> {
        /// The piece.
        text: JsonStr<'a>,
        /// Of each of its tokens.
        logprobs: Vec<f64>,
    }
}

view! {
    /// The token counts.
    pub struct Usage<'a> {
        /// What went through the model.
        tokens: Tokens<'a>,
        /// What is paid for; less, as Cohere's own instructions are not counted.
        billed_units: Tokens<'a>,
        /// Of the request, those read from the prompt cache.
        cached_tokens: f64,
    }
}

view! {
    /// Tokens, as decimals.
    pub struct Tokens<'a> {
        /// Of the request.
        input_tokens: f64,
        /// Of the answer, thinking included.
        output_tokens: f64,
    }
}

view! {
    /// One event of a stream; which fields it has depends on `type`.
    pub struct Event<'a> {
        /// `message-start`, `content-start`, `content-delta`, `content-end`, `tool-plan-delta`,
        /// `tool-call-start`, `tool-call-delta`, `tool-call-end`, `citation-start`, `citation-end`,
        /// `message-end` or `debug`.
        kind = "type": JsonStr<'a>,
        /// Of `message-start`: the answer's name.
        id: JsonStr<'a>,
        /// What it adds.
        delta: Delta<'a>,
        /// Of `content-delta`.
        logprobs: Logprob<'a>,
    }
}

view! {
    /// What an event adds.
    pub struct Delta<'a> {
        /// To the message.
        message: DeltaMessage<'a>,
        /// Of `message-end`.
        finish_reason: JsonStr<'a>,
        /// Of `message-end`.
        usage: Usage<'a>,
        /// Of `message-end`: what went wrong.
        error: JsonStr<'a>,
    }
}

view! {
    /// What an event adds to the message.
    pub struct DeltaMessage<'a> {
        /// A [`Part`]; an empty list where the message starts.
        content: &'a RawValue,
        /// A piece of it.
        tool_plan: JsonStr<'a>,
        /// A [`ToolCall`]; an empty list where the message starts.
        tool_calls: &'a RawValue,
    }
}

view! {
    /// An error's body.
    pub struct Error<'a> {
        /// In words.
        message: JsonStr<'a>,
    }
}
