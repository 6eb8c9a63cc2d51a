//! The request's body as filters see and change it.

use std::ops::Range;

use crate::found::{self, Found};
use crate::json::{BadJson, Document};
use crate::text;
use crate::texts::{self, Said};

/// A request body: what came, and what the filters made of it.
#[derive(Debug)]
pub struct RequestBody {
    content: Content,
    /// Length of what the host holds.
    original: usize,
    /// How many bytes at the end are still as they came.
    tail: usize,
    changed: bool,
    /// What is found out about it as it stands, once somebody asks.
    found: Found,
}

#[derive(Debug)]
enum Content {
    Text(String),
    /// A form with files, say.
    Binary(Vec<u8>),
}

impl RequestBody {
    /// Takes text that the client sent. Bytes that are not UTF-8 are given back: no JSON document has
    /// them, and two parsers may read them differently.
    pub fn new(bytes: Vec<u8>) -> Result<RequestBody, Vec<u8>> {
        let text = text::checked(bytes)?;
        let len = text.len();
        Ok(RequestBody::of(Content::Text(text), len))
    }

    fn of(content: Content, len: usize) -> RequestBody {
        let found = Found::default();
        RequestBody { content, original: len, tail: len, changed: false, found }
    }

    /// Takes what the client sent that is not text.
    pub fn binary(bytes: Vec<u8>) -> RequestBody {
        let len = bytes.len();
        RequestBody::of(Content::Binary(bytes), len)
    }

    /// The body as it stands now; empty if it is not text.
    pub fn text(&self) -> &str {
        match &self.content {
            Content::Text(text) => text,
            Content::Binary(_) => "",
        }
    }

    /// The body as it stands now.
    pub fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Text(text) => text.as_bytes(),
            Content::Binary(bytes) => bytes,
        }
    }

    /// Its text to be read as JSON; looked through once for all who read it, as long as it stays as it is.
    pub fn document(&self) -> Document<'_> {
        self.found.document(self.text())
    }

    /// The same for who reads most of it and will not read it again: it is not looked through first, unless
    /// somebody has done so.
    pub fn document_in_one_go(&self) -> Document<'_> {
        self.found.as_far_as_known(self.text())
    }

    /// What it says, see [`texts::request`]; read once for all who ask, as long as it stays as it is.
    ///
    /// # Errors
    /// If it is no JSON.
    pub fn said(&self) -> Result<Said<'_>, BadJson> {
        self.found.said(self.text(), texts::request)
    }

    /// Replaces some ranges of [`bytes`](Self::bytes), which must be in order and not overlap; one
    /// that is out of range or cuts a character of a text is refused and nothing is changed.
    pub fn edit(&mut self, edits: &[(Range<usize>, &str)]) -> Result<(), BadEdit> {
        let rest = match &mut self.content {
            Content::Text(text) => {
                let mut out = String::with_capacity(text.len());
                let mut done = 0;
                for (range, with) in edits {
                    out.push_str(text.get(done..range.start).ok_or(BadEdit)?);
                    text.get(range.clone()).ok_or(BadEdit)?;
                    out.push_str(with);
                    done = range.end;
                }
                let rest = text.get(done..).ok_or(BadEdit)?;
                out.push_str(rest);
                let rest = rest.len();
                *text = out;
                rest
            }
            Content::Binary(bytes) => {
                let mut out = Vec::with_capacity(bytes.len());
                let mut done = 0;
                for (range, with) in edits {
                    out.extend_from_slice(bytes.get(done..range.start).ok_or(BadEdit)?);
                    bytes.get(range.clone()).ok_or(BadEdit)?;
                    out.extend_from_slice(with.as_bytes());
                    done = range.end;
                }
                let rest = bytes.get(done..).ok_or(BadEdit)?;
                out.extend_from_slice(rest);
                let rest = rest.len();
                *bytes = out;
                rest
            }
        };
        if !edits.is_empty() {
            self.found = Found::default();
            self.tail = self.tail.min(rest);
            self.changed = true;
        }
        Ok(())
    }

    /// Replaces the whole.
    pub fn replace(&mut self, text: String) {
        self.content = Content::Text(text);
        self.found = Found::default();
        self.tail = 0;
        self.changed = true;
    }

    /// Where `part`, which was borrowed from [`text`](Self::text), stands in it.
    pub fn range_of(&self, part: &str) -> Option<Range<usize>> {
        found::range_of(self.text(), part)
    }

    /// The change to make to the host's copy.
    pub fn change(&self) -> Option<Change<'_>> {
        if !self.changed {
            return None;
        }
        let whole = self.bytes();
        Some(Change {
            replaced: self.original.saturating_sub(self.tail),
            total: self.original,
            with: whole.get(..whole.len().saturating_sub(self.tail))?,
            whole,
        })
    }
}

