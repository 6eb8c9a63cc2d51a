//! Words next to a number that say what it is.

/// So many bytes before and after are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Before.
    pub before: usize,
    /// After.
    pub after: usize,
}

/// Words in small letters.
#[derive(Debug)]
pub(super) struct Words {
    words: &'static [&'static str],
    /// What they begin with, as bits: of the letters of ASCII the place in the alphabet, 26 for all else.
    firsts: u32,
}

impl Words {
    /// These words.
    // The indexes are below the lengths, and it runs when it is compiled.
    #[allow(clippy::indexing_slicing)]
    pub(super) const fn new(words: &'static [&'static str]) -> Words {
        let (mut firsts, mut at) = (0, 0);
        while at < words.len() {
            firsts |= 1 << first(words[at].as_bytes()[0]);
            at += 1;
        }
        Words { words, firsts }
    }
}

/// The place among `firsts` of a byte.
#[inline(always)]
const fn first(byte: u8) -> u32 {
    let letter = (byte | 0x20).wrapping_sub(b'a');
    if letter < 26 { letter as u32 } else { 26 }
}

/// Whether one of the words stands near `start..end`. A word of ASCII must begin where a word begins, and
/// if it has fewer than five letters end where one ends.
pub(super) fn near(text: &[u8], start: usize, end: usize, reach: Reach, words: &Words) -> bool {
    let ahead = text.get(start.saturating_sub(reach.before)..start).unwrap_or_default();
    let after = end.saturating_add(reach.after).min(text.len());
    let behind = text.get(end..after).unwrap_or_default();
    let open = before_window(text, start.saturating_sub(reach.before));
    any(ahead, open, words) || any(behind, false, words)
}

/// Whether the window begins within a word.
fn before_window(text: &[u8], start: usize) -> bool {
    super::bytes::before(text, start).is_ascii_alphabetic()
}

fn any(window: &[u8], open: bool, words: &Words) -> bool {
    let mut within = open;
    for (at, byte) in window.iter().enumerate() {
        let letter = byte.is_ascii_alphabetic();
        if !(letter && within) && words.firsts >> first(*byte) & 1 == 1 {
            let rest = window.get(at..).unwrap_or_default();
            if words.words.iter().any(|word| begins(rest, word.as_bytes())) {
                return true;
            }
        }
        within = letter;
    }
    false
}

fn begins(window: &[u8], word: &[u8]) -> bool {
    if !window.get(..word.len()).is_some_and(|shown| shown.eq_ignore_ascii_case(word)) {
        return false;
    }
    let ascii = word.first().is_some_and(u8::is_ascii_alphabetic);
    let right = window.get(word.len()).is_some_and(u8::is_ascii_alphabetic);
    !ascii || word.len() >= 5 || !right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_counts_only_as_a_word() {
        let reach = Reach { before: 12, after: 8 };
        for (text, found) in [
            ("Tel: 1", true),
            ("hotel 1", false),
            ("telly 1", false),
            ("电话1", true),
            ("a phones 1", true),
            ("1 (phone)", true),
            ("phone, but far away from it: 1", false),
        ] {
            let at = text.find('1').unwrap();
            let words = Words::new(&["tel", "phone", "电话"]);
            assert_eq!(near(text.as_bytes(), at, at + 1, reach, &words), found, "{text}");
        }
    }
}
