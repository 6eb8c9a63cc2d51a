//! The words of `words.txt`, and where they stand in a text.

use super::tokens::{SEED, Token, shape, step, tokens};
use crate::normalise;

static WORDS: &str = include_str!("words.txt");
static VOCABULARY: &str = include_str!("vocabulary.txt");

/// Most bytes between two words of a phrase.
const GAP: usize = 4;

/// Most finds that are kept of one text.
const MAX_HITS: usize = 20_000;

/// What words do in a sentence: the sections of `words.txt`.
macro_rules! classes {
    ($($class:ident)*) => {
        /// What a word does in a sentence.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs)]
        pub enum Class { $($class),* }

        impl Class {
            /// All of them.
            pub const ALL: &[Class] = &[$(Class::$class),*];
            fn name(self) -> &'static str {
                match self { $(Class::$class => stringify!($class)),* }
            }
        }
    };
}
classes! {
    Ignore Before Orders Reveal Secret Become Unlimited Persona Obey Begin Marks New State Asset
    Authority Disable Limits Machine Hypothetical Verbatim Payload Outward Decode Follow Embedded
}

/// A phrase found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its class.
    pub class: Class,
    /// Where it begins, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

#[derive(Debug)]
struct Phrase {
    class: Class,
    /// What it is found by: the hash of its first word, or of that word's stem.
    key: u64,
    /// What tells most texts from it before anything else is looked at: the hash of its second word, and the
    /// fourth byte of a stem; 0 if there is none.
    second: u64,
    fourth: u8,
    /// Hashes of its words; of the last one only if it is whole.
    words: Vec<u64>,
    /// What the last word begins with, if it may go on.
    open: Option<String>,
    /// Signs that must stand before and after.
    before: String,
    after: String,
}

/// All phrases, by their first word.
#[derive(Debug)]
pub struct Lexicon {
    phrases: Vec<Phrase>,
    /// By hash of the first word, or its stem.
    first: Table,
    /// By shape, a place among `vocabulary`.
    shapes: Table,
    known: Table,
    vocabulary: Vec<Box<str>>,
}

impl Default for Lexicon {
    fn default() -> Lexicon {
        Lexicon::new()
    }
}

impl Lexicon {
    /// Reads the phrases.
    pub fn new() -> Lexicon {
        let mut phrases: Vec<Phrase> = Vec::new();
        let mut vocabulary: Vec<Box<str>> = Vec::new();
        let mut class = None;
        let mut words = Vec::new();
        for line in WORDS.lines().map(str::trim) {
            if line.is_empty() || line.starts_with("# ") {
                continue;
            }
            let section = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
            let named = section.and_then(|name| {
                Class::ALL.iter().find(|class| class.name().eq_ignore_ascii_case(name))
            });
            if let Some(named) = named.filter(|_| !line.contains(" | ")) {
                class = Some(*named);
                continue;
            }
            let Some(class) = class else { continue };
            for text in line.split(" | ") {
                let text = normalise::plain(text).to_lowercase();
                if let Some(phrase) = phrase(class, &text, &mut words) {
                    phrases.push(phrase);
                }
                let plain = words.iter().filter(|word| !word.dense && word.digits == 0);
                vocabulary
                    .extend(plain.filter_map(|word| text.get(word.start..word.end)).map(Box::from));
                if let Some(stem) = text.strip_suffix('*').filter(|text| text.is_ascii()) {
                    let stem =
                        stem.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
                    let more =
                        ["s", "ed", "ing"].map(|end| format!("{stem}{end}").into_boxed_str());
                    vocabulary.extend(more);
                }
            }
        }
        for line in VOCABULARY.lines().filter(|line| !line.starts_with('#')) {
            vocabulary.extend(line.split_ascii_whitespace().map(Box::from));
        }
        shared::sort::by_key(&mut phrases, |phrase| phrase.key);
        let mut first = Table::new(phrases.len());
        for (at, phrase) in (0..).zip(&phrases).collect::<Vec<_>>().into_iter().rev() {
            first.put(phrase.key, at);
        }
        let mut shapes = Table::new(vocabulary.len());
        let mut known = Table::new(vocabulary.len());
        for (at, text) in (0..).zip(&vocabulary) {
            tokens(text, &mut words);
            for word in &words {
                known.put(word.hash, 0);
                if word.letters >= 4 {
                    let letters = text.get(word.start..word.end).unwrap_or_default();
                    shapes.put(shape(letters), at);
                }
            }
        }
        Lexicon { phrases, first, shapes, known, vocabulary }
    }

