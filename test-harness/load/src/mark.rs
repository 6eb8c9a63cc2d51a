//! A token of a stream carries the time at which it was sent, so that the client can tell how long it
//! took to come. In letters, because filters look for numbers.

use std::time::{SystemTime, UNIX_EPOCH};

const SIGN: u8 = b'~';
const DIGITS: usize = 13;

/// Microseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// `~`, the time in base 16 with the letters `a` to `p`, `~`.
pub(crate) fn write(time: u64) -> String {
    let digit = |n: usize| char::from(b'a' + ((time >> (4 * n)) & 15) as u8);
    let digits: String = (0..DIGITS).rev().map(digit).collect();
    format!("~{digits}~")
}

/// How long ago each of the marks in these bytes was written, in microseconds.
pub(crate) fn ages(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let now = now();
    memchr::memchr_iter(SIGN, bytes).filter_map(move |at| {
        let mark = bytes.get(at + 1..at + 2 + DIGITS)?;
        let (digits, sign) = mark.split_at(DIGITS);
        let value = digits.iter().try_fold(0, |value: u64, digit| match digit {
            b'a'..=b'p' => Some(value << 4 | u64::from(digit - b'a')),
            _ => None,
        })?;
        (sign == [SIGN]).then(|| now.saturating_sub(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let text = format!("data {} and {}, ~abc~", write(now() - 5_000_000), write(now()));
        let ages: Vec<u64> = ages(text.as_bytes()).map(|age| age / 1_000_000).collect();
        assert_eq!(ages, [5, 0]);
    }
}
