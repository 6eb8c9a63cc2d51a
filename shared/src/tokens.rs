//! How many tokens a text has, estimated without a tokenizer.

/// Tokens of a text.
pub fn estimate(text: &str) -> u64 {
    let (mut ascii, mut other) = (0u64, 0u64);
    for c in text.chars() {
        if c.is_ascii() { ascii += 1 } else { other += 1 }
    }
    // Four letters of English, or one character of Chinese and a half.
    ascii.div_ceil(4).saturating_add(other.saturating_mul(2).div_ceil(3))
}

/// Tokens of a text that stands in JSON: its escapes count as they are written.
pub fn estimate_escaped(text: &str) -> u64 {
    estimate(text)
}
