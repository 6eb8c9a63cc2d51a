//! The body of a whole answer, as filters see it.

use std::cell::OnceCell;

use crate::found::Found;
use crate::json::{BadJson, Document};
use crate::texts::{self, Text};

/// A whole answer that is no stream. What one filter finds out about it the next need not.
#[derive(Debug)]
pub struct AnswerBody<'a> {
    bytes: &'a [u8],
    text: OnceCell<Option<&'a str>>,
    found: Found,
}

impl<'a> AnswerBody<'a> {
    /// Nothing is known of it yet.
    pub fn new(bytes: &'a [u8]) -> AnswerBody<'a> {
        AnswerBody { bytes, text: OnceCell::new(), found: Found::default() }
    }

    /// As it stands.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The same as text; `None` if it is not UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        *self.text.get_or_init(|| simdutf8::basic::from_utf8(self.bytes).ok())
    }

    /// Its text to be read as JSON, empty if it is none; looked through once for all who read it.
    pub fn document(&self) -> Document<'_> {
        self.found.document(self.text().unwrap_or_default())
    }

    /// The same for who reads it in one go: then it is of use only that others have looked through it.
    pub fn document_in_one_go(&self) -> Document<'_> {
        self.found.as_far_as_known(self.text().unwrap_or_default())
    }

    /// What it says, see [`texts::answer`]; read once for all who ask.
    ///
    /// # Errors
    /// If it is no JSON.
    pub fn texts(&self) -> Result<Vec<Text<'_>>, BadJson> {
        let said = self.found.said(self.text().unwrap_or_default(), texts::answer)?;
        Ok(said.texts)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_it_says_is_the_same_however_often_it_is_asked() {
        let body = AnswerBody::new(
            br#"{"choices":[{"message":{"content":"a \"b\"","tool_calls":[{"function":{"arguments":"{}"}}]}}]}"#,
        );
        let shown = || format!("{:?}", body.texts().unwrap());
        let first = shown();
        assert!(first.contains(r#""a \"b\"""#), "{first}");
        assert_eq!(shown(), first);
        assert_eq!(body.document().text().as_bytes(), body.bytes());
    }

    #[test]
    fn what_is_no_text_says_nothing() {
        let body = AnswerBody::new(&[0xff, b'{']);
        assert_eq!(body.text(), None);
        assert_eq!(body.document().text(), "");
        assert!(body.texts().is_err());
        assert!(AnswerBody::new(b"no JSON").texts().is_err());
    }
}
