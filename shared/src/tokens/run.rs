//! Cuts a text into the pieces that o200k_base never joins, and sums what they cost
//! (<https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py>).
//!
//! Every byte of every prompt and answer comes by here, most of them in words of small letters, which are found many at
//! once.

use super::costs::{self, Lead};
use super::kinds::{self, Kind};
use super::words::{BLOCK, Words};

/// What is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// Nothing has come yet.
    #[default]
    Start,
    /// White space.
    White,
    /// Letters, with what is before them.
    Word,
    /// Digits in a row.
    Digits,
    /// Signs in a row, and the line breaks that follow.
    Signs,
}

/// A text in the reading: what the pieces that are whole cost, and what is known of the one at hand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    whole: u64,
    mode: Mode,
    /// Of a word: what it begins with.
    lead: Lead,
    /// Of a word: a small letter was there. Of signs: a space comes first.
    flag: bool,
    /// Letters or signs of ASCII, digits, or white space after the last line break.
    count: usize,
    /// Of a word: its capitals. Of signs: those not of ASCII. Of white space: up to the last line break.
    others: usize,
    /// What letters or signs cost that are not of ASCII.
    cost: u64,
    /// Of signs: the line breaks that follow.
    breaks: usize,
}

impl Run {
    /// More of the text.
    pub(super) fn text(&mut self, text: &str) {
        // All of this is one function, whose state is in registers.
        let mut run = *self;
        run.read(text);
        *self = run;
    }

