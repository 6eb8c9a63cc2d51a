//! Sixteen bytes looked at together. Modules do it with a few instructions (`simd128`), native code byte by byte.

use std::ops::BitOr;

#[cfg(target_feature = "simd128")]
use core::arch::wasm32::{self, v128};

/// The bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sixteen(
    #[cfg(target_feature = "simd128")] v128,
    #[cfg(not(target_feature = "simd128"))] [u8; 16],
);

/// Some of the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Which(
    #[cfg(target_feature = "simd128")] v128,
    #[cfg(not(target_feature = "simd128"))] u16,
);

#[cfg(target_feature = "simd128")]
impl Sixteen {
    /// These.
    #[inline(always)]
    pub fn of(bytes: &[u8; 16]) -> Self {
        let whole = u128::from_le_bytes(*bytes);
        Self(wasm32::u64x2(whole as u64, (whole >> 64) as u64))
    }

    /// Those that are `first` or one of the `count - 1` after it.
    #[inline(always)]
    pub fn range(self, first: u8, count: u8) -> Which {
        let after_first = wasm32::u8x16_sub(self.0, wasm32::u8x16_splat(first));
        Which(wasm32::u8x16_lt(after_first, wasm32::u8x16_splat(count)))
    }
}

#[cfg(not(target_feature = "simd128"))]
impl Sixteen {
    /// These.
    pub fn of(bytes: &[u8; 16]) -> Self {
        Self(*bytes)
    }

    /// Those that are `first` or one of the `count - 1` after it.
    pub fn range(self, first: u8, count: u8) -> Which {
        let is = |byte: &u8| u16::from(byte.wrapping_sub(first) < count);
        Which(self.0.iter().rev().fold(0, |bits, byte| bits << 1 | is(byte)))
    }
}

impl Which {
    /// A bit for each of the bytes, the lowest for the first.
    #[inline(always)]
    pub fn bits(self) -> u16 {
        #[cfg(target_feature = "simd128")]
        return wasm32::u8x16_bitmask(self.0);
        #[cfg(not(target_feature = "simd128"))]
        return self.0;
    }
}

impl BitOr for Which {
    type Output = Self;

    /// Those that are among these or among the others.
    #[inline(always)]
    fn bitor(self, others: Self) -> Self {
        #[cfg(target_feature = "simd128")]
        return Self(wasm32::v128_or(self.0, others.0));
        #[cfg(not(target_feature = "simd128"))]
        return Self(self.0 | others.0);
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn each_byte_has_its_bit() {
        let small = Sixteen::of(b"az{`AZ09\0\xff\x80 bcde").range(b'a', 26);
        assert_eq!(small.bits(), 0b1111_0000_0000_0011);
        for byte in 0..=u8::MAX {
            for at in 0..16 {
                let mut bytes = [b'.'; 16];
                bytes[at] = byte;
                let bytes = Sixteen::of(&bytes);
                let found = bytes.range(b'0', 10) | bytes.range(0xe4, 28);
                let expected = u16::from(byte.is_ascii_digit() || byte >= 0xe4) << at;
                assert_eq!(found.bits(), expected, "{byte} {at}");
            }
        }
    }
}
