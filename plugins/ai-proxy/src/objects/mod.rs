//! Objects that providers keep (files, batches, stored answers, cached contents) belong to whoever made
//! them.
//!
//! A provider knows only its own account, which all consumers of the gateway share. So clients never see
//! a provider's name of an object: they get it sealed, with the provider, the key and the owner in it.
//! A sealed name needs no store, holds on every worker and after a restart, and takes every later call
//! back to where the object is. Where no consumer is known there is one owner only, and names pass as
//! they are.

pub mod answer;
pub mod request;
mod walk;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shared::config::{ConfigError, Secret, Secrets};

/// Stands between a provider's name of an object and its seal.
const MARK: &str = "-gw-";
/// Bytes of a [`Mark`].
const MARK_BYTES: usize = 4;
/// Bytes of the proof that the owner's seal is ours.
const PROOF_BYTES: usize = 12;
/// Characters of a seal in base64.
const SEAL: usize = (2 * MARK_BYTES + PROOF_BYTES).div_ceil(3) * 4 - 1;
/// Least bytes of a secret.
const MIN_SECRET: usize = 16;
/// No provider's names are longer, in bytes.
const MAX_NAME: usize = 512;

/// Tells a provider, or one of its keys, from the others; it says nothing about the key to who has not
/// the secret.
pub type Mark = [u8; MARK_BYTES];

/// Seals and opens the names of objects.
pub struct Objects {
    /// The first one seals; all open.
    secrets: Vec<Secret>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({} secrets)", self.secrets.len())
    }
}

/// Whose an object is and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The consumer.
    pub owner: String,
    /// The provider's mark.
    pub provider: Mark,
    /// The mark of the provider's key.
    pub key: Mark,
}

/// A name that was sealed here, for this owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The provider's name of the object.
    pub name: String,
    /// The provider's mark.
    pub provider: Mark,
    /// The mark of the provider's key.
    pub key: Mark,
}

impl Objects {
    /// Checks the secrets; none if there are none.
    pub fn new(secrets: &Secrets) -> Result<Option<Objects>, ConfigError> {
        let secrets: Vec<Secret> = secrets.iter().cloned().collect();
        if let Some(index) = secrets.iter().position(|s| s.expose().len() < MIN_SECRET) {
            let message =
                format!("must have at least {MIN_SECRET} bytes; `openssl rand -hex 32` makes one");
            let path = if secrets.len() == 1 { String::new() } else { format!("[{index}]") };
            return Err(ConfigError::new(format!("object_secret{path}"), message));
        }
        Ok((!secrets.is_empty()).then_some(Objects { secrets }))
    }

    /// The mark of a provider or of a key.
    pub fn mark(&self, of: &str) -> Mark {
        let digest = self.secrets.first().map(|secret| digest(secret, &["mark", of]));
        cut(&digest.unwrap_or_default())
    }

    /// Whether this is a mark of it, by whichever secret.
    pub fn is_mark(&self, mark: &Mark, of: &str) -> bool {
        self.secrets.iter().any(|secret| cut::<MARK_BYTES>(&digest(secret, &["mark", of])) == *mark)
    }

    /// The name that a client gets.
    pub fn seal(&self, place: &Place, name: &str) -> String {
        let Some(secret) = self.secrets.first() else { return name.to_owned() };
        let mut seal = Vec::with_capacity(2 * MARK_BYTES + PROOF_BYTES);
        seal.extend(place.provider);
        seal.extend(place.key);
        let bytes = BASE64.encode(&seal);
        let proof = digest(secret, &["object", &place.owner, &bytes, name]);
        seal.extend(cut::<PROOF_BYTES>(&proof));
        format!("{name}{MARK}{}", BASE64.encode(seal))
    }

