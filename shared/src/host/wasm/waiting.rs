//! Exchanges that wait for a time or an event, woken by the root context's timer.
//!
//! A stream has no timer of its own. While any waits, the timer of its root runs every few
//! milliseconds, and works on each of them under its own context.

use crate::small_map::SmallMap;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::context::Stream;
use super::{WasmHost, ffi};
use crate::filter::CallReply;

/// How often those that wait are asked.
const PERIOD: Duration = Duration::from_millis(5);

/// The context that has made a call, and its exchange.
type Caller = (u32, Rc<RefCell<Stream>>);

/// The exchanges of one root context that wait.
#[derive(Default)]
pub(super) struct Waiting {
    /// By context id; removed when the stream ends.
    streams: RefCell<SmallMap<u32, Rc<RefCell<Stream>>>>,
    /// Calls that were made while one was woken: their answers come to the root context.
    calls: RefCell<SmallMap<u32, Caller>>,
    /// Whether the timer runs as fast as they need it.
    hurries: Cell<bool>,
}

impl Waiting {
    /// After a callback of this stream: does it wait now?
    pub(super) fn note(&self, id: u32, stream: &Rc<RefCell<Stream>>) {
        let waits = stream.try_borrow().is_ok_and(|stream| stream.exchange.waits());
        if !waits {
            self.streams.borrow_mut().remove(&id);
            return;
        }
        self.streams.borrow_mut().insert(id, Rc::clone(stream));
        // To set a period begins it anew: if each did so, many that come one after another would put the tick off.
        if !self.hurries.replace(true) {
            let _ = ffi::set_tick_period(super::context::millis(PERIOD));
        }
    }

    /// The stream has ended.
    pub(super) fn forget(&self, id: u32) {
        self.streams.borrow_mut().remove(&id);
        self.calls.borrow_mut().retain(|_, (stream, _)| *stream != id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.streams.borrow().is_empty()
    }

    /// The period until the next tick, where the plugin wants its `own`.
    pub(super) fn period(&self, own: Option<Duration>) -> Duration {
        self.hurries.set(!self.is_empty());
        match own {
            _ if self.hurries.get() => PERIOD.min(own.unwrap_or(PERIOD)),
            Some(period) => period,
            None => Duration::ZERO,
        }
    }

    /// Asks all that wait. `root` is the context that the timer belongs to.
    pub(super) fn tick(&self, root: u32) {
        if self.is_empty() {
            return;
        }
        let streams: Vec<_> =
            self.streams.borrow().iter().map(|(id, stream)| (*id, Rc::clone(stream))).collect();
        for (id, stream) in streams {
            self.work(root, id, &stream, Stream::tick);
        }
    }

    /// The answer to a call of one that was woken; false if it is none of theirs.
    pub(super) fn called(
        &self,
        root: u32,
        call: u32,
        reply: impl FnOnce(&WasmHost) -> CallReply,
    ) -> bool {
        let Some((id, stream)) = self.calls.borrow_mut().remove(&call) else { return false };
        self.work(root, id, &stream, |stream| stream.called(call, reply));
        true
    }

    fn work(
        &self,
        root: u32,
        id: u32,
        stream: &Rc<RefCell<Stream>>,
        work: impl FnOnce(&mut Stream),
    ) {
        if ffi::set_effective_context(id).is_err() {
            return self.forget(id);
        }
        if let Ok(mut stream) = stream.try_borrow_mut() {
            work(&mut stream);
        }
        let awaits = stream.try_borrow().ok().and_then(|stream| stream.exchange.awaits());
        if let Some(call) = awaits {
            self.calls.borrow_mut().insert(call.0, (id, Rc::clone(stream)));
        }
        self.note(id, stream);
        let _ = ffi::set_effective_context(root);
    }
}
