//! OpenAI Responses, <https://platform.openai.com/docs/api-reference/responses>.
//!
//! Items and tools of one list have many types, of which the gateway knows a few. A field that has
//! another form in a type that is not known is kept as it stands, so that it cannot make the rest
//! unreadable.

use serde_json::value::RawValue;

use super::Content;
use super::openai_chat::{InputAudio, Logprob, StreamOptions};
use crate::json::JsonStr;
use crate::view::view;

view! {
    /// What a client asks for.
    pub struct Request<'a> {
        /// The model.
        model: JsonStr<'a>,
        /// A text, or a list of [`Item`]s.
        input: Content<'a>,
        /// What the model is told before all else.
        instructions: JsonStr<'a>,
        /// Whether the answer is to be an event stream.
        stream: bool,
        /// A list of [`Tool`]s.
        tools: &'a RawValue,
        /// `none`, `auto`, `required` or a [`NamedChoice`].
        tool_choice: &'a RawValue,
        /// Whether several functions may be called at once.
        parallel_tool_calls: bool,
        /// Most tokens of the answer, thinking included.
        max_output_tokens: u64,
        /// Most calls of tools that OpenAI runs.
        max_tool_calls: &'a RawValue,
        /// 0 to 2.
        temperature: f64,
        /// 0 to 1.
        top_p: f64,
        /// How likely so many other tokens were in the place of each.
        top_logprobs: u32,
        /// What the answer is to hold besides, `message.output_text.logprobs` say.
        include: Vec<JsonStr<'a>>,
        /// How much to think: [`Reasoning`].
        reasoning: &'a RawValue,
        /// The form of the answer: [`TextConfig`].
        text: &'a RawValue,
        /// What to do with too long an input: `disabled` or `auto`.
        truncation: JsonStr<'a>,
        /// Who asks, for OpenAI's abuse detection.
        user: JsonStr<'a>,
        /// The successor of `user`.
        safety_identifier: JsonStr<'a>,
        /// What likens requests, for the prompt cache.
        prompt_cache_key: JsonStr<'a>,
        /// `auto`, `default`, `flex`, `priority`.
        service_tier: &'a RawValue,
        /// How long the prompt cache keeps the prompt.
        prompt_cache_retention: &'a RawValue,
        /// Where the prompt cache is to be cut.
        prompt_cache_options: &'a RawValue,
        /// What a stream carries besides.
        stream_options: StreamOptions<'a>,
        /// Whether OpenAI is to keep the answer.
        store: bool,
        /// The client's notes.
        metadata: &'a RawValue,
        /// Whether the client fetches the answer later.
        background: bool,
        /// An answer kept by OpenAI that the conversation goes on from.
        previous_response_id: JsonStr<'a>,
        /// A conversation kept by OpenAI.
        conversation: &'a RawValue,
        /// A prompt kept by OpenAI.
        prompt: &'a RawValue,
    }
}

view! {
    /// How much to think.
    pub struct Reasoning<'a> {
        /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`.
        effort: JsonStr<'a>,
        /// Whether to tell what was thought: `auto`, `concise` or `detailed`.
        summary: JsonStr<'a>,
        /// The older name of `summary`.
        generate_summary: JsonStr<'a>,
    }
}

view! {
    /// The form of the answer.
    pub struct TextConfig<'a> {
        /// Any text unless said.
        format: Format<'a>,
        /// `low`, `medium` or `high`.
        verbosity: JsonStr<'a>,
    }
}

view! {
    /// What the answer must look like.
    pub struct Format<'a> {
        /// `text`, `json_object` or `json_schema`.
        kind = "type": JsonStr<'a>,
        /// What the schema is called.
        name: JsonStr<'a>,
        /// What it is for.
        description: JsonStr<'a>,
        /// The schema.
        schema: &'a RawValue,
        /// Whether the answer is bound to it.
        strict: bool,
    }
}

view! {
    /// A thing said or done, of the client's or of the model's.
    pub struct Item<'a> {
        /// `message` (may be left out in requests), `function_call`, `function_call_output`,
        /// `custom_tool_call`, `custom_tool_call_output`, `reasoning` and many more.
        kind = "type": JsonStr<'a>,
        /// Names the item.
        id: JsonStr<'a>,
        /// Of `message`: `user`, `assistant`, `system` or `developer`.
        role: JsonStr<'a>,
        /// Of `message`, a string or a list of [`Part`]s; of `reasoning`, a list of [`Part`]s.
        content: &'a RawValue,
        /// Of `reasoning`: what was thought, in short.
        summary: &'a RawValue,
        /// Of `reasoning`: what was thought, for OpenAI only.
        encrypted_content: JsonStr<'a>,
        /// Names a call, in it and in its output.
        call_id: JsonStr<'a>,
        /// Of a call: the function.
        name: JsonStr<'a>,
        /// Of a call: the [`Tool`] of type `namespace` that holds the function.
        namespace: JsonStr<'a>,
        /// Of `function_call`: a JSON document as a string.
        arguments: &'a RawValue,
        /// Of `custom_tool_call`: any text.
        input: &'a RawValue,
        /// Of the output of a call: a string or a list of [`Part`]s.
        output: &'a RawValue,
        /// How far it has come: `completed` ...
        status: &'a RawValue,
    }
}

view! {
    /// One part of an item.
    pub struct Part<'a> {
        /// `input_text`, `input_image`, `input_file`, `input_audio`, `output_text`, `refusal`,
        /// `summary_text`, `reasoning_text`.
        kind = "type": JsonStr<'a>,
        /// Of the texts.
        text: JsonStr<'a>,
        /// Of `refusal`.
        refusal: JsonStr<'a>,
        /// Of `input_image`: `https://...` or `data:image/png;base64,...`.
        image_url: JsonStr<'a>,
        /// Of `input_image`: `low`, `high`, `auto` or `original`; of `input_file` too.
        detail: JsonStr<'a>,
        /// Of `input_file`: `data:application/pdf;base64,...`.
        file_data: JsonStr<'a>,
        /// Of `input_file`.
        file_url: JsonStr<'a>,
        /// One that was uploaded before.
        file_id: JsonStr<'a>,
        /// Its name.
        filename: JsonStr<'a>,
        /// Of `input_audio`.
        input_audio: InputAudio<'a>,
        /// Of `output_text`.
        logprobs: Vec<Logprob<'a>>,
        /// A mark for the prompt cache.
        prompt_cache_breakpoint: &'a RawValue,
    }
}

