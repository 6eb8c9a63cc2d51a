//! Whether a document gives a key twice: two parsers may then read two documents.

use std::borrow::Cow;

use shared::json::{Document, Read, Reader, Stop};

/// Up to so many keys are compared with each other; more are sorted first.
const FEW: usize = 12;

/// The key that some object of a JSON document has twice, however deep; found in one pass. `None` also
/// for what is no JSON.
pub fn check(document: Document<'_>) -> Option<String> {
    document.parse::<Unique>().ok()?.0
}

/// The first key that was found twice.
struct Unique(Option<String>);

impl<'a> Read<'a> for Unique {
    fn read(from: &mut Reader<'a>) -> Result<Self, Stop> {
        let mut walk = Walk::default();
        walk.value(from)?;
        Ok(Unique(walk.twice))
    }
}

#[derive(Default)]
struct Walk<'a> {
    /// Those of the objects at hand, the innermost last.
    keys: Vec<Cow<'a, str>>,
    twice: Option<String>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, from: &mut Reader<'a>) -> Result<(), Stop> {
        match from.peek() {
            Some(b'{') => {
                let outer = self.keys.len();
                from.object(&mut |from, key| {
                    self.keys.push(key);
                    self.value(from)
                })?;
                let own = self.keys.get_mut(outer..).unwrap_or_default();
                if let (None, Some(key)) = (&self.twice, twice(own)) {
                    self.twice = Some(key.chars().take(64).collect());
                }
                self.keys.truncate(outer);
                Ok(())
            }
            Some(b'[') => from.array(&mut |from| self.value(from)),
            _ => from.skip(),
        }
    }
}

/// A key that is there twice.
fn twice<'k>(keys: &'k mut [Cow<'_, str>]) -> Option<&'k str> {
    if keys.len() > FEW {
        shared::sort::by(keys, |one, other| one < other);
        let mut pairs = keys.iter().zip(keys.iter().skip(1));
        return pairs.find(|(one, next)| one == next).map(|(one, _)| &**one);
    }
    let mut rest = &*keys;
    while let Some((first, others)) = rest.split_first() {
        if others.contains(first) {
            return Some(first);
        }
        rest = others;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_found_however_deep() {
        for (text, key) in [
            (r#"{"a":1,"b":[{"a":1},{"a":2}]}"#, None),
            (r#"{"a":1,"\u0061":2}"#, Some("a")),
            (r#"{"messages":[{"content":"x","role":"user","content":"y"}]}"#, Some("content")),
            (r#"{"a":{"b":{"c":1.5,"c":null}}}"#, Some("c")),
            (r#"{"a":[{"b":{}},{"b":[]}],"b":""}"#, None),
            ("not json", None),
            (r#"{"a":1,"a":2"#, None),
        ] {
            assert_eq!(check(text.into()).as_deref(), key, "{text}");
        }
    }

    #[test]
    fn many_keys_are_compared_as_few_are() {
        let keys = |count: usize| (0..count).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>();
        for count in [1, 2, FEW - 1, FEW, FEW + 1, 100_000] {
            let mut members = keys(count);
            assert_eq!(
                check(format!("{{{}}}", members.join(",")).as_str().into()),
                None,
                "{count}"
            );
            members.push("\"\\u006b0\":1".into());
            assert_eq!(
                check(format!("{{{}}}", members.join(",")).as_str().into()).as_deref(),
                Some("k0"),
                "{count}"
            );
        }
    }
}
