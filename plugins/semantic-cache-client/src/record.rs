//! What is kept of an answer: a line of facts about it, then the answer as its API has it whole.
//!
//! A stream is put together before it is kept, and taken apart again where one is asked for, so the
//! form in which an answer came does not matter.

use serde::{Deserialize, Serialize};

use crate::key::Key;

/// The form of entries; one of another form is as good as none.
const FORM: u32 = 1;

/// An answer that is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What is known of it.
    pub head: Head,
    /// The answer, JSON.
    pub body: Vec<u8>,
}

/// What is known of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The form.
    #[serde(rename = "v")]
    pub(crate) form: u32,
    /// Its name, in hexadecimal digits.
    #[serde(rename = "k")]
    pub(crate) key: String,
    /// Whose it is.
    #[serde(rename = "t")]
    pub tenant: String,
    /// The consumer that asked.
    #[serde(rename = "n")]
    pub consumer: String,
    /// Its end user.
    #[serde(rename = "u")]
    pub user: String,
    /// When it came, in seconds since the Unix epoch.
    #[serde(rename = "c")]
    pub created: u64,
    /// Until when it is used.
    #[serde(rename = "x")]
    pub expires: u64,
    /// Until when it is kept, to be served when providers fail.
    #[serde(rename = "z")]
    pub stale_until: u64,
    /// The question, where it can be compared with others.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The name of all but the question.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// The model that answered.
    #[serde(rename = "m")]
    pub model: String,
    /// Tokens of the prompt.
    #[serde(rename = "i")]
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    #[serde(rename = "o")]
    pub completion_tokens: u64,
    /// What it cost, in billionths of a US dollar.
    #[serde(rename = "d")]
    pub cost: u64,
}

/// How fresh an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It can be used.
    Fresh,
    /// Only if there is nothing better.
    Stale,
    /// Not any more.
    Dead,
}

impl Entry {
    /// An entry of this name.
    pub fn new(key: &Key, head: Head, body: Vec<u8>) -> Entry {
        Entry { head: Head { form: FORM, key: key.hex(), ..head }, body }
    }

    /// Its bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut out = serde_json::to_vec(&self.head).unwrap_or_default();
        out.push(b'\n');
        out.extend_from_slice(&self.body);
        out
    }

    /// Reads bytes; `None` if they are no entry of this form.
    pub fn read(mut bytes: Vec<u8>) -> Option<Entry> {
        let line = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: Head = shared::json::from_bytes(bytes.get(..line)?).ok()?;
        if head.form != FORM {
            return None;
        }
        bytes.drain(..=line);
        Some(Entry { head, body: bytes })
    }

    /// Whether it is the one of this name.
    pub fn is(&self, key: &Key) -> bool {
        self.head.key == key.hex()
    }

    /// Its name.
    pub fn key(&self) -> Option<Key> {
        Key::of_hex(&self.head.key)
    }

    /// How fresh it is at this second.
    pub fn age(&self, now: u64) -> Age {
        if now < self.head.expires {
            Age::Fresh
        } else if now < self.head.stale_until {
            Age::Stale
        } else {
            Age::Dead
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let key = Key::of("x");
        let head =
            Head { expires: 10, stale_until: 20, question: Some("a\nb".into()), ..Head::default() };
        let entry = Entry::new(&key, head, b"{\n}".to_vec());
        let read = Entry::read(entry.write()).unwrap();
        assert_eq!(read, entry);
        assert!(read.is(&key) && !read.is(&Key::of("y")));
        assert_eq!(
            [9, 10, 19, 20].map(|now| read.age(now)),
            [Age::Fresh, Age::Stale, Age::Stale, Age::Dead]
        );
    }

    #[test]
    fn what_is_no_entry_is_not_read() {
        let other =
            String::from_utf8(Entry::new(&Key::of("x"), Head::default(), Vec::new()).write());
        let other = other.unwrap().replace("\"v\":1", "\"v\":2");
        for bytes in [b"".as_slice(), b"{}\n", b"{}", b"\n\n", other.as_bytes(), b"\xff\n"] {
            assert_eq!(Entry::read(bytes.to_vec()), None);
        }
    }
}
