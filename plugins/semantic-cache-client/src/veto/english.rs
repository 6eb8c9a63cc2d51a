//! English questions, word by word.

use super::lists::{
    DIRECTIONS, NEGATIONS, NUMBERS, OPPOSITES, PREFIXES, QUESTION, STOP, SYNONYMS, UNITS,
};
use super::words::{Word, stem, words};
use super::{Why, quotations, same};

/// Whether two questions differ in something.
type Differs = fn(&[Word], &[Word]) -> bool;

/// What makes two questions different.
pub(super) fn differ(a: &str, b: &str) -> Option<Why> {
    let (words_a, words_b) = (words(a), words(b));
    let checks: [(Why, Differs); 8] = [
        (Why::Number, |a, b| !same(&numbers(a), &numbers(b))),
        (Why::Unit, |a, b| !same(&units(a), &units(b))),
        (Why::Negation, |a, b| negations(a) % 2 != negations(b) % 2),
        (Why::Polarity, opposite),
        (Why::Direction, swapped),
        (Why::Entity, other_names),
        (Why::Aspect, other_aspect),
        (Why::Substitution, substituted),
    ];
    if !same(&quotations(a), &quotations(b)) {
        return Some(Why::Quotation);
    }
    checks.into_iter().find(|(_, differs)| differs(&words_a, &words_b)).map(|(why, _)| why)
}

fn is(list: &[&str], word: &str) -> bool {
    list.contains(&word)
}

/// Numbers and operators, in digits.
fn numbers(words: &[Word]) -> Vec<String> {
    let mut out = Vec::new();
    for word in words {
        let text = word.text.as_str();
        if let Some((_, number)) = NUMBERS.iter().find(|(name, _)| *name == text) {
            if !number.is_empty() {
                out.push((*number).to_owned());
            }
        } else if text.starts_with(|c: char| c.is_ascii_digit()) {
            // `16gb` is 16, and the unit is another's business; `3.0` is 3.
            let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
            let number = text.get(..end).unwrap_or(text).trim_end_matches('.');
            let number = match number.split_once('.') {
                Some((whole, rest)) if rest.bytes().all(|b| b == b'0') => whole,
                _ => number,
            };
            out.push(number.to_owned());
        } else if matches!(text, "+" | "-" | "*" | "/" | "^" | "<" | ">" | "=")
            || text.bytes().any(|b| b.is_ascii_digit())
        {
            out.push(text.to_owned());
        }
    }
    out
}

/// Units that follow a number, or stand in a question about a measure.
fn units(words: &[Word]) -> Vec<usize> {
    let has_number = words.iter().any(|word| word.text.starts_with(|c: char| c.is_ascii_digit()));
    let mut out = Vec::new();
    for word in words {
        let digits = word.text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(0);
        let text = word.text.get(digits..).unwrap_or_default();
        // A single letter is a unit only where it is written together with its number.
        if (!has_number && text.len() < 3) || (text.len() == 1 && digits == 0) {
            continue;
        }
        if let Some(unit) = UNITS.iter().position(|spellings| is(spellings, text)) {
            out.push(unit);
        }
    }
    shared::sort::by(&mut out, |a, b| a < b);
    out.dedup();
    out
}

fn negations(words: &[Word]) -> usize {
    words.iter().filter(|word| is(NEGATIONS, &word.text)).count()
}

/// Whether a word of the one is the opposite of a word of the other.
fn opposite(a: &[Word], b: &[Word]) -> bool {
    let only = |mine: &[Word], other: &[Word]| -> Vec<Word> {
        mine.iter().filter(|word| !other.iter().any(|o| o.text == word.text)).cloned().collect()
    };
    let (only_a, only_b) = (only(a, b), only(b, a));
    only_a.iter().any(|one| only_b.iter().any(|two| are_opposites(one, two))) || turned_round(a, b)
}

/// Whether two opposites that both have stand in another order: the best of the worst, the worst of the best.
fn turned_round(a: &[Word], b: &[Word]) -> bool {
    let place = |words: &[Word], entry: &str| words.iter().position(|word| word.text == entry);
    let order = |words: &[Word], x: &str, y: &str| Some(place(words, x)? < place(words, y)?);
    OPPOSITES.iter().any(|(x, y)| {
        matches!((order(a, x, y), order(b, x, y)), (Some(one), Some(other)) if one != other)
    })
}

