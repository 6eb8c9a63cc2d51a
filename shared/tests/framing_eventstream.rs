//! The binary event stream of AWS: the test vectors that its SDKs share, and properties.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use shared::eventstream::{
    DEFAULT_MAX_PAYLOAD, Decoder, Error, MAX_HEADERS, MAX_MESSAGE, Message, Value, encode,
};

/// A message that owns what it has: the payload, and each header with its value in debug form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Seen {
    raw: Vec<u8>,
    headers: Vec<(String, String)>,
    payload: Vec<u8>,
}

fn seen(message: &Message<'_>) -> Seen {
    let headers = message.headers().map(|(name, value)| (name.to_owned(), format!("{value:?}")));
    Seen {
        raw: message.raw().to_vec(),
        headers: headers.collect(),
        payload: message.payload().to_vec(),
    }
}

fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Seen>, Result<(), Error>) {
    let mut messages = Vec::new();
    let mut decoder = Decoder::new();
    let mut pushed = Ok(());
    for chunk in chunks {
        pushed = decoder.push(chunk, |message| messages.push(seen(&message)));
    }
    let finished = decoder.finish();
    if pushed.is_err() {
        assert_eq!(finished, pushed);
    }
    (messages, finished)
}

fn only(bytes: &[u8]) -> Result<Seen, Error> {
    let (mut messages, result) = decode([bytes]);
    result.map(|()| messages.pop().unwrap())
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// `{'foo':'bar'}`, the payload of the vectors.
const PAYLOAD: &str = "7b27666f6f273a27626172277d";
/// The header `content-type: application/json` of the vectors.
const JSON: &str = "0c636f6e74656e742d74797065 07 0010 6170706c69636174696f6e2f6a736f6e";

// The vectors of the AWS SDKs for C and JavaScript.

#[test]
fn reads_the_valid_vectors() {
    let vectors = [
        ("00000010 00000000 05c248eb 7d98c8ff".to_owned(), "", None),
        (format!("0000001d 00000000 fd528c5a {PAYLOAD} c3653936"), PAYLOAD, None),
        (
            format!("0000003d 00000020 07fd8396 {JSON} {PAYLOAD} 8d9c08b1"),
            PAYLOAD,
            Some(("content-type", Value::String("application/json"))),
        ),
        (
            format!(
                "0000002b 0000000e 348bec7b 08 6576656e742d6964 04 0000a00c {PAYLOAD} d3890285"
            ),
            PAYLOAD,
            Some(("event-id", Value::Integer(0xa00c))),
        ),
    ];
    for (vector, payload, header) in vectors {
        let vector = bytes(&vector);
        let headers = header.iter().map(|(name, value)| ((*name).to_owned(), format!("{value:?}")));
        let expected =
            Seen { raw: vector.clone(), headers: headers.collect(), payload: bytes(payload) };
        assert_eq!(only(&vector), Ok(expected));
        let mut encoded = Vec::new();
        encode(header, &bytes(payload), &mut encoded).unwrap();
        assert_eq!(encoded, vector);
    }
}

#[test]
fn rejects_the_damaged_vectors() {
    let json = JSON.replace("2d74", "2b74");
    for (vector, error) in [
        (format!("0000003d 00000020 07fd8396 {json} {PAYLOAD} 8d9c08b1"), Error::MessageChecksum),
        (format!("0000003d 00000120 07fd8396 {JSON} {PAYLOAD} 8d9c08b1"), Error::PreludeChecksum),
        (format!("0100001d 00000000 fd528c5a {PAYLOAD} c3653936"), Error::PreludeChecksum),
        (
            "0000001d 00000000 fd528c5a 7b27666f6f273a27626172278d c3653936".to_owned(),
            Error::MessageChecksum,
        ),
    ] {
        assert_eq!(only(&bytes(&vector)), Err(error));
        assert_eq!(decode(bytes(&vector).chunks(1)), (Vec::new(), Err(error)));
    }
}

/// The message of the AWS SDK for Rust with a header of every type; its tests name the checksum.
#[test]
fn writes_every_type_as_the_sdk_does() {
    let headers = [
        ("true", Value::Bool(true)),
        ("false", Value::Bool(false)),
        ("byte", Value::Byte(50)),
        ("short", Value::Short(20_000)),
        ("int", Value::Integer(500_000)),
        ("long", Value::Long(50_000_000_000)),
        ("bytes", Value::ByteArray(b"some bytes")),
        ("str", Value::String("some str")),
        ("time", Value::Timestamp(5_000_000_000)),
        ("uuid", Value::Uuid(0xb79b_c914_de21_4e13_b8b2_bc47_e85b_7f0b_u128.to_be_bytes())),
    ];
    let mut out = Vec::new();
    encode(headers, b"some payload", &mut out).unwrap();
    assert_eq!(out[out.len() - 4..], 0x01a0_5860_u32.to_be_bytes());
    let check = |message: Message<'_>| {
        assert!(message.headers().eq(headers));
        assert_eq!(message.header("short"), Some(Value::Short(20_000)));
        assert_eq!(message.header("str").and_then(|value| value.as_str()), Some("some str"));
        assert_eq!(message.header("STR"), None);
        assert_eq!(message.payload(), b"some payload");
    };
    Decoder::new().push(&out, check).unwrap();
}

