//! IBANs, ISO 13616: <https://www.swift.com/standards/data-standards/iban-international-bank-account-number>.

use super::Found;
use super::bytes::{at, before, is_word};
use super::entity::Entity;

/// The countries and the lengths of their numbers.
const LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 \
    CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 \
    HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 \
    ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 \
    SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

/// An IBAN whose check digits stand at `digits`.
pub(super) fn iban(text: &[u8], digits: usize) -> Option<Found> {
    let start = digits.checked_sub(2)?;
    let country = [at(text, start).to_ascii_uppercase(), at(text, start + 1).to_ascii_uppercase()];
    if is_word(before(text, start)) || !at(text, digits + 1).is_ascii_digit() {
        return None;
    }
    let length = length(country)?;
    let (mut rest, mut count, mut end) = (0_u32, 0, start);
    // The first four characters go to the end.
    let mut head = [0_u8; 4];
    while count < length {
        let byte = at(text, end);
        if byte == b' ' || byte == b'-' {
            // Groups of four.
            if count % 4 != 0 || !at(text, end + 1).is_ascii_alphanumeric() {
                return None;
            }
            end += 1;
            continue;
        }
        if !byte.is_ascii_alphanumeric() {
            return None;
        }
        match head.get_mut(count) {
            Some(slot) => *slot = byte,
            None => rest = add(rest, byte),
        }
        count += 1;
        end += 1;
    }
    let rest = head.into_iter().fold(rest, add);
    (rest == 1 && !is_word(at(text, end))).then_some(Found { entity: Entity::Iban, start, end })
}

fn length(country: [u8; 2]) -> Option<usize> {
    let known = LENGTHS.split(' ').find(|entry| entry.as_bytes().starts_with(&country))?;
    known.get(2..)?.trim().parse().ok()
}

/// One more character of a number modulo 97; letters stand for 10 to 35.
fn add(rest: u32, byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.to_ascii_uppercase().saturating_sub(b'A')) + 10) % 97,
    }
}
