//! Words, in one pass: what the rules and the model both look at.

/// A word; of a script without spaces one character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Hash of its letters, in lower case and without apostrophes.
    pub hash: u64,
    /// Hash of its first three letters; 0 if it has fewer.
    pub stem: u64,
    /// Where it begins, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Letters and digits.
    pub letters: u32,
    /// Digits among them.
    pub digits: u32,
    /// It is one character of a script without spaces.
    pub dense: bool,
}

/// Hash of Fowler, Noll and Vo, <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(super) const SEED: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// Letters of a stem.
pub(super) const STEM: u32 = 3;

pub(super) fn step(hash: u64, c: char) -> u64 {
    (hash ^ u64::from(u32::from(c))).wrapping_mul(PRIME)
}

/// What a letter adds to a shape, whatever its place.
fn mix(c: char) -> u64 {
    let c = u64::from(u32::from(c)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (c ^ (c >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// Whether a script is written without spaces between its words.
pub fn is_dense(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}')
}

/// The words of a text, in order. Only ASCII may have capital letters.
pub fn tokens(text: &str, out: &mut Vec<Token>) {
    out.clear();
    let bytes = text.as_bytes();
    let mut word = Word::new(0);
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        if small(byte) != 0 {
            at = word.run(bytes, at);
        } else if byte.is_ascii() {
            // The apostrophe is of `don't`; beside a word it is a quote.
            if byte != b'\'' {
                word.close(at, text, out);
                word.start = at + 1;
            }
            at += 1;
        } else {
            let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else { break };
            let end = at + c.len_utf8();
            if is_dense(c) {
                word.close(at, text, out);
                let mut one = Word::new(at);
                one.push(c);
                out.push(one.token(end, true));
                word.start = end;
            } else if c == '\u{2019}' {
            } else if c.is_alphanumeric() || is_mark(c) {
                word.push(c);
            } else {
                word.close(at, text, out);
                word.start = end;
            }
            at = end;
        }
    }
    word.close(text.len(), text, out);
}

/// A number for a word, as it stands in a text, that is the same for every order of the letters between
/// its first and its last.
pub(super) fn shape(word: &str) -> u64 {
    let (mut first, mut last, mut sum) = (None, ' ', 0_u64);
    for c in word.chars().filter(|c| !matches!(c, '\'' | '\u{2019}')) {
        let c = c.to_ascii_lowercase();
        sum = sum.wrapping_add(mix(c));
        first = first.or(Some(c));
        last = c;
    }
    sum ^ step(step(SEED, first.unwrap_or(' ')), last)
}

/// By byte: the letter in lower case or the digit that it is; 0 for all else.
// The index is below the length, and the block runs when it is compiled.
#[allow(clippy::indexing_slicing)]
const SMALL: [u8; 256] = {
    let mut small = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            small[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    small
};

#[inline(always)]
fn small(byte: u8) -> u8 {
    SMALL.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Vowel signs and the like, of which words of many scripts are full.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{0610}'..='\u{061a}' | '\u{064b}'..='\u{065f}' | '\u{0900}'..='\u{0903}' | '\u{093a}'..='\u{094f}' | '\u{0300}'..='\u{036f}')
}

struct Word {
    start: usize,
    hash: u64,
    stem: u64,
    letters: u32,
    digits: u32,
}

impl Word {
    fn new(start: usize) -> Word {
        Word { start, hash: SEED, stem: 0, letters: 0, digits: 0 }
    }

    #[inline]
    fn push(&mut self, c: char) {
        self.hash = step(self.hash, c);
        self.letters += 1;
        if self.letters == STEM {
            self.stem = self.hash;
        }
    }

    /// The letters and digits of ASCII from `at` on; where they end.
    #[inline]
    fn run(&mut self, bytes: &[u8], mut at: usize) -> usize {
        let (mut hash, mut letters, mut digits) = (self.hash, self.letters, self.digits);
        while let Some(byte) = bytes.get(at) {
            let small = small(*byte);
            if small == 0 {
                break;
            }
            hash = (hash ^ u64::from(small)).wrapping_mul(PRIME);
            letters += 1;
            if letters == STEM {
                self.stem = hash;
            }
            digits += u32::from(small <= b'9');
            at += 1;
        }
        (self.hash, self.letters, self.digits) = (hash, letters, digits);
        at
    }

    fn token(&self, end: usize, dense: bool) -> Token {
        Token {
            hash: self.hash,
            stem: self.stem,
            start: self.start,
            end,
            letters: self.letters,
            digits: self.digits,
            dense,
        }
    }

    #[inline]
    fn close(&mut self, end: usize, text: &str, out: &mut Vec<Token>) {
        if self.letters == 0 {
            return;
        }
        let mut token = self.token(end, false);
        let bytes = text.as_bytes();
        // Quotes around it.
        while bytes.get(token.start) == Some(&b'\'') {
            token.start += 1;
        }
        while token.end > token.start && bytes.get(token.end - 1) == Some(&b'\'') {
            token.end -= 1;
        }
        out.push(token);
        *self = Word::new(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let mut out = Vec::new();
        tokens(text, &mut out);
        out.iter().map(|token| text.get(token.start..token.end).unwrap()).collect()
    }

    #[test]
    fn words_are_told_in_every_script() {
        assert_eq!(words("Don't 'quote' me, a_b-c!"), ["Don't", "quote", "me", "a", "b", "c"]);
        assert_eq!(words("a忽略 b"), ["a", "忽", "略", "b"]);
        assert_eq!(words("निर्देश है"), ["निर्देश", "है"]);
        assert_eq!(words(""), [""; 0]);
    }

    #[test]
    fn a_shape_is_the_same_for_scrambled_letters() {
        assert_eq!(shape("instruction"), shape("Instrc'ution"));
        assert_ne!(shape("instruction"), shape("instructing"));
    }
}
