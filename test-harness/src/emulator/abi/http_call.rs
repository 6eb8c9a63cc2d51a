//! HTTP calls of the module.

use super::memory::{read, read_name, write_word};
use super::{Answer, Ctx, Status, arg};
use crate::emulator::state::{Callout, Phase, State, crash};
use crate::emulator::{Headers, map};

#[expect(clippy::too_many_arguments, reason = "the ABI's")]
pub(super) fn dispatch(
    c: &mut Ctx<'_>,
    upstream: u32,
    upstream_size: u32,
    headers: u32,
    headers_size: u32,
    body: u32,
    body_size: u32,
    _trailers: u32,
    _trailers_size: u32,
    timeout: i32,
    out: u32,
) -> Answer {
    let upstream = arg!(read_name(c, upstream, upstream_size));
    let bytes = arg!(read(c, headers, headers_size));
    let body = arg!(read(c, body, body_size));
    let Some(headers) = map::deserialize(&bytes) else { return Ok(Status::BadArgument) };
    let status = if c.data().envoy() {
        envoy_accepts(c.data(), &upstream, &headers, timeout)
    } else {
        apisix_accepts(c.data_mut(), &upstream, &headers, timeout)?
    };
    if status != Status::Ok {
        return Ok(status);
    }
    let state = c.data_mut();
    let mut headers = headers;
    if state.envoy() && !body.is_empty() {
        headers.set("content-length", body.len().to_string());
    }
    let (id, context) = (state.next_callout, state.context());
    state.next_callout += 1;
    let timeout_ms = timeout.unsigned_abs();
    state.callouts.insert(id, Callout { id, context, upstream, headers, body, timeout_ms });
    arg!(write_word(c, out, id));
    Ok(Status::Ok)
}

fn envoy_accepts(state: &State, cluster: &str, headers: &Headers, timeout: i32) -> Status {
    let known = state.options.clusters.as_ref().is_none_or(|c| c.iter().any(|c| c == cluster));
    let host = headers.contains(":authority") || headers.contains("host");
    let complete = headers.contains(":method") && headers.contains(":path") && host;
    if timeout < 0 || !known || !complete { Status::BadArgument } else { Status::Ok }
}

fn apisix_accepts(
    state: &mut State,
    upstream: &str,
    headers: &Headers,
    timeout: i32,
) -> wasmtime::Result<Status> {
    if state.stream().is_none() {
        return Ok(Status::BadArgument);
    }
    let request = [Phase::RequestHeaders, Phase::RequestBody, Phase::CallResponse];
    if !request.contains(&state.phase) || !is_address(upstream) {
        return Ok(Status::BadArgument);
    }
    let context = state.current;
    if state.callouts.values().any(|c| c.context == context) || timeout < 0 {
        return Ok(Status::InternalFailure);
    }
    for name in [":method", ":scheme", ":path", ":authority"] {
        if !headers.contains(name) {
            return crash(format!("an HTTP call without {name} reads freed memory"));
        }
    }
    Ok(Status::Ok)
}

/// `host` or `host:port`.
fn is_address(text: &str) -> bool {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "80"));
    let port = port.parse::<u16>().is_ok_and(|p| p > 0);
    port && !host.is_empty() && !host.contains(['/', ' ', '?', '#'])
}