/// A message of these lengths and headers, with the right checksums.
fn forged(total: usize, headers_length: usize, headers: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for length in [total, headers_length] {
        out.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    }
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.extend_from_slice(headers);
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out
}

/// The CRC-32 of gzip, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !bytes.iter().fold(!0, byte)
}

#[test]
fn rejects_malformed_headers() {
    let cases: [&[u8]; 14] = [
        b"\x01",                      // No name.
        b"\x05a\x00",                 // A cut name.
        b"\x01a",                     // No type.
        b"\x00\x00",                  // An empty name.
        b"\x01b\x00\x00\x00",         // The same after a good header.
        b"\x01\xFF\x00",              // A name that is not UTF-8.
        b"\x01a\x0A",                 // No such type.
        b"\x01a\x60",                 // No such type.
        b"\x01a\x02",                 // A cut number.
        b"\x01a\x05\0\0\0\0\0\0\0",   // A cut number.
        b"\x01a\x06\x00",             // A cut length.
        b"\x01a\x07\x00\x02x",        // A cut text.
        b"\x01a\x07\x00\x01\xFF",     // A text that is not UTF-8.
        b"\x01a\x09\0\0\0\0\0\0\0\0", // A cut UUID.
    ];
    for headers in cases {
        let message = forged(16 + headers.len(), headers.len(), headers);
        assert_eq!(only(&message), Err(Error::Header), "{headers:?}");
    }
    // The header ends where the payload begins, whatever is there.
    assert_eq!(only(&forged(16 + 5, 3, b"\x01a\x02\x00\x00")), Err(Error::Header));
}

#[test]
fn rejects_lengths_that_cannot_be() {
    for (total, headers, error) in [
        (0, 0, Error::Lengths),
        (15, 0, Error::Lengths),
        (16, 1, Error::Lengths),
        (16 + MAX_HEADERS, MAX_HEADERS + 1, Error::HeadersTooLong),
        (17 + DEFAULT_MAX_PAYLOAD, 0, Error::TooLong),
        (u32::MAX as usize, 0, Error::TooLong),
        (u32::MAX as usize, u32::MAX as usize, Error::HeadersTooLong),
    ] {
        let prelude = &forged(total, headers, b"")[..12];
        let mut decoder = Decoder::new();
        assert_eq!(decoder.push(prelude, |_| panic!("no message")), Err(error));
        // It stays so.
        let good = forged(16, 0, b"");
        assert_eq!(decoder.push(&good, |_| panic!("no message")), Err(error));
    }
    let prelude = &forged(MAX_MESSAGE + 1, 0, b"")[..12];
    let mut decoder = Decoder::with_max_payload(usize::MAX);
    assert_eq!(decoder.push(prelude, |_| panic!("no message")), Err(Error::TooLong));
}

#[test]
fn takes_what_is_just_within_the_limits() {
    let value = vec![b'x'; usize::from(u16::MAX)];
    let mut out = Vec::new();
    // Two headers of 1 + 1 + 1 + 2 bytes besides the value.
    let second = MAX_HEADERS - 5 - value.len() - 5;
    let headers = [("a", Value::ByteArray(&value)), ("b", Value::ByteArray(&value[..second]))];
    encode(headers, &vec![0; DEFAULT_MAX_PAYLOAD], &mut out).unwrap();
    let message = only(&out).unwrap();
    assert_eq!((message.headers.len(), message.payload.len()), (2, DEFAULT_MAX_PAYLOAD));
    assert_eq!(decode(out.chunks(1000)), (vec![message], Ok(())));

    let long = [&value[..], b"x"].concat();
    let name = "n".repeat(256);
    let many = [headers[0], headers[1], ("c", Value::Bool(true))];
    for (headers, payload, error) in [
        (&[("", Value::Bool(true))][..], 0, Error::Header),
        (&[(name.as_str(), Value::Bool(true))], 0, Error::Header),
        (&[("a", Value::ByteArray(&long))], 0, Error::Header),
        (&many, 0, Error::HeadersTooLong),
        (&[], MAX_MESSAGE - 15, Error::TooLong),
    ] {
        let mut out = b"before".to_vec();
        let result = encode(headers.iter().copied(), &vec![0; payload], &mut out);
        assert_eq!((result, &out[..]), (Err(error), &b"before"[..]));
    }
}

