//! What is over and has yet to be told to a store elsewhere.
//!
//! One batch is under way at a time and is repeated as it is until it was taken, so that the store can
//! leave out one that it has applied already. The queue belongs to the worker, not to a configuration: a
//! reload does not lose it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use shared::host::{CallId, Host};

use super::waiting::Told;
use crate::terms::Terms;

/// Most settlements of one batch.
pub const BATCH: usize = 100;

/// A request that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// Under which name it was reserved; empty if nothing was.
    pub lease: String,
    /// When, by the store's clock in milliseconds; 0 if nobody knows whether it was.
    pub at: u64,
    /// What it has used.
    pub rows: Vec<Row>,
}

/// What a request has used of one count.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The count.
    pub count: String,
    /// What holds for it.
    pub terms: Terms,
    /// How much was used.
    pub actual: u64,
    /// How much was reserved, if anything.
    pub reserved: Option<u64>,
}

/// The settlements of one worker for one store.
#[derive(Debug, Default)]
pub struct Queue {
    worker: RefCell<String>,
    waiting: RefCell<VecDeque<Settlement>>,
    /// As the proxy knows it.
    pub told: Told,
    /// The number of the batch under way, or of the last.
    number: Cell<u64>,
    /// How many of those that wait are in the batch that must be repeated as it is.
    frozen: Cell<usize>,
    /// Until when the batch under way may be answered, nanoseconds; 0 if there is none.
    until: Cell<u64>,
    call: Cell<Option<CallId>>,
    /// Not again before, nanoseconds.
    rest: Cell<u64>,
    failures: Cell<u32>,
}

thread_local! {
    static QUEUES: RefCell<HashMap<String, Rc<Queue>>> = RefCell::default();
}

impl Queue {
    /// The worker's queue for a store of this name.
    pub fn of(store: &str) -> Rc<Queue> {
        QUEUES.with(|queues| Rc::clone(queues.borrow_mut().entry(store.to_owned()).or_default()))
    }

    /// Adds one; false if there is no room for it.
    pub fn push(&self, settlement: Settlement, most: usize) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= most {
            return false;
        }
        waiting.push_back(settlement);
        true
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Whether the store was asked about all that wait, before they went on.
    pub fn all_asked(&self) -> bool {
        self.waiting.borrow().iter().all(|settlement| settlement.at > 0)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The worker's name in the store.
    pub fn worker(&self, host: &dyn Host) -> String {
        let mut worker = self.worker.borrow_mut();
        if worker.is_empty() {
            *worker = format!("{:016x}{:016x}", host.random(), host.now_nanos());
        }
        worker.clone()
    }

    /// The next batch and its number, if one is due. It is under way from then on.
    pub fn take(&self, now: u64, timeout: u64) -> Option<(u64, Vec<Settlement>)> {
        let busy = self.until.get() > now;
        let waiting = self.waiting.borrow();
        if busy || waiting.is_empty() || self.rest.get() > now {
            return None;
        }
        if self.frozen.get() == 0 {
            self.number.set(self.number.get().saturating_add(1));
            self.frozen.set(waiting.len().min(BATCH));
        }
        self.until.set(now.saturating_add(timeout));
        Some((self.number.get(), waiting.iter().take(self.frozen.get()).cloned().collect()))
    }

    /// The batch under way is in this call.
    pub fn sent_with(&self, call: CallId) {
        self.call.set(Some(call));
    }

    /// Whether the batch under way is in this call.
    pub fn is_in(&self, call: CallId) -> bool {
        self.call.get() == Some(call)
    }

    /// The batch of this number was applied, or not. After a failure the next try waits, up to 5 seconds.
    pub fn ended(&self, now: u64, number: u64, applied: bool) {
        if number != self.number.get() {
            return;
        }
        self.until.set(0);
        self.call.set(None);
        if applied {
            let mut waiting = self.waiting.borrow_mut();
            let done = self.frozen.take().min(waiting.len());
            waiting.drain(..done);
            self.failures.set(0);
            self.rest.set(0);
        } else {
            let failures = self.failures.get().saturating_add(1).min(6);
            self.failures.set(failures);
            let pause = (50_000_000_u64 << failures).min(5_000_000_000);
            self.rest.set(now.saturating_add(pause));
        }
    }

    /// The number of the batch under way.
    pub fn number(&self) -> u64 {
        self.number.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(lease: &str) -> Settlement {
        Settlement { lease: lease.into(), at: 1, rows: Vec::new() }
    }

    #[test]
    fn a_batch_is_repeated_as_it_is_until_it_was_taken() {
        let queue = Queue::default();
        assert!(queue.push(one("a"), 3) && queue.push(one("b"), 3));
        let (number, first) = queue.take(0, 10).unwrap();
        assert!(queue.push(one("c"), 3) && !queue.push(one("d"), 3), "there is no room for more");
        assert_eq!(queue.take(5, 10), None, "one at a time");
        queue.ended(5, number, false);
        assert_eq!(queue.take(6, 10), None, "it rests after a failure");
        let (again, second) = queue.take(200_000_000, 10).unwrap();
        assert_eq!((again, second), (number, first));
        queue.ended(200_000_001, number, true);
        let (next, third) = queue.take(200_000_002, 10).unwrap();
        assert_eq!((next, third), (number + 1, vec![one("c")]));
        // An answer that never comes does not block it for ever.
        assert_eq!(queue.take(200_000_100, 10).unwrap().0, next);
    }
}
