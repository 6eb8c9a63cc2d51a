//! What HIPAA names besides: numbers of medical records and insurances, dates of birth. None has a form
//! of its own, so words must say what they are.

use super::Found;
use super::bytes::{at, is_day, is_word, run};
use super::entity::Entity;

/// Words, what they stand for.
const RECORD: [&str; 9] = [
    "mrn",
    "medical record",
    "patient id",
    "patient number",
    "chart number",
    "病历号",
    "病案号",
    "住院号",
    "门诊号",
];
const INSURANCE: [&str; 14] = [
    "member id",
    "insurance id",
    "insurance number",
    "insurance no",
    "policy number",
    "health plan",
    "subscriber id",
    "medicare",
    "medicaid",
    "mbi",
    "health insurance",
    "医保号",
    "医保卡号",
    "社保号",
];
const BIRTH: [&str; 17] = [
    "dob",
    "d.o.b",
    "date of birth",
    "born",
    "birth date",
    "birthdate",
    "birthday",
    "geburtsdatum",
    "geboren",
    "date de naissance",
    "né le",
    "née le",
    "fecha de nacimiento",
    "data di nascita",
    "出生日期",
    "生日",
    "生年月日",
];

/// How far a value may stand behind its words.
const REACH: usize = 16;

/// What a word that begins at `start` introduces, and where that stands. Called for the places where
/// one of the words was found, which is `len` bytes long.
pub(super) fn find(text: &[u8], start: usize, len: usize) -> Option<Found> {
    let word = text.get(start..start + len)?.to_ascii_lowercase();
    let word = std::str::from_utf8(&word).ok()?;
    let value = value_after(text, start + len)?;
    if BIRTH.contains(&word) {
        let end = date(text, value)?;
        return Some(Found { entity: Entity::DateOfBirth, start: value, end });
    }
    let entity =
        if RECORD.contains(&word) { Entity::MedicalRecord } else { Entity::HealthInsurance };
    let count = run(text, value, 24, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let token = text.get(value..value + count)?;
    let digits = token.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = token.iter().filter(|byte| byte.is_ascii_lowercase()).count();
    let fits = (5..=20).contains(&count) && digits >= 4 && letters == 0 && !token.ends_with(b"-");
    (fits && !is_word(at(text, value + count))).then_some(Found {
        entity,
        start: value,
        end: value + count,
    })
}

/// All words that [`find`] knows.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    RECORD.into_iter().chain(INSURANCE).chain(BIRTH)
}

/// The first digit or capital letter behind a word, over a colon, `is`, `number` and the like.
fn value_after(text: &[u8], end: usize) -> Option<usize> {
    if at(text, end).is_ascii_alphabetic() {
        return None;
    }
    let window = text.get(end..end.saturating_add(REACH).min(text.len()))?;
    let mut place = 0;
    while let Some(byte) = window.get(place) {
        if byte.is_ascii_digit() {
            return Some(end + place);
        }
        if byte.is_ascii_alphabetic() {
            let word =
                run(window, place, REACH, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let token = window.get(place..place + word)?;
            if token.iter().any(u8::is_ascii_digit) {
                return Some(end + place);
            }
            let filler =
                [&b"is"[..], b"was", b"no", b"number", b"on", b"id", b"card", b"num", b"the"];
            if !filler.iter().any(|known| token.eq_ignore_ascii_case(known)) {
                return None;
            }
            place += word;
        } else if matches!(byte, b'\n' | b';') {
            return None;
        } else {
            place += 1;
        }
    }
    None
}

/// A date of three numbers, the year first or last; where it ends.
fn date(text: &[u8], start: usize) -> Option<usize> {
    let mut numbers = [0_u32; 3];
    let mut place = start;
    for (index, number) in numbers.iter_mut().enumerate() {
        let count = run(text, place, 5, |byte| byte.is_ascii_digit());
        let digits = text.get(place..place + count)?;
        *number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        place += count;
        if index < 2 {
            let rest = text.get(place..)?;
            let skip = ["年", "月", "-", "/", ".", " "]
                .into_iter()
                .find(|s| rest.starts_with(s.as_bytes()));
            place += skip?.len();
        }
    }
    let [a, b, c] = numbers;
    let day = is_day(a, b, c) || is_day(c, a, b) || is_day(c, b, a) || is_day(1900 + c % 100, a, b);
    (day && !is_word(at(text, place))).then_some(place)
}
