//! Going on, ending, and answering in the upstream's place.

use super::maps::add_response;
use super::memory::read;
use super::{Answer, Ctx, Status, arg};
use crate::emulator::map;
use crate::emulator::state::{Action, Phase};

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;
const DOWNSTREAM: u32 = 2;
const UPSTREAM: u32 = 3;

/// Envoy goes on once the callback has returned; APISIX waits for HTTP calls only, and needs no
/// telling.
pub(super) fn resume(c: &mut Ctx<'_>, kind: u32) -> Answer {
    let state = c.data_mut();
    state.what = format!("stream {kind}");
    if !state.envoy() {
        return Ok(Status::Ok);
    }
    match kind {
        REQUEST | RESPONSE => {
            let id = state.context();
            if let Some(stream) = state.stream() {
                // Whichever direction goes on, it is the request's headers that are out of reach.
                stream.request.visible = false;
                state
                    .actions
                    .push_back(Action::Continue { stream: id, response: kind == RESPONSE });
            }
            Ok(Status::Ok)
        }
        DOWNSTREAM => Ok(Status::Ok),
        UPSTREAM => Ok(Status::Unimplemented),
        _ => Ok(Status::BadArgument),
    }
}

pub(super) fn close(c: &mut Ctx<'_>, kind: u32) -> Answer {
    let state = c.data_mut();
    state.what = format!("stream {kind}");
    let id = state.context();
    match kind {
        _ if !state.envoy() => {}
        REQUEST | RESPONSE => state.actions.push_back(Action::Reset { stream: id }),
        DOWNSTREAM | UPSTREAM => {}
        _ => return Ok(Status::BadArgument),
    }
    Ok(Status::Ok)
}

#[expect(clippy::too_many_arguments, reason = "the ABI's")]
pub(super) fn send_local_response(
    c: &mut Ctx<'_>,
    status: u32,
    details: u32,
    details_size: u32,
    body: u32,
    body_size: u32,
    headers: u32,
    headers_size: u32,
    _grpc: i32,
) -> Answer {
    c.data_mut().what = status.to_string();
    let details = arg!(read(c, details, details_size));
    let body = arg!(read(c, body, body_size));
    let bytes = arg!(read(c, headers, headers_size));
    let Some(extra) = map::deserialize(&bytes) else { return Ok(Status::BadArgument) };
    let state = c.data_mut();
    state.value = Some(body.clone());
    if state.envoy() {
        let stream = state.context();
        let mut headers = extra.lowercased();
        headers.remove("content-length");
        if !body.is_empty() {
            headers.set("content-length", body.len().to_string());
            if !headers.contains("content-type") {
                headers.add("content-type", "text/plain");
            }
        }
        headers.set(":status", status.to_string());
        let details = String::from_utf8_lossy(&details).replace(' ', "_");
        state.actions.push_back(Action::LocalReply { stream, headers, body, details });
        return Ok(Status::Ok);
    }
    let phase = state.phase;
    let Some(stream) = state.stream() else { return Ok(Status::BadArgument) };
    stream.nginx.reply = Some((status, body));
    for (name, value) in extra.iter() {
        // These are set at once, and stay even where the reply itself is ignored.
        let target = match phase {
            Phase::ResponseBody => continue,
            Phase::ResponseHeaders => &mut stream.response.headers,
            _ => &mut stream.nginx.reply_headers,
        };
        if add_response(target, name, value)? != Status::Ok {
            return Ok(Status::BadArgument);
        }
    }
    Ok(Status::Ok)
}
