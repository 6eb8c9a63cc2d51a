//! The one place that knows how each provider reports tokens.
//!
//! Each protocol is one file; what they report is brought to one meaning here, OpenAI's: prompt
//! tokens include cached ones, completion tokens include thinking.

mod anthropic;
mod bedrock;
mod cohere;
mod gemini;
mod openai_chat;
mod openai_responses;

use crate::json::{Read, Reader, Stop};
use crate::protocol::openai_responses as openai_responses_api;
use crate::protocol::{
    anthropic as anthropic_api, bedrock as bedrock_api, cohere as cohere_api, gemini as gemini_api,
    openai_chat as openai_chat_api,
};
use crate::write::JsonWriter;

/// Token counts of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request, those from or to the provider's prompt cache included.
    pub prompt_tokens: u64,
    /// Tokens of the answer, thinking included.
    pub completion_tokens: u64,
    /// Of the prompt tokens, those read from the provider's prompt cache.
    pub cached_tokens: u64,
    /// Of the prompt tokens, those written to the provider's prompt cache.
    pub cache_creation_tokens: u64,
    /// Of the completion tokens, those spent on thinking; 0 where the provider does not say.
    pub reasoning_tokens: u64,
    /// Of the prompt tokens, those of sound.
    pub prompt_audio_tokens: u64,
    /// Of the completion tokens, those of sound.
    pub completion_audio_tokens: u64,
    /// Pictures looked at or made, by services that count them.
    pub images: u64,
    /// Seconds of sound or film, begun ones in full, by services that count them.
    pub seconds: u64,
    /// Pages read, by services that count them.
    pub pages: u64,
}

/// The names of the counts, and their numbers in [`Usage::count`].
const COUNTS: &[(&str, u8)] = &[
    ("prompt_tokens", 0),
    ("completion_tokens", 1),
    ("cached_tokens", 2),
    ("cache_creation_tokens", 3),
    ("reasoning_tokens", 4),
    ("prompt_audio_tokens", 5),
    ("completion_audio_tokens", 6),
    ("images", 7),
    ("seconds", 8),
    ("pages", 9),
];

impl<'a> Read<'a> for Usage {
    fn read(from: &mut Reader<'a>) -> Result<Usage, Stop> {
        let mut usage = Usage::default();
        from.view(COUNTS, None, &mut |reader, number| {
            *usage.count(number) = reader.value()?;
            Ok(())
        })?;
        Ok(usage)
    }
}

impl Usage {
    fn count(&mut self, number: u8) -> &mut u64 {
        match number {
            0 => &mut self.prompt_tokens,
            1 => &mut self.completion_tokens,
            2 => &mut self.cached_tokens,
            3 => &mut self.cache_creation_tokens,
            4 => &mut self.reasoning_tokens,
            5 => &mut self.prompt_audio_tokens,
            6 => &mut self.completion_audio_tokens,
            7 => &mut self.images,
            8 => &mut self.seconds,
            _ => &mut self.pages,
        }
    }

    /// As a JSON object; what is not named is none.
    pub fn json(mut self) -> String {
        let mut object = JsonWriter::with_capacity(128);
        object.open('{');
        for (name, number) in COUNTS {
            let count = *self.count(*number);
            if count > 0 {
                object.key(name);
                object.value(count);
            }
        }
        object.close('}');
        object.finish()
    }

    /// Prompt and completion tokens.
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

/// Collects what a provider reports, piece by piece.
///
/// The reports of one stream overlap (Anthropic counts upwards, vLLM can repeat the totals in every
/// chunk), so a later report replaces what it names; it is never added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    prompt: Option<u64>,
    completion: Option<u64>,
    cached: Option<u64>,
    cache_creation: Option<u64>,
    reasoning: Option<u64>,
    prompt_audio: Option<u64>,
    completion_audio: Option<u64>,
}

impl Report {
    /// OpenAI chat's `usage`.
    pub fn openai_chat(&mut self, usage: &openai_chat_api::Usage<'_>) {
        openai_chat::read(self, usage);
    }

    /// OpenAI Responses' `usage`.
    pub fn openai_responses(&mut self, usage: &openai_responses_api::Usage<'_>) {
        openai_responses::read(self, usage);
    }

    /// Anthropic's `usage`, of a message or of an event.
    pub fn anthropic(&mut self, usage: &anthropic_api::Usage<'_>) {
        anthropic::read(self, usage);
    }

    /// Bedrock's `usage`, of an answer or of an event.
    pub fn bedrock(&mut self, usage: &bedrock_api::Usage<'_>) {
        bedrock::read(self, usage);
    }

    /// Cohere's `usage`, of an answer or of an event.
    pub fn cohere(&mut self, usage: &cohere_api::Usage<'_>) {
        cohere::read(self, usage);
    }

    /// Gemini's `usageMetadata`, of a whole answer or of an event.
    pub fn gemini(&mut self, usage: &gemini_api::Usage<'_>) {
        gemini::read(self, usage);
    }

    /// Counts that were read elsewhere replace all that is known.
    pub fn set(&mut self, usage: Option<Usage>) {
        *self = match usage {
            None => Report::default(),
            Some(usage) => Report {
                prompt: Some(usage.prompt_tokens),
                completion: Some(usage.completion_tokens),
                cached: Some(usage.cached_tokens),
                cache_creation: Some(usage.cache_creation_tokens),
                reasoning: Some(usage.reasoning_tokens),
                prompt_audio: Some(usage.prompt_audio_tokens),
                completion_audio: Some(usage.completion_audio_tokens),
            },
        };
    }

    /// The counts; `None` if the provider reported none.
    pub fn usage(&self) -> Option<Usage> {
        if self.prompt.is_none() && self.completion.is_none() {
            return None;
        }
        Some(Usage {
            prompt_tokens: self.prompt.unwrap_or(0),
            completion_tokens: self.completion.unwrap_or(0),
            cached_tokens: self.cached.unwrap_or(0),
            cache_creation_tokens: self.cache_creation.unwrap_or(0),
            reasoning_tokens: self.reasoning.unwrap_or(0),
            prompt_audio_tokens: self.prompt_audio.unwrap_or(0),
            completion_audio_tokens: self.completion_audio.unwrap_or(0),
            ..Usage::default()
        })
    }
}

/// Replaces what was known by what is named.
fn replace(known: &mut Option<u64>, named: Option<u64>) {
    *known = named.or(*known);
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_one_plugin_states_another_reads() {
        let usage = Usage {
            prompt_tokens: 1,
            completion_tokens: 2,
            cached_tokens: 3,
            cache_creation_tokens: 4,
            reasoning_tokens: 5,
            prompt_audio_tokens: 6,
            completion_audio_tokens: 7,
            images: 8,
            seconds: 9,
            pages: 10,
        };
        for usage in [usage, Usage::default()] {
            assert_eq!(crate::json::parse::<Usage>(&usage.json()).unwrap(), usage);
        }
        assert!(crate::json::parse::<Usage>(r#"{"pages":"x"}"#).is_err());
    }
}
