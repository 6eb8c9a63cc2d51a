//! The `log` crate's messages, in the proxy's log.

use log::{Level, LevelFilter, Log, Metadata, Record};

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // The ABI's levels.
        let level = match record.level() {
            Level::Trace => 0,
            Level::Debug => 1,
            Level::Info => 2,
            Level::Warn => 3,
            Level::Error => 4,
        };
        super::ffi::log(level, &record.args().to_string());
    }

    fn flush(&self) {}
}

/// Debug and trace messages are left out: each costs a call of the host even where the proxy's own
/// level drops it.
pub(super) fn install() {
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
