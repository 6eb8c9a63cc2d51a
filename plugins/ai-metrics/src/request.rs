//! What is remembered of a request: numbers about it, nothing of it.

use serde_json::value::RawValue;
use shared::json::JsonStr;
use shared::protocol::Endpoint;
use shared::texts::{self, Role};

use crate::language::{Language, Letters};
use crate::tokens;

/// Numbers about a request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Whether the body could be read; without, all else is nothing.
    pub known: bool,
    /// Characters of language, as bytes of their JSON.
    pub prompt_bytes: u64,
    /// Tokens of it, estimated.
    pub estimate: u64,
    /// Its language.
    pub language: Language,
    /// Whether it has pictures, sound or files.
    pub attachments: bool,
    /// Whether tools are declared.
    pub tools: bool,
    /// Whether the answer is to be JSON.
    pub schema: bool,
    /// Stands for what was asked; the same for the same texts to the same model.
    pub hash: u64,
}

impl Profile {
    /// What a model must be able to, to take its place.
    pub fn needs(&self) -> shared::price::Needs {
        let Profile { tools, attachments: vision, schema, .. } = *self;
        shared::price::Needs { tools, vision, schema }
    }
}

/// What a body tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Numbers about it.
    pub profile: Profile,
    /// The model that it names.
    pub model: Option<String>,
}

shared::partial! {
    /// What a body may name besides its texts.
    struct Body<'a> {
        model: JsonStr<'a>,
        tools: &'a RawValue,
        functions: &'a RawValue,
        response_format: &'a RawValue,
        /// Responses.
        text: &'a RawValue,
        /// Anthropic.
        output_config: &'a RawValue,
        output_format: &'a RawValue,
        /// Gemini.
        generation_config = "generationConfig" | "generation_config": &'a RawValue,
    }
}

/// What marks a part as no text, in all APIs: the types of parts, and Gemini's members. Each begins with
/// a quote and one of [`FIRST`].
const ATTACHMENTS: [&str; 12] = [
    "\"image_url\"",
    "\"input_image\"",
    "\"input_audio\"",
    "\"input_file\"",
    "\"file_data\"",
    "\"fileData\"",
    "\"inlineData\"",
    "\"inline_data\"",
    "\"type\":\"image\"",
    "\"type\":\"document\"",
    "\"type\": \"image\"",
    "\"type\": \"document\"",
];

/// The second bytes of [`ATTACHMENTS`].
const FIRST: &[u8] = b"ift";

/// Whether there is a part that is no text. One look at the body, and a closer one at its quotes.
fn has_attachments(body: &str) -> bool {
    let bytes = body.as_bytes();
    memchr::memchr_iter(b'"', bytes).any(|at| {
        let part = bytes.get(at..).unwrap_or_default();
        part.get(1).is_some_and(|first| FIRST.contains(first))
            && ATTACHMENTS.iter().any(|mark| part.starts_with(mark.as_bytes()))
    })
}

/// Whether an API's requests are language.
pub fn is_language(endpoint: Option<Endpoint>) -> bool {
    matches!(
        endpoint,
        Some(
            Endpoint::OpenAiChat
                | Endpoint::OpenAiResponses
                | Endpoint::OpenAiCompletions
                | Endpoint::OpenAiEmbeddings
                | Endpoint::AnthropicMessages
                | Endpoint::Gemini
                | Endpoint::GeminiEmbed
        )
    )
}

impl Asked {
    /// Looks at a body of up to `max` bytes; of a larger one only the size is known.
    pub fn of(body: &str, max: usize) -> Asked {
        if body.len() > max {
            let profile = Profile { prompt_bytes: count(body.len()), ..Profile::default() };
            return Asked { profile, model: None };
        }
        let Ok(texts) = texts::request(body) else { return Asked::default() };
        let mut model = None;
        let mut profile = Profile { known: true, ..Profile::default() };
        let mut letters = Letters::default();
        let mut hash = Hash::default();
        for text in &texts {
            let raw = text.raw.get();
            hash.write(&[text.role as u8]);
            hash.write(raw.as_bytes());
            profile.prompt_bytes = profile.prompt_bytes.saturating_add(count(raw.len()));
            profile.estimate = profile.estimate.saturating_add(tokens::estimate(raw));
            if text.role == Role::User {
                letters.read(raw);
            }
        }
        profile.language = letters.language();
        profile.attachments = has_attachments(body);
        if let Ok(named) = shared::json::parse::<Body<'_>>(body) {
            let list = |value: Option<&RawValue>| value.is_some_and(|v| v.get().len() > "[]".len());
            profile.tools = list(named.tools) || list(named.functions);
            let json = [
                named.response_format,
                named.text,
                named.output_config,
                named.output_format,
                named.generation_config,
            ];
            profile.schema = json.into_iter().flatten().any(|value| {
                let value = value.get();
                contains(value, "json_schema")
                    || contains(value, "json_object")
                    || contains(value, "application/json")
            });
            if let Some(named) = &named.model {
                hash.write(named.escaped().as_bytes());
                model = Some(named.decode().into_owned());
            }
        }
        profile.hash = hash.0;
        Asked { profile, model }
    }
}

