//! Base64, as protocol buffers write bytes in JSON: either alphabet is read, the standard one written.

use std::borrow::Cow;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes, encoded with padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        let [a, b, c] = three;
        let group = u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c);
        for place in 0..4 {
            let six = (group >> (18 - 6 * place)) & 63;
            let digit = ALPHABET.get(six as usize).copied().filter(|_| place <= chunk.len());
            out.push(digit.map_or('=', char::from));
        }
    }
    out
}

/// The bytes; `None` if it is not Base64. Padding may be left out.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(digits.len().div_ceil(4).saturating_mul(3));
    for chunk in digits.chunks(4) {
        let mut group = 0;
        for place in 0..4 {
            let six = chunk.get(place).map_or(Some(0), |digit| value_of(*digit))?;
            group = group << 6 | six;
        }
        let [_, a, b, c] = group.to_be_bytes();
        out.extend([a, b, c].iter().take(chunk.len().checked_sub(1).filter(|n| *n > 0)?));
    }
    Some(out)
}

fn value_of(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// The same in the standard alphabet. Python's SDK writes the other one.
pub(super) fn standard(text: &str) -> Cow<'_, str> {
    if text.contains(['-', '_']) {
        Cow::Owned(text.replace('-', "+").replace('_', "/"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (&[0xfb, 0xff, 0xfe], "+//+"),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
            assert_eq!(decode(text.trim_end_matches('=')).as_deref(), Some(bytes));
        }
        assert_eq!(decode("-__-").as_deref(), Some(&[0xfb, 0xff, 0xfe][..]));
        assert_eq!(standard("-__-"), "+//+");
        for bad in ["Z", "Zm9vY", "Z g=", "Z#==", "\\u00"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
