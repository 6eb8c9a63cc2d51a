//! How a target fares: its speed, its failures, and whether it rests.

use std::cell::{Cell, RefCell};

use super::config::Circuit;

/// For how long a measurement counts, in nanoseconds: after this time without one, a target's
/// estimated latency has fallen to a third, so that a slow one is tried again.
const MEMORY: f64 = 60e9;

/// A share of failures that is none any more.
const FORGOTTEN: f64 = 0.01;

/// How much of a mean the newest answer is.
const SHARE: f64 = 0.1;

/// Most times that a target's rest is lengthened.
const MAX_REST: u32 = 10;

/// Longest that a provider's `retry-after` is heeded, in nanoseconds.
const MAX_RETRY_AFTER: u64 = 3600 * 1_000_000_000;

/// How an attempt at a target ended. By default there was no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// HTTP status; 0 if no answer came.
    pub status: u16,
    /// Time to the first byte of the answer's body, in nanoseconds.
    pub first: Option<u64>,
    /// Time to its end, in nanoseconds.
    pub total: Option<u64>,
    /// For how long the target is to rest, as it has said itself, in nanoseconds.
    pub retry_after: Option<u64>,
    /// prompt-guard has kept the answer back.
    pub blocked: bool,
}

impl Outcome {
    /// Whether the target is to blame.
    pub fn failed(&self) -> bool {
        matches!(self.status, 0 | 401..=403 | 408 | 429) || self.status >= 500
    }
}

/// A mean in which older values count less.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    value: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.count = self.count.saturating_add(1);
        // The first values weigh alike, or the very first would count for long.
        let share = SHARE.max(1.0 / f64::from(self.count));
        self.value += (value - self.value) * share;
    }
}

/// What is known of a target. Each worker keeps its own account.
#[derive(Debug, Default)]
pub struct Health {
    under_way: Cell<u32>,
    first: Cell<Mean>,
    total: Cell<Mean>,
    failures: Cell<Mean>,
    /// Of feedback, 0 to 1.
    score: Cell<Mean>,
    in_a_row: Cell<u32>,
    /// When the last answer came, in nanoseconds.
    seen: Cell<u64>,
    rest: RefCell<Rest>,
}

#[derive(Debug, Default)]
struct Rest {
    /// Until when, in nanoseconds.
    until: u64,
    /// How often in a row, each time longer.
    times: u32,
    /// One request is trying it.
    probing: bool,
}

/// Whether a target may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fitness {
    /// It is well.
    Well,
    /// Its rest is over; one request tries it.
    Probe,
    /// It rests.
    Resting,
}

impl Health {
    /// Whether it may be asked now.
    pub fn fitness(&self, now: u64) -> Fitness {
        let rest = self.rest.borrow();
        match rest.until {
            0 => Fitness::Well,
            until if until > now || rest.probing => Fitness::Resting,
            _ => Fitness::Probe,
        }
    }

    /// A request is sent to it.
    pub fn begin(&self, now: u64) {
        self.under_way.set(self.under_way.get().saturating_add(1));
        // Whoever asks for a target by its name asks it while it rests, too, and tries it thereby.
        if self.fitness(now) != Fitness::Well {
            self.rest.borrow_mut().probing = true;
        }
    }

    /// A request to it is over. `None`: the client left before anything could be said of it.
    pub fn end(&self, outcome: Option<Outcome>, circuit: &Circuit, now: u64) {
        self.under_way.set(self.under_way.get().saturating_sub(1));
        let Some(outcome) = outcome else {
            self.rest.borrow_mut().probing = false;
            return;
        };
        self.seen.set(now);
        let failed = outcome.failed();
        add(&self.failures, f64::from(u8::from(failed)));
        if !failed {
            self.in_a_row.set(0);
            // An answer to what was asked before it had to rest proves nothing.
            if self.rest.borrow().probing {
                *self.rest.borrow_mut() = Rest::default();
                self.failures.set(Mean::default());
            }
            for (mean, time) in [(&self.first, outcome.first), (&self.total, outcome.total)] {
                if let Some(time) = time {
                    add(mean, time as f64);
                }
            }
            // It has answered, and has said that there is nothing left.
            if let Some(after) = outcome.retry_after {
                self.rest_until(now.saturating_add(after.min(MAX_RETRY_AFTER)));
            }
            return;
        }
        self.in_a_row.set(self.in_a_row.get().saturating_add(1));
        let probed = std::mem::take(&mut self.rest.borrow_mut().probing);
        // No time at all is no rest.
        if let Some(after) = outcome.retry_after.filter(|after| *after > 0) {
            let until = now.saturating_add(after.min(MAX_RETRY_AFTER));
            let mut rest = self.rest.borrow_mut();
            rest.until = rest.until.max(until);
        } else if (probed || self.broken(circuit)) && self.rest.borrow().until <= now {
            // What fails while it rests, as all that was under way does, makes the rest no longer.
            self.open(circuit, now);
        }
    }

