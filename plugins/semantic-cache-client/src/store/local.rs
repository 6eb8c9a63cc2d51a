//! The cache in the proxy's memory: a fixed table of sets, each with some places.
//!
//! A set's index says what is in which place and what is being fetched; it changes by compare-and-swap. An
//! answer is a value of its own that carries its name, so a reader who meets an index and an answer that do
//! not belong together sees that and has a miss. A set that is full gives up what is over, then what was not
//! used the longest; its share of `max_bytes` bounds it too.

use shared::host::Host;
use shared::text;

use super::index::{Claim, Index, PLACES, Slot, short};
use super::memory::Memory;
use crate::key::Key;
use crate::record::{Age, Entry};

/// Seconds after which a use is noted anew; noting costs a write.
const NOTE: u32 = 60;

/// Seconds within which an answer that the index names must be there.
const WRITING: u32 = 2;

/// Milliseconds for which a request that was not worth waiting for is remembered as such.
const FREE: u64 = 1_000;

const FORM: &str = "ai-cache.2";

/// The number of the last purge.
const EPOCH: &str = "ai-cache.2.epoch";

/// The cache.
#[derive(Debug)]
pub struct Local {
    memory: Memory,
    sets: u64,
    set_bytes: usize,
}

/// What is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// Everything.
    All,
    /// One answer.
    Key(Key),
    /// A tenant's.
    Tenant(Key),
    /// What a consumer has asked for, whoever shares it.
    Consumer(Key),
    /// What an end user has asked for, through whatever consumer.
    User(Key),
}

/// What there is of an answer.
#[derive(Debug)]
pub struct Seen {
    /// The answer, if it is fresh or stale.
    pub entry: Option<Entry>,
    /// Who fetches it.
    pub fill: Fill,
    /// The number of the last purge that concerned it: an answer that was asked for before one is not kept
    /// after it.
    pub epoch: u64,
    /// What tells whether the answer is still the same, see [`Local::look`].
    pub state: Option<State>,
    index: Index,
    version: u32,
}

/// A state of the proxy's memory in which nobody was about to write the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(u32);

/// Who fetches an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Nobody.
    Nobody,
    /// Somebody.
    Somebody,
    /// There is no use in waiting: it was fetched, and nothing could be kept.
    Free,
}

/// What came of asking for a claim: the right to fetch an answer for which others wait. It ends when the
/// answer is there, when its request ends in another way, or when its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is the asker's, under this number.
    Mine(u64),
    /// Somebody else has it.
    Others,
    /// There is none to be had, and none is needed.
    Free,
}

/// What came of an answer that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept; so many others had to go for it that were not over.
    Yes(u64),
    /// It was asked for before a purge.
    Purged,
    /// It is too large.
    TooLarge,
}

/// How an answer is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// Until which second.
    pub until: u64,
    /// The epoch of its request, if a purge since then forbids it.
    pub epoch: Option<u64>,
    /// The claim that is given back with it.
    pub claim: Option<u64>,
}

impl Local {
    /// A cache of at most so many answers and bytes.
    pub fn new(max_entries: u32, max_bytes: usize) -> Local {
        let sets = u64::from(max_entries).div_ceil(PLACES as u64).max(1);
        let set_bytes = max_bytes / usize::try_from(sets).unwrap_or(usize::MAX).max(1);
        Local { memory: Memory::default(), sets, set_bytes }
    }

    /// Most bytes of one answer.
    pub fn max_entry(&self) -> usize {
        self.set_bytes
    }

