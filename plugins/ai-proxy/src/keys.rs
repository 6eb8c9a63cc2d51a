//! A provider's keys: which is sent next, and which rests after a refusal.

use std::cell::Cell;

use shared::config::{Secret, Secrets};

use crate::quota;

/// How long a key rests that was refused (401, 402, 403), in seconds.
const REFUSED_SECONDS: u64 = 300;

/// How long a key rests that is over its limit (429) where the provider does not say, in seconds.
const LIMITED_SECONDS: u64 = 30;

/// The longest that a provider's `retry-after` is heeded, in seconds.
const MAX_SECONDS: u64 = 3600;

/// A provider's keys, sent in turn. Each worker keeps its own account of which of them rest.
#[derive(Debug, Default)]
pub struct KeyPool {
    keys: Vec<Key>,
    next: Cell<usize>,
}

#[derive(Debug)]
struct Key {
    secret: Secret,
    /// Seconds since the Unix epoch.
    rests_until: Cell<u64>,
    /// And so it does because its limits are used up, in seconds since the Unix epoch.
    spent_until: Cell<u64>,
    /// A minute, and the requests and tokens in it, where workers share no data.
    used: Cell<(u64, u64, u64)>,
}

impl KeyPool {
    /// A pool of these keys, perhaps none.
    pub fn new(secrets: &Secrets) -> KeyPool {
        let keys = secrets.iter().map(|secret| Key {
            secret: secret.clone(),
            rests_until: Cell::new(0),
            spent_until: Cell::new(0),
            used: Cell::default(),
        });
        KeyPool { keys: keys.collect(), next: Cell::new(0) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The next key's number: in turn, those at rest left out. If all rest, the one whose rest ends
    /// first, so that a provider with one key is never out of reach because of one refusal.
    pub fn take(&self, now_seconds: u64) -> Option<usize> {
        let start = self.next.get();
        let in_turn = (0..self.keys.len()).map(|step| (start + step) % self.keys.len());
        let awake = |index: &usize| self.rests_until(*index) <= now_seconds;
        let index = in_turn
            .clone()
            .find(awake)
            .or_else(|| in_turn.min_by_key(|index| self.rests_until(*index)))?;
        self.next.set((index + 1) % self.keys.len());
        Some(index)
    }

    /// The key that was taken last is not sent after all: it is next again.
    pub fn give_back(&self, index: usize) {
        self.next.set(index);
    }

    /// The number of the key that is so.
    pub fn position(&self, is: impl Fn(&Secret) -> bool) -> Option<usize> {
        self.keys.iter().position(|key| is(&key.secret))
    }

    /// The key of this number.
    pub fn get(&self, index: usize) -> Option<&Secret> {
        self.keys.get(index).map(|key| &key.secret)
    }

    /// The provider has answered to a request with this key. `retry_after` is its header.
    pub fn answered(&self, index: usize, status: u16, retry_after: Option<&str>, now_seconds: u64) {
        let usual = match status {
            401..=403 => REFUSED_SECONDS,
            429 => LIMITED_SECONDS,
            _ => return,
        };
        let told = quota::retry_after(retry_after, now_seconds);
        self.rest(index, told.map_or(usual, |told| told.min(MAX_SECONDS)), now_seconds);
    }

    /// A key rests for so many seconds.
    pub fn rest(&self, index: usize, seconds: u64, now_seconds: u64) {
        if let Some(key) = self.keys.get(index) {
            let until = now_seconds.saturating_add(seconds);
            key.rests_until.set(until.max(key.rests_until.get()));
        }
    }

    /// For how many seconds all of them rest, if they do.
    pub fn rest_of_all(&self, now_seconds: u64) -> Option<u64> {
        self.least(|key| key.rests_until.get(), now_seconds)
    }

    /// A key's limits are used up for so many seconds.
    pub fn spent(&self, index: usize, seconds: u64, now_seconds: u64) {
        self.rest(index, seconds, now_seconds);
        if let Some(key) = self.keys.get(index) {
            key.spent_until.set(now_seconds.saturating_add(seconds));
        }
    }

    /// For how many seconds the limits of all of them are used up, if they are.
    pub fn spent_of_all(&self, now_seconds: u64) -> Option<u64> {
        self.least(|key| key.spent_until.get(), now_seconds)
    }

    fn least(&self, until: impl Fn(&Key) -> u64, now_seconds: u64) -> Option<u64> {
        let first = self.keys.iter().map(until).min()?;
        first.checked_sub(now_seconds).filter(|seconds| *seconds > 0)
    }

    /// Counts requests and tokens of a key in a minute, in this worker; gives what there were.
    pub fn count(&self, index: usize, minute: u64, requests: u64, tokens: u64) -> (u64, u64) {
        let Some(key) = self.keys.get(index) else { return (0, 0) };
        let (of, before, spent) = key.used.get();
        let (before, spent) = if of == minute { (before, spent) } else { (0, 0) };
        let used = (before.saturating_add(requests), spent.saturating_add(tokens));
        key.used.set((minute, used.0, used.1));
        used
    }

    fn rests_until(&self, index: usize) -> u64 {
        self.keys.get(index).map_or(u64::MAX, |key| key.rests_until.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(count: usize) -> KeyPool {
        let keys: Vec<_> = (0..count).map(|n| format!("k{n}")).collect();
        KeyPool::new(&shared::config::document(&serde_json::json!(keys).to_string()).unwrap())
    }

    #[test]
    fn keys_are_sent_in_turn() {
        let pool = pool(3);
        let taken: Vec<_> = (0..4).map(|_| pool.take(0).unwrap()).collect();
        assert_eq!(taken, [0, 1, 2, 0]);
        assert_eq!(pool.get(1).unwrap().expose(), "k1");
    }

    #[test]
    fn a_key_that_was_refused_rests() {
        let pool = pool(2);
        pool.answered(0, 429, Some("7"), 100);
        let taken: Vec<_> = (0..3).map(|_| pool.take(106).unwrap()).collect();
        assert_eq!(taken, [1, 1, 1]);
        assert_eq!(pool.take(107), Some(0));
        pool.answered(1, 401, None, 107);
        assert_eq!((pool.take(400), pool.take(406)), (Some(0), Some(0)));
        assert_eq!(pool.take(407), Some(1));
    }

    #[test]
    fn if_all_rest_the_first_to_wake_is_sent() {
        let pool = pool(2);
        pool.answered(0, 429, Some("99999999"), 0);
        pool.answered(1, 429, Some("soon"), 0);
        assert_eq!(pool.take(1), Some(1));
        assert_eq!(pool.take(MAX_SECONDS), Some(0));
    }

    #[test]
    fn other_answers_let_a_key_be_and_no_keys_are_no_key() {
        let pool = pool(1);
        pool.answered(0, 500, Some("60"), 0);
        pool.answered(9, 429, None, 0);
        assert_eq!(pool.take(0), Some(0));
        assert_eq!(KeyPool::default().take(0), None);
    }
}
