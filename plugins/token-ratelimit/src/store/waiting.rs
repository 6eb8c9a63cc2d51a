//! How much waits to be told to a store, as the proxy's gauge has it.

use std::cell::Cell;
use std::rc::Rc;

/// The part of one worker in a gauge that all workers of a proxy share: each adds what has changed, as the
/// one that sets it last would hide what waits elsewhere.
#[derive(Debug, Default)]
pub struct Told(Cell<i64>);

impl Told {
    /// By how much the gauge must change for this worker's part to be `waiting`.
    pub fn change(&self, waiting: usize) -> i64 {
        let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
        waiting.saturating_sub(self.0.replace(waiting))
    }
}

/// Whether a store that ends now is the last that these belong to; the other holder is the worker.
pub(super) fn is_last<T>(of_worker: &Rc<T>) -> bool {
    Rc::strong_count(of_worker) <= 2
}
