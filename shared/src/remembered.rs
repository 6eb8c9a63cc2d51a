//! What was found out about texts that come again: a conversation is sent anew with each of its turns.
//!
//! A text is known again by its length and 64 bits of SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast
//! short-input PRF", 2012) under a key that a worker draws when it starts and nobody learns. So nobody can
//! make a text that is taken for another: one that is tried is so with a chance of one in 2^64 for each that is
//! remembered. The text itself is not kept.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};

/// Shortest text that is worth it, in bytes.
pub const SHORTEST: usize = 1024;

thread_local! {
    /// The key, the same for all that this worker remembers.
    static KEY: RandomState = RandomState::new();
}

/// What a text is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    hash: u64,
    len: usize,
}

impl Digest {
    /// A text's; `None` if it is too short.
    pub fn of(text: &str) -> Option<Digest> {
        let len = text.len();
        (len >= SHORTEST).then(|| Digest { hash: KEY.with(|key| key.hash_one(text)), len })
    }
}

/// What is remembered of texts: a table in which each has two places, of which the longer unused is given away.
#[derive(Debug)]
pub struct Remembered<V> {
    places: RefCell<Vec<Option<Entry<V>>>>,
    most: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry<V> {
    digest: Digest,
    how: u8,
    value: V,
}

impl<V: Copy> Remembered<V> {
    /// Room for so many, an even number; none is taken before the first comes.
    pub fn new(most: usize) -> Remembered<V> {
        Remembered { places: RefCell::default(), most }
    }

    /// What is remembered of a text that was looked at in this way.
    pub fn get(&self, digest: Digest, how: u8) -> Option<V> {
        let mut places = self.places.borrow_mut();
        let [first, second] = self.pair(&mut places, digest)?;
        let is = |entry: &Entry<V>| entry.digest == digest && entry.how == how;
        if second.as_ref().is_some_and(is) {
            std::mem::swap(first, second);
        }
        first.filter(is).map(|entry| entry.value)
    }

    /// Remembers it.
    pub fn put(&self, digest: Digest, how: u8, value: V) {
        let mut places = self.places.borrow_mut();
        if places.is_empty() {
            places.resize_with(self.most, || None);
        }
        let Some([first, second]) = self.pair(&mut places, digest) else { return };
        *second = first.replace(Entry { digest, how, value });
    }

    fn pair<'p>(
        &self,
        places: &'p mut [Option<Entry<V>>],
        digest: Digest,
    ) -> Option<&'p mut [Option<Entry<V>>; 2]> {
        let (pairs, _) = places.as_chunks_mut();
        let number = digest.hash.checked_rem(pairs.len() as u64)?;
        pairs.get_mut(usize::try_from(number).ok()?)
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.places.borrow().iter().flatten().count()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_text_is_known_again_and_another_is_not() {
        let text = "x".repeat(SHORTEST);
        assert_eq!(Digest::of(&text), Digest::of(&text.clone()));
        assert_ne!(Digest::of(&text), Digest::of(&text.replacen('x', "y", 1)));
        assert_ne!(Digest::of(&text), Digest::of(&format!("{text}x")));
        assert_eq!(Digest::of(&"x".repeat(SHORTEST - 1)), None);
    }

    fn digest(number: u64) -> Digest {
        Digest { hash: number, len: SHORTEST }
    }

    #[test]
    fn what_is_asked_for_stays_and_the_number_is_bounded() {
        let known = Remembered::new(8);
        known.put(digest(0), 0, 0);
        for number in 1..100 {
            assert_eq!(known.get(digest(0), 0), Some(0), "before {number}");
            known.put(digest(number), 0, number);
            assert_eq!(known.get(digest(number), 0), Some(number));
            assert!(known.len() <= 8, "{}", known.len());
        }
        assert_eq!(known.get(digest(50), 0), None);
    }

    #[test]
    fn a_text_that_was_looked_at_in_another_way_was_not_looked_at_in_this() {
        let known = Remembered::new(2);
        assert_eq!(known.get(digest(1), 0), None, "nothing is there yet");
        known.put(digest(1), 0, 'a');
        assert_eq!(known.get(digest(1), 1), None);
        known.put(digest(1), 1, 'b');
        assert_eq!((known.get(digest(1), 0), known.get(digest(1), 1)), (Some('a'), Some('b')));
        assert_eq!(known.get(Digest { len: SHORTEST + 1, ..digest(1) }, 0), None);
    }
}
