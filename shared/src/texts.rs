//! What of a request or answer is language: every string that a model reads or has written, whichever
//! client API it is in.
//!
//! One table of keys serves all APIs, and what it does not know is walked rather than skipped: a part
//! of a new type is inspected too. Skipped are only the strings that are no language: names of things,
//! media types, addresses and encoded bytes ([`OPAQUE`]).

use serde_json::value::RawValue;

mod walk;

use crate::follow::Follow;
use crate::json::{BadJson, Document, parse};
use walk::Walk;

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The operator of the application: system and developer prompts.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A function that the model called.
    Tool,
    /// Nobody: the description of a tool.
    Declaration,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Text.
    Text,
    /// What the model thought.
    Thinking,
    /// The same with a signature: it has to come back as it was.
    Signed,
    /// A JSON document as a string: the arguments of a call.
    Arguments,
    /// A string within a JSON value: an argument, or what a function returned.
    Value,
}

/// One string.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// Who says it.
    pub role: Role,
    /// What it is.
    pub kind: Kind,
    /// Of a request: the place of its message in the conversation. Of an answer: which of several.
    pub message: u32,
    /// Which part of the message or answer.
    pub part: u32,
    /// In a stream: says again, as a whole, what has been said piece by piece.
    pub again: bool,
    /// In a stream: a piece of a text, which goes on in other events. What is none stands for itself, as an
    /// argument of Gemini's or a citation does.
    pub piece: bool,
    /// In a stream: tells apart texts of one part that different members have.
    pub line: u32,
    /// The string as it stands in the document, with its quotes.
    pub raw: &'a RawValue,
}

/// Most strings that are taken from one document.
pub const MAX_TEXTS: usize = 100_000;

/// Members whose strings are no language, wherever a protocol has them.
pub const OPAQUE: [&str; 38] = [
    "type",
    "role",
    "id",
    "object",
    "status",
    "name",
    "index",
    "call_id",
    "tool_call_id",
    "tool_use_id",
    "item_id",
    "file_id",
    "file_data",
    "file_url",
    "filename",
    "url",
    "image_url",
    "data",
    "media_type",
    "mime_type",
    "mimeType",
    "format",
    "detail",
    "signature",
    "thoughtSignature",
    "thought_signature",
    "encrypted_content",
    "cache_control",
    "finish_reason",
    "finishReason",
    "stop_reason",
    "stop_sequence",
    "fileUri",
    "file_uri",
    "logprobs",
    "phase",
    "namespace",
    "model",
];

/// Members that hold values of the client's own making, in which any key may stand.
pub const FREE: [&str; 7] =
    ["input", "args", "response", "parameters", "input_schema", "schema", "variables"];

/// What a request says.
#[derive(Clone, Debug, Default)]
pub struct Said<'a> {
    /// Its strings, in the order of the document.
    pub texts: Vec<Text<'a>>,
    /// Whether there are pictures, sound or files too.
    pub attachments: bool,
}

/// What a request's body says.
///
/// Knows the bodies of all endpoints that take language: conversations, prompts, embeddings, images,
/// speech, moderation, reranking.
pub fn request(body: Document<'_>) -> Result<Said<'_>, BadJson> {
    let mut walk = Walk::of(body);
    walk.top(body, 0)?;
    Ok(Said { texts: walk.texts, attachments: walk.attachments })
}

/// What a request says to a service whose body no table describes: all its strings but those that are names of things
/// ([`OPAQUE`]) or encoded bytes.
pub fn service(body: Document<'_>) -> Result<Vec<Text<'_>>, BadJson> {
    let mut walk = Walk::of(body);
    walk.undescribed = true;
    walk.value(body.parse()?, false, 0)?;
    walk.texts.retain(|text| !is_encoded(text.raw.get()));
    Ok(walk.texts)
}

/// Whether a string is a file in base64, as such or as the address of one: nothing else is as long without a space.
fn is_encoded(quoted: &str) -> bool {
    const LONG: usize = 256;
    let text = quoted.trim_matches('"');
    let file = text.strip_prefix("data:").and_then(|rest| rest.split_once(','));
    let text = file.map_or(text, |(_, file)| file);
    let is_base64 = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'\\')
    };
    text.len() > LONG && text.bytes().all(is_base64)
}

/// What a whole answer says.
pub fn answer(body: Document<'_>) -> Result<Said<'_>, BadJson> {
    let mut walk = Walk::of(body);
    walk.at.role = Role::Assistant;
    walk.answer(walk.whole)?;
    Ok(Said { texts: walk.texts, attachments: walk.attachments })
}

/// The strings of one event of a streamed answer. What is no JSON (`[DONE]`) has none.
pub fn event(data: &str) -> Vec<Text<'_>> {
    let mut walk = Walk::of(Document::from(data));
    walk.at.role = Role::Assistant;
    walk.streamed = true;
    // An event that cannot be read is the business of whoever translates it.
    let _ = walk.event();
    walk.texts
}

/// Reads the events of one stream as [`event`] does, but reads none that is like the one before and has only
/// another text.
#[derive(Debug, Default)]
pub struct Events {
    follow: Follow<At>,
}

impl Events {
    /// The strings of the next event, and whether nothing but its one text differs from an event before.
    pub fn read<'a>(&mut self, data: &'a str) -> (Vec<Text<'a>>, bool) {
        if let Some((at, value)) = self.follow.next_value(data) {
            return (value.map(|value| at.text(value)).into_iter().collect(), true);
        }
        let found = event(data);
        match found.as_slice() {
            [text] if text.piece && !text.again => {
                let string = text.raw.get();
                let inner = string.get(1..string.len().saturating_sub(1)).unwrap_or_default();
                self.follow.learn(data, inner, At::of(text));
            }
            _ => self.follow.forget(),
        }
        (found, false)
    }

    /// What was read last says more than its text: the next events are to be read as well.
    pub fn forget(&mut self) {
        self.follow.forget();
    }
}

/// Every string of a JSON document that no table describes, keys excluded.
pub fn any(body: &str) -> Result<Vec<Text<'_>>, BadJson> {
    let mut walk = Walk::of(Document::from(body));
    walk.at.kind = Kind::Value;
    walk.value(parse::<&RawValue>(body)?, true, 0)?;
    Ok(walk.texts)
}

/// What is known of a text besides itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    role: Role,
    kind: Kind,
    message: u32,
    part: u32,
    again: bool,
    piece: bool,
    line: u32,
    /// Within one of [`ABOUT`].
    about: bool,
}

impl At {
    pub(crate) fn of(text: &Text<'_>) -> At {
        let Text { role, kind, message, part, again, piece, line, .. } = *text;
        At { role, kind, message, part, again, piece, line, about: false }
    }

    pub(crate) fn text(self, raw: &RawValue) -> Text<'_> {
        let At { role, kind, message, part, again, piece, line, .. } = self;
        Text { role, kind, message, part, again, piece, line, raw }
    }
}

impl Default for At {
    fn default() -> At {
        At {
            role: Role::User,
            kind: Kind::Text,
            message: 0,
            part: 0,
            again: false,
            piece: false,
            line: 0,
            about: false,
        }
    }
}

/// Who a message's `role` says that it is from.
pub fn role_of(role: &str) -> Role {
    match role {
        "system" | "developer" => Role::System,
        "assistant" | "model" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => Role::User,
    }
}

#[cfg(test)]
mod tests;
