//! National identity and tax numbers of other countries, where the number has check digits; a short
//! one needs its words besides.
//!
//! Rules as collected by python-stdnum, <https://arthurdejong.org/python-stdnum/>.

use super::Found;
use super::bytes::{Number, at, before, is_day, is_word, run_back};
use super::context::{Reach, Words, near};
use super::entity::Entity;

/// Whether digits have a form's checksum.
type Check = fn(&[u8]) -> bool;

const NEAR: Reach = Reach { before: 40, after: 0 };

/// A number of digits only.
pub(super) fn find(text: &[u8], start: usize, number: &Number) -> Option<Found> {
    let d = number.digits();
    let named =
        |words: &'static [&'static str]| near(text, start, number.end, NEAR, &Words::new(words));
    let fits = match (number.groups(), d.len()) {
        // Brazil: 123.456.789-09.
        ([3, 3, 3, 2] | [11], 11) if cpf(d) => number.count == 4 || named(&["cpf"]),
        // India: 2345 6789 0124.
        ([4, 4, 4] | [12], 12) if d.first() >= Some(&2) && verhoeff(d) => {
            named(&["aadhaar", "aadhar", "uidai", "आधार"])
        }
        // Korea: 900101-1234567.
        ([6, 7], 13) => {
            is_day(1900 + number.value(0, 2), number.value(2, 2), number.value(4, 2))
                && (1..=8).contains(&number.value(6, 1))
                && number.separator == b'-'
        }
        // United Kingdom: 943 476 5919.
        ([3, 3, 4] | [10], 10) if nhs(d) => named(&["nhs"]),
        // France: 1 84 12 76 451 089 46, of which the last two are the check.
        (_, 15) if insee(number) => number.count > 1 || named(&["sécu", "nir", "insee", "social"]),
        // Poland.
        ([11], 11) if weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1], 10) => named(&["pesel"]),
        // Germany.
        ([11] | [2, 3, 3, 3], 11) if mod_11_10(d) => {
            named(&["steuer", "steuer-id", "steuernummer", "idnr", "tax id", "tin"])
        }
        // Sweden: 811228-9874.
        ([6 | 8, 4], 10 | 12) if super::bytes::luhn(d.get(d.len().saturating_sub(10)..)?) => {
            named(&["personnummer", "samordningsnummer"])
        }
        // South Africa.
        ([13], 13) if super::bytes::luhn(d) => {
            named(&["south africa", "id number", "sa id", "rsa id"])
        }
        // Turkey.
        ([11], 11) if turkey(d) => named(&["tc kimlik", "kimlik", "t.c."]),
        _ => false,
    };
    fits.then_some(Found { entity: Entity::NationalId, start, end: number.end })
}

/// A number that has letters before its first digit, which stands at `digits`.
pub(super) fn lettered(text: &[u8], digits: usize) -> Option<Found> {
    let letters = run_back(text, digits, 8, |byte| byte.is_ascii_alphabetic());
    let start = digits.checked_sub(letters)?;
    if is_word(before(text, start)) {
        return None;
    }
    let forms: [(&str, Check); 6] = [
        // United Kingdom, national insurance.
        ("AA999999A", nino),
        ("AA 99 99 99 A", nino),
        // Italy.
        ("AAAAAA99A99A999A", italy),
        // Singapore.
        ("A9999999A", singapore),
        // Spain, for foreigners.
        ("A9999999A", spain),
        // India, tax; its fourth letter says whose it is.
        ("AAAAA9999A", pan),
    ];
    forms.into_iter().find_map(|(form, valid)| {
        let value = text.get(start..start + form.len())?;
        let fits = value.iter().zip(form.bytes()).all(|(byte, form)| match form {
            b'9' => byte.is_ascii_digit(),
            b'A' => byte.is_ascii_uppercase(),
            other => *byte == other,
        });
        let end = start + form.len();
        (fits && !is_word(at(text, end)) && valid(value)).then_some(Found {
            entity: Entity::NationalId,
            start,
            end,
        })
    })
}

fn weighted(digits: &[u8], weights: &[u32], modulus: u32) -> bool {
    let sum: u32 =
        digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    sum.is_multiple_of(modulus) && digits.iter().any(|digit| Some(digit) != digits.first())
}

fn cpf(digits: &[u8]) -> bool {
    let check = |count: u32| {
        let sum: u32 = (0..count)
            .zip(digits)
            .map(|(place, digit)| u32::from(*digit) * (count + 1 - place))
            .sum();
        sum * 10 % 11 % 10
    };
    let same = digits.iter().all(|digit| Some(digit) == digits.first());
    !same
        && digits.get(9).is_some_and(|digit| u32::from(*digit) == check(9))
        && digits.get(10).is_some_and(|digit| u32::from(*digit) == check(10))
}

