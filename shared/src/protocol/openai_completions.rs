//! OpenAI's older Completions, <https://platform.openai.com/docs/api-reference/completions>.

use serde_json::value::RawValue;

use super::openai_chat::StreamOptions;
use crate::json::JsonStr;
use crate::view::view;

view! {
    /// What a client asks for.
    pub struct Request<'a> {
        /// The model.
        model: JsonStr<'a>,
        /// A string, strings, or tokens.
        prompt: &'a RawValue,
        /// What comes after the answer.
        suffix: JsonStr<'a>,
        /// Whether the answer is to be an event stream.
        stream: bool,
        /// What the stream carries besides.
        stream_options: StreamOptions<'a>,
        /// Most tokens of the answer.
        max_tokens: u64,
        /// 0 to 2.
        temperature: f64,
        /// 0 to 1.
        top_p: f64,
        /// How many of the likeliest tokens to choose from; not OpenAI's own.
        top_k: u64,
        /// -2 to 2.
        frequency_penalty: f64,
        /// -2 to 2.
        presence_penalty: f64,
        /// Makes the answer repeatable, as far as possible.
        seed: i64,
        /// How many answers.
        n: u32,
        /// Of how many the best are chosen.
        best_of: u32,
        /// Whether the answer begins with the prompt.
        echo: bool,
        /// A string or up to four.
        stop: &'a RawValue,
        /// Who asks, for the provider's abuse detection.
        user: JsonStr<'a>,
    }
}
