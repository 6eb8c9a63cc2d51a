//! OpenAI Chat Completions, <https://platform.openai.com/docs/api-reference/chat>.
//!
//! The views also name what OpenAI-compatible servers add: `reasoning_content` (DeepSeek, Qwen,
//! vLLM), `top_k` and `cache_control` (OpenRouter, LiteLLM).

use serde_json::value::RawValue;

use super::Content;
use crate::json::{JsonStr, parse};
use crate::view::view;

view! {
    /// What a client asks for.
    pub struct Request<'a> {
        /// The model.
        model: JsonStr<'a>,
        /// The conversation.
        messages: Vec<Message<'a>>,
        /// Whether the answer is to be an event stream.
        stream: bool,
        /// What the stream carries besides.
        stream_options: StreamOptions<'a>,
        /// The functions that the model may call.
        tools: Vec<Tool<'a>>,
        /// `none`, `auto`, `required` or an object that names one.
        tool_choice: &'a RawValue,
        /// Whether several functions may be called at once.
        parallel_tool_calls: bool,
        /// Most tokens of the answer; the older name.
        max_tokens: u64,
        /// Most tokens of the answer, thinking included.
        max_completion_tokens: u64,
        /// 0 to 2.
        temperature: f64,
        /// 0 to 1.
        top_p: f64,
        /// How many of the likeliest tokens to choose from; not OpenAI's own.
        top_k: u64,
        /// A string or up to four.
        stop: &'a RawValue,
        /// -2 to 2.
        frequency_penalty: f64,
        /// -2 to 2.
        presence_penalty: f64,
        /// Makes the answer repeatable, as far as possible.
        seed: i64,
        /// How many answers.
        n: u32,
        /// Whether to tell how likely the tokens were.
        logprobs: bool,
        /// And how likely so many others in their place.
        top_logprobs: u32,
        /// `low`, `medium` or `high`.
        verbosity: JsonStr<'a>,
        /// What likens requests, for the prompt cache.
        prompt_cache_key: JsonStr<'a>,
        /// Whether OpenAI is to keep the answer.
        store: bool,
        /// The client's notes.
        metadata: &'a RawValue,
        /// `text`, `json_object` or `json_schema`.
        response_format: ResponseFormat<'a>,
        /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`.
        reasoning_effort: JsonStr<'a>,
        /// Who asks, for the provider's abuse detection.
        user: JsonStr<'a>,
        /// The successor of `user`.
        safety_identifier: JsonStr<'a>,
        /// `auto`, `default`, `flex`, `priority`.
        service_tier: &'a RawValue,
        /// How long the prompt cache keeps the prompt.
        prompt_cache_retention: &'a RawValue,
        /// Where the prompt cache is to be cut.
        prompt_cache_options: &'a RawValue,
    }
}

view! {
    /// What a stream carries besides the answer.
    pub struct StreamOptions<'a> {
        /// A last chunk with the token counts.
        include_usage: bool,
        /// Padding against traffic analysis.
        include_obfuscation: bool,
    }
}

view! {
    /// One message of the conversation.
    pub struct Message<'a> {
        /// `system`, `developer`, `user`, `assistant`, `tool` or `function`.
        role: JsonStr<'a>,
        /// A string or a list of parts.
        content: Content<'a>,
        /// Functions that the assistant called.
        tool_calls: Vec<ToolCall<'a>>,
        /// Which call a tool message answers.
        tool_call_id: JsonStr<'a>,
        /// The speaker's name.
        name: JsonStr<'a>,
        /// What the assistant said instead of an answer.
        refusal: JsonStr<'a>,
        /// What the assistant thought, from a compatible server.
        reasoning_content: JsonStr<'a>,
        /// The same under its other name. vLLM and MLX send both.
        reasoning: JsonStr<'a>,
        /// The same with signatures, as the gateway itself hands it out.
        thinking_blocks: Vec<ThinkingBlock<'a>>,
        /// What the assistant said aloud, kept by OpenAI.
        audio: &'a RawValue,
        /// The predecessor of `tool_calls`.
        function_call: Function<'a>,
        /// A mark for the provider's prompt cache.
        cache_control: &'a RawValue,
    }
}

impl<'a> Message<'a> {
    /// What the assistant thought, under whichever name; none if it says nothing.
    pub fn thought(&self) -> Option<JsonStr<'a>> {
        let both = [&self.reasoning_content, &self.reasoning];
        both.into_iter().flatten().find(|text| !text.is_empty()).cloned()
    }
}

view! {
    /// What the assistant thought, with the provider's signature.
    pub struct ThinkingBlock<'a> {
        /// `thinking` or `redacted_thinking`.
        kind = "type": JsonStr<'a>,
        /// The thought.
        thinking: JsonStr<'a>,
        /// Proves that it was not changed.
        signature: JsonStr<'a>,
        /// An encrypted thought.
        data: JsonStr<'a>,
    }
}

view! {
    /// One part of a message.
    pub struct Part<'a> {
        /// `text`, `image_url`, `input_audio`, `file` or `refusal`.
        kind = "type": JsonStr<'a>,
        /// Of `text`.
        text: JsonStr<'a>,
        /// Of `image_url`.
        image_url: ImageUrl<'a>,
        /// Of `file`.
        file: File<'a>,
        /// Of `input_audio`.
        input_audio: InputAudio<'a>,
        /// Of `video_url` (vLLM, Qwen and others).
        video_url: ImageUrl<'a>,
        /// Of `refusal`.
        refusal: JsonStr<'a>,
        /// Of `thinking` (Mistral): a list of texts.
        thinking: &'a RawValue,
        /// A mark for the provider's prompt cache.
        cache_control: &'a RawValue,
        /// OpenAI's own.
        prompt_cache_breakpoint: &'a RawValue,
    }
}

impl<'a> Part<'a> {
    /// What was thought, if the part is a thought that says something.
    /// <https://docs.mistral.ai/capabilities/reasoning>
    pub fn thought(&self) -> Option<JsonStr<'a>> {
        let parts: Vec<Part<'a>> = parse(self.thinking?.get()).ok()?;
        let texts: Vec<_> =
            parts.iter().filter_map(|part| part.text.as_ref().map(JsonStr::escaped)).collect();
        JsonStr::from_escaped(&texts.concat()).filter(|text| !text.is_empty())
    }
}

view! {
    /// A picture.
    pub struct ImageUrl<'a> {
        /// `https://...` or `data:image/png;base64,...`.
        url: JsonStr<'a>,
        /// `auto`, `low` or `high`.
        detail: JsonStr<'a>,
    }
}

