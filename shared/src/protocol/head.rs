//! As much of a request as is needed to send it somewhere, whichever API it is of.

use serde_json::value::RawValue;

use super::openai_chat::StreamOptions;
use crate::json::JsonStr;
use crate::view::view;

view! {
    /// What decides where a request goes.
    pub struct Head<'a> {
        /// The model.
        model: JsonStr<'a>,
        /// The conversation, of Chat Completions and Messages.
        messages: &'a RawValue,
        /// Of Responses, embeddings and others.
        input: &'a RawValue,
        /// Of Completions.
        prompt: &'a RawValue,
        /// Whether the answer is to be an event stream.
        stream: bool,
        /// What the stream carries besides.
        stream_options: StreamOptions<'a>,
        /// Most tokens of the answer.
        max_tokens: &'a RawValue,
        /// The same, thinking included.
        max_completion_tokens: &'a RawValue,
        /// The same, of Responses.
        max_output_tokens: &'a RawValue,
    }
}

impl Head<'_> {
    /// Most tokens of the answer, if it is said. A value that is no such number is the provider's or
    /// the translation's to refuse.
    pub fn max_tokens(&self) -> Option<u64> {
        let values = [self.max_completion_tokens, self.max_output_tokens, self.max_tokens];
        values.into_iter().flatten().find_map(|value| value.get().parse().ok())
    }
}
