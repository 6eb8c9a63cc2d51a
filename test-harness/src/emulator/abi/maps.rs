//! Headers and trailers, Envoy's way; what APISIX does differently is in `apisix`.

mod apisix;

pub(super) use apisix::add_response;

use super::memory::{give, read, read_name};
use super::{Answer, Ctx, Status, arg};
use crate::emulator::state::{Phase, State};
use crate::emulator::stream::Hold;
use crate::emulator::{Headers, map};

const REQUEST_HEADERS: u32 = 0;
const REQUEST_TRAILERS: u32 = 1;
const RESPONSE_HEADERS: u32 = 2;
const RESPONSE_TRAILERS: u32 = 3;
const CALL_RESPONSE_HEADERS: u32 = 6;

/// A change of a map.
enum Change<'a> {
    Add(&'a str, Vec<u8>),
    Replace(&'a str, Vec<u8>),
    Remove(&'a str),
    All(Headers),
}

pub(super) fn get_all(c: &mut Ctx<'_>, kind: u32, out: u32, size: u32) -> Answer {
    c.data_mut().what = format!("map {kind}");
    if !c.data().envoy() {
        return apisix::get_all(c, kind, out, size);
    }
    match envoy_read(c.data_mut(), kind) {
        Some(headers) if !headers.is_empty() => {
            let bytes = map::serialize(headers);
            give(c, &bytes, out, size)
        }
        // Also for a map that is not there.
        _ => give(c, &[], out, size),
    }
}

pub(super) fn get(
    c: &mut Ctx<'_>,
    kind: u32,
    name: u32,
    name_size: u32,
    out: u32,
    size: u32,
) -> Answer {
    let name = arg!(read_name(c, name, name_size));
    if !c.data().envoy() {
        return apisix::get(c, kind, &name, out, size);
    }
    let phase = c.data().phase;
    let Some(headers) = envoy_read(c.data_mut(), kind) else {
        return Ok(if phase == Phase::Log { Status::NotFound } else { Status::BadArgument });
    };
    match headers.bytes(envoy_name(kind, &name)).map(<[u8]>::to_vec) {
        Some(value) => give(c, &value, out, size),
        None => Ok(Status::NotFound),
    }
}

pub(super) fn set_all(c: &mut Ctx<'_>, kind: u32, data: u32, size: u32) -> Answer {
    c.data_mut().what = format!("map {kind}");
    let bytes = arg!(read(c, data, size));
    let Some(headers) = map::deserialize(&bytes) else { return Ok(Status::BadArgument) };
    change(c, kind, Change::All(headers.lowercased()))
}

pub(super) fn add(c: &mut Ctx<'_>, kind: u32, name: u32, ns: u32, value: u32, vs: u32) -> Answer {
    let name = arg!(read_name(c, name, ns));
    let value = arg!(read(c, value, vs));
    c.data_mut().value = Some(value.clone());
    change(c, kind, Change::Add(&name, value))
}

pub(super) fn replace(
    c: &mut Ctx<'_>,
    kind: u32,
    name: u32,
    name_size: u32,
    value: u32,
    value_size: u32,
) -> Answer {
    let name = arg!(read_name(c, name, name_size));
    let value = arg!(read(c, value, value_size));
    c.data_mut().value = Some(value.clone());
    change(c, kind, Change::Replace(&name, value))
}

pub(super) fn remove(c: &mut Ctx<'_>, kind: u32, name: u32, name_size: u32) -> Answer {
    let name = arg!(read_name(c, name, name_size));
    change(c, kind, Change::Remove(&name))
}

fn change(c: &mut Ctx<'_>, kind: u32, change: Change<'_>) -> Answer {
    if !c.data().envoy() {
        return apisix::change(c.data_mut(), kind, change);
    }
    let Some(headers) = envoy_write(c.data_mut(), kind) else { return Ok(Status::BadArgument) };
    match change {
        Change::Add(name, value) => headers.add(envoy_name(kind, &name.to_lowercase()), value),
        Change::Replace(name, value) => headers.set(envoy_name(kind, &name.to_lowercase()), value),
        Change::Remove(name) => headers.remove(envoy_name(kind, name)),
        Change::All(all) => *headers = all,
    }
    Ok(Status::Ok)
}

/// Envoy keeps `host` as `:authority`.
fn envoy_name(kind: u32, name: &str) -> &str {
    let host = kind == REQUEST_HEADERS && name.eq_ignore_ascii_case("host");
    if host { ":authority" } else { name }
}

/// The map to read, `None` if it is out of reach now.
fn envoy_read(state: &mut State, kind: u32) -> Option<&Headers> {
    if kind == CALL_RESPONSE_HEADERS {
        return state.call_response.as_ref().map(|r| &r.headers);
    }
    let log = state.phase == Phase::Log;
    let stream = state.stream()?;
    match kind {
        REQUEST_HEADERS | RESPONSE_HEADERS => {
            let side = stream.side(kind == RESPONSE_HEADERS);
            let reachable = side.visible || log && side.hold != Hold::NotArrived;
            reachable.then_some(&side.headers)
        }
        REQUEST_TRAILERS if log => None,
        REQUEST_TRAILERS => stream.request.trailers.as_ref(),
        RESPONSE_TRAILERS => stream.response.trailers.as_ref(),
        _ => None,
    }
}

/// The map to change. Trailers are made if there are none yet in the last body callback.
fn envoy_write(state: &mut State, kind: u32) -> Option<&mut Headers> {
    let stream = state.stream()?;
    let side = stream.side(matches!(kind, RESPONSE_HEADERS | RESPONSE_TRAILERS));
    match kind {
        REQUEST_HEADERS | RESPONSE_HEADERS => side.visible.then_some(&mut side.headers),
        REQUEST_TRAILERS | RESPONSE_TRAILERS => {
            if side.trailers.is_none() && side.in_body && side.end {
                side.trailers = Some(Headers::new());
            }
            side.trailers.as_mut()
        }
        _ => None,
    }
}
