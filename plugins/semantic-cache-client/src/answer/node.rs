//! What is looked at of an answer to tell whether it may be kept.

use std::borrow::Cow;

use serde_json::value::RawValue;
use shared::json::{Document, JsonStr, Read, parse};

/// An object of a document. Of members that are there twice the last counts.
#[derive(Debug)]
pub(super) struct Node<'a> {
    document: Document<'a>,
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Node<'a> {
    /// If it is an object.
    pub(super) fn of(document: Document<'a>) -> Option<Node<'a>> {
        Some(Node { document, members: document.fields().ok()? })
    }

    /// A member, be it `null`.
    #[inline(never)]
    pub(super) fn member(&self, key: &str) -> Option<&'a RawValue> {
        self.members.iter().rfind(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// Whether a member is there, be it `null`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.member(key).is_some()
    }

    /// Whether a member says something: it is there, not `null` and no empty text.
    pub(super) fn says(&self, key: &str) -> bool {
        self.member(key).is_some_and(|value| !matches!(value.get(), "null" | "\"\""))
    }

    /// Whether a text is there, and not empty.
    pub(super) fn has_text(&self, key: &str) -> bool {
        self.member(key).is_some_and(|value| value.get().starts_with('"') && value.get() != "\"\"")
    }

    /// A text that is there, empty if there is none.
    #[inline(never)]
    pub(super) fn text(&self, key: &str) -> Cow<'a, str> {
        let value = self.member(key).map(RawValue::get).unwrap_or_default();
        match value.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(text) if text.contains('\\') => match parse::<JsonStr<'_>>(value) {
                Ok(text) => Cow::Owned(text.decode().into_owned()),
                Err(_) => Cow::Borrowed(""),
            },
            Some(text) => Cow::Borrowed(text),
            None => Cow::Borrowed(""),
        }
    }

    /// An object.
    pub(super) fn object(&self, key: &str) -> Option<Node<'a>> {
        Node::of(self.document.value(self.member(key)?))
    }

    /// The objects of a list, none if there is none.
    #[inline(never)]
    pub(super) fn list(&self, key: &str) -> Vec<Node<'a>> {
        let items = self.read::<Vec<&RawValue>>(key).unwrap_or_default();
        items.into_iter().filter_map(|item| Node::of(self.document.value(item))).collect()
    }

    fn read<T: Read<'a>>(&self, key: &str) -> Option<T> {
        self.document.value(self.member(key)?).read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_what_they_say() {
        let text =
            r#"{"a":"first","a":"st\u006fp","e":"","n":null,"l":[1,{"x":"y"},"z"],"o":{"i":[]}}"#;
        let node = Node::of(text.into()).unwrap();
        assert_eq!(node.text("a"), "stop", "the last of two, its escapes decoded");
        for absent in ["e", "n", "l", "none"] {
            assert_eq!(node.text(absent), "", "{absent}");
            assert!(!node.has_text(absent), "{absent}");
        }
        assert!(node.has("n") && !node.has("none"));
        assert!(node.says("a") && node.says("l") && !node.says("n") && !node.says("e"));
        let objects = node.list("l");
        assert_eq!(objects.len(), 1);
        assert_eq!(objects[0].text("x"), "y");
        assert!(node.object("o").is_some_and(|inner| inner.list("i").is_empty()));
        assert!(node.object("l").is_none() && node.list("o").is_empty());
        assert!(Node::of("[]".into()).is_none() && Node::of("{".into()).is_none());
    }
}
