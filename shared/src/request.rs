//! The request's body as filters see and change it.

use std::ops::Range;

/// A request body: the text that came, and what the filters made of it.
#[derive(Debug)]
pub struct RequestBody {
    text: String,
    /// Length of what the host holds.
    original: usize,
    /// How many bytes at the end are still as they came.
    tail: usize,
    changed: bool,
}

impl RequestBody {
    /// Takes what the client sent. Bytes that are not UTF-8 are given back: no JSON document has
    /// them, and two parsers may read them differently.
    pub fn new(bytes: Vec<u8>) -> Result<RequestBody, Vec<u8>> {
        let text = String::from_utf8(bytes).map_err(std::string::FromUtf8Error::into_bytes)?;
        let len = text.len();
        Ok(RequestBody { text, original: len, tail: len, changed: false })
    }

    /// The body as it stands now.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Replaces some ranges of [`text`](Self::text), which must be in order and not overlap; one
    /// that is out of range or cuts a character is refused and nothing is changed.
    pub fn edit(&mut self, edits: &[(Range<usize>, &str)]) -> Result<(), BadEdit> {
        let mut out = String::with_capacity(self.text.len());
        let mut done = 0;
        for (range, with) in edits {
            let kept = self.text.get(done..range.start).ok_or(BadEdit)?;
            self.text.get(range.clone()).ok_or(BadEdit)?;
            out.push_str(kept);
            out.push_str(with);
            done = range.end;
        }
        let rest = self.text.get(done..).ok_or(BadEdit)?;
        out.push_str(rest);
        if !edits.is_empty() {
            self.tail = self.tail.min(rest.len());
            self.changed = true;
        }
        self.text = out;
        Ok(())
    }

    /// Replaces the whole.
    pub fn replace(&mut self, text: String) {
        self.text = text;
        self.tail = 0;
        self.changed = true;
    }

    /// Where `part`, which was borrowed from [`text`](Self::text), stands in it.
    pub fn range_of(&self, part: &str) -> Option<Range<usize>> {
        let start = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        let end = start.checked_add(part.len())?;
        (end <= self.text.len()).then_some(start..end)
    }

    /// The change to make to the host's copy.
    pub fn change(&self) -> Option<Change<'_>> {
        if !self.changed {
            return None;
        }
        Some(Change {
            replaced: self.original.saturating_sub(self.tail),
            total: self.original,
            with: self.text.get(..self.text.len().saturating_sub(self.tail))?,
            whole: &self.text,
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
    pub with: &'a str,
    /// The whole new body.
    pub whole: &'a str,
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
        assert_eq!(change.with, r#"{"model":"claude""#);
        assert_eq!((change.replaced, change.total), (15, 30));
        assert_eq!(change.whole, r#"{"model":"claude","messages":[]}"#);
    }

    #[test]
    fn later_edits_only_shorten_the_unchanged_tail() {
        let mut body = RequestBody::new(b"0123456789".to_vec()).unwrap();
        body.edit(&[(7..8, "seven")]).unwrap();
        body.edit(&[(0..1, "zero"), (1..1, "!")]).unwrap();
        let change = body.change().unwrap();
        assert_eq!((change.replaced, change.with), (8, "zero!123456seven"));
        assert_eq!(change.whole, "zero!123456seven89");
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
