//! What was found out about texts that come again: a conversation is sent anew with each of its turns.
//!
//! A text is known again by its length and 64 bits of SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast
//! short-input PRF", 2012) under a key that a worker draws when it starts and nobody learns. So nobody can
//! make a text that is taken for another: one that is tried is so with a chance of one in 2^64 for each that is
//! remembered. The text itself is not kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

/// Shortest text that is worth it, in bytes.
pub const SHORTEST: usize = 512;

thread_local! {
    /// The key, the same for all that this worker remembers.
    static KEY: RandomState = RandomState::new();
}

/// What a text is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// What is remembered of texts, by what tells it. There is room for a number of them and as many older ones:
/// when it is full, the older half is forgotten but for what was asked for again.
#[derive(Debug)]
pub struct Remembered<K, V> {
    most: usize,
    young: RefCell<HashMap<K, V>>,
    old: RefCell<HashMap<K, V>>,
}

impl<K: Copy + Eq + Hash, V: Copy> Remembered<K, V> {
    /// Room for twice so many.
    pub fn new(most: usize) -> Remembered<K, V> {
        Remembered { most, young: RefCell::default(), old: RefCell::default() }
    }

    /// What is remembered.
    pub fn get(&self, key: &K) -> Option<V> {
        if let Some(value) = self.young.borrow().get(key) {
            return Some(*value);
        }
        let value = self.old.borrow_mut().remove(key)?;
        self.put(*key, value);
        Some(value)
    }

    /// Remembers it.
    pub fn put(&self, key: K, value: V) {
        let mut young = self.young.borrow_mut();
        if young.len() >= self.most {
            let mut old = self.old.borrow_mut();
            std::mem::swap(&mut *young, &mut *old);
            young.clear();
        }
        young.insert(key, value);
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.young.borrow().len() + self.old.borrow().len()
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
        assert_eq!(Digest::of(&text[1..]), None);
    }

    #[test]
    fn what_is_asked_for_stays_and_the_number_is_bounded() {
        let known = Remembered::new(4);
        known.put(0, 0);
        for number in 1..100 {
            assert_eq!(known.get(&0), Some(0), "before {number}");
            known.put(number, number);
            assert!(known.len() <= 8, "{}", known.len());
        }
        assert_eq!(known.get(&99), Some(99));
        assert_eq!(known.get(&50), None);
    }

    #[test]
    fn what_is_put_again_is_the_newer() {
        let known = Remembered::new(1);
        known.put('a', 1);
        known.put('b', 2);
        known.put('a', 3);
        assert_eq!(known.get(&'a'), Some(3));
    }
}
