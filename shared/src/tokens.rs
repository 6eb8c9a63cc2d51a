//! How many tokens a text has, about: no vendor's tokenizer is in a `.wasm`, as each is some megabytes.

/// Of a token, in hundredths: a letter of a word written in ASCII, where 4.2 make a token.
const LETTER: u64 = 24;
/// A digit.
const DIGIT: u64 = 40;
/// A sign between words, many of which are part of a token with others.
const SIGN: u64 = 60;
/// A character of a script that has no spaces between words: Chinese, Japanese, Korean.
const IDEOGRAPH: u64 = 70;
/// Any other character: Cyrillic, Greek, Arabic, letters with accents.
const OTHER: u64 = 45;
/// One beyond the scripts in daily use, pictures above all.
const RARE: u64 = 200;

/// About so many tokens; 0 for an empty text only.
pub fn estimate(text: &str) -> u64 {
    let hundredths = text.chars().map(weight).fold(0_u64, u64::saturating_add);
    if text.is_empty() { 0 } else { hundredths.div_ceil(100).max(1) }
}

/// Tokens of a text that stands in JSON: its escapes count as they are written.
pub fn estimate_escaped(text: &str) -> u64 {
    estimate(text)
}

/// A space belongs to the word that follows.
fn weight(c: char) -> u64 {
    match c {
        'a'..='z' | 'A'..='Z' => LETTER,
        '0'..='9' => DIGIT,
        ' ' | '\t' | '\r' => 0,
        '\0'..='\u{7f}' => SIGN,
        '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' => IDEOGRAPH,
        '\u{80}'..='\u{ffff}' => OTHER,
        _ => RARE,
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
}
