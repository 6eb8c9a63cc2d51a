//! Keys: their form, and how one is checked against its hash.
//!
//! A key is `<prefix>-<id>-<secret><check>`: the id finds its entry, the secret is 32 random bytes, the
//! check tells a mistyped or made-up key before anything is looked up. The secret has more entropy than
//! could ever be tried, so a plain SHA-256 protects it as well as a slow hash would, at a microsecond a
//! request; a [pepper](crate::config::Config::pepper) makes it an HMAC.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use shared::config::Secret;
use shared::text::hex;

/// A SHA-256 or HMAC-SHA-256.
pub type Digest = [u8; 32];

/// Characters of a key's check.
const CHECK: usize = 8;

/// Longest key that is looked at, in bytes.
pub const MAX_KEY: usize = 512;

/// The id of a key of our own form; `None` if it is not one.
pub fn id<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    let id = written_id(prefix, key)?;
    let (body, check) = key.split_at_checked(key.len().checked_sub(CHECK)?)?;
    (check == self::check(body)).then_some(id)
}

/// The id that stands in a key, whose check may be wrong.
pub fn written_id<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    let rest = key.strip_prefix(prefix)?.strip_prefix('-')?;
    let (id, secret) = rest.rsplit_once('-')?;
    (is_id(id) && secret.len() >= CHECK).then_some(id)
}

/// Whether a text may be a key's id. It becomes part of a path and of a Redis key.
pub fn is_id(id: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    (1..=64).contains(&id.len()) && id.bytes().all(ok)
}

/// A new key with this id, of 32 random bytes.
pub fn mint(prefix: &str, id: &str, random: &[u8; 32]) -> String {
    let mut key = format!("{prefix}-{id}-");
    key.push_str(&hex(random));
    let check = check(&key);
    key + &check
}

fn check(body: &str) -> String {
    let digest = Sha256::digest(body.as_bytes());
    hex(digest.get(..CHECK / 2).unwrap_or_default())
}

/// What is compared of a key.
pub fn digest(pepper: Option<&Secret>, key: &str) -> Digest {
    let pepper = pepper.and_then(|pepper| {
        <Hmac<Sha256> as KeyInit>::new_from_slice(pepper.expose().as_bytes()).ok()
    });
    match pepper {
        Some(mut hmac) => {
            hmac.update(key.as_bytes());
            hmac.finalize().into_bytes().into()
        }
        None => Sha256::digest(key.as_bytes()).into(),
    }
}

/// How a hash is written in a configuration.
pub fn written(pepper: Option<&Secret>, key: &str) -> String {
    let name = if pepper.is_some() { "hmac-sha256" } else { "sha256" };
    [name, ":", &hex(&digest(pepper, key))].concat()
}

/// Reads a hash as [`written`]; the error says what is wrong.
pub fn read(peppered: bool, text: &str) -> Result<Digest, &'static str> {
    let hex = match (text.split_once(':'), peppered) {
        (Some(("sha256", hex)), false) | (Some(("hmac-sha256", hex)), true) => hex,
        (Some(("sha256", _)), true) => {
            return Err("`pepper` is set, so the hash must be `hmac-sha256:...`");
        }
        (Some(("hmac-sha256", _)), false) => {
            return Err("an `hmac-sha256` needs `pepper`");
        }
        _ => return Err("must be `sha256:` and 64 hexadecimal digits; `make key` prints it"),
    };
    let mut digest = [0; 32];
    let bytes = hex.as_bytes().chunks(2);
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("must have 64 hexadecimal digits");
    }
    for (slot, pair) in digest.iter_mut().zip(bytes) {
        let pair =
            std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        *slot = pair.ok_or("must have 64 hexadecimal digits")?;
    }
    Ok(digest)
}

/// Compares in a time that does not depend on where they differ.
pub fn same(one: &Digest, other: &Digest) -> bool {
    std::hint::black_box(one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_id_and_a_mistyped_one_has_none() {
        let key = mint("sk-aigw", "team_a.1", &[7; 32]);
        assert_eq!(id("sk-aigw", &key), Some("team_a.1"));
        assert_eq!(id("sk", &key), None, "another prefix has another id, which fits no check");
        for at in 0..key.len() {
            let mut bytes = key.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(id("sk-aigw", &String::from_utf8(bytes).unwrap()), None, "at {at}");
        }
        for bad in ["", "sk-aigw", "sk-aigw-", "sk-aigw--", "sk-aigw-a-b", "sk-aigw-é-é"] {
            assert_eq!(id("sk-aigw", bad), None, "{bad}");
        }
    }

    #[test]
    fn a_hash_reads_back_and_fits_its_pepper_only() {
        let pepper = Secret::new("pepper");
        for pepper in [None, Some(&pepper)] {
            let hash = written(pepper, "key");
            let read = read(pepper.is_some(), &hash).unwrap();
            assert!(same(&read, &digest(pepper, "key")));
            assert!(!same(&read, &digest(pepper, "kez")));
            assert!(super::read(pepper.is_none(), &hash).is_err());
        }
        for bad in ["", "sha256:", "sha256:zz", "md5:00", "sha256:é"] {
            assert!(read(false, bad).is_err(), "{bad}");
        }
        // FIPS 180-4's example.
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(written(None, "abc"), abc);
    }
}
