//! The functions a module can import, grouped by what they work on.

mod buffers;
mod http_call;
mod maps;
mod memory;
mod metrics;
mod misc;
mod properties;
mod shared;
mod streams;
mod wasi;

use wasmtime::{Caller, Linker};

use super::state::{HostCall, State, Status};

/// A host function's view of the module that calls it.
type Ctx<'a> = Caller<'a, State>;

/// What a host function answers; an error unwinds the module.
type Answer = wasmtime::Result<Status>;

/// Takes a value, or answers the status there is instead.
macro_rules! arg {
    ($value:expr) => {
        match $value {
            Ok(value) => value,
            Err(status) => return Ok(status),
        }
    };
}
use arg;

/// Links functions of module `env`: each is traced, and answers 12 where the profile says so.
macro_rules! link {
    ($linker:expr; $($name:literal => $function:expr, ($($arg:ident: $ty:ty),*);)*) => {$(
        let function = |mut c: Ctx<'_>, $($arg: $ty),*| -> wasmtime::Result<u32> {
            let answer = if c.data().options.profile.unimplemented($name) {
                Ok(Status::Unimplemented)
            } else {
                $function(&mut c, $($arg),*)
            };
            record(&mut c, $name, answer)
        };
        $linker.func_wrap("env", $name, function)?;
    )*};
}

/// Everything either host offers. Which of it a module may import is for `imports` to say.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    link! { linker;
        "proxy_log" => misc::log, (level: u32, text: u32, size: u32);
        "proxy_get_log_level" => misc::get_log_level, (out: u32);
        "proxy_get_current_time_nanoseconds" => misc::current_time, (out: u32);
        "proxy_set_tick_period_milliseconds" => misc::set_tick_period, (period: u32);
        "proxy_set_effective_context" => misc::set_effective_context, (context: u32);
        "proxy_get_status" => misc::get_status, (code: u32, out: u32, size: u32);
        "proxy_done" => misc::done, ();
        "proxy_call_foreign_function" => misc::foreign_function,
            (name: u32, name_size: u32, a: u32, a_size: u32, out: u32, size: u32);
        "proxy_get_buffer_bytes" => buffers::get,
            (kind: u32, start: u32, max: u32, out: u32, size: u32);
        "proxy_set_buffer_bytes" => buffers::set,
            (kind: u32, start: u32, length: u32, data: u32, size: u32);
        "proxy_get_header_map_pairs" => maps::get_all, (kind: u32, out: u32, size: u32);
        "proxy_set_header_map_pairs" => maps::set_all, (kind: u32, data: u32, size: u32);
        "proxy_get_header_map_value" => maps::get,
            (kind: u32, name: u32, name_size: u32, out: u32, size: u32);
        "proxy_remove_header_map_value" => maps::remove, (kind: u32, name: u32, name_size: u32);
        "proxy_replace_header_map_value" => maps::replace,
            (kind: u32, name: u32, name_size: u32, value: u32, size: u32);
        "proxy_add_header_map_value" => maps::add,
            (kind: u32, name: u32, name_size: u32, value: u32, size: u32);
        "proxy_get_property" => properties::get, (path: u32, path_size: u32, out: u32, size: u32);
        "proxy_set_property" => properties::set,
            (path: u32, path_size: u32, value: u32, size: u32);
        "proxy_get_shared_data" => shared::get,
            (key: u32, key_size: u32, out: u32, size: u32, cas: u32);
        "proxy_set_shared_data" => shared::set,
            (key: u32, key_size: u32, value: u32, size: u32, cas: u32);
        "proxy_register_shared_queue" => shared::register_queue, (name: u32, size: u32, out: u32);
        "proxy_resolve_shared_queue" => shared::resolve_queue,
            (vm: u32, vm_size: u32, name: u32, size: u32, out: u32);
        "proxy_dequeue_shared_queue" => shared::dequeue, (token: u32, out: u32, size: u32);
        "proxy_enqueue_shared_queue" => shared::enqueue, (token: u32, value: u32, size: u32);
        "proxy_continue_stream" => streams::resume, (kind: u32);
        "proxy_close_stream" => streams::close, (kind: u32);
        "proxy_send_local_response" => streams::send_local_response,
            (status: u32, details: u32, details_size: u32, body: u32, body_size: u32,
             headers: u32, headers_size: u32, grpc: i32);
        "proxy_http_call" => http_call::dispatch,
            (upstream: u32, upstream_size: u32, headers: u32, headers_size: u32, body: u32,
             body_size: u32, trailers: u32, trailers_size: u32, timeout: i32, out: u32);
        "proxy_define_metric" => metrics::define, (kind: u32, name: u32, size: u32, out: u32);
        "proxy_record_metric" => metrics::record, (id: u32, value: u64);
        "proxy_increment_metric" => metrics::increment, (id: u32, offset: i64);
        "proxy_get_metric" => metrics::get, (id: u32, out: u32);
        "proxy_grpc_call" => |_: &mut Ctx<'_>, _, _, _, _, _, _, _, _, _, _, _, _| unimplemented(),
            (a: u32, b: u32, c1: u32, d: u32, e: u32, f: u32, g: u32, h: u32, i: u32, j: u32,
             k: u32, l: u32);
        "proxy_grpc_stream" => |_: &mut Ctx<'_>, _, _, _, _, _, _, _, _, _| unimplemented(),
            (a: u32, b: u32, c1: u32, d: u32, e: u32, f: u32, g: u32, h: u32, i: u32);
        "proxy_grpc_send" => |_: &mut Ctx<'_>, _, _, _, _| unimplemented(),
            (a: u32, b: u32, c1: u32, d: u32);
        "proxy_grpc_cancel" => |_: &mut Ctx<'_>, _| unimplemented(), (a: u32);
        "proxy_grpc_close" => |_: &mut Ctx<'_>, _| unimplemented(), (a: u32);
    }
    wasi::link(linker)
}

fn unimplemented() -> Answer {
    Ok(Status::Unimplemented)
}

/// What of a value is kept in the trace.
const TRACED_BYTES: usize = 4096;

fn record(c: &mut Ctx<'_>, name: &'static str, answer: Answer) -> wasmtime::Result<u32> {
    let left = c.get_fuel().unwrap_or(0);
    let state = c.data_mut();
    let what = std::mem::take(&mut state.what);
    let mut value = state.value.take();
    if let Some(value) = &mut value {
        value.truncate(TRACED_BYTES);
    }
    let status = answer?;
    let context = state.context();
    state.host_calls.push(HostCall { context, name, what, status, value, left });
    Ok(status as u32)
}
