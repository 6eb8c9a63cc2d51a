//! Logging, time, contexts.

use super::memory::{give, read, read_name, write, write_word};
use super::{Answer, Ctx, Status, arg};
use crate::emulator::state::LogLine;

pub(super) fn log(c: &mut Ctx<'_>, level: u32, text: u32, size: u32) -> Answer {
    let text = String::from_utf8_lossy(&arg!(read(c, text, size))).into_owned();
    let state = c.data_mut();
    state.what.clone_from(&text);
    state.logs.push(LogLine { level, text });
    Ok(Status::Ok)
}

/// Envoy only. The emulator keeps every line, so the level is trace.
pub(super) fn get_log_level(c: &mut Ctx<'_>, out: u32) -> Answer {
    arg!(write_word(c, out, 0));
    Ok(Status::Ok)
}

pub(super) fn current_time(c: &mut Ctx<'_>, out: u32) -> Answer {
    let now = c.data().clock_ns.to_le_bytes();
    arg!(write(c, out, &now));
    Ok(Status::Ok)
}

pub(super) fn set_tick_period(c: &mut Ctx<'_>, period: u32) -> Answer {
    let state = c.data_mut();
    state.what = format!("{period} ms");
    let root = state.root_id();
    if let Some(root) = state.roots.get_mut(&root) {
        root.tick_period_ms = period;
    }
    Ok(Status::Ok)
}

/// On APISIX a function in name only: it always works on the request at hand.
pub(super) fn set_effective_context(c: &mut Ctx<'_>, context: u32) -> Answer {
    let state = c.data_mut();
    state.what = context.to_string();
    if !state.envoy() {
        return Ok(Status::Ok);
    }
    if !state.roots.contains_key(&context) && !state.streams.contains_key(&context) {
        return Ok(Status::BadArgument);
    }
    state.effective = context;
    Ok(Status::Ok)
}

/// Of the last HTTP call.
pub(super) fn get_status(c: &mut Ctx<'_>, code: u32, out: u32, size: u32) -> Answer {
    let (number, message) = c.data().call_status.clone();
    arg!(write_word(c, code, number));
    give(c, message.as_bytes(), out, size)
}

pub(super) fn done(_: &mut Ctx<'_>) -> Answer {
    Ok(Status::NotFound)
}

/// No foreign function is known here.
pub(super) fn foreign_function(
    c: &mut Ctx<'_>,
    name: u32,
    name_size: u32,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
) -> Answer {
    arg!(read_name(c, name, name_size));
    Ok(Status::NotFound)
}
