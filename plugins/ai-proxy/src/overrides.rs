//! Changes that a configuration makes to the members of a request's JSON object. What is not named
//! stays as it stands, to the byte.

use shared::small_map::SmallMap;
use std::ops::Range;

use serde_json::Value;
use serde_json::value::RawValue;
use shared::config::Setting;
use shared::json::{JsonStr, text_of};

/// What is changed of a request's body.
#[derive(Clone, Debug, Default, PartialEq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// Members that get this value, whatever the client has sent.
    #[serde(default)]
    pub set: SmallMap<String, Value>,
    /// Members that get this value if the client has sent none.
    #[serde(default)]
    pub default: SmallMap<String, Value>,
    /// Members that are taken away.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// A change of a text: what stands in the range becomes this.
pub type Edit = (Range<usize>, String);

impl Overrides {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.default.is_empty() && self.remove.is_empty()
    }

    /// Whether `other` is to have the last word over this.
    pub fn and(&self, other: &Overrides) -> Overrides {
        let mut both = self.clone();
        for name in &other.remove {
            both.set.remove(name);
            both.default.remove(name);
        }
        both.remove.extend(other.remove.iter().cloned());
        // What this takes away the client has not sent, so that a default of the other's is its value.
        let gone = |name: &String| self.remove.contains(name) && !self.set.contains_key(name);
        for (name, value) in other.default.iter().filter(|(name, _)| gone(name)) {
            both.set.insert(name.clone(), value.clone());
        }
        both.set.extend(other.set.clone());
        both.default.extend(other.default.clone());
        both.remove.retain(|name| !both.set.contains_key(name));
        both
    }

    /// The changes to `text`, a JSON object, in order. Empty if it is none.
    pub fn edits(&self, text: &str) -> Vec<Edit> {
        if self.is_empty() {
            return Vec::new();
        }
        let Some(members) = members(text) else { return Vec::new() };
        let gone = |m: &Member| self.remove.contains(&m.name) && !self.set.contains_key(&m.name);
        let last_kept = members.iter().rposition(|member| !gone(member));
        let mut edits: Vec<Edit> = Vec::new();
        let added = self.added(&members);
        if !added.is_empty()
            && let Some(at) = text.find('{')
        {
            let comma = if last_kept.is_some() { "," } else { "" };
            edits.push((at + 1..at + 1, added.join(",") + comma));
        }
        for (index, member) in members.iter().enumerate() {
            if last_kept.is_none_or(|last| index > last) {
                // All that follow go too, with the comma before them.
                let kept = last_kept.and_then(|last| members.get(last));
                let end = members.last().map_or(member.value.end, |last| last.value.end);
                edits.push((kept.map_or(member.key, |kept| kept.value.end)..end, String::new()));
                break;
            }
            if gone(member) {
                // With the comma that follows.
                let next = members.get(index + 1).map_or(member.value.end, |next| next.key);
                edits.push((member.key..next, String::new()));
            } else if let Some(value) = self.set.get(&member.name) {
                edits.push((member.value.clone(), text_of(value)));
            } else if let Some(value) = self.default.get(&member.name).filter(|_| member.null) {
                edits.push((member.value.clone(), text_of(value)));
            }
        }
        edits
    }

    /// The members that the object has not got yet.
    fn added(&self, members: &[Member]) -> Vec<String> {
        let missing = |name: &str| !members.iter().any(|member| member.name == name);
        let default = self.default.iter().filter(|(name, _)| !self.set.contains_key(*name));
        let both = self.set.iter().chain(default).filter(|(name, _)| missing(name));
        both.map(|(name, value)| [JsonStr::encode(name).quoted(), ":", &text_of(value)].concat())
            .collect()
    }
}

/// Where `part`, which was borrowed from `text`, stands in it.
pub fn place(part: &str, text: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= text.len()).then_some(start..end)
}

/// A text with some edits made, which are in order and do not overlap.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for (range, with) in edits {
        out.push_str(text.get(done..range.start).unwrap_or_default());
        out.push_str(with);
        done = range.end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

