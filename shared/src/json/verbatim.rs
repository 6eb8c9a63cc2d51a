//! A piece of a document that is known to be JSON, as serde_json's [`RawValue`], without reading it again.

use serde::de::value::{BorrowedStrDeserializer, Error};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

/// The same text. `None` only if serde_json asked in another way than it does.
pub(super) fn verbatim(json: &str) -> Option<&RawValue> {
    <&RawValue>::deserialize(Verbatim(json)).ok()
}

/// serde_json asks any format for a newtype of a name of its own, and takes as its content a map from that
/// name to the text.
struct Verbatim<'a>(&'a str);

impl<'de> Deserializer<'de> for Verbatim<'de> {
    type Error = Error;

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Content { name, text: self.0 })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("only serde_json's RawValue"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Content<'a> {
    name: &'static str,
    text: &'a str,
}

impl<'a> MapAccess<'a> for Content<'a> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        seed.deserialize(BorrowedStrDeserializer::new(self.name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(BorrowedStrDeserializer::new(self.text))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_text_itself_becomes_the_value() {
        let text = String::from(r#"{"a": [1, "é"]}"#);
        let raw = verbatim(&text).unwrap();
        assert_eq!(raw.get().as_ptr(), text.as_ptr());
        assert_eq!(raw.get().len(), text.len());
    }
}
