//! Payment and bank cards.
//!
//! Lengths and first digits by ISO/IEC 7812 and the lists of the schemes,
//! <https://en.wikipedia.org/wiki/Payment_card_number>.

use super::Found;
use super::bytes::{Number, luhn};
use super::context::{Reach, Words, near};
use super::entity::Entity;

const CONTEXT: Words = Words::new(&[
    "card", "credit", "debit", "visa", "maestro", "cc", "pan", "pay", "卡", "karte", "tarjeta",
    "carte",
]);
const REACH: Reach = Reach { before: 32, after: 8 };

/// A card at this number.
pub(super) fn find(text: &[u8], start: usize, number: &Number) -> Option<Found> {
    let whole = card(text, start, number);
    // `4111 1111 1111 1111 123`: the check digits that follow are no part of it.
    whole.or_else(|| card(text, start, &Number::first(text, start, 4)?))
}

fn card(text: &[u8], start: usize, number: &Number) -> Option<Found> {
    let digits = number.digits();
    if !(12..=19).contains(&digits.len()) || !grouped(number) || !luhn(digits) {
        return None;
    }
    let entity = scheme(number)?;
    // Thirteen or fewer digits are as often something else.
    let sure = digits.len() > 13 && entity != Scheme::Maestro;
    if !sure && !near(text, start, number.end, REACH, &CONTEXT) {
        return None;
    }
    let varied = digits.iter().any(|digit| Some(digit) != digits.first());
    let entity = match entity {
        Scheme::UnionPay => Entity::CnBankCard,
        _ => Entity::CreditCard,
    };
    varied.then_some(Found { entity, start, end: number.end })
}

/// In one piece, in fours, or as American Express and Diners Club print them.
fn grouped(number: &Number) -> bool {
    if number.count == 1 {
        return true;
    }
    if !matches!(number.separator, b' ' | b'-') {
        return false;
    }
    match number.groups() {
        [4, 6, 4 | 5] => true,
        [rest @ .., last] => rest.iter().all(|group| *group == 4) && *last <= 4,
        [] => false,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Common,
    Maestro,
    UnionPay,
}

fn scheme(number: &Number) -> Option<Scheme> {
    let (two, three, four) = (number.value(0, 2), number.value(0, 3), number.value(0, 4));
    let scheme = match number.len {
        13 | 16 | 19 if two / 10 == 4 => Scheme::Common,
        16 if matches!(two, 51..=55) || matches!(four, 2221..=2720) => Scheme::Common,
        15 if matches!(two, 34 | 37) => Scheme::Common,
        14 if matches!(two, 36 | 38 | 39) || matches!(three, 300..=305 | 309) => Scheme::Common,
        16 if matches!(two, 65) || four == 6011 || matches!(three, 644..=649) => Scheme::Common,
        16 if matches!(four, 3528..=3589) => Scheme::Common,
        // JCB's old range, and Mir's.
        15 if matches!(four, 1800 | 2131) => Scheme::Common,
        16 if matches!(four, 2200..=2204) => Scheme::Common,
        16..=19 if two == 62 => Scheme::UnionPay,
        12..=19 if matches!(two, 50 | 56..=61 | 63..=69) => Scheme::Maestro,
        _ => return None,
    };
    Some(scheme)
}
