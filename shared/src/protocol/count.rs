//! The number of a request's tokens, in each vendor's form.

use serde_json::value::RawValue;

use crate::view::view;

view! {
    /// What a client of Gemini's wants counted, <https://ai.google.dev/api/tokens>: a conversation, or
    /// a whole request.
    pub struct GeminiRequest<'a> {
        /// The whole request. Without it, this object is one.
        generate_content_request = "generateContentRequest" | "generate_content_request": &'a RawValue,
    }
}

view! {
    /// The number. Anthropic and OpenAI call it `input_tokens`, Bedrock `inputTokens`, Google
    /// `totalTokens`.
    pub struct Response<'a> {
        /// It.
        tokens = "input_tokens" | "inputTokens" | "totalTokens" | "total_tokens": u64,
    }
}
