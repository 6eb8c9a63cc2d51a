//! Writes the messages of a Chat Completions request.

use shared::json::JsonStr;
use shared::write::JsonWriter;

use super::request::string;
use crate::presets::Quirks;
use crate::routing::order::hash;
use crate::translate::ir::{Arguments, Body, Part, Role, Source, Turn};

/// OpenAI's own limit of a call's name, in characters.
const MAX_CALL_ID: usize = 40;

/// What the model has said after results, where the user may not say something at once.
pub(super) const AFTER_RESULTS: &str = r#"{"role":"assistant","content":"OK"}"#;

/// The format's name and the data.
pub(super) fn audio<'s>(source: &'s Source<'_>) -> Option<(&'static str, &'s str)> {
    match source {
        Source::Base64 { media_type: "audio/wav" | "audio/x-wav" | "audio/wave", data } => {
            Some(("wav", data))
        }
        Source::Base64 { media_type: "audio/mp3" | "audio/mpeg", data } => Some(("mp3", data)),
        _ => None,
    }
}

pub(super) fn write_system(w: &mut JsonWriter, parts: &[Part<'_>]) {
    if parts.is_empty() {
        return;
    }
    w.open('{');
    w.field("role", "system");
    write_content(w, parts.iter().collect::<Vec<_>>().as_slice());
    w.close('}');
}

/// The messages as they are written.
pub(super) struct Messages<'q> {
    pub(super) quirks: &'q Quirks,
    /// The last one is the result of a call.
    pub(super) after_results: bool,
    /// None follows.
    pub(super) at_end: bool,
}

