//! Where the counts are: in the data that the workers of an Envoy share, or in the worker's own memory.
//!
//! Shared data has no removal and no list of keys, so there is a fixed number of values, each with the
//! counts of some keys. A value is changed by compare-and-swap, so that no two workers admit the same
//! token twice.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use shared::host::{Capability, Host, HostError};

use crate::account::{Account, LEASE, Receipt, Standing, Terms};

/// Keys that share a value.
const KEYS: usize = 32;

/// How often a change is tried that another worker was faster with. Workers are few, and each change is
/// a matter of microseconds.
const TRIES: u32 = 1_000;

/// The form of the values; one of another form is begun anew.
const FORM: &str = "ai-limits.1";

/// The number of a rule's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyId(u64, u64);

impl KeyId {
    /// The number of a rule's key; the same in every worker.
    pub fn new(rule: &str, key: &str) -> KeyId {
        let hash = |seed: u8| {
            let mut hasher = DefaultHasher::new();
            (seed, rule, key).hash(&mut hasher);
            hasher.finish()
        };
        KeyId(hash(1), hash(2))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "k")]
    key: KeyId,
    #[serde(rename = "a")]
    account: Account,
    /// Milliseconds from which on nothing is lost if it is forgotten.
    #[serde(rename = "i")]
    idle: u64,
}

/// All counts.
#[derive(Debug)]
pub struct Store {
    values: u64,
    own: RefCell<HashMap<u64, Vec<Entry>>>,
}

/// What a change came to.
#[derive(Debug)]
pub struct Changed<T> {
    /// Its result.
    pub result: T,
    /// Counts that had to be forgotten although they still mattered.
    pub evicted: u64,
}

impl Store {
    /// A store for so many keys.
    pub fn new(max_keys: u32) -> Store {
        // Half full on average, so that values seldom overflow.
        let values = u64::from(max_keys).div_ceil(KEYS as u64 / 2).max(1);
        Store { values, own: RefCell::default() }
    }

    /// Reserves so much of a key, or says how many seconds to wait; and where it stands then.
    pub fn reserve(
        &self,
        host: &dyn Host,
        key: KeyId,
        terms: &Terms,
        amount: u64,
        force: bool,
    ) -> Changed<(Result<Receipt, u64>, Standing)> {
        let now = millis(host);
        self.change(host, key, terms, |account| {
            let result = account.reserve(terms, amount, now, force);
            (result, account.standing(terms, now))
        })
    }

    /// Corrects what was reserved.
    pub fn settle(
        &self,
        host: &dyn Host,
        key: KeyId,
        terms: &Terms,
        receipt: Receipt,
        actual: u64,
    ) {
        let now = millis(host);
        self.change(host, key, terms, |account| account.settle(terms, receipt, actual, now));
    }

    /// Where a key stands.
    pub fn standing(&self, host: &dyn Host, key: KeyId, terms: &Terms) -> Standing {
        let now = millis(host);
        let entries = self.read(host, self.value_of(key)).0;
        let found = entries.iter().find(|entry| entry.key == key);
        found
            .map(|entry| entry.account.standing(terms, now))
            .unwrap_or_else(|| Account::default().standing(terms, now))
    }

    /// Changes a key's count by hand.
    pub fn adjust(
        &self,
        host: &dyn Host,
        key: KeyId,
        terms: &Terms,
        by: impl Fn(&mut Account, u64),
    ) {
        let now = millis(host);
        self.change(host, key, terms, |account| by(account, now));
    }

    fn change<T>(
        &self,
        host: &dyn Host,
        key: KeyId,
        terms: &Terms,
        change: impl Fn(&mut Account) -> T,
    ) -> Changed<T> {
        let now = millis(host);
        let value = self.value_of(key);
        let mut tries = 0;
        loop {
            let (mut entries, version) = self.read(host, value);
            let mut evicted = 0;
            let at = match entries.iter().position(|entry| entry.key == key) {
                Some(at) => at,
                None => {
                    evicted = make_room(&mut entries, now);
                    entries.push(Entry { key, account: Account::default(), idle: 0 });
                    entries.len().saturating_sub(1)
                }
            };
            let Some(entry) = entries.get_mut(at) else { continue };
            let result = change(&mut entry.account);
            entry.idle = now.saturating_add(idle_in(&entry.account, terms, now));
            match self.write(host, value, entries, version) {
                Err(HostError::CAS_MISMATCH) if tries < TRIES => tries += 1,
                // What cannot be written even so is not counted; it is no reason to refuse anybody.
                _ => return Changed { result, evicted },
            }
        }
    }

    fn value_of(&self, key: KeyId) -> u64 {
        key.0 % self.values
    }