fn are_opposites(one: &Word, two: &Word) -> bool {
    let listed = OPPOSITES.iter().any(|(x, y)| {
        let fits = |word: &Word, entry: &str| {
            word.text == entry || (entry.len() > 3 && word.stem == stem(entry))
        };
        (fits(one, x) && fits(two, y)) || (fits(one, y) && fits(two, x))
    });
    let turned = |long: &Word, short: &Word| {
        short.text.len() >= 3
            && PREFIXES.iter().any(|prefix| {
                long.text.strip_prefix(prefix).is_some_and(|rest| {
                    rest == short.text || (rest.len() >= 4 && stem(rest) == short.stem)
                })
            })
    };
    // `useful` and `useless`.
    let less = |long: &Word, short: &Word| {
        long.text.strip_suffix("less").is_some_and(|root| {
            root.len() >= 3 && (short.text == root || short.text.strip_suffix("ful") == Some(root))
        })
    };
    listed || turned(one, two) || turned(two, one) || less(one, two) || less(two, one)
}

/// Words with matter of their own.
fn content(words: &[Word]) -> Vec<&Word> {
    let is_unit = |word: &Word| UNITS.iter().any(|spellings| is(spellings, &word.text));
    let is_number = |word: &Word| {
        word.text.starts_with(|c: char| c.is_ascii_digit())
            || NUMBERS.iter().any(|(name, _)| *name == word.text)
    };
    // A language called Go is one; numbers and units were compared already.
    words
        .iter()
        .filter(|word| {
            (!is(STOP, &word.text) || (word.name && word.text.len() > 1))
                && !is_unit(word)
                && !is_number(word)
        })
        .collect()
}

/// Whether two things that both have stand the other way round about a word that gives a direction.
fn swapped(a: &[Word], b: &[Word]) -> bool {
    let places = |words: &[Word], stem: &str| -> Option<usize> {
        let mut found = words.iter().enumerate().filter(|(_, word)| word.stem == stem);
        let first = found.next()?.0;
        found.next().is_none().then_some(first)
    };
    let directed = |words: &[Word], from: usize, to: usize| {
        words.get(from..to).unwrap_or_default().iter().any(|word| is(DIRECTIONS, &word.text))
    };
    let shared: Vec<(usize, usize)> = content(a)
        .iter()
        .filter_map(|word| Some((places(a, &word.stem)?, places(b, &word.stem)?)))
        .collect();
    shared.iter().enumerate().any(|(index, (a1, b1))| {
        shared.iter().skip(index + 1).any(|(a2, b2)| {
            (a1 < a2) != (b1 < b2)
                && directed(a, *a1.min(a2), *a1.max(a2))
                && directed(b, *b1.min(b2), *b1.max(b2))
                && neighbours(a, *a1.min(a2), *a1.max(a2))
                && neighbours(b, *b1.min(b2), *b1.max(b2))
        })
    })
}

/// Whether nothing of matter stands between two words.
fn neighbours(words: &[Word], from: usize, to: usize) -> bool {
    let between = words.get(from + 1..to).unwrap_or_default();
    between.iter().filter(|word| !is(STOP, &word.text) && !is(DIRECTIONS, &word.text)).count() <= 1
}

/// Whether one has a name that the other has not, in whatever spelling.
fn other_names(a: &[Word], b: &[Word]) -> bool {
    let missing = |mine: &[Word], other: &[Word]| {
        mine.iter()
            .filter(|word| word.name && !is(STOP, &word.text) && !is(NEGATIONS, &word.text))
            .any(|word| {
                !other
                    .iter()
                    .any(|o| o.stem == word.stem || o.text == word.text || synonyms(word, o))
            })
    };
    // Of a text in capitals nobody knows which are names.
    let shouts = |words: &[Word]| {
        let names = words.iter().filter(|word| word.name).count();
        names * 3 > words.len() * 2 && words.len() > 3
    };
    let (loud_a, loud_b) = (shouts(a), shouts(b));
    (!loud_a && missing(a, b)) || (!loud_b && missing(b, a))
}

/// Whether they ask for different things: who, when, where, why, or whether at all. `What` and `how` ask
/// for much, and so are let pass for each other.
fn other_aspect(a: &[Word], b: &[Word]) -> bool {
    matches!((aspect(a), aspect(b)), (Some(one), Some(two)) if one != two)
        || questions(a) != questions(b)
}