    /// What there is of the answer of this name at this second. `known` is what was seen of
    /// it before: in the same state it is still the one, and not read again.
    pub fn look(&self, host: &dyn Host, key: &Key, known: Option<&(State, Entry)>) -> Seen {
        let set = key.number() % self.sets;
        let (value, version) = self.memory.read(host, &index_name(set));
        let index = Index::read(value);
        let (now, wanted) = (Now::of(host), short(key));
        let mut fill = match index.claim(wanted, now.millis) {
            None => Fill::Nobody,
            Some(claim) if claim.free => Fill::Free,
            Some(_) => Fill::Somebody,
        };
        let (mut entry, mut state) = (None, None);
        if let Some(place) = index.find(wanted) {
            let slot = index.slot(place);
            // Where there is Redis too, an answer is here for a shorter time than it is used.
            // An index is written before its answer, and what cannot be shared has no versions.
            if version > 0 && slot.used.saturating_add(WRITING) < now.seconds {
                state = Some(State(version));
            }
            if slot.until > now.seconds {
                entry = match known {
                    Some((known, entry)) if state == Some(*known) => Some(entry.clone()),
                    _ => Entry::read(self.memory.get(host, &place_name(set, place))),
                };
                entry = entry.filter(|entry| entry.is(key));
                if entry.is_none() && slot.used.saturating_add(WRITING) > now.seconds {
                    // Another worker is about to write it.
                    fill = Fill::Somebody;
                }
            }
            let over = |entry: &Entry| entry.age(now.seconds.into()) == Age::Dead;
            entry = entry.filter(|entry| !over(entry));
            if entry.is_some() && slot.used.saturating_add(NOTE) < now.seconds {
                self.note(host, set, wanted, now.seconds);
            }
        }
        Seen { entry, fill, epoch: index.epoch(), state, index, version }
    }

    /// The answer of this name that is fresh or stale at this second.
    pub fn get(&self, host: &dyn Host, key: &Key) -> Option<Entry> {
        self.look(host, key, None).entry
    }

    fn note(&self, host: &dyn Host, set: u64, wanted: u128, now: u32) {
        self.change(host, set, |index| match index.find(wanted) {
            Some(place) => {
                index.set_slot(place, &Slot { used: now, ..index.slot(place) });
                (true, ())
            }
            None => (false, ()),
        });
    }

    /// Claims an answer for so many milliseconds. `seen` is what was seen of it just before.
    pub fn claim(&self, host: &dyn Host, key: &Key, millis: u64, seen: Option<Seen>) -> Claimed {
        let (now, wanted, owner) = (Now::of(host), short(key), host.random());
        let claim = |index: &mut Index| match index.claim(wanted, now.millis) {
            Some(claim) if claim.free => (false, Claimed::Free),
            Some(_) => (false, Claimed::Others),
            None => {
                let until = now.millis.saturating_add(millis);
                let mine = Claim { key: wanted, until, owner, free: false };
                let added = index.add_claim(mine, now.millis);
                (added, if added { Claimed::Mine(owner) } else { Claimed::Free })
            }
        };
        let set = key.number() % self.sets;
        if let Some(mut seen) = seen {
            let (changed, claimed) = claim(&mut seen.index);
            if !changed
                || self.memory.swap(host, &index_name(set), &seen.index.write(), seen.version)
            {
                return claimed;
            }
        }
        self.change(host, set, |index| {
            // Since it was seen, the answer has come: who looks again finds it.
            let place = index.find(wanted).map(|place| index.slot(place));
            match place.filter(|slot| slot.used >= now.seconds && slot.until > now.seconds) {
                Some(_) => (false, Claimed::Others),
                None => claim(index),
            }
        })
    }

    /// Gives a claim back. `free`: there is no use in another's waiting for the next.
    pub fn release(&self, host: &dyn Host, key: &Key, owner: u64, free: bool) {
        let now = Now::of(host);
        self.change(host, key.number() % self.sets, |index| {
            give_back(index, short(key), owner, free, now.millis);
            (true, ())
        });
    }

    /// Keeps an answer.
    pub fn put(&self, host: &dyn Host, key: &Key, entry: &Entry, keeping: Keeping) -> Kept {
        let bytes = entry.write();
        let now = Now::of(host);
        let fits = bytes.len() <= self.set_bytes;
        let [tenant, consumer, user] = entry.head.owners;
        let slot = Slot {
            key: short(key),
            tenant,
            consumer,
            user,
            until: seconds(keeping.until),
            used: now.seconds,
            size: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        };
        let set = key.number() % self.sets;
        let made = self.change(host, set, |index| {
            let purged = keeping.epoch.is_some_and(|epoch| epoch != index.epoch());
            let made =
                (fits && !purged).then(|| index.make_room(&slot, self.set_bytes, now.seconds));
            if let Some(owner) = keeping.claim {
                // After a purge the next fetches it; only one that cannot be kept is not worth waiting for.
                give_back(index, slot.key, owner, !fits && !purged, now.millis);
            }
            (made.is_some() || keeping.claim.is_some(), made.ok_or(purged))
        });
        let room = match made {
            Ok(room) => room,
            Err(purged) => return if purged { Kept::Purged } else { Kept::TooLarge },
        };
        for gone in room.gone.into_iter().filter(|gone| *gone != room.place) {
            self.memory.set(host, &place_name(set, gone), b"");
        }
        self.memory.set(host, &place_name(set, room.place), &bytes);
        Kept::Yes(room.lost)
    }

