//! What is remembered of a request: numbers about it, nothing of it.

use shared::json::JsonStr;
use shared::protocol::Endpoint;
use shared::texts::{self, Role};

use crate::language::{Language, Letters};
use crate::scan::{Piece, Scan};
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

/// Members and types of parts that are no text, in all APIs.
const ATTACHMENTS: [&str; 11] = [
    "image_url",
    "input_image",
    "input_audio",
    "input_file",
    "file_data",
    "fileData",
    "inlineData",
    "inline_data",
    // Anthropic's; types only.
    "image",
    "document",
    "file",
];

/// Of these, what a member's name tells as well.
const NAMED: usize = 8;

impl Asked {
    /// Looks at a body of up to `max` bytes; of a larger one only the size is known.
    pub fn of(body: &str, max: usize) -> Asked {
        if body.len() > max {
            let profile = Profile { prompt_bytes: count(body.len()), ..Profile::default() };
            return Asked { profile, model: None };
        }
        let mut look = Look::default();
        let mut scan = Scan::new(body);
        let whole = look.top(&mut scan, 0).and_then(|()| scan.end());
        if whole.is_none() || !body.trim_start().starts_with('{') {
            return Asked::default();
        }
        let Look { mut profile, letters, mut hash, model, .. } = look;
        profile.known = true;
        profile.language = letters.language();
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

/// A text of a message, whose role may only be told after it.
struct Found<'a> {
    text: &'a str,
    /// Another role than its message's.
    role: Option<Role>,
}

/// What has been seen of a body. The members that have language are those of [`texts`].
#[derive(Default)]
struct Look<'a> {
    profile: Profile,
    letters: Letters,
    hash: Hash,
    model: Option<&'a str>,
    /// Texts of the message at hand, and its role.
    message: Vec<Found<'a>>,
    role: Option<Role>,
}

impl<'a> Look<'a> {
    fn top(&mut self, scan: &mut Scan<'a>, depth: u8) -> Option<()> {
        scan.object(&mut |scan, key| match key {
            "messages" | "contents" | "input" => {
                if scan.peek()? != b'[' {
                    return self.message(scan, Role::User);
                }
                scan.array(&mut |scan| self.message(scan, Role::User))
            }
            "system" | "instructions" | "system_instruction" | "systemInstruction" => {
                self.message(scan, Role::System)
            }
            "tools" | "functions" => {
                let mut ahead = scan.clone();
                self.profile.tools |= ahead.value()?.len() > "[]".len() && scan.peek()? == b'[';
                self.message(scan, Role::Declaration)
            }
            "prompt" | "suffix" | "content" | "query" | "documents" | "prediction" | "texts"
            | "inputs" | "negative_prompt" => self.message(scan, Role::User),
            "requests" if depth == 0 => scan.array(&mut |scan| self.top(scan, 1)),
            "model" => {
                match scan.string() {
                    Some(named) => self.model = Some(named.escaped),
                    None => {
                        scan.value()?;
                    }
                }
                Some(())
            }
            "response_format" | "text" | "output_config" | "output_format" | "generationConfig"
            | "generation_config" => {
                let value = scan.value()?;
                let marks = ["json_schema", "json_object", "application/json"];
                self.profile.schema |= marks.iter().any(|mark| value.contains(mark));
                Some(())
            }
            _ => scan.skip(),
        })
    }

    /// One message, or whatever else has texts of one role.
    fn message(&mut self, scan: &mut Scan<'a>, role: Role) -> Option<()> {
        self.role = None;
        self.value(scan, None, 0, false)?;
        let role = self.role.unwrap_or(role);
        for found in self.message.drain(..) {
            let role = found.role.unwrap_or(role);
            self.hash.write(&[role as u8]);
            self.hash.write(found.text.as_bytes());
            if role == Role::User {
                self.letters.read(found.text);
            }
        }
        Some(())
    }

    /// All strings of a value; `free` if its keys are the client's own.
    fn value(
        &mut self,
        scan: &mut Scan<'a>,
        role: Option<Role>,
        depth: u8,
        free: bool,
    ) -> Option<()> {
        match scan.peek()? {
            b'"' => {
                let piece = scan.string()?;
                if !piece.escaped.is_empty() {
                    self.found(piece, role);
                }
                Some(())
            }
            b'[' => scan.array(&mut |scan| self.value(scan, role, depth, free)),
            b'{' => self.object(scan, role, depth, free),
            _ => scan.skip(),
        }
    }

