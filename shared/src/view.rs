//! Views: structs that read the named fields of a JSON object and keep the rest as it stands.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

/// A field that a view does not name: its key and its value as written.
pub type Unknown<'a> = (Cow<'a, str>, &'a RawValue);

/// An object's key, borrowed unless it has escapes.
#[derive(Debug)]
pub struct Key<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// Reads a member's value. Of its own and never inlined, so that a module has the code once for each
/// type and not once for each field.
#[inline(never)]
pub(crate) fn value<'de, A, T>(map: &mut A) -> Result<T, A::Error>
where
    A: serde::de::MapAccess<'de>,
    T: Deserialize<'de>,
{
    map.next_value()
}

/// Which of a view's fields a key names.
pub(crate) fn field(keys: &[(&str, u8)], key: &str) -> Option<u8> {
    keys.iter().find(|(name, _)| *name == key).map(|(_, field)| *field)
}

/// Marks a field as seen; one that is there twice is an error.
pub(crate) fn once<E: serde::de::Error>(
    seen: &mut u64,
    keys: &'static [(&'static str, u8)],
    field: u8,
) -> Result<(), E> {
    let bit = 1u64.checked_shl(u32::from(field)).unwrap_or(0);
    if *seen & bit != 0 {
        let name = keys.iter().find(|key| key.1 == field).map_or("", |key| key.0);
        return Err(E::duplicate_field(name));
    }
    *seen |= bit;
    Ok(())
}

/// Declares a view: every field an `Option` (absent and `null` are `None`), a named field given
/// twice is an error, and what is not named goes to `rest` in the order of the document.
///
/// `field = "key": Type` where the key is no identifier (`kind = "type"`), and
/// `field = "key" | "other_key": Type` where it may be spelt either way. At most 64 fields.
///
/// There are a hundred views, so what they expand to is kept small: keys are looked up in a table, and
/// the fields are those of one value, which an error drops in one call.
macro_rules! view {
    (
        $(#[$meta:meta])*
        pub struct $name:ident<$life:lifetime> {
            $( $(#[$field_meta:meta])* $field:ident $(= $key:literal $(| $alias:literal)*)? : $type:ty, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub struct $name<$life> {
            $( $(#[$field_meta])* pub $field: Option<$type>, )*
            /// The fields that are not named above.
            pub rest: Vec<$crate::view::Unknown<$life>>,
        }

        impl<'de: $life, $life> serde::de::Deserialize<'de> for $name<$life> {
            fn deserialize<D: serde::de::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                const KEYS: &[(&str, u8)] = &[$(
                    ($crate::view::view!(@key $field $($key)?), Field::$field as u8),
                    $($( ($alias, Field::$field as u8), )*)?
                )*];
                #[allow(non_camel_case_types, dead_code)]
                enum Field { $( $field, )* Rest }
                struct Read<$life>(std::marker::PhantomData<&$life ()>);
                impl<'de: $life, $life> serde::de::Visitor<'de> for Read<$life> {
                    type Value = $name<$life>;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$name<$life>, A::Error> {
                        #[allow(unused_mut)]
                        let mut view = $name::default();
                        let mut seen = 0;
                        while let Some($crate::view::Key(key)) = map.next_key()? {
                            let field = match $crate::view::field(KEYS, &key) {
                                Some(field) => field,
                                None => {
                                    view.rest.push((key, map.next_value()?));
                                    continue;
                                }
                            };
                            $crate::view::once(&mut seen, KEYS, field)?;
                            $(
                                if field == Field::$field as u8 {
                                    view.$field = $crate::view::value(&mut map)?;
                                    continue;
                                }
                            )*
                        }
                        Ok(view)
                    }
                }
                deserializer.deserialize_map(Read(std::marker::PhantomData))
            }
        }
    };
    (@key $field:ident $key:literal) => { $key };
    (@key $field:ident) => { stringify!($field) };
}
pub(crate) use view;

#[cfg(test)]
#[allow(unreachable_pub)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use crate::json::{JsonStr, parse};

    view! {
        /// For the tests.
        pub struct Thing<'a> {
            /// A key that is a keyword.
            kind = "type": JsonStr<'a>,
            /// A plain one.
            count: u32,
            /// One with two spellings.
            max_items = "maxItems" | "max_items": u32,
        }
    }

    #[test]
    fn either_spelling_is_the_same_field() {
        for text in [r#"{"maxItems":3}"#, r#"{"max_items":3}"#] {
            assert_eq!(parse::<Thing<'_>>(text).unwrap().max_items, Some(3));
        }
        let error = parse::<Thing<'_>>(r#"{"maxItems":3,"max_items":3}"#).unwrap_err();
        assert!(error.message.contains("duplicate field `maxItems`"), "{error}");
    }

    #[test]
    fn named_fields_are_read_and_the_rest_is_kept_in_order() {
        let text = r#"{"z":[1, 2],"type":"a\n","count":null,"\u0061":{}}"#;
        let thing: Thing<'_> = parse(text).unwrap();
        assert_eq!(thing.kind.unwrap().decode(), "a\n");
        assert_eq!(thing.count, None);
        let rest: Vec<_> = thing.rest.iter().map(|(key, value)| (&**key, value.get())).collect();
        assert_eq!(rest, [("z", "[1, 2]"), ("a", "{}")]);
    }

    #[test]
    fn a_named_field_given_twice_is_refused_even_as_null() {
        for text in [r#"{"count":null,"count":1}"#, r#"{"count":1,"\u0063ount":null}"#] {
            let error = parse::<Thing<'_>>(text).unwrap_err();
            assert!(error.message.contains("duplicate field `count`"), "{error}");
        }
    }

    #[test]
    fn the_place_of_a_wrong_type_is_named() {
        let error = parse::<Vec<Thing<'_>>>(r#"[{}, {"count": "x"}]"#).unwrap_err();
        assert_eq!(error.path, "[1].count");
    }
}