    /// Removes answers; how many.
    pub fn purge(&self, host: &dyn Host, what: &Purge) -> u64 {
        let epoch = self.memory.change(host, EPOCH, |epoch| {
            let next = number(&epoch) + 1;
            (Some(next.to_be_bytes().to_vec()), next)
        });
        let sets = match what {
            Purge::Key(key) => {
                let set = key.number() % self.sets;
                set..set + 1
            }
            _ => 0..self.sets,
        };
        let mut removed = 0;
        for set in sets {
            let meant = |slot: &Slot| match what {
                Purge::All => true,
                Purge::Key(key) => slot.key == short(key),
                Purge::Tenant(tenant) => slot.tenant == tenant.number(),
                Purge::Consumer(consumer) => slot.consumer == consumer.number(),
                Purge::User(user) => slot.user == user.number(),
            };
            let gone = self.change(host, set, |index| {
                let mut gone = Vec::new();
                for place in 0..index.len() {
                    let slot = index.slot(place);
                    if slot.key != 0 && meant(&slot) {
                        index.set_slot(place, &Slot::default());
                        gone.push(place);
                    }
                }
                index.set_epoch(epoch.max(index.epoch()));
                (true, gone)
            });
            for place in gone {
                self.memory.set(host, &place_name(set, place), b"");
                removed += 1;
            }
        }
        removed
    }

    /// Changes with every purge, whatever it concerns.
    pub fn epoch(&self, host: &dyn Host) -> u64 {
        number(&self.memory.get(host, EPOCH))
    }

    /// Makes what is later changed by compare-and-swap, which does not protect its creation.
    pub fn prepare(&self, host: &dyn Host) {
        self.memory.change(host, EPOCH, |epoch| {
            (epoch.is_empty().then(|| 1_u64.to_be_bytes().to_vec()), ())
        });
        for set in 0..self.sets {
            self.memory.change(host, &index_name(set), |index| {
                (index.is_empty().then(|| Index::read(index).write()), ())
            });
        }
    }

    /// Changes a set's index, if `change` says that it has.
    fn change<T>(
        &self,
        host: &dyn Host,
        set: u64,
        mut change: impl FnMut(&mut Index) -> (bool, T),
    ) -> T {
        self.memory.change(host, &index_name(set), |value| {
            let mut index = Index::read(value);
            let (changed, result) = change(&mut index);
            (changed.then(|| index.write()), result)
        })
    }
}

fn give_back(index: &mut Index, key: u128, owner: u64, free: bool, now: u64) {
    index.claims.retain(|claim| claim.until > now && (claim.key != key || claim.owner != owner));
    if free {
        index.add_claim(Claim { key, until: now.saturating_add(FREE), owner, free }, now);
    }
}

/// The time, as it is used here.
struct Now {
    seconds: u32,
    millis: u64,
}

impl Now {
    fn of(host: &dyn Host) -> Now {
        let millis = host.now_nanos() / 1_000_000;
        Now { seconds: seconds(millis / 1_000), millis }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().copied().map_or(0, u64::from_be_bytes)
}

fn seconds(now: u64) -> u32 {
    u32::try_from(now).unwrap_or(u32::MAX)
}

fn index_name(set: u64) -> String {
    text!(FORM, ".i.", set)
}

fn place_name(set: u64, place: usize) -> String {
    text!(FORM, ".b.", set, ".", place)
}

#[cfg(test)]
mod tests;
