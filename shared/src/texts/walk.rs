//! Walks a body's members: which of their strings are language, and whose.

use serde_json::value::RawValue;

use super::{At, FREE, Kind, MAX_TEXTS, OPAQUE, Role, Text, role_of};
use crate::json::{BadJson, Document};

/// Members of a stream's events whose strings are pieces of a text, unless they are about a text
/// ([`ABOUT`]).
const PIECES: [&str; 11] = [
    "delta",
    "content",
    "text",
    "reasoning_content",
    "reasoning",
    "refusal",
    "arguments",
    "partial_json",
    "thinking",
    "transcript",
    "input",
];

/// Members whose strings come whole: what is quoted, and parts that begin.
const ABOUT: [&str; 7] =
    ["annotations", "annotation", "citation", "citations", "content_block", "item", "part"];

/// Members and types of parts that are no text, in all APIs.
pub(super) const ATTACHMENTS: [&str; 11] = [
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
pub(super) const NAMED: usize = 8;

/// Members of a request that decide what is asked of whom. Go's parser takes one for the other whatever their
/// letters' case, and the last one counts: then a provider would read what nobody here has looked at.
const DECIDE: [&str; 22] = [
    "model",
    "messages",
    "contents",
    "input",
    "system",
    "instructions",
    "system_instruction",
    "systemInstruction",
    "tools",
    "functions",
    "prompt",
    "suffix",
    "content",
    "query",
    "documents",
    "prediction",
    "texts",
    "inputs",
    "negative_prompt",
    "requests",
    "max_tokens",
    "max_completion_tokens",
];

/// How deep values may lie within each other; serde_json refuses more by itself.
const MAX_DEPTH: usize = 128;

impl At {
    /// The strings of this member are next, `string` if it is one itself.
    fn enters(&mut self, key: &str, string: bool) {
        self.about |= ABOUT.contains(&key);
        self.piece = string && !self.about && PIECES.contains(&key);
        // FNV-1a: it has but to tell a dozen names apart.
        for byte in key.bytes() {
            self.line = (self.line ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
}

/// What was found so far, and where the walk is.
pub(super) struct Walk<'a> {
    pub(super) whole: Document<'a>,
    pub(super) texts: Vec<Text<'a>>,
    pub(super) attachments: bool,
    pub(super) at: At,
    /// Messages seen so far.
    messages: u32,
    /// It is an event of a stream.
    pub(super) streamed: bool,
    /// Any member may have language.
    pub(super) undescribed: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn of(whole: Document<'a>) -> Walk<'a> {
        let (texts, at) = (Vec::new(), At::default());
        Walk {
            whole,
            texts,
            attachments: false,
            at,
            messages: 0,
            streamed: false,
            undescribed: false,
        }
    }

    fn fields(&self, value: &'a RawValue) -> Result<Vec<Member<'a>>, BadJson> {
        self.whole.value(value).fields()
    }

    /// A list's members; of anything else, itself.
    fn items(&self, value: &'a RawValue) -> Result<Vec<&'a RawValue>, BadJson> {
        if value.get().starts_with('[') { self.whole.value(value).parse() } else { Ok(vec![value]) }
    }

    pub(super) fn top(&mut self, body: Document<'a>, depth: usize) -> Result<(), BadJson> {
        for (key, value) in body.fields()? {
            self.at = At { message: self.messages, ..At::default() };
            match &*key {
                "messages" | "contents" => self.messages(value)?,
                // Responses has items there, embeddings and moderation have texts.
                "input" => self.messages(value)?,
                "system" | "instructions" | "system_instruction" | "systemInstruction" => {
                    self.at.role = Role::System;
                    self.value(value, false, 0)?;
                }
                "tools" | "functions" => {
                    self.at.role = Role::Declaration;
                    self.value(value, false, 0)?;
                }
                "prompt" | "suffix" | "content" | "query" | "documents" | "prediction"
                | "texts" | "inputs" | "negative_prompt" => self.value(value, false, 0)?,
                "requests" if depth == 0 => {
                    for request in self.items(value)? {
                        self.top(self.whole.value(request), depth + 1)?;
                    }
                }
                // A request of Anthropic's batches.
                "params" if depth == 1 => self.top(self.whole.value(value), depth + 1)?,
                "generateContentRequest" | "generate_content_request" if depth == 0 => {
                    self.top(self.whole.value(value), depth + 1)?;
                }
                other => {
                    let same = |known: &&&str| known.eq_ignore_ascii_case(other);
                    if let Some(known) = DECIDE.iter().find(same).filter(|known| **known != other) {
                        let message = format!("unknown field; write `{known}`");
                        return Err(BadJson { path: other.to_owned(), message });
                    }
                }
            }
        }
        Ok(())
    }

    /// A conversation: a text, one message or a list of them.
    fn messages(&mut self, value: &'a RawValue) -> Result<(), BadJson> {
        if !value.get().starts_with('[') {
            return self.message(value);
        }
        for message in self.items(value)? {
            self.message(message)?;
        }
        Ok(())
    }

    fn message(&mut self, value: &'a RawValue) -> Result<(), BadJson> {
        self.at = At { message: self.messages, ..At::default() };
        self.messages = self.messages.saturating_add(1);
        self.value(value, false, 0)
    }

    pub(super) fn answer(&mut self, body: Document<'a>) -> Result<(), BadJson> {
        self.answered(body.fields()?)
    }

    fn answered(&mut self, members: Vec<Member<'a>>) -> Result<(), BadJson> {
        for (key, value) in members {
            match &*key {
                "choices" | "candidates" => {
                    for (index, choice) in (0..).zip(self.items(value)?) {
                        self.at = At { message: index, part: 0, kind: Kind::Text, ..self.at };
                        self.choice(choice)?;
                    }
                }
                "output" | "content" => {
                    for (index, item) in (0..).zip(self.items(value)?) {
                        self.at = At { message: 0, part: index, kind: Kind::Text, ..self.at };
                        self.value(item, false, 0)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Its number may stand in it; a stream's chunk does not have them all.
    fn choice(&mut self, choice: &'a RawValue) -> Result<(), BadJson> {
        let members = self.fields(choice)?;
        if let Some(index) = number(&members, "index") {
            self.at.message = index;
        }
        // Perplexity says in each chunk all that it has said so far, beside the piece.
        let again = self.at.again;
        let sums_up = self.streamed && members.iter().any(|member| member.0 == "delta");
        for (key, value) in members {
            if matches!(&*key, "message" | "delta" | "text" | "content") {
                self.at.again = again || (sums_up && &*key == "message");
                self.member(&key, value)?;
            }
        }
        self.at.again = again;
        Ok(())
    }

    /// The strings of a member that is no part of an object that is walked.
    fn member(&mut self, key: &str, value: &'a RawValue) -> Result<(), BadJson> {
        let outside = self.at;
        if self.streamed {
            self.at.enters(key, value.get().starts_with('"'));
        }
        self.value(value, false, 0)?;
        self.at = outside;
        Ok(())
    }

    pub(super) fn event(&mut self) -> Result<(), BadJson> {
        let members = self.whole.fields()?;
        let kind = string(&members, "type");
        let Some(kind) = kind else { return self.answered(members) };
        // Responses has an item and a part of it, Anthropic one index of a block.
        let item = number(&members, "output_index").or_else(|| number(&members, "index"));
        let part = number(&members, "content_index").or_else(|| number(&members, "summary_index"));
        self.at.part = item.unwrap_or(0).saturating_mul(1 << 10).saturating_add(part.unwrap_or(0));
        self.at.kind = match kind {
            _ if kind.contains("arguments") => Kind::Arguments,
            // Of a custom tool it is whatever the tool takes, and seldom JSON.
            _ if kind.contains("custom_tool_call") => Kind::Value,
            _ if kind.contains("reasoning") => Kind::Thinking,
            _ => Kind::Text,
        };
        self.at.again = kind.ends_with(".done")
            || matches!(kind, "response.completed" | "response.incomplete" | "response.failed");
        for (key, value) in &members {
            match &**key {
                // Of `response.output_text.delta` and the like it is the string itself.
                "delta" | "text" | "refusal" | "arguments" | "input" | "code" | "part" | "item"
                | "annotation" | "content_block" => self.member(key, value)?,
                "response" if self.at.again => self.answer(self.whole.value(value))?,
                _ => {}
            }
        }
        Ok(())
    }

    /// All strings of a value; `free` if its keys are the client's own.
    pub(super) fn value(
        &mut self,
        value: &'a RawValue,
        free: bool,
        depth: usize,
    ) -> Result<(), BadJson> {
        let text = value.get();
        if depth > MAX_DEPTH || self.texts.len() >= MAX_TEXTS {
            return Err(BadJson {
                path: String::new(),
                message: "the document is nested too deeply or has too many strings".into(),
            });
        }
        match text.as_bytes().first() {
            Some(b'"') if text.len() > 2 => {
                self.texts.push(self.at.text(value));
            }
            Some(b'[') => {
                for item in self.items(value)? {
                    self.value(item, free, depth + 1)?;
                }
            }
            Some(b'{') if free => {
                for (_, value) in self.fields(value)? {
                    self.value(value, true, depth + 1)?;
                }
            }
            Some(b'{') => self.object(value, depth)?,
            _ => {}
        }
        Ok(())
    }

    fn object(&mut self, value: &'a RawValue, depth: usize) -> Result<(), BadJson> {
        let outside = self.at;
        let members = self.fields(value)?;
        if let Some(role) = string(&members, "role") {
            self.at.role = role_of(role);
        }
        let kind = string(&members, "type").unwrap_or_default();
        match kind {
            "tool_result" | "function_call_output" | "custom_tool_call_output" => {
                self.at.role = Role::Tool;
            }
            "function_call" | "custom_tool_call" | "reasoning" => self.at.role = Role::Assistant,
            _ => {}
        }
        self.attachments |= ATTACHMENTS.contains(&kind);
        let thought = members.iter().any(|(key, value)| key == "thought" && value.get() == "true");
        if thought || kind == "reasoning" {
            self.at.kind = Kind::Thinking;
        }
        if let (true, Some(index)) =
            (members.iter().any(|m| m.0 == "function"), number(&members, "index"))
        {
            // One of several calls in a chunk of Chat Completions.
            self.at.part = index.saturating_add(1);
        }
        let inside = self.at;
        let signed = string(&members, "signature").is_some_and(|signature| !signature.is_empty())
            && self.at.role == Role::Assistant;
        for (key, value) in members {
            self.at = inside;
            let key = &*key;
            let string = value.get().starts_with('"');
            self.attachments |= ATTACHMENTS.iter().take(NAMED).any(|name| *name == key);
            match key {
                // Of a document that is text it is the text.
                "data" if kind == "text" || self.undescribed => {}
                _ if OPAQUE.contains(&key) => continue,
                "thinking" if signed => self.at.kind = Kind::Signed,
                // OpenRouter's.
                "text" if signed && kind == "reasoning.text" => self.at.kind = Kind::Signed,
                "thinking" | "reasoning_content" | "reasoning" => self.at.kind = Kind::Thinking,
                // A picture.
                "result" if kind == "image_generation_call" => continue,
                "arguments" | "partial_json" if string => self.at.kind = Kind::Arguments,
                "input" if string && kind == "custom_tool_call" => self.at.kind = Kind::Value,
                "functionResponse" | "function_response" => self.at.role = Role::Tool,
                _ => {}
            }
            let free = FREE.contains(&key) && !string;
            if free {
                self.at.kind = Kind::Value;
            }
            if self.streamed {
                self.at.enters(key, string);
            }
            self.value(value, free, depth + 1)?;
        }
        self.at = At { part: outside.part, ..outside };
        Ok(())
    }
}

type Member<'a> = (std::borrow::Cow<'a, str>, &'a RawValue);

/// A member that is a string without escapes, as all are that are looked for.
fn string<'a>(members: &[Member<'a>], key: &str) -> Option<&'a str> {
    let (_, value) = members.iter().find(|member| member.0 == key)?;
    value.get().strip_prefix('"')?.strip_suffix('"')
}

fn number(members: &[Member<'_>], key: &str) -> Option<u32> {
    members.iter().find(|member| member.0 == key)?.1.get().parse().ok()
}
