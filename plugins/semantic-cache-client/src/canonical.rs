//! One form for all spellings of a JSON document: members in the order of their names, strings without
//! needless escapes, no white space. Two documents have the same form only if they say the same.
//!
//! Numbers stay as they are written: `1` and `1.0` are told apart, which costs a hit and never gives a
//! wrong one. A member that is there twice stays twice.

use std::ops::Range;

/// Values of a member `type` that stand for something that is no text.
const MEDIA: [&str; 9] = [
    "image",
    "image_url",
    "input_image",
    "document",
    "file",
    "input_file",
    "input_audio",
    "video_url",
    "container_upload",
];

/// Members that have, or lead to, something that is no text.
const MEDIA_KEYS: [&str; 5] = ["inlineData", "inline_data", "fileData", "file_data", "input_audio"];

/// Writes the form of values of one document.
#[derive(Debug, Default)]
pub struct Canonical {
    /// What was written.
    pub out: Vec<u8>,
    /// Something is no text.
    pub media: bool,
    /// Address of a string in whose place a mark is written that no string has.
    hole: Option<usize>,
}

impl Canonical {
    /// Of a document of so many bytes.
    pub fn of(size: usize) -> Canonical {
        Canonical { out: Vec::with_capacity(size + size / 8), ..Canonical::default() }
    }

    /// Leaves this string out.
    pub fn without(string: &str) -> Canonical {
        Canonical { hole: Some(string.as_ptr() as usize), ..Canonical::default() }
    }

    /// Writes a value, which must be valid JSON. `None` if it is not.
    pub fn value(&mut self, text: &str) -> Option<()> {
        self.at(text, 0, 0).map(|_| ())
    }

    /// Writes the value at `from`; where it ends.
    fn at(&mut self, text: &str, from: usize, depth: u32) -> Option<usize> {
        if depth > 200 {
            return None;
        }
        let from = skip(text, from);
        match text.as_bytes().get(from)? {
            b'"' => {
                let end = string_end(text, from)?;
                self.string(text.get(from..end)?);
                Some(end)
            }
            b'[' => self.array(text, from, depth),
            b'{' => self.object(text, from, depth),
            _ => {
                let rest = text.as_bytes().get(from..)?;
                let is_end =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
                let length = rest.iter().position(is_end).unwrap_or(rest.len());
                self.out.extend_from_slice(rest.get(..length)?);
                Some(from + length)
            }
        }
    }

    /// Writes a string, which has its quotes.
    pub(crate) fn string(&mut self, quoted: &str) {
        if self.hole == Some(quoted.as_ptr() as usize) {
            self.out.extend_from_slice(b"\0");
            return;
        }
        if has_other_spelling(quoted.as_bytes())
            && let Ok(plain) = serde_json::from_str::<String>(quoted)
            && let Ok(encoded) = serde_json::to_string(&plain)
        {
            self.out.extend_from_slice(encoded.as_bytes());
            return;
        }
        self.out.extend_from_slice(quoted.as_bytes());
    }

    fn array(&mut self, text: &str, from: usize, depth: u32) -> Option<usize> {
        self.out.push(b'[');
        let mut at = skip(text, from + 1);
        while text.as_bytes().get(at)? != &b']' {
            at = skip(text, self.at(text, at, depth + 1)?);
            self.out.push(b',');
            if text.as_bytes().get(at)? == &b',' {
                at = skip(text, at + 1);
            }
        }
        self.out.push(b']');
        Some(at + 1)
    }

    fn object(&mut self, text: &str, from: usize, depth: u32) -> Option<usize> {
        self.out.push(b'{');
        let start = self.out.len();
        // Of each member: where it begins, where its name ends, where it ends.
        let mut members: Vec<[usize; 3]> = Vec::new();
        let mut at = skip(text, from + 1);
        while text.as_bytes().get(at)? != &b'}' {
            let begin = self.out.len();
            let end = string_end(text, at)?;
            let key = text.get(at..end)?;
            self.string(key);
            let named = self.out.len();
            self.out.push(b':');
            at = skip(text, end);
            if text.as_bytes().get(at)? != &b':' {
                return None;
            }
            let value = skip(text, at + 1);
            at = self.at(text, value, depth + 1)?;
            self.look(begin..named, text.get(value..at)?);
            self.out.push(b',');
            members.push([begin, named, self.out.len()]);
            at = skip(text, at);
            if text.as_bytes().get(at)? == &b',' {
                at = skip(text, at + 1);
            }
        }
        self.sort(start, members);
        self.out.push(b'}');
        Some(at + 1)
    }