/// What changed, seen from the host's copy of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// So many bytes at its start are replaced ...
    pub replaced: usize,
    /// ... of so many ...
    pub total: usize,
    /// ... with this.
    pub with: &'a [u8],
    /// The whole new body.
    pub whole: &'a [u8],
}

/// An edit outside of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEdit;

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn an_edit_replaces_only_the_front_of_the_hosts_copy() {
        let mut body = RequestBody::new(br#"{"model":"fast","messages":[]}"#.to_vec()).unwrap();
        let model = body.text().get(9..15).unwrap();
        let range = body.range_of(model).unwrap();
        assert_eq!(range, 9..15);
        body.edit(&[(range, "\"claude\"")]).unwrap();
        let change = body.change().unwrap();
        assert_eq!(change.with, br#"{"model":"claude""#);
        assert_eq!((change.replaced, change.total), (15, 30));
        assert_eq!(change.whole, br#"{"model":"claude","messages":[]}"#);
    }

    #[test]
    fn later_edits_only_shorten_the_unchanged_tail() {
        let mut body = RequestBody::new(b"0123456789".to_vec()).unwrap();
        body.edit(&[(7..8, "seven")]).unwrap();
        body.edit(&[(0..1, "zero"), (1..1, "!")]).unwrap();
        let change = body.change().unwrap();
        assert_eq!((change.replaced, change.with), (8, b"zero!123456seven".as_slice()));
        assert_eq!(change.whole, b"zero!123456seven89");
    }

    #[test]
    fn what_is_not_text_can_be_edited_too() {
        let mut body = RequestBody::binary(vec![0xff, b'a', b'b', 0xfe]);
        assert_eq!(body.text(), "");
        body.edit(&[(1..2, "xyz")]).unwrap();
        let change = body.change().unwrap();
        assert_eq!((change.replaced, change.with), (2, [0xff, b'x', b'y', b'z'].as_slice()));
        assert_eq!(body.edit(&[(9..10, "")]), Err(BadEdit));
        assert_eq!(body.bytes(), [0xff, b'x', b'y', b'z', b'b', 0xfe]);
    }

    #[test]
    fn an_edit_out_of_range_changes_nothing() {
        let mut body = RequestBody::new("aé".into()).unwrap();
        assert_eq!(body.edit(&[(0..2, "x")]), Err(BadEdit));
        assert_eq!(body.edit(&[(0..9, "x")]), Err(BadEdit));
        assert_eq!(body.edit(&[(1..3, "x"), (0..1, "y")]), Err(BadEdit));
        assert_eq!(body.text(), "aé");
        assert_eq!(body.change(), None);
    }

    #[test]
    fn texts_are_those_of_the_body_as_it_stands() {
        let sent =
            r#"{"messages":[{"role":"system","content":"a"},{"role":"user","content":"b \"c\""}]}"#;
        let mut body = RequestBody::new(sent.into()).unwrap();
        let shown = |body: &RequestBody| {
            let texts = body.said().unwrap().texts;
            texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>()
        };
        let first = shown(&body);
        assert_eq!(first.len(), 2);
        assert_eq!(shown(&body), first, "read once more");
        let place = body.range_of(body.said().unwrap().texts[0].raw.get()).unwrap();
        body.edit(&[(place, "\"longer\"")]).unwrap();
        assert_eq!(body.said().unwrap().texts[0].raw.get(), "\"longer\"");
        assert_eq!(body.said().unwrap().texts[1].raw.get(), r#""b \"c\"""#);
        body.replace(r#"{"prompt":"x"}"#.into());
        assert_eq!(shown(&body).len(), 1);
        body.replace("no JSON".into());
        assert!(body.said().is_err() && body.said().is_err());
    }

    #[test]
    fn text_from_elsewhere_has_no_range() {
        let body = RequestBody::new(b"abc".to_vec()).unwrap();
        let elsewhere = String::from("abc");
        // A wrapped subtraction or a length past the end are both refused.
        assert!(body.range_of(&elsewhere).is_none_or(|range| range.end <= 3));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_given_back() {
        assert_eq!(RequestBody::new(vec![0xff]).unwrap_err(), vec![0xff]);
    }
}
