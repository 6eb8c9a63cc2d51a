//! The binary event stream of AWS (`application/vnd.amazon.eventstream`), in which Bedrock streams
//! its answers.
//!
//! Source of the format: Smithy, "Amazon Event Stream Specification". All integers are big-endian:
//!
//! ```text
//! total length u32 | length of the headers u32 | CRC-32 of these 8 bytes
//! headers | payload | CRC-32 of everything before it
//! header: length of the name u8 | name | type u8 | value
//! ```

use std::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// The longest headers of a message, in bytes (128 KiB); the limit is that of the specification.
pub const MAX_HEADERS: usize = 128 * 1024;

/// The longest payload, in bytes (1 MiB), that a [`Decoder`] takes unless told otherwise: as much
/// as an event of [`crate::sse`] may have, which a message is translated to.
pub const DEFAULT_MAX_PAYLOAD: usize = 1 << 20;

/// The longest message of all, in bytes (16 MiB), whatever the limit of the payload.
pub const MAX_MESSAGE: usize = 16 << 20;

static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

const PRELUDE: usize = 12;
const OVERHEAD: usize = PRELUDE + 4;

/// The most memory, in bytes, that a decoder keeps between two messages.
const KEPT_CAPACITY: usize = 64 * 1024;

/// Why bytes are no message, or a message cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The first checksum is wrong: the bytes are damaged or no event stream at all.
    PreludeChecksum,
    /// The second checksum is wrong.
    MessageChecksum,
    /// The message is shorter than its own headers.
    Lengths,
    /// The headers are longer than [`MAX_HEADERS`].
    HeadersTooLong,
    /// The payload is longer than the limit, or the message longer than [`MAX_MESSAGE`].
    TooLong,
    /// A header is cut off, has a type that does not exist, a name or text that is not UTF-8, an
    /// empty name, or one over 255 bytes, or a value over 65535 bytes.
    Header,
    /// The stream ended within a message.
    Truncated,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::PreludeChecksum => "the checksum of an event stream prelude is wrong",
            Error::MessageChecksum => "the checksum of an event stream message is wrong",
            Error::Lengths => "the lengths of an event stream message contradict each other",
            Error::HeadersTooLong => "the headers of an event stream message are too long",
            Error::TooLong => "an event stream message is too long",
            Error::Header => "a header of an event stream message is malformed",
            Error::Truncated => "the event stream ended within a message",
        })
    }
}

impl std::error::Error for Error {}

/// The value of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the specification")]
pub enum Value<'a> {
    Bool(bool),
    Byte(i8),
    Short(i16),
    Integer(i32),
    Long(i64),
    ByteArray(&'a [u8]),
    String(&'a str),
    /// Milliseconds since 1970 began in UTC.
    Timestamp(i64),
    /// In the order of its text form.
    Uuid([u8; 16]),
}

impl<'a> Value<'a> {
    /// The text, if the value is one.
    pub fn as_str(&self) -> Option<&'a str> {
        if let Value::String(text) = self { Some(text) } else { None }
    }

    fn read(from: &mut Reader<'a>) -> Option<Value<'a>> {
        Some(match from.take_array()? {
            [0] => Value::Bool(true),
            [1] => Value::Bool(false),
            [2] => Value::Byte(i8::from_be_bytes(from.take_array()?)),
            [3] => Value::Short(i16::from_be_bytes(from.take_array()?)),
            [4] => Value::Integer(i32::from_be_bytes(from.take_array()?)),
            [5] => Value::Long(i64::from_be_bytes(from.take_array()?)),
            [6] => Value::ByteArray(from.take_long()?),
            [7] => Value::String(std::str::from_utf8(from.take_long()?).ok()?),
            [8] => Value::Timestamp(i64::from_be_bytes(from.take_array()?)),
            [9] => Value::Uuid(from.take_array()?),
            _ => return None,
        })
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut put = |kind: u8, parts: [&[u8]; 2]| {
            out.push(kind);
            parts.iter().for_each(|part| out.extend_from_slice(part));
        };
        let length = |value: &[u8]| {
            u16::try_from(value.len()).map_or(Err(Error::Header), |length| Ok(length.to_be_bytes()))
        };
        match self {
            Value::Bool(value) => put(u8::from(!value), [&[], &[]]),
            Value::Byte(value) => put(2, [&value.to_be_bytes(), &[]]),
            Value::Short(value) => put(3, [&value.to_be_bytes(), &[]]),
            Value::Integer(value) => put(4, [&value.to_be_bytes(), &[]]),
            Value::Long(value) => put(5, [&value.to_be_bytes(), &[]]),
            Value::ByteArray(bytes) => put(6, [&length(bytes)?, bytes]),
            Value::String(text) => put(7, [&length(text.as_bytes())?, text.as_bytes()]),
            Value::Timestamp(value) => put(8, [&value.to_be_bytes(), &[]]),
            Value::Uuid(bytes) => put(9, [bytes, &[]]),
        }
        Ok(())
    }
}

/// One message of a stream; its checksums and headers have been verified.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    raw: &'a [u8],
    headers: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The exact bytes, from the prelude to the last checksum.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// What the message carries; Bedrock puts JSON there.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Names and values of the headers, in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let mut from = Reader(self.headers);
        std::iter::from_fn(move || from.take_header())
    }

    /// The value of the header of this exact name, for instance `:event-type`; of the first one,
    /// should there be several.
    pub fn header(&self, name: &str) -> Option<Value<'a>> {
        self.headers().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// `raw` has the length that its prelude says, and the prelude was checked.
    fn parse(raw: &'a [u8], headers: usize) -> Result<Message<'a>, Error> {
        let (signed, crc) = raw.split_last_chunk().ok_or(Error::Lengths)?;
        if u32::from_be_bytes(*crc) != CRC.checksum(signed) {
            return Err(Error::MessageChecksum);
        }
        let mut from = Reader(signed);
        from.take(PRELUDE).ok_or(Error::Lengths)?;
        let headers = from.take(headers).ok_or(Error::Lengths)?;
        let message = Message { raw, headers, payload: from.0 };
        let mut headers = Reader(headers);
        while headers.take_header().is_some() {}
        if headers.0.is_empty() { Ok(message) } else { Err(Error::Header) }
    }
}

