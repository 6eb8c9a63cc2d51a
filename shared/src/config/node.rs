//! Reads configurations with serde, in little code and with the exact place of a mistake.
//!
//! A configuration has some two hundred fields. serde_json's own deserializer comes with a kilobyte or
//! two of parser for each type that is read; this one finds out what a value is once, for all types.
//! And it knows where it is.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

use super::ConfigError;
use crate::json::{self, fields};

/// Deepest nesting of a configuration.
const MAX_DEPTH: u8 = 64;

/// A [`ConfigError`] on its way: one word, because every function here has a way out for it.
#[derive(Debug)]
pub(super) struct Mistake(Box<ConfigError>);

impl Mistake {
    #[inline(never)]
    fn new(path: impl Into<String>, message: impl Into<String>) -> Mistake {
        Mistake(Box::new(ConfigError::new(path, message)))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Mistake {}

impl From<Mistake> for ConfigError {
    fn from(mistake: Mistake) -> ConfigError {
        *mistake.0
    }
}

/// A value of a configuration.
#[derive(Clone, Copy)]
pub(super) struct Node<'de> {
    raw: &'de RawValue,
    depth: u8,
}

/// What a value is.
enum Kind<'de> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'de, str>),
    List(List<'de>),
    Object(Object<'de>),
}

impl<'de> Node<'de> {
    pub(super) fn new(raw: &'de RawValue) -> Node<'de> {
        Node { raw, depth: 0 }
    }

    #[inline(never)]
    fn kind(self) -> Result<Kind<'de>, Mistake> {
        let text = self.raw.get();
        let depth = self.depth.saturating_add(1);
        if depth > MAX_DEPTH {
            return Err(Mistake::new("", "is nested too deeply"));
        }
        let bad = |error: json::BadJson| Mistake::new(error.path, error.message);
        Ok(match text.as_bytes().first() {
            Some(b'n') => Kind::Null,
            Some(b't') => Kind::Bool(true),
            Some(b'f') => Kind::Bool(false),
            Some(b'"') => {
                let text = serde_json::from_str::<String>(text);
                Kind::Text(text.map_err(|_| Mistake::new("", "is no valid text"))?.into())
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = json::parse(text).map_err(bad)?;
                Kind::List(List { items: items.into_iter(), index: 0, depth })
            }
            Some(b'{') => {
                let members = fields(text).map_err(bad)?;
                Kind::Object(Object { members: members.into_iter(), value: None, depth })
            }
            _ => {
                let float = || text.parse().ok().map(Kind::Float);
                let signed = || text.parse().ok().map(Kind::Signed).or_else(float);
                let number = text.parse().ok().map(Kind::Unsigned).or_else(signed);
                number.ok_or_else(|| Mistake::new("", "is no valid number"))?
            }
        })
    }

    /// An object; `None` if it is something else.
    #[inline(never)]
    fn object(self) -> Result<Option<Object<'de>>, Mistake> {
        Ok(match self.kind()? {
            Kind::Object(object) => Some(object),
            _ => None,
        })
    }

    /// A list. APISIX turns an empty one into `{}`.
    #[inline(never)]
    fn list(self) -> Result<Option<List<'de>>, Mistake> {
        Ok(match self.kind()? {
            Kind::List(list) => Some(list),
            Kind::Object(object) if object.members.len() == 0 => {
                Some(List { items: Vec::new().into_iter(), index: 0, depth: 0 })
            }
            _ => None,
        })
    }

    /// A name, or an object of one name and what it is about.
    #[inline(never)]
    fn variant(self) -> Result<Option<Variant<'de>>, Mistake> {
        Ok(match self.kind()? {
            Kind::Text(name) => Some(Variant { name, content: None }),
            Kind::Object(mut object) if object.members.len() == 1 => {
                object.members.next().map(|(name, raw)| {
                    let content = Some(Node { raw, depth: object.depth });
                    Variant { name, content }
                })
            }
            _ => None,
        })
    }

    /// Says what was found where something else was expected. Never quotes a text.
    #[inline(never)]
    fn unexpected(self, expected: &dyn Expected) -> Mistake {
        Mistake::new(
            "",
            format!("invalid type: {}, expected {expected}", json::kind(self.raw.get())),
        )
    }
}

impl serde::de::Error for Mistake {
    #[inline(never)]
    fn custom<T: fmt::Display>(message: T) -> Mistake {
        Mistake::new("", message.to_string())
    }

    #[inline(never)]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Mistake {
        Mistake::new("", format!("invalid type: {}, expected {expected}", shown(found)))
    }

    #[inline(never)]
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Mistake {
        Mistake::new("", format!("invalid value: {}, expected {expected}", shown(found)))
    }
}

