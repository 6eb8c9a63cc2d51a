//! What a rate limit service has yet to be told: of each count how much more, or how much is given back.
//!
//! What many requests have used of a count is told as one number. It belongs to the worker, not to a
//! configuration: a reload does not lose it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use serde_json::json;
use shared::host::CallId;

use super::waiting::Told;
use crate::terms::Terms;

/// Most calls at once.
const CALLS: usize = 16;

/// What is to be told of one count.
#[derive(Clone, Debug, PartialEq)]
pub struct Debt {
    /// The count.
    pub count: String,
    /// What holds for it.
    pub terms: Terms,
    /// How much more; less than 0 is given back.
    pub amount: i64,
    /// Parts of something that there was no room for, told by halves to fill what is left.
    filling: bool,
}

/// A call under way.
#[derive(Debug)]
pub struct Flight {
    /// The call.
    pub call: Option<CallId>,
    /// Until when it may be answered, nanoseconds.
    pub until: u64,
    /// What it tells.
    pub debts: Vec<Debt>,
}

/// The debts of one worker to one service.
#[derive(Debug, Default)]
pub struct Debts {
    waiting: RefCell<VecDeque<Debt>>,
    /// As the proxy knows it.
    pub told: Told,
    flights: RefCell<Vec<Flight>>,
    /// Not again before, nanoseconds.
    rest: Cell<u64>,
    failures: Cell<u32>,
    silent: Cell<bool>,
}

thread_local! {
    static ALL: RefCell<HashMap<String, Rc<Debts>>> = RefCell::default();
}

impl Debts {
    /// The worker's debts to a service of this name.
    pub fn of(service: &str) -> Rc<Debts> {
        ALL.with(|all| Rc::clone(all.borrow_mut().entry(service.to_owned()).or_default()))
    }

    /// Adds to what is to be told of a count; false if there is no room for another count.
    pub fn add(&self, count: &str, terms: &Terms, amount: i64, most: usize) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        if let Some(debt) = waiting.iter_mut().find(|debt| debt.count == count && !debt.filling) {
            debt.amount = debt.amount.saturating_add(amount);
            debt.terms = *terms;
            return true;
        }
        if amount == 0 {
            return true;
        }
        if waiting.len() >= most {
            return false;
        }
        let (count, terms) = (count.to_owned(), *terms);
        waiting.push_back(Debt { count, terms, amount, filling: false });
        true
    }

    /// How many counts wait, or are on their way.
    pub fn len(&self) -> usize {
        let flights = self.flights.borrow();
        let flying: usize = flights.iter().map(|flight| flight.debts.len()).sum();
        self.waiting.borrow().len().saturating_add(flying)
    }

    /// Whether there is nothing to be told.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the next call tells, up to so many counts; `None` if none is due.
    pub fn take(&self, now: u64, most: usize) -> Option<Vec<Debt>> {
        if self.flights.borrow().len() >= CALLS || self.rest.get() > now {
            return None;
        }
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|debt| debt.amount != 0);
        let next = waiting.len().min(most);
        let taken: Vec<Debt> = waiting.drain(..next).collect();
        (!taken.is_empty()).then_some(taken)
    }

    /// A call has begun.
    pub fn under_way(&self, flight: Flight) {
        self.flights.borrow_mut().push(flight);
    }

    /// The call that has ended, if it was one of these.
    pub fn landed(&self, call: CallId) -> Option<Flight> {
        let mut flights = self.flights.borrow_mut();
        let at = flights.iter().position(|flight| flight.call == Some(call))?;
        Some(flights.swap_remove(at))
    }

    /// Calls that nobody has told the end of, as those of a configuration that has been replaced.
    pub fn expire(&self, now: u64) {
        let late: Vec<Flight> =
            self.flights.borrow_mut().extract_if(.., |flight| flight.until <= now).collect();
        late.into_iter().for_each(|flight| self.failed(now, flight, true));
    }

    /// A call was answered. `full`: there was no room, and perhaps nothing was counted; then half as much
    /// is told, and so on, until what was left is filled.
    pub fn told(&self, flight: Flight, full: bool) {
        self.failures.set(0);
        self.rest.set(0);
        for debt in flight.debts {
            // What a call could not hold.
            let rest = debt.amount.saturating_sub(i64::from(u32::MAX));
            let next = if full || debt.filling { debt.amount / 2 } else { rest };
            if next > 0 {
                let filling = full || debt.filling;
                self.waiting.borrow_mut().push_back(Debt { amount: next, filling, ..debt });
            }
        }
    }

    /// A call has failed. `perhaps`: it may have been carried out. The next try waits, up to 5 seconds.
    pub fn failed(&self, now: u64, flight: Flight, perhaps: bool) {
        for debt in flight.debts {
            // It was in the queue before, and so there is room.
            if debt.filling {
                self.waiting.borrow_mut().push_back(debt);
            } else if !perhaps || debt.amount > 0 {
                self.add(&debt.count, &debt.terms, debt.amount, usize::MAX);
            }
        }
        let failures = self.failures.get().saturating_add(1).min(6);
        self.failures.set(failures);
        self.rest.set(now.saturating_add((50_000_000_u64 << failures).min(5_000_000_000)));
    }

    /// Whether the service has answered; the log has a line when that changes.
    pub fn heard(&self, answered: bool, status: Option<u16>) {
        if self.silent.replace(!answered) != answered {
            return;
        }
        let state = if answered { "up" } else { "down" };
        let line = json!({"event": "limit_store", "state": state, "status": status});
        log::warn!("{}", shared::json::text_of(&line));
    }
}
