//! Events of a stream that are all alike but for one string.
//!
//! A model's answer comes in hundreds of events that have the same members, ids and model in them and only
//! another word. Once one of them has been read, the others need only be compared with it.

use serde_json::value::RawValue;

use crate::json;

/// The event that was read, and what was learned from it.
#[derive(Debug)]
pub struct Follow<T> {
    before: String,
    after: String,
    learned: Option<T>,
    /// Events learned since one was followed.
    in_vain: u8,
}

/// After so many that were learned in vain nothing more is: there are streams in which every event has a
/// number or padding of its own.
const MOST_IN_VAIN: u8 = 32;

/// What an event says, while it is read.
#[derive(Clone, Copy, Debug, Default)]
pub enum Said<T> {
    /// Nothing so far.
    #[default]
    Nothing,
    /// One string: its address and length in memory, and what it is.
    Once(usize, usize, T),
    /// Something else, or more.
    More,
}

impl<T> Said<T> {
    /// It says this string, between its quotes.
    pub fn add(&mut self, string: &str, what: T) {
        *self = match self {
            Said::Nothing => Said::Once(string.as_ptr() as usize, string.len(), what),
            Said::Once(..) | Said::More => Said::More,
        };
    }
}

impl<T> Default for Follow<T> {
    fn default() -> Follow<T> {
        Follow { before: String::new(), after: String::new(), learned: None, in_vain: 0 }
    }
}

impl<T: Copy> Follow<T> {
    /// What was learned, and the one string of this event (between its quotes, as it stands in JSON), if the
    /// event is like the one that was read. Strings with escapes are not followed.
    pub fn next<'a>(&mut self, data: &'a str) -> Option<(T, &'a str)> {
        let (learned, string) = self.compared(data)?;
        self.in_vain = 0;
        Some((learned, string))
    }

    fn compared<'a>(&self, data: &'a str) -> Option<(T, &'a str)> {
        let learned = self.learned?;
        let end = data.len().checked_sub(self.after.len())?;
        let string = data.get(self.before.len()..end)?;
        let same = same(data.get(..self.before.len())?.as_bytes(), self.before.as_bytes())
            && same(data.get(end..)?.as_bytes(), self.after.as_bytes());
        // A quote in it would end it, and then it is another event.
        (same && json::is_plain(string)).then_some((learned, string))
    }

    /// Remembers an event by what was learned from it. `string`, between its quotes, is borrowed from it; one
    /// that is not is not remembered.
    pub fn learn(&mut self, data: &str, string: &str, what: T) {
        self.learned = None;
        if self.in_vain == MOST_IN_VAIN {
            return;
        }
        let Some(start) = (string.as_ptr() as usize).checked_sub(data.as_ptr() as usize) else {
            return;
        };
        let (Some(before), Some(after)) =
            (data.get(..start), start.checked_add(string.len()).and_then(|end| data.get(end..)))
        else {
            return;
        };
        if before.ends_with('"') && after.starts_with('"') {
            self.before.clear();
            self.before.push_str(before);
            self.after.clear();
            self.after.push_str(after);
            self.learned = Some(what);
            self.in_vain += 1;
        }
    }

    /// The same with the string as a value of the event's document, unless it is empty.
    pub fn next_value<'a>(&mut self, data: &'a str) -> Option<(T, Option<&'a RawValue>)> {
        let (learned, string) = self.next(data)?;
        if string.is_empty() {
            return Some((learned, None));
        }
        let start = (string.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        let quoted = data.get(start.checked_sub(1)?..start + string.len() + 1)?;
        Some((learned, Some(json::known(quoted)?)))
    }

    /// Remembers an event that said one string, and forgets what was learned if it was more or less.
    pub fn learn_said(&mut self, data: &str, said: Said<T>) {
        let string = match said {
            Said::Once(address, length, what) => address
                .checked_sub(data.as_ptr() as usize)
                .and_then(|start| data.get(start..start.checked_add(length)?))
                .map(|string| (string, what)),
            Said::Nothing | Said::More => None,
        };
        match string {
            Some((string, what)) => self.learn(data, string, what),
            None => self.forget(),
        }
    }

    /// The event that was read, with another string.
    pub fn with(&self, string: &str) -> String {
        [self.before.as_str(), string, self.after.as_str()].concat()
    }

    /// The next events may be others.
    pub fn forget(&mut self) {
        self.learned = None;
    }
}

