//! Names of entries: SHA-256 over all that may change an answer, so that no two requests that differ in
//! any of it ever meet.

use sha2::{Digest, Sha256};

/// The form of names; another one makes all entries that there are unreachable.
const FORM: &[u8] = b"ai-cache name 1";

/// A name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u8; 32]);

/// A name in the making.
#[derive(Clone)]
pub struct KeyWriter(Sha256);

impl Key {
    /// In hexadecimal digits.
    pub fn hex(&self) -> String {
        let mut out = String::with_capacity(64);
        for byte in self.0 {
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        out
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
        let mut writer = KeyWriter::new();
        writer.add(text.as_bytes());
        writer.finish()
    }
}

impl KeyWriter {
    /// Nothing has been added.
    pub fn new() -> KeyWriter {
        let mut hash = Sha256::new();
        hash.update(FORM);
        KeyWriter(hash)
    }

    /// Adds a part. Where one ends and the next begins is part of the name.
    pub fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    /// The name.
    pub fn finish(self) -> Key {
        Key(self.0.finalize().into())
    }
}

impl Default for KeyWriter {
    fn default() -> KeyWriter {
        KeyWriter::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let name = |parts: &[&str]| {
            let mut writer = KeyWriter::new();
            parts.iter().for_each(|part| writer.add(part.as_bytes()));
            writer.finish()
        };
        assert_ne!(name(&["ab", "c"]), name(&["a", "bc"]));
        assert_ne!(name(&["a"]), name(&["a", ""]));
        assert_eq!(Key::of_hex(&name(&["x"]).hex()), Some(name(&["x"])));
        assert_eq!(Key::of_hex("zz"), None);
    }
}