view! {
    /// A file.
    pub struct File<'a> {
        /// `data:application/pdf;base64,...`.
        file_data: JsonStr<'a>,
        /// One that was uploaded before.
        file_id: JsonStr<'a>,
        /// Its name.
        filename: JsonStr<'a>,
    }
}

view! {
    /// A call of a function; in a stream a piece of one.
    pub struct ToolCall<'a> {
        /// Which of the calls a piece belongs to; in streams only.
        index: u32,
        /// Names the call.
        id: JsonStr<'a>,
        /// `function` or `custom`.
        kind = "type": JsonStr<'a>,
        /// What is called.
        function: Function<'a>,
    }
}

view! {
    /// Which function with which arguments; as part of a [`Tool`], its declaration.
    pub struct Function<'a> {
        /// Its name.
        name: JsonStr<'a>,
        /// A JSON document as a string.
        arguments: JsonStr<'a>,
        /// What it is for.
        description: JsonStr<'a>,
        /// A JSON Schema.
        parameters: &'a RawValue,
        /// Whether the arguments are bound to the schema.
        strict: bool,
    }
}

view! {
    /// A function that the model may call.
    pub struct Tool<'a> {
        /// `function` or `custom`.
        kind = "type": JsonStr<'a>,
        /// Its declaration.
        function: Function<'a>,
        /// A mark for the provider's prompt cache.
        cache_control: &'a RawValue,
    }
}

