#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// What `keys/README.md` says is signed.
const MESSAGE: &[u8] = b"wasm-ai-gateway";

/// Bits, the key, and OpenSSL's signature.
const KEYS: [(usize, &[u8], &[u8]); 4] = [
    // Neither the modulus nor half of it ends where a byte or a word does.
    (1031, include_bytes!("keys/1031.der"), include_bytes!("keys/1031.sig")),
    (2048, include_bytes!("keys/2048.der"), include_bytes!("keys/2048.sig")),
    (3072, include_bytes!("keys/3072.der"), include_bytes!("keys/3072.sig")),
    (4096, include_bytes!("keys/4096.der"), include_bytes!("keys/4096.sig")),
];

fn key(bits: usize) -> PrivateKey {
    let key = KEYS.iter().find(|key| key.0 == bits).unwrap();
    PrivateKey::from_pkcs8(key.1).unwrap()
}

#[test]
fn signatures_are_those_that_openssl_makes() {
    for (bits, document, signature) in KEYS {
        let key = PrivateKey::from_pkcs8(document).unwrap();
        assert_eq!(key.public.bits(), bits);
        assert!(key.public.verifies(MESSAGE, signature));
        assert!(!key.public.verifies(b"another message", signature));
        if bits <= 2048 {
            assert_eq!(key.sign(MESSAGE).unwrap(), signature);
        }
    }
}

#[test]
fn a_key_with_a_wrong_part_signs_nothing() {
    let signs = |change: fn(&mut PrivateKey)| {
        let mut key = key(1031);
        change(&mut key);
        key.sign(MESSAGE).is_some()
    };
    assert!(signs(|_| {}));
    // A signature made with a fault modulo one of the primes gives that prime away.
    assert!(!signs(|key| key.dp[0] ^= 1));
    assert!(!signs(|key| key.dq[3] ^= 1 << 31));
    assert!(!signs(|key| key.qinv[5] ^= 1 << 7));
    assert!(!signs(|key| std::mem::swap(&mut key.p, &mut key.q)));
    assert!(!signs(|key| key.public.exponent = 3));
}

#[test]
fn a_document_that_is_damaged_gives_no_key_or_the_same_one() {
    let (_, document, signature) = KEYS[0];
    for length in 0..document.len() {
        assert!(PrivateKey::from_pkcs8(&document[..length]).is_none(), "{length}");
    }
    assert!(PrivateKey::from_pkcs8(&[document, &[0]].concat()).is_none());
    // The head and the lengths, all of them; of the numbers, samples.
    let samples = (0..40).chain((40..document.len()).step_by(17));
    for (at, bit) in samples.zip((0..8).cycle()) {
        let mut damaged = document.to_vec();
        damaged[at] ^= 1 << bit;
        if let Some(key) = PrivateKey::from_pkcs8(&damaged) {
            assert_eq!(key.sign(MESSAGE).unwrap(), signature, "{at}");
        }
    }
}

#[test]
fn attributes_and_a_copy_of_the_public_key_may_follow_a_key() {
    let inner = |version: u8, rest: &[u8]| {
        let (_, document, _) = KEYS[0];
        // SEQUENCE, two bytes of length, INTEGER version.
        assert_eq!(document[..2], [0x30, 0x82]);
        assert_eq!(document[4..7], [2, 1, 0]);
        let content = [&[2, 1, version], &document[7..], rest].concat();
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        PrivateKey::from_pkcs8(&[&[0x30, 0x82], &length[..], &content].concat()).is_some()
    };
    let (attributes, public) = ([0xa0, 2, 0x30, 0], [0x81, 2, 0, 7]);
    assert!(inner(0, &[]) && inner(0, &attributes) && inner(1, &public));
    assert!(inner(1, &[attributes, public].concat()));
    assert!(!inner(0, &public) && !inner(2, &[]) && !inner(0, &[5, 0]));
    assert!(!inner(1, &[public, attributes].concat()));
}

