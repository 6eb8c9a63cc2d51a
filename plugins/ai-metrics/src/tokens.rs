//! Tokens of a text that nobody has counted.

/// About how many tokens a text has. Common tokenizers make one of four letters of English and one of
/// one to two letters of other scripts; a number that is made so is marked as an estimate wherever it is
/// shown.
pub fn estimate(text: &str) -> u64 {
    let (mut further, mut other) = (0_usize, 0_u64);
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let mut look = |bytes: &[u8]| {
        for byte in bytes {
            // The first byte of a character that has several, and those behind it.
            match byte {
                0x80..=0xbf => further = further.saturating_add(1),
                0xc0.. => other = other.saturating_add(1),
                _ => {}
            }
        }
    };
    // Eight bytes at once, as long as there is nothing but ASCII.
    for word in words {
        if u64::from_le_bytes(*word) & 0x8080_8080_8080_8080 != 0 {
            look(word);
        }
    }
    look(rest);
    let all = u64::try_from(text.len().saturating_sub(further)).unwrap_or(u64::MAX);
    of(all.saturating_sub(other), other)
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