/// Cuts a stream, chunk by chunk, into messages. A message that lies whole within a chunk is
/// borrowed from it.
#[derive(Debug)]
pub struct Decoder {
    /// The beginning of the current message, from earlier chunks.
    carry: Vec<u8>,
    /// The lengths of the message in `carry`, once its prelude is there.
    lengths: Option<Lengths>,
    max_payload: usize,
    failed: Option<Error>,
}

#[derive(Debug, Clone, Copy)]
struct Lengths {
    total: usize,
    headers: usize,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

impl Decoder {
    /// A decoder at the beginning of a stream, for payloads up to [`DEFAULT_MAX_PAYLOAD`].
    pub fn new() -> Decoder {
        Decoder::with_max_payload(DEFAULT_MAX_PAYLOAD)
    }

    /// The same with another limit for the payload, in bytes. [`MAX_MESSAGE`] holds all the same.
    pub fn with_max_payload(max_payload: usize) -> Decoder {
        Decoder { carry: Vec::new(), lengths: None, max_payload, failed: None }
    }

    /// Takes the next bytes of the stream, and hands over every message that is complete with them.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Error::Truncated`], after the messages before the bad one have been
    /// handed over. The specification has the stream end there: every further push gives the same
    /// error again. A message that is too long is an error as soon as its prelude is there.
    pub fn push(
        &mut self,
        chunk: &[u8],
        mut on_message: impl FnMut(Message<'_>),
    ) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let pushed = self.take_messages(chunk, &mut on_message);
        if let Err(error) = pushed {
            self.failed = Some(error);
            self.carry = Vec::new();
        }
        pushed
    }

    /// The stream has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] within a message, or the error of an earlier push.
    pub fn finish(self) -> Result<(), Error> {
        let cut = (!self.carry.is_empty()).then_some(Error::Truncated);
        self.failed.or(cut).map_or(Ok(()), Err)
    }

