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
const SAMPLE: usize = 250;

/// Fewest letters that say anything.
const FEWEST: usize = 4;

/// The commonest words of English that no other language with Latin letters has, each as the number
/// that its letters are.
const ENGLISH: [u64; 24] = [
    word(b"the"),
    word(b"and"),
    word(b"of"),
    word(b"to"),
    word(b"is"),
    word(b"you"),
    word(b"that"),
    word(b"it"),
    word(b"for"),
    word(b"with"),
    word(b"are"),
    word(b"this"),
    word(b"what"),
    word(b"how"),
    word(b"have"),
    word(b"be"),
    word(b"my"),
    word(b"from"),
    word(b"can"),
    word(b"your"),
    word(b"please"),
    word(b"write"),
    word(b"not"),
    word(b"hello"),
];

/// How many letters the longest of these has.
const LONGEST: usize = 6;

/// Which remainders these have, a bit for each: most other words have another.
const MARKS: u64 = {
    let (mut marks, mut words) = (0, ENGLISH.as_slice());
    while let [first, rest @ ..] = words {
        marks |= 1 << (*first % MARK);
        words = rest;
    }
    marks
};
const MARK: u64 = 61;

/// As long as a word cannot be that is one of these.
const FOREIGN: usize = LONGEST + 1;

/// A word of up to eight letters as a number.
const fn word(mut letters: &[u8]) -> u64 {
    let mut word = 0;
    while let [first, rest @ ..] = letters {
        word = word << 8 | *first as u64;
        letters = rest;
    }
    word
}

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
    /// Looks at a text as it stands in its document, up to what is still wanted of all texts.
    pub fn read(&mut self, escaped: &str) {
        // The letters of the word at hand, and how many there are.
        let (mut word, mut length) = (0_u64, 0_usize);
        let mut rest = escaped.as_bytes();
        let (mut left, mut latin) = (SAMPLE.saturating_sub(self.seen), 0);
        while let ([first, after @ ..], 1..) = (rest, left) {
            left -= 1;
            rest = after;
            let small = *first | 0x20;
            if small.is_ascii_lowercase() {
                latin += 1;
                length += 1;
                word = word << 8 | u64::from(small);
                continue;
            }
            if *first >= 0x80 {
                let at = escaped.len().saturating_sub(rest.len()).saturating_sub(1);
                let c = escaped.get(at..).and_then(|text| text.chars().next()).unwrap_or(' ');
                rest = rest.get(c.len_utf8().saturating_sub(1)..).unwrap_or_default();
                if self.letter(c) {
                    // No word with it is a common one of English.
                    length += FOREIGN;
                    continue;
                }
            } else if *first == b'\\' {
                // What an escape stands for is no letter, or only other programs escape it.
                rest = rest.get(1..).unwrap_or_default();
            }
            self.word(word, length);
            (word, length) = (0, 0);
        }
        self.word(word, length);
        self.latin = self.latin.saturating_add(latin);
        self.seen = SAMPLE.saturating_sub(left);
    }

    /// A letter that is not of ASCII.
    fn letter(&mut self, c: char) -> bool {
        let count = match c {
            '\u{c0}'..='\u{24f}' => &mut self.latin,
            '\u{400}'..='\u{52f}' => &mut self.cyrillic,
            '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' => {
                &mut self.east_asian
            }
            c if c.is_alphabetic() => &mut self.other,
            _ => return false,
        };
        *count = count.saturating_add(1);
        true
    }

    fn word(&mut self, word: u64, length: usize) {
        if length == 0 {
            return;
        }
        self.words = self.words.saturating_add(1);
        if length <= LONGEST && MARKS >> (word % MARK) & 1 == 1 && ENGLISH.contains(&word) {
            self.english = self.english.saturating_add(1);
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
