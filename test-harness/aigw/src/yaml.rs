//! A tree of values that keeps the order in which it was written, and is written with comments.

use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Yaml {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Yaml>),
    /// Members, in order.
    Map(Map),
}

/// Members of a mapping, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(Vec<Member>);

#[derive(Clone, Debug, PartialEq)]
struct Member {
    comment: Option<String>,
    key: String,
    value: Yaml,
}

impl Map {
    /// No members.
    pub fn new() -> Map {
        Map::default()
    }

    /// With a further member, or another value for one.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Yaml>) -> Map {
        self.set(key, value);
        self
    }

    /// With a further member that has a comment above it.
    #[must_use]
    pub fn why(mut self, comment: &str, key: &str, value: impl Into<Yaml>) -> Map {
        self.set(key, value);
        if let Some(member) = self.0.iter_mut().find(|member| member.key == key) {
            member.comment = Some(comment.to_owned());
        }
        self
    }

    /// With a member if there is a value for it.
    #[must_use]
    pub fn maybe(self, key: &str, value: Option<impl Into<Yaml>>) -> Map {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Sets a member.
    pub fn set(&mut self, key: &str, value: impl Into<Yaml>) {
        let value = value.into();
        match self.0.iter_mut().find(|member| member.key == key) {
            Some(member) => member.value = value,
            None => self.0.push(Member { comment: None, key: key.to_owned(), value }),
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|member| member.key != key);
    }

    /// A member's value.
    pub fn get(&self, key: &str) -> Option<&Yaml> {
        self.0.iter().find(|member| member.key == key).map(|member| &member.value)
    }

    /// A member's value, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Yaml> {
        self.0.iter_mut().find(|member| member.key == key).map(|member| &mut member.value)
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Yaml)> {
        self.0.iter().map(|member| (member.key.as_str(), &member.value))
    }

    /// All members, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = (&str, &mut Yaml)> {
        self.0.iter_mut().map(|member| (member.key.as_str(), &mut member.value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Yaml {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Yaml::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The list's items; none if it is no list.
    pub fn items(&self) -> &[Yaml] {
        match self {
            Yaml::List(items) => items,
            _ => &[],
        }
    }

    /// A member of a mapping.
    pub fn get(&self, key: &str) -> Option<&Yaml> {
        match self {
            Yaml::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// What is found by going down these members.
    pub fn at(&self, path: &[&str]) -> Option<&Yaml> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// What stands at a place as mistakes name it: `providers[1].api_key`.
    pub fn find(&self, path: &str) -> Option<&Yaml> {
        path.split(['.', '[']).filter(|part| !part.is_empty()).try_fold(self, |value, part| {
            match part.strip_suffix(']') {
                Some(index) => value.items().get(index.parse::<usize>().ok()?),
                None => value.get(part),
            }
        })
    }

    /// The number, if it is a whole one.
    pub fn int(&self) -> Option<i64> {
        match self {
            Yaml::Int(value) => Some(*value),
            // Envoy's dump has 64-bit numbers as texts.
            Yaml::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// As JSON, in lines, in the order it was written.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Calls `see` with every value, this one first.
    pub fn walk<'a>(&'a self, see: &mut dyn FnMut(&'a Yaml)) {
        see(self);
        match self {
            Yaml::List(items) => items.iter().for_each(|item| item.walk(see)),
            Yaml::Map(map) => map.iter().for_each(|(_, value)| value.walk(see)),
            _ => (),
        }
    }

    /// Calls `change` with every text.
    pub fn change_texts(&mut self, change: &dyn Fn(&mut String)) {
        match self {
            Yaml::Text(text) => change(text),
            Yaml::List(items) => items.iter_mut().for_each(|item| item.change_texts(change)),
            Yaml::Map(map) => map.values_mut().for_each(|(_, value)| value.change_texts(change)),
            _ => (),
        }
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Yaml {
        Yaml::Text(text.to_owned())
    }
}
impl From<String> for Yaml {
    fn from(text: String) -> Yaml {
        Yaml::Text(text)
    }
}
impl From<bool> for Yaml {
    fn from(value: bool) -> Yaml {
        Yaml::Bool(value)
    }
}
impl From<i64> for Yaml {
    fn from(value: i64) -> Yaml {
        Yaml::Int(value)
    }
}
impl From<Map> for Yaml {
    fn from(map: Map) -> Yaml {
        Yaml::Map(map)
    }
}
impl<T: Into<Yaml>> From<Vec<T>> for Yaml {
    fn from(items: Vec<T>) -> Yaml {
        Yaml::List(items.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Yaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        block(self, 0, &mut out);
        f.write_str(out.trim_start_matches('\n'))
    }
}

/// Writes a value that follows a key or a dash.
fn block(value: &Yaml, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Yaml::Map(map) if !map.is_empty() => {
            for member in &map.0 {
                out.push('\n');
                for line in member.comment.iter().flat_map(|comment| comment.lines()) {
                    let _ = writeln!(out, "{indent}# {line}");
                }
                let _ = write!(out, "{indent}{}:", scalar(&member.key));

                block(&member.value, depth + 1, out);
            }
        }
        Yaml::List(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(out, "\n{indent}-");
                let mut inner = String::new();
                block(item, depth + 1, &mut inner);
                match item {
                    // The first member stands beside the dash, unless it has a comment.
                    Yaml::Map(map)
                        if map.0.first().is_some_and(|first| first.comment.is_none()) =>
                    {
                        out.push(' ');
                        out.push_str(inner.trim_start());
                    }
                    _ => out.push_str(&inner),
                }
            }
        }
        Yaml::Text(text)
            if text.contains('\n') && !text.starts_with([' ', '\n']) && !text.ends_with("\n\n") =>
        {
            // What ends without a line break says so.
            out.push_str(if text.ends_with('\n') { " |" } else { " |-" });
            for line in text.trim_end_matches('\n').lines() {
                out.push('\n');
                if !line.is_empty() {
                    let _ = write!(out, "{indent}{line}");
                }
            }
        }
        other => {
            out.push(' ');
            out.push_str(&flow(other));
        }
    }
}

/// A value in one line.
fn flow(value: &Yaml) -> String {
    match value {
        Yaml::Null => "null".into(),
        Yaml::Bool(value) => value.to_string(),
        Yaml::Int(value) => value.to_string(),
        Yaml::Float(value) => serde_json::to_string(value).unwrap_or_default(),
        Yaml::Text(text) => scalar(text),
        Yaml::List(_) => "[]".into(),
        Yaml::Map(_) => "{}".into(),
    }
}

/// A text, in quotes where it would be read as something else without.
fn scalar(text: &str) -> String {
    let first = text.chars().next();
    let plain = first
        .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '$' | '_' | '.'))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "/$_.-+:@|=() ".contains(c))
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !text.contains(" #")
        && text.parse::<f64>().is_err()
        && !first.is_some_and(|c| c.is_ascii_digit() && text.contains(':'))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | "~"
        );
    if plain { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}

impl Serialize for Yaml {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Yaml::Null => serializer.serialize_unit(),
            Yaml::Bool(value) => serializer.serialize_bool(*value),
            Yaml::Int(value) => serializer.serialize_i64(*value),
            Yaml::Float(value) => serializer.serialize_f64(*value),
            Yaml::Text(text) => serializer.serialize_str(text),
            Yaml::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Yaml::Map(map) => {
                let mut members = serializer.serialize_map(Some(map.0.len()))?;
                for (key, value) in map.iter() {
                    members.serialize_entry(key, value)?;
                }
                members.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Yaml, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Yaml;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Yaml, E> {
                Ok(Yaml::Null)
            }
            fn visit_none<E>(self) -> Result<Yaml, E> {
                Ok(Yaml::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Yaml, D::Error> {
                Yaml::deserialize(inner)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
                Ok(Yaml::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
                Ok(Yaml::Int(value))
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Yaml, E> {
                i64::try_from(value)
                    .map(Yaml::Int)
                    .map_err(|_| E::custom("the number is too large"))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
                Ok(Yaml::Float(value))
            }
            fn visit_str<E>(self, text: &str) -> Result<Yaml, E> {
                Ok(Yaml::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Yaml, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Yaml::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Yaml, A::Error> {
                let mut map = Map::new();
                while let Some((key, value)) = members.next_entry::<String, Yaml>()? {
                    if map.get(&key).is_some() {
                        return Err(A::Error::custom(format!("`{key}` is there twice")));
                    }
                    map.set(&key, value);
                }
                Ok(Yaml::Map(map))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_what_it_was() {
        let value: Yaml = Map::new()
            .with("name", "a: b")
            .with("port", 9001)
            .with("yes", "yes")
            .with("number", "007")
            .with("empty", Vec::<Yaml>::new())
            .with("lines", "{\n  \"a\": 1\n}\n")
            .with("no end", "a\nb")
            .with(
                "list",
                vec![Yaml::from(Map::new().with("x", 1).with("y", vec!["z", "*"])), Yaml::Null],
            )
            .with("nested", vec![Yaml::from(vec![1, 2]), Map::new().why("why", "k", true).into()])
            .with("float", Yaml::Float(0.5))
            .into();
        let text = value.to_string();
        let read: Yaml =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        // Comments are not read.
        assert_eq!(read.json(), value.json(), "{text}");
        assert!(text.contains("# why"), "{text}");
    }
}