fn nhs(digits: &[u8]) -> bool {
    weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1], 11)
}

fn insee(number: &Number) -> bool {
    let head =
        number.digits().iter().take(13).fold(0_u64, |all, digit| all * 10 + u64::from(*digit));
    let sex = matches!(number.value(0, 1), 1 | 2);
    let month = matches!(number.value(3, 2), 1..=12 | 20..=42 | 50..=99);
    sex && month && 97 - head % 97 == u64::from(number.value(13, 2))
}

/// ISO 7064, MOD 11,10.
fn mod_11_10(digits: &[u8]) -> bool {
    let (last, head) = match digits.split_last() {
        Some((last, head)) => (u32::from(*last), head),
        None => return false,
    };
    let product = head.iter().fold(10, |product, digit| {
        let sum = (product + u32::from(*digit)) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    head.first() != Some(&0) && (11 - product) % 10 == last
}

fn turkey(digits: &[u8]) -> bool {
    let at = |place: usize| digits.get(place).map_or(0, |digit| i32::from(*digit));
    let odd: i32 = [0, 2, 4, 6, 8].into_iter().map(at).sum();
    let even: i32 = [1, 3, 5, 7].into_iter().map(at).sum();
    let all: i32 = (0..10).map(at).sum();
    at(0) != 0 && (odd * 7 - even).rem_euclid(10) == at(9) && all % 10 == at(10)
}

/// <https://en.wikipedia.org/wiki/Verhoeff_algorithm>: the dihedral group of order ten.
fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let times = |a: u8, b: u8| match (a / 5, b / 5) {
        (0, 0) => (a + b) % 5,
        (0, _) => 5 + (a + b) % 5,
        (_, 0) => 5 + (a + 5 - b) % 5,
        _ => (a + 5 - b % 5) % 5,
    };
    let check = digits.iter().rev().enumerate().fold(0, |check, (place, digit)| {
        let turned = (0..place % 8)
            .fold(*digit, |digit, _| PERMUTATION.get(usize::from(digit)).copied().unwrap_or(0));
        times(check, turned)
    });
    check == 0
}

fn nino(value: &[u8]) -> bool {
    let head = value.get(..2).unwrap_or_default();
    let barred = head.iter().any(|byte| b"DFIQUV".contains(byte)) || head.get(1) == Some(&b'O');
    let unused = [&b"BG"[..], b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ"].contains(&head);
    !barred && !unused && value.last().is_some_and(|last| (b'A'..=b'D').contains(last))
}

fn digits_of(value: &[u8]) -> impl Iterator<Item = u32> {
    value.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'))
}

fn singapore(value: &[u8]) -> bool {
    let sum: u32 = digits_of(value).zip([2, 7, 6, 5, 4, 3, 2]).map(|(d, w)| d * w).sum();
    let (add, letters) = match value.first() {
        Some(b'S') => (0, b"JZIHGFEDCBA"),
        Some(b'T') => (4, b"JZIHGFEDCBA"),
        Some(b'F') => (0, b"XWUTRQPNMLK"),
        Some(b'G') => (4, b"XWUTRQPNMLK"),
        _ => return false,
    };
    let place = usize::try_from((sum + add) % 11).unwrap_or(0);
    value.last() == letters.get(place)
}

fn spain(value: &[u8]) -> bool {
    let first = match value.first() {
        Some(b'X') => 0,
        Some(b'Y') => 1,
        Some(b'Z') => 2,
        _ => return false,
    };
    let number = digits_of(value).fold(first, |all, digit| all * 10 + digit);
    let place = usize::try_from(number % 23).unwrap_or(0);
    value.last() == b"TRWAGMYFPDXBNJZSQVHLCKE".get(place)
}

fn pan(value: &[u8]) -> bool {
    value.get(3).is_some_and(|byte| b"ABCFGHLJPT".contains(byte))
}

/// The check letter of a codice fiscale.
fn italy(value: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let sum: u32 = value
        .iter()
        .take(15)
        .enumerate()
        .map(|(place, byte)| {
            let number =
                if byte.is_ascii_digit() { byte - b'0' } else { byte.saturating_sub(b'A') };
            match place % 2 {
                0 => ODD.get(usize::from(number)).copied().unwrap_or(0),
                _ => u32::from(number),
            }
        })
        .sum();
    value.last().is_some_and(|last| u32::from(last.saturating_sub(b'A')) == sum % 26)
}
