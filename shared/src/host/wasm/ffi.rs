//! The proxy-wasm ABI 0.2.1, as far as it is used, declared so that every call returns its status.
//!
//! The SDK's wrappers panic on any status they do not expect, and a panic kills the worker's module
//! (see the table of what each host answers in docs/hosts.md). These declarations link to the very
//! same imports. The one call that is still made through the SDK is `dispatch_http_call`, because
//! its dispatcher has to know whom the answer belongs to.
#![allow(unsafe_code)]

use std::borrow::Cow;

use crate::host::HostError;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_buffer_bytes(
        kind: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        kind: u32,
        start: usize,
        size: usize,
        data: *const u8,
        len: usize,
    ) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        version: u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

/// `Ok` for status 0.
fn check(status: u32) -> Result<(), HostError> {
    if status == 0 { Ok(()) } else { Err(HostError(status)) }
}

/// Runs a call that returns memory which the host allocated through `proxy_on_memory_allocate`.
fn returned(
    call: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<Option<Vec<u8>>, HostError> {
    let mut data = std::ptr::null_mut();
    let mut size = 0;
    check(call(&mut data, &mut size))?;
    if data.is_null() {
        return Ok(None);
    }
    // SAFETY: the host got the memory from `proxy_on_memory_allocate(size)`, which allocates a
    // `Box<[u8]>` of just that size, and gives it up with this return.
    Ok(Some(unsafe { Vec::from_raw_parts(data, size, size) }))
}

pub(super) fn log(level: u32, message: &str) {
    // SAFETY: pointer and length of a live `str`.
    let _ = unsafe { proxy_log(level, message.as_ptr(), message.len()) };
}

pub(super) fn buffer(kind: u32, start: usize, max: usize) -> Result<Option<Vec<u8>>, HostError> {
    // SAFETY: out pointers are live for the call.
    returned(|data, size| unsafe { proxy_get_buffer_bytes(kind, start, max, data, size) })
}

pub(super) fn set_buffer(
    kind: u32,
    start: usize,
    size: usize,
    with: &[u8],
) -> Result<(), HostError> {
    // SAFETY: pointer and length of a live slice.
    check(unsafe { proxy_set_buffer_bytes(kind, start, size, with.as_ptr(), with.len()) })
}

pub(super) fn header(map: u32, name: &str) -> Result<Option<Vec<u8>>, HostError> {
    // SAFETY: pointers are live for the call.
    returned(|data, size| unsafe {
        proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size)
    })
}

/// A whole map, see [`Known::parse`](crate::host::memo::Known::parse). Never on APISIX, where this can
/// crash the worker.
pub(super) fn headers(map: u32) -> Result<Option<Vec<u8>>, HostError> {
    // SAFETY: out pointers are live for the call.
    returned(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
}

pub(super) fn set_header(map: u32, name: &str, value: &str) -> Result<(), HostError> {
    // SAFETY: pointers and lengths of live `str`s.
    check(unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

pub(super) fn remove_header(map: u32, name: &str) -> Result<(), HostError> {
    // SAFETY: pointer and length of a live `str`.
    check(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

fn joined<'p>(path: &[&'p str]) -> Cow<'p, str> {
    match path {
        [name] => Cow::Borrowed(name),
        _ => Cow::Owned(path.join("\0")),
    }
}

pub(super) fn property(path: &[&str]) -> Result<Option<Vec<u8>>, HostError> {
    let path = joined(path);
    // SAFETY: pointers are live for the call.
    returned(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

pub(super) fn set_property(path: &[&str], value: &[u8]) -> Result<(), HostError> {
    let path = joined(path);
    // SAFETY: pointers and lengths of live slices.
    check(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

pub(super) fn shared(key: &str) -> Result<(Option<Vec<u8>>, u32), HostError> {
    let mut version = 0;
    // SAFETY: pointers are live for the call.
    let value = returned(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut version)
    })?;
    Ok((value, version))
}

pub(super) fn set_shared(key: &str, value: &[u8], version: u32) -> Result<(), HostError> {
    // SAFETY: pointers and lengths of live slices.
    check(unsafe {
        proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version)
    })
}

/// `kind`: 0 a counter, 1 a gauge, 2 a histogram.
pub(super) fn define_metric(kind: u32, name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    // SAFETY: pointers are live for the call.
    check(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

pub(super) fn increment_metric(id: u32, by: i64) -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    check(unsafe { proxy_increment_metric(id, by) })
}

pub(super) fn record_metric(id: u32, value: u64) -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    check(unsafe { proxy_record_metric(id, value) })
}

pub(super) fn set_tick_period(millis: u32) -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    check(unsafe { proxy_set_tick_period_milliseconds(millis) })
}

/// What follows in this callback is about another context.
pub(super) fn set_effective_context(context: u32) -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    check(unsafe { proxy_set_effective_context(context) })
}

/// `stream`: 0 the request, 1 the response.
pub(super) fn continue_stream(stream: u32) -> Result<(), HostError> {
    // SAFETY: takes no pointer.
    check(unsafe { proxy_continue_stream(stream) })
}

pub(super) fn send_local_response(
    status: u32,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<(), HostError> {
    let headers = serialize_map(headers);
    // SAFETY: pointers and lengths of live slices; details may be null when their size is 0.
    check(unsafe {
        proxy_send_local_response(
            status,
            std::ptr::null(),
            0,
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            -1,
        )
    })
}

/// The ABI's form of a header map: the count, then the sizes of each name and value, then each name
/// and value closed by a zero byte; numbers are little-endian `u32`.
fn serialize_map(map: &[(String, String)]) -> Vec<u8> {
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = Vec::new();
    out.extend(size(map.len()));
    for (name, value) in map {
        out.extend(size(name.len()));
        out.extend(size(value.len()));
    }
    for (name, value) in map {
        out.extend(name.as_bytes());
        out.push(0);
        out.extend(value.as_bytes());
        out.push(0);
    }
    out
}
