//! Where a JSON value ends (RFC 8259), and whether it is one.
//!
//! What serde_json ignores in ten instructions a byte is passed here in two: a value that is only passed over
//! needs neither numbers nor line counts, and most bytes are a string's, which are looked at eight or sixteen at a time.
//! What is accepted is just what serde_json accepts; a fuzz target compares the two.

#[cfg(target_feature = "simd128")]
use crate::sixteen::Sixteen;

/// Deepest nesting of what is passed over: a bit for each level.
const MAX_DEPTH: u32 = 128;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// What comes of passing over a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It ends before this byte.
    At(usize),
    /// It is none, or not whole.
    Broken,
    /// It is nested more deeply than is looked at here.
    Deep,
}

/// Passes over blanks.
pub(super) fn blank(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Who is told what a scan comes by, in its order.
pub(super) trait Seen {
    /// An object or an array begins.
    fn opened(&mut self, _at: usize) {}
    /// The innermost that is open has ended.
    fn closed(&mut self, _end: usize) {}
    /// A string, but for keys.
    fn string(&mut self, _at: usize, _end: usize) {}
}

impl Seen for () {}

/// The end of the value that begins at `at`.
#[inline(never)]
pub(super) fn value(bytes: &[u8], at: usize) -> End {
    walk(bytes, at, &mut ())
}

/// The same, told to somebody. There are two of them in a module: one for nobody.
#[inline]
pub(super) fn walk<S: Seen>(bytes: &[u8], mut at: usize, seen: &mut S) -> End {
    // The innermost object or array is the lowest bit: 1 for an object.
    let mut objects = 0_u128;
    let mut depth = 0_u32;
    loop {
        // A value begins here.
        let first = bytes.get(at).copied();
        let end = match first {
            Some(b'"') => {
                let end = string(bytes, at + 1);
                seen.string(at, end.unwrap_or(at));
                end
            }
            Some(b'{' | b'[') => {
                seen.opened(at);
                let object = first == Some(b'{');
                at = blank(bytes, at + 1);
                let close = if object { b'}' } else { b']' };
                if bytes.get(at) == Some(&close) {
                    seen.closed(at + 1);
                    Some(at + 1)
                } else {
                    if depth == MAX_DEPTH {
                        return End::Deep;
                    }
                    depth += 1;
                    objects = objects << 1 | u128::from(object);
                    if object {
                        match key(bytes, at) {
                            Some(next) => at = next,
                            None => return End::Broken,
                        }
                    }
                    continue;
                }
            }
            Some(b'-' | b'0'..=b'9') => number(bytes, at),
            Some(b't') => word(bytes, at, b"true"),
            Some(b'f') => word(bytes, at, b"false"),
            Some(b'n') => word(bytes, at, b"null"),
            _ => None,
        };
        let Some(end) = end else { return End::Broken };
        at = end;
        // What it is in goes on, or ends too.
        loop {
            if depth == 0 {
                return End::At(at);
            }
            let object = objects & 1 == 1;
            at = blank(bytes, at);
            match bytes.get(at) {
                Some(b',') => {
                    at = blank(bytes, at + 1);
                    if object {
                        match key(bytes, at) {
                            Some(next) => at = next,
                            None => return End::Broken,
                        }
                    }
                    break;
                }
                Some(b'}') if object => {}
                Some(b']') if !object => {}
                _ => return End::Broken,
            }
            at += 1;
            depth -= 1;
            objects >>= 1;
            seen.closed(at);
        }
    }
}

/// Passes over a member's key and its colon, up to where its value begins.
fn key(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let at = blank(bytes, string(bytes, at + 1)?);
    (bytes.get(at) == Some(&b':')).then(|| blank(bytes, at + 1))
}

/// The end of the string of which `at` is the first byte after its quote.
pub(super) fn string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = plain(bytes, at);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' => {
                    let digits = bytes.get(at + 2..at + 6)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return None;
                    }
                    at += 6;
                }
                _ => return None,
            },
            _ => return None,
        }
    }
}

