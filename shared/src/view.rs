//! Views: structs that read the named fields of a JSON object and keep the rest as it stands.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// A field that a view does not name: its key and its value as written.
pub type Unknown<'a> = (Cow<'a, str>, &'a RawValue);

/// Declares a view: every field an `Option` (absent and `null` are `None`), a named field given
/// twice is an error, and what is not named goes to `rest` in the order of the document.
///
/// `field = "key": Type` where the key is no identifier (`kind = "type"`), and
/// `field = "key" | "other_key": Type` where it may be spelt either way. At most 64 fields.
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

        impl<$life> $crate::json::Read<$life> for $name<$life> {
            fn read(
                from: &mut $crate::json::Reader<$life>,
            ) -> Result<Self, $crate::json::Stop> {
                let mut rest = Vec::new();
                $crate::members!(from, Some(&mut rest), view: $name {
                    $( $field $(= $key $(| $alias)*)?, )*
                });
                view.rest = rest;
                Ok(view)
            }
        }
    };
}
pub(crate) use view;

/// Declares a view of a few members, for use where it is declared: those that it does not name are passed
/// over. Otherwise as [`view`].
#[macro_export]
macro_rules! partial {
    (
        $(#[$meta:meta])*
        struct $name:ident<$life:lifetime> {
            $( $(#[$field_meta:meta])* $field:ident $(= $key:literal $(| $alias:literal)*)? : $type:ty, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        struct $name<$life> {
            $( $(#[$field_meta])* $field: Option<$type>, )*
        }

        impl<$life> $crate::json::Read<$life> for $name<$life> {
            fn read(
                from: &mut $crate::json::Reader<$life>,
            ) -> Result<Self, $crate::json::Stop> {
                $crate::members!(from, None, view: $name {
                    $( $field $(= $key $(| $alias)*)?, )*
                });
                Ok(view)
            }
        }
    };
}

/// Reads an object into the fields of a value. There are two hundred views, so what it expands to is kept
/// small: keys are looked up in a table, and the walk is one function for all.
#[doc(hidden)]
#[macro_export]
macro_rules! members {
    (
        $from:ident, $rest:expr, $view:ident: $name:ident {
            $( $field:ident $(= $key:literal $(| $alias:literal)*)?, )*
        }
    ) => {
        #[allow(non_camel_case_types, dead_code)]
        enum Field { $( $field, )* None }
        const KEYS: &[(&str, u8)] = &[$(
            ($crate::members!(@key $field $($key)?), Field::$field as u8),
            $($( ($alias, Field::$field as u8), )*)?
        )*];
        #[allow(unused_mut)]
        let mut $view = $name::default();
        #[allow(unused_variables)]
        $from.view(KEYS, $rest, &mut |reader, field| {
            $(
                if field == Field::$field as u8 {
                    $view.$field = Some(reader.value()?);
                    return Ok(());
                }
            )*
            Ok(())
        })?;
    };
    (@key $field:ident $key:literal) => { $key };
    (@key $field:ident) => { stringify!($field) };
}

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
