//! Messages of `envoy.service.ratelimit.v3`, read and written with the crate `protobuf`.

use protobuf::{CodedInputStream, CodedOutputStream, ProtobufError};
use serde_json::{Value, json};

/// A `RateLimitRequest`.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) domain: String,
    pub(crate) descriptors: Vec<Descriptor>,
    /// Of descriptors that say nothing themselves; 0 is 1.
    pub(crate) hits: u64,
}

/// A `RateLimitDescriptor`.
#[derive(Debug, Default)]
pub(crate) struct Descriptor {
    pub(crate) entries: Vec<(String, String)>,
    pub(crate) limit: Option<u64>,
    pub(crate) hits: Option<u64>,
    pub(crate) back: bool,
}

/// What is answered.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) over: bool,
    /// Of each descriptor whether it is over, its limit, what is left of it and seconds until it is all.
    pub(crate) statuses: Vec<(bool, u64, u64, u64)>,
}

fn fields(
    bytes: &[u8],
    mut field: impl FnMut(u32, &mut CodedInputStream<'_>) -> Result<bool, ProtobufError>,
) -> Result<(), ProtobufError> {
    let mut input = CodedInputStream::from_bytes(bytes);
    while !input.eof()? {
        let (number, wire) = input.read_tag_unpack()?;
        if !field(number, &mut input)? {
            input.skip_field(wire)?;
        }
    }
    Ok(())
}

/// Reads a request.
pub(crate) fn read(bytes: &[u8]) -> Result<Request, ProtobufError> {
    let mut request = Request::default();
    fields(bytes, |number, input| {
        match number {
            1 => request.domain = input.read_string()?,
            2 => request.descriptors.push(descriptor(&input.read_bytes()?)?),
            3 => request.hits = input.read_uint32()?.into(),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(request)
}

fn descriptor(bytes: &[u8]) -> Result<Descriptor, ProtobufError> {
    let mut found = Descriptor::default();
    fields(bytes, |number, input| {
        match number {
            1 => {
                let (mut key, mut value) = (String::new(), String::new());
                fields(&input.read_bytes()?, |number, input| {
                    match number {
                        1 => key = input.read_string()?,
                        2 => value = input.read_string()?,
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?;
                found.entries.push((key, value));
            }
            2 => found.limit = Some(first(&input.read_bytes()?)?),
            3 => found.hits = Some(first(&input.read_bytes()?)?),
            4 => found.back = input.read_bool()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(found)
}

/// The number in field 1.
fn first(bytes: &[u8]) -> Result<u64, ProtobufError> {
    let mut found = 0;
    fields(bytes, |number, input| {
        if number == 1 {
            found = input.read_uint64()?;
        }
        Ok(number == 1)
    })?;
    Ok(found)
}

/// Writes an answer.
pub(crate) fn write(said: &Said) -> Result<Vec<u8>, ProtobufError> {
    let code = |over| if over { 2 } else { 1 };
    let mut out = Vec::new();
    let mut output = CodedOutputStream::vec(&mut out);
    output.write_enum(1, code(said.over))?;
    for (over, limit, remaining, reset) in &said.statuses {
        let (mut status, mut of_limit, mut until) = (Vec::new(), Vec::new(), Vec::new());
        let mut inner = CodedOutputStream::vec(&mut of_limit);
        inner.write_uint32(1, u32::try_from(*limit).unwrap_or(u32::MAX))?;
        inner.flush()?;
        let mut inner = CodedOutputStream::vec(&mut until);
        inner.write_int64(1, i64::try_from(*reset).unwrap_or(i64::MAX))?;
        inner.flush()?;
        let mut inner = CodedOutputStream::vec(&mut status);
        inner.write_enum(1, code(*over))?;
        inner.write_bytes(2, &of_limit)?;
        inner.write_uint32(3, u32::try_from(*remaining).unwrap_or(u32::MAX))?;
        inner.write_bytes(4, &until)?;
        inner.flush()?;
        output.write_bytes(2, &status)?;
    }
    output.flush()?;
    drop(output);
    Ok(out)
}

/// A call, for whoever looks on.
pub(crate) fn line(request: &Request, said: &Said) -> Value {
    let descriptors = request.descriptors.iter().map(|descriptor| {
        let hits = descriptor.hits.unwrap_or(request.hits);
        json!({"entries": descriptor.entries, "hits": hits, "back": descriptor.back, "limit": descriptor.limit})
    });
    json!({"domain": request.domain, "over": said.over, "descriptors": descriptors.collect::<Vec<_>>()})
}
