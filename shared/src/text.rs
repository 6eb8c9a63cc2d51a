//! Texts and numbers put together, as `format!` does it, in a fraction of its instructions: for what every
//! exchange needs. It knows no widths, precisions and names.

/// What can be a part of a text.
pub trait Part {
    /// Puts it to a text's end.
    fn put(&self, text: &mut String);
}

impl Part for str {
    fn put(&self, text: &mut String) {
        text.push_str(self);
    }
}

impl Part for String {
    fn put(&self, text: &mut String) {
        text.push_str(self);
    }
}

impl Part for char {
    fn put(&self, text: &mut String) {
        text.push(*self);
    }
}

impl Part for u64 {
    #[inline(never)]
    fn put(&self, text: &mut String) {
        text.push_str(itoa::Buffer::new().format(*self));
    }
}

impl Part for u32 {
    fn put(&self, text: &mut String) {
        u64::from(*self).put(text);
    }
}

impl Part for usize {
    fn put(&self, text: &mut String) {
        u64::try_from(*self).unwrap_or(u64::MAX).put(text);
    }
}

impl<T: Part + ?Sized> Part for &T {
    fn put(&self, text: &mut String) {
        (**self).put(text);
    }
}

/// The text that these parts make: `text!("messages[", index, "]")`.
#[macro_export]
macro_rules! text {
    ($($part:expr),+ $(,)?) => {{
        let mut text = String::with_capacity(48);
        $( $crate::text::Part::put(&$part, &mut text); )+
        text
    }};
}

/// Bytes as a text, or given back if they are no UTF-8: of long ones what `String::from_utf8` does in a fifth of
/// its instructions.
#[allow(unsafe_code)]
pub(crate) fn checked(bytes: Vec<u8>) -> Result<String, Vec<u8>> {
    match simdutf8::basic::from_utf8(&bytes) {
        // SAFETY: it has just been found to be UTF-8.
        Ok(_) => Ok(unsafe { String::from_utf8_unchecked(bytes) }),
        Err(_) => Err(bytes),
    }
}

/// Bytes as a text, what is no UTF-8 in them as U+FFFD.
pub(crate) fn lossy(bytes: Vec<u8>) -> String {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    String::from_utf8(bytes).unwrap_or_else(|error| lossy(error.as_bytes()))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn only_text_is_text() {
        // Longer than what is looked at in one go, and shorter.
        for (before, after) in [(0, 0), (70, 0), (70, 70), (3, 130)] {
            let text = format!("{}é法😀{}", "a".repeat(before), "b".repeat(after));
            assert_eq!(super::checked(text.clone().into_bytes()), Ok(text.clone()));
            assert_eq!(super::lossy(text.clone().into_bytes()), text);
            for at in before..before + "é法😀".len() {
                let mut broken = text.clone().into_bytes();
                broken[at] = b'x';
                let lossy = String::from_utf8_lossy(&broken).into_owned();
                assert_eq!(super::lossy(broken.clone()), lossy, "{at}");
                assert_eq!(super::checked(broken.clone()), Err(broken), "{at}");
            }
        }
    }

    #[test]
    fn each_byte_has_two_digits() {
        assert_eq!(super::hex(&[0, 9, 10, 0x9f, 0xa0, 255]), "00090a9fa0ff");
    }

    #[test]
    fn parts_stand_in_their_order() {
        let owned = "b".to_owned();
        assert_eq!(
            text!("a", &owned, '=', 7_u64, 0_u32, usize::MAX),
            format!("ab=70{}", usize::MAX)
        );
    }
}