view! {
    /// What the model may call.
    pub struct Tool<'a> {
        /// `function`, `custom`, `namespace` and many more, which OpenAI runs itself.
        kind = "type": JsonStr<'a>,
        /// Its name.
        name: JsonStr<'a>,
        /// What it is for.
        description: JsonStr<'a>,
        /// Of `function`: JSON Schema of its arguments.
        parameters: &'a RawValue,
        /// Of `function`: whether the arguments are bound to the schema; true unless said.
        strict: bool,
        /// Of `custom`: what the text must look like, [`Grammar`].
        format: &'a RawValue,
        /// Of `namespace`: what it holds.
        tools: Vec<Tool<'a>>,
    }
}

view! {
    /// What the text that a custom tool takes must look like.
    pub struct Grammar<'a> {
        /// `text` or `grammar`.
        kind = "type": JsonStr<'a>,
        /// `lark` or `regex`.
        syntax: JsonStr<'a>,
        /// The grammar.
        definition: JsonStr<'a>,
    }
}

view! {
    /// The object form of `tool_choice`.
    pub struct NamedChoice<'a> {
        /// `function`, `custom`, `allowed_tools`, or the type of a tool that OpenAI runs.
        kind = "type": JsonStr<'a>,
        /// Of `function` and `custom`.
        name: JsonStr<'a>,
        /// Of `allowed_tools`: `auto` or `required`.
        mode: JsonStr<'a>,
        /// Of `allowed_tools`.
        tools: Vec<Tool<'a>>,
    }
}

view! {
    /// An answer.
    pub struct Response<'a> {
        /// Its name.
        id: JsonStr<'a>,
        /// The model that answered.
        model: JsonStr<'a>,
        /// `completed`, `incomplete`, `failed`, `in_progress`, `queued` or `cancelled`.
        status: JsonStr<'a>,
        /// Why it is incomplete.
        incomplete_details: IncompleteDetails<'a>,
        /// What the model said and did.
        output: Vec<Item<'a>>,
        /// The token counts.
        usage: Usage<'a>,
        /// Why it failed.
        error: &'a RawValue,
    }
}

view! {
    /// Why an answer is incomplete.
    pub struct IncompleteDetails<'a> {
        /// `max_output_tokens` or `content_filter`.
        reason: JsonStr<'a>,
    }
}

view! {
    /// The token counts.
    pub struct Usage<'a> {
        /// Of the request, cached ones included.
        input_tokens: u64,
        /// Of the answer, thinking included.
        output_tokens: u64,
        /// Of the request's.
        input_tokens_details: InputDetails<'a>,
        /// Of the answer's.
        output_tokens_details: OutputDetails<'a>,
    }
}

view! {
    /// Of the request's tokens.
    pub struct InputDetails<'a> {
        /// Those read from the prompt cache.
        cached_tokens: u64,
        /// Those written to it.
        cache_write_tokens: u64,
    }
}

view! {
    /// Of the answer's tokens.
    pub struct OutputDetails<'a> {
        /// Those spent on thinking.
        reasoning_tokens: u64,
    }
}

view! {
    /// An event of a stream, <https://platform.openai.com/docs/api-reference/responses-streaming>.
    /// With its `usage`, which no event has, it also reads as much of a whole answer as is needed to
    /// count.
    pub struct Event<'a> {
        /// `response.created`, `response.output_text.delta` ...
        kind = "type": JsonStr<'a>,
        /// The answer so far.
        response: Response<'a>,
        /// The item that begins or is over.
        item: Item<'a>,
        /// Which item of the answer this is about.
        output_index: u32,
        /// Which part of the item's `summary`.
        summary_index: u32,
        /// A piece of text.
        delta: JsonStr<'a>,
        /// All arguments of a call.
        arguments: JsonStr<'a>,
        /// All of a custom call's text.
        input: JsonStr<'a>,
        /// How likely the piece's tokens were.
        logprobs: Vec<Logprob<'a>>,
        /// Of `error`.
        code: JsonStr<'a>,
        /// Of `error`.
        message: JsonStr<'a>,
        /// Of `error`, as OpenAI sends it besides what its reference says: [`Error`].
        error: &'a RawValue,
        /// Of a whole answer.
        usage: Usage<'a>,
    }
}

view! {
    /// What type an event has.
    pub struct EventKind<'a> {
        /// `response.created`, `response.output_text.delta` ...
        kind = "type": JsonStr<'a>,
    }
}

view! {
    /// Why an answer failed.
    pub struct Error<'a> {
        /// `server_error`, `rate_limit_exceeded` ...
        code: JsonStr<'a>,
        /// `invalid_request_error` ...
        kind = "type": JsonStr<'a>,
        /// In words.
        message: JsonStr<'a>,
    }
}
