//! A document of which the ends are known is read as one of which nothing is known.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, value::RawValue};
use shared::json::{Document, fields, parse};
use shared::request::RequestBody;

/// Reads both to their leaves.
fn compare<'a>(known: Document<'a>, text: &'a str) {
    let raw: &RawValue = parse(text).unwrap();
    assert_eq!(known.parse::<&RawValue>().unwrap().get(), raw.get());
    let values: Vec<&'a RawValue> = match raw.get().as_bytes()[0] {
        b'{' => {
            let (one, other) = (known.fields().unwrap(), fields(text).unwrap());
            assert!(one.iter().zip(&other).all(|(a, b)| a.0 == b.0 && a.1.get() == b.1.get()));
            assert_eq!(one.len(), other.len());
            one.into_iter().map(|(_, value)| value).collect()
        }
        b'[' => {
            let one: Vec<&RawValue> = known.parse().unwrap();
            let other: Vec<&RawValue> = parse(text).unwrap();
            assert!(one.iter().zip(&other).all(|(a, b)| a.get() == b.get()));
            assert_eq!(one.len(), other.len());
            one
        }
        _ => return,
    };
    values.into_iter().for_each(|value| compare(known.value(value), value.get()));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<Option<bool>>().prop_map(|value| value.map_or(Value::Null, Value::Bool)),
        any::<i32>().prop_map(Value::from),
        // Some longer than what is looked up.
        "[a-z\"\\\\ \n\u{e9}\u{6cd5}]{0,120}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("[a-z\"\u{e9}]{0,60}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn knowing_the_ends_changes_nothing(value in value(), wide in any::<bool>()) {
        let text = if wide { format!(" {value:#} \n") } else { value.to_string() };
        let body = RequestBody::new(text.clone().into_bytes()).unwrap();
        compare(body.document(), &text);
    }

    #[test]
    fn what_is_no_json_is_refused_alike(
        value in value(),
        cut in any::<prop::sample::Index>(),
        byte in prop::sample::select(vec![b'"', b'{', b'}', b'[', b']', b',', b':', b'\\', b'1', b' ']),
    ) {
        let mut bytes = value.to_string().into_bytes();
        let at = cut.index(bytes.len());
        if bytes[at].is_ascii() {
            bytes[at] = byte;
        }
        let text = String::from_utf8(bytes).unwrap();
        let body = RequestBody::new(text.clone().into_bytes()).unwrap();
        let (known, plain) = (body.document().parse::<&RawValue>(), parse::<&RawValue>(&text));
        assert_eq!(known.as_ref().map(|raw| raw.get()), plain.as_ref().map(|raw| raw.get()));
        if plain.is_ok() {
            compare(body.document(), &text);
        }
    }
}
