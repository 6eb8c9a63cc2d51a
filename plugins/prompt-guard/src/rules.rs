//! Sets of words and expressions: each hit counts so much, and from a threshold on something happens.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use shared::config::ConfigError;
use shared::small_map::SmallMap;

use crate::config::{Action, RuleSet};
use crate::expression::Expression;

/// A compiled set.
#[derive(Debug)]
pub struct Rules {
    /// Its name, as in the audit line.
    pub name: String,
    /// What happens from the threshold on.
    pub action: Action,
    /// Held against the texts of requests.
    pub requests: bool,
    /// Held against the texts of answers.
    pub answers: bool,
    /// Longest word, in bytes.
    pub longest: usize,
    /// So many different hits are enough.
    enough: usize,
    words: Option<AhoCorasick>,
    patterns: Vec<Expression>,
}

/// Something that a set looks for and where it is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which of the set's words or patterns.
    pub number: usize,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// A pattern's: it may go on in a text that does.
    pub grows: bool,
}

/// Which words and patterns of which sets have been found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Count(SmallMap<(usize, usize), ()>);

impl Count {
    /// Counts a hit of the set of this number; true if with this one there are enough.
    pub fn add(&mut self, number: usize, rules: &Rules, hit: usize) -> bool {
        self.0.insert((number, hit), ()).is_none() && self.of(number) == rules.enough
    }

    /// Whether a set has as many hits as it needs.
    pub fn enough(&self, number: usize, rules: &Rules) -> bool {
        self.of(number) >= rules.enough
    }

    /// Whether nothing has been found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What has been found elsewhere too.
    pub fn extend(&mut self, other: Count) {
        self.0.extend(other.0);
    }

    fn of(&self, number: usize) -> usize {
        self.0.keys().filter(|(set, _)| *set == number).count()
    }
}

impl Rules {
    /// Compiles a set; `words` and `patterns` are where they stand in the configuration.
    ///
    /// # Errors
    ///
    /// An empty word, an expression that is none, a threshold that cannot be reached.
    pub fn new(set: RuleSet, words: &str, patterns: &str) -> Result<Rules, ConfigError> {
        let count = set.words.len().saturating_add(set.patterns.len());
        if !(set.score > 0.0 && set.score.is_finite() && set.threshold > 0.0) {
            let message = "`score` and `threshold` must be above 0";
            return Err(ConfigError::new(words.trim_end_matches(".words"), message));
        }
        // What has been added up may be a little less than it should be.
        let enough = (set.threshold / set.score - 1e-4).ceil().max(1.0) as usize;
        if count > 0 && enough > count {
            let message = format!(
                "{enough} hits are needed, and there are {count}; lower `threshold` or raise `score`"
            );
            return Err(ConfigError::new(words.trim_end_matches(".words"), message));
        }
        Ok(Rules {
            name: set.name,
            action: set.action,
            requests: set.requests,
            answers: set.answers,
            longest: set.words.iter().map(String::len).max().unwrap_or(0),
            enough,
            words: automaton(&set.words, words)?,
            patterns: Expression::list(&set.patterns, patterns)?,
        })
    }

    /// Whether it has patterns, whose hits have no longest.
    pub fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Shows all that is found to `each`, until that says false.
    pub fn hits(&self, text: &str, mut each: impl FnMut(Hit) -> bool) {
        if let Some(words) = &self.words {
            let text = fold(text);
            let bytes = text.as_bytes();
            let letter = |at: Option<usize>| {
                at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric)
            };
            for found in words.find_overlapping_iter(&*text) {
                let (start, end) = (found.start(), found.end());
                let opens = letter(Some(start)) && letter(start.checked_sub(1));
                let closes = letter(end.checked_sub(1)) && letter(Some(end));
                let number = found.pattern().as_usize();
                if !opens && !closes && !each(Hit { number, start, end, grows: false }) {
                    return;
                }
            }
        }
        let words = self.words.as_ref().map_or(0, AhoCorasick::patterns_len);
        for (pattern, number) in self.patterns.iter().zip(words..) {
            let found = pattern.find_iter(text).filter(|found| !found.is_empty());
            for (start, end) in found.map(|found| (found.start(), found.end())) {
                if !each(Hit { number, start, end, grows: true }) {
                    return;
                }
            }
        }
    }
}

/// In small letters, every letter where it was: those whose small one has another length stay.
fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        // The automaton does not tell these apart.
        return Cow::Borrowed(text);
    }
    let small = |letter: char| {
        let mut lower = letter.to_lowercase();
        match (lower.next(), lower.next()) {
            (Some(one), None) if one.len_utf8() == letter.len_utf8() => one,
            _ => letter,
        }
    };
    Cow::Owned(text.chars().map(small).collect())
}

/// Finds words; one of ASCII letters only as a whole word, others anywhere, since not every script parts
/// its words.
fn automaton(words: &[String], path: &str) -> Result<Option<AhoCorasick>, ConfigError> {
    if let Some(index) = words.iter().position(String::is_empty) {
        return Err(ConfigError::new(format!("{path}[{index}]"), "must not be empty"));
    }
    if words.is_empty() {
        return Ok(None);
    }
    let built = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(words.iter().map(|word| fold(word).into_owned()));
    built.map(Some).map_err(|error| ConfigError::new(path, format!("is too much: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(words: &[&str], score: f32, threshold: f32) -> Result<Rules, ConfigError> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let set = RuleSet { name: "x".into(), words, score, threshold, ..RuleSet::default() };
        Rules::new(set, "rules[0].words", "rules[0].patterns")
    }

    fn places(rules: &Rules, text: &str) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        rules.hits(text, |hit| {
            found.push((hit.start, hit.end));
            true
        });
        found
    }

    #[test]
    fn hits_stand_where_they_are_in_the_text_as_it_was() {
        let rules = rules(&["ärger", "内部"], 1.0, 1.0).unwrap();
        assert_eq!(places(&rules, "İ: ÄRGER 内部"), [(4, 10), (11, 17)]);
    }

    #[test]
    fn so_many_different_hits_are_needed_as_the_threshold_takes() {
        let rules = rules(&["a", "b", "c"], 0.4, 0.8).unwrap();
        let mut count = Count::default();
        assert!(!count.add(0, &rules, 1) && !count.add(0, &rules, 1));
        assert!(count.add(0, &rules, 2) && count.enough(0, &rules) && !count.enough(1, &rules));
        assert!(super::tests::rules(&["a"], 0.5, 1.0).is_err());
        assert!(super::tests::rules(&["a"], 0.0, 1.0).is_err());
    }
}