impl Messages<'_> {
    /// One turn of the conversation.
    pub(super) fn write_turn(&mut self, w: &mut JsonWriter, turn: &Turn<'_>) {
        match turn.role {
            Role::Assistant => self.write_assistant(w, &turn.parts),
            Role::User => self.write_user(w, &turn.parts),
            Role::System => write_system(w, &turn.parts),
        }
    }

    /// Results are messages of their own, which must follow the calls at once; what else the user says
    /// comes after them, pictures among the results included, which a result has no place for.
    fn write_user(&mut self, w: &mut JsonWriter, parts: &[Part<'_>]) {
        let mut said: Vec<&Part<'_>> = Vec::new();
        for part in parts {
            let Body::ToolResult { id, parts, is_error } = &part.body else {
                said.push(part);
                continue;
            };
            let (texts, others): (Vec<_>, Vec<_>) =
                parts.iter().partition(|part| matches!(part.body, Body::Text(_)));
            w.open('{');
            w.field("role", "tool");
            self.write_id(w, "tool_call_id", id);
            match (texts.as_slice(), is_error) {
                ([], true) => w.field("content", "error"),
                ([], false) => w.field("content", ""),
                (texts, _) => write_content(w, texts),
            }
            w.close('}');
            self.after_results = true;
            said.extend(others);
        }
        if !said.is_empty() {
            if self.quirks.strict_calls && self.after_results {
                w.raw(AFTER_RESULTS);
            }
            w.open('{');
            w.field("role", "user");
            write_content(w, &said);
            w.close('}');
            self.after_results = false;
        }
    }

    fn write_assistant(&mut self, w: &mut JsonWriter, parts: &[Part<'_>]) {
        let said = |part: &&Part<'_>| matches!(part.body, Body::Text(_) | Body::Refusal(_));
        let texts: Vec<_> = parts.iter().filter(said).collect();
        let calls = || parts.iter().filter(|part| matches!(part.body, Body::ToolCall { .. }));
        // Thoughts alone say nothing to another provider.
        if texts.is_empty() && calls().next().is_none() {
            return;
        }
        self.after_results = false;
        w.open('{');
        w.field("role", "assistant");
        if self.quirks.wants_thoughts {
            write_thoughts(w, parts, calls().next().is_some());
        }
        if texts.is_empty() {
            w.key("content");
            w.raw("null");
        } else {
            write_content(w, &texts);
        }
        if calls().next().is_some() {
            w.key("tool_calls");
            w.open('[');
            calls().for_each(|call| self.write_call(w, &call.body));
            w.close(']');
        } else if self.at_end && self.quirks.strict_calls {
            w.key("prefix");
            w.raw("true");
        }
        w.close('}');
    }

    fn write_call(&self, w: &mut JsonWriter, call: &Body<'_>) {
        let Body::ToolCall { id, name, arguments } = call else { return };
        w.open('{');
        self.write_id(w, "id", id);
        w.field("type", "function");
        w.key("function");
        w.open('{');
        string(w, "name", name);
        w.key("arguments");
        match arguments {
            Arguments::Text(text) => w.string(text),
            Arguments::Json(json) => w.text(json.get()),
        }
        w.close('}');
        w.close('}');
    }

    fn write_id(&self, w: &mut JsonWriter, key: &str, id: &JsonStr<'_>) {
        match call_id(id, self.quirks) {
            Some(other) => {
                w.key(key);
                w.text(&other);
            }
            None => string(w, key, id),
        }
    }
}

/// A call's name, if it cannot be the client's. Other providers' names, which stand in a conversation that has
/// failed over, and those that the gateway gives become a hash where they are not taken, so that a call and its
/// result still have the same. Those that are too long for OpenAI end with a hash of the whole.
pub(super) fn call_id(id: &JsonStr<'_>, quirks: &Quirks) -> Option<String> {
    if id.escaped().len() > MAX_CALL_ID && quirks.are_openais() {
        let name = id.decode();
        let head: String = name.chars().take(MAX_CALL_ID - 17).collect();
        return Some(format!("{head}_{:016x}", hash(name.as_bytes())));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    if !quirks.strict_calls || (id.escaped().len() == 9 && id.escaped().bytes().all(plain)) {
        return None;
    }
    Some(format!("{:09x}", hash(id.decode().as_bytes()) >> 28))
}

/// What was thought; of calls even if that is not known any more.
fn write_thoughts(w: &mut JsonWriter, parts: &[Part<'_>], calls: bool) {
    let thoughts = parts.iter().filter_map(|part| match &part.body {
        Body::Thinking { text, .. } => Some(text.decode()),
        _ => None,
    });
    let thoughts: Vec<_> = thoughts.collect();
    if calls || !thoughts.is_empty() {
        w.key("reasoning_content");
        w.text(&thoughts.join("\n\n"));
    }
}

fn write_content(w: &mut JsonWriter, parts: &[&Part<'_>]) {
    w.key("content");
    if let [Part { body: Body::Text(text), breakpoint: None, .. }] = parts {
        return w.string(text);
    }
    w.open('[');
    for part in parts {
        write_part(w, part);
    }
    w.close(']');
}

fn write_part(w: &mut JsonWriter, part: &Part<'_>) {
    match &part.body {
        Body::Text(text) => {
            w.open('{');
            w.field("type", "text");
            string(w, "text", text);
            write_breakpoint(w, part);
            w.close('}');
        }
        Body::Image(source) => {
            w.open('{');
            w.field("type", "image_url");
            w.key("image_url");
            w.open('{');
            w.key("url");
            write_url(w, source);
            match &part.detail {
                // The nearest that there is here.
                Some(detail) if *detail == *"original" => w.field("detail", "high"),
                Some(detail) => string(w, "detail", detail),
                None => {}
            }
            w.close('}');
            write_breakpoint(w, part);
            w.close('}');
        }
        Body::Document { source, title } => {
            w.open('{');
            w.field("type", "file");
            w.key("file");
            w.open('{');
            match title {
                Some(title) => string(w, "filename", title),
                None => w.field("filename", "document.pdf"),
            }
            w.key("file_data");
            write_url(w, source);
            w.close('}');
            write_breakpoint(w, part);
            w.close('}');
        }
        Body::Audio(source) => {
            let Some((format, data)) = audio(source) else { return };
            w.open('{');
            w.field("type", "input_audio");
            w.key("input_audio");
            w.open('{');
            w.field("data", data);
            w.field("format", format);
            w.raw_tail("}}");
        }
        // Not OpenAI's own; vLLM, Qwen and others take it.
        Body::Video(source) => {
            w.open('{');
            w.field("type", "video_url");
            w.key("video_url");
            w.open('{');
            w.key("url");
            write_url(w, source);
            w.raw_tail("}}");
        }
        Body::Refusal(text) => {
            w.open('{');
            w.field("type", "refusal");
            string(w, "refusal", text);
            w.close('}');
        }
        // Each has its own place, or none with another provider.
        Body::ToolCall { .. }
        | Body::ToolResult { .. }
        | Body::Thinking { .. }
        | Body::RedactedThinking(_) => {}
    }
}

/// A mark for OpenAI's prompt cache, where there is one.
pub(in crate::translate::provider) fn write_breakpoint(w: &mut JsonWriter, part: &Part<'_>) {
    if let Some(breakpoint) = part.breakpoint {
        w.key("prompt_cache_breakpoint");
        w.raw(breakpoint.get());
    }
}

fn write_url(w: &mut JsonWriter, source: &Source<'_>) {
    match source {
        Source::Base64 { media_type, data } => {
            w.escaped(&["data:", media_type, ";base64,", data].concat());
        }
        Source::Url(url) => w.string(url),
    }
}
