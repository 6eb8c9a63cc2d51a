//! JSON that is read by borrowing and written by copying.
//!
//! A gateway mostly moves JSON from one place to another. [`JsonStr`] keeps a string as it stands in
//! its document, quotes and escapes included, so that it can be written into another document
//! without being decoded and encoded again. [`parse`] reads a document into types that borrow from it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, IgnoredAny};
use serde::ser::{Serialize, Serializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::place;

mod document;
mod read;
mod scan;
mod verbatim;

pub use document::{Document, Ends};
pub use read::{Member, Read, Reader, Stop};

/// A value as JSON text. `Value`'s own `to_string` can be asked for line breaks as well, and is twice as
/// large for that in a module.
pub fn text_of(value: &serde_json::Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A JSON string as written in its document.
#[derive(Clone, Debug)]
pub enum JsonStr<'a> {
    /// Stands in the document that was parsed.
    Borrowed(&'a RawValue),
    /// Was made here.
    Owned(Box<RawValue>),
}

impl<'a> JsonStr<'a> {
    /// The string `text`, encoded.
    pub fn encode(text: &str) -> JsonStr<'static> {
        match serde_json::value::to_raw_value(text) {
            Ok(raw) => JsonStr::Owned(raw),
            // A `str` always serializes.
            Err(_) => JsonStr::Owned(RawValue::NULL.to_owned()),
        }
    }

    /// A string of what stands between the quotes of one; `None` if that is not well-formed.
    pub fn from_escaped(escaped: &str) -> Option<JsonStr<'static>> {
        let raw = RawValue::from_string(["\"", escaped, "\""].concat()).ok()?;
        Some(JsonStr::Owned(raw))
    }

    /// The text with its quotes, as it stands in the document.
    pub fn quoted(&self) -> &str {
        match self {
            JsonStr::Borrowed(raw) => raw.get(),
            JsonStr::Owned(raw) => raw.get(),
        }
    }

    /// The text between the quotes, escapes as they are.
    pub fn escaped(&self) -> &str {
        let quoted = self.quoted();
        quoted.strip_prefix('"').and_then(|s| s.strip_suffix('"')).unwrap_or(quoted)
    }

    /// Whether the string is empty.
    pub fn is_empty(&self) -> bool {
        self.escaped().is_empty()
    }

    /// The string's value. Borrowed where nothing is escaped; half a surrogate pair, which is legal
    /// JSON but no character, becomes U+FFFD.
    pub fn decode(&self) -> Cow<'_, str> {
        let escaped = self.escaped();
        match memchr::memchr(b'\\', escaped.as_bytes()) {
            None => Cow::Borrowed(escaped),
            Some(first) => Cow::Owned(decode(escaped, first)),
        }
    }
}

impl PartialEq<str> for JsonStr<'_> {
    fn eq(&self, other: &str) -> bool {
        self.decode() == other
    }
}

impl Serialize for JsonStr<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            JsonStr::Borrowed(raw) => raw.serialize(serializer),
            JsonStr::Owned(raw) => raw.serialize(serializer),
        }
    }
}

/// Whether a text can stand in a JSON string as it is: without quotes, escapes and control characters.
pub fn is_plain(text: &str) -> bool {
    scan::plain(text.as_bytes(), 0) == text.len()
}

/// A piece of a document that is known to be a value, as one.
pub(crate) fn known(value: &str) -> Option<&RawValue> {
    verbatim::verbatim(value)
}

/// What a value is, for error messages: `an object`, `a string` ...
pub fn kind(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(_) => "a number",
        None => "nothing",
    }
}

/// A JSON document that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadJson {
    /// The place, as `messages[3].content`; empty if it is the document itself.
    pub path: String,
    /// What is wrong there. Never quotes the document's values.
    pub message: String,
}

impl fmt::Display for BadJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for BadJson {}

/// Reads a document by borrowing. Trailing data, a known key given twice and a value of the wrong type are
/// errors.
pub fn parse<'a, T: Read<'a>>(text: &'a str) -> Result<T, BadJson> {
    parse_with(Reader::new(text))
}

