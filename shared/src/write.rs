//! Writes JSON: what was borrowed is copied as it stands, what is new is encoded.

use crate::json::{self, JsonStr};

/// A JSON document in the making. Commas are its business; that braces close is the caller's.
///
/// Its functions are called from hundreds of places, and inlined they would be a third of a module.
#[derive(Debug, Default)]
pub struct JsonWriter {
    out: String,
}

/// A number or a truth value.
#[derive(Clone, Copy, Debug)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A count.
    Unsigned(u64),
    /// A whole number.
    Signed(i64),
    /// Any number.
    Float(f64),
}

impl From<bool> for Scalar {
    fn from(value: bool) -> Scalar {
        Scalar::Bool(value)
    }
}

impl From<u8> for Scalar {
    fn from(value: u8) -> Scalar {
        Scalar::Unsigned(u64::from(value))
    }
}

impl From<u32> for Scalar {
    fn from(value: u32) -> Scalar {
        Scalar::Unsigned(u64::from(value))
    }
}

impl From<i32> for Scalar {
    fn from(value: i32) -> Scalar {
        Scalar::Signed(i64::from(value))
    }
}

impl From<u64> for Scalar {
    fn from(value: u64) -> Scalar {
        Scalar::Unsigned(value)
    }
}

impl From<usize> for Scalar {
    fn from(value: usize) -> Scalar {
        Scalar::Unsigned(u64::try_from(value).unwrap_or(u64::MAX))
    }
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Scalar {
        Scalar::Signed(value)
    }
}

impl From<f64> for Scalar {
    fn from(value: f64) -> Scalar {
        Scalar::Float(value)
    }
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

    /// A number or a truth value.
    pub fn value(&mut self, value: impl Into<Scalar>) {
        self.scalar(value.into());
    }

    #[inline(never)]
    fn scalar(&mut self, value: Scalar) {
        let text = match value {
            Scalar::Bool(true) => return self.raw("true"),
            Scalar::Bool(false) => return self.raw("false"),
            Scalar::Unsigned(value) => return self.raw(itoa::Buffer::new().format(value)),
            Scalar::Signed(value) => return self.raw(itoa::Buffer::new().format(value)),
            Scalar::Float(value) => serde_json::to_string(&value).unwrap_or_default(),
        };
        // `1` says as much as `1.0`, and some APIs take no other where a whole number is meant.
        self.raw(text.strip_suffix(".0").unwrap_or(&text));
    }

    /// A text, to be encoded.
    #[inline(never)]
    pub fn text(&mut self, text: &str) {
        if json::is_plain(text) {
            self.escaped(text);
        } else {
            self.raw(JsonStr::encode(text).quoted());
        }
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
