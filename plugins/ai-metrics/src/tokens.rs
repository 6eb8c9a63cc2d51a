//! Tokens of a text that nobody has counted.

/// About how many tokens a text has. Common tokenizers make one of four letters of English and one of
/// one to two letters of other scripts; a number that is made so is marked as an estimate wherever it is
/// shown.
pub fn estimate(text: &str) -> u64 {
    let (mut ascii, mut other) = (0_u64, 0_u64);
    for byte in text.bytes() {
        // The first byte of a character that has several.
        if byte < 0x80 {
            ascii = ascii.saturating_add(1);
        } else if byte >= 0xc0 {
            other = other.saturating_add(1);
        }
    }
    of(ascii, other)
}

/// The same, of characters that were counted: of ASCII and others.
pub fn of(ascii: u64, other: u64) -> u64 {
    ascii.div_ceil(4).saturating_add(other.saturating_mul(2).div_ceil(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_count_differently() {
        assert_eq!(estimate(""), 0);
        assert_eq!(estimate("abcdefgh"), 2);
        assert_eq!(estimate("法国的首都是"), 4);
    }
}
