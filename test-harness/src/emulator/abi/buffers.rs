//! Bodies and configurations.

use super::memory::{give, read};
use super::{Answer, Ctx, Status, arg};
use crate::emulator::state::{Phase, State, crash};

const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const CALL_RESPONSE_BODY: u32 = 4;
const VM_CONFIGURATION: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;
const CALL_DATA: u32 = 8;

pub(super) fn get(c: &mut Ctx<'_>, kind: u32, start: u32, max: u32, out: u32, size: u32) -> Answer {
    c.data_mut().what = format!("{} {start}+{max}", name(kind));
    if c.data().envoy() {
        envoy_get(c, kind, start, max, out, size)
    } else {
        apisix_get(c, kind, start, max, out, size)
    }
}

fn envoy_get(c: &mut Ctx<'_>, kind: u32, start: u32, max: u32, out: u32, size: u32) -> Answer {
    if kind > CALL_DATA {
        return Ok(Status::BadArgument);
    }
    let Some(bytes) = envoy_buffer(c.data_mut(), kind) else {
        return Ok(Status::NotFound);
    };
    let (start, max) = (start as usize, max as usize);
    if start > bytes.len() {
        return Ok(Status::BadArgument);
    }
    let end = start.saturating_add(max).min(bytes.len());
    let bytes = bytes[start..end].to_vec();
    if bytes.is_empty() {
        // Nothing is written: the module keeps the null pointer it had.
        return Ok(Status::Ok);
    }
    give(c, &bytes, out, size)
}

fn envoy_buffer(state: &mut State, kind: u32) -> Option<&[u8]> {
    match kind {
        REQUEST_BODY | RESPONSE_BODY => {
            let body = state.stream().and_then(|s| s.side(kind == RESPONSE_BODY).body());
            Some(body.map_or(&[], |body| body.as_slice()))
        }
        CALL_RESPONSE_BODY => state.call_response.as_ref().map(|r| r.body.as_slice()),
        VM_CONFIGURATION => Some(state.options.vm_configuration.as_bytes()),
        PLUGIN_CONFIGURATION if state.phase == Phase::Configure => {
            state.roots.get(&state.current).map(|r| r.configuration.as_slice())
        }
        _ => None,
    }
}

fn apisix_get(c: &mut Ctx<'_>, kind: u32, start: u32, max: u32, out: u32, size: u32) -> Answer {
    let state = c.data_mut();
    let bytes = match kind {
        PLUGIN_CONFIGURATION => {
            let root = state.root_id();
            let conf = state.roots.get(&root).map(|r| r.configuration.clone()).unwrap_or_default();
            if conf.is_empty() {
                return Ok(Status::NotFound);
            }
            // Always whole, whatever part was asked for.
            return give(c, &conf, out, size);
        }
        CALL_RESPONSE_BODY => match &state.call_response {
            Some(response) if !response.body.is_empty() => response.body.clone(),
            _ => return Ok(Status::NotFound),
        },
        // One buffer for both: that of the body callback which is running. Gone in any other.
        REQUEST_BODY | RESPONSE_BODY => {
            let response = match state.phase {
                Phase::RequestBody => false,
                Phase::ResponseBody => true,
                _ => return Ok(Status::NotFound),
            };
            let body = state.stream().and_then(|s| s.side(response).body());
            body.map(|b| b.clone()).unwrap_or_default()
        }
        _ => return Ok(Status::Unimplemented),
    };
    let (Ok(first), Ok(wanted)) = (i32::try_from(start), i32::try_from(max)) else {
        return Ok(Status::BadArgument);
    };
    if wanted == 0 || start as usize >= bytes.len() {
        return Ok(Status::BadArgument);
    }
    if first.checked_add(wanted).is_none() {
        return crash("start + size of a body read overflows, and it reads beyond the body");
    }
    let end = (start as usize + max as usize).min(bytes.len());
    give(c, &bytes[start as usize..end], out, size)
}

/// Envoy only.
pub(super) fn set(
    c: &mut Ctx<'_>,
    kind: u32,
    start: u32,
    length: u32,
    data: u32,
    size: u32,
) -> Answer {
    c.data_mut().what = format!("{} {start}+{length}", name(kind));
    if kind > CALL_DATA {
        return Ok(Status::BadArgument);
    }
    let data = arg!(read(c, data, size));
    if !matches!(kind, REQUEST_BODY | RESPONSE_BODY) {
        return Ok(Status::BadArgument);
    }
    let body = c.data_mut().stream().and_then(|s| s.side(kind == RESPONSE_BODY).body());
    let Some(body) = body else { return Ok(Status::BadArgument) };
    let (start, length) = (start as usize, length as usize);
    if start == 0 {
        body.splice(..length.min(body.len()), data);
    } else if start >= body.len() {
        body.extend(data);
    } else {
        return Ok(Status::BadArgument);
    }
    Ok(Status::Ok)
}

fn name(kind: u32) -> String {
    let known = [
        "request body",
        "response body",
        "downstream data",
        "upstream data",
        "call response body",
        "grpc",
        "vm configuration",
        "plugin configuration",
        "call data",
    ];
    known.get(kind as usize).map_or_else(|| format!("buffer {kind}"), |n| (*n).to_string())
}