    fn broken(&self, circuit: &Circuit) -> bool {
        let failures = self.failures.get();
        self.in_a_row.get() >= circuit.consecutive_failures
            || (failures.count >= circuit.min_requests && failures.value >= circuit.error_rate)
    }

    fn open(&self, circuit: &Circuit, now: u64) {
        let mut rest = self.rest.borrow_mut();
        rest.times = rest.times.saturating_add(1).min(MAX_REST);
        let factor = 1u64 << (rest.times - 1);
        let nanos = circuit.rest_seconds.saturating_mul(1_000_000_000).saturating_mul(factor);
        rest.until = now.saturating_add(nanos);
    }

    /// Another worker has seen it fail: it rests here too.
    pub fn rest_until(&self, until: u64) {
        let mut rest = self.rest.borrow_mut();
        rest.until = rest.until.max(until);
    }

    /// Until when it rests, in nanoseconds; 0 if it does not.
    pub fn rests_until(&self) -> u64 {
        self.rest.borrow().until
    }

    /// Requests under way.
    pub fn under_way(&self) -> u32 {
        self.under_way.get()
    }

    /// Time to the first token of a stream, or to the end of a whole answer, in nanoseconds, as expected
    /// now; 0 if nothing is known, so that a new target is tried.
    pub fn latency(&self, stream: bool, now: u64) -> f64 {
        let since = now.saturating_sub(self.seen.get()) as f64;
        let (first, total) = (self.first.get(), self.total.get());
        let mean = if stream || total.count == 0 { first } else { total };
        mean.value * (-since / MEMORY).exp()
    }

    /// Share of its last answers that were failures, 0 to 1, as expected now: who is not asked because it has failed is
    /// to be asked again, since it may fail no more.
    pub fn failure_rate(&self, now: u64) -> f64 {
        let since = now.saturating_sub(self.seen.get()) as f64;
        let rate = self.failures.get().value * (-since / MEMORY).exp();
        if rate < FORGOTTEN { 0.0 } else { rate }
    }

    /// How users liked its answers, 0 to 1; 1 if nobody has said.
    pub fn score(&self) -> f64 {
        let score = self.score.get();
        if score.count == 0 { 1.0 } else { score.value }
    }

    /// What users have said of its answers, 0 to 1, all in all.
    pub fn rated(&self, score: f64) {
        self.score.set(Mean { value: score.clamp(0.0, 1.0), count: 1 });
    }

    /// A user has said how an answer was, 0 to 1.
    pub fn rate(&self, score: f64) {
        add(&self.score, score.clamp(0.0, 1.0));
    }
}

