//! Headers as wasm-nginx-module gives them.

use super::super::memory::give;
use super::super::{Answer, Ctx, Status};
use super::{CALL_RESPONSE_HEADERS, Change, REQUEST_HEADERS, RESPONSE_HEADERS};
use crate::emulator::state::{Phase, State, crash};
use crate::emulator::{Headers, map};

pub(super) fn get_all(c: &mut Ctx<'_>, kind: u32, out: u32, size: u32) -> Answer {
    let safe = c.data().options.only_http1_with_host;
    let call = c.data().call_response.as_ref().map(|r| r.headers.clone());
    let phase = c.data().phase;
    let Some(stream) = c.data_mut().stream() else { return Ok(Status::BadArgument) };
    let headers = match kind {
        REQUEST_HEADERS if !safe => {
            return crash(
                "it reads the whole map of request headers, which dereferences a NULL Host for \
                 HTTP/1.0 without Host and for HTTP/2",
            );
        }
        REQUEST_HEADERS => {
            // The pseudo headers come last.
            let pseudo = |(name, _): &(&str, &[u8])| name.starts_with(':');
            let (last, first): (Vec<_>, Vec<_>) = stream.request.headers.iter().partition(pseudo);
            first.into_iter().chain(last).collect()
        }
        RESPONSE_HEADERS if response(phase) => {
            let pseudo = |(name, _): &(&str, &[u8])| name.starts_with(':');
            let (last, first): (Vec<_>, Vec<_>) = stream.response.headers.iter().partition(pseudo);
            let connection = [("connection", b"keep-alive".as_slice())];
            first.into_iter().chain(connection).chain(last).collect()
        }
        RESPONSE_HEADERS => stream.nginx.reply_headers.clone(),
        CALL_RESPONSE_HEADERS => match call {
            Some(headers) if !headers.is_empty() => headers,
            _ => return Ok(Status::NotFound),
        },
        _ => return Ok(Status::Unimplemented),
    };
    give(c, &map::serialize(&headers), out, size)
}

pub(super) fn get(c: &mut Ctx<'_>, kind: u32, name: &str, out: u32, size: u32) -> Answer {
    let safe = c.data().options.only_http1_with_host;
    let call = c.data().call_response.as_ref().and_then(|r| r.headers.bytes(name)).map(Vec::from);
    let phase = c.data().phase;
    let Some(stream) = c.data_mut().stream() else { return Ok(Status::BadArgument) };
    let value = match kind {
        REQUEST_HEADERS if name.eq_ignore_ascii_case(":authority") && !safe => {
            return crash(
                "it reads :authority, which dereferences a NULL Host for HTTP/1.0 without Host \
                 and for HTTP/2; property [\"host\"] has the name",
            );
        }
        // A path that was set is not seen here: this is the request line's.
        REQUEST_HEADERS => stream.request.headers.bytes(name).map(Vec::from),
        RESPONSE_HEADERS if response(phase) => stream.response.headers.bytes(name).map(Vec::from),
        RESPONSE_HEADERS => stream.nginx.reply_headers.bytes(name).map(Vec::from),
        CALL_RESPONSE_HEADERS => call,
        _ => return Ok(Status::Unimplemented),
    };
    match value {
        Some(value) => give(c, &value, out, size),
        None => Ok(Status::NotFound),
    }
}

pub(super) fn change(state: &mut State, kind: u32, change: Change<'_>) -> Answer {
    let phase = state.phase;
    let Some(stream) = state.stream() else { return Ok(Status::BadArgument) };
    match kind {
        REQUEST_HEADERS => {
            if let Change::Add(name, value) | Change::Replace(name, value) = &change
                && name.starts_with(':')
            {
                return set_pseudo(state, name, value);
            }
            if matches!(&change, Change::Remove(name) if name.starts_with(':')) {
                return Ok(Status::BadArgument);
            }
            apply(&mut stream.request.headers, change);
            Ok(Status::Ok)
        }
        RESPONSE_HEADERS => {
            let target = match phase {
                // Sent already: no effect, and no error.
                Phase::ResponseBody => return Ok(Status::Ok),
                Phase::ResponseHeaders => &mut stream.response.headers,
                _ => &mut stream.nginx.reply_headers,
            };
            set_response(target, change)
        }
        _ => Ok(Status::Unimplemented),
    }
}

/// Also what the headers of a local reply go through.
pub(in super::super) fn add_response(target: &mut Headers, name: &str, value: &[u8]) -> Answer {
    set_response(target, Change::Add(name, value.to_vec()))
}

fn set_response(target: &mut Headers, change: Change<'_>) -> Answer {
    match change {
        Change::Remove(":status") => Ok(Status::BadArgument),
        Change::Add(":status", value) | Change::Replace(":status", value) => {
            let number = std::str::from_utf8(&value).ok().and_then(|v| v.parse::<u16>().ok());
            let Some(number) = number else { return Ok(Status::BadArgument) };
            target.set(":status", number.to_string());
            Ok(Status::Ok)
        }
        // nginx keeps one content-type and one content-length.
        Change::Add(name, value)
            if ["content-type", "content-length"].contains(&name.to_lowercase().as_str()) =>
        {
            target.set(name, value);
            Ok(Status::Ok)
        }
        change => {
            apply(target, change);
            Ok(Status::Ok)
        }
    }
}

fn apply(headers: &mut Headers, change: Change<'_>) {
    match change {
        Change::Add(name, value) => headers.add(name, value),
        Change::Replace(name, value) => headers.set(name, value),
        Change::Remove(name) => headers.remove(name),
        Change::All(all) => *headers = all,
    }
}

fn set_pseudo(state: &mut State, name: &str, value: &[u8]) -> Answer {
    let Some(stream) = state.stream() else { return Ok(Status::BadArgument) };
    if value.is_empty() {
        return Ok(Status::BadArgument);
    }
    match name.to_lowercase().as_str() {
        ":path" => {
            let unsafe_byte = |b: &u8| *b < b' ' && *b != b'\t' || *b == 0x7f;
            if value.iter().any(unsafe_byte) {
                return Ok(Status::BadArgument);
            }
            stream.nginx.new_path = Some(value.to_vec());
            Ok(Status::Ok)
        }
        ":method" => {
            if !value.iter().all(u8::is_ascii_alphabetic) {
                return Ok(Status::BadArgument);
            }
            stream.request.headers.set(":method", value);
            Ok(Status::Ok)
        }
        ":authority" => crash("it sets :authority, which overwrites the method"),
        other => crash(format!("it sets {other}, and nginx sends a header of that name upstream")),
    }
}

fn response(phase: Phase) -> bool {
    matches!(phase, Phase::ResponseHeaders | Phase::ResponseBody)
}