/// A value for an error message; a text may be a secret.
fn shown(found: Unexpected<'_>) -> Cow<'static, str> {
    match found {
        Unexpected::Bool(_) => "a boolean".into(),
        Unexpected::Unsigned(number) => format!("{number}").into(),
        Unexpected::Signed(number) => format!("{number}").into(),
        Unexpected::Float(_) => "a number".into(),
        Unexpected::Str(_) => "a string".into(),
        Unexpected::Seq => "an array".into(),
        Unexpected::Map => "an object".into(),
        Unexpected::Unit | Unexpected::Option => "null".into(),
        _ => "something else".into(),
    }
}

/// The place of a member, before a place within it.
#[inline(never)]
fn within(name: &str, mut mistake: Mistake) -> Mistake {
    let path = &mut mistake.0.path;
    let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
    *path = format!("{name}{dot}{path}");
    mistake
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Mistake;

    #[inline(never)]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.kind()? {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(value),
            Kind::Unsigned(value) => visitor.visit_u64(value),
            Kind::Signed(value) => visitor.visit_i64(value),
            Kind::Float(value) => visitor.visit_f64(value),
            Kind::Text(text) => visitor.visit_str(&text),
            Kind::List(list) => visitor.visit_seq(list),
            Kind::Object(object) => visitor.visit_map(object),
        }
    }

    #[inline(never)]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if self.raw.get() == "null" { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    #[inline(never)]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.kind()? {
            Kind::Bool(value) => visitor.visit_bool(value),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    #[inline(never)]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.kind()? {
            Kind::Text(text) => visitor.visit_str(&text),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    #[inline(never)]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    #[inline(never)]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.list()? {
            Some(list) => visitor.visit_seq(list),
            None => Err(self.unexpected(&visitor)),
        }
    }

    #[inline(never)]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.object()? {
            Some(object) => visitor.visit_map(object),
            None => Err(self.unexpected(&visitor)),
        }
    }

    #[inline(never)]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.deserialize_map(visitor)
    }

    #[inline(never)]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    #[inline(never)]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match self.variant()? {
            Some(variant) => visitor.visit_enum(variant),
            None => Err(self.unexpected(&visitor)),
        }
    }

    #[inline(never)]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple
        tuple_struct identifier
    }
}

struct List<'de> {
    items: std::vec::IntoIter<&'de RawValue>,
    index: usize,
    depth: u8,
}

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Mistake;

    #[inline(never)]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mistake> {
        let Some(raw) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index = index.saturating_add(1);
        match seed.deserialize(Node { raw, depth: self.depth }) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(within(&format!("[{index}]"), error)),
        }
    }
}

struct Object<'de> {
    members: std::vec::IntoIter<(Cow<'de, str>, &'de RawValue)>,
    value: Option<(Cow<'de, str>, &'de RawValue)>,
    depth: u8,
}

impl<'de> MapAccess<'de> for Object<'de> {
    type Error = Mistake;

    #[inline(never)]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mistake> {
        let Some((name, raw)) = self.members.next() else { return Ok(None) };
        let key = seed.deserialize(StrDeserializer::<Mistake>::new(&name));
        match key {
            Ok(key) => {
                self.value = Some((name, raw));
                Ok(Some(key))
            }
            Err(error) => Err(within(&name, error)),
        }
    }

    #[inline(never)]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let Some((name, raw)) = self.value.take() else {
            return Err(Mistake::new("", "a value without a name"));
        };
        let value = seed.deserialize(Node { raw, depth: self.depth });
        value.map_err(|error| within(&name, error))
    }
}

struct Variant<'de> {
    name: Cow<'de, str>,
    content: Option<Node<'de>>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Mistake;
    type Variant = Content<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content<'de>), Mistake> {
        let name = seed.deserialize(StrDeserializer::<Mistake>::new(&self.name))?;
        Ok((name, Content { name: self.name, content: self.content }))
    }
}

/// What a variant is about.
struct Content<'de> {
    name: Cow<'de, str>,
    content: Option<Node<'de>>,
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        match self.content {
            None => Ok(()),
            Some(_) => {
                Err(Mistake::new(self.name.into_owned(), "takes no value; write the name alone"))
            }
        }
    }

    #[inline(never)]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mistake> {
        match self.content {
            Some(content) => seed.deserialize(content).map_err(|error| within(&self.name, error)),
            None => {
                let message = format!("`{0}` needs a value: write {{ \"{0}\": ... }}", self.name);
                Err(Mistake::new("", message))
            }
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        self.struct_variant(&[], visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match self.content {
            Some(content) => {
                content.deserialize_any(visitor).map_err(|error| within(&self.name, error))
            }
            None => Err(Mistake::new("", format!("`{}` needs a value", self.name))),
        }
    }
}
