//! A document that many read and that is looked through once.
//!
//! Whoever reads JSON mostly passes over it: to the end of a member that is of no use here, of an object that
//! somebody else is to read, of a text that is only borrowed. [`Ends`] keeps where the longer values end, so
//! that nobody has to find out again, and tells that all of it is JSON.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::read::{Read, Reader};
use super::scan::{self, Seen};
use super::{BadJson, Fields, parse_with};

/// Bytes from which on an end is kept: those of shorter values are found as fast as they are looked up.
const LONG: usize = 48;

/// Where a value begins and where it ends.
type Span = (u32, u32);

/// Where the longer values of a document end, in the order in which they begin. Of what is no JSON, and of
/// what would need more memory than a half of its own size, nothing is kept.
#[derive(Debug, Default)]
pub struct Ends(Vec<Span>);

impl Ends {
    /// Looks through a document.
    pub fn of(text: &str) -> Ends {
        let bytes = text.as_bytes();
        if u32::try_from(bytes.len()).is_err() {
            return Ends::default();
        }
        let mut found = Found { most: bytes.len() / 16, ..Found::default() };
        match scan::walk(bytes, scan::blank(bytes, 0), &mut found) {
            scan::End::At(end) if scan::blank(bytes, end) == bytes.len() && !found.too_many => {
                Ends(found.spans)
            }
            _ => Ends::default(),
        }
    }
}

#[derive(Default)]
struct Found {
    spans: Vec<Span>,
    /// The places in `spans` of what is open.
    open: Vec<usize>,
    most: usize,
    too_many: bool,
}

impl Found {
    fn add(&mut self, at: usize, end: usize) {
        if self.spans.len() < self.most {
            // Lengths that do not fit are not looked through.
            self.spans.push((small(at), small(end)));
        } else {
            self.too_many = true;
        }
    }
}

impl Seen for Found {
    fn opened(&mut self, at: usize) {
        self.open.push(self.spans.len());
        self.add(at, at);
    }

    fn closed(&mut self, end: usize) {
        let Some(place) = self.open.pop() else { return };
        let Some(span) = self.spans.get_mut(place) else { return };
        span.1 = small(end);
        // A short one has nothing long in it and is the last.
        if end - (span.0 as usize) < LONG {
            self.spans.truncate(place);
        }
    }

    fn string(&mut self, at: usize, end: usize) {
        if end - at >= LONG {
            self.add(at, end);
        }
    }
}

fn small(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A document or a value in it, and what is known of its ends.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    text: &'a str,
    /// Where `text` begins in what was looked through.
    from: usize,
    spans: &'a [Span],
}

impl<'a> From<&'a str> for Document<'a> {
    /// One of which nothing is known: it is read as well.
    fn from(text: &'a str) -> Document<'a> {
        Document { text, from: 0, spans: &[] }
    }
}

impl<'a> From<&'a String> for Document<'a> {
    fn from(text: &'a String) -> Document<'a> {
        Document::from(text.as_str())
    }
}

impl<'a> Document<'a> {
    /// The document of which these are the ends.
    pub(crate) fn new(text: &'a str, ends: &'a Ends) -> Document<'a> {
        Document { text, from: 0, spans: &ends.0 }
    }

    /// Itself.
    pub fn text(self) -> &'a str {
        self.text
    }

    /// One of its values, which was borrowed from it.
    pub fn value(self, value: &'a RawValue) -> Document<'a> {
        let text = value.get();
        let at = (text.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize);
        match at {
            // What is borrowed for as long and stands there is a part of it.
            Some(at) if at + text.len() <= self.text.len() => {
                Document { text, from: self.from + at, ..self }
            }
            _ => Document::from(text),
        }
    }

    /// Reads it, see [`parse`](super::parse).
    ///
    /// # Errors
    /// Those of [`parse`](super::parse).
    pub fn parse<T: Read<'a>>(self) -> Result<T, BadJson> {
        parse_with(self.reader())
    }

    /// The same where it does not matter why it cannot be read.
    pub fn read<T: Read<'a>>(self) -> Option<T> {
        let mut reader = self.reader();
        let value = T::read(&mut reader).ok()?;
        reader.end().ok().map(|()| value)
    }

    /// The members of an object, see [`fields`](super::fields).
    ///
    /// # Errors
    /// If it is none.
    pub fn fields(self) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, BadJson> {
        self.parse::<Fields<'a>>().map(|Fields(fields)| fields)
    }

    /// What reads it from its beginning.
    pub fn reader(self) -> Reader<'a> {
        Reader::knowing(self.text, Known { from: self.from, spans: self.spans })
    }
}

