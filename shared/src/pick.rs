//! A value or two of a JSON document.
//!
//! A [view](crate::view) checks more, and costs some kilobytes of a module. This is for answers of which
//! little is wanted.

use serde_json::value::RawValue;

use crate::json::{Document, fields, parse};

/// The value that these keys lead to, from object to object; `None` if there is none or it is null.
#[inline(never)]
pub fn at<'a>(text: &'a str, keys: &[&str]) -> Option<&'a RawValue> {
    let (first, rest) = keys.split_first()?;
    let found = fields(text).ok()?.into_iter().find(|(key, _)| key == first);
    let value = found.map(|(_, value)| value).filter(|value| value.get() != "null")?;
    if rest.is_empty() { Some(value) } else { at(value.get(), rest) }
}

/// The values of these keys of an object, in one pass; `None` for one that is not there or null.
pub fn pick<'a, const N: usize>(
    from: impl Into<Document<'a>>,
    keys: [&str; N],
) -> [Option<&'a RawValue>; N] {
    let fields = from.into().fields().unwrap_or_default();
    keys.map(|key| {
        let found = fields.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
        found.filter(|value| value.get() != "null")
    })
}

/// The items of a list; none if it is no list.
#[inline(never)]
pub fn items(list: Option<&RawValue>) -> Vec<&RawValue> {
    list.and_then(|list| parse(list.get()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn keys_lead_from_object_to_object() {
        let text = r#"{"a":{"b":null,"c":[1,{"d":2}]},"x":1}"#;
        let get = |keys: &[&str]| at(text, keys).map(RawValue::get);
        assert_eq!(get(&["x"]), Some("1"));
        assert_eq!(get(&["a", "b"]), None);
        assert_eq!(get(&["x", "b"]), None);
        assert_eq!(get(&["a", "z"]), None);
        let list: Vec<_> = items(at(text, &["a", "c"])).iter().map(|item| item.get()).collect();
        assert_eq!(list, ["1", r#"{"d":2}"#]);
        assert!(items(at(text, &["x"])).is_empty());
        let [x, a, z] = pick(text, ["x", "a", "z"]);
        assert_eq!(x.map(RawValue::get), Some("1"));
        assert!(a.is_some() && z.is_none());
        assert_eq!(at("[", &["a"]).map(RawValue::get), None);
    }
}
