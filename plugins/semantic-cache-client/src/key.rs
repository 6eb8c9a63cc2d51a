//! Names of entries: SHA-256 over all that may change an answer, so that no two requests that differ in
//! any of it ever meet.

use std::cell::RefCell;

use sha2::{Digest, Sha256};
use shared::small_map::SmallMap;

/// The form of names; another one makes all entries that there are unreachable.
const FORM: &[u8] = b"ai-cache name 3";

/// A name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u8; 32]);

/// A name in the making: what it is made of, hashed in one go.
#[derive(Clone, Debug, Default)]
pub struct KeyWriter(Vec<u8>);

impl Key {
    /// In hexadecimal digits.
    pub fn hex(&self) -> String {
        let mut out = Vec::with_capacity(64);
        hex(&self.0, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Reads hexadecimal digits.
    pub fn of_hex(text: &str) -> Option<Key> {
        let bytes = text.as_bytes();
        if bytes.len() != 64 {
            return None;
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(bytes.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Key(key))
    }

    /// Its first eight bytes as a number.
    pub fn number(&self) -> u64 {
        let first = self.0.first_chunk::<8>().copied().unwrap_or_default();
        u64::from_be_bytes(first)
    }

    /// The name of a text: of a tenant or subject.
    pub fn of(text: &str) -> Key {
        KeyWriter::default().finish(&[text.as_bytes()])
    }
}

impl KeyWriter {
    /// Adds a part. Where one ends and the next begins is part of the name.
    pub fn add(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&(part.len() as u64).to_be_bytes());
        self.0.extend_from_slice(part);
    }

    /// Adds a part that may be missing.
    pub fn add_option(&mut self, part: Option<&[u8]>) {
        self.0.push(u8::from(part.is_some()));
        self.add(part.unwrap_or_default());
    }

    /// Takes back what was added after so many bytes.
    pub fn truncate(&mut self, bytes: usize) {
        self.0.truncate(bytes);
    }

    /// What was added.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name of what was added and of these last parts, which are not copied.
    pub fn finish(&self, last: &[&[u8]]) -> Key {
        let mut hash = Sha256::new();
        hash.update(FORM);
        hash.update(&self.0);
        for part in last {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Key(hash.finalize().into())
    }
}

/// Names of texts that come again and again: consumers, tenants, end users.
#[derive(Debug, Default)]
pub struct Names(RefCell<SmallMap<String, Key>>);

impl Names {
    /// Most that are remembered; then all are forgotten.
    const MOST: usize = 128;

    /// Longest that are remembered, in bytes.
    const LONGEST: usize = 128;

    /// The name of a text, as [`Key::of`].
    pub fn of(&self, text: &str) -> Key {
        if let Some(known) = self.0.borrow().get(text) {
            return *known;
        }
        let key = Key::of(text);
        if text.len() <= Names::LONGEST {
            let mut known = self.0.borrow_mut();
            if known.len() >= Names::MOST {
                *known = SmallMap::default();
            }
            known.insert(text.to_owned(), key);
        }
        key
    }
}

/// Writes bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let name = |parts: &[&str]| {
            let mut writer = KeyWriter::default();
            parts.iter().for_each(|part| writer.add(part.as_bytes()));
            writer.finish(&[])
        };
        let parts = [b"b".as_slice(), b"c"];
        let mut writer = KeyWriter::default();
        writer.add(b"a");
        assert_eq!(writer.finish(&parts), name(&["a", "b", "c"]));
        assert_ne!(writer.finish(&[]), writer.finish(&[b""]));
        assert_ne!(name(&["ab", "c"]), name(&["a", "bc"]));
        assert_ne!(name(&["a"]), name(&["a", ""]));
        assert_eq!(Key::of_hex(&name(&["x"]).hex()), Some(name(&["x"])));
        assert_eq!(Key::of_hex("zz"), None);
    }

    #[test]
    fn what_is_remembered_is_the_same_and_bounded() {
        let names = Names::default();
        for round in 0..2 {
            for number in 0..300 {
                let text = number.to_string().repeat(1 + number % 60);
                assert_eq!(names.of(&text), Key::of(&text), "{round} {text}");
            }
        }
        assert!((1..=Names::MOST).contains(&names.0.borrow().len()));
    }
}
