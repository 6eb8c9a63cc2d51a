//! What is remembered of a request: numbers about it, nothing of it.

use shared::json::JsonStr;
use shared::protocol::Endpoint;
use shared::request::RequestBody;
use shared::texts::Role;

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
    pub fn of(body: &RequestBody, max: usize) -> Asked {
        let size = body.text().len();
        if size > max {
            let profile = Profile { prompt_bytes: count(size), ..Profile::default() };
            return Asked { profile, model: None };
        }
        let (Ok(said), Ok(members)) = (body.said(), body.document().fields()) else {
            return Asked::default();
        };
        let attachments = said.attachments;
        let mut profile = Profile { known: true, attachments, ..Profile::default() };
        let (mut letters, mut hash) = (Letters::default(), Hash::default());
        for text in &said.texts {
            let quoted = text.raw.get();
            let escaped = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
            // With its quotes, as a provider gets it.
            profile.prompt_bytes = profile.prompt_bytes.saturating_add(count(quoted.len()));
            profile.estimate = profile.estimate.saturating_add(tokens::estimate(quoted));
            hash.write(&[text.role as u8]);
            hash.write(escaped.as_bytes());
            if text.role == Role::User {
                letters.read(escaped);
            }
        }
        profile.language = letters.language();
        let mut model = None;
        for (key, value) in &members {
            let value = value.get();
            match &**key {
                "model" if value.starts_with('"') => model = Some(value.trim_matches('"')),
                "tools" | "functions" => {
                    profile.tools |= value.starts_with('[') && value.len() > "[]".len();
                }
                "response_format" | "text" | "output_config" | "output_format"
                | "generationConfig" | "generation_config" => {
                    let marks = ["json_schema", "json_object", "application/json"];
                    profile.schema |= marks.iter().any(|mark| value.contains(mark));
                }
                _ => {}
            }
        }
        if let Some(named) = model {
            hash.write(named.as_bytes());
        }
        profile.hash = hash.0;
        let decoded = |named: &str| match JsonStr::from_escaped(named) {
            Some(text) if named.contains('\\') => text.decode().into_owned(),
            _ => named.to_owned(),
        };
        Asked { profile, model: model.map(decoded) }
    }
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

    fn asked(body: &str, max: usize) -> Asked {
        Asked::of(&RequestBody::new(body.into()).unwrap(), max)
    }

    fn chat(text: &str, more: &str) -> Profile {
        let body = format!(
            r#"{{"model":"gpt-5","messages":[{{"role":"user","content":"{text}"}}]{more}}}"#
        );
        asked(&body, 10_000).profile
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
            let profile = asked(body, 10_000).profile;
            let seen = (profile.attachments, profile.tools, profile.schema);
            assert_eq!(seen, (attachments, tools, schema), "{body}");
        }
    }

    #[test]
    fn the_same_question_has_the_same_hash_however_it_is_asked() {
        let plain = chat("hello there", "").hash;
        assert_eq!(plain, chat("hello there", r#","stream":true,"user":"u1""#).hash);
        assert_ne!(plain, chat("hello there!", "").hash);
        let body = r#"{"model":"gpt-4","messages":[{"role":"user","content":"hello there"}]}"#;
        assert_ne!(plain, asked(body, 10_000).profile.hash);
    }

    #[test]
    fn what_is_too_large_or_no_json_is_not_looked_at() {
        assert_eq!(asked("not json", 100), Asked::default());
        let large = asked(&"x".repeat(101), 100).profile;
        assert_eq!((large.known, large.prompt_bytes), (false, 101));
    }
}
