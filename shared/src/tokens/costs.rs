//! How many tokens a piece of a text has on average, in thousandths of a token.
//!
//! Averages of o200k_base over documentation, programs and JSON; those of Chinese by least squares over
//! manual pages, newspapers and reviews.

use super::pieces::{Lead, Piece};

/// Words in small ASCII letters by their length, one letter first; after a letter's end of line or such,
/// after a space, after a sign.
const LOWER: [[u64; 16]; 3] = [
    [
        1000, 1003, 1046, 1069, 1114, 1147, 1246, 1359, 1500, 1550, 1650, 1792, 1950, 2226, 2450,
        2800,
    ],
    [
        1000, 1001, 1014, 1020, 1039, 1066, 1083, 1145, 1161, 1192, 1251, 1289, 1310, 1350, 1500,
        1904,
    ],
    [
        1011, 1129, 1216, 1294, 1317, 1360, 1567, 1765, 1903, 2171, 2250, 2426, 2500, 2600, 2997,
        3500,
    ],
];
/// Words with a capital.
const TITLE: [[u64; 16]; 3] = [
    [
        1000, 1009, 1075, 1052, 1059, 1067, 1130, 1168, 1233, 1240, 1313, 1337, 1400, 1500, 1803,
        2003,
    ],
    [
        1000, 1042, 1059, 1075, 1196, 1221, 1262, 1502, 1556, 1620, 1630, 1650, 1700, 1865, 1950,
        2201,
    ],
    [
        1100, 1442, 1694, 1680, 1700, 1854, 2019, 2300, 2301, 2301, 2310, 2325, 2350, 2487, 2545,
        2700,
    ],
];
/// Words in capitals.
const UPPER: [[u64; 16]; 3] = [
    [
        1000, 1012, 1306, 1645, 1749, 1876, 1900, 2282, 2587, 2900, 2950, 3253, 3300, 3350, 3400,
        3500,
    ],
    [
        1000, 1023, 1179, 1485, 1748, 1783, 1911, 2073, 2313, 2313, 2400, 2772, 2847, 2895, 3000,
        3100,
    ],
    [
        1063, 1297, 1550, 1550, 1653, 1748, 2019, 2078, 2304, 2310, 2865, 3374, 3483, 3573, 3922,
        4251,
    ],
];
/// Each letter beyond the sixteenth.
const LONGER: u64 = 400;

/// Signs of ASCII by how many there are.
const SIGNS: [u64; 8] = [1005, 1040, 1220, 1750, 2350, 2800, 3350, 3900];
/// Each sign beyond the eighth.
const MORE_SIGNS: u64 = 450;
/// A sign of Chinese or of typography.
const WIDE: u64 = 1000;
/// A picture.
const RARE: u64 = 1800;

/// A word in another script, besides its letters.
const OTHER_WORD: u64 = 571;
/// The same where a sign comes first, which has a token of its own.
const OTHER_WORD_AFTER_SIGN: u64 = 1900;

/// About how many thousandths of a token.
pub(super) fn of(piece: &Piece) -> u64 {
    match *piece {
        Piece::Word {
            lead,
            ascii,
            capitals,
            accented: 0,
            cyrillic: 0,
            arabic: 0,
            common_han: 0,
            han: 0,
            kana: 0,
            hangul: 0,
            other: 0,
        } => {
            let table = match capitals {
                0 => &LOWER,
                1 if ascii > 1 => &TITLE,
                _ => &UPPER,
            };
            let [none, space, sign] = table;
            let row = match lead {
                Lead::None => none,
                Lead::Space => space,
                Lead::Sign => sign,
            };
            by_length(row, ascii, LONGER)
        }
        Piece::Word {
            lead,
            ascii,
            accented,
            cyrillic,
            arabic,
            common_han,
            han,
            kana,
            hangul,
            other,
            ..
        } => {
            let base = if lead == Lead::Sign { OTHER_WORD_AFTER_SIGN } else { OTHER_WORD };
            let letters = [
                (ascii, 230),
                (accented, 550),
                (cyrillic, 200),
                (arabic, 330),
                (common_han, 557),
                (han, 1101),
                (kana, 620),
                (hangul, 560),
                (other, 500),
            ];
            letters.iter().fold(base, |sum, (count, cost)| {
                sum.saturating_add(u64::from(*count).saturating_mul(*cost))
            })
        }
        Piece::Digits(count) => u64::from(count.div_ceil(3)).saturating_mul(1_000),
        Piece::Signs { ascii, wide, rare, .. } => {
            let ascii = if ascii == 0 { 0 } else { by_length(&SIGNS, ascii, MORE_SIGNS) };
            let wide = u64::from(wide).saturating_mul(WIDE);
            ascii.saturating_add(wide).saturating_add(u64::from(rare).saturating_mul(RARE))
        }
        Piece::Breaks(_) | Piece::Spaces(_) => 1_000,
    }
}

/// [`of`] a word of so many small letters of ASCII after a space.
pub(super) fn of_small_word_after_space(letters: usize) -> u64 {
    let [_, space, _] = &LOWER;
    by_length(space, u32::try_from(letters).unwrap_or(u32::MAX), LONGER)
}

/// What a table says of a length, and each more by the same step.
fn by_length(row: &[u64], length: u32, step: u64) -> u64 {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    match row.get(length.saturating_sub(1)) {
        Some(cost) => *cost,
        None => {
            let beyond = u64::try_from(length.saturating_sub(row.len())).unwrap_or(u64::MAX);
            row.last().copied().unwrap_or(0).saturating_add(beyond.saturating_mul(step))
        }
    }
}
