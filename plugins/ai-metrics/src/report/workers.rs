//! How the workers show each other what they have added up.
//!
//! Shared data has no list of keys and no removal, so there is a fixed number of slots. A worker takes a
//! free one, or one whose owner has not been heard of for long (it went with an earlier configuration),
//! and takes up what that one had. Only its owner writes a slot.

use serde::{Deserialize, Serialize};
use shared::host::{Capability, Host};

use super::tally::Tally;

/// Most workers, those of configurations that are just being replaced included.
const SLOTS: u32 = 64;

/// A worker that says nothing for so long is gone, in nanoseconds.
const GONE: u64 = 60_000_000_000;

/// A worker with nothing new says so this often, in nanoseconds.
const BEAT: u64 = 15_000_000_000;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Slot {
    worker: u64,
    beat: u64,
    tally: Tally,
}

/// A worker's place among the others.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    id: u64,
    slot: Option<u32>,
    /// It was seen to be its own after it was taken; two may take the same at once.
    sure: bool,
    shown: u64,
}

impl Worker {
    /// Shows the others what there is; `changed`: since it was last shown.
    pub(crate) fn show(&mut self, host: &dyn Host, tally: &mut Tally, changed: bool) {
        let now = host.now_nanos();
        if !host.can(Capability::SharedData)
            || (!changed && self.slot.is_some() && now.saturating_sub(self.shown) < BEAT)
        {
            return;
        }
        if self.id == 0 {
            self.id = host.random().max(1);
        }
        let Some((slot, version, left)) = self.own(host, tally, now) else { return };
        let whole = left.map(|left| {
            let mut whole = tally.clone();
            whole.merge(&left);
            whole
        });
        let shown = Shown { worker: self.id, beat: now, tally: whole.as_ref().unwrap_or(tally) };
        let Ok(json) = serde_json::to_vec(&shown) else { return };
        if host.set_shared(&key(slot), &json, version).is_ok() {
            // Only now: another may have been faster, and has taken it up.
            if let Some(whole) = whole {
                *tally = whole;
            }
            self.slot = Some(slot);
            self.shown = now;
        }
    }

    /// The slot to write to, its version, and what the worker has left that had it before.
    fn own(
        &mut self,
        host: &dyn Host,
        tally: &mut Tally,
        now: u64,
    ) -> Option<(u32, u32, Option<Tally>)> {
        if let Some(slot) = self.slot {
            let shared = host.shared(&key(slot))?;
            if read(&shared.value).is_some_and(|found| found.worker == self.id) {
                self.sure = true;
                return Some((slot, shared.version, None));
            }
            self.slot = None;
            // Whoever has taken it has all that was shown of this tally.
            if std::mem::take(&mut self.sure) {
                *tally = Tally::default();
            }
        }
        (0..SLOTS).find_map(|slot| match host.shared(&key(slot)) {
            None => Some((slot, 0, None)),
            Some(shared) => {
                let found = read(&shared.value).unwrap_or_default();
                let gone = now.saturating_sub(found.beat) > GONE;
                gone.then_some((slot, shared.version, Some(found.tally)))
            }
        })
    }

    /// What all workers have, this one's own as it is.
    pub(crate) fn all(&self, host: &dyn Host, own: &Tally) -> Tally {
        let mut all = own.clone();
        for slot in (0..SLOTS).filter(|slot| self.slot != Some(*slot)) {
            let Some(shared) = host.shared(&key(slot)) else { break };
            if let Some(found) = read(&shared.value).filter(|found| found.worker != self.id) {
                all.merge(&found.tally);
            }
        }
        all
    }
}

/// A [`Slot`] to be written.
#[derive(Serialize)]
struct Shown<'a> {
    worker: u64,
    beat: u64,
    tally: &'a Tally,
}

fn key(slot: u32) -> String {
    format!("ai-metrics.report.1.{slot}")
}

fn read(bytes: &[u8]) -> Option<Slot> {
    shared::json::from_bytes(bytes).ok()
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::super::tally::Account;
    use super::*;

    fn with(name: &str, requests: u64) -> Tally {
        let mut tally = Tally::default();
        tally.accounts.insert(name.into(), Account { requests, ..Account::default() });
        tally
    }

    fn requests(tally: &Tally, name: &str) -> u64 {
        tally.accounts.get(name).map_or(0, |account| account.requests)
    }

    #[test]
    fn each_worker_sees_what_all_have() {
        let host = ScriptHost::default();
        host.random.set(7);
        let (mut one, mut two) = (Worker::default(), Worker::default());
        one.show(&host, &mut with("a", 3), true);
        two.show(&host, &mut with("a", 4), true);
        one.show(&host, &mut with("a", 5), true);
        assert_eq!(requests(&one.all(&host, &with("a", 6)), "a"), 10, "its own is the newest");
        assert_eq!(requests(&two.all(&host, &with("a", 4)), "a"), 9);
    }

    #[test]
    fn what_a_worker_had_survives_it() {
        let host = ScriptHost::default();
        host.random.set(7);
        Worker::default().show(&host, &mut with("a", 3), true);
        host.now_nanos.set(GONE + 1);
        let (mut heir, mut tally) = (Worker::default(), with("a", 1));
        heir.show(&host, &mut tally, true);
        assert_eq!(requests(&tally, "a"), 4);
        assert_eq!(requests(&heir.all(&host, &tally), "a"), 4, "and is counted once");
        assert_eq!(host.shared.borrow().len(), 1, "in the same slot");
    }

    #[test]
    fn what_a_worker_had_goes_to_one_of_two_that_want_it() {
        let host = ScriptHost::default();
        host.random.set(7);
        Worker::default().show(&host, &mut with("a", 3), true);
        host.now_nanos.set(GONE + 1);
        let (mut one, mut two) = (Worker::default(), Worker { id: 99, ..Worker::default() });
        let (mut mine, mut theirs) = (with("a", 1), with("a", 1));
        // Both find it at once, and one of them is faster.
        assert!(two.own(&host, &mut theirs, GONE + 1).is_some());
        one.show(&host, &mut mine, true);
        two.show(&host, &mut theirs, true);
        assert_eq!((requests(&mine, "a"), requests(&theirs, "a")), (4, 1));
        assert_eq!(requests(&one.all(&host, &mine), "a"), 5);
        assert_eq!(requests(&Worker::default().all(&host, &Tally::default()), "a"), 5, "is shown");
    }

    #[test]
    fn two_that_take_the_same_slot_part_again() {
        let host = ScriptHost::default();
        host.random.set(7);
        let (mut one, mut two) = (Worker::default(), Worker::default());
        let (mut a, mut b) = (with("a", 1), with("b", 2));
        one.show(&host, &mut a, true);
        // The other has seen the slot free as well.
        two.id = 99;
        let json = serde_json::to_vec(&Shown { worker: 99, beat: 0, tally: &b }).unwrap();
        host.set_shared(&key(0), &json, 0).unwrap();
        two.slot = Some(0);
        one.show(&host, &mut a, true);
        two.show(&host, &mut b, true);
        let all = one.all(&host, &a);
        assert_eq!((requests(&all, "a"), requests(&all, "b")), (1, 2));
    }
}
