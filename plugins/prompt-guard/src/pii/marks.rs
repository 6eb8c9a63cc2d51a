//! Many short literals in one pass that skips: the algorithm of Wu and Manber, "A fast algorithm for
//! multi-pattern searching" (University of Arizona TR-94-17, 1994), with blocks of two bytes.
//!
//! Every pattern has at least three bytes, so the pair of the second and the third byte of a place
//! tells for most places that neither there nor at the next a pattern begins. An automaton looks at
//! every byte, and keeps a row of 256 states for every byte of every pattern.

/// Fewest bytes of a pattern.
const LEAST: usize = 3;

/// So many bits of a byte count: they are the same for a capital letter and its small one.
const BITS: u32 = 5;
const PAIRS: usize = 1 << (2 * BITS);

/// Patterns; capital letters of ASCII and small ones are the same.
#[derive(Debug)]
pub(super) struct Marks {
    patterns: Vec<&'static [u8]>,
    /// By pair: how far to go on; 0 if a pattern may begin here.
    skips: Vec<u8>,
    /// By pair: the first bytes of its patterns, as bits. Most places are told by them to be none.
    starts: Vec<u32>,
    /// By pair: where its patterns begin among `sorted`, at most 65,535.
    firsts: Vec<u16>,
    /// By pair and, of those, longest first: the numbers of the patterns.
    sorted: Vec<(u16, u16)>,
}

/// A pattern and where it stands, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// Its number.
    pub number: usize,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

impl Marks {
    /// These patterns; one that is too short is never found.
    pub(super) fn new(patterns: Vec<&'static str>) -> Marks {
        let patterns: Vec<&[u8]> = patterns.into_iter().map(str::as_bytes).collect();
        let mut skips = vec![2_u8; PAIRS];
        let mut starts = vec![0_u32; PAIRS];
        let mut sorted = Vec::with_capacity(patterns.len());
        for (number, pattern) in (0_u16..).zip(&patterns) {
            let [a, b, c, ..] = pattern else { continue };
            if let Some(skip) = skips.get_mut(pair(*a, *b)) {
                *skip = (*skip).min(1);
            }
            if let Some(skip) = skips.get_mut(pair(*b, *c)) {
                *skip = 0;
            }
            if let Some(starts) = starts.get_mut(pair(*b, *c)) {
                *starts |= bit(*a);
            }
            sorted.push((u16::try_from(pair(*b, *c)).unwrap_or(0), number));
        }
        let len = |number: u16| patterns.get(usize::from(number)).map_or(0, |one| one.len());
        shared::sort::by_key(&mut sorted, |(pair, number)| {
            (*pair, std::cmp::Reverse(len(*number)), *number)
        });
        let mut firsts = vec![0_u16; PAIRS];
        for (at, (pair, _)) in (0_u16..).zip(&sorted).collect::<Vec<_>>().into_iter().rev() {
            if let Some(first) = firsts.get_mut(usize::from(*pair)) {
                *first = at;
            }
        }
        Marks { patterns, skips, starts, firsts, sorted }
    }

    /// The first pattern from `from` on; of several that begin there the longest.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<Hit> {
        let mut at = from.saturating_add(LEAST - 2);
        while let (Some(one), Some(other)) = (text.get(at), text.get(at + 1)) {
            let pair = pair(*one, *other);
            match self.skips.get(pair) {
                Some(0) => {
                    let first = text.get(at - 1).map_or(0, |first| bit(*first));
                    if self.starts.get(pair).is_some_and(|starts| starts & first != 0)
                        && let Some(hit) = self.hit(text, at - 1, pair)
                    {
                        return Some(hit);
                    }
                    at += 1;
                }
                skip => at += skip.map_or(1, |skip| usize::from(*skip)),
            }
        }
        None
    }

    fn hit(&self, text: &[u8], start: usize, pair: usize) -> Option<Hit> {
        let rest = text.get(start..)?;
        let first = self.firsts.get(pair)?;
        let same = self.sorted.get(usize::from(*first)..)?.iter();
        same.take_while(|(of, _)| usize::from(*of) == pair).find_map(|(_, number)| {
            let number = usize::from(*number);
            let pattern = *self.patterns.get(number)?;
            if !pattern.first()?.eq_ignore_ascii_case(rest.first()?) {
                return None;
            }
            let shown = rest.get(..pattern.len())?;
            let end = start + pattern.len();
            shown.eq_ignore_ascii_case(pattern).then_some(Hit { number, start, end })
        })
    }
}

/// The bit of a byte, by what of it counts.
#[inline(always)]
fn bit(byte: u8) -> u32 {
    1 << (byte & ((1 << BITS) - 1))
}

#[inline(always)]
fn pair(one: u8, other: u8) -> usize {
    const MASK: usize = (1 << BITS) - 1;
    (usize::from(one) & MASK) << BITS | (usize::from(other) & MASK)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATTERNS: [&str; 9] = ["abc", "abcd", "bcb", "cab", "aaa", "aaab", "://", "密码", "x-yz"];

    fn all(text: &[u8]) -> Vec<(usize, usize, usize)> {
        let marks = Marks::new(PATTERNS.to_vec());
        let (mut found, mut from) = (Vec::new(), 0);
        while let Some(hit) = marks.find(text, from) {
            found.push((hit.number, hit.start, hit.end));
            from = hit.end;
        }
        found
    }

    /// The same by an automaton.
    fn expected(text: &[u8]) -> Vec<(usize, usize, usize)> {
        let automaton = aho_corasick::AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(aho_corasick::MatchKind::LeftmostLongest)
            .build(PATTERNS)
            .unwrap();
        let hits = automaton.find_iter(text);
        hits.map(|hit| (hit.pattern().as_usize(), hit.start(), hit.end())).collect()
    }

    #[test]
    fn the_longest_of_those_that_begin_first_is_found() {
        assert_eq!(all(b"xABCd://"), [(1, 1, 5), (6, 5, 8)]);
        assert_eq!(all("我的密码abc".as_bytes()), [(7, 6, 12), (0, 12, 15)]);
        assert_eq!(all(b"ab"), []);
    }

    proptest! {
        #[test]
        fn finds_are_those_of_an_automaton(text in "[a-dA-DxyzXYZ:/码密 -]{0,60}") {
            prop_assert_eq!(all(text.as_bytes()), expected(text.as_bytes()));
        }
    }
}
