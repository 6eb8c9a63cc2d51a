//! What configurations are read into.
//!
//! Serde makes a reader of several kilobytes for each type. Here a value is put into its place: what is
//! known of a type is a table, and its own code a call for each field.

use std::borrow::Cow;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::Value;

use super::node::{Mistake, Node, within};
use crate::small_map::SmallMap;

/// What can be read from a configuration. Derive it for types with fields and for choices among names.
pub trait Setting: Sized {
    /// What is there before it is read. Fields that may be left out have their defaults.
    fn blank() -> Self;

    /// Reads a value over what is there.
    ///
    /// # Errors
    /// What is wrong, and where within the value.
    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake>;
}

/// What is known of a type with fields.
#[derive(Debug)]
pub struct Shape {
    /// What an error says was expected.
    pub expected: &'static str,
    /// The fields' names, 64 at most.
    pub names: &'static [&'static str],
    /// The bit of each field that must be there.
    pub required: u64,
    /// Whether others are refused.
    pub closed: bool,
}

/// What was chosen of several names.
#[derive(Debug)]
pub struct Choice<'a> {
    /// The index of the name.
    pub index: usize,
    name: Cow<'a, str>,
    about: Option<Node<'a>>,
}

/// Reads what stands alone.
pub(super) fn value<T: Setting>(node: &Node<'_>) -> Result<T, Mistake> {
    let mut value = T::blank();
    value.read(node)?;
    Ok(value)
}

impl<'a> Node<'a> {
    /// Reads the members of an object, each by a call with the index of its name.
    ///
    /// # Errors
    /// It is no object, has an unknown member or one twice, lacks one, or one is wrong.
    #[inline(never)]
    pub fn members(
        &self,
        shape: &Shape,
        read: &mut dyn FnMut(usize, &Node<'a>) -> Result<(), Mistake>,
    ) -> Result<(), Mistake> {
        let Some(object) = self.object()? else { return Err(self.unexpected(shape.expected)) };
        let mut seen = 0u64;
        for (name, raw) in object.members {
            let Some(index) = shape.names.iter().position(|known| *known == name) else {
                if shape.closed {
                    return Err(within(&name, Mistake::unknown_field(&name, shape.names)));
                }
                continue;
            };
            let bit = 1 << (index & 63);
            let node = Node { raw, depth: object.depth };
            let wrong = match shape.names.get(index) {
                Some(name) if seen & bit != 0 => Err(Mistake::duplicate_field(name)),
                _ => read(index, &node),
            };
            wrong.map_err(|mistake| within(&name, mistake))?;
            seen |= bit;
        }
        let missing = shape.required & !seen;
        match shape.names.get(missing.trailing_zeros() as usize) {
            Some(name) if missing != 0 => Err(Mistake::missing_field(name)),
            _ => Ok(()),
        }
    }

    /// Which of the names it is.
    ///
    /// # Errors
    /// It is no text, or none of them.
    #[inline(never)]
    pub fn word(&self, expected: &str, names: &'static [&'static str]) -> Result<usize, Mistake> {
        let choice = self.choice(expected, names)?;
        choice.alone()?;
        Ok(choice.index)
    }

    /// Which of the names it is, or has as its only member.
    ///
    /// # Errors
    /// It is neither a text nor such an object, or the name is none of them.
    #[inline(never)]
    pub fn choice(
        &self,
        expected: &str,
        names: &'static [&'static str],
    ) -> Result<Choice<'a>, Mistake> {
        let Some((name, about)) = self.variant()? else { return Err(self.unexpected(expected)) };
        match names.iter().position(|known| *known == name) {
            Some(index) => Ok(Choice { index, name, about }),
            None => Err(Mistake::unknown_variant(&name, names)),
        }
    }
}