#[test]
fn public_keys_out_of_bounds_are_refused() {
    let odd = |bits: usize| {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] = 0xff >> (modulus.len() * 8 - bits);
        modulus
    };
    let even = |bits: usize| {
        let mut modulus = odd(bits);
        *modulus.last_mut().unwrap() = 0xfe;
        modulus
    };
    let usual = [1, 0, 1];
    for (modulus, exponent, taken) in [
        (odd(1024), &usual[..], true),
        (odd(8192), &usual, true),
        (odd(2047), &[3], true),
        ([vec![0; 5], odd(2048)].concat(), &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1], true),
        (odd(2048), &[1, 0xff, 0xff, 0xff, 0xff], true),
        (odd(1023), &usual, false),
        (odd(8193), &usual, false),
        (even(2048), &usual, false),
        (vec![0; 256], &usual, false),
        (Vec::new(), &usual, false),
        (odd(2048), &[], false),
        (odd(2048), &[0], false),
        (odd(2048), &[1], false),
        (odd(2048), &[2], false),
        (odd(2048), &[1, 0, 0], false),
        (odd(2048), &[2, 0, 0, 0, 1], false),
        (odd(2048), &[1, 0, 0, 0, 0, 0, 0, 0, 1], false),
    ] {
        let key = PublicKey::new(&modulus, exponent);
        assert_eq!(key.is_some(), taken, "{} bytes, {exponent:?}", modulus.len());
        if let Some(key) = key {
            assert!(!key.verifies(MESSAGE, &vec![0; key.bytes()]));
        }
    }
}

/// What two implementations are asked.
#[cfg(not(target_arch = "wasm32"))]
mod compared {
    use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
    use crypto_bigint::{BoxedUint, NonZero, Odd, Resize};
    use proptest::prelude::*;
    use rsa::pkcs1v15::{Signature, SigningKey, VerifyingKey};
    use rsa::pkcs8::DecodePrivateKey;
    use rsa::signature::{SignatureEncoding, Signer, Verifier};

    use super::*;

    #[test]
    fn the_rsa_crate_makes_the_same_signatures() {
        for bits in [1031, 3072] {
            let document = KEYS.iter().find(|key| key.0 == bits).unwrap().1;
            let other = rsa::PrivateKey::from_pkcs8_der(document).unwrap();
            let other = SigningKey::<rsa::sha2::Sha256>::new(other);
            let signature = key(bits).sign(b"a claim").unwrap();
            assert_eq!(signature, &*other.sign(b"a claim").to_bytes());
        }
    }

    #[test]
    fn the_rsa_crate_refuses_the_same_signatures() {
        let (_, document, genuine) = KEYS[1];
        let key = PrivateKey::from_pkcs8(document).unwrap();
        let other = rsa::PrivateKey::from_pkcs8_der(document).unwrap();
        let other = VerifyingKey::<rsa::sha2::Sha256>::new(other.into());
        let takes = |signature: &[u8]| {
            let ours = key.public.verifies(MESSAGE, signature);
            let theirs = Signature::try_from(signature)
                .is_ok_and(|signature| other.verify(MESSAGE, &signature).is_ok());
            assert_eq!(ours, theirs, "{signature:?}");
            ours
        };
        assert!(takes(genuine));

        // What is signed is not what the standard says, but by the right key.
        let signed = |encoded: &[u8]| {
            assert_eq!(encoded.len(), 256);
            key.power(encoded).unwrap().to_bytes(256)
        };
        let right = encoded(MESSAGE, 256);
        assert_eq!(signed(&right), genuine);
        let padded = |info: &[u8], rest: &[u8]| {
            let length = 256 - 3 - info.len() - rest.len();
            [&[0, 1], &*vec![0xff; length], &[0], info, rest].concat()
        };
        let info = &right[256 - 51..];
        assert_eq!(padded(info, &[]), right);
        let hash = &info[19..];
        // Without the parameters' NULL, which some take; with it twice; lengths in longer forms; the
        // identifiers of SHA-1 and SHA-512; the bare hash.
        let null = [&[0x30, 0x2f, 0x30, 0x0b], &info[4..15], &[4, 0x20], hash].concat();
        let twice = [&[0x30, 0x33, 0x30, 0x0f], &info[4..17], &[5, 0, 4, 0x20], hash].concat();
        let long = [&[0x30, 0x81, 0x31], &info[2..]].concat();
        let sha512 = [&info[..14], &[3], &info[15..]].concat();
        let sha1 = [&[0x30, 0x2d, 0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 0x20], hash];
        let mut wrong = vec![
            padded(&null, &[]),
            padded(&twice, &[]),
            padded(&long, &[]),
            padded(&sha512, &[]),
            padded(&sha1.concat(), &[]),
            padded(hash, &[]),
            // Bleichenbacher's of 2006: what follows the hash is not looked at by those who parse.
            padded(info, &[0]),
            padded(info, &[7; 180]),
            padded(&[], &[]),
        ];
        // A bit of each part: the type, the padding, its end, the identifier, the hash.
        for at in [1, 2, 100, 256 - 53, 256 - 52, 256 - 51, 256 - 40, 256 - 32, 255] {
            let mut changed = right.clone();
            changed[at] ^= 2;
            wrong.push(changed);
        }
        for wrong in wrong {
            assert!(!takes(&signed(&wrong)), "{wrong:?}");
        }

        // The signature itself is of another form.
        let modulus = key.public.modulus.multiply_add(
            &Words::of(&[1], 64).unwrap(),
            &Words::of(&[], 64).unwrap(),
            64,
        );
        let modulus = modulus.unwrap().to_bytes(256);
        let number = |byte: u8| [&[0; 255][..], &[byte]].concat();
        for wrong in [
            &[][..],
            &genuine[1..],
            &genuine[..255],
            &[&[0], genuine].concat(),
            &[genuine, &[0]].concat(),
            &[0; 256],
            &number(1),
            &[0xff; 256],
            &modulus,
            &[0; 1024],
            &[0; 1025],
        ] {
            assert!(!takes(wrong));
        }
        for at in (0..256).step_by(5) {
            let mut changed = genuine.to_vec();
            changed[at] ^= 0x10;
            assert!(!takes(&changed));
        }
    }