    /// Looks at a member, whose name has been written there.
    fn look(&mut self, name: Range<usize>, value: &str) {
        if self.media {
            return;
        }
        let quoted = self.out.get(name).unwrap_or_default();
        let name = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
        self.media = match name {
            b"type" => MEDIA.contains(&value.trim_matches('"')),
            // All of them are between these in length.
            _ if !(8..=11).contains(&name.len()) => false,
            _ => MEDIA_KEYS.iter().any(|key| key.as_bytes() == name),
        };
    }

    /// Puts what was written from `start` on into the order of its names.
    fn sort(&mut self, start: usize, mut members: Vec<[usize; 3]>) {
        let key = |[begin, named, _]: &[usize; 3]| self.out.get(*begin..*named).unwrap_or_default();
        if members.is_sorted_by(|a, b| key(a) <= key(b)) {
            return;
        }
        shared::sort::by(&mut members, |a, b| key(a) < key(b));
        let mut sorted = Vec::with_capacity(self.out.len().saturating_sub(start));
        for [begin, _, end] in members {
            sorted.extend_from_slice(self.out.get(begin..end).unwrap_or_default());
        }
        self.out.truncate(start);
        self.out.append(&mut sorted);
    }
}

/// Whether a string has an escape that the same string can do without, or that can be written in another
/// way.
fn has_other_spelling(quoted: &[u8]) -> bool {
    let mut rest = quoted;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        if matches!(rest.get(at + 1), Some(b'u' | b'/')) {
            return true;
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

fn skip(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Where the string ends that begins at `from`.
fn string_end(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.get(from)? != &b'"' {
        return None;
    }
    let mut at = from + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> String {
        let mut canonical = Canonical::default();
        canonical.value(text).unwrap();
        String::from_utf8(canonical.out).unwrap()
    }

    #[test]
    fn spellings_do_not_matter() {
        assert_eq!(form(r#""a\/\u00e9\n""#), "\"a/é\\n\"");
        let one = form(r#" {"b" : [1, {"y":2,"x":"\u0061\n"}], "a":null} "#);
        let two = form(r#"{"a":null,"b":[1,{"x":"a\n","y":2}]}"#);
        assert_eq!(one, two);
        assert_eq!(form("[]"), "[]");
        assert_eq!(form("{}"), "{}");
        assert_eq!(form(" -1.5e3 "), "-1.5e3");
    }

    #[test]
    fn what_differs_stays_different() {
        let all = [
            r#"{"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":"1"}"#,
            r#"{"a":[1]}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":null}"#,
            r#"{}"#,
            r#"[{}]"#,
            r#"{"a":"\\u0061"}"#,
            r#"{"a":"a"}"#,
        ];
        for (index, one) in all.iter().enumerate() {
            for two in all.iter().skip(index + 1) {
                assert_ne!(form(one), form(two), "{one} {two}");
            }
        }
    }

    #[test]
    fn half_a_document_has_no_form() {
        for text in ["", "{", "[", "{\"a\"", "{\"a\":", "\"a", "[1", "{\"a\" 1}"] {
            assert!(Canonical::default().value(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_string_can_be_left_out() {
        let text = r#"["a","b","\u0000"]"#;
        let hole = text.get(5..8).unwrap();
        let mut canonical = Canonical::without(hole);
        canonical.value(text).unwrap();
        assert_eq!(canonical.out, b"[\"a\",\0,\"\\u0000\",]");
    }

    #[test]
    fn pictures_are_seen() {
        for text in [
            r#"[{"type":"image_url","image_url":{"url":"x"}}]"#,
            r#"{"parts":[{"inlineData":{}}]}"#,
            r#"{"parts":[{"inline\u0044ata":{}}]}"#,
        ] {
            let mut canonical = Canonical::default();
            canonical.value(text).unwrap();
            assert!(canonical.media, "{text}");
        }
    }
}
