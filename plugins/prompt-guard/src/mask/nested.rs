//! JSON documents within strings, as arguments of calls and results of tools are: values are found in them as
//! they read, and replaced as they stand.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// A place of a JSON document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Between strings.
    #[default]
    Outside,
    /// In one.
    InString,
    /// Behind a backslash.
    Escaped,
}

/// The place behind this piece of a JSON document.
pub fn behind(place: Place, piece: &str) -> Place {
    piece.bytes().fold(place, |place, byte| match (place, byte) {
        (Place::InString, b'\\') => Place::Escaped,
        (Place::Escaped, _) | (Place::Outside, b'"') => Place::InString,
        (Place::InString, b'"') => Place::Outside,
        (place, _) => place,
    })
}

/// Whether a text is an object or a list.
pub fn is_document(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The document with what its escapes stand for, each behind as many spaces as it has bytes more, so that
/// all keeps its place: the `n` of a line's end is no part of the word behind it.
pub fn plain(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let Some((length, stands_for)) = escape(after) else {
            // It is not whole yet.
            out.push('\\');
            rest = after;
            continue;
        };
        out.extend(std::iter::repeat_n(' ', 1 + length - stands_for.len_utf8()));
        out.push(stands_for);
        rest = after.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What stands behind a backslash: how many bytes, and for which character. Half a pair is as a space.
fn escape(after: &str) -> Option<(usize, char)> {
    Some(match after.as_bytes().first()? {
        b'u' => {
            let digits = after.get(1..5)?;
            let number = u32::from_str_radix(digits, 16).ok()?;
            (5, char::from_u32(number).unwrap_or(' '))
        }
        b'n' => (1, '\n'),
        b'r' => (1, '\r'),
        b't' => (1, '\t'),
        b'b' | b'f' => (1, ' '),
        other if other.is_ascii() => (1, char::from(*other)),
        _ => return None,
    })
}

/// Where what begins at this place of [`plain`] begins in the document: at the backslash, if it is what an
/// escape stands for.
pub fn start(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let from = at.saturating_sub(5);
    let near = bytes.get(from..at).unwrap_or_default();
    let Some(back) = memchr::memrchr(b'\\', near).map(|back| from + back) else { return at };
    let run = bytes.get(..=back).unwrap_or_default().iter().rev();
    // Of two the second is what the first stands before.
    let begins = run.take_while(|byte| **byte == b'\\').count() % 2 == 1;
    let length = if bytes.get(back + 1) == Some(&b'u') { 6 } else { 2 };
    if begins && at < back + length { back } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_read_as_what_they_stand_for_and_nothing_moves() {
        for (text, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            (r#""x\nanna""#, "\"x \nanna\""),
            (r#""\u4e0913""#, "\"   \u{4e09}13\""),
            (r#""\"a\\n\/""#, "\" \"a \\n /\""),
            (r#""\ud83d\ude00""#, "\"            \""),
            (r#""\u00"#, r#""\u00"#),
            ("\"\\", "\"\\"),
        ] {
            assert_eq!(plain(text), expected);
            assert_eq!(plain(text).len(), text.len());
        }
        let text = r#""\nanna \u0061nna""#;
        assert_eq!(start(text, 3), 3, "behind an escape");
        assert_eq!(start(text, 13), 8, "in one");
        assert_eq!(start(text, 4), 4);
        let text = r#""\\u0031 \u0031""#;
        assert_eq!(
            (start(text, 7), start(text, 14)),
            (7, 9),
            "of a digit the last digit is the same"
        );
    }

    #[test]
    fn only_objects_and_lists_are_documents() {
        for (text, is) in [(r#" {"a":1}"#, true), ("[]", true), ("[EMAIL_1]", false), ("7", false)]
        {
            assert_eq!(is_document(text), is, "{text}");
        }
    }
}