/// Whether two texts are the same, eight bytes at a time. Wasm has no instruction for it, and what stands in
/// for it in `==` takes one byte at a time.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let (eights, rest) = one.as_chunks::<8>();
    let (others, other_rest) = other.as_chunks::<8>();
    eights.len() == others.len()
        && eights.iter().zip(others).all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b))
        && rest == other_rest
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn learned() -> Follow<u8> {
        let data = r#"{"id":"x","text":"one","n":1}"#;
        let mut follow = Follow::default();
        follow.learn(data, data.get(18..21).unwrap(), 7);
        follow
    }

    #[test]
    fn an_event_that_differs_in_its_string_only_is_followed() {
        let mut follow = learned();
        for text in ["two", "", " a longer é 世界 one"] {
            let data = format!(r#"{{"id":"x","text":"{text}","n":1}}"#);
            assert_eq!(follow.next(&data), Some((7, text)), "{text}");
            assert_eq!(follow.with(text), data);
        }
    }

    #[test]
    fn what_differs_elsewhere_or_is_no_plain_string_is_not_followed() {
        let mut follow = learned();
        for data in [
            r#"{"id":"y","text":"one","n":1}"#,
            r#"{"id":"x","text":"one","n":2}"#,
            r#"{"id":"x","text":"one","n":1} "#,
            r#"{"id":"x","text":"a\nb","n":1}"#,
            r#"{"id":"x","text":"a","z":"b","n":1}"#,
            r#"{"id":"x","text":""#,
            r#"{"id":"x","text":","n":1}"#,
            "{\"id\":\"x\",\"text\":\"a\nb\",\"n\":1}",
            "",
            "[DONE]",
        ] {
            assert_eq!(follow.next(data), None, "{data}");
        }
    }

    #[test]
    fn texts_are_the_same_only_to_the_last_byte() {
        for length in 0..40 {
            let text = vec![b'a'; length];
            assert!(same(&text, &text));
            assert!(!same(&text, &vec![b'a'; length + 1]));
            for at in 0..length {
                let mut other = text.clone();
                other[at] = b'b';
                assert!(!same(&text, &other), "{length} {at}");
            }
        }
    }

    #[test]
    fn only_an_event_that_says_one_string_is_learned() {
        let data = r#"{"a":"one","b":"two"}"#;
        let (one, two) = (data.get(6..9).unwrap(), data.get(16..19).unwrap());
        for (says, followed) in [(vec![], false), (vec![one], true), (vec![one, two], false)] {
            let (mut follow, mut said) = (Follow::default(), Said::default());
            says.iter().for_each(|string| said.add(string, 1));
            follow.learn_said(data, said);
            let other = r#"{"a":"three","b":"two"}"#;
            let value =
                follow.next_value(other).map(|(what, value)| (what, value.map(RawValue::get)));
            assert_eq!(value, followed.then_some((1, Some("\"three\""))), "{says:?}");
        }
    }

    #[test]
    fn events_that_are_never_alike_are_learned_for_a_while_only() {
        let mut follow = Follow::default();
        let data = |n: usize| format!(r#"{{"text":"a","n":{n}}}"#);
        for n in 0..usize::from(MOST_IN_VAIN) {
            let data = data(n);
            assert_eq!(follow.next(&data), None);
            follow.learn(&data, data.get(9..10).unwrap(), 1);
        }
        assert_eq!(follow.next(&data(usize::from(MOST_IN_VAIN) - 1)), Some((1, "a")));
        for n in 0..=usize::from(MOST_IN_VAIN) {
            let data = data(n);
            follow.learn(&data, data.get(9..10).unwrap(), 1);
        }
        assert_eq!(follow.next(&data(usize::from(MOST_IN_VAIN))), None);
    }

    #[test]
    fn what_was_not_learned_or_is_forgotten_is_not_followed() {
        let data = r#"{"text":"one"}"#;
        let mut follow = learned();
        follow.forget();
        assert_eq!(follow.next(r#"{"id":"x","text":"one","n":1}"#), None);
        follow.learn(data, "one", 1);
        assert_eq!(follow.next(data), None, "borrowed from elsewhere");
        follow.learn(data, data.get(2..6).unwrap(), 1);
        assert_eq!(follow.next(r#"{"tint":"one"}"#), Some((1, "tint")));
        follow.learn(data, data.get(9..11).unwrap(), 1);
        assert_eq!(follow.next(data), None, "not a whole string");
    }
}
