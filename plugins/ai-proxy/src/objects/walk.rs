//! The strings of a JSON document and the names they stand under, in one pass and without recursion.

use std::ops::Range;

use memchr::memchr2;
use shared::json::JsonStr;

/// A string value.
pub(super) struct Found<'a> {
    /// The member that it is, or that its array is.
    pub(super) name: &'a str,
    /// The member that the object around it is; empty if that is none.
    pub(super) parent: &'a str,
    /// Where it stands, quotes included.
    pub(super) range: Range<usize>,
}

/// Shows every string value of `text`, which is well-formed JSON. What stands below a member of
/// `skipped` is the client's own and is not shown.
pub(super) fn strings(text: &str, skipped: &[&str], found: &mut dyn FnMut(Found<'_>)) {
    let bytes = text.as_bytes();
    let mut open: Vec<Frame> = Vec::new();
    let mut at = 0;
    // The name of the member whose value comes next.
    let mut name = String::new();
    let mut skip = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                let array = *byte == b'[';
                open.push(Frame {
                    array,
                    awaits_name: !array,
                    name: std::mem::take(&mut name),
                    skip,
                });
            }
            b'}' | b']' => {
                skip = open.pop().is_some_and(|frame| frame.skip);
            }
            b',' => {
                if let Some(frame) = open.last_mut() {
                    frame.awaits_name = !frame.array;
                    skip = frame.skip;
                    name.clear();
                }
            }
            b'"' => {
                let end = end_of_string(bytes, at);
                let range = at..end;
                match open.last_mut() {
                    Some(frame) if frame.awaits_name => {
                        frame.awaits_name = false;
                        name = text.get(range).map(decoded).unwrap_or_default();
                        skip = frame.skip || skipped.contains(&name.as_str());
                    }
                    Some(frame) if !skip && frame.array => {
                        found(Found { name: &frame.name, parent: "", range });
                    }
                    Some(frame) if !skip => {
                        found(Found { name: &name, parent: &frame.name, range });
                    }
                    _ => {}
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
}

/// An object or array that is not closed yet.
struct Frame {
    array: bool,
    /// The next string is a member's name.
    awaits_name: bool,
    /// The member that it is the value of.
    name: String,
    /// Everything in it is skipped.
    skip: bool,
}

/// Behind the closing quote of the string that begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match memchr2(b'"', b'\\', rest) {
            Some(found) if rest.get(found) == Some(&b'"') => return at + found + 1,
            Some(found) => at += found + 2,
            None => return bytes.len(),
        }
    }
}

/// A member's name may be written with escapes.
fn decoded(quoted: &str) -> String {
    let escaped = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    match JsonStr::from_escaped(escaped) {
        Some(string) if escaped.contains('\\') => string.decode().into_owned(),
        _ => escaped.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, skipped: &[&str]) -> Vec<(String, String)> {
        let mut all = Vec::new();
        strings(text, skipped, &mut |found| {
            all.push((found.name.to_owned(), text.get(found.range).unwrap().to_owned()));
        });
        all
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), format!("\"{b}\""))).collect()
    }

    #[test]
    fn strings_are_found_under_their_names() {
        let text =
            r#"{"a":"1","b":[{"c":"2"},"3",["4"]],"d":{"e":null,"f":"5"},"g":6,"\u0061":"7"}"#;
        let found = pairs(&[("a", "1"), ("c", "2"), ("b", "3"), ("", "4"), ("f", "5"), ("a", "7")]);
        assert_eq!(all(text, &[]), found);
    }

    #[test]
    fn quotes_and_braces_in_strings_are_text() {
        let text = r#"{"a":"{\"b\":\"x\"}","c\"":"]","d":"\\"}"#;
        let found = pairs(&[("a", r#"{\"b\":\"x\"}"#), ("c\"", "]"), ("d", r"\\")]);
        assert_eq!(all(text, &[]), found);
    }

    #[test]
    fn what_is_the_clients_own_is_skipped() {
        let text = r#"{"input":{"a":"1","b":[{"a":"2"}]},"a":"3","input":"4","z":["5"]}"#;
        assert_eq!(all(text, &["input"]), pairs(&[("a", "3"), ("z", "5")]));
    }

    #[test]
    fn what_is_no_json_is_walked_to_its_end() {
        for text in ["", "{", "\"", "{\"a", "}]", "{\"a\":\"\\", "[\"", ",,\"x\""] {
            all(text, &["a"]);
        }
    }
}
