//! The values of configurations, with the exact place of a mistake.
//!
//! What a value is, is found out once for all types that are read; `setting.rs` has what differs.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

use super::ConfigError;
use crate::json::{self, fields};

/// Deepest nesting of a configuration.
const MAX_DEPTH: u8 = 64;

/// A [`ConfigError`] on its way: one word, because every function here has a way out for it.
#[derive(Debug)]
pub struct Mistake(Box<ConfigError>);

impl Mistake {
    /// A mistake in the value that is read.
    pub fn here(message: String) -> Mistake {
        Mistake::new("", message)
    }

    #[inline(never)]
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Mistake {
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
#[derive(Clone, Copy, Debug)]
pub struct Node<'de> {
    pub(super) raw: &'de RawValue,
    pub(super) depth: u8,
}

/// What a value is.
pub(super) enum Kind<'de> {
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

    /// Whether it is `null`.
    pub(super) fn is_null(&self) -> bool {
        self.raw.get() == "null"
    }

    #[inline(never)]
    pub(super) fn kind(self) -> Result<Kind<'de>, Mistake> {
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
                Kind::List(List { items: items.into_iter(), depth })
            }
            Some(b'{') => {
                let members = fields(text).map_err(bad)?;
                Kind::Object(Object { members: members.into_iter(), depth })
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
    pub(super) fn object(self) -> Result<Option<Object<'de>>, Mistake> {
        Ok(match self.kind()? {
            Kind::Object(object) => Some(object),
            _ => None,
        })
    }

    /// A list. APISIX turns an empty one into `{}`.
    #[inline(never)]
    pub(super) fn list(self) -> Result<Option<List<'de>>, Mistake> {
        Ok(match self.kind()? {
            Kind::List(list) => Some(list),
            Kind::Object(object) if object.members.len() == 0 => {
                Some(List { items: Vec::new().into_iter(), depth: 0 })
            }
            _ => None,
        })
    }

    /// A name, or an object of one name and what it is about.
    #[inline(never)]
    pub(super) fn variant(self) -> Result<Option<Named<'de>>, Mistake> {
        Ok(match self.kind()? {
            Kind::Text(name) => Some((name, None)),
            Kind::Object(mut object) if object.members.len() == 1 => {
                let depth = object.depth;
                object.members.next().map(|(name, raw)| (name, Some(Node { raw, depth })))
            }
            _ => None,
        })
    }

    /// Whether it is a list, or what APISIX makes of an empty one.
    pub fn is_list(&self) -> bool {
        matches!(self.list(), Ok(Some(_)))
    }

    /// Whether it is a text.
    pub fn is_text(&self) -> bool {
        self.raw.get().starts_with('"')
    }

    /// A text.
    ///
    /// # Errors
    /// It is something else; `expected` says what should have been there.
    #[inline(never)]
    pub fn text(&self, expected: &str) -> Result<Cow<'de, str>, Mistake> {
        match self.kind()? {
            Kind::Text(text) => Ok(text),
            _ => Err(self.unexpected(expected)),
        }
    }

    #[inline(never)]
    pub(super) fn bool(&self) -> Result<bool, Mistake> {
        match self.kind()? {
            Kind::Bool(value) => Ok(value),
            _ => Err(self.unexpected("a boolean")),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// As [`Node::text`].
    #[inline(never)]
    #[allow(clippy::cast_precision_loss)]
    pub fn number(&self, expected: &str) -> Result<f64, Mistake> {
        match self.kind()? {
            Kind::Unsigned(number) => Ok(number as f64),
            Kind::Signed(number) => Ok(number as f64),
            Kind::Float(number) => Ok(number),
            _ => Err(self.unexpected(expected)),
        }
    }

    /// A whole number up to `most`.
    #[inline(never)]
    pub(super) fn integer(&self, expected: &str, most: u64) -> Result<u64, Mistake> {
        match self.kind()? {
            Kind::Unsigned(number) if number <= most => Ok(number),
            Kind::Unsigned(_) | Kind::Signed(_) => {
                let message = format!("invalid value: {}, expected {expected}", self.raw.get());
                Err(Mistake::new("", message))
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// Says what was found where something else was expected. Never quotes a text.
    #[inline(never)]
    pub(super) fn unexpected(&self, expected: &str) -> Mistake {
        let found = json::kind(self.raw.get());
        Mistake::new("", format!("invalid type: {found}, expected {expected}"))
    }
}

/// For the words that serde has for what is missing or not known.
impl serde::de::Error for Mistake {
    #[inline(never)]
    fn custom<T: fmt::Display>(message: T) -> Mistake {
        Mistake::new("", message.to_string())
    }
}

/// The place of a member, before a place within it.
#[inline(never)]
pub(super) fn within(name: &str, mut mistake: Mistake) -> Mistake {
    let path = &mut mistake.0.path;
    let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
    *path = format!("{name}{dot}{path}");
    mistake
}

/// A name, and what it is about.
type Named<'a> = (Cow<'a, str>, Option<Node<'a>>);

/// A list's items.
pub(super) struct List<'a> {
    pub(super) items: std::vec::IntoIter<&'a RawValue>,
    pub(super) depth: u8,
}

/// An object's members.
pub(super) struct Object<'a> {
    pub(super) members: std::vec::IntoIter<(Cow<'a, str>, &'a RawValue)>,
    pub(super) depth: u8,
}