impl Choice<'_> {
    /// What it is about.
    ///
    /// # Errors
    /// It is about nothing, or about something wrong.
    pub fn content<T: Setting>(&self) -> Result<T, Mistake> {
        value(&self.about()?).map_err(|mistake| within(&self.name, mistake))
    }

    #[inline(never)]
    fn about(&self) -> Result<Node<'_>, Mistake> {
        self.about.ok_or_else(|| {
            let message = format!("`{0}` needs a value: write {{ \"{0}\": ... }}", self.name);
            Mistake::new("", message)
        })
    }

    /// Checks that it is about nothing.
    ///
    /// # Errors
    /// It is.
    #[inline(never)]
    pub fn alone(&self) -> Result<(), Mistake> {
        match self.about {
            None => Ok(()),
            Some(_) => Err(Mistake::new(&*self.name, "takes no value; write the name alone")),
        }
    }
}

impl<T: Setting> Setting for Option<T> {
    fn blank() -> Option<T> {
        None
    }

    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        if node.is_null() {
            *self = None;
            return Ok(());
        }
        self.insert(T::blank()).read(node)
    }
}

impl<T: Setting> Setting for Box<T> {
    fn blank() -> Box<T> {
        Box::new(T::blank())
    }

    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        (**self).read(node)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn blank() -> Vec<T> {
        Vec::new()
    }

    /// APISIX turns an empty list into `{}`.
    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        self.clear();
        node.items(&mut |node| {
            let mut item = T::blank();
            item.read(node)?;
            self.push(item);
            Ok(())
        })
    }
}

impl<K: DeserializeOwned + Ord, V: Setting> Setting for SmallMap<K, V> {
    fn blank() -> SmallMap<K, V> {
        SmallMap::new()
    }

    /// Of two members with one name, the later counts.
    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        *self = SmallMap::new();
        node.entries(&mut |name, node| {
            let key = K::deserialize(StrDeserializer::new(name))?;
            let mut value = V::blank();
            value.read(node)?;
            self.insert(key, value);
            Ok(())
        })
    }
}

impl<'a> Node<'a> {
    #[inline(never)]
    fn items(&self, read: &mut dyn FnMut(&Node<'a>) -> Result<(), Mistake>) -> Result<(), Mistake> {
        let Some(list) = self.list()? else { return Err(self.unexpected("a sequence")) };
        for (index, raw) in list.items.enumerate() {
            let node = Node { raw, depth: list.depth };
            read(&node).map_err(|mistake| within(&format!("[{index}]"), mistake))?;
        }
        Ok(())
    }

    #[inline(never)]
    fn entries(
        &self,
        read: &mut dyn FnMut(&str, &Node<'a>) -> Result<(), Mistake>,
    ) -> Result<(), Mistake> {
        let Some(object) = self.object()? else { return Err(self.unexpected("a map")) };
        for (name, raw) in object.members {
            let node = Node { raw, depth: object.depth };
            read(&name, &node).map_err(|mistake| within(&name, mistake))?;
        }
        Ok(())
    }
}

impl Setting for String {
    fn blank() -> String {
        String::new()
    }

    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        *self = node.text("a string")?.into_owned();
        Ok(())
    }
}

impl Setting for bool {
    fn blank() -> bool {
        false
    }

    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        *self = node.bool()?;
        Ok(())
    }
}

impl Setting for f64 {
    fn blank() -> f64 {
        0.0
    }

    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        *self = node.number("f64")?;
        Ok(())
    }
}

macro_rules! integers {
    ($($kind:ident)*) => {$(
        impl Setting for $kind {
            fn blank() -> $kind {
                0
            }

            #[allow(clippy::cast_possible_truncation)]
            fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
                *self = node.integer(stringify!($kind), $kind::MAX as u64)? as $kind;
                Ok(())
            }
        }
    )*};
}

impl Setting for f32 {
    fn blank() -> f32 {
        0.0
    }

    #[allow(clippy::cast_possible_truncation)]
    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        *self = node.number("f32")? as f32;
        Ok(())
    }
}

integers!(u8 u16 u32 u64 usize);

