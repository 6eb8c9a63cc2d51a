//! What makes two similar questions different in spite of it.
//!
//! An embedder puts `enable` next to `disable`, 15 next to 16 and `from A to B` on top of `from B to A`.
//! So two questions that are similar are compared word by word for what turns an answer round: numbers,
//! units, negation, opposites, direction, quotations, names, and one thing in the place of another. It is
//! meant to be wrong on the safe side: a veto costs a hit.

mod chinese;
mod english;
mod lists;
mod words;

use crate::config::Language;

/// Why an answer to the one question is none to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// Other numbers.
    Number,
    /// Other units.
    Unit,
    /// One of them says no.
    Negation,
    /// Opposites.
    Polarity,
    /// The other way round.
    Direction,
    /// Other quotations.
    Quotation,
    /// Other names.
    Entity,
    /// One thing in the place of another.
    Substitution,
    /// They ask for different things: who, when, where, why.
    Aspect,
}

impl Why {
    /// The word for it in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Why::Number => "number",
            Why::Unit => "unit",
            Why::Negation => "negation",
            Why::Polarity => "polarity",
            Why::Direction => "direction",
            Why::Quotation => "quotation",
            Why::Entity => "entity",
            Why::Substitution => "substitution",
            Why::Aspect => "aspect",
        }
    }
}

/// What makes two questions different; `None` if nothing was found.
pub fn differ(a: &str, b: &str) -> Option<Why> {
    if a == b {
        return None;
    }
    match (language(a), language(b)) {
        (Language::Zh, Language::Zh) => chinese::differ(a, b),
        // The same in two languages: numbers and names must agree at least.
        (Language::Zh, _) | (_, Language::Zh) => chinese::differ(a, b),
        _ => english::differ(a, b),
    }
}

/// A text's language by its letters: Chinese characters without Japanese or Korean ones are Chinese,
/// Latin letters alone count as English.
pub fn language(text: &str) -> Language {
    let (mut han, mut latin, mut other) = (0_usize, 0_usize, 0_usize);
    for letter in text.chars().filter(|letter| letter.is_alphabetic()) {
        match letter {
            '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2ebef}' => {
                han += 1
            }
            'a'..='z' | 'A'..='Z' => latin += 1,
            // With an accent.
            '\u{c0}'..='\u{24f}' => latin += 1,
            _ => other += 1,
        }
    }
    // A Greek letter or two in a formula are none of another language.
    if other * 4 > latin + han {
        Language::Other
    } else if han > 0 {
        Language::Zh
    } else {
        Language::En
    }
}

/// Whether two lists have the same members, in whatever order.
fn same<T: Ord + Clone>(a: &[T], b: &[T]) -> bool {
    let sorted = |list: &[T]| {
        let mut list = list.to_vec();
        shared::sort::by(&mut list, |a, b| a < b);
        list
    };
    a.len() == b.len() && sorted(a) == sorted(b)
}

/// Texts between quotation marks, in small letters.
fn quotations(text: &str) -> Vec<String> {
    const MARKS: [(char, char); 7] =
        [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('`', '`'), ('「', '」'), ('《', '》')];
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((at, open)) =
        rest.char_indices().find(|(_, c)| MARKS.iter().any(|(open, _)| open == c))
    {
        let after = rest.get(at + open.len_utf8()..).unwrap_or_default();
        let close = MARKS.iter().find(|(mark, _)| *mark == open).map_or(open, |(_, close)| *close);
        let Some(end) = after.find(close) else { break };
        let quoted = after.get(..end).unwrap_or_default().trim().to_lowercase();
        if !quoted.is_empty() {
            found.push(quoted);
        }
        rest = after.get(end + close.len_utf8()..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests;