/// The first byte from `at` on that is a quote, a backslash or a control character.
pub(super) fn plain(bytes: &[u8], mut at: usize) -> usize {
    #[cfg(target_feature = "simd128")]
    while let Some(sixteen) = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
        let sixteen = Sixteen::of(sixteen);
        let stops = sixteen.range(0, 0x20) | sixteen.range(b'"', 1) | sixteen.range(b'\\', 1);
        let stops = stops.bits();
        if stops != 0 {
            return at + stops.trailing_zeros() as usize;
        }
        at += 16;
    }
    while let Some(eight) = bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()) {
        // Subtracting sets the high bit of a byte that is 0, and of one above it perhaps; the lowest is right
        // (<https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord>).
        let eight = u64::from_le_bytes(eight);
        let quote = (eight ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
        let backslash = (eight ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let control = eight.wrapping_sub(ONES * 0x20);
        let found = (quote | backslash | control) & !eight & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..=0x1f) {
            break;
        }
        at += 1;
    }
    at
}

fn word(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    let end = at + word.len();
    (bytes.get(at..end) == Some(word)).then_some(end)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    let at = at + usize::from(is(at, b'-'));
    let mut at = if is(at, b'0') { at + 1 } else { digits(bytes, at)? };
    if bytes.get(at).is_some_and(u8::is_ascii_digit) {
        // After a 0.
        return None;
    }
    if is(at, b'.') {
        at = digits(bytes, at + 1)?;
    }
    if is(at, b'e') || is(at, b'E') {
        let sign = usize::from(is(at + 1, b'+') || is(at + 1, b'-'));
        at = digits(bytes, at + 1 + sign)?;
    }
    Some(at)
}

/// Passes over digits, of which there must be one.
fn digits(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    (at > from).then_some(at)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::value::RawValue;

    use super::*;

    /// What serde_json takes for the value that the text begins with.
    fn expected(text: &str) -> End {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
        match values.next() {
            Some(Ok(raw)) => End::At(raw.get().len()),
            _ => End::Broken,
        }
    }

    #[test]
    fn a_value_ends_where_serde_json_says() {
        for text in [
            r#"{"a":[1,-2.5e+3,{}],"b":"x\"y\\\u00e9","c":null} rest"#,
            "[ ]",
            "[ 1 , [ ] ]",
            "{ \"a\" : { } }x",
            "\"\"",
            "\"a",
            "\"\\",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\ud800\"",
            "\"a\nb\"",
            "\"a\u{7f}é🎉\"",
            "01",
            "-",
            "-0",
            "0.",
            "0.1",
            "1e",
            "1E-",
            "1e5",
            "-01",
            "2.e1",
            "tru",
            "true",
            "nul",
            "null",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:2}",
            "[}",
            "{]",
            "[1}",
            "",
            "+1",
            "\u{a0}1",
            "'a'",
            "\"12345678\"",
            "\"1234567\"",
            "\"123456789012345\\\"6\"",
            "[[[[[[[[[[1]]]]]]]]]]",
        ] {
            assert_eq!(value(text.as_bytes(), 0), expected(text), "{text}");
        }
    }

    #[test]
    fn a_string_ends_wherever_it_does() {
        // At each place within eight and sixteen bytes, with each byte before it that has a bit in common.
        for before in ['!', '#', '\u{1f}', ' ', '[', ']', '¢', '\u{2022}', '\u{5c22}', '€'] {
            for length in 0..40 {
                let text = format!("\"{}\" tail", before.to_string().repeat(length));
                assert_eq!(value(text.as_bytes(), 0), expected(&text), "{text:?}");
                let text = format!("\"{}\\\"{}\"", "a".repeat(length), before);
                assert_eq!(value(text.as_bytes(), 0), expected(&text), "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_nested_too_deeply_is_told() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(value(nested(128).as_bytes(), 0), End::At(256));
        assert_eq!(value(nested(129).as_bytes(), 0), End::At(258), "the innermost is empty");
        assert_eq!(value(nested(130).as_bytes(), 0), End::Deep);
    }
}
