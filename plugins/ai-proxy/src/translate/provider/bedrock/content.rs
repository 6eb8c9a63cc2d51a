//! Writes what is said: messages and their blocks.

use std::borrow::Cow;

use serde_json::value::RawValue;
use shared::json::{JsonStr, parse};
use shared::protocol::anthropic::CacheControl;
use shared::small_map::SmallMap;
use shared::write::JsonWriter;

use super::family::Family;
use super::media::Media;
use crate::translate::ir::{Body, Part, Request, Role, Unsupported};
use crate::translate::provider::anthropic::write_arguments;
use crate::translate::signature::{self, Origin};

/// The longest name of a call.
const MAX_ID: usize = 64;

/// The longest name of a document, with room for a number.
const MAX_NAME: usize = 180;

/// What one side says, as far as it can be said here.
pub(super) type Message<'r, 'a> = (Role, Vec<&'r Part<'a>>);

/// The messages that have something to say here. The roles must alternate, and begin with the user's.
pub(super) fn messages<'r, 'a>(
    request: &'r Request<'a>,
    family: Family,
) -> Result<Vec<Message<'r, 'a>>, Unsupported> {
    let mut messages: Vec<Message<'r, 'a>> = Vec::new();
    for turn in &request.turns {
        for part in turn.parts.iter().filter(|part| says(part, turn.role, family)) {
            match messages.last_mut() {
                Some((role, parts)) if *role == turn.role => parts.push(part),
                _ => messages.push((turn.role, vec![part])),
            }
        }
    }
    match messages.first() {
        Some((Role::User, _)) => Ok(messages),
        Some(_) => Err(Unsupported("a conversation that the assistant begins")),
        None => Err(Unsupported("a conversation of white space")),
    }
}

fn says(part: &Part<'_>, role: Role, family: Family) -> bool {
    match &part.body {
        Body::Text(text) | Body::Refusal(text) => !is_blank(text),
        // Only Claude takes thoughts back, and only its own.
        Body::Thinking { signature, .. } => {
            let own = signature.as_ref().and_then(|s| signature::of(Origin::Anthropic, s));
            family == Family::Claude && own.is_some()
        }
        Body::RedactedThinking(_) => family == Family::Claude,
        Body::Image(_) | Body::Document { .. } | Body::Video(_) | Body::Audio(_) => {
            role == Role::User
        }
        Body::ToolCall { .. } | Body::ToolResult { .. } => true,
    }
}

/// White space alone is refused. Most texts are told from their first byte, without decoding.
pub(in crate::translate::provider) fn is_blank(text: &JsonStr<'_>) -> bool {
    let mut rest = text.escaped().trim_start();
    while let Some(after) = ["\\n", "\\t", "\\r"].iter().find_map(|blank| rest.strip_prefix(blank))
    {
        rest = after.trim_start();
    }
    rest.is_empty() || (rest.starts_with("\\") && text.decode().trim().is_empty())
}

/// Writes blocks, and remembers the names that documents have got.
#[derive(Debug)]
pub(super) struct Blocks {
    family: Family,
    /// Each name, and how many documents asked for it.
    names: SmallMap<String, usize>,
}

impl Blocks {
    pub(super) fn new(family: Family) -> Blocks {
        Blocks { family, names: SmallMap::default() }
    }

    pub(super) fn message(
        &mut self,
        w: &mut JsonWriter,
        (role, parts): &Message<'_, '_>,
    ) -> Result<(), Unsupported> {
        w.open('{');
        w.field("role", if *role == Role::User { "user" } else { "assistant" });
        w.key("content");
        w.open('[');
        let mut document = None;
        for part in parts {
            if let Some(name) = self.block(w, &part.body)? {
                document = Some(name);
            }
            cache_point(w, self.family, part.cache_control);
        }
        // Bedrock refuses a document that nothing is said to.
        if let Some(name) = document
            && !parts.iter().any(|part| matches!(part.body, Body::Text(_)))
        {
            w.open('{');
            w.field("text", &name);
            w.close('}');
        }
        w.close(']');
        w.close('}');
        Ok(())
    }

