//! How many tokens a text has, about: no vendor's tokenizer is in a `.wasm`, as each is some megabytes.
//!
//! A text is cut where OpenAI's `o200k_base` cuts it before it looks anything up (words with the sign or
//! space before them, up to three digits, runs of signs, line breaks), and each piece counts what pieces
//! of its kind and length have on average. `make tokens-eval` compares it with the real thing; the
//! figures are in docs/token-ratelimit.md.

mod common;
mod costs;
mod kinds;
mod run;
mod words;

use crate::remembered::{Digest, Remembered};
use run::Run;

/// Most texts whose size a worker remembers; each takes 32 bytes.
const MOST: usize = 8192;

thread_local! {
    static SIZES: Remembered<u64> = Remembered::new(MOST);
}

/// About so many tokens; 0 for an empty text only.
pub fn estimate(text: &str) -> u64 {
    let mut counter = Counter::default();
    counter.add(text);
    counter.tokens()
}

/// Tokens of a text that stands in JSON, without its quotes: an escape counts as what it stands for.
pub fn estimate_escaped(text: &str) -> u64 {
    let mut counter = Counter::default();
    counter.add_escaped(text);
    counter.tokens()
}

/// The same of a JSON string, which has its quotes. One that came before is not counted again, if it is long.
pub fn estimate_string(quoted: &str) -> u64 {
    let text = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted);
    let Some(digest) = Digest::of(text) else { return estimate_escaped(text) };
    SIZES.with(|sizes| {
        sizes.get(digest, 0).unwrap_or_else(|| {
            let tokens = estimate_escaped(text);
            sizes.put(digest, 0, tokens);
            tokens
        })
    })
}

/// Counts a text that comes piece by piece, wherever it is cut.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    run: Run,
}

impl Counter {
    /// More of the text.
    pub fn add(&mut self, text: &str) {
        self.run.text(text);
    }

    /// More of the text, as it stands in JSON.
    pub fn add_escaped(&mut self, text: &str) {
        let mut rest = text;
        // The first half of a character beyond the first 65,536.
        let mut high: Option<u32> = None;
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            let (plain, escape) = rest.split_at_checked(at).unwrap_or((rest, ""));
            self.add(plain);
            rest = self.escape(escape.get(1..).unwrap_or_default(), &mut high);
        }
        self.add(rest);
    }

    /// Tokens so far.
    pub fn tokens(&self) -> u64 {
        let thousandths = self.run.thousandths();
        // Nothing is for free, and 0 would mean that there is no text.
        if thousandths == 0 { 0 } else { thousandths.saturating_add(500).div_euclid(1_000).max(1) }
    }

    fn push(&mut self, c: char) {
        self.run.text(c.encode_utf8(&mut [0; 4]));
    }

    /// Counts the character that an escape stands for, and gives what follows it. What is no valid
    /// escape stands for itself.
    fn escape<'a>(&mut self, text: &'a str, high: &mut Option<u32>) -> &'a str {
        let mut rest = text.chars();
        match rest.next() {
            Some('n') => self.push('\n'),
            Some('t') => self.push('\t'),
            Some('r') => self.push('\r'),
            Some('b' | 'f') => self.push(' '),
            Some('u') => {
                let mut code = 0;
                for _ in 0..4 {
                    let digit = rest.next().and_then(|digit| digit.to_digit(16)).unwrap_or(0);
                    code = code * 16 + digit;
                }
                match (high.take(), code) {
                    (_, 0xd800..=0xdbff) => *high = Some(code - 0xd800),
                    (Some(high), 0xdc00..=0xdfff) => {
                        let code = 0x10000 + (high << 10) + (code - 0xdc00);
                        self.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                    }
                    _ => self.push(char::from_u32(code).unwrap_or('\u{fffd}')),
                }
            }
            Some(other) => self.push(other),
            None => self.push('\\'),
        }
        rest.as_str()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn an_estimate_is_near_what_tokenizers_count() {
        // Counts of OpenAI's o200k_base.
        for (text, tokens) in [
            ("", 0),
            ("a", 1),
            ("The quick brown fox jumps over the lazy dog.", 10),
            ("人工智能正在改变世界", 6),
        ] {
            let estimate = estimate(text);
            assert!(estimate.abs_diff(tokens) * 3 <= tokens, "{text}: {estimate}");
        }
    }

    #[test]
    fn it_does_not_matter_where_a_text_is_cut() {
        let text = "fn main() {\n    let größe = \"你好，世界 42\";\n}\n  'tis HTTPServer — ok?  ";
        let whole = estimate(text);
        for (at, _) in text.char_indices() {
            let mut counter = Counter::default();
            let (head, tail) = text.split_at(at);
            counter.add(head);
            counter.add(tail);
            assert_eq!(counter.tokens(), whole, "cut at {at}");
        }
    }

    #[test]
    fn a_text_counts_as_its_characters_one_by_one_do() {
        for text in [
            "two  words, threeMore and 12 or 3.5 of\tthem\n\n  a (b) c/d ",
            " lead x1y2 éa aé 世 a世 a \"q\" it's",
            "HelloWorld Hello HELLOworld ABc aBC HTTPServerError iPhone",
            "One, two. Three! four, , five .six seven/ eight? Nine \"ten\" I (am) A",
            "",
        ] {
            assert_eq!(one_by_one(text), at_once(text), "{text}");
        }
    }

    fn one_by_one(text: &str) -> u64 {
        let mut counter = Counter::default();
        for c in text.chars() {
            counter.push(c);
        }
        counter.run.thousandths()
    }

    fn at_once(text: &str) -> u64 {
        let mut counter = Counter::default();
        counter.add(text);
        counter.run.thousandths()
    }

    #[test]
    fn so_does_any_text() {
        let letters = [
            "a", "a", "word", "word", " ", " ", " ", ",", ".", "/", "B", "C", "7", "\n", "é", "世",
        ];
        let mut random = 1_u64;
        for _ in 0..5_000 {
            let mut text = String::new();
            for _ in 0..80 {
                // A linear congruential generator (Knuth's MMIX), of which the high bits are used.
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                text.push_str(letters[(random >> 60) as usize]);
            }
            assert_eq!(one_by_one(&text), at_once(&text), "{text:?}");
        }
    }

    #[test]
    fn what_comes_again_counts_the_same() {
        let long = "say \\\"hi\\\" to 你好 ".repeat(100);
        for text in ["", "\"\"", "\"a b\"", &format!("\"{long}\""), &format!("\"{long}.\"")] {
            let expected = estimate_escaped(text.trim_matches('"'));
            assert_eq!([estimate_string(text), estimate_string(text)], [expected; 2], "{text}");
        }
    }

    #[test]
    fn escapes_count_as_what_they_stand_for() {
        let text = "say \"hi\"\n\tto 你好 🎉";
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(estimate_escaped(json.trim_matches('"')), estimate(text));
        assert_eq!(estimate_escaped("\\u4f60\\u597d \\ud83c\\udf89"), estimate("你好 🎉"));
        // Broken ones are counted all the same.
        assert!(estimate_escaped("\\") > 0 && estimate_escaped("\\ud83c\\uzz") > 0);
    }
}
