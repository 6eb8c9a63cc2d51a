//! A crude tokenizer: close enough to real counts, and the same on every run.

use crate::rng::Rng;

/// The longest run of letters and digits in one token.
const WORD: usize = 6;

/// Every word fits one token, so that a text of N tokens has N tokens when counted again.
const LOREM: [&str; 24] = [
    "lorem", "ipsum", "dolor", "sit", "amet", "elit", "sed", "do", "tempor", "ut", "labore", "et",
    "dolore", "magna", "aliqua", "enim", "ad", "minim", "veniam", "quis", "nisi", "ex", "ea",
    "duis",
];

/// Cuts a text into tokens; put together again they are the text.
///
/// A token is any white space followed by up to six letters or digits, or by one other character.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut letters = 0;
    let mut closed = false;
    for (at, character) in text.char_indices() {
        let letter = is_letter(character);
        let space = character.is_whitespace();
        let fits =
            if space { letters == 0 && !closed } else { !closed && (letter || letters == 0) };
        if at > start && (!fits || letters == WORD) {
            pieces.push(text.get(start..at).unwrap_or_default());
            (start, letters) = (at, 0);
        }
        letters += usize::from(letter);
        closed = !letter && !space;
    }
    if start < text.len() {
        pieces.push(text.get(start..).unwrap_or_default());
    }
    pieces
}

/// How many tokens a text has.
pub(crate) fn count(text: &str) -> u64 {
    pieces(text).len() as u64
}

/// The first `limit` tokens of a text, and whether anything was cut off.
pub(crate) fn truncate(text: &str, limit: u64) -> (String, bool) {
    let all = pieces(text);
    let kept = usize::try_from(limit).unwrap_or(usize::MAX).min(all.len());
    (all.iter().take(kept).copied().collect(), kept < all.len())
}

/// A text of exactly `tokens` tokens.
pub(crate) fn lorem(rng: &mut Rng, tokens: u64) -> String {
    let mut text = String::new();
    for number in 0..tokens {
        if number > 0 {
            text.push(' ');
        }
        text.push_str(rng.pick(&LOREM).copied().unwrap_or("lorem"));
    }
    text
}

/// Scripts without spaces (such as Chinese) have about one token a character.
fn is_letter(character: char) -> bool {
    character.is_alphanumeric() && u32::from(character) < 0x2e80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_text() {
        for text in
            ["", " ", "Hello, world!", "a  b\n\nc", "日本語 text", "naïve 🙂🙂", "{\"a\": 1}  "]
        {
            assert_eq!(pieces(text).concat(), text);
        }
    }

    #[test]
    fn words_keep_the_space_before_them() {
        assert_eq!(pieces("Hello big, world"), ["Hello", " big", ",", " world"]);
        assert_eq!(pieces("translation"), ["transl", "ation"]);
        assert_eq!(pieces("日本"), ["日", "本"]);
    }

    #[test]
    fn lorem_has_the_asked_number_of_tokens() {
        for tokens in [0, 1, 2, 500] {
            assert_eq!(count(&lorem(&mut Rng::new(3), tokens)), tokens);
        }
    }

    #[test]
    fn truncation_says_whether_it_cut() {
        assert_eq!(truncate("one two three", 2), ("one two".to_owned(), true));
        assert_eq!(truncate("one two", 2), ("one two".to_owned(), false));
    }
}
