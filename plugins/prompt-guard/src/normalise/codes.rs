//! Encodings of bytes as text, and back.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Shortest text that is taken for one, in bytes.
const LEAST: usize = 8;

/// Padding or none: both are in use.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Base64, of the standard alphabet or that of URLs.
pub(super) fn unbase64(run: &str) -> Option<String> {
    let run = run.trim_end_matches('=');
    if run.bytes().any(|byte| byte == b'=') {
        return None;
    }
    let standard: Vec<u8> = run
        .bytes()
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            byte => byte,
        })
        .collect();
    readable(BASE64.decode(standard).ok()?)
}

/// Pairs of hexadecimal digits.
pub(super) fn unhex(run: &str) -> Option<String> {
    let pairs = run.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    readable(bytes.collect::<Option<Vec<u8>>>()?)
}

/// `%69` and `+` of URLs.
pub(super) fn percent(text: &str) -> Option<String> {
    String::from_utf8(shared::percent::bytes(text, true)).ok()
}

/// `\u0069`, `\x69`, `&#105;`, `&#x69;` among other text.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut count = 0;
    while let Some(at) = rest.find(['\\', '&']) {
        let (before, tail) = rest.split_at_checked(at)?;
        out.push_str(before);
        match escape(tail) {
            Some((c, len)) => {
                out.push(c);
                count += 1;
                rest = tail.get(len..)?;
            }
            None => {
                out.push_str(tail.get(..1)?);
                rest = tail.get(1..)?;
            }
        }
    }
    out.push_str(rest);
    (count >= LEAST).then_some(out)
}

fn escape(text: &str) -> Option<(char, usize)> {
    let code = |digits: &str, radix: u32| {
        char::from_u32(u32::from_str_radix(digits, radix).ok()?).filter(|c| *c != '\0')
    };
    if let Some(rest) = text.strip_prefix("\\u") {
        return Some((code(rest.get(..4)?, 16)?, 6));
    }
    if let Some(rest) = text.strip_prefix("\\x") {
        return Some((code(rest.get(..2)?, 16)?, 4));
    }
    let rest = text.strip_prefix("&#")?;
    let end = rest.get(..rest.len().min(8)).and_then(|near| near.find(';'))?;
    let number = rest.get(..end)?;
    let c = match number.strip_prefix(['x', 'X']) {
        Some(number) => code(number, 16)?,
        None => code(number, 10)?,
    };
    Some((c, end + 3))
}

/// What decodes to noise was none.
fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let odd = text.chars().filter(|c| c.is_control() && !c.is_whitespace()).count();
    (odd == 0 && text.len() >= LEAST).then_some(text)
}
