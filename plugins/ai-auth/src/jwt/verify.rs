//! Signatures of tokens: keys of a key set, and what each may check.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::Verifier as _;
use rsa::BoxedUint;
use sha2::Sha256;

use crate::config::{Algorithm, Jwk};

/// Fewest and most bits of an RSA key: shorter ones can be broken, longer ones cost too much.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=8192;

/// Most keys of a set that are kept.
pub(super) const MAX_KEYS: usize = 64;

/// A key of one kind, which checks signatures of that kind only: a token cannot talk a public key into
/// being taken for a shared secret.
pub(super) enum Key {
    Hmac(Vec<u8>),
    Rsa(Box<rsa::pkcs1v15::VerifyingKey<Sha256>>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
}

/// A key and its name.
pub(super) struct Named {
    pub(super) kid: Option<String>,
    pub(super) key: Key,
}

impl Named {
    /// Reads a key of a set; `None` for one of a kind that is not taken here.
    pub(super) fn of(jwk: &Jwk) -> Option<Named> {
        if jwk.use_.as_ref().is_some_and(|used| used != "sig") {
            return None;
        }
        let bytes = |field: &Option<String>| {
            let text = field.as_ref()?.trim_end_matches('=');
            URL_SAFE_NO_PAD.decode(text).ok()
        };
        let of_alg = |name: &str| jwk.alg.as_ref().is_none_or(|alg| alg == name);
        let key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) if of_alg("RS256") => rsa(&bytes(&jwk.n)?, &bytes(&jwk.e)?)?,
            ("EC", Some("P-256")) if of_alg("ES256") => {
                let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                Key::P256(Box::new(p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?))
            }
            ("OKP", Some("Ed25519")) if of_alg("EdDSA") || of_alg("Ed25519") => {
                let point: [u8; 32] = bytes(&jwk.x)?.try_into().ok()?;
                Key::Ed25519(Box::new(ed25519_dalek::VerifyingKey::from_bytes(&point).ok()?))
            }
            _ => return None,
        };
        Some(Named { kid: jwk.kid.clone(), key })
    }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Key> {
    let modulus = BoxedUint::from_be_slice_vartime(modulus);
    let exponent = BoxedUint::from_be_slice_vartime(exponent);
    if !RSA_BITS.contains(&modulus.bit_width()) {
        return None;
    }
    let key = rsa::PublicKey::new(modulus, exponent).ok()?;
    Some(Key::Rsa(Box::new(rsa::pkcs1v15::VerifyingKey::new(key))))
}

impl Key {
    /// What it is for.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Key::Hmac(_) => Algorithm::Hs256,
            Key::Rsa(_) => Algorithm::Rs256,
            Key::P256(_) => Algorithm::Es256,
            Key::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether it has made this signature.
    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Key::Hmac(secret) => {
                let Ok(mut hmac) = <Hmac<Sha256> as KeyInit>::new_from_slice(secret) else {
                    return false;
                };
                hmac.update(signed);
                // In constant time.
                hmac.verify_slice(signature).is_ok()
            }
            Key::Rsa(key) => {
                let signature = rsa::pkcs1v15::Signature::try_from(signature);
                signature.is_ok_and(|signature| key.verify(signed, &signature).is_ok())
            }
            Key::P256(key) => {
                let signature = p256::ecdsa::Signature::from_slice(signature);
                signature.is_ok_and(|signature| key.verify(signed, &signature).is_ok())
            }
            Key::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_slice(signature);
                signature.is_ok_and(|signature| key.verify_strict(signed, &signature).is_ok())
            }
        }
    }
}

/// Never shows a secret.
impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.key.algorithm(), self.kid)
    }
}
