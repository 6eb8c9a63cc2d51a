//! Writes JSON: what was borrowed is copied as it stands, what is new is encoded.

use crate::json::JsonStr;

/// A JSON document in the making. Commas are its business; that braces close is the caller's.
///
/// Its functions are called from hundreds of places, and inlined they would be a third of a module.
#[derive(Debug, Default)]
pub struct JsonWriter {
    out: String,
}

impl JsonWriter {
    /// An empty document that has room for so many bytes.
    pub fn with_capacity(bytes: usize) -> JsonWriter {
        JsonWriter { out: String::with_capacity(bytes) }
    }

    /// The document.
    pub fn finish(self) -> String {
        self.out
    }

    fn comma(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with(['{', '[', ':']) {
            self.out.push(',');
        }
    }

    /// Begins an object or array: `{` or `[`.
    #[inline(never)]
    pub fn open(&mut self, brace: char) {
        self.comma();
        self.out.push(brace);
    }

    /// Ends it: `}` or `]`.
    pub fn close(&mut self, brace: char) {
        self.out.push(brace);
    }

    /// A key. It must need no escaping.
    #[inline(never)]
    pub fn key(&mut self, key: &str) {
        self.comma();
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
    }

    /// JSON as it stands.
    #[inline(never)]
    pub fn raw(&mut self, json: &str) {
        self.comma();
        self.out.push_str(json);
    }

    /// Closing braces, several at once.
    #[inline(never)]
    pub fn raw_tail(&mut self, braces: &str) {
        self.out.push_str(braces);
    }

    /// A number, `true`, `false` or whatever else prints as JSON.
    #[inline(never)]
    pub fn value(&mut self, value: impl std::fmt::Display) {
        use std::fmt::Write as _;
        self.comma();
        let _ = write!(self.out, "{value}");
    }

    /// A text, to be encoded.
    #[inline(never)]
    pub fn text(&mut self, text: &str) {
        self.raw(JsonStr::encode(text).quoted());
    }

    /// A string as it stands in another document.
    #[inline(never)]
    pub fn string(&mut self, string: &JsonStr<'_>) {
        self.raw(string.quoted());
    }

    /// What stands between the quotes of a string in another document.
    #[inline(never)]
    pub fn escaped(&mut self, escaped: &str) {
        self.comma();
        self.out.push('"');
        self.out.push_str(escaped);
        self.out.push('"');
    }

    /// A key and a text that needs no escaping.
    #[inline(never)]
    pub fn field(&mut self, key: &str, plain: &str) {
        self.key(key);
        self.escaped(plain);
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn commas_come_by_themselves() {
        let mut w = JsonWriter::default();
        w.open('{');
        w.field("a", "b");
        w.key("list");
        w.open('[');
        w.value(1);
        w.text("x\"{");
        w.open('{');
        w.close('}');
        w.close(']');
        w.key("last");
        w.raw("null");
        w.close('}');
        assert_eq!(w.finish(), r#"{"a":"b","list":[1,"x\"{",{}],"last":null}"#);
    }
}