/// What a reader knows of the ends of its document's values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    from: usize,
    spans: &'a [Span],
}

impl Known<'_> {
    /// The end of the value that begins at `at`, if it is known.
    #[inline]
    pub(super) fn end(&self, at: usize) -> Option<usize> {
        if self.spans.is_empty() { None } else { self.look_up(at) }
    }

    #[inline(never)]
    fn look_up(&self, at: usize) -> Option<usize> {
        let at = u32::try_from(self.from + at).ok()?;
        let place = self.spans.binary_search_by_key(&at, |span| span.0).ok()?;
        let (_, end) = self.spans.get(place)?;
        (*end as usize).checked_sub(self.from)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::json::{fields, parse};

    const LONG_TEXT: &str = "a text that is longer than what is found as fast, with \" in it";

    #[test]
    fn long_values_are_known_and_short_ones_are_not() {
        let text = format!(
            " {{\"a\":[1,[],{{\"b\":{LONG_TEXT:?}}}],\"c\":\"short\",\"d\":{{\"e\":{{}}}}}} "
        );
        let ends = Ends::of(&text);
        let of = |(at, end): &Span| text.get(*at as usize..*end as usize).unwrap().to_owned();
        let known: Vec<String> = ends.0.iter().map(of).collect();
        assert_eq!(known.len(), 4, "{known:?}");
        assert_eq!(known[0], text.trim());
        assert!(known[1].starts_with("[1,[]") && known[1].ends_with(']'));
        assert!(known[2].starts_with("{\"b\""));
        assert_eq!(known[3], format!("{LONG_TEXT:?}"));
    }

    #[test]
    fn nothing_is_known_of_what_is_no_json_or_would_take_too_much_room() {
        let text = format!("[{LONG_TEXT:?}]");
        assert_eq!(Ends::of(&text).0.len(), 2);
        assert!(Ends::of(&format!("{text} x")).0.is_empty());
        assert!(Ends::of(text.get(..text.len() - 1).unwrap()).0.is_empty());
        assert!(Ends::of("").0.is_empty());
        let nested = "[".repeat(120) + &"]".repeat(120);
        assert!(Ends::of(&nested).0.is_empty(), "97 of its arrays are long");
        assert!(!Ends::of(&format!("[{}]", "1,".repeat(2_000) + &nested)).0.is_empty());
    }

    #[test]
    fn a_value_of_a_document_is_read_as_by_itself() {
        let text = format!("[0,{{\"a\":{LONG_TEXT:?},\"b\":[{LONG_TEXT:?},2]}}]");
        let ends = Ends::of(&text);
        let whole = Document::new(&text, &ends);
        let items: Vec<&RawValue> = whole.parse().unwrap();
        let members = whole.value(items[1]).fields().unwrap();
        let shown = |members: &[(Cow<'_, str>, &RawValue)]| format!("{members:?}");
        assert_eq!(shown(&members), shown(&fields(items[1].get()).unwrap()));
        let list: Vec<&RawValue> = whole.value(members[1].1).parse().unwrap();
        assert_eq!(list[0].get(), format!("{LONG_TEXT:?}"));
        // Of what stands elsewhere nothing is known.
        let other: &RawValue = parse("[1]").unwrap();
        assert_eq!(whole.value(other).parse::<Vec<u32>>().unwrap(), [1]);
    }
}
