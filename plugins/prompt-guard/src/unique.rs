//! Whether a document gives a key twice: two parsers may then read two documents.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What the error of [`check`] begins with, if a key is there twice.
const TWICE: &str = "duplicate field ";

/// The key that some object of a JSON document has twice, however deep; found in one pass. `None` also
/// for what is no JSON.
pub fn check(text: &str) -> Option<String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let error = Unique.deserialize(&mut reader).err()?.to_string();
    let key = error.strip_prefix(TWICE)?;
    // The place follows the key.
    let end = key.rfind(" at line ").unwrap_or(key.len());
    Some(key.get(..end)?.trim_matches('`').to_owned())
}

struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Unique)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            members.next_value_seed(Unique)?;
            if seen.contains(&key) {
                let short: String = key.chars().take(64).collect();
                return Err(A::Error::custom(format!("{TWICE}`{short}`")));
            }
            seen.insert(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_found_however_deep() {
        for (text, key) in [
            (r#"{"a":1,"b":[{"a":1},{"a":2}]}"#, None),
            (r#"{"a":1,"\u0061":2}"#, Some("a")),
            (r#"{"messages":[{"content":"x","role":"user","content":"y"}]}"#, Some("content")),
            (r#"{"a":{"b":{"c":1.5,"c":null}}}"#, Some("c")),
            ("not json", None),
        ] {
            assert_eq!(check(text).as_deref(), key, "{text}");
        }
    }
}
