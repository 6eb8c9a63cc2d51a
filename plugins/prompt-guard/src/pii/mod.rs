//! Personal data, payment data, health data and secrets, found by their form, their checksums and the
//! words next to them.
//!
//! One pass over the bytes stops only at digits, `@` and a few signs; a second one, in steps of
//! up to two, finds the marks of keys and the words of health data. What is then looked at around such a place is
//! bounded, so the cost is linear in the length of the text whatever it holds. Offsets are bytes.

mod banking;
mod bytes;
mod cards;
mod china;
mod context;
mod email;
mod entity;
mod health;
mod marks;
mod national;
mod network;
mod phone;
mod secrets;
mod western;
mod wide;

pub use entity::{Entities, Entity};

use bytes::{Number, at, before, is_word, run, run_back};
use marks::Marks;
use secrets::Form;

/// What was found where, in bytes of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub entity: Entity,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// How far a find may depend on what stands before it, in bytes.
pub const LOOK_BEHIND: usize = 64;

/// Finds a set of kinds.
#[derive(Debug)]
pub struct Scanner {
    entities: Entities,
    marks: Marks,
    /// What each of the marks is.
    kinds: Vec<Mark>,
}

#[derive(Clone, Copy, Debug)]
enum Mark {
    Secret(&'static str, Form),
    Health,
}

impl Scanner {
    /// A scanner for these kinds.
    pub fn new(entities: Entities) -> Scanner {
        let mut patterns = Vec::new();
        let mut kinds = Vec::new();
        if entities.has(Entity::Secret) {
            for (mark, form) in secrets::marks() {
                patterns.push(mark);
                kinds.push(Mark::Secret(mark, form));
            }
        }
        let health = [Entity::DateOfBirth, Entity::MedicalRecord, Entity::HealthInsurance];
        if health.into_iter().any(|entity| entities.has(entity)) {
            for word in health::words() {
                patterns.push(word);
                kinds.push(Mark::Health);
            }
        }
        Scanner { entities, marks: Marks::new(patterns), kinds }
    }

    /// Everything that is found, in order, without overlaps: of two the one that begins first, of those
    /// the longest.
    pub fn scan(&self, text: &str) -> Vec<Found> {
        match wide::narrow(text) {
            Some((narrow, places)) => {
                let mut found = self.scan_bytes(narrow.as_bytes());
                for found in &mut found {
                    found.start = places.original(found.start);
                    found.end = places.original(found.end);
                }
                found
            }
            None => self.scan_bytes(text.as_bytes()),
        }
    }

    fn scan_bytes(&self, text: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        self.scan_signs(text, &mut found);
        self.scan_marks(text, &mut found);
        found.retain(|found| self.entities.has(found.entity));
        shared::sort::by_key(&mut found, |found| (found.start, std::cmp::Reverse(found.end)));
        let mut end = 0;
        found.retain(|found| {
            let free = found.start >= end;
            if free {
                end = found.end;
            }
            free
        });
        found
    }

    fn scan_marks(&self, text: &[u8], found: &mut Vec<Found>) {
        if self.kinds.is_empty() {
            return;
        }
        let mut from = 0;
        while let Some(hit) = self.marks.find(text, from) {
            let one = match self.kinds.get(hit.number) {
                Some(Mark::Secret(mark, form)) => {
                    let bytes = text.get(hit.start..hit.end).unwrap_or_default();
                    let same = *form == Form::Assigned || mark.as_bytes() == bytes;
                    if same { secrets::find(text, hit.start, hit.end, *form) } else { None }
                }
                Some(Mark::Health) if !before(text, hit.start).is_ascii_alphabetic() => {
                    health::find(text, hit.start, hit.end - hit.start)
                }
                _ => None,
            };
            from = hit.end;
            if let Some(one) = one {
                // Marks within it, or where it ends, are part of what was found.
                from = from.max(one.end);
                found.push(one);
            }
        }
    }

    fn scan_signs(&self, text: &[u8], found: &mut Vec<Found>) {
        let mut place = 0;
        while let Some(next) = next_sign(text, place) {
            place = next;
            match self.at_sign(text, place) {
                Some(one) => {
                    place = one.end.max(place + 1);
                    found.push(one);
                }
                // The rest of a number that is none of these is none of these.
                None if at(text, place).is_ascii_digit() => {
                    place += run(text, place, usize::MAX, |byte| byte.is_ascii_digit());
                }
                None => place += 1,
            }
        }
    }

