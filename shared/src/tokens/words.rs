//! Words that come as most do, found in sixty-four bytes at a time.
//!
//! A loop over letters takes a wrong turn at each word's end. Here a bit for each byte tells what it is, and words are
//! the distances between bits.

use crate::sixteen::{Sixteen, Which};

/// Bytes that are looked at together.
pub(super) const BLOCK: usize = 64;

/// Words of ASCII in a block, each after one space: a capital or none, small letters, a sign or none. What follows the last of
/// them may be anything.
#[derive(Debug)]
pub(super) struct Words {
    starts: u64,
    ends: u64,
    capitals: u64,
    signs: u64,
}

/// A word.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Where it ends in the block.
    pub(super) end: usize,
    /// Its letters.
    pub(super) letters: usize,
    /// The capitals among them, which come first: none or one.
    pub(super) capitals: usize,
}

impl Words {
    /// Those of a block that begins with the space after another word.
    #[inline(always)]
    pub(super) fn of(block: &[u8; BLOCK]) -> Self {
        let (sixteens, _) = block.as_chunks();
        let (mut small, mut capitals, mut spaces, mut signs) = (0, 0, 0, 0);
        for sixteen in sixteens.iter().rev() {
            let sixteen = Sixteen::of(sixteen);
            let add = |bits: &mut u64, which: Which| *bits = *bits << 16 | u64::from(which.bits());
            add(&mut small, sixteen.range(b'a', 26));
            add(&mut capitals, sixteen.range(b'A', 26));
            add(&mut spaces, sixteen.range(b' ', 1));
            // Those before and after the digits.
            add(&mut signs, sixteen.range(b'!', 15) | sixteen.range(b':', 7));
        }
        let letters = small | capitals;
        // A bit for what is after a letter, a space ...
        let (after_letter, after_space, after_sign) = (letters << 1, spaces << 1, signs << 1);
        let known = small & (after_letter | after_space)
            | capitals & after_space
            | spaces & (after_letter | after_sign | 1)
            | signs & after_letter;
        // Up to what comes otherwise.
        let known = known & !(known.wrapping_add(1));
        Self {
            starts: letters & after_space & known,
            ends: !letters & after_letter & known,
            capitals,
            signs,
        }
    }

    /// How many signs there are before the end of a word.
    #[inline(always)]
    pub(super) fn signs_before(&self, end: usize) -> usize {
        (self.signs & !(u64::MAX << end)).count_ones() as usize
    }
}

impl Iterator for Words {
    type Item = Word;

    #[inline(always)]
    fn next(&mut self) -> Option<Word> {
        if self.ends == 0 {
            return None;
        }
        let (start, end) = (self.starts.trailing_zeros(), self.ends.trailing_zeros());
        self.starts &= self.starts - 1;
        self.ends &= self.ends - 1;
        let capitals = (self.capitals >> start & 1) as usize;
        Some(Word { end: end as usize, letters: (end - start) as usize, capitals })
    }
}
