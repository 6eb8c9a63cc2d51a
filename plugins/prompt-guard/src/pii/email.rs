//! E-mail addresses, of the form that is in use rather than all that RFC 5322 allows.

use super::Found;
use super::bytes::{at, before, run, run_back};
use super::entity::Entity;

const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 253;

/// What follows the last dot of a file's name (`icon@2x.png`), but of no domain.
const FILES: [&str; 12] =
    ["png", "jpg", "jpeg", "gif", "svg", "webp", "js", "ts", "css", "json", "html", "txt"];

/// The address around the `@` at this place.
pub(super) fn find(text: &[u8], sign: usize) -> Option<Found> {
    let local = run_back(text, sign, MAX_LOCAL + 1, |byte| {
        byte.is_ascii_alphanumeric() || b"._%+-'!#$&*/=?^{|}~".contains(&byte)
    });
    // What an address may hold by the letter is more often what stands before it.
    let start = sign.checked_sub(local)?;
    let odd = |byte: &u8| b"'!#$&*/=?^{|}~%.".contains(byte);
    let local = text.get(start..sign)?;
    let start = match local.iter().rposition(|byte| b"'!#$&*/=?^{|}~".contains(byte)) {
        Some(place) => start + place + 1,
        None => start,
    };
    let local = text.get(start..sign)?;
    let start = start + local.iter().position(|byte| !odd(byte) && *byte != b'-')?;
    let local = text.get(start..sign)?;
    let doubled = local.windows(2).any(|pair| pair == b"..");
    if local.is_empty() || local.len() > MAX_LOCAL || local.ends_with(b".") || doubled {
        return None;
    }
    let domain = sign + 1;
    let mut len = run(text, domain, MAX_DOMAIN + 1, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.'
    });
    if len > MAX_DOMAIN {
        return None;
    }
    while len > 0 && matches!(at(text, domain + len - 1), b'.' | b'-') {
        len -= 1;
    }
    let end = domain + len;
    let name = std::str::from_utf8(text.get(domain..end)?).ok()?;
    let (host, top) = name.rsplit_once('.')?;
    let labels = host.split('.').all(|label| {
        !label.is_empty() && label.len() < 64 && !label.starts_with('-') && !label.ends_with('-')
    });
    let top = top.to_ascii_lowercase();
    let word = (2..=24).contains(&top.len()) && top.bytes().all(|byte| byte.is_ascii_alphabetic());
    let punycode = top.starts_with("xn--");
    if !labels || !(word || punycode) || FILES.contains(&top.as_str()) {
        return None;
    }
    // The user of an address of a repository (`git@github.com:a/b`) is nobody.
    if local == b"git" || at(text, end) == b'@' || before(text, start) == b'@' {
        return None;
    }
    Some(Found { entity: Entity::Email, start, end })
}
