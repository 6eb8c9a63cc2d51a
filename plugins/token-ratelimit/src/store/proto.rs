//! The messages of Envoy's rate limit service, `envoy.service.ratelimit.v3` (rls.proto and ratelimit.proto of
//! Envoy's API), as far as they are used. Protocol Buffers are few lines for so few fields; a crate would
//! be most of what this store adds to the module.

/// The service's only method.
pub const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

const OVER_LIMIT: u64 = 2;

/// What is counted, and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor<'a> {
    /// The rule and the key.
    pub entry: (&'a str, &'a str),
    /// A limit that holds in place of the service's own: how much, and in which unit of time.
    pub limit: Option<(u32, u32)>,
    /// How much, and whether it is given back; `None`: what the request says of all.
    pub hits: Option<(u64, bool)>,
}

/// What the service says of all descriptors, and of each if it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// One of them is over its limit.
    pub over: bool,
    /// In the order of the descriptors.
    pub statuses: Vec<Status>,
}

/// What it says of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// It is over its limit.
    pub over: bool,
    /// The limit; 0 if there is none.
    pub limit: u64,
    /// How much is left.
    pub remaining: u64,
    /// Seconds until all is there again.
    pub reset: u64,
}

/// A `RateLimitRequest`. `hits`: of descriptors that say nothing themselves. `joined`: the entries of all are
/// those of one.
pub fn request(domain: &str, descriptors: &[Descriptor<'_>], hits: u32, joined: bool) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, 1, domain.as_bytes());
    let entry = |one: &mut Vec<u8>, (key, value): (&str, &str)| {
        let mut entry = Vec::new();
        bytes(&mut entry, 1, key.as_bytes());
        bytes(&mut entry, 2, value.as_bytes());
        bytes(one, 1, &entry);
    };
    if joined {
        let mut one = Vec::new();
        descriptors.iter().for_each(|descriptor| entry(&mut one, descriptor.entry));
        bytes(&mut out, 2, &one);
    }
    for descriptor in descriptors.iter().filter(|_| !joined) {
        let mut one = Vec::new();
        entry(&mut one, descriptor.entry);
        if let Some((limit, unit)) = descriptor.limit {
            let mut inner = Vec::new();
            number(&mut inner, 1, limit.into());
            number(&mut inner, 2, unit.into());
            bytes(&mut one, 2, &inner);
        }
        if let Some((hits, back)) = descriptor.hits {
            let mut inner = Vec::new();
            number(&mut inner, 1, hits);
            bytes(&mut one, 3, &inner);
            number(&mut one, 4, back.into());
        }
        bytes(&mut out, 2, &one);
    }
    number(&mut out, 3, hits.into());
    out
}

/// A `RateLimitResponse`; `None` if it is none, or says nothing.
pub fn response(message: &[u8]) -> Option<Response> {
    let mut response = Response::default();
    let mut code = 0;
    each(message, |field, value| match (field, value) {
        (1, Value::Number(number)) => code = number,
        (2, Value::Bytes(status)) => response.statuses.push(read_status(status)),
        _ => {}
    })?;
    response.over = code == OVER_LIMIT;
    (code != 0).then_some(response)
}

fn read_status(message: &[u8]) -> Status {
    let mut status = Status::default();
    let read = each(message, |field, value| match (field, value) {
        (1, Value::Number(code)) => status.over = code == OVER_LIMIT,
        (2, Value::Bytes(limit)) => status.limit = first(limit),
        (3, Value::Number(remaining)) => status.remaining = remaining,
        (4, Value::Bytes(duration)) => status.reset = first(duration),
        _ => {}
    });
    read.map_or(Status::default(), |()| status)
}

/// The number in field 1.
fn first(message: &[u8]) -> u64 {
    let mut found = 0;
    let _ = each(message, |field, value| {
        if let (1, Value::Number(number)) = (field, value) {
            found = number;
        }
    });
    found
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Reads a message field by field; `None` if it is cut off or none.
fn each<'a>(mut rest: &'a [u8], mut field: impl FnMut(u64, Value<'a>)) -> Option<()> {
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match tag & 7 {
            0 => field(tag >> 3, Value::Number(varint(&mut rest)?)),
            2 => {
                let size = usize::try_from(varint(&mut rest)?).ok()?;
                field(tag >> 3, Value::Bytes(rest.split_off(..size)?));
            }
            1 => drop(rest.split_off(..8)?),
            5 => drop(rest.split_off(..4)?),
            _ => return None,
        }
    }
    Some(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// A number; 0 is not written.
fn number(out: &mut Vec<u8>, field: u8, number: u64) {
    if number > 0 {
        out.push(field << 3);
        write_varint(out, number);
    }
}

fn bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_protocol_buffers() {
        let one = Descriptor { entry: ("r", "k"), limit: Some((300, 2)), hits: Some((5, true)) };
        let two = Descriptor { entry: ("s", "-"), limit: None, hits: None };
        assert_eq!(
            request("ai", &[one, two], 1, false),
            b"\x0a\x02ai\
              \x12\x15\x0a\x06\x0a\x01r\x12\x01k\x12\x05\x08\xac\x02\x10\x02\x1a\x02\x08\x05\x20\x01\
              \x12\x08\x0a\x06\x0a\x01s\x12\x01-\
              \x18\x01"
        );
        assert_eq!(
            request("ai", &[two, Descriptor { entry: ("t", "u"), ..two }], 7, true),
            b"\x0a\x02ai\x12\x10\x0a\x06\x0a\x01s\x12\x01-\x0a\x06\x0a\x01t\x12\x01u\x18\x07"
        );
    }

    #[test]
    fn answers_are_read_whatever_else_is_in_them() {
        // Code 2; a status of code 1 with 100 a minute, 7 left for 30 s; a header; a string of field 15.
        let message =
            b"\x08\x02\x12\x0e\x08\x01\x12\x04\x08\x64\x10\x02\x18\x07\x22\x02\x08\x1e\x1a\x00\x7a\x01x";
        let status = Status { over: false, limit: 100, remaining: 7, reset: 30 };
        assert_eq!(response(message), Some(Response { over: true, statuses: vec![status] }));
        assert_eq!(response(b"\x08\x01"), Some(Response::default()));
        for bad in [
            &b""[..],
            b"\x08",
            b"\x12\x05\x08",
            b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
            b"\x0b",
        ] {
            assert_eq!(response(bad), None, "{bad:?}");
        }
        for end in 0..message.len() {
            let _ = response(&message[..end]);
        }
    }
}
