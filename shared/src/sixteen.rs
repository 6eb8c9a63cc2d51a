//! Sixteen bytes looked at together: a bit for each of them, the lowest for the first. Modules do it with a few
//! instructions (`simd128`), native code byte by byte.

/// Which of them are `first` or one of the `count - 1` that follow it.
#[cfg(not(target_feature = "simd128"))]
pub(crate) fn within(sixteen: &[u8; 16], first: u8, count: u8) -> u16 {
    let is = |byte: &u8| u16::from(byte.wrapping_sub(first) < count);
    sixteen.iter().rev().fold(0, |bits, byte| bits << 1 | is(byte))
}

#[cfg(target_feature = "simd128")]
pub(crate) use simd::{stops, within};

#[cfg(target_feature = "simd128")]
mod simd {
    use core::arch::wasm32::{
        u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, u8x16_sub, u64x2, v128, v128_or,
    };

    #[inline(always)]
    fn vector(sixteen: &[u8; 16]) -> v128 {
        let whole = u128::from_le_bytes(*sixteen);
        u64x2(whole as u64, (whole >> 64) as u64)
    }

    /// Which of them are `first` or one of the `count - 1` that follow it.
    #[inline(always)]
    pub(crate) fn within(sixteen: &[u8; 16], first: u8, count: u8) -> u16 {
        let after_first = u8x16_sub(vector(sixteen), u8x16_splat(first));
        u8x16_bitmask(u8x16_lt(after_first, u8x16_splat(count)))
    }

    /// Which of them may not stand in a string of JSON as they are: quotes, backslashes and control characters.
    #[inline(always)]
    pub(crate) fn stops(sixteen: &[u8; 16]) -> u16 {
        let bytes = vector(sixteen);
        let quote = u8x16_eq(bytes, u8x16_splat(b'"'));
        let backslash = u8x16_eq(bytes, u8x16_splat(b'\\'));
        let control = u8x16_lt(bytes, u8x16_splat(0x20));
        u8x16_bitmask(v128_or(v128_or(quote, backslash), control))
    }
}