    fn read(&self, host: &dyn Host, value: u64) -> (Vec<Entry>, u32) {
        if !host.can(Capability::SharedData) {
            return (self.own.borrow().get(&value).cloned().unwrap_or_default(), 0);
        }
        match host.shared(&format!("{FORM}.{value}")) {
            Some(shared) => {
                (serde_json::from_slice(&shared.value).unwrap_or_default(), shared.version)
            }
            None => (Vec::new(), 0),
        }
    }

    fn write(
        &self,
        host: &dyn Host,
        value: u64,
        entries: Vec<Entry>,
        version: u32,
    ) -> Result<(), HostError> {
        if !host.can(Capability::SharedData) {
            self.own.borrow_mut().insert(value, entries);
            return Ok(());
        }
        let Ok(json) = serde_json::to_vec(&entries) else { return Ok(()) };
        host.set_shared(&format!("{FORM}.{value}"), &json, version)
    }
}

/// Forgets what does not matter any more, and if that is not enough what will matter the shortest time;
/// says how many of the latter.
fn make_room(entries: &mut Vec<Entry>, now: u64) -> u64 {
    if entries.len() < KEYS {
        return 0;
    }
    entries.retain(|entry| entry.idle > now);
    let mut evicted = 0;
    while entries.len() >= KEYS {
        let soonest = entries.iter().enumerate().min_by_key(|(_, entry)| entry.idle);
        let Some((at, _)) = soonest else { break };
        entries.swap_remove(at);
        evicted += 1;
    }
    evicted
}

/// Milliseconds after which nothing of an account matters.
fn idle_in(account: &Account, terms: &Terms, now: u64) -> u64 {
    use crate::account::Kind;
    if account.is_idle(terms, now) {
        return 0;
    }
    let standing = account.standing(terms, now);
    let seconds = match terms.kind {
        Kind::Windows { window, sliding, .. } => {
            standing.reset.saturating_add(if sliding { window.length() } else { 0 })
        }
        Kind::Bucket { .. } => standing.reset,
        Kind::Places => LEASE,
    };
    seconds.saturating_mul(1000)
}

fn millis(host: &dyn Host) -> u64 {
    host.now_nanos() / 1_000_000
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;
    use crate::account::Kind;
    use crate::config::Algorithm;
    use crate::window::Window;

    fn terms(limit: u64) -> Terms {
        let kind = Kind::new(Algorithm::FixedWindow, Window::Seconds(60), 0, limit);
        Terms { kind, limit }
    }

    #[test]
    fn workers_share_one_count() {
        let host = ScriptHost::default();
        host.now_nanos.set(1_760_000_000_000_000_000);
        let (one, two) = (Store::new(100), Store::new(100));
        let key = KeyId::new("rule", "alice");
        let admitted = (0..20).filter(|turn| {
            let store = if turn % 2 == 0 { &one } else { &two };
            store.reserve(&host, key, &terms(7), 1, false).result.0.is_ok()
        });
        assert_eq!(admitted.count(), 7);
        assert_eq!(two.standing(&host, key, &terms(7)).remaining(), 0);
        assert_eq!(one.standing(&host, KeyId::new("rule", "bob"), &terms(7)).remaining(), 7);
    }

    #[test]
    fn a_host_without_shared_data_counts_for_itself() {
        let mut host = ScriptHost::default();
        host.cannot.insert(Capability::SharedData);
        let store = Store::new(100);
        let key = KeyId::new("rule", "alice");
        assert!(store.reserve(&host, key, &terms(1), 1, false).result.0.is_ok());
        assert!(store.reserve(&host, key, &terms(1), 1, false).result.0.is_err());
        assert!(host.shared.borrow().is_empty());
    }

    #[test]
    fn what_still_matters_is_not_forgotten_unsaid() {
        let host = ScriptHost::default();
        host.now_nanos.set(1_760_000_000_000_000_000);
        let store = Store::new(16);
        let mut evicted = 0;
        for number in 0..100 {
            let key = KeyId::new("rule", &number.to_string());
            evicted += store.reserve(&host, key, &terms(9), 1, false).evicted;
        }
        assert_eq!(evicted, 100 - KEYS as u64);
        assert!(host.shared.borrow().values().all(|value| value.value.len() < 8_000), "bounded");
        // A minute later none of them matters, and their place is free.
        host.now_nanos.set(host.now_nanos.get() + 61_000_000_000);
        let later = (0..KEYS).map(|number| {
            let key = KeyId::new("rule", &format!("later {number}"));
            store.reserve(&host, key, &terms(9), 1, false).evicted
        });
        assert_eq!(later.sum::<u64>(), 0);
    }
}
