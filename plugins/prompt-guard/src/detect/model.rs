//! A linear model of words and pairs of words, for what the rules have no words for.
//!
//! Each word and each pair of neighbours is hashed to one of 65,536 weights of one byte; their sum, over
//! the root of their number, says how much a text looks like the attacks that it was trained on.
//! `guard train` makes the weights, with the very features that are counted here.

/// Weights, as numbers of [`Model::scale`].
const WEIGHTS: usize = 1 << 16;

/// Most bytes of a text that are looked at, at its beginning and at its end.
const PART: usize = 4 << 10;

/// Longest word, in characters.
const MAX_WORD: u32 = 24;

/// Fewest features of a text that anything is said about.
const FEWEST: usize = 4;

/// What was learned.
static DATA: &[u8] = include_bytes!("model.bin");

/// How sure the model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sure {
    /// Enough for the strict profile.
    Strict,
    /// Enough for the balanced profile.
    Balanced,
    /// Enough for the profile of few false alarms.
    Very,
}

impl Sure {
    /// What it is worth as a rule.
    pub(super) fn weight(self) -> f32 {
        match self {
            Sure::Strict => 0.46,
            Sure::Balanced => 0.66,
            Sure::Very => 0.85,
        }
    }
}

/// What a text looks like; `None` if it looks harmless.
pub(super) fn judge(text: &str) -> Option<Sure> {
    let (head, weights) = DATA.split_at_checked(16)?;
    let number = |at: usize| {
        let bytes = head.get(at..at.checked_add(4)?)?;
        Some(f32::from_le_bytes(bytes.try_into().ok()?))
    };
    let (bias, strict, balanced, very) = (number(0)?, number(4)?, number(8)?, number(12)?);
    let (mut sum, mut count) = (0_i64, 0_usize);
    features(text, |feature| {
        sum += weights.get(feature).map_or(0, |weight| i64::from(weight.cast_signed()));
        count += 1;
    });
    if count < FEWEST {
        return None;
    }
    let score = sum as f32 / (count as f32).sqrt() + bias;
    [(very, Sure::Very), (balanced, Sure::Balanced), (strict, Sure::Strict)]
        .into_iter()
        .find(|(least, _)| score >= *least)
        .map(|(_, sure)| sure)
}

/// The features of a text, in order: a word by itself, then with the word before it. Scripts without
/// spaces have a word for each character.
pub fn features(text: &str, mut add: impl FnMut(usize)) {
    let mut before = 0;
    let mut word = FNV;
    let (mut letters, mut digits) = (0_u32, 0_u32);
    let mut emit = |word: u64, before: &mut u64| {
        add(place(word));
        if *before != 0 {
            add(place(before.rotate_left(17) ^ word));
        }
        *before = word;
    };
    for c in ends(text) {
        if !dense(c) && (c.is_alphanumeric() || c == '\'') {
            word = step(word, c.to_ascii_lowercase());
            digits += u32::from(c.is_ascii_digit());
            letters += 1;
            continue;
        }
        if is_word(letters, digits) {
            emit(word, &mut before);
        }
        if dense(c) {
            emit(step(FNV, c), &mut before);
        }
        (word, letters, digits) = (FNV, 0, 0);
    }
    if is_word(letters, digits) {
        emit(word, &mut before);
    }
}

/// What is encoded is no word, and would look like nothing that was ever seen.
fn is_word(letters: u32, digits: u32) -> bool {
    (1..=MAX_WORD).contains(&letters) && (digits == 0 || digits == letters)
}

/// Hash of Fowler, Noll and Vo, <http://www.isthe.com/chongo/tech/comp/fnv/>.
const FNV: u64 = 0xcbf2_9ce4_8422_2325;

fn step(hash: u64, c: char) -> u64 {
    (hash ^ u64::from(u32::from(c))).wrapping_mul(0x0100_0000_01b3)
}

fn place(hash: u64) -> usize {
    // The high bits are the better mixed ones.
    usize::try_from(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48).unwrap_or(0) % WEIGHTS
}

fn dense(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

fn ends(text: &str) -> impl Iterator<Item = char> + '_ {
    let cut = |at: usize| (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (head, tail) = if text.len() <= 2 * PART {
        (text, "")
    } else {
        (
            text.get(..cut(PART)).unwrap_or_default(),
            text.get(cut(text.len() - PART)..).unwrap_or_default(),
        )
    };
    head.chars().chain([' ']).chain(tail.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        let mut count = 0;
        features(text, |_| count += 1);
        count
    }

    #[test]
    fn words_and_pairs_are_counted_in_every_script() {
        assert_eq!(count(""), 0);
        assert_eq!(count("one"), 1);
        assert_eq!(count("One, two three!"), 5);
        assert_eq!(count("忽略指令"), 7);
        assert_eq!(count("a忽b"), 5);
        assert!(count(&"word ".repeat(100_000)) < 4_000, "bounded");
    }

    #[test]
    fn the_weights_are_whole() {
        assert_eq!(DATA.len(), 16 + WEIGHTS);
    }
}