    fn take_messages(
        &mut self,
        mut chunk: &[u8],
        on_message: &mut impl FnMut(Message<'_>),
    ) -> Result<(), Error> {
        while !chunk.is_empty() {
            let whole = self.lengths.map_or(PRELUDE, |lengths| lengths.total);
            let missing = whole.saturating_sub(self.carry.len());
            let Some((part, tail)) = chunk.split_at_checked(missing) else {
                self.carry.extend_from_slice(chunk);
                break;
            };
            let Some(lengths) = self.lengths else {
                // Within a chunk the prelude stays where it is, so that the message can be borrowed.
                let mut prelude = part;
                if !self.carry.is_empty() {
                    self.carry.extend_from_slice(part);
                    chunk = tail;
                    prelude = &self.carry;
                }
                self.lengths = Some(self.read_prelude(prelude)?);
                continue;
            };
            if self.carry.is_empty() {
                on_message(Message::parse(part, lengths.headers)?);
            } else {
                self.carry.extend_from_slice(part);
                on_message(Message::parse(&self.carry, lengths.headers)?);
                self.carry.clear();
                self.carry.shrink_to(KEPT_CAPACITY);
            }
            self.lengths = None;
            chunk = tail;
        }
        Ok(())
    }

    fn read_prelude(&self, prelude: &[u8]) -> Result<Lengths, Error> {
        let mut from = Reader(prelude);
        let mut next = || from.take_array().map(u32::from_be_bytes).ok_or(Error::Lengths);
        let (total, headers, crc) = (next()?, next()?, next()?);
        let signed = Reader(prelude).take(8).ok_or(Error::Lengths)?;
        if crc != CRC.checksum(signed) {
            return Err(Error::PreludeChecksum);
        }
        let lengths = Lengths { total: total as usize, headers: headers as usize };
        if lengths.headers > MAX_HEADERS {
            return Err(Error::HeadersTooLong);
        }
        let rest = lengths.total.checked_sub(OVERHEAD).ok_or(Error::Lengths)?;
        let payload = rest.checked_sub(lengths.headers).ok_or(Error::Lengths)?;
        if payload > self.max_payload || lengths.total > MAX_MESSAGE {
            return Err(Error::TooLong);
        }
        Ok(lengths)
    }
}

/// Appends a message. What a [`Decoder`] read is written with the same bytes again.
///
/// # Errors
///
/// [`Error::Header`], [`Error::HeadersTooLong`] or [`Error::TooLong`] (for [`MAX_MESSAGE`]); `out`
/// is then as it was.
pub fn encode<'a>(
    headers: impl IntoIterator<Item = (&'a str, Value<'a>)>,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut list = Vec::new();
    for (name, value) in headers {
        let length = u8::try_from(name.len()).ok().filter(|length| *length > 0);
        list.push(length.ok_or(Error::Header)?);
        list.extend_from_slice(name.as_bytes());
        value.write(&mut list)?;
    }
    if list.len() > MAX_HEADERS {
        return Err(Error::HeadersTooLong);
    }
    let total = OVERHEAD.saturating_add(list.len()).saturating_add(payload.len());
    if total > MAX_MESSAGE {
        return Err(Error::TooLong);
    }
    let length = |length: usize| u32::try_from(length).or(Err(Error::TooLong));
    let prelude = [length(total)?.to_be_bytes(), length(list.len())?.to_be_bytes()].concat();
    let mut crc = CRC.digest();
    crc.update(&prelude);
    let prelude_crc = crc.clone().finalize().to_be_bytes();
    for part in [&prelude_crc, &list[..], payload] {
        crc.update(part);
    }
    for part in [&prelude[..], &prelude_crc, &list, payload, &crc.finalize().to_be_bytes()] {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// The bytes that are not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (part, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(part)
    }

    fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (part, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*part)
    }

    /// What follows its length in 16 bits.
    fn take_long(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.take_array()?);
        self.take(length.into())
    }

    /// The next header; `None`, and nothing is taken, if there is none or it is malformed.
    fn take_header(&mut self) -> Option<(&'a str, Value<'a>)> {
        let mut from = Reader(self.0);
        let [length] = from.take_array()?;
        let name = std::str::from_utf8(from.take(length.into())?).ok()?;
        let value = Value::read(&mut from)?;
        if name.is_empty() {
            return None;
        }
        self.0 = from.0;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn reads_what_it_writes() {
        let headers = [(":event-type", Value::String("chunk")), ("n", Value::Long(-1))];
        let mut stream = Vec::new();
        encode(headers, b"{}", &mut stream).unwrap();
        for piece in [1, 13, stream.len()] {
            let mut decoder = Decoder::new();
            let mut seen = Vec::new();
            let mut add = |message: Message<'_>| {
                assert_eq!(message.header(":event-type"), Some(Value::String("chunk")));
                assert_eq!((message.headers().count(), message.payload()), (2, &b"{}"[..]));
                seen.extend_from_slice(message.raw());
            };
            stream.chunks(piece).for_each(|chunk| decoder.push(chunk, &mut add).unwrap());
            assert_eq!((seen, decoder.finish()), (stream.clone(), Ok(())));
        }
    }
}