    /// The name, if it is a document.
    fn block(
        &mut self,
        w: &mut JsonWriter,
        body: &Body<'_>,
    ) -> Result<Option<String>, Unsupported> {
        w.open('{');
        let mut name = None;
        match body {
            Body::Text(text) | Body::Refusal(text) => string(w, "text", text),
            Body::ToolCall { id, name, arguments } => {
                w.key("toolUse");
                w.open('{');
                w.field("toolUseId", &call_id(id));
                string(w, "name", name);
                w.key("input");
                write_arguments(w, arguments);
                w.close('}');
            }
            Body::ToolResult { id, parts, is_error } => {
                w.key("toolResult");
                w.open('{');
                w.field("toolUseId", &call_id(id));
                self.result(w, parts, *is_error)?;
                w.close('}');
            }
            Body::Thinking { text, signature } => {
                w.key("reasoningContent");
                w.open('{');
                w.key("reasoningText");
                w.open('{');
                string(w, "text", text);
                if let Some(signature) = signature {
                    string(w, "signature", signature);
                }
                w.raw_tail("}}");
            }
            Body::RedactedThinking(data) => {
                w.key("reasoningContent");
                w.open('{');
                string(w, "redactedContent", data);
                w.close('}');
            }
            Body::Image(_) | Body::Audio(_) | Body::Video(_) | Body::Document { .. } => {
                let Some(media) = Media::of(body)? else { return Ok(None) };
                w.key(media.kind);
                w.open('{');
                if let Body::Document { title, .. } = body {
                    let given = self.name(title.as_ref());
                    w.field("name", &given);
                    name = Some(given);
                }
                media.write(w);
                w.close('}');
            }
        }
        w.close('}');
        Ok(name)
    }

