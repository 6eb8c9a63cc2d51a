//! Looking around in a text, byte by byte, without ever leaving it.

/// The byte at `at`; 0 outside of the text.
#[inline(always)]
pub(super) fn at(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The byte before `at`; 0 at the start.
#[inline(always)]
pub(super) fn before(text: &[u8], at: usize) -> u8 {
    at.checked_sub(1).and_then(|at| text.get(at)).copied().unwrap_or(0)
}

/// Whether a word of ASCII ends or begins here: the characters of other scripts are no part of it, so
/// that a number right next to Chinese text stands alone.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// How many bytes from `from` on, at most `most`, are as `is` says.
pub(super) fn run(text: &[u8], from: usize, most: usize, is: impl Fn(u8) -> bool) -> usize {
    let end = from.saturating_add(most).min(text.len());
    let rest = text.get(from..end).unwrap_or_default();
    rest.iter().position(|byte| !is(*byte)).unwrap_or(rest.len())
}

/// The same to the left of `to`.
pub(super) fn run_back(text: &[u8], to: usize, most: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(to.saturating_sub(most)..to).unwrap_or_default();
    rest.iter().rev().position(|byte| !is(*byte)).unwrap_or(rest.len())
}

/// Most digits of a number that is looked at.
pub(super) const MAX_DIGITS: usize = 24;

/// A number written in groups: `6222 0212 3933 2094`, `123-45-6789`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Number {
    /// Its digits.
    digits: [u8; MAX_DIGITS],
    /// How many there are.
    pub len: usize,
    /// The lengths of its groups.
    groups: [u8; 8],
    /// How many groups.
    pub count: usize,
    /// What stands between the groups; 0 if there is only one, 1 if it differs.
    pub separator: u8,
    /// Where it ends.
    pub end: usize,
}

impl Number {
    /// The number that begins at `start`. More digits or groups than fit are a number of no use.
    pub(super) fn read(text: &[u8], start: usize) -> Number {
        let mut number = Number { end: start, ..Number::default() };
        let mut at_byte = start;
        loop {
            let mut group = 0_u8;
            while let Some(digit) = text.get(at_byte).filter(|byte| byte.is_ascii_digit()) {
                if let Some(slot) = number.digits.get_mut(number.len) {
                    *slot = digit - b'0';
                }
                number.len = number.len.saturating_add(1);
                group = group.saturating_add(1);
                at_byte += 1;
                if number.len > 64 {
                    break;
                }
            }
            if let Some(slot) = number.groups.get_mut(number.count) {
                *slot = group;
            }
            number.count = number.count.saturating_add(1);
            number.end = at_byte;
            let separator = at(text, at_byte);
            let more =
                matches!(separator, b' ' | b'-' | b'.') && at(text, at_byte + 1).is_ascii_digit();
            if !more || number.len > MAX_DIGITS || number.count > 8 {
                return number;
            }
            number.separator = match number.separator {
                0 => separator,
                same if same == separator => same,
                _ => 1,
            };
            at_byte += 1;
        }
    }

    /// The first `count` groups of it, where another number follows after a space.
    pub(super) fn first(text: &[u8], start: usize, count: usize) -> Option<Number> {
        let whole = Number::read(text, start);
        if whole.count <= count || whole.separator != b' ' {
            return None;
        }
        let digits: usize = whole.groups.iter().take(count).map(|n| usize::from(*n)).sum();
        let end = start.checked_add(digits)?.checked_add(count.checked_sub(1)?)?;
        let cut = text.get(..end)?;
        Some(Number::read(cut, start))
    }

    /// The digits; empty if there are more than fit.
    pub(super) fn digits(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }

    /// The lengths of the groups; empty if there are more than fit.
    pub(super) fn groups(&self) -> &[u8] {
        self.groups.get(..self.count).unwrap_or_default()
    }

    /// The value of some of the digits.
    pub(super) fn value(&self, from: usize, len: usize) -> u32 {
        let digits = self.digits().get(from..from.saturating_add(len)).unwrap_or_default();
        digits
            .iter()
            .fold(0, |value, digit| value.saturating_mul(10).saturating_add(u32::from(*digit)))
    }
}

/// The checksum of payment cards, ISO/IEC 7812-1 annex B.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => 2 * digit - 9,
            (_, digit) => 2 * digit,
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// Whether such a day exists (February has 29).
pub(super) fn is_day(year: u32, month: u32, day: u32) -> bool {
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 29,
        1..=12 => 31,
        _ => return false,
    };
    (1880..=2100).contains(&year) && (1..=days).contains(&day)
}
