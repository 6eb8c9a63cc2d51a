//! Counts in the proxy: in the data that the workers of an Envoy share, or in the worker's own memory.
//!
//! Shared data has no removal and no list of keys, so there is a fixed number of values, each with the
//! counts of some keys. A value is changed by compare-and-swap, so that no two workers admit the same
//! token twice; creating one is not, so all are made before the first request.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use shared::host::{Capability, Host, HostError};
use shared::text;

use super::entries::{self, Entry};
use crate::account::{Account, LEASE};
use crate::claim::{Answer, Claim, Mode};
use crate::terms::{Kind, Receipt, Standing, Terms};

/// Keys that share a value.
const KEYS: usize = 32;

/// How often a change is tried that another worker was faster with. Workers are few, and each change is
/// a matter of microseconds.
const TRIES: u32 = 1_000;

/// The form of the values; those of another form are left alone.
const FORM: &str = "ai-limits.2";

/// The number of a count; the same in every worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CountId(pub u64, pub u64);

impl CountId {
    /// Of its name.
    pub fn new(count: &str) -> CountId {
        let hash = |seed: u8| {
            let mut hasher = DefaultHasher::new();
            (seed, count).hash(&mut hasher);
            hasher.finish()
        };
        CountId(hash(1), hash(2))
    }
}

/// All counts.
#[derive(Debug)]
pub struct Local {
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

impl Local {
    /// A store for so many keys.
    pub fn new(max_keys: u32) -> Local {
        // Half full on average, so that values seldom overflow.
        let values = u64::from(max_keys).div_ceil(KEYS as u64 / 2).max(1);
        Local { values, own: RefCell::default() }
    }

    /// Makes the values that are not there yet. Called while the proxy starts, before any worker has
    /// something to count.
    pub fn prepare(&self, host: &dyn Host) {
        if !host.can(Capability::SharedData) {
            return;
        }
        for value in 0..self.values {
            let name = name(value);
            if host.shared(&name).is_none() {
                let _ = host.set_shared(&name, &[], 0);
            }
        }
    }

    /// Does what is asked of one count.
    pub fn apply(&self, host: &dyn Host, claim: &Claim) -> Changed<Answer> {
        let (now, terms) = (millis(host), &claim.terms);
        if claim.mode == Mode::Look {
            let standing = self.standing(host, &claim.count, terms);
            let result = Answer { standing, ..Answer::default() };
            return Changed { result, evicted: 0 };
        }
        self.change(host, &claim.count, terms, |account| {
            let mut answer = Answer { wait: 1, ..Answer::default() };
            match claim.mode {
                Mode::Reset => account.reset(),
                Mode::TopUp => account.top_up(terms, claim.amount, now),
                Mode::Look => {}
                Mode::Reserve | Mode::Force => {
                    match account.reserve(terms, claim.amount, now, false) {
                        Ok(receipt) => answer.receipt = Some(receipt),
                        Err(wait) => {
                            (answer.full, answer.wait) = (true, wait);
                            if claim.mode == Mode::Force {
                                answer.receipt =
                                    account.reserve(terms, claim.amount, now, true).ok();
                            }
                        }
                    }
                }
            }
            answer.standing = account.standing(terms, now);
            if answer.receipt.is_some() {
                answer.marked = account.marks;
                answer.passed = account.pass(answer.standing.used, &claim.marks);
            }
            answer.total = account.total;
            answer
        })
    }

    /// Corrects what was reserved.
    pub fn settle(
        &self,
        host: &dyn Host,
        count: &str,
        terms: &Terms,
        receipt: Receipt,
        actual: u64,
    ) {
        let now = millis(host);
        self.change(host, count, terms, |account| account.settle(terms, receipt, actual, now));
    }