/// How many sentences ask something: `What is it? And how does it work?` wants more than `What is it?`.
fn questions(words: &[Word]) -> usize {
    let begins = words.iter().enumerate().filter(|(_, word)| word.first).map(|(at, _)| at);
    let ends = begins.clone().skip(1).chain([words.len()]);
    let sentences = begins.zip(ends).filter_map(|(from, to)| words.get(from..to));
    sentences.filter(|sentence| aspect(sentence).is_some()).count().max(1)
}

fn aspect(words: &[Word]) -> Option<&str> {
    let asked = words.iter().find(|word| {
        is(&QUESTION, &word.text) && !matches!(word.text.as_str(), "that" | "there" | "here")
    });
    let begins = words.first().map_or("", |word| word.text.as_str());
    match (asked, begins) {
        (
            _,
            "is" | "are" | "was" | "were" | "do" | "does" | "did" | "will" | "should" | "has"
            | "have",
        ) => Some("whether"),
        (Some(word), _) => match word.text.as_str() {
            "whom" | "whose" => Some("who"),
            "how" | "what" | "which" => Some("what"),
            other => Some(other),
        },
        _ => None,
    }
}

fn synonyms(one: &Word, two: &Word) -> bool {
    let fits = |word: &Word, entry: &str| word.text == entry || word.stem == stem(entry);
    SYNONYMS.iter().any(|group| {
        group.iter().any(|entry| fits(one, entry)) && group.iter().any(|entry| fits(two, entry))
    })
}

/// Whether the one has something in the place of another thing: all else is in both.
fn substituted(a: &[Word], b: &[Word]) -> bool {
    let (content_a, content_b) = (content(a), content(b));
    let left = |mine: &[&Word], other: &[&Word]| -> Vec<Word> {
        mine.iter()
            .filter(|word| {
                !other.iter().any(|o| o.stem == word.stem || similar(&o.text, &word.text))
            })
            .map(|word| (*word).clone())
            .collect()
    };
    let (mut only_a, mut only_b) = (left(&content_a, &content_b), left(&content_b, &content_a));
    // What has a word of the same meaning on the other side is no other thing.
    let is_known = |word: &Word, other: &[&Word]| other.iter().any(|o| synonyms(word, o));
    only_a.retain(|word| !is_known(word, &content_b));
    only_b.retain(|word| !is_known(word, &content_a));
    let shared = content_a.len().saturating_sub(only_a.len());
    // A text of many words says much of it twice.
    let is_long = content_a.len().min(content_b.len()) >= MANY;
    let (times, narrow) = if is_long { (1, 1) } else { (TIMES, NARROW) };
    match (only_a.len(), only_b.len()) {
        (0, 0) => false,
        // One thing for another, and all else the same.
        (1.., 1..) => {
            let most = only_a.len().max(only_b.len());
            shared < most * times || most == 1 && shared < LONG
        }
        // One has more to it: a word in a short question narrows it.
        (more, 0) | (0, more) => shared <= more * narrow,
    }
}

/// From how many words of matter on a text is long.
const MANY: usize = 8;

/// How many shared words there must be for each that is not, where both have such.
const TIMES: usize = 2;

/// How many shared words make up for one thing in the place of another.
const LONG: usize = 6;

/// How many shared words there must be for each that only one has.
const NARROW: usize = 4;

/// Whether two words are the same but for their spelling: one letter in six.
fn similar(one: &str, two: &str) -> bool {
    let shorter = one.len().min(two.len());
    if shorter < 5 || one.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    // Of the same beginning: `translate`, `translator`.
    let common = one.bytes().zip(two.bytes()).take_while(|(a, b)| a == b).count();
    if common >= 5 && common + 4 >= one.len().max(two.len()) {
        return true;
    }
    common > 0 && one.len().abs_diff(two.len()) <= 1 && distance(one, two) <= shorter / 6
}

/// Levenshtein's.
fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().take(32).collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (index, a) in one.chars().take(32).enumerate() {
        let mut before = index;
        let mut left = index + 1;
        let mut next = vec![left];
        for (b, above) in two.iter().zip(row.iter().skip(1)) {
            left = (before + usize::from(a != *b)).min(above + 1).min(left + 1);
            before = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
