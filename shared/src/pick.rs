//! A value or two of a JSON document.
//!
//! A [view](crate::view) checks more, and costs some kilobytes of a module. This is for answers of which
//! little is wanted.

use serde_json::value::RawValue;

use crate::json::{Document, parse};

/// The value that these keys lead to, from object to object; `None` if there is none or it is null.
pub fn at<'a>(from: impl Into<Document<'a>>, keys: &[&str]) -> Option<&'a RawValue> {
    lead(from.into(), keys)
}

#[inline(never)]
fn lead<'a>(from: Document<'a>, keys: &[&str]) -> Option<&'a RawValue> {
    let (first, rest) = keys.split_first()?;
    let found = from.fields().ok()?.into_iter().find(|(key, _)| key == first);
    let value = found.map(|(_, value)| value).filter(|value| value.get() != "null")?;
    if rest.is_empty() { Some(value) } else { lead(from.value(value), rest) }
}

/// The value that a JSON pointer (RFC 6901) leads to; `None` if there is none. Of keys that are there twice the
/// last counts.
pub fn pointed<'a>(from: impl Into<Document<'a>>, pointer: &str) -> Option<&'a RawValue> {
    let mut at = from.into();
    if pointer.is_empty() {
        return at.parse().ok();
    }
    let mut value = None;
    for token in pointer.split('/').skip(1) {
        let next: Option<&RawValue> = if at.text().trim_start().starts_with('[') {
            let items: Vec<&RawValue> = at.parse().ok()?;
            // As RFC 6901 writes numbers.
            let number = token == "0" || token.starts_with(|first| matches!(first, '1'..='9'));
            token.parse().ok().filter(|_| number).and_then(|place: usize| items.get(place).copied())
        } else {
            let key = token.replace("~1", "/").replace("~0", "~");
            let members = at.fields().ok()?;
            members.into_iter().rfind(|(name, _)| *name == key).map(|(_, value)| value)
        };
        at = at.value(next?);
        value = next;
    }
    value
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

    #[test]
    fn pointers_lead_where_serde_json_says() {
        let text = r#"{"a":{"b":[1,{"d":2}],"~x/y":3,"":4},"0":5,"twice":6,"twice":7,"n":null}"#;
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let pointers = [
            "",
            "/",
            "/a",
            "/a/b",
            "/a/b/0",
            "/a/b/1/d",
            "/a/b/2",
            "/a/b/01",
            "/a/b/+1",
            "/a/b/-",
            "/a/~0x~1y",
            "/a/",
            "/0",
            "/twice",
            "/n",
            "/n/x",
            "/a/b/0/x",
            "/none",
        ];
        for pointer in pointers {
            let found = pointed(text, pointer).map(|raw| serde_json::from_str(raw.get()).unwrap());
            assert_eq!(found.as_ref(), value.pointer(pointer), "{pointer}");
        }
        assert!(pointed("no JSON", "").is_none());
    }
}