    fn at_sign(&self, text: &[u8], place: usize) -> Option<Found> {
        match at(text, place) {
            b'@' if self.entities.has(Entity::Email) => email::find(text, place),
            b':' => network::mac(text, place).or_else(|| network::ipv6(text, place)),
            b'-' => network::mac(text, place),
            b'+' | b'(' if at(text, place + 1).is_ascii_digit() => {
                if !phone::may_begin(text, place) {
                    return None;
                }
                china::mobile(text, place).or_else(|| phone::find(text, place))
            }
            byte if byte.is_ascii_digit() => self.at_digit(text, place),
            // The first byte of a character of three, as those of plates are.
            byte if byte >= 0xe0 && at(text, place + 3).is_ascii_uppercase() => {
                china::plate(text, place + 3)
            }
            _ => None,
        }
    }

    fn at_digit(&self, text: &[u8], place: usize) -> Option<Found> {
        let left = before(text, place);
        if left.is_ascii_alphabetic() {
            return self.lettered(text, place);
        }
        let continued = matches!(left, b'-' | b'.') && {
            let alphanumeric = |byte: u8| byte.is_ascii_alphanumeric();
            let token = run_back(text, place - 1, 16, alphanumeric);
            let token = text.get(place - 1 - token..place - 1).unwrap_or_default();
            token.iter().any(u8::is_ascii_digit)
        };
        if is_word(left) || continued {
            return None;
        }
        let number = Number::read(text, place);
        let bracket = at(text, number.end) == b'(' || at(text, number.end + 1) == b'(';
        if number.len < 4 && !bracket {
            // Less than an address has, which is the shortest of all.
            return None;
        }
        let one = china::uscc(text, place)
            .or_else(|| china::id_card(text, place, &number))
            .or_else(|| cards::find(text, place, &number))
            .or_else(|| western::ssn(text, place, &number))
            .or_else(|| china::mobile(text, place))
            .or_else(|| network::ipv4(text, place))
            .or_else(|| national::find(text, place, &number))
            .or_else(|| western::passport(text, place))
            .or_else(|| phone::find(text, place))?;
        let right = at(text, one.end);
        let goes_on = matches!(right, b'-' | b'.') && at(text, one.end + 1).is_ascii_digit();
        (!is_word(right) && !goes_on).then_some(one)
    }

    /// Numbers that begin with letters; `digits` is where the first digit stands.
    fn lettered(&self, text: &[u8], digits: usize) -> Option<Found> {
        banking::iban(text, digits)
            .or_else(|| china::passport(text, digits))
            .or_else(|| china::uscc(text, digits))
            .or_else(|| national::lettered(text, digits))
            .or_else(|| western::passport(text, digits))
    }
}

/// The next byte from `place` on at which something may be found: a digit, a sign, or the first byte of a character of
/// three bytes in the range of the Chinese ones.
fn next_sign(text: &[u8], mut place: usize) -> Option<usize> {
    #[cfg(target_feature = "simd128")]
    while let Some(sixteen) = text.get(place..).and_then(<[u8]>::first_chunk) {
        let sixteen = shared::sixteen::Sixteen::of(sixteen);
        // The colon follows the digits.
        let digits = sixteen.range(b'0', 11);
        let brackets = sixteen.range(b'(', 1) | sixteen.range(b'@', 1);
        let signs = sixteen.range(b'+', 1) | sixteen.range(b'-', 1) | brackets;
        let found = (digits | signs | sixteen.range(0xe4, 6)).bits();
        if found != 0 {
            return Some(place + found.trailing_zeros() as usize);
        }
        place += 16;
    }
    let is_sign =
        |byte: &u8| matches!(byte, b'0'..=b'9' | b':' | b'(' | b'@' | b'+' | b'-' | 0xe4..=0xe9);
    place += text.get(place..)?.iter().position(is_sign)?;
    Some(place)
}

#[cfg(test)]
#[allow(clippy::string_slice)]
mod tests;