fn add(mean: &Cell<Mean>, value: f64) {
    let mut now = mean.get();
    now.add(value);
    mean.set(now);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn answered(status: u16) -> Option<Outcome> {
        Some(Outcome { status, first: Some(SECOND), total: Some(2 * SECOND), ..Outcome::default() })
    }

    fn fail(health: &Health, times: u32, now: u64) {
        for _ in 0..times {
            health.begin(now);
            health.end(answered(500), &Circuit::default(), now);
        }
    }

    #[test]
    fn failures_in_a_row_open_the_circuit_and_one_probe_closes_it() {
        let (health, circuit) = (Health::default(), Circuit::default());
        fail(&health, 4, SECOND);
        assert_eq!(health.fitness(SECOND), Fitness::Well);
        fail(&health, 1, SECOND);
        assert_eq!(health.fitness(30 * SECOND), Fitness::Resting);
        assert_eq!(health.fitness(31 * SECOND), Fitness::Probe);
        health.begin(31 * SECOND);
        assert_eq!(health.fitness(31 * SECOND), Fitness::Resting, "a second probe");
        health.end(answered(200), &circuit, 32 * SECOND);
        assert_eq!(health.fitness(32 * SECOND), Fitness::Well);
    }

    #[test]
    fn failures_in_a_row_open_the_circuit_though_a_new_attempt_is_invited_at_once() {
        let (health, circuit) = (Health::default(), Circuit::default());
        for _ in 0..5 {
            health.begin(SECOND);
            let outcome = Outcome { status: 503, retry_after: Some(0), ..Outcome::default() };
            health.end(Some(outcome), &circuit, SECOND);
        }
        assert_eq!(health.fitness(30 * SECOND), Fitness::Resting);
    }

    #[test]
    fn one_failure_that_invites_a_new_attempt_at_once_is_no_rest() {
        let health = Health::default();
        health.begin(SECOND);
        let outcome = Outcome { status: 429, retry_after: Some(0), ..Outcome::default() };
        health.end(Some(outcome), &Circuit::default(), SECOND);
        assert_eq!(health.fitness(SECOND), Fitness::Well);
    }

    #[test]
    fn a_failed_probe_rests_twice_as_long() {
        let health = Health::default();
        fail(&health, 5, 0);
        fail(&health, 1, 30 * SECOND);
        assert_eq!(health.fitness(89 * SECOND), Fitness::Resting);
        assert_eq!(health.fitness(90 * SECOND), Fitness::Probe);
    }

    #[test]
    fn what_was_under_way_and_fails_too_makes_the_rest_no_longer() {
        let health = Health::default();
        let circuit = Circuit::default();
        (0..50).for_each(|_| health.begin(0));
        (0..50).for_each(|_| health.end(answered(503), &circuit, 0));
        let rest = circuit.rest_seconds * SECOND;
        assert_eq!(health.fitness(rest - 1), Fitness::Resting);
        assert_eq!(health.fitness(rest), Fitness::Probe);
    }

    #[test]
    fn whoever_asks_for_it_while_it_rests_tries_it() {
        let health = Health::default();
        let circuit = Circuit::default();
        fail(&health, circuit.consecutive_failures, 0);
        // It still fails, and is not punished for being asked.
        health.begin(SECOND);
        health.end(answered(503), &circuit, SECOND);
        assert_eq!(health.fitness(circuit.rest_seconds * SECOND), Fitness::Probe);
        health.begin(2 * SECOND);
        health.end(answered(200), &circuit, 2 * SECOND);
        assert_eq!(health.fitness(2 * SECOND), Fitness::Well);
    }

    #[test]
    fn a_probe_whose_client_leaves_is_made_again() {
        let health = Health::default();
        fail(&health, 5, 0);
        health.begin(30 * SECOND);
        health.end(None, &Circuit::default(), 31 * SECOND);
        assert_eq!(health.fitness(31 * SECOND), Fitness::Probe);
    }

    #[test]
    fn half_of_the_answers_failing_opens_it_too() {
        let health = Health::default();
        for turn in 0..40 {
            // Once it rests, nobody asks it any more.
            if health.fitness(0) == Fitness::Well {
                health.begin(0);
                health.end(answered(if turn % 3 == 0 { 200 } else { 503 }), &Circuit::default(), 0);
            }
        }
        assert_eq!(health.fitness(SECOND), Fitness::Resting);
    }

    #[test]
    fn retry_after_is_heeded_at_once_and_within_bounds() {
        let health = Health::default();
        health.begin(0);
        let told = Outcome { retry_after: Some(7 * SECOND), ..answered(429).unwrap() };
        health.end(Some(told), &Circuit::default(), 0);
        assert_eq!(health.fitness(6 * SECOND), Fitness::Resting);
        assert_eq!(health.fitness(7 * SECOND), Fitness::Probe);
        let told = Outcome { retry_after: Some(u64::MAX), ..told };
        health.end(Some(told), &Circuit::default(), 0);
        assert_eq!(health.rests_until(), MAX_RETRY_AFTER);
    }

    #[test]
    fn requests_that_are_the_clients_fault_do_not_count_against_it() {
        let health = Health::default();
        for _ in 0..100 {
            health.begin(0);
            health.end(answered(400), &Circuit::default(), 0);
        }
        assert_eq!((health.fitness(0), health.under_way()), (Fitness::Well, 0));
    }

    #[test]
    fn latency_follows_the_newest_answers_and_fades() {
        let health = Health::default();
        for _ in 0..50 {
            health.begin(0);
            health.end(answered(200), &Circuit::default(), 0);
        }
        assert!((health.latency(true, 0) - SECOND as f64).abs() < 1.0);
        let slow = Outcome { first: Some(3 * SECOND), ..answered(200).unwrap() };
        for _ in 0..50 {
            health.begin(0);
            health.end(Some(slow), &Circuit::default(), 0);
        }
        assert!(health.latency(true, 0) > 2.9 * SECOND as f64);
        assert!(health.latency(true, 60 * SECOND) < 1.2 * SECOND as f64);
    }

    #[test]
    fn who_has_failed_is_forgiven_after_some_minutes() {
        let health = Health::default();
        fail(&health, 1, 0);
        assert!((health.failure_rate(0) - 1.0).abs() < 1e-9);
        assert!((0.3..0.4).contains(&health.failure_rate(60 * SECOND)));
        assert!(health.failure_rate(300 * SECOND) == 0.0);
    }
}