    /// The provider's name, if `sealed` was sealed here for this owner.
    pub fn open(&self, owner: &str, sealed: &str) -> Option<Opened> {
        let at = sealed.len().checked_sub(SEAL).filter(|_| sealed.len() <= MAX_NAME + SEAL)?;
        let (name, seal) = sealed.split_at_checked(at)?;
        let name = name.strip_suffix(MARK)?;
        let bytes = BASE64.decode(seal).ok()?;
        let (marks, proof) = bytes.split_at_checked(2 * MARK_BYTES)?;
        let (provider, key) = marks.split_at_checked(MARK_BYTES)?;
        let said = BASE64.encode(marks);
        let parts = ["object", owner, &said, name];
        let ours = self
            .secrets
            .iter()
            .any(|secret| mac(secret, &parts).verify_truncated_left(proof).is_ok());
        if !ours || proof.len() != PROOF_BYTES {
            return None;
        }
        Some(Opened { name: name.to_owned(), provider: cut(provider), key: cut(key) })
    }
}

fn mac(secret: &Secret, parts: &[&str]) -> Hmac<Sha256> {
    // Keys of any length are taken.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()));
    for part in parts {
        // With its length, so that no two lists of parts are the same bytes.
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac
}

fn digest(secret: &Secret, parts: &[&str]) -> [u8; 32] {
    mac(secret, parts).finalize().into_bytes().into()
}

/// The first bytes.
fn cut<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.get(..N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(json: &str) -> Objects {
        Objects::new(&shared::config::document(json).unwrap()).unwrap().unwrap()
    }

    fn place(objects: &Objects, owner: &str) -> Place {
        Place { owner: owner.into(), provider: objects.mark("openai"), key: objects.mark("sk-1") }
    }

    #[test]
    fn a_name_is_opened_for_its_owner_only() {
        let objects = objects(r#""0123456789abcdef""#);
        let sealed = objects.seal(&place(&objects, "anna"), "file-abc");
        assert!(sealed.starts_with("file-abc-gw-") && sealed.is_ascii(), "{sealed}");
        let opened = objects.open("anna", &sealed).unwrap();
        assert_eq!(opened.name, "file-abc");
        assert!(
            objects.is_mark(&opened.provider, "openai") && objects.is_mark(&opened.key, "sk-1")
        );
        assert!(!objects.is_mark(&opened.provider, "other"));
        assert_eq!(objects.open("bert", &sealed), None);
        assert_eq!(objects.open("", &sealed), None);
    }

    #[test]
    fn nothing_of_a_seal_can_be_changed() {
        let objects = objects(r#""0123456789abcdef""#);
        let sealed = objects.seal(&place(&objects, "anna"), "file-abc");
        for at in 0..sealed.len() {
            let mut other = sealed.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(objects.open("anna", &other), None, "{other}");
        }
        for cut in 0..sealed.len() {
            assert_eq!(objects.open("anna", sealed.get(..cut).unwrap()), None);
            assert_eq!(objects.open("anna", sealed.get(cut + 1..).unwrap()), None);
        }
        assert_eq!(objects.open("anna", "file-abc"), None);
        assert_eq!(objects.open("anna", "Ω".repeat(40).as_str()), None);
    }

    #[test]
    fn a_secret_is_changed_without_a_gap() {
        let old = objects(r#""old-old-old-old-old""#);
        let both = objects(r#"["new-new-new-new-new","old-old-old-old-old"]"#);
        let sealed = old.seal(&place(&old, "anna"), "file-abc");
        let opened = both.open("anna", &sealed).unwrap();
        assert!(both.is_mark(&opened.provider, "openai"));
        assert_eq!(old.open("anna", &both.seal(&place(&both, "anna"), "file-abc")), None);
    }

    #[test]
    fn short_secrets_are_refused() {
        let secrets = shared::config::document(r#"["0123456789abcdef","short"]"#).unwrap();
        assert_eq!(Objects::new(&secrets).unwrap_err().path, "object_secret[1]");
        assert!(Objects::new(&Secrets::default()).unwrap().is_none());
    }
}