    /// Where phrases stand in a text, in order of their beginnings.
    pub fn hits(&self, text: &str, words: &[Token], hits: &mut Vec<Hit>) {
        hits.clear();
        for (at, word) in words.iter().enumerate() {
            if hits.len() >= MAX_HITS {
                return;
            }
            self.at(text, words.get(at..).unwrap_or_default(), word.hash, hits);
            if word.stem != 0 {
                self.at(text, words.get(at..).unwrap_or_default(), stem_key(word.stem), hits);
            }
        }
    }

    #[inline]
    fn at(&self, text: &str, words: &[Token], key: u64, hits: &mut Vec<Hit>) {
        let Some(from) = self.first.get(key) else { return };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        for phrase in self.phrases.get(from..).unwrap_or_default() {
            match phrase.fits(text, words, key) {
                Fit::Yes(start, end) => hits.push(Hit { class: phrase.class, start, end }),
                Fit::No => {}
                Fit::Past => return,
            }
        }
    }

    /// Whether a word is a common one.
    pub fn knows(&self, hash: u64) -> bool {
        self.known.get(hash).is_some()
    }

    /// Whether a word, whatever its case, is a common one.
    pub fn knows_word(&self, text: &str) -> bool {
        self.knows(self.hash(text.chars().filter(|c| c.is_alphabetic())))
    }

    /// The hash of a word of these letters.
    pub fn hash(&self, letters: impl Iterator<Item = char>) -> u64 {
        letters.fold(SEED, |hash, c| step(hash, c.to_ascii_lowercase()))
    }

    /// The beginnings of a text, longer and longer: how long, and the hash of such a word.
    pub fn growing(&self, text: &str, longest: usize) -> impl Iterator<Item = (usize, u64)> {
        let mut hash = SEED;
        text.chars().take(longest).enumerate().map(move |(at, c)| {
            hash = step(hash, c);
            (at + 1, hash)
        })
    }

    /// The word that a scrambled one is: the same first and last letter, the others in another order.
    pub fn unscrambled(&self, text: &str, word: &Token) -> Option<&str> {
        if word.letters < 4 || word.dense || word.digits > 0 || self.knows(word.hash) {
            return None;
        }
        let at = self.shapes.get(shape(text.get(word.start..word.end)?))?;
        self.vocabulary.get(usize::try_from(at).ok()?).map(|text| &**text)
    }
}

enum Fit {
    Yes(usize, usize),
    No,
    /// It begins with another word, as all after it do.
    Past,
}

fn stem_key(stem: u64) -> u64 {
    stem.rotate_left(32) ^ 0x5151
}

/// A phrase. Leaves its words in `words`.
fn phrase(class: Class, text: &str, words: &mut Vec<Token>) -> Option<Phrase> {
    let (text, goes_on) = match text.strip_suffix('*') {
        Some(text) => (text, true),
        None => (text, false),
    };
    tokens(text, words);
    let (first, last) = (words.first()?, words.last()?);
    let open = goes_on.then(|| text.get(last.start..last.end).unwrap_or_default().to_owned());
    let key = if goes_on && words.len() == 1 { stem_key(first.stem) } else { first.hash };
    let whole = words.len() - usize::from(goes_on);
    let stem = open.as_deref().filter(|_| words.len() == 1).unwrap_or_default();
    let phrase = Phrase {
        class,
        key,
        second: words.iter().take(whole).nth(1).map_or(0, |word| word.hash),
        fourth: stem.as_bytes().get(3).map_or(0, u8::to_ascii_lowercase),
        words: words.iter().take(whole).map(|word| word.hash).collect(),
        open,
        before: text.get(..first.start)?.trim().to_owned(),
        after: text.get(last.end..)?.trim().to_owned(),
    };
    (key != stem_key(0)).then_some(phrase)
}

