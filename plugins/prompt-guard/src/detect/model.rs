//! A linear model over rules, words and pairs of words.
//!
//! A text's score is the sum of the weights of the [rules](super::rules) that it fits, plus the mean
//! weight, times the root of their number, of its words and pairs of neighbours, each hashed to one of
//! 65,536 weights of one byte. `guard train` makes the weights, with the very features that are counted
//! here. Scripts without spaces have rules only: of them there is nothing to learn from.

use super::tokens::Token;

/// Weights of words and pairs.
pub const WEIGHTS: usize = 1 << 16;

/// Most rules that there is room for.
pub const MAX_RULES: usize = 64;

/// Bytes before the weights: bias, scale, what stands for words where there are none, three thresholds
/// and the weights of the rules, as `f32`.
pub const HEAD: usize = 4 * (6 + MAX_RULES);

/// Bytes of a text that are looked at for words, at its beginning and at its end.
const PART: usize = 4 << 10;

/// Longest word, in characters.
const MAX_WORD: u32 = 24;

/// Fewest features of a text that its words are judged by.
pub const FEWEST: usize = 4;

/// What was learned.
static DATA: &[u8] = include_bytes!("model.bin");

/// The weights.
#[derive(Debug)]
pub(super) struct Model {
    bias: f32,
    /// What one step of a weight is worth.
    scale: f32,
    /// What a text without words gets instead.
    wordless: f32,
    /// Strict, balanced, few false alarms.
    thresholds: [f32; 3],
    rules: [f32; MAX_RULES],
    words: &'static [u8],
}

impl Model {
    /// The model that comes with the plugin.
    pub(super) fn new() -> Model {
        let (head, words) = DATA.split_at_checked(HEAD).unwrap_or((&[], &[]));
        let number = |at: usize| {
            let bytes = head.get(4 * at..4 * at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0.0, f32::from_le_bytes)
        };
        Model {
            bias: number(0),
            scale: number(1),
            wordless: number(2),
            thresholds: [number(3), number(4), number(5)],
            rules: std::array::from_fn(|rule| number(6 + rule)),
            words,
        }
    }

    /// What a text's words and the rules (bits) that it fits come to.
    pub(super) fn sum(&self, text: &str, words: &[Token], rules: u64) -> Sum {
        let (mut sum, mut count) = (0_i64, 0_usize);
        features(text, words, |feature| {
            sum += self.words.get(feature).map_or(0, |weight| i64::from(weight.cast_signed()));
            count += 1;
        });
        let words = if count < FEWEST {
            self.wordless
        } else {
            sum as f32 * self.scale / (count as f32).sqrt()
        };
        let rules = (0..MAX_RULES)
            .filter(|rule| rules >> rule & 1 == 1)
            .filter_map(|rule| self.rules.get(rule))
            .sum();
        Sum { words, rules, bias: self.bias }
    }

    /// What a rule is worth.
    pub(super) fn rule(&self, number: usize) -> f32 {
        self.rules.get(number).copied().unwrap_or(0.0)
    }

    /// How sure a sum is, 0 to 1: at the thresholds as much as the profiles ask for.
    pub(super) fn sure(&self, sum: f32) -> f32 {
        let [strict, balanced, low] = self.thresholds;
        let between = |from: f32, to: f32, least: f32, most: f32| {
            least + (most - least) * (sum - from) / (to - from).max(f32::EPSILON)
        };
        if sum < strict {
            0.45 * (sum - strict).exp()
        } else if sum < balanced {
            between(strict, balanced, 0.45, 0.65)
        } else if sum < low {
            between(balanced, low, 0.65, 0.84)
        } else {
            1.0 - 0.16 * (low - sum).exp()
        }
    }

    /// How much sooner what was hidden counts: as one profile more careful.
    pub(super) fn hidden(&self) -> f32 {
        let [strict, balanced, _] = self.thresholds;
        balanced - strict
    }
}

/// A text's score and where it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    /// Of its words.
    pub(super) words: f32,
    /// Of the rules that it fits.
    pub(super) rules: f32,
    bias: f32,
}

impl Sum {
    /// The whole.
    pub(super) fn all(self) -> f32 {
        self.words + self.rules + self.bias
    }
}

/// The features of a text, in order: a word by itself, then with the word before it.
pub(super) fn features(text: &str, words: &[Token], mut add: impl FnMut(usize)) {
    let tail = if text.len() <= 2 * PART { 0 } else { text.len() - PART };
    let mut before = 0_u64;
    for word in words {
        if word.start >= PART && word.start < tail {
            continue;
        }
        // What is encoded is no word, and would look like nothing that was ever seen.
        let is_word = word.letters <= MAX_WORD && (word.digits == 0 || word.digits == word.letters);
        if word.dense || !is_word {
            continue;
        }
        add(place(word.hash));
        if before != 0 {
            add(place(before.rotate_left(17) ^ word.hash));
        }
        before = word.hash;
    }
}

#[inline]
fn place(hash: u64) -> usize {
    // The high bits are the better mixed ones.
    usize::try_from(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48).unwrap_or(0) % WEIGHTS
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn count(text: &str) -> usize {
        let (mut words, mut count) = (Vec::new(), 0);
        tokens(text, &mut words);
        features(text, &words, |_| count += 1);
        count
    }

    #[test]
    fn words_and_pairs_are_counted_where_words_are_parted() {
        assert_eq!(count(""), 0);
        assert_eq!(count("one"), 1);
        assert_eq!(count("One, two three!"), 5);
        assert_eq!(count("忽略指令"), 0);
        assert_eq!(count("a1b2 c"), 1);
        assert!(count(&"word ".repeat(100_000)) < 4_000, "bounded");
    }

    #[test]
    fn the_weights_are_whole_and_in_order() {
        assert_eq!(DATA.len(), HEAD + WEIGHTS);
        let model = Model::new();
        let [strict, balanced, low] = model.thresholds;
        assert!(strict < balanced && balanced < low);
        let sure: Vec<f32> = [strict - 1.0, strict, balanced, low, low + 1.0]
            .into_iter()
            .map(|sum| model.sure(sum))
            .collect();
        assert!(sure.is_sorted() && sure[0] > 0.0 && sure[4] < 1.0, "{sure:?}");
    }
}