    #[inline(always)]
    fn read(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if *byte == b' '
                && self.mode == Mode::Word
                && let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk)
                && let Some(end) = self.words(block)
            {
                at += end;
                continue;
            }
            match kinds::of_ascii(*byte) {
                Some(Kind::Small) => {
                    let begun = at;
                    at += 1;
                    while let Some(b'a'..=b'z') = bytes.get(at) {
                        at += 1;
                    }
                    if self.mode != Mode::Word {
                        self.word();
                    }
                    self.count += at - begun;
                    self.flag = true;
                }
                Some(kind) => {
                    self.one(kind);
                    at += 1;
                }
                None => {
                    let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else {
                        break;
                    };
                    self.one(kinds::of(c));
                    at += c.len_utf8();
                }
            }
        }
    }

    /// The words that come as most do in a block, which begins where the piece at hand ends, a word: where the last of
    /// them ends, which is then the piece at hand; no letter follows it.
    #[inline(always)]
    fn words(&mut self, block: &[u8; BLOCK]) -> Option<usize> {
        let mut words = Words::of(block);
        let mut last = words.next()?;
        self.whole += self.at_hand();
        for word in words.by_ref() {
            self.whole += costs::spaced(last.letters, last.capitals);
            last = word;
        }
        self.whole += costs::signs(1, 0) * words.signs_before(last.end) as u64;
        self.begin(Mode::Word);
        (self.lead, self.count, self.others) = (Lead::Space, last.letters, last.capitals);
        Some(last.end)
    }

    /// Thousandths of a token that the text would cost if it ended here.
    pub(super) fn thousandths(&self) -> u64 {
        self.whole + self.at_hand()
    }

    /// One character.
    #[inline(always)]
    fn one(&mut self, kind: Kind) {
        match kind {
            Kind::Small | Kind::Capital | Kind::Foreign(_) => {
                // A capital after a small letter begins a word of its own.
                if self.mode != Mode::Word || (kind == Kind::Capital && self.flag) {
                    self.word();
                }
                match kind {
                    Kind::Foreign(cost) => self.cost += u64::from(cost),
                    _ => self.count += 1,
                }
                self.others += usize::from(kind == Kind::Capital);
                self.flag |= kind == Kind::Small;
            }
            Kind::Digit => {
                if self.mode != Mode::Digits {
                    // The last space belongs to a word or sign, but not to a digit.
                    self.whole += self.at_hand();
                    self.begin(Mode::Digits);
                }
                self.count += 1;
            }
            Kind::Sign | Kind::Stroke | Kind::OtherSign(_) => {
                // Line breaks may be followed by strokes only.
                if self.mode != Mode::Signs || (self.breaks > 0 && kind != Kind::Stroke) {
                    let spaced = self.joins();
                    self.begin(Mode::Signs);
                    self.flag = spaced;
                }
                match kind {
                    Kind::OtherSign(cost) => {
                        self.others += 1;
                        self.cost += u64::from(cost);
                    }
                    _ => self.count += 1,
                }
            }
            Kind::White => {
                if self.mode != Mode::White {
                    self.whole += self.at_hand();
                    self.begin(Mode::White);
                }
                self.count += 1;
            }
            Kind::Break if self.mode == Mode::Signs => self.breaks += 1,
            Kind::Break => {
                if self.mode != Mode::White {
                    self.whole += self.at_hand();
                    self.begin(Mode::White);
                }
                self.others += self.count + 1;
                self.count = 0;
            }
        }
    }

    /// A word begins.
    #[inline(always)]
    fn word(&mut self) {
        // A sign by itself is in one piece with the letters after it.
        let after_sign = self.mode == Mode::Signs
            && !self.flag
            && self.breaks == 0
            && self.count + self.others == 1;
        let lead = match after_sign {
            true => Lead::Sign,
            false if self.joins() => Lead::Space,
            false => Lead::None,
        };
        self.begin(Mode::Word);
        self.lead = lead;
    }

    /// Counts the piece at hand, but for the space that belongs to the word or sign that comes now, if
    /// there is one.
    #[inline(always)]
    fn joins(&mut self) -> bool {
        let joins = self.mode == Mode::White && self.count > 0;
        self.count -= usize::from(joins);
        self.whole += self.at_hand();
        joins
    }

    #[inline(always)]
    fn begin(&mut self, mode: Mode) {
        *self = Run { whole: self.whole, mode, ..Run::default() };
    }

    /// What the piece at hand costs.
    #[inline(always)]
    fn at_hand(&self) -> u64 {
        match self.mode {
            Mode::Start => 0,
            Mode::White => {
                let pieces = u64::from(self.others > 0) + u64::from(self.count > 0);
                pieces * costs::WHITE
            }
            Mode::Word => costs::word(self.lead, self.count, self.others, self.cost),
            Mode::Digits => costs::digits(self.count),
            Mode::Signs => costs::signs(self.count, self.cost),
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn cost(text: &str) -> u64 {
        let mut run = Run::default();
        run.text(text);
        run.thousandths()
    }

    /// As o200k_base's pattern cuts them.
    #[test]
    fn a_text_is_cut_into_its_pieces() {
        for (text, pieces) in [
            ("..\n.", vec!["..\n", "."]),
            ("..\n/", vec!["..\n/"]),
            (".a", vec![".a"]),
            (" .a", vec![" .", "a"]),
            ("..a", vec!["..", "a"]),
            ("，a", vec!["，a"]),
            ("a1b", vec!["a", "1", "b"]),
            ("aB", vec!["a", "B"]),
            ("AB", vec!["AB"]),
            ("ABc", vec!["ABc"]),
            (" \n  a", vec![" \n", " ", " a"]),
            ("\n\n a", vec!["\n\n", " a"]),
            ("  1", vec!["  ", "1"]),
            ("   ", vec!["   "]),
            ("a  .", vec!["a", " ", " ."]),
            ("世a", vec!["世a"]),
            ("ab cd efg h", vec!["ab", " cd", " efg", " h"]),
            ("ab cd  efg hI", vec!["ab", " cd", " ", " efg", " h", "I"]),
            ("ab cd efg1 h", vec!["ab", " cd", " efg", "1", " h"]),
        ] {
            let sum: u64 = pieces.iter().map(|piece| cost(piece)).sum();
            assert_eq!(cost(text), sum, "{text:?}");
        }
    }
}
