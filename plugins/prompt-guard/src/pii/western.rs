//! Numbers of the United States, and passports.

use super::Found;
use super::bytes::{Number, at, before, is_word, run, run_back};
use super::context::{Reach, Words, near};
use super::entity::Entity;

const SSN_WORDS: Words =
    Words::new(&["ssn", "social", "itin", "taxpayer", "tax id", "tin", "ss#", "social-security"]);
const OTHER_WORDS: Words = Words::new(&[
    "ticket", "order", "sku", "part", "model", "isbn", "ratio", "invoice", "item", "serial", "ref",
]);
const NEAR: Reach = Reach { before: 40, after: 16 };

/// A social security or individual taxpayer number,
/// <https://secure.ssa.gov/poms.nsf/lnx/0110201035>.
pub(super) fn ssn(text: &[u8], start: usize, number: &Number) -> Option<Found> {
    let number = match number.groups() {
        [3, 2, 4] | [9] => *number,
        [3, 2, 4, ..] => Number::first(text, start, 3)?,
        _ => return None,
    };
    let (area, group, serial) = (number.value(0, 3), number.value(3, 2), number.value(5, 4));
    if matches!(area, 0 | 666) || group == 0 || serial == 0 || number.separator == 1 {
        return None;
    }
    let end = number.end;
    let named = near(text, start, end, NEAR, &SSN_WORDS);
    let dashed = number.separator == b'-'
        && !near(text, start, end, Reach { before: 14, after: 0 }, &OTHER_WORDS);
    // The number of a well-known advertisement, and such as are in every example.
    let sample = matches!((area, group, serial), (78, 5, 1120) | (219, 9, 9999) | (123, 45, 6789));
    if !named && (sample || !dashed) {
        return None;
    }
    let entity = match (area, group) {
        (900.., 50..=65 | 70..=88 | 90..=92 | 94..=99) => Entity::UsItin,
        (900.., _) if !named => return None,
        _ => Entity::UsSsn,
    };
    Some(Found { entity, start, end })
}

const PASSPORT_WORDS: Words = Words::new(&[
    "passport",
    "passeport",
    "reisepass",
    "pasaporte",
    "passaporto",
    "passaporte",
    "paszport",
    "паспорт",
    "旅券",
]);

/// A passport's number in its context: a letter or two and 6 to 8 digits, or 9 digits.
pub(super) fn passport(text: &[u8], digits: usize) -> Option<Found> {
    let letters = run_back(text, digits, 3, |byte| byte.is_ascii_alphabetic());
    let start = digits.checked_sub(letters)?;
    let count = run(text, digits, 10, |byte| byte.is_ascii_digit());
    let tail = run(text, digits + count, 2, |byte| byte.is_ascii_uppercase());
    let end = digits + count + tail;
    let form = matches!((letters, count, tail), (0, 8..=9, 0) | (1..=2, 6..=8, 0..=1) | (0, 8, 1));
    (form
        && !is_word(before(text, start))
        && !is_word(at(text, end))
        && near(text, start, end, Reach { before: 32, after: 0 }, &PASSPORT_WORDS))
    .then_some(Found { entity: Entity::Passport, start, end })
}