fn parse_with<'a, T: Read<'a>>(mut reader: Reader<'a>) -> Result<T, BadJson> {
    match T::read(&mut reader).and_then(|value| reader.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(Stop) => Err(why(reader)),
    }
}

/// What is wrong with a document that was not read to its end.
#[inline(never)]
fn why(reader: Reader<'_>) -> BadJson {
    let text = reader.text();
    match reader.into_fault() {
        Some(fault) => BadJson { path: place::path_at(text, fault.at), message: fault.message },
        None => match serde_json::from_str::<IgnoredAny>(text) {
            Err(error) => located(text, &error),
            Ok(_) => bad("", "is no JSON that is understood"),
        },
    }
}

/// The same with a type of serde's.
pub fn deserialize<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, BadJson> {
    serde_json::from_str(text).map_err(|error| located(text, &error))
}

/// Reads a document into serde_json's tree. Each crate that asks serde_json for one itself brings all of its reader
/// once more into a bundle.
///
/// # Errors
/// If it is no JSON.
#[inline(never)]
pub fn tree(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

/// The same of bytes; nothing if they are no JSON.
pub fn tree_of(bytes: &[u8]) -> Option<Value> {
    tree(std::str::from_utf8(bytes).ok()?).ok()
}

/// Reads a document whose value is an object; nothing if it is none.
pub fn object(text: &str) -> Option<Map<String, Value>> {
    match tree(text) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// The same of bytes.
pub fn object_of(bytes: &[u8]) -> Option<Map<String, Value>> {
    object(std::str::from_utf8(bytes).ok()?)
}

/// Reads a document of bytes with serde, as [`serde_json::from_slice`] does; but serde_json's reader of
/// text is the only one that comes into a module.
pub fn from_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, serde_json::Error> {
    let text = std::str::from_utf8(bytes).map_err(serde::de::Error::custom)?;
    serde_json::from_str(text)
}

#[inline(never)]
fn located(text: &str, error: &serde_json::Error) -> BadJson {
    let path = match error.classify() {
        // Broken off or no JSON at all: the line and column say more.
        Category::Eof | Category::Syntax | Category::Io => String::new(),
        Category::Data => place::path(text, error.line(), error.column()),
    };
    bad(&path, &error.to_string())
}

/// The members of an object, in the order of the document; a key that is there twice comes twice.
pub fn fields(text: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, BadJson> {
    Document::from(text).fields()
}

struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Read<'a> for Fields<'a> {
    fn read(from: &mut Reader<'a>) -> Result<Self, Stop> {
        let mut fields = Vec::new();
        from.object(&mut |reader, key| {
            fields.push((key, reader.raw()?));
            Ok(())
        })?;
        Ok(Fields(fields))
    }
}

/// serde's words; with a path, the line they end with adds nothing.
pub(crate) fn without_line<'a>(path: &str, message: &'a str) -> &'a str {
    match message.rsplit_once(" at line ") {
        Some((text, _)) if !path.is_empty() => text,
        _ => message,
    }
}

fn bad(path: &str, message: &str) -> BadJson {
    BadJson { path: path.to_owned(), message: redact(without_line(path, message)) }
}

/// serde's messages quote the offending value (`invalid type: string "…"`), which may be part of a
/// prompt or a key; what stands between the first and the last quote is left out.
fn redact(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            let head = message.get(..first).unwrap_or_default();
            let tail = message.get(last + 1..).unwrap_or_default();
            format!("{}{}", head.trim_end(), tail)
        }
        _ => message.to_owned(),
    }
}

/// What a string says whose first escape begins at `first`.
fn decode(escaped: &str, first: usize) -> String {
    let mut out = String::with_capacity(escaped.len());
    let (mut rest, mut next) = (escaped, Some(first));
    while let Some((before, after)) = next.and_then(|at| rest.split_at_checked(at)) {
        out.push_str(before);
        rest = decode_escape(after.get(1..).unwrap_or_default(), &mut out);
        next = memchr::memchr(b'\\', rest.as_bytes());
    }
    out.push_str(rest);
    out
}

