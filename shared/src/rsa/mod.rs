//! RS256: RSASSA-PKCS1-v1_5 with SHA-256, RFC 8017 section 8.2, both ways.
//!
//! It is one power modulo a number and a padding without any choice, so it is here rather than in a
//! crate: the `rsa` crate makes keys, encrypts and reads every form of key as well, which is over a
//! hundred kilobytes of a module. The tests compare the two.
//!
//! Nothing here needs randomness. What is secret is worked on in a time that depends on the length of
//! the key only, and is wiped when it is dropped. A signature leaves only after it has been verified,
//! because one that was made with a fault gives the key away.

mod der;
mod modular;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use der::Der;
use modular::{Modulus, Words};

/// Fewest and most bits of a modulus.
const BITS: std::ops::RangeInclusive<usize> = 1024..=8192;

/// Least and largest public exponent: larger ones only cost time.
const EXPONENTS: std::ops::RangeInclusive<u64> = 3..=(1 << 33) - 1;

/// `DigestInfo` of SHA-256 up to the hash, RFC 8017 section 9.2 note 1.
const DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// `AlgorithmIdentifier` of RSA keys for any use, RFC 8017 appendix A.1.
const ALGORITHM: [u8; 13] =
    [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// A key that verifies.
pub struct PublicKey {
    modulus: Modulus,
    exponent: u64,
}

impl PublicKey {
    /// A key of its modulus and its exponent, most significant byte first. `None` unless the modulus is
    /// odd and has 1024 to 8192 bits, and the exponent is odd and between 3 and 2^33 - 1.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Option<PublicKey> {
        let length = bit_length(modulus);
        if !BITS.contains(&length) {
            return None;
        }
        let modulus = Modulus::new(Words::of(modulus, length.div_ceil(32))?)?;
        let exponent = match *Words::of(exponent, 2)?.as_slice() {
            [low, high] => u64::from(low) | u64::from(high) << 32,
            _ => return None,
        };
        let taken = EXPONENTS.contains(&exponent) && exponent % 2 == 1;
        taken.then_some(PublicKey { modulus, exponent })
    }

    /// The length of the modulus.
    pub fn bits(&self) -> usize {
        self.modulus.bits()
    }

    /// Whether this is the key's signature of the message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let bytes = self.bytes();
        signature.len() == bytes
            && Words::of(signature, self.modulus.len())
                .filter(|signature| self.modulus.exceeds(signature))
                .is_some_and(|signature| {
                    // Built and compared as a whole: nothing is parsed, so nothing can be hidden.
                    self.power(&signature).to_bytes(bytes) == encoded(message, bytes)
                })
    }

    fn bytes(&self) -> usize {
        self.bits().div_ceil(8)
    }

    fn power(&self, base: &Words) -> Words {
        let form = self.modulus.enter(base);
        self.modulus.leave(&self.modulus.power_public(&form, self.exponent))
    }
}

/// A key that signs, of two primes.
pub struct PrivateKey {
    public: PublicKey,
    p: Modulus,
    q: Modulus,
    /// The private exponent modulo `p - 1` and `q - 1`.
    dp: Words,
    dq: Words,
    /// The inverse of `q` modulo `p`.
    qinv: Words,
}

impl PrivateKey {
    /// Reads a key in PKCS #8's form, as DER. `None` if it is no RSA key of two primes of half its
    /// length, has not 1024 to 8192 bits, or has parts that do not belong together.
    pub fn from_pkcs8(document: &[u8]) -> Option<PrivateKey> {
        let mut info = Der::whole(document)?;
        let version = info.take(Der::INTEGER)?;
        if !matches!(version, [0 | 1]) || info.take(Der::SEQUENCE)? != ALGORITHM {
            return None;
        }
        let key = info.take(Der::OCTET_STRING)?;
        // Attributes and, from version 1 on, the public key once more.
        let _ = info.take(Der::CONTEXT_0_CONSTRUCTED);
        if version == [1] {
            let _ = info.take(Der::CONTEXT_1);
        }
        if !info.is_empty() {
            return None;
        }
        PrivateKey::from_pkcs1(key)
    }

    /// `RSAPrivateKey`, RFC 8017 appendix A.1.2.
    fn from_pkcs1(document: &[u8]) -> Option<PrivateKey> {
        let mut key = Der::whole(document)?;
        // Version 1 has more primes.
        if key.take(Der::INTEGER)? != [0] {
            return None;
        }
        let (n, e) = (key.unsigned()?, key.unsigned()?);
        // The private exponent is not needed where it is known modulo the primes.
        let _d = key.unsigned()?;
        let public = PublicKey::new(n, e)?;
        let half = public.bits().div_ceil(2);
        let mut part = || {
            let part = key.unsigned()?;
            (bit_length(part) <= half).then(|| Words::of(part, half.div_ceil(32)))?
        };
        let (p, q) = (part()?, part()?);
        let (dp, dq, qinv) = (part()?, part()?, part()?);
        if !key.is_empty() || !public.modulus.is_product(&p, &q) {
            return None;
        }
        let key = PrivateKey { public, p: Modulus::new(p)?, q: Modulus::new(q)?, dp, dq, qinv };
        // A signature that verifies is the proof that all parts belong together.
        key.sign(b"").map(|_| key)
    }

    /// The key's signature of a message; `None` if something went wrong in making it.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let bytes = self.public.bytes();
        self.power(&encoded(message, bytes)).map(|signature| signature.to_bytes(bytes))
    }

    /// A number to the power of the private exponent; `None` if the public one does not undo it.
    fn power(&self, number: &[u8]) -> Option<Words> {
        let length = self.public.modulus.len();
        let number = Words::of(number, length)?;
        // Chinese remainders, RFC 8017 section 5.2.1 step 2.
        let m1 = self.p.power_secret(&self.p.enter(&number), &self.dp);
        let m2 = self.q.leave(&self.q.power_secret(&self.q.enter(&number), &self.dq));
        let difference = self.p.difference(&m1, &self.p.enter(&m2));
        // One of the factors is in Montgomery's form, so the product is not.
        let h = self.p.multiply(&difference, &self.qinv);
        let power = self.q.multiply_add(&h, &m2, length)?;
        let undone = self.public.modulus.exceeds(&power) && *self.public.power(&power) == *number;
        undone.then_some(power)
    }
}

/// The message as it is signed, EMSA-PKCS1-v1_5 of RFC 8017 section 9.2. `length` is that of a modulus,
/// and leaves room for the padding's eight bytes and more.
fn encoded(message: &[u8], length: usize) -> Vec<u8> {
    let hash = Sha256::digest(message);
    let padding = length.saturating_sub(3 + DIGEST_INFO.len() + hash.len());
    let mut encoded = Vec::with_capacity(length);
    encoded.extend_from_slice(&[0, 1]);
    encoded.resize(2 + padding, 0xff);
    encoded.push(0);
    encoded.extend_from_slice(&DIGEST_INFO);
    encoded.extend_from_slice(&hash);
    encoded
}

/// Bits of a number, most significant byte first.
fn bit_length(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    (number.len() - zeros) * 8 - first
}
