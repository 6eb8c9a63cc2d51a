//! What a proxy has told of its header maps, so that it is asked once.
//!
//! On Envoy each call of the proxy costs about a microsecond, and one that returns something two,
//! since the proxy calls the module for memory. Reading a map as a whole costs as much as reading two
//! headers; removing what is not there, and setting what is so already, then needs no call at all.

use std::ops::Range;

/// A header map as the proxy holds it. Names are in lower case, as the proxy writes them.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Where the entries' names and values are.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// The [`mark`]s of all names that are or were there. Most that are asked for are not.
    marks: u64,
}

#[derive(Debug)]
struct Entry {
    name: Range<usize>,
    value: Range<usize>,
}

/// The proxy's own other name of a header.
const HOST: (&str, &str) = ("host", ":authority");

impl Known {
    /// Reads the ABI's form of a map: the count, then the sizes of each name and value, then each name
    /// and value closed by a zero byte; numbers are little-endian `u32`. `None` if it is not of it.
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<Known> {
        if bytes.is_empty() {
            return Some(Known::default());
        }
        let number = |at: usize| {
            let four = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(four)).ok()
        };
        let count = number(0)?;
        let mut at = count.checked_mul(8)?.checked_add(4)?;
        if at > bytes.len() {
            return None;
        }
        let mut take = |size: usize| {
            let end = at.checked_add(size)?;
            let range = at..end;
            at = end.checked_add(1)?;
            (at <= bytes.len()).then_some(range)
        };
        let mut entries = Vec::with_capacity(count);
        let mut marks = 0;
        for index in 0..count {
            let sizes = 4 + 8 * index;
            let name = take(number(sizes)?)?;
            marks |= mark(bytes.get(name.clone()).unwrap_or_default());
            entries.push(Entry { name, value: take(number(sizes + 4)?)? });
        }
        Some(Known { bytes, entries, marks })
    }

    /// The first value of a header.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        let name = real(name).as_bytes();
        if self.marks & mark(name) == 0 {
            return None;
        }
        let found = self.entries.iter().find(|entry| is(&self.bytes, entry, name))?;
        Some(self.value(found))
    }

    /// Whether there is one such header, and of this value.
    pub(crate) fn is_just(&self, name: &str, value: &[u8]) -> bool {
        let name = real(name).as_bytes();
        let mut all = self.entries.iter().filter(|entry| is(&self.bytes, entry, name));
        all.next().is_some_and(|entry| self.value(entry) == value) && all.next().is_none()
    }

    /// The proxy has set a header.
    pub(crate) fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        let name = real(name).as_bytes();
        self.marks |= mark(name);
        let mut put = |text: &[u8]| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(text);
            start..self.bytes.len()
        };
        let entry = Entry { name: put(name), value: put(value) };
        self.entries.push(entry);
    }

    /// The proxy has removed a header.
    pub(crate) fn remove(&mut self, name: &str) {
        let name = real(name).as_bytes();
        if self.marks & mark(name) != 0 {
            let bytes = &self.bytes;
            self.entries.retain(|entry| !is(bytes, entry, name));
        }
    }

    fn value(&self, entry: &Entry) -> &[u8] {
        self.bytes.get(entry.value.clone()).unwrap_or_default()
    }
}

/// One of 64 bits, which few names have in common: by their length and last letter.
#[inline(always)]
fn mark(name: &[u8]) -> u64 {
    let last = name.last().map_or(0, u8::to_ascii_lowercase);
    1 << ((usize::from(last) ^ (name.len() << 2)) % 64)
}

/// Most names differ in their length.
#[inline(always)]
fn is(bytes: &[u8], entry: &Entry, name: &[u8]) -> bool {
    entry.name.len() == name.len() && same(bytes, entry, name)
}

#[inline(never)]
fn same(bytes: &[u8], entry: &Entry, name: &[u8]) -> bool {
    let known = bytes.get(entry.name.clone()).unwrap_or_default();
    known == name || known.eq_ignore_ascii_case(name)
}

fn real(name: &str) -> &str {
    if name == HOST.0 { HOST.1 } else { name }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut out = u32::try_from(pairs.len()).unwrap().to_le_bytes().to_vec();
        for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
            out.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        }
        for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        }
        out
    }

    #[test]
    fn a_map_is_what_the_proxy_wrote() {
        let known = Known::parse(map(&[
            (":authority", "a.example"),
            ("x", "1"),
            ("x", "2"),
            ("empty", ""),
        ]));
        let known = known.unwrap();
        assert_eq!(known.get("host"), Some(&b"a.example"[..]));
        assert_eq!(known.get("X"), Some(&b"1"[..]));
        assert_eq!(known.get("empty"), Some(&b""[..]));
        assert_eq!(known.get("absent"), None);
        assert_eq!(known.get("empt9"), None, "not all of them have a mark of their own");
        assert!(!known.is_just("x", b"1"), "there are two");
        assert!(known.is_just("empty", b""));
        assert!(Known::parse(Vec::new()).unwrap().get("x").is_none());
    }

    #[test]
    fn what_is_cut_off_is_no_map() {
        let whole = map(&[("name", "value"), ("other", "more")]);
        for length in 1..whole.len() {
            assert!(Known::parse(whole[..length].to_vec()).is_none(), "{length} bytes");
        }
        assert!(Known::parse(vec![255; 4]).is_none());
    }

    #[test]
    fn changes_are_known() {
        let mut known = Known::parse(map(&[("x", "1"), ("x", "2"), ("y", "3")])).unwrap();
        known.set("x", b"new");
        assert!(known.is_just("x", b"new"));
        known.remove("Y");
        assert_eq!(known.get("y"), None);
        known.set("host", b"b.example");
        assert_eq!(known.get(":authority"), Some(&b"b.example"[..]));
    }
}