fn contains(text: &str, part: &str) -> bool {
    text.contains(part)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// FNV-1a over words of eight bytes: quick, steady across workers and restarts. Nothing is decided by
/// it that somebody could gain from a collision.
struct Hash(u64);

impl Default for Hash {
    fn default() -> Hash {
        Hash(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    fn write(&mut self, bytes: &[u8]) {
        let mut mix = |word: u64| {
            self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        };
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| mix(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| mix(u64::from(*byte)));
        mix(count(bytes.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(text: &str, more: &str) -> Profile {
        let body = format!(
            r#"{{"model":"gpt-5","messages":[{{"role":"user","content":"{text}"}}]{more}}}"#
        );
        Asked::of(&body, 10_000).profile
    }

    #[test]
    fn a_plain_prompt() {
        let profile = chat("What is the time, please?", "");
        assert!(profile.known && !profile.attachments && !profile.tools && !profile.schema);
        assert_eq!((profile.language, profile.prompt_bytes), (Language::English, 27));
        assert!((5..10).contains(&profile.estimate), "{}", profile.estimate);
    }

    #[test]
    fn what_a_model_must_be_able_to_do_is_seen_in_every_api() {
        for (body, attachments, tools, schema) in [
            (
                r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"x"}}]}]}"#,
                true,
                false,
                false,
            ),
            (r#"{"messages":[{"content":[{"type": "image","source":{}}]}]}"#, true, false, false),
            (r#"{"contents":[{"parts":[{"inlineData":{"data":"x"}}]}]}"#, true, false, false),
            (r#"{"messages":[],"tools":[{"type":"function"}]}"#, false, true, false),
            (r#"{"messages":[],"tools":[]}"#, false, false, false),
            (r#"{"messages":[],"response_format":{"type":"json_object"}}"#, false, false, true),
            (r#"{"input":"x","text":{"format":{"type":"json_schema"}}}"#, false, false, true),
            (
                r#"{"contents":[],"generationConfig":{"responseMimeType":"application/json"}}"#,
                false,
                false,
                true,
            ),
            (
                r#"{"messages":[],"output_config":{"format":{"type":"json_schema"}}}"#,
                false,
                false,
                true,
            ),
        ] {
            let profile = Asked::of(body, 10_000).profile;
            let seen = (profile.attachments, profile.tools, profile.schema);
            assert_eq!(seen, (attachments, tools, schema), "{body}");
        }
    }

    #[test]
    fn every_mark_of_an_attachment_is_found() {
        for mark in ATTACHMENTS {
            assert!(has_attachments(&format!("{{\"a\":[{mark}]}}")), "{mark}");
        }
        assert!(!has_attachments(r#"{"type":"text","text":"\"f"}"#));
    }

    #[test]
    fn the_same_question_has_the_same_hash_however_it_is_asked() {
        let plain = chat("hello there", "").hash;
        assert_eq!(plain, chat("hello there", r#","stream":true,"user":"u1""#).hash);
        assert_ne!(plain, chat("hello there!", "").hash);
        let body = r#"{"model":"gpt-4","messages":[{"role":"user","content":"hello there"}]}"#;
        assert_ne!(plain, Asked::of(body, 10_000).profile.hash);
    }

    #[test]
    fn what_is_too_large_or_no_json_is_not_looked_at() {
        assert_eq!(Asked::of("not json", 100), Asked::default());
        let large = Asked::of(&"x".repeat(101), 100).profile;
        assert_eq!((large.known, large.prompt_bytes), (false, 101));
    }
}
