//! JSON that keeps the order of its fields.
//!
//! Providers always send `type` or `id` first, and readers with a fast path may count on that, so
//! the sorted maps of `serde_json` would be a poorer imitation.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// A JSON value whose objects keep the order they were written in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// Anything `serde_json` can hold.
    Value(Value),
    /// A single precision number, printed with as few digits as it needs.
    Float(f32),
    /// A list.
    Array(Vec<Json>),
    /// An object in its written order.
    Object(Vec<(&'static str, Json)>),
}

/// Writes an object: `object! { "id": id, "object": "list" }`.
macro_rules! object {
    ($($key:literal : $value:expr),* $(,)?) => {
        $crate::json::Json::Object(vec![$(($key, $crate::json::Json::from($value))),*])
    };
}
pub(crate) use object;

impl Json {
    /// The JSON `null`.
    pub(crate) const NULL: Json = Json::Value(Value::Null);

    /// Adds a field at the end of an object.
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<Json>) -> Self {
        if let Json::Object(fields) = &mut self {
            fields.push((key, value.into()));
        }
        self
    }

    /// Adds a field if there is a value for it.
    pub(crate) fn with_some<T: Into<Json>>(self, key: &'static str, value: Option<T>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// The compact text.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Value(value) => value.serialize(serializer),
            Json::Float(number) => number.serialize(serializer),
            Json::Array(items) => items.serialize(serializer),
            Json::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Self {
        Json::Array(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Json::NULL, Into::into)
    }
}

macro_rules! from_value {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Json {
            fn from(value: $kind) -> Self {
                Json::Value(value.into())
            }
        })*
    };
}
from_value!(&str, String, Value, bool, u64, usize, i32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_keep_their_order() {
        let json = object! { "z": 1, "a": "x", "n": Json::NULL }.with("b", vec!["y"]);
        assert_eq!(json.text(), r#"{"z":1,"a":"x","n":null,"b":["y"]}"#);
    }

    #[test]
    fn optional_fields_can_be_left_out() {
        assert_eq!(
            object! {}.with_some("a", None::<u64>).with_some("b", Some(2u64)).text(),
            r#"{"b":2}"#
        );
    }

    #[test]
    fn floats_print_their_shortest_form() {
        assert_eq!(Json::Float(0.1).text(), "0.1");
    }
}