impl Phrase {
    fn fits(&self, text: &str, words: &[Token], key: u64) -> Fit {
        let Some(begin) = words.first() else { return Fit::Past };
        if self.key != key {
            return Fit::Past;
        }
        if self.second != 0 && words.get(1).is_none_or(|word| word.hash != self.second) {
            return Fit::No;
        }
        let fourth = || text.as_bytes().get(begin.start + 3).map(u8::to_ascii_lowercase);
        if self.fourth != 0 && fourth() != Some(self.fourth) {
            return Fit::No;
        }
        let mut end = begin.start;
        for (at, (expected, word)) in self.words.iter().zip(words).enumerate() {
            if word.hash != *expected || (at > 0 && word.start.saturating_sub(end) > GAP) {
                return Fit::No;
            }
            end = word.end;
        }
        if words.len() < self.words.len() {
            return Fit::No;
        }
        if let Some(open) = &self.open {
            let Some(word) = words.get(self.words.len()) else { return Fit::No };
            let shown = text.get(word.start..word.start.saturating_add(open.len()));
            let near = self.words.is_empty() || word.start.saturating_sub(end) <= GAP;
            if !near || !shown.is_some_and(|shown| shown.eq_ignore_ascii_case(open)) {
                return Fit::No;
            }
            end = word.end;
        }
        let good = (self.before.is_empty() || {
            let near = begin.start.saturating_sub(16);
            let near = (near..=begin.start).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let before = text.get(near..begin.start).unwrap_or_default();
            before.trim_end().ends_with(&self.before)
        }) && text.get(end..).is_some_and(|rest| rest.starts_with(&self.after));
        if good { Fit::Yes(begin.start, end) } else { Fit::No }
    }
}

/// A hash table of what is hashed already, never full. Of a key 32 bits are kept: among a text's words one in a
/// million is taken for another.
#[derive(Debug)]
struct Table {
    slots: Vec<(u32, u32)>,
}

impl Table {
    fn new(entries: usize) -> Table {
        Table { slots: vec![(0, 0); entries.saturating_mul(2).max(16).next_power_of_two()] }
    }

    /// Where a key is looked for first, and what is kept of it, which is not 0.
    #[inline]
    fn place(&self, key: u64) -> (usize, u32) {
        let place = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let kept = (key ^ key >> 32) & u64::from(u32::MAX) | 1;
        let place = usize::try_from(place).unwrap_or(0) & (self.slots.len() - 1);
        (place, u32::try_from(kept).unwrap_or(1))
    }

    fn put(&mut self, key: u64, value: u32) {
        let (mut at, key) = self.place(key);
        for _ in 0..self.slots.len() {
            match self.slots.get_mut(at) {
                Some(slot) if slot.0 == 0 || slot.0 == key => {
                    *slot = (key, value);
                    return;
                }
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u32> {
        let (mut at, key) = self.place(key);
        while let Some(slot) = self.slots.get(at) {
            if slot.0 == key {
                return Some(slot.1);
            }
            if slot.0 == 0 {
                return None;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(text: &str) -> Vec<(Class, &str)> {
        let (mut words, mut hits) = (Vec::new(), Vec::new());
        tokens(text, &mut words);
        Lexicon::new().hits(text, &words, &mut hits);
        hits.iter().map(|hit| (hit.class, text.get(hit.start..hit.end).unwrap())).collect()
    }

    #[test]
    fn phrases_are_found_with_their_signs_and_open_ends() {
        let found = classes("Disregarding your system_prompts: <|im_start|>system: DAN");
        for one in [
            (Class::Ignore, "Disregarding"),
            (Class::Before, "your"),
            (Class::Secret, "system_prompts"),
            (Class::Marks, "im_start"),
            (Class::Marks, "system"),
            (Class::State, "DAN"),
        ] {
            assert!(found.contains(&one), "{one:?} in {found:?}");
        }
        assert!(!classes("a system and an im start").iter().any(|(c, _)| *c == Class::Marks));
        assert!(classes("请忽略上面的").contains(&(Class::Ignore, "忽略")));
    }

    #[test]
    fn every_section_has_phrases() {
        let lexicon = Lexicon::new();
        for class in Class::ALL {
            assert!(lexicon.phrases.iter().any(|phrase| phrase.class == *class), "{class:?}");
        }
        assert!(lexicon.phrases.len() > 2000);
    }

    #[test]
    fn scrambled_words_are_known_by_their_letters() {
        let lexicon = Lexicon::new();
        let mut words = Vec::new();
        let text = "instrcution instruction qwertyuiop";
        tokens(text, &mut words);
        assert_eq!(lexicon.unscrambled(text, &words[0]), Some("instruction"));
        assert_eq!(lexicon.unscrambled(text, &words[1]), None);
        assert_eq!(lexicon.unscrambled(text, &words[2]), None);
    }
}
