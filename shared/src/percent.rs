//! Percent-encoding: of one part of a path (RFC 3986), and of forms and queries, where a `+` is a space
//! (<https://url.spec.whatwg.org/#urlencoded-parsing>).

/// Decodes a part of a path. A `%` without two hexadecimal digits stays as it is, and what is no UTF-8
/// becomes U+FFFD.
pub fn decode(text: &str) -> String {
    String::from_utf8_lossy(&bytes(text, false)).into_owned()
}

/// Decodes a value of a query or form in the same way.
pub fn decode_form(text: &str) -> String {
    String::from_utf8_lossy(&bytes(text, true)).into_owned()
}

/// What is encoded, which need not be UTF-8; `form`: a `+` is a space.
pub fn bytes(text: &str, form: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let pair = match after {
            [high, low, ..] if *byte == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            None if form && *byte == b'+' => out.push(b' '),
            None => out.push(*byte),
        }
    }
    out
}

/// Encodes all but the unreserved characters.
pub fn encode(text: &str) -> String {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    if text.bytes().all(plain) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_part_survives() {
        for (plain, encoded) in [
            ("gpt-4o_1.5~", "gpt-4o_1.5~"),
            ("amazon.nova-pro-v1:0", "amazon.nova-pro-v1%3A0"),
            ("meta/llama 3", "meta%2Fllama%203"),
            ("é%", "%C3%A9%25"),
        ] {
            assert_eq!(encode(plain), encoded);
            assert_eq!(decode(encoded), plain);
        }
        assert_eq!(decode("a+b"), "a+b", "only in a form it is a space");
    }

    #[test]
    fn values_are_decoded_as_forms_are() {
        for (value, decoded) in [
            ("a%2Fb%2fc", "a/b/c"),
            ("a+b%2B", "a b+"),
            ("%E4%BD%A0", "你"),
            ("100%", "100%"),
            ("%2", "%2"),
            ("%+5%zz", "% 5%zz"),
            ("%%41", "%A"),
            ("%ff", "\u{fffd}"),
            ("model%3Aopenai%2Fgpt-5+x%zz%", "model:openai/gpt-5 x%zz%"),
            ("", ""),
        ] {
            assert_eq!(decode_form(value), decoded, "{value}");
        }
    }
}
