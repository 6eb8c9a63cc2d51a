//! IP and hardware addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Found;
use super::bytes::{at, before, is_word, run, run_back};
use super::context::{Reach, Words, near};
use super::entity::Entity;

const VERSION_WORDS: Words =
    Words::new(&["version", "ver", "v", "release", "build", "版本", "firmware", "section"]);

/// An IPv4 address that begins here.
pub(super) fn ipv4(text: &[u8], start: usize) -> Option<Found> {
    let len = run(text, start, 16, |byte| byte.is_ascii_digit() || byte == b'.');
    let token = text.get(start..start + len)?;
    let len = if token.ends_with(b".") { len - 1 } else { len };
    let end = start + len;
    let address: Ipv4Addr = std::str::from_utf8(text.get(start..end)?).ok()?.parse().ok()?;
    let octets = address.octets();
    // Nobody's: this host, masks, `1.0.0.0`.
    let nobody = matches!(octets, [0 | 127, ..] | [255, 255, ..] | [_, 0, 0, 0]);
    let goes_on = is_word(at(text, end)) || (at(text, end) == b'.' && is_word(at(text, end + 1)));
    let alone = !goes_on;
    let version = near(text, start, end, Reach { before: 12, after: 0 }, &VERSION_WORDS);
    (!nobody && alone && !version).then_some(Found { entity: Entity::Ip, start, end })
}

fn is_ipv6(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || byte == b':' || byte == b'.'
}

/// An IPv6 address around the colon at this place.
pub(super) fn ipv6(text: &[u8], colon: usize) -> Option<Found> {
    let start = colon.checked_sub(run_back(text, colon, 4, |byte| byte.is_ascii_hexdigit()))?;
    let len = run(text, start, 46, is_ipv6);
    let token = text.get(start..start + len)?;
    let ended =
        token.iter().rposition(|byte| *byte != b':' && *byte != b'.').map_or(0, |at| at + 1);
    let end = start + ended;
    if len > 45
        || is_word(before(text, start))
        || is_word(at(text, end))
        || before(text, start) == b':'
    {
        return None;
    }
    let token = std::str::from_utf8(text.get(start..end)?).ok()?;
    let address: Ipv6Addr = token.parse().ok()?;
    let groups = token.split(':').filter(|group| !group.is_empty()).count();
    // `std::abs`, `a::b` and `::1` are no one's address.
    let real = groups >= 4 || (groups >= 2 && token.bytes().any(|byte| byte.is_ascii_digit()));
    (real && !address.is_loopback()).then_some(Found { entity: Entity::Ip, start, end })
}

/// A hardware address around the first separator (`:` or `-`) at this place.
pub(super) fn mac(text: &[u8], first: usize) -> Option<Found> {
    let start = first.checked_sub(2)?;
    let separator = at(text, first);
    let form = text.get(start..start + 17)?;
    let fits = form.iter().enumerate().all(|(place, byte)| match place % 3 {
        2 => *byte == separator,
        _ => byte.is_ascii_hexdigit(),
    });
    let end = start + 17;
    let closed = |byte: u8| !is_word(byte) && byte != separator;
    let same = form.chunks(3).all(|pair| pair.get(..2) == form.get(..2));
    (fits && !same && closed(before(text, start)) && closed(at(text, end))).then_some(Found {
        entity: Entity::Mac,
        start,
        end,
    })
}