    /// Takes back what was reserved for a request that goes nowhere: marks that it alone has passed are still
    /// to be passed.
    pub fn take_back(&self, host: &dyn Host, claim: &Claim, answer: &mut Answer) {
        let Some(receipt) = answer.receipt.take() else { return };
        let (terms, now) = (&claim.terms, millis(host));
        let (passed, marked) = (answer.passed as u64, answer.marked);
        self.change(host, &claim.count, terms, |account| {
            account.settle(terms, receipt, 0, now);
            if passed > 0 && account.marks == passed {
                account.marks = marked;
            }
        });
    }

    /// Counts what nothing was reserved for.
    pub fn charge(&self, host: &dyn Host, count: &str, terms: &Terms, actual: u64) -> Changed<()> {
        let now = millis(host);
        self.change(host, count, terms, |account| {
            if let Ok(receipt) = account.reserve(terms, actual, now, true) {
                account.settle(terms, receipt, actual, now);
            }
        })
    }

    /// From now on so much of a count is used, whatever it was before.
    pub fn put(&self, host: &dyn Host, count: &str, terms: &Terms, used: u64) -> Changed<()> {
        let now = millis(host);
        self.change(host, count, terms, |account| {
            account.reset();
            // Where there is no room it is taken all the same.
            let _ = account.reserve(terms, used, now, true);
        })
    }

    /// Reserves more for a request under way; false if there is no room.
    pub fn extend(
        &self,
        host: &dyn Host,
        count: &str,
        terms: &Terms,
        receipt: &mut Receipt,
        more: u64,
    ) -> bool {
        let now = millis(host);
        let before = *receipt;
        let changed = self.change(host, count, terms, |account| {
            let mut next = before;
            account.extend(terms, &mut next, more, now).then_some(next)
        });
        match changed.result {
            Some(next) => {
                *receipt = next;
                true
            }
            None => false,
        }
    }

    /// Where a count stands.
    pub fn standing(&self, host: &dyn Host, count: &str, terms: &Terms) -> Standing {
        self.account(host, count).standing(terms, millis(host))
    }

    /// All that is known of a count.
    pub fn account(&self, host: &dyn Host, count: &str) -> Account {
        let id = CountId::new(count);
        let entries = self.read(host, self.value_of(id)).0;
        let found = entries.into_iter().find(|entry| entry.id == id);
        found.map(|entry| entry.account).unwrap_or_default()
    }

