//! The binary event stream of AWS: what is decoded is encoded to the same bytes, and how the stream
//! is split makes no difference.
//!
//! The input is the stream, once as it is and once with its checksums made right, because no
//! mutation gets past them otherwise.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::eventstream::{Decoder, Error, encode};

fuzz_target!(|input: &[u8]| {
    check(input);
    let mut repaired = input.to_vec();
    repair(&mut repaired);
    check(&repaired);
});

fn check(stream: &[u8]) {
    let whole = decode(stream, stream.len().max(1));
    for size in [1, stream.len() % 13 + 2] {
        assert_eq!(decode(stream, size), whole);
    }
    assert!(stream.starts_with(&whole.0));
    if whole.1.is_ok() {
        assert_eq!(whole.0, stream);
    }
}

/// The bytes of the messages, and how the stream ended.
fn decode(stream: &[u8], size: usize) -> (Vec<u8>, Result<(), Error>) {
    let mut raw = Vec::new();
    let mut decoder = Decoder::new();
    for chunk in stream.chunks(size) {
        let pushed = decoder.push(chunk, |message| {
            let mut encoded = Vec::new();
            encode(message.headers(), message.payload(), &mut encoded).expect("was decoded");
            assert_eq!(encoded, message.raw());
            for (name, _) in message.headers() {
                assert!(message.header(name).is_some());
            }
            raw.extend_from_slice(message.raw());
        });
        if pushed.is_err() {
            break;
        }
    }
    (raw, decoder.finish())
}

/// Sets the checksums of all messages, as far as their lengths go.
fn repair(mut stream: &mut [u8]) {
    while stream.len() >= 16 {
        let total = u32::from_be_bytes([stream[0], stream[1], stream[2], stream[3]]) as usize;
        let crc = crc32fast::hash(&stream[..8]);
        stream[8..12].copy_from_slice(&crc.to_be_bytes());
        if total < 16 || total > stream.len() {
            break;
        }
        let (message, tail) = stream.split_at_mut(total);
        let crc = crc32fast::hash(&message[..total - 4]);
        message[total - 4..].copy_from_slice(&crc.to_be_bytes());
        stream = tail;
    }
}