    fn object(
        &mut self,
        scan: &mut Scan<'a>,
        outer: Option<Role>,
        depth: u8,
        free: bool,
    ) -> Option<()> {
        let mut role = outer;
        scan.object(&mut |scan, key| {
            if free {
                return self.value(scan, role, 1, true);
            }
            match key {
                "content" | "text" | "parts" => return self.value(scan, role, 1, false),
                "role" => {
                    let named = scan.value()?.trim_matches('"');
                    match depth {
                        0 => self.role = Some(texts::role_of(named)),
                        _ => role = Some(texts::role_of(named)),
                    }
                    return Some(());
                }
                "type" => {
                    let named = scan.value()?.trim_matches('"');
                    self.profile.attachments |= ATTACHMENTS.contains(&named);
                    match named {
                        "tool_result" | "function_call_output" | "custom_tool_call_output" => {
                            role = Some(Role::Tool);
                        }
                        "function_call" | "custom_tool_call" | "reasoning" => {
                            role = Some(Role::Assistant);
                        }
                        _ => {}
                    }
                    return Some(());
                }
                _ => {}
            }
            self.profile.attachments |= ATTACHMENTS.iter().take(NAMED).any(|mark| *mark == key);
            if texts::OPAQUE.contains(&key) {
                return scan.skip();
            }
            let inner = match key {
                "functionResponse" | "function_response" => Some(Role::Tool),
                _ => role,
            };
            let free = texts::FREE.contains(&key) && scan.peek()? != b'"';
            self.value(scan, inner, 1, free)
        })
    }

    fn found(&mut self, piece: Piece<'a>, role: Option<Role>) {
        let Piece { escaped: text, ascii, other } = piece;
        // With its quotes, as a provider gets it.
        let quotes = 2;
        let bytes = count(text.len()).saturating_add(quotes);
        self.profile.prompt_bytes = self.profile.prompt_bytes.saturating_add(bytes);
        let tokens = tokens::of(ascii.saturating_add(quotes), other);
        self.profile.estimate = self.profile.estimate.saturating_add(tokens);
        self.message.push(Found { text, role });
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
        let seen = |part: &str| {
            let body = format!(r#"{{"messages":[{{"role":"user","content":[{part}]}}]}}"#);
            Asked::of(&body, 10_000).profile.attachments
        };
        for mark in ATTACHMENTS {
            assert!(seen(&format!(r#"{{"type": "{mark}"}}"#)), "{mark}");
        }
        for mark in &ATTACHMENTS[..NAMED] {
            assert!(seen(&format!(r#"{{"{mark}": {{"a": 1}}}}"#)), "{mark}");
        }
        assert!(!seen(r#"{"type":"text","text":"\"image_url\" document"}"#));
    }

    #[test]
    fn the_same_texts_are_seen_as_those_of_other_plugins() {
        for body in [
            r#"{"messages":[{"content":"later","role":"system"},{"role":"user","content":"hello"},
                {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
                 "function":{"name":"f","arguments":"{\"a\":1}"}}]},
                {"role":"tool","tool_call_id":"c","content":"12"}],
                "tools":[{"type":"function","function":{"name":"f","description":"what it does",
                 "parameters":{"type":"object","properties":{"type":{"description":"kind"}}}}}]}"#,
            r#"{"system":[{"type":"text","text":"be brief"}],"messages":[{"role":"user","content":[
                {"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"7"}]},
                {"type":"text","text":"and?"}]}]}"#,
            r#"{"input":[{"type":"function_call","name":"f","arguments":"{}","call_id":"1"},
                {"type":"message","role":"user","content":[{"type":"input_text","text":"hm"}]}],
                "instructions":"short"}"#,
            r#"{"contents":{"parts":[{"text":"a"},{"functionResponse":{"name":"f",
                "response":{"name":"x"}}}]},"systemInstruction":{"parts":[{"text":"b"}]}}"#,
            r#"{"requests":[{"content":{"parts":[{"text":"one"}]}},{"content":{"parts":[]}}]}"#,
            r#"{"prompt":["a","b"],"input":""}"#,
        ] {
            let texts = texts::request(body).unwrap();
            let mut look = Look::default();
            let mut scan = Scan::new(body);
            look.top(&mut scan, 0).unwrap();
            let bytes: usize = texts.iter().map(|text| text.raw.get().len()).sum();
            assert_eq!(look.profile.prompt_bytes, bytes as u64, "{body}");
            let estimate: u64 = texts.iter().map(|text| tokens::estimate(text.raw.get())).sum();
            assert_eq!(look.profile.estimate, estimate, "{body}");
            let mut hash = Hash::default();
            for text in texts {
                hash.write(&[text.role as u8]);
                hash.write(text.raw.get().trim_matches('"').as_bytes());
            }
            assert_eq!(look.hash.0, hash.0, "{body}");
        }
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
