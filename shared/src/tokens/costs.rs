//! How many tokens a piece of a text has on average, in thousandths of a token.
//!
//! Averages of o200k_base over documentation, programs and JSON; those of Chinese by least squares over
//! manual pages, newspapers and reviews.

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
pub(super) const WIDE: u16 = 1000;
/// A picture, or whatever else there is.
pub(super) const RARE: u16 = 1800;

/// A word in another script, besides its letters.
const OTHER_WORD: u64 = 571;
/// The same where a sign comes first, which has a token of its own.
const OTHER_WORD_AFTER_SIGN: u64 = 1900;

/// Each letter of ASCII in such a word.
const ASCII_IN_OTHER: u64 = 230;
/// A letter with an accent.
pub(super) const ACCENTED: u16 = 550;
/// A letter of Greek or Cyrillic.
pub(super) const CYRILLIC: u16 = 200;
/// A letter of Arabic or Hebrew.
pub(super) const ARABIC: u16 = 330;
/// A Chinese character that is in every text.
pub(super) const COMMON_HAN: u16 = 557;
/// Another Chinese character.
pub(super) const HAN: u16 = 1101;
/// A Japanese syllable.
pub(super) const KANA: u16 = 620;
/// A Korean syllable.
pub(super) const HANGUL: u16 = 560;
/// A letter of any other script.
pub(super) const OTHER: u16 = 500;

/// What comes before a word and is in one piece with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lead {
    /// Nothing.
    #[default]
    None,
    /// A space.
    Space,
    /// A sign, as of `.name` or `(name`.
    Sign,
}

/// A word of so many letters of ASCII, some of them capitals, and others that cost `foreign`.
pub(super) fn word(lead: Lead, ascii: usize, capitals: usize, foreign: u64) -> u64 {
    if foreign > 0 {
        let base = if lead == Lead::Sign { OTHER_WORD_AFTER_SIGN } else { OTHER_WORD };
        return base + ascii as u64 * ASCII_IN_OTHER + foreign;
    }
    let [none, space, sign] = match capitals {
        0 => &LOWER,
        1 if ascii > 1 => &TITLE,
        _ => &UPPER,
    };
    let row = match lead {
        Lead::None => none,
        Lead::Space => space,
        Lead::Sign => sign,
    };
    by_length(row, ascii, LONGER)
}

/// A space and a word of so many letters of ASCII, the first of which may be a capital (one by itself costs the same
/// whichever it is).
#[inline(always)]
pub(super) fn spaced(letters: usize, capitals: usize) -> u64 {
    let [_, small, _] = &LOWER;
    let [_, title, _] = &TITLE;
    by_length(if capitals == 0 { small } else { title }, letters, LONGER)
}

/// Digits in a row.
pub(super) fn digits(count: usize) -> u64 {
    count.div_ceil(3) as u64 * 1_000
}

/// Signs in a row: so many of ASCII, and others that cost `others`.
pub(super) fn signs(ascii: usize, others: u64) -> u64 {
    others + if ascii == 0 { 0 } else { by_length(&SIGNS, ascii, MORE_SIGNS) }
}

/// White space that is not in one piece with what follows.
pub(super) const WHITE: u64 = 1_000;

/// What a table says of a length, and each more by the same step.
fn by_length(row: &[u64], length: usize, step: u64) -> u64 {
    match row.get(length.wrapping_sub(1)) {
        Some(cost) => *cost,
        None => {
            let beyond = length.saturating_sub(row.len()) as u64;
            row.last().copied().unwrap_or(0) + beyond * step
        }
    }
}
