//! Numbers of China: identity card (GB 11643), unified social credit code (GB 32100), mobile phone,
//! passport, vehicle plate.

use super::Found;
use super::bytes::{Number, at, before, is_day, is_word, run};
use super::context::{Reach, Words, near};
use super::entity::Entity;

/// The first two digits of an identity card: provinces, and where residents of Hong Kong, Macao and
/// Taiwan live.
const PROVINCES: [u32; 37] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52,
    53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83, 91, 92,
];

/// The weights of ISO 7064, MOD 11-2: powers of two.
const ID_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

/// An identity card of 18 characters.
pub(super) fn id_card(text: &[u8], start: usize, number: &Number) -> Option<Found> {
    let last = at(text, number.end);
    let (check, end) = match (number.len, last) {
        (18, _) => (u32::from(*number.digits().last()?), number.end),
        (17, b'X' | b'x') => (10, number.end + 1),
        _ => return None,
    };
    // One piece, or area, birth and the rest with a space or hyphen between.
    if !matches!(number.groups(), [_] | [6, 8, 3 | 4]) || is_word(at(text, end)) {
        return None;
    }
    let born = (number.value(6, 4), number.value(10, 2), number.value(12, 2));
    let sum: u32 = number
        .digits()
        .iter()
        .zip(ID_WEIGHTS)
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .sum();
    let valid = (12 - sum % 11) % 11 == check
        && PROVINCES.contains(&number.value(0, 2))
        && is_day(born.0, born.1, born.2);
    valid.then_some(Found { entity: Entity::CnId, start, end })
}

/// A mobile number, with or without the country's code.
pub(super) fn mobile(text: &[u8], start: usize) -> Option<Found> {
    let mut from = start;
    for code in [&b"+86"[..], b"0086", b"86"] {
        if text.get(start..).is_some_and(|rest| rest.starts_with(code)) {
            from = start + code.len();
            if matches!(at(text, from), b' ' | b'-') {
                from += 1;
            }
            break;
        }
    }
    let coded = from != start;
    let plain =
        national(text, from).or_else(|| if coded { national(text, start) } else { None })?;
    Some(Found { entity: Entity::CnPhone, start, end: plain })
}

/// Eleven digits in one piece or as 3-4-4; where they end.
fn national(text: &[u8], start: usize) -> Option<usize> {
    let number = Number::read(text, start);
    let number = match number.groups() {
        [11] | [3, 4, 4] => number,
        [11, ..] => Number::first(text, start, 1)?,
        [3, 4, 4, ..] => Number::first(text, start, 3)?,
        _ => return None,
    };
    let (second, third) = (*number.digits().get(1)?, *number.digits().get(2)?);
    let used = match second {
        3 | 8 => true,
        4 => third >= 5,
        5 => third != 4,
        6 => matches!(third, 2 | 5 | 6 | 7),
        7 => third <= 8,
        9 => third != 4,
        _ => false,
    };
    let alone = !matches!(number.separator, b'.' | 1) && !is_word(at(text, number.end));
    (number.digits().first() == Some(&1) && used && alone).then_some(number.end)
}

/// The characters of a unified social credit code: no I, O, S, V, Z.
const USCC: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
const USCC_WEIGHTS: [u32; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];

/// A unified social credit code.
pub(super) fn uscc(text: &[u8], start: usize) -> Option<Found> {
    let end = start + 18;
    let code = text.get(start..end)?;
    let kind =
        matches!(at(code, 0), b'1' | b'5' | b'9') && matches!(at(code, 1), b'1'..=b'3' | b'9');
    if !kind || is_word(at(text, end)) || !code.get(2..8)?.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = |byte: &u8| {
        let byte = byte.to_ascii_uppercase();
        USCC.iter().position(|known| *known == byte).and_then(|place| u32::try_from(place).ok())
    };
    let mut sum = 0;
    for (byte, weight) in code.iter().zip(USCC_WEIGHTS) {
        sum += value(byte)? * weight;
    }
    ((31 - sum % 31) % 31 == value(code.last()?)?).then_some(Found {
        entity: Entity::CnUscc,
        start,
        end,
    })
}

const PASSPORT_WORDS: Words = Words::new(&["护照", "護照", "passport", "通行证", "通行證"]);

/// A passport: `E12345678`, `EA1234567`, and the passes for Hong Kong and Macao. `digits` is where its
/// digits begin.
pub(super) fn passport(text: &[u8], digits: usize) -> Option<Found> {
    let letters = super::bytes::run_back(text, digits, 3, |byte| byte.is_ascii_alphabetic());
    let start = digits.checked_sub(letters)?;
    let count = run(text, digits, 10, |byte| byte.is_ascii_digit());
    let end = digits + count;
    let form = matches!(
        (at(text, start).to_ascii_uppercase(), letters, count),
        (b'E' | b'G' | b'D' | b'S' | b'P' | b'H' | b'C' | b'M' | b'K', 1, 8) | (b'E', 2, 7)
    );
    let reach = Reach { before: 30, after: 0 };
    (form
        && !is_word(before(text, start))
        && !is_word(at(text, end))
        && near(text, start, end, reach, &PASSPORT_WORDS))
    .then_some(Found { entity: Entity::CnPassport, start, end })
}

/// The characters that a plate begins with.
const PLATE: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领";

/// A plate whose letter of the town stands at `letter`, right after the province's character.
pub(super) fn plate(text: &[u8], letter: usize) -> Option<Found> {
    let start = letter.checked_sub(3)?;
    let province = std::str::from_utf8(text.get(start..letter)?).ok()?;
    if !PLATE.contains(province) || !at(text, letter).is_ascii_uppercase() {
        return None;
    }
    let mut from = letter + 1;
    if text.get(from..).is_some_and(|rest| rest.starts_with("·".as_bytes())) {
        from += "·".len();
    } else if matches!(at(text, from), b' ' | b'-' | b'.') {
        from += 1;
    }
    let count = run(text, from, 8, |byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    let mut end = from + count;
    let rest = text.get(from..end)?;
    // Police, learners, trailers, Hong Kong and Macao have a character at the end.
    let special = ["警", "学", "挂", "港", "澳"]
        .into_iter()
        .find(|last| text.get(end..).is_some_and(|rest| rest.starts_with(last.as_bytes())));
    if let Some(last) = special
        && count == 4
    {
        end += last.len();
    } else if !matches!(count, 5 | 6) {
        return None;
    }
    let legal = !rest.iter().any(|byte| matches!(byte, b'I' | b'O'));
    let numbered = rest.iter().any(u8::is_ascii_digit)
        || near(text, start, end, Reach { before: 18, after: 18 }, &Words::new(&["车", "牌"]));
    (legal && numbered && !is_word(at(text, end))).then_some(Found {
        entity: Entity::CnPlate,
        start,
        end,
    })
}
