//! In which language a text is, as far as it matters for noticing that the mix has changed.
//!
//! By script, and among those who write Latin letters English is told from the rest by its commonest
//! words. That costs next to nothing and is steady, which is what a change detector needs; it is no
//! linguist.

/// A group of languages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// Too little text, or no letters (numbers, code of signs alone).
    #[default]
    Unknown,
    /// Latin letters and English words.
    English,
    /// Latin letters otherwise.
    Latin,
    /// Russian, Ukrainian, Bulgarian ...
    Cyrillic,
    /// Chinese, Japanese, Korean.
    EastAsian,
    /// Any other script: Arabic, Hebrew, Greek, Devanagari ...
    Other,
}

impl Language {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Language::Unknown => "unknown",
            Language::English => "english",
            Language::Latin => "latin",
            Language::Cyrillic => "cyrillic",
            Language::EastAsian => "east_asian",
            Language::Other => "other",
        }
    }
}

/// How much of a text is looked at, in characters.
const SAMPLE: usize = 400;

/// Fewest letters that say anything.
const FEWEST: usize = 4;

/// The commonest words of English that no other language with Latin letters has.
const ENGLISH: [&str; 24] = [
    "the", "and", "of", "to", "is", "you", "that", "it", "for", "with", "are", "this", "what",
    "how", "have", "be", "my", "from", "can", "your", "please", "write", "not", "hello",
];

/// Counts letters and words of texts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Letters {
    seen: usize,
    latin: usize,
    cyrillic: usize,
    east_asian: usize,
    other: usize,
    words: usize,
    english: usize,
}

impl Letters {
    /// Looks at a text, up to what is still wanted of all texts.
    pub fn read(&mut self, text: &str) {
        let left = SAMPLE.saturating_sub(self.seen);
        if left == 0 {
            return;
        }
        let end = text.char_indices().nth(left).map_or(text.len(), |(at, _)| at);
        let sample = text.get(..end).unwrap_or_default();
        for c in sample.chars() {
            self.seen = self.seen.saturating_add(1);
            let count = match c {
                'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => &mut self.latin,
                '\u{400}'..='\u{52f}' => &mut self.cyrillic,
                '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' => {
                    &mut self.east_asian
                }
                c if c.is_alphabetic() => &mut self.other,
                _ => continue,
            };
            *count = count.saturating_add(1);
        }
        for word in sample.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
            self.words = self.words.saturating_add(1);
            if ENGLISH.iter().any(|english| word.eq_ignore_ascii_case(english)) {
                self.english = self.english.saturating_add(1);
            }
        }
    }

    /// The language of what was read.
    pub fn language(&self) -> Language {
        // A Chinese or Japanese letter says as much as several Latin ones.
        let counts = [
            (self.latin, Language::Latin),
            (self.cyrillic, Language::Cyrillic),
            (self.east_asian.saturating_mul(3), Language::EastAsian),
            (self.other, Language::Other),
        ];
        let most = counts.into_iter().max_by_key(|(count, _)| *count);
        match most {
            Some((count, _)) if count < FEWEST => Language::Unknown,
            // One common word in twelve; running English has one in three.
            Some((_, Language::Latin)) if self.english.saturating_mul(12) >= self.words.max(1) => {
                Language::English
            }
            Some((_, language)) => language,
            None => Language::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Language {
        let mut letters = Letters::default();
        letters.read(text);
        letters.language()
    }

    #[test]
    fn languages_are_told_apart() {
        for (text, language) in [
            ("What is the capital of France?", Language::English),
            ("Wie heißt die Hauptstadt von Frankreich?", Language::Latin),
            ("¿Cuál es la capital de Francia y por qué?", Language::Latin),
            ("Какая столица Франции?", Language::Cyrillic),
            ("法国的首都是哪里？", Language::EastAsian),
            ("プロンプトを書いてください with code", Language::EastAsian),
            ("ما هي عاصمة فرنسا؟", Language::Other),
            ("12 + 30 = ?", Language::Unknown),
            ("", Language::Unknown),
        ] {
            assert_eq!(of(text), language, "{text}");
        }
    }

    #[test]
    fn only_the_beginning_is_read() {
        let mut letters = Letters::default();
        letters.read(&"法".repeat(SAMPLE));
        letters.read("the and of to is you that it for with are this what how");
        assert_eq!((letters.language(), letters.seen), (Language::EastAsian, SAMPLE));
    }
}