/// Decodes the escape that `text` starts with (its backslash is gone); returns what follows.
fn decode_escape<'a>(text: &'a str, out: &mut String) -> &'a str {
    let mut chars = text.chars();
    match chars.next() {
        Some('n') => out.push('\n'),
        Some('t') => out.push('\t'),
        Some('r') => out.push('\r'),
        Some('b') => out.push('\u{8}'),
        Some('f') => out.push('\u{c}'),
        Some('u') => return decode_unicode(chars.as_str(), out),
        Some(other) => out.push(other),
        None => {}
    }
    chars.as_str()
}

fn decode_unicode<'a>(text: &'a str, out: &mut String) -> &'a str {
    let Some((unit, rest)) = hex4(text) else {
        out.push(char::REPLACEMENT_CHARACTER);
        return text;
    };
    if (0xD800..0xDC00).contains(&unit)
        && let Some((low, after)) = rest.strip_prefix("\\u").and_then(hex4)
        && (0xDC00..0xE000).contains(&low)
    {
        let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        return after;
    }
    out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}

fn hex4(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    crate::partial! {
        struct Message<'a> {
            content: JsonStr<'a>,
        }
    }

    crate::partial! {
        struct Body<'a> {
            messages: Vec<Message<'a>>,
        }
    }

    #[test]
    fn a_tree_is_of_any_document_and_an_object_of_objects_only() {
        assert_eq!(tree("[1, null]").unwrap(), serde_json::json!([1, null]));
        assert!(tree("[1,").is_err());
        assert_eq!(tree_of(b"\"a\""), Some("a".into()));
        assert_eq!((tree_of(b"\"a"), tree_of(b"\"\xff\"")), (None, None));
        assert_eq!(object(r#"{"a":1}"#).map(|object| object.len()), Some(1));
        assert_eq!((object("[]"), object("{")), (None, None));
        assert_eq!(
            (object_of(b"{}").map(|object| object.len()), object_of(b"\xff")),
            (Some(0), None)
        );
    }

    #[test]
    fn a_string_is_copied_with_its_escapes() {
        let text = r#"{"messages":[{"content":"a\u00e9\n\"b\""}]}"#;
        let body: Body<'_> = parse(text).unwrap();
        let messages = body.messages.unwrap();
        let content = messages[0].content.as_ref().unwrap();
        assert_eq!(content.decode(), "aé\n\"b\"");
        assert_eq!(serde_json::to_string(content).unwrap(), r#""a\u00e9\n\"b\"""#);
    }

    #[test]
    fn half_a_surrogate_pair_becomes_a_replacement_character() {
        for (json, value) in [
            (r#""x\ud83dy""#, "x\u{fffd}y"),
            (r#""\udc00""#, "\u{fffd}"),
            (r#""\ud83d\ude00\ud83d""#, "😀\u{fffd}"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
        ] {
            let string: JsonStr<'_> = parse(json).unwrap();
            assert_eq!(string.decode(), value);
        }
    }

    #[test]
    fn an_error_names_the_place_and_quotes_nothing() {
        let error =
            parse::<Body<'_>>(r#"{"messages":[{"content":"a"},{"content":7}]}"#).unwrap_err();
        assert_eq!(error.path, "messages[1].content");
        assert!(error.message.starts_with("expected a string, found a number"), "{error}");

        let error = parse::<Body<'_>>(r#"{"messages":"my secret prompt"}"#).unwrap_err();
        assert_eq!(error.path, "messages");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_known_key_given_twice_and_trailing_data_are_refused() {
        let twice = r#"{"messages":[],"messages":[]}"#;
        assert!(parse::<Body<'_>>(twice).unwrap_err().message.contains("duplicate field"));
        assert!(parse::<Body<'_>>(r#"{"messages":[]} {}"#).is_err());
    }
}