    fn change<T>(
        &self,
        host: &dyn Host,
        count: &str,
        terms: &Terms,
        change: impl Fn(&mut Account) -> T,
    ) -> Changed<T> {
        let now = millis(host);
        let id = CountId::new(count);
        let value = self.value_of(id);
        let mut tries = 0;
        loop {
            let (mut entries, version) = self.read(host, value);
            let mut evicted = 0;
            let at = match entries.iter().position(|entry| entry.id == id) {
                Some(at) => at,
                None => {
                    evicted = make_room(&mut entries, now);
                    entries.push(Entry { id, account: Account::default(), idle: 0 });
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

    fn value_of(&self, id: CountId) -> u64 {
        id.0 % self.values
    }

    fn read(&self, host: &dyn Host, value: u64) -> (Vec<Entry>, u32) {
        if !host.can(Capability::SharedData) {
            return (self.own.borrow().get(&value).cloned().unwrap_or_default(), 0);
        }
        match host.shared(&name(value)) {
            Some(shared) => (entries::read(&shared.value), shared.version),
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
        host.set_shared(&name(value), &entries::write(&entries), version)
    }
}

fn name(value: u64) -> String {
    text!(FORM, ".", value)
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
    use crate::config::Algorithm;
    use crate::window::Window;
    use crate::zone::Zone;

    fn terms(limit: u64) -> Terms {
        let kind = Kind::new(Algorithm::FixedWindow, Window::Seconds(60), Zone::default(), limit);
        Terms { kind, limit }
    }

    fn claim(count: &str, limit: u64) -> Claim {
        Claim {
            rule: 0,
            count: count.into(),
            terms: terms(limit),
            amount: 1,
            mode: Mode::Reserve,
            marks: vec![2, 3],
        }
    }

    #[test]
    fn workers_share_one_count() {
        let host = ScriptHost::default();
        host.now_nanos.set(1_760_000_000_000_000_000);
        let (one, two) = (Local::new(100), Local::new(100));
        one.prepare(&host);
        two.prepare(&host);
        let admitted = (0..20).filter(|turn| {
            let store = if turn % 2 == 0 { &one } else { &two };
            !store.apply(&host, &claim("alice", 7)).result.full
        });
        assert_eq!(admitted.count(), 7);
        assert_eq!(two.standing(&host, "alice", &terms(7)).remaining(), 0);
        assert_eq!(one.standing(&host, "bob", &terms(7)).remaining(), 7);
    }

    #[test]
    fn a_host_without_shared_data_counts_for_itself() {
        let mut host = ScriptHost::default();
        host.cannot.insert(Capability::SharedData);
        let store = Local::new(100);
        store.prepare(&host);
        assert!(!store.apply(&host, &claim("alice", 1)).result.full);
        assert!(store.apply(&host, &claim("alice", 1)).result.full);
        assert!(host.shared.borrow().is_empty());
    }

    #[test]
    fn each_mark_is_passed_once_in_a_window() {
        let host = ScriptHost::default();
        host.now_nanos.set(1_760_000_000_000_000_000);
        let store = Local::new(100);
        let passed = |_| store.apply(&host, &claim("alice", 9)).result.passed;
        assert_eq!((0..5).map(passed).collect::<Vec<_>>(), [0, 1, 2, 0, 0]);
        host.now_nanos.set(host.now_nanos.get() + 61_000_000_000);
        assert_eq!((0..3).map(passed).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn what_another_count_refuses_passes_no_mark() {
        let host = ScriptHost::default();
        host.now_nanos.set(1_760_000_000_000_000_000);
        let store = Local::new(100);
        let budget = Claim { marks: vec![5], amount: 6, ..claim("budget", 100) };
        let full = Claim { amount: 9, ..claim("full", 7) };
        let (checked, _) = crate::store::check(&store, &host, &[budget.clone(), full]);
        assert!(!checked.ok);
        assert_eq!(store.standing(&host, "budget", &terms(100)).used, 0);
        assert_eq!(store.apply(&host, &budget).result.passed, 1);
        assert_eq!(store.apply(&host, &budget).result.passed, 0);
    }

    #[test]
    fn what_still_matters_is_not_forgotten_unsaid() {
        let host = ScriptHost::default();
        host.now_nanos.set(1_760_000_000_000_000_000);
        let store = Local::new(16);
        let mut evicted = 0;
        for number in 0..100 {
            evicted += store.apply(&host, &claim(&number.to_string(), 9)).evicted;
        }
        assert_eq!(evicted, 100 - KEYS as u64);
        assert!(host.shared.borrow().values().all(|value| value.value.len() < 4_000), "bounded");
        // A minute later none of them matters, and their place is free.
        host.now_nanos.set(host.now_nanos.get() + 61_000_000_000);
        let later = (0..KEYS)
            .map(|number| store.apply(&host, &claim(&format!("later {number}"), 9)).evicted);
        assert_eq!(later.sum::<u64>(), 0);
    }

    #[test]
    fn a_hundred_thousand_keys_have_room() {
        let host = ScriptHost::default();
        host.now_nanos.set(1_760_000_000_000_000_000);
        let store = Local::new(100_000);
        let evicted: u64 = (0..100_000)
            .map(|number| store.apply(&host, &claim(&number.to_string(), 9)).evicted)
            .sum();
        assert!(evicted < 100, "1 in 1,000 at most: {evicted}");
        let bytes: usize = host.shared.borrow().values().map(|value| value.value.len()).sum();
        assert!(bytes < 16 << 20, "{bytes}");
    }
}
