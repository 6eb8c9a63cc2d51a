//! What a character is to o200k_base.

use super::{common, costs};

/// What a character is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A small letter of ASCII.
    Small,
    /// A capital of ASCII.
    Capital,
    /// A letter beyond ASCII, and what it costs.
    Foreign(u16),
    /// A digit of ASCII.
    Digit,
    /// A sign of ASCII but the stroke, or a line of a box.
    Sign,
    /// `/`, which may follow the line breaks after signs.
    Stroke,
    /// A sign beyond ASCII, and what it costs.
    OtherSign(u16),
    /// White space within a line.
    White,
    /// The end of a line.
    Break,
}

/// Those of ASCII.
static ASCII: [Kind; 128] = ascii();

#[allow(clippy::indexing_slicing)]
const fn ascii() -> [Kind; 128] {
    let (mut kinds, mut code) = ([Kind::Sign; 128], 0_u8);
    while code < 128 {
        kinds[code as usize] = match code {
            b'a'..=b'z' => Kind::Small,
            b'A'..=b'Z' => Kind::Capital,
            b'0'..=b'9' => Kind::Digit,
            b'\n' | b'\r' => Kind::Break,
            b' ' | b'\t' | 0x0b | 0x0c => Kind::White,
            b'/' => Kind::Stroke,
            _ => Kind::Sign,
        };
        code += 1;
    }
    kinds
}

/// What a byte is, if it is of ASCII.
#[inline]
pub(super) fn of_ascii(byte: u8) -> Option<Kind> {
    ASCII.get(usize::from(byte)).copied()
}

/// What a character is that is not of ASCII.
pub(super) fn of(c: char) -> Kind {
    match c {
        '\u{85}' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{3000}' => Kind::White,
        // Lines of boxes come in runs, as signs of ASCII do.
        '\0'..='\u{7f}' | '\u{2500}'..='\u{259f}' => Kind::Sign,
        '\u{4e00}'..='\u{9fff}' if common::is_common(c) => Kind::Foreign(costs::COMMON_HAN),
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => {
            Kind::Foreign(costs::HAN)
        }
        '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30ff}' => Kind::Foreign(costs::KANA),
        '\u{ac00}'..='\u{d7af}' | '\u{1100}'..='\u{11ff}' => Kind::Foreign(costs::HANGUL),
        '\u{2010}'..='\u{206f}'
        | '\u{3001}'..='\u{303f}'
        | '\u{ff00}'..='\u{ff0f}'
        | '\u{ff1a}'..='\u{ff20}'
        | '\u{80}'..='\u{a9}'
        | '\u{ab}'..='\u{b4}'
        | '\u{b6}'..='\u{b9}'
        | '\u{bb}'..='\u{bf}'
        | '\u{d7}'
        | '\u{f7}' => Kind::OtherSign(costs::WIDE),
        '\u{2070}'..='\u{2bff}' | '\u{fe00}'..='\u{fe0f}' => Kind::OtherSign(costs::RARE),
        '\u{370}'..='\u{52f}' => Kind::Foreign(costs::CYRILLIC),
        '\u{590}'..='\u{77f}' => Kind::Foreign(costs::ARABIC),
        '\u{aa}'..='\u{36f}' | '\u{1e00}'..='\u{1eff}' => Kind::Foreign(costs::ACCENTED),
        '\u{1f000}'.. => Kind::OtherSign(costs::RARE),
        _ => Kind::Foreign(costs::OTHER),
    }
}
