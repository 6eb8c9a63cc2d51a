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
    }
}