view! {
    /// The object form of `tool_choice`.
    pub struct NamedChoice<'a> {
        /// `function` or `allowed_tools`.
        kind = "type": JsonStr<'a>,
        /// Which.
        function: Function<'a>,
        /// Which of the tools may be called.
        allowed_tools: AllowedTools<'a>,
    }
}

view! {
    /// Some of the tools.
    pub struct AllowedTools<'a> {
        /// `auto` or `required`.
        mode: JsonStr<'a>,
        /// Those that may be called.
        tools: Vec<Tool<'a>>,
    }
}

view! {
    /// The form of the answer.
    pub struct ResponseFormat<'a> {
        /// `text`, `json_object` or `json_schema`.
        kind = "type": JsonStr<'a>,
        /// Of `json_schema`.
        json_schema: JsonSchema<'a>,
    }
}

view! {
    /// A named schema.
    pub struct JsonSchema<'a> {
        /// Its name.
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
    /// An answer, or with `delta` instead of `message` a piece of one. Its `created` is not read: nobody needs
    /// it, and some servers give fractions of seconds.
    pub struct Response<'a> {
        /// Its name.
        id: JsonStr<'a>,
        /// The model that answered.
        model: JsonStr<'a>,
        /// The answers.
        choices: Vec<Choice<'a>>,
        /// The token counts.
        usage: Usage<'a>,
        /// An error in a stream.
        error: &'a RawValue,
    }
}

view! {
    /// One answer.
    pub struct Choice<'a> {
        /// Which, if several were asked for.
        index: u32,
        /// The whole.
        message: Message<'a>,
        /// A piece.
        delta: Message<'a>,
        /// `stop`, `length`, `tool_calls`, `content_filter` or `function_call`.
        finish_reason: JsonStr<'a>,
        /// How likely its tokens were.
        logprobs: Logprobs<'a>,
    }
}

view! {
    /// The token counts.
    pub struct Usage<'a> {
        /// Of the request, cached ones included.
        prompt_tokens: u64,
        /// Of the answer, thinking included.
        completion_tokens: u64,
        /// Both.
        total_tokens: u64,
        /// Of the request's.
        prompt_tokens_details: PromptDetails<'a>,
        /// Of the answer's.
        completion_tokens_details: CompletionDetails<'a>,
        /// DeepSeek's name for the cached ones.
        prompt_cache_hit_tokens: u64,
        /// Moonshot's.
        cached_tokens: u64,
    }
}

view! {
    /// Of the request's tokens.
    pub struct PromptDetails<'a> {
        /// Those read from the provider's prompt cache.
        cached_tokens: u64,
        /// Those written to it; the second name is OpenAI's, the first other servers'.
        cache_creation_tokens = "cache_creation_tokens" | "cache_write_tokens": u64,
        /// Those of sound.
        audio_tokens: u64,
    }
}

view! {
    /// Of the answer's tokens.
    pub struct CompletionDetails<'a> {
        /// Those spent on thinking.
        reasoning_tokens: u64,
        /// Those of sound.
        audio_tokens: u64,
    }
}

view! {
    /// What of an error's body can be told.
    pub struct Error<'a> {
        /// In words.
        message: JsonStr<'a>,
        /// `invalid_request_error` ...
        kind = "type": JsonStr<'a>,
        /// What exactly: a text, a number or null.
        code: &'a RawValue,
    }
}

view! {
    /// How likely an answer's tokens were.
    pub struct Logprobs<'a> {
        /// Those of its text.
        content: Vec<Logprob<'a>>,
    }
}

view! {
    /// How likely a token was.
    pub struct Logprob<'a> {
        /// The token's text.
        token: JsonStr<'a>,
        /// Natural logarithm of its probability.
        logprob: f64,
        /// The likeliest tokens in its place.
        top_logprobs: Vec<Logprob<'a>>,
    }
}

view! {
    /// A sound.
    pub struct InputAudio<'a> {
        /// Base64.
        data: JsonStr<'a>,
        /// `wav` or `mp3`.
        format: JsonStr<'a>,
    }
}