impl Setting for Value {
    fn blank() -> Value {
        Value::Null
    }

    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        *self = serde_json::from_str(node.raw.get())
            .map_err(|_| Mistake::new("", "is no valid value"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::config::{Setting, document};

    #[derive(Debug, PartialEq, Setting)]
    #[serde(rename_all = "snake_case")]
    enum Kept {
        InMemory,
        Far(Box<Far>),
        #[serde(rename = "NAMED")]
        Named(String),
    }

    #[derive(Debug, PartialEq, Setting)]
    struct Far {
        url: String,
        #[serde(rename = "try", default = "three")]
        tries: u8,
        weight: Option<f64>,
    }

    #[derive(Debug, PartialEq, Setting)]
    #[serde(deny_unknown_fields, default)]
    struct Whole {
        kept: Vec<Kept>,
        limits: SmallMap<String, u32>,
        on: bool,
        r#type: Option<Name>,
        rest: Value,
    }

    #[derive(Debug, PartialEq, Setting)]
    struct Name(String);

    impl Default for Whole {
        fn default() -> Whole {
            let kept = vec![Kept::InMemory];
            Whole { kept, limits: SmallMap::new(), on: true, r#type: None, rest: Value::Null }
        }
    }

    fn three() -> u8 {
        3
    }

    fn error<T: Setting + std::fmt::Debug>(text: &str) -> String {
        document::<T>(text).expect_err(text).to_string()
    }

    #[test]
    fn what_is_there_is_read_and_the_rest_has_its_defaults() {
        assert_eq!(document::<Whole>("{}").unwrap(), Whole::default());
        let text = r#"{"kept": ["in_memory", {"far": {"url": "u", "unknown": 1, "weight": 2}},
            {"NAMED": "n"}, {"far": {"url": "", "try": 255, "weight": null}}],
            "limits": {"b": 1, "a": 2}, "type": "t", "on": false, "rest": {"x": [1, null]}}"#;
        let far = |url: &str, tries, weight| {
            Kept::Far(Box::new(Far { url: url.to_owned(), tries, weight }))
        };
        let kept = vec![
            Kept::InMemory,
            far("u", 3, Some(2.0)),
            Kept::Named("n".to_owned()),
            far("", 255, None),
        ];
        let limits = SmallMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]);
        let (name, rest) = (Some(Name("t".to_owned())), serde_json::json!({"x": [1, null]}));
        let whole = Whole { kept, limits, on: false, r#type: name, rest };
        assert_eq!(document::<Whole>(text).unwrap(), whole);
        assert!(document::<Whole>(r#"{"kept": {}}"#).unwrap().kept.is_empty());
    }

    #[test]
    fn each_mistake_is_named_with_its_place() {
        for (text, expected) in [
            ("[]", "invalid type: an array, expected struct Whole"),
            (r#"{"on": 1}"#, "on: invalid type: a number, expected a boolean"),
            (r#"{"on": true, "on": true}"#, "on: duplicate field `on`"),
            (r#"{"off": true}"#, "off: unknown field `off`, expected one of `kept`, `limits`, "),
            (r#"{"type": null, "kept": [{"far": {}}]}"#, "kept[0].far: missing field `url`"),
            (r#"{"kept": ["far"]}"#, "kept[0]: `far` needs a value"),
            (r#"{"kept": [{"in_memory": 1}]}"#, "kept[0].in_memory: takes no value"),
            (r#"{"kept": ["in_memory", "near"]}"#, "kept[1]: unknown variant `near`, expected "),
            (r#"{"kept": [{"far": 1, "NAMED": 1}]}"#, "kept[0]: invalid type: an object, expec"),
            (r#"{"kept": [7]}"#, "kept[0]: invalid type: a number, expected enum Kept"),
            (r#"{"kept": {"a": 1}}"#, "kept: invalid type: an object, expected a sequence"),
            (r#"{"limits": []}"#, "limits: invalid type: an array, expected a map"),
            (r#"{"limits": {"a": -1}}"#, "limits.a: invalid value: -1, expected u32"),
            (r#"{"limits": {"a": 4294967296}}"#, "limits.a: invalid value: 4294967296, expected"),
            (r#"{"limits": {"a": 1.5}}"#, "limits.a: invalid type: a number, expected u32"),
            (r#"{"type": 5}"#, "type: invalid type: a number, expected a string"),
        ] {
            let error = error::<Whole>(text);
            assert!(error.starts_with(expected), "{error} instead of {expected}");
        }
        let nested = format!("{}{}", "[".repeat(70), "]".repeat(70));
        assert!(document::<Vec<Vec<Value>>>(&nested).is_ok());
    }
}