#[test]
fn borrows_what_lies_whole_within_a_chunk() {
    let message = forged(16, 0, b"");
    let chunk = [&message[4..], &message, &message[..3]].concat();
    let mut decoder = Decoder::new();
    decoder.push(&message[..4], |_| panic!("not complete")).unwrap();
    let mut borrowed = Vec::new();
    let add = |message: Message<'_>| {
        borrowed.push(chunk.as_ptr_range().contains(&message.raw().as_ptr()))
    };
    decoder.push(&chunk, add).unwrap();
    assert_eq!(borrowed, [false, true]);
    assert_eq!(decoder.finish(), Err(Error::Truncated));
}

/// A value that owns what it has.
#[derive(Debug, Clone)]
enum Owned {
    Fixed(Value<'static>),
    Bytes(Vec<u8>),
    Text(String),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Owned::Fixed(value) => *value,
            Owned::Bytes(bytes) => Value::ByteArray(bytes),
            Owned::Text(text) => Value::String(text),
        }
    }
}

fn a_value() -> impl Strategy<Value = Owned> {
    prop_oneof![
        any::<bool>().prop_map(|value| Owned::Fixed(Value::Bool(value))),
        any::<i8>().prop_map(|value| Owned::Fixed(Value::Byte(value))),
        any::<i16>().prop_map(|value| Owned::Fixed(Value::Short(value))),
        any::<i32>().prop_map(|value| Owned::Fixed(Value::Integer(value))),
        any::<i64>().prop_map(|value| Owned::Fixed(Value::Long(value))),
        any::<i64>().prop_map(|value| Owned::Fixed(Value::Timestamp(value))),
        any::<[u8; 16]>().prop_map(|value| Owned::Fixed(Value::Uuid(value))),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Owned::Bytes),
        ".{0,40}".prop_map(Owned::Text),
    ]
}

type Parts = (Vec<(String, Owned)>, Vec<u8>);

fn a_message() -> impl Strategy<Value = Parts> {
    let header = (":?[a-zé-]{1,9}", a_value());
    (prop::collection::vec(header, 0..6), prop::collection::vec(any::<u8>(), 0..60))
}

fn write((headers, payload): &Parts) -> Vec<u8> {
    let mut out = Vec::new();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.value()));
    encode(headers, payload, &mut out).unwrap();
    out
}

proptest! {
    #[test]
    fn reads_what_it_writes_however_split(
        messages in prop::collection::vec(a_message(), 0..4),
        piece in 1..40_usize,
    ) {
        let expected: Vec<Seen> = messages.iter().map(|message| Seen {
            raw: write(message),
            headers: message.0.iter().map(|(n, v)| (n.clone(), format!("{:?}", v.value()))).collect(),
            payload: message.1.clone(),
        }).collect();
        let stream = messages.iter().flat_map(write).collect::<Vec<u8>>();
        prop_assert_eq!(decode([&stream[..]]), (expected.clone(), Ok(())));
        prop_assert_eq!(decode(stream.chunks(piece)), (expected.clone(), Ok(())));
        for at in 0..=stream.len() {
            let halves = <[&[u8]; 2]>::from(stream.split_at(at));
            prop_assert_eq!(decode(halves), (expected.clone(), Ok(())));
        }
    }

    /// A checksum of 32 bits finds every change of up to 32 bits in a row.
    #[test]
    fn one_changed_byte_is_found(message in a_message(), at: prop::sample::Index, change in 1..=255_u8) {
        let mut damaged = write(&message);
        let at = at.index(damaged.len());
        damaged[at] ^= change;
        let (messages, result) = decode([&damaged[..]]);
        prop_assert_eq!(messages, Vec::new());
        let error = if at < 12 { Error::PreludeChecksum } else { Error::MessageChecksum };
        prop_assert_eq!(result, Err(error));
    }

    #[test]
    fn any_bytes_are_read_alike_however_split(
        headers in prop::collection::vec(prop_oneof![0..12_u8, any::<u8>()], 0..40),
        rest in prop::collection::vec(any::<u8>(), 0..40),
        piece in 1..20_usize,
    ) {
        let message = forged(16 + headers.len(), headers.len(), &headers);
        let stream = [message, rest].concat();
        prop_assert_eq!(decode(stream.chunks(piece)), decode([&stream[..]]));
    }
}
