//! Metrics. APISIX accepts them and keeps nothing.

use super::memory::{read_name, write, write_word};
use super::{Answer, Ctx, Status, arg};
use crate::emulator::shared::MetricKind;
use crate::emulator::state::State;

pub(super) fn define(c: &mut Ctx<'_>, kind: u32, name: u32, size: u32, out: u32) -> Answer {
    let name = arg!(read_name(c, name, size));
    if !c.data().envoy() {
        arg!(write_word(c, out, 0));
        return Ok(Status::Ok);
    }
    let kind = match kind {
        0 => MetricKind::Counter,
        1 => MetricKind::Gauge,
        2 => MetricKind::Histogram,
        _ => return Ok(Status::BadArgument),
    };
    let state = c.data_mut();
    state.next_metric += 1;
    // The two lowest bits say the kind.
    let id = state.next_metric << 2 | kind as u32;
    let _ = state.options.shared.write().metric(&name, kind);
    state.metric_ids.insert(id, (name, kind));
    arg!(write_word(c, out, id));
    Ok(Status::Ok)
}

pub(super) fn record(c: &mut Ctx<'_>, id: u32, value: u64) -> Answer {
    let state = c.data_mut();
    if !state.envoy() {
        return Ok(Status::Ok);
    }
    let Some((name, kind)) = known(state, id, value) else { return Ok(Status::NotFound) };
    let mut store = state.options.shared.write();
    let metric = store.metric(&name, kind);
    match kind {
        MetricKind::Counter => metric.value = metric.value.wrapping_add(value),
        MetricKind::Gauge => metric.value = value,
        MetricKind::Histogram => metric.samples.push(value),
    }
    drop(store);
    Ok(Status::Ok)
}

pub(super) fn increment(c: &mut Ctx<'_>, id: u32, offset: i64) -> Answer {
    let state = c.data_mut();
    if !state.envoy() {
        return Ok(Status::Ok);
    }
    let Some((name, kind)) = known(state, id, offset) else { return Ok(Status::NotFound) };
    let mut store = state.options.shared.write();
    let metric = store.metric(&name, kind);
    let allowed = match kind {
        // A counter only grows.
        MetricKind::Counter => offset > 0,
        MetricKind::Gauge => true,
        MetricKind::Histogram => false,
    };
    if allowed {
        metric.value = metric.value.wrapping_add_signed(offset);
    }
    drop(store);
    Ok(if allowed { Status::Ok } else { Status::BadArgument })
}

/// Envoy only: APISIX has this with another signature, so no module that imports it loads there.
pub(super) fn get(c: &mut Ctx<'_>, id: u32, out: u32) -> Answer {
    let state = c.data_mut();
    let Some((name, kind)) = known(state, id, "") else { return Ok(Status::NotFound) };
    if kind == MetricKind::Histogram {
        return Ok(Status::BadArgument);
    }
    let value = state.options.shared.write().metric(&name, kind).value;
    arg!(write(c, out, &value.to_le_bytes()));
    Ok(Status::Ok)
}

fn known(
    state: &mut State,
    id: u32,
    amount: impl std::fmt::Display,
) -> Option<(String, MetricKind)> {
    let known = state.metric_ids.get(&id).cloned();
    let name = known.as_ref().map_or_else(|| id.to_string(), |(name, _)| name.clone());
    state.what = format!("{name} {amount}").trim_end().to_string();
    known
}
