//! Tokens of a text that nobody has counted.

/// About how many tokens a text has. Common tokenizers make one of four letters of English and one of
/// one to two letters of other scripts; a number that is made so is marked as an estimate wherever it is
/// shown.
pub fn estimate(text: &str) -> u64 {
    let (ascii, other) = characters(text);
    of(ascii, other)
}

/// How many characters of ASCII a text has, and how many others.
pub fn characters(text: &str) -> (u64, u64) {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (mut beyond, mut other) = (0, 0);
    let mut count = |eight: [u8; 8]| {
        let eight = u64::from_le_bytes(eight);
        // The highest bit of each byte, and of those that have the next one too: a character begins with one.
        beyond += u64::from((eight & HIGH).count_ones());
        other += u64::from((eight & eight << 1 & HIGH).count_ones());
    };
    let (eights, rest) = text.as_bytes().as_chunks::<8>();
    eights.iter().for_each(|eight| count(*eight));
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
    count(last);
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    (length.saturating_sub(beyond), other)
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
