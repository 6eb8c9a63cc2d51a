//! The few WASI functions both hosts have and a plugin may use.

use wasmtime::{Linker, format_err};

use super::memory::{read, write, write_word};
use super::{Ctx, Status};
use crate::emulator::state::{LogLine, State};

const MODULE: &str = "wasi_snapshot_preview1";

/// WASI's own error numbers.
const SUCCESS: u32 = 0;
const BAD_FILE: u32 = 8;
const FAULT: u32 = 21;
const INVALID: u32 = 28;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "clock_time_get", clock_time_get)?;
    linker.func_wrap(MODULE, "random_get", |mut c: Ctx<'_>, at: u32, size: u32| {
        let mut bytes = Vec::new();
        while bytes.len() < size as usize {
            bytes.extend(c.data_mut().random().to_le_bytes());
        }
        bytes.truncate(size as usize);
        errno(write(&mut c, at, &bytes))
    })?;
    linker.func_wrap(MODULE, "environ_get", |mut c: Ctx<'_>, list: u32, text: u32| {
        let environment = environment(c.data());
        errno(write_strings(&mut c, &environment, list, text))
    })?;
    linker.func_wrap(MODULE, "environ_sizes_get", |mut c: Ctx<'_>, count: u32, size: u32| {
        let environment = environment(c.data());
        errno(write_sizes(&mut c, &environment, count, size))
    })?;
    linker.func_wrap(MODULE, "args_get", |_: Ctx<'_>, _: u32, _: u32| SUCCESS)?;
    linker.func_wrap(MODULE, "args_sizes_get", |mut c: Ctx<'_>, count: u32, size: u32| {
        errno(write_sizes(&mut c, &[], count, size))
    })?;
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(MODULE, "proc_exit", |_: Ctx<'_>, code: u32| -> wasmtime::Result<()> {
        Err(format_err!("the module called proc_exit({code})"))
    })?;
    Ok(())
}

fn clock_time_get(mut c: Ctx<'_>, clock: u32, _precision: u64, out: u32) -> u32 {
    let state = c.data();
    let time = match clock {
        0 => state.clock_ns,
        // Monotonic: counts from the start of the VM.
        1 => state.clock_ns.wrapping_sub(state.options.clock_ns),
        _ => return INVALID,
    };
    errno(write(&mut c, out, &time.to_le_bytes()))
}

fn fd_write(mut c: Ctx<'_>, fd: u32, list: u32, count: u32, written: u32) -> u32 {
    if fd != 1 && fd != 2 {
        return BAD_FILE;
    }
    let mut bytes = Vec::new();
    for n in 0..count {
        let word = |c: &Ctx<'_>, at: u32| {
            let word = read(c, at, 4).ok()?;
            Some(u32::from_le_bytes(word.try_into().ok()?))
        };
        let at = list.wrapping_add(n.wrapping_mul(8));
        let (Some(from), Some(size)) = (word(&c, at), word(&c, at.wrapping_add(4))) else {
            return FAULT;
        };
        let Ok(piece) = read(&c, from, size) else { return FAULT };
        bytes.extend(piece);
    }
    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    log_lines(c.data_mut(), bytes, if fd == 2 { 4 } else { 2 });
    errno(write_word(&mut c, written, size))
}

/// Standard output and error become log lines.
fn log_lines(state: &mut State, bytes: Vec<u8>, level: u32) {
    state.output.extend(bytes);
    while let Some(end) = state.output.iter().position(|b| *b == b'\n') {
        let line: Vec<u8> = state.output.drain(..=end).collect();
        let text = String::from_utf8_lossy(&line).trim_end().to_string();
        state.logs.push(LogLine { level, text });
    }
}

fn environment(state: &State) -> Vec<String> {
    state.options.env.iter().map(|(name, value)| format!("{name}={value}\0")).collect()
}

fn write_sizes(c: &mut Ctx<'_>, strings: &[String], count: u32, size: u32) -> Result<(), Status> {
    let number = |n: usize| u32::try_from(n).map_err(|_| Status::InvalidMemoryAccess);
    write_word(c, count, number(strings.len())?)?;
    write_word(c, size, number(strings.iter().map(String::len).sum())?)
}

fn write_strings(
    c: &mut Ctx<'_>,
    strings: &[String],
    mut list: u32,
    mut text: u32,
) -> Result<(), Status> {
    for string in strings {
        write_word(c, list, text)?;
        write(c, text, string.as_bytes())?;
        list = list.wrapping_add(4);
        text = text.wrapping_add(u32::try_from(string.len()).unwrap_or(u32::MAX));
    }
    Ok(())
}

fn errno(result: Result<(), Status>) -> u32 {
    if result.is_ok() { SUCCESS } else { FAULT }
}
