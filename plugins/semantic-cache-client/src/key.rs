//! Names of entries: BLAKE3 (<https://github.com/BLAKE3-team/BLAKE3-specs>) over all that may change an answer, so
//! that no two requests that differ in any of it ever meet.

use std::cell::RefCell;

use shared::small_map::SmallMap;

/// The form of names; another one makes all entries that there are unreachable.
const FORM: &[u8] = b"ai-cache name 4";

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
        let mut hash = blake3::Hasher::new();
        hash.update(FORM);
        hash.update(&self.0);
        for part in last {
            hash.update(&(part.len() as u64).to_be_bytes());
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

/// Writes bytes, of which there are fours, in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    for four in bytes.as_chunks::<4>().0 {
        out.extend_from_slice(&digits(u32::from_be_bytes(*four)));
    }
}

/// Eight digits at once, each in a byte of a number.
fn digits(number: u32) -> [u8; 8] {
    let mut nibbles = u64::from(number);
    nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // From ten on they are letters, which stand 39 after the digits.
    let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (nibbles + 0x3030_3030_3030_3030 + letters * 39).to_be_bytes()
}

/// Reads eight digits as they are written here.
pub(crate) fn of_digits(text: [u8; 8]) -> Option<u32> {
    let written = u64::from_be_bytes(text);
    let letters = written >> 6 & 0x0101_0101_0101_0101;
    let mut number = (written & 0x0f0f_0f0f_0f0f_0f0f).wrapping_add(letters * 9);
    number = (number | number >> 4) & 0x00ff_00ff_00ff_00ff;
    number = (number | number >> 8) & 0x0000_ffff_0000_ffff;
    let number = u32::try_from((number | number >> 16) & 0xffff_ffff).ok()?;
    // Whatever is no digit is written otherwise.
    (digits(number) == text).then_some(number)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// As BLAKE3's own Python package has them: modules hash several kilobytes at once, native builds do not.
    #[test]
    fn names_are_the_same_however_they_are_made() {
        let name = "a7e8ce2b06044070d610012382a7e4949d919923e74c302d31cb334c7dfa266c";
        assert_eq!(Key::of("tenant").hex(), name);
        let name = "4e340b97b687ed3fd9ab274ae93ea96e2a8f7064b7062df7501915cdadfae91c";
        assert_eq!(Key::of(&"0123456789".repeat(1000)).hex(), name);
    }

    #[test]
    fn digits_are_those_of_everybody() {
        for number in [0, 1, 9, 10, 0x0a9f_90fa, 0x1234_5678, 0x9abc_def0, u32::MAX] {
            let text = format!("{number:08x}");
            assert_eq!(digits(number), text.as_bytes());
            assert_eq!(of_digits(digits(number)), Some(number));
        }
        // Every byte at every place.
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut text = *b"0a9f90fa";
                text[at] = byte;
                let fits = byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                assert_eq!(of_digits(text).is_some(), fits, "{byte}");
            }
        }
    }

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