struct Member {
    name: String,
    /// Where its key begins.
    key: usize,
    value: Range<usize>,
    null: bool,
}

/// The members of an object, in order.
fn members(text: &str) -> Option<Vec<Member>> {
    let fields = shared::json::fields(text).ok()?;
    let start = text.as_ptr() as usize;
    let mut members = Vec::with_capacity(fields.len());
    let mut from = text.find('{')? + 1;
    for (name, value) in fields {
        let value: &RawValue = value;
        let at = (value.get().as_ptr() as usize).checked_sub(start)?;
        let key = from + text.get(from..at)?.find('"')?;
        let end = at + value.get().len();
        let null = value.get() == "null";
        members.push(Member { name: name.into_owned(), key, value: at..end, null });
        from = end;
    }
    Some(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(json: &str) -> Overrides {
        shared::config::document(json).unwrap()
    }

    fn edited(json: &str, text: &str) -> String {
        let out = apply(text, &overrides(json).edits(text));
        if !out.is_empty() {
            serde_json::from_str::<Value>(&out).unwrap();
        }
        out
    }

    #[test]
    fn what_is_not_named_stays_to_the_byte() {
        let text = r#" { "a" : 1.50, "b":[ ] ,"c":{"a":2}}"#;
        for (json, out) in [
            ("{}", text),
            (r#"{"set":{"b":3}}"#, r#" { "a" : 1.50, "b":3 ,"c":{"a":2}}"#),
            (r#"{"set":{"d":"x"}}"#, r#" {"d":"x", "a" : 1.50, "b":[ ] ,"c":{"a":2}}"#),
            (r#"{"default":{"a":7,"d":true}}"#, r#" {"d":true, "a" : 1.50, "b":[ ] ,"c":{"a":2}}"#),
            (r#"{"remove":["a"]}"#, r#" { "b":[ ] ,"c":{"a":2}}"#),
            (r#"{"remove":["c","x"]}"#, r#" { "a" : 1.50, "b":[ ]}"#),
            (r#"{"remove":["b","c"]}"#, r#" { "a" : 1.50}"#),
            (r#"{"remove":["a","b","c"]}"#, r#" { }"#),
            (r#"{"remove":["a","b","c"],"set":{"d":1}}"#, r#" {"d":1 }"#),
            (r#"{"remove":["a"],"set":{"a":1}}"#, r#" { "a" : 1, "b":[ ] ,"c":{"a":2}}"#),
        ] {
            assert_eq!(edited(json, text), out, "{json}");
        }
    }

    #[test]
    fn an_empty_object_and_odd_ones() {
        assert_eq!(edited(r#"{"set":{"d":1}}"#, "{}"), r#"{"d":1}"#);
        assert_eq!(edited(r#"{"remove":["d"]}"#, r#"{"d":"}"}"#), "{}");
        assert_eq!(edited(r#"{"set":{"a\"b":1}}"#, r#"{"a\u0022b":2}"#), r#"{"a\u0022b":1}"#);
        assert!(overrides(r#"{"set":{"d":1}}"#).edits("[]").is_empty());
        assert!(overrides(r#"{"set":{"d":1}}"#).edits("").is_empty());
    }

    #[test]
    fn the_second_has_the_last_word() {
        let one = overrides(r#"{"set":{"a":1},"remove":["b"],"default":{"c":1}}"#);
        let both = one.and(&overrides(r#"{"set":{"a":2,"b":3}}"#));
        assert_eq!(apply("{}", &both.edits("{}")), r#"{"a":2,"b":3,"c":1}"#);
        let both = one.and(&overrides(r#"{"remove":["a","c"],"default":{"b":4}}"#));
        for (text, out) in [("{}", r#"{"b":4}"#), (r#"{"a":5,"b":6,"c":7}"#, r#"{"b":4}"#)] {
            assert_eq!(apply(text, &both.edits(text)), out);
        }
    }
}