    fn boxed(words: &[u32]) -> BoxedUint {
        let bytes: Vec<u8> = words.iter().rev().flat_map(|word| word.to_be_bytes()).collect();
        BoxedUint::from_be_slice(&bytes, words.len() as u32 * 32).unwrap()
    }

    fn words(words: &[u32]) -> Words {
        let bytes: Vec<u8> = words.iter().rev().flat_map(|word| word.to_be_bytes()).collect();
        Words::of(&bytes, words.len()).unwrap()
    }

    fn of_boxed(number: &BoxedUint, count: usize) -> Vec<u32> {
        Words::of(&number.to_be_bytes(), count).unwrap().to_vec()
    }

    /// Words at the edges are where carries are lost.
    fn word() -> impl Strategy<Value = u32> {
        prop_oneof![any::<u32>(), Just(0), Just(1), Just(u32::MAX), Just(1 << 31)]
    }

    proptest! {
        #[test]
        fn crypto_bigint_computes_the_same_powers(
            (modulus, base, exponent) in (1usize..9).prop_flat_map(|length| (
                proptest::collection::vec(word(), length),
                proptest::collection::vec(word(), 1..=2 * length),
                proptest::collection::vec(word(), 1..=length),
            )),
            public in prop_oneof![1u64..70_000, any::<u64>()],
        ) {
            let length = modulus.len();
            let mut odd = modulus;
            odd[0] |= 1;
            let Some(modulus) = Modulus::new(words(&odd)) else {
                prop_assert!(odd[0] == 1 && odd[1..].iter().all(|word| *word == 0));
                return Ok(());
            };
            let theirs = Odd::new(boxed(&odd)).unwrap();
            let reduced = boxed(&base).rem(&NonZero::new(boxed(&odd)).unwrap());

            let form = modulus.enter(&words(&base));
            prop_assert_eq!(&**modulus.leave(&form), &of_boxed(&reduced, length));

            let params = BoxedMontyParams::new(theirs.clone());
            let bits = theirs.bits_precision();
            let base = BoxedMontyForm::new(
                boxed(&of_boxed(&reduced, length)).resize_unchecked(bits),
                &params,
            );
            let power = base.pow(&boxed(&exponent)).retrieve();
            let ours = modulus.leave(&modulus.power_secret(&form, &words(&exponent)));
            prop_assert_eq!(&**ours, &of_boxed(&power, length));

            if public > 0 {
                let power = base.pow(&BoxedUint::from(public)).retrieve();
                let ours = modulus.leave(&modulus.power_public(&form, public));
                prop_assert_eq!(&**ours, &of_boxed(&power, length));
            }
        }
    }
}