    fn result(
        &mut self,
        w: &mut JsonWriter,
        parts: &[Part<'_>],
        is_error: bool,
    ) -> Result<(), Unsupported> {
        w.key("content");
        w.open('[');
        let mut empty = true;
        for part in parts {
            match &part.body {
                Body::Text(text) if is_blank(text) => continue,
                Body::Audio(_) => return Err(Unsupported("audio in the result of a tool")),
                body => self.block(w, body)?,
            };
            empty = false;
        }
        // Nothing was returned, but a list of nothing is refused by some models.
        match (empty, is_error) {
            (true, true) => w.raw(r#"{"text":"error"}"#),
            (true, false) => w.raw(r#"{"json":{}}"#),
            (false, _) => {}
        }
        w.close(']');
        // Others than Claude and Nova refuse the field.
        if is_error && matches!(self.family, Family::Claude | Family::Nova | Family::Nova2) {
            w.field("status", "error");
        }
        Ok(())
    }

    /// Letters, digits, single spaces, hyphens, parentheses and square brackets are allowed, and no
    /// name twice.
    fn name(&mut self, title: Option<&JsonStr<'_>>) -> String {
        let title = title.map_or(Cow::Borrowed("document"), |title| title.decode());
        // The ending is told by the format.
        let stem = title.rsplit_once('.').filter(|(stem, ending)| {
            !stem.is_empty() && ending.len() < 6 && ending.chars().all(char::is_alphanumeric)
        });
        let stem = stem.map_or(&*title, |(stem, _)| stem);
        let mut name = String::new();
        for c in stem.trim().chars().take(MAX_NAME) {
            match c {
                c if c.is_whitespace() && name.ends_with(' ') => {}
                c if c.is_whitespace() => name.push(' '),
                c if c.is_ascii_alphanumeric() || "-()[]".contains(c) => name.push(c),
                _ => name.push('-'),
            }
        }
        let mut name = name.trim_end().to_owned();
        if name.is_empty() {
            name.push_str("document");
        }
        self.unique(name)
    }

    fn unique(&mut self, name: String) -> String {
        let mut number = self.names.get(&name).copied().unwrap_or(0);
        let mut found = name.clone();
        while self.names.contains_key(&found) {
            number = number.saturating_add(1);
            found = format!("{name} ({})", number.saturating_add(1));
        }
        if found != name {
            self.names.insert(found.clone(), 0);
        }
        self.names.insert(name, number);
        found
    }
}

/// Anthropic's mark after a block is a block of its own here. Only Claude and Nova have a prompt
/// cache, and a mark is refused elsewhere; Nova keeps everything for 5 minutes.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>
pub(super) fn cache_point(w: &mut JsonWriter, family: Family, mark: Option<&RawValue>) {
    let Some(mark) = mark else { return };
    if !matches!(family, Family::Claude | Family::Nova | Family::Nova2) {
        return;
    }
    let ttl = parse::<CacheControl<'_>>(mark.get()).ok().and_then(|mark| mark.ttl);
    let ttl = ttl.filter(|ttl| family == Family::Claude && matches!(&*ttl.decode(), "5m" | "1h"));
    w.open('{');
    w.key("cachePoint");
    w.open('{');
    w.field("type", "default");
    if let Some(ttl) = ttl {
        string(w, "ttl", &ttl);
    }
    w.raw_tail("}}");
}

/// A call's name as Bedrock takes it: letters, digits, `_` and `-`, 64 at most. Other providers'
/// calls, which stand in a conversation that has failed over, have names like `functions.f:0`; such a
/// name is made fit, and a hash keeps it apart from others.
fn call_id<'s>(id: &'s JsonStr<'_>) -> Cow<'s, str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let escaped = id.escaped();
    if (1..=MAX_ID).contains(&escaped.len()) && escaped.chars().all(legal) {
        return Cow::Borrowed(escaped);
    }
    let fit = |c: char| if legal(c) { c } else { '_' };
    let head: String = id.decode().chars().map(fit).take(MAX_ID - 9).collect();
    // FNV-1a.
    let hash = id
        .decode()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    Cow::Owned(format!("{head}_{hash:08x}"))
}

pub(super) fn string(w: &mut JsonWriter, key: &str, value: &JsonStr<'_>) {
    w.key(key);
    w.string(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_blank_however_it_is_written() {
        for (text, blank) in [
            ("", true),
            (" ", true),
            (r"\n \t\r", true),
            (r"\u0020\n", true),
            (r"\n\u0020", true),
            (r" \n a", false),
            (r"\u0061", false),
            (r"\\n", false),
            (r#"\""#, false),
        ] {
            assert_eq!(is_blank(&JsonStr::from_escaped(text).unwrap()), blank, "{text}");
        }
    }

    #[test]
    fn call_ids_are_made_fit_and_kept_apart() {
        let fit = |id: &str| call_id(&JsonStr::encode(id)).into_owned();
        assert_eq!(fit("toolu_01-A"), "toolu_01-A");
        assert_eq!(fit("functions.f:0"), fit("functions.f:0"));
        assert_ne!(fit("functions.f:0"), fit("functions.f.0"));
        assert!(fit("functions.f:0").starts_with("functions_f_0_"));
        for odd in ["", "é\n\"", &"x".repeat(200), &"é".repeat(65)] {
            let id = fit(odd);
            assert!((1..=MAX_ID).contains(&id.len()), "{id}");
            assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
        }
    }

    #[test]
    fn names_of_documents_are_neutral_and_unique() {
        let mut blocks = Blocks::new(Family::Claude);
        let mut name = |title: &str| blocks.name(Some(&JsonStr::encode(title)));
        assert_eq!(name("Q3  report_final.pdf"), "Q3 report-final");
        assert_eq!(name("Q3 report_final.docx"), "Q3 report-final (2)");
        assert_eq!(name("Q3 report final (2)"), "Q3 report final (2)");
        assert_eq!(name("Q3 report-final (2)"), "Q3 report-final (2) (2)");
        assert_eq!(name("Q3 report-final"), "Q3 report-final (3)");
        assert_eq!(name("  "), "document");
        assert_eq!(name(".pdf"), "-pdf");
        assert_eq!(name("日本.pdf"), "--");
        assert!(name(&"a ".repeat(500)).len() <= 200);
        assert_eq!(blocks.name(None), "document (2)");
    }
}
