//! The cache in the proxy's memory: a fixed table of sets, each with some places.
//!
//! A set's index says what is in which place; it changes by compare-and-swap. An answer is a value of its
//! own that carries its name, so a reader who meets an index and an answer that do not belong together
//! sees that and has a miss. A set that is full gives up what is over, then what was not used the
//! longest; its share of `max_bytes` bounds it too.

use shared::host::Host;

use super::memory::Memory;
use crate::key::Key;
use crate::record::{Age, Entry};

/// Places of a set.
const PLACES: usize = 32;

/// Seconds after which a use is noted anew; noting costs a write.
const NOTE: u32 = 60;

const FORM: &str = "ai-cache.1";

/// The cache.
#[derive(Debug)]
pub struct Local {
    memory: Memory,
    sets: u64,
    set_bytes: usize,
}

/// What is said of one place of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    key: u128,
    tenant: u64,
    consumer: u64,
    user: u64,
    /// Seconds since the Unix epoch.
    until: u32,
    used: u32,
    size: u32,
}

const SLOT: usize = 52;

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

impl Local {
    /// A cache of at most so many answers and bytes.
    pub fn new(max_entries: u32, max_bytes: usize) -> Local {
        let places = PLACES as u64;
        let sets = u64::from(max_entries).div_ceil(places).max(1);
        let set_bytes = max_bytes / usize::try_from(sets).unwrap_or(usize::MAX).max(1);
        Local { memory: Memory::default(), sets, set_bytes }
    }

    /// Most bytes of one answer.
    pub fn max_entry(&self) -> usize {
        self.set_bytes
    }

    /// The answer of this name that is fresh or stale at this second.
    pub fn get(&self, host: &dyn Host, key: &Key, now: u64) -> Option<Entry> {
        let set = key.number() % self.sets;
        let index = self.memory.get(host, &index_name(set));
        let (place, slot) = slots(&index).enumerate().find(|(_, slot)| slot.key == short(key))?;
        let entry = Entry::read(self.memory.get(host, &place_name(set, place)))?;
        // Where there is Redis too, an answer is here for a shorter time than it is used.
        if slot.until <= seconds(now) || !entry.is(key) || entry.age(now) == Age::Dead {
            return None;
        }
        if slot.used.saturating_add(NOTE) < seconds(now) {
            self.change(host, set, |slots| {
                if let Some(slot) = slots.get_mut(place).filter(|slot| slot.key == short(key)) {
                    slot.used = seconds(now);
                }
            });
        }
        Some(entry)
    }

    /// Whether there is an answer of this name; less work than [`get`](Local::get).
    pub fn has(&self, host: &dyn Host, key: &Key) -> bool {
        let index = self.memory.get(host, &index_name(key.number() % self.sets));
        slots(&index).any(|slot| slot.key == short(key))
    }

    /// Keeps an answer; how many others had to go for it that were not over. `until` is the second until
    /// which it is kept.
    pub fn put(&self, host: &dyn Host, key: &Key, entry: &Entry, until: u64, now: u64) -> u64 {
        let bytes = entry.write();
        if bytes.len() > self.set_bytes {
            return 1;
        }
        let set = key.number() % self.sets;
        let number = |hex: &str| Key::of_hex(hex).map_or(0, |key| key.number());
        let slot = Slot {
            key: short(key),
            tenant: number(&entry.head.tenant),
            consumer: number(&entry.head.consumer),
            user: number(&entry.head.user),
            until: seconds(until),
            used: seconds(now),
            size: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        };
        let set_bytes = self.set_bytes;
        let (place, gone, lost) =
            self.change(host, set, |slots| make_room(slots, slot, set_bytes, seconds(now)));
        for gone in gone.into_iter().filter(|gone| *gone != place) {
            self.memory.set(host, &place_name(set, gone), b"");
        }
        self.memory.set(host, &place_name(set, place), &bytes);
        lost
    }

    /// Removes answers; how many.
    pub fn purge(&self, host: &dyn Host, what: &Purge) -> u64 {
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
            let gone = self.change(host, set, |slots| {
                let mut gone = Vec::new();
                for (place, slot) in slots.iter_mut().enumerate() {
                    if slot.key != 0 && meant(slot) {
                        *slot = Slot::default();
                        gone.push(place);
                    }
                }
                gone
            });
            for place in gone {
                self.memory.set(host, &place_name(set, place), b"");
                removed += 1;
            }
        }
        self.memory
            .change(host, EPOCH, |epoch| (Some((number(&epoch) + 1).to_be_bytes().to_vec()), ()));
        removed
    }

    /// Changes with every purge: an answer that was asked for before one is not kept after it.
    pub fn epoch(&self, host: &dyn Host) -> u64 {
        number(&self.memory.get(host, EPOCH))
    }

    /// Makes what is later changed by compare-and-swap, which does not protect its creation.
    pub fn prepare(&self, host: &dyn Host) {
        self.memory.change(host, EPOCH, |epoch| {
            (epoch.is_empty().then(|| 1_u64.to_be_bytes().to_vec()), ())
        });
    }

    fn change<T>(
        &self,
        host: &dyn Host,
        set: u64,
        mut change: impl FnMut(&mut Vec<Slot>) -> T,
    ) -> T {
        self.memory.change(host, &index_name(set), |index| {
            let mut all: Vec<Slot> = slots(&index).collect();
            let result = change(&mut all);
            let bytes = all.iter().flat_map(|slot| slot.write()).collect::<Vec<u8>>();
            (if bytes == index { None } else { Some(bytes) }, result)
        })
    }
}

const EPOCH: &str = "ai-cache.1.epoch";

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().copied().map_or(0, u64::from_be_bytes)
}

/// Puts a slot into a set: where, which places are free now, and how many of them were still of use.
fn make_room(slots: &mut Vec<Slot>, new: Slot, bytes: usize, now: u32) -> (usize, Vec<usize>, u64) {
    let mut gone = Vec::new();
    let mut lost = 0;
    for (place, slot) in slots.iter_mut().enumerate() {
        if slot.key != 0 && (slot.until <= now || slot.key == new.key) {
            *slot = Slot::default();
            gone.push(place);
        }
    }
    loop {
        let used: usize =
            slots.iter().map(|slot| usize::try_from(slot.size).unwrap_or(usize::MAX)).sum();
        let size = usize::try_from(new.size).unwrap_or(usize::MAX);
        let free = slots.iter().position(|slot| slot.key == 0);
        let free = free.or((slots.len() < PLACES).then_some(slots.len()));
        if let Some(free) = free.filter(|_| used.saturating_add(size) <= bytes) {
            match slots.get_mut(free) {
                Some(slot) => *slot = new,
                None => slots.push(new),
            }
            return (free, gone, lost);
        }
        let oldest = slots.iter_mut().enumerate().filter(|(_, slot)| slot.key != 0);
        match oldest.min_by_key(|(_, slot)| slot.used) {
            Some((place, slot)) => {
                *slot = Slot::default();
                gone.push(place);
                lost += 1;
            }
            // One that is alone too large was refused before.
            None => return (0, gone, lost),
        }
    }
}

impl Slot {
    fn write(&self) -> [u8; SLOT] {
        let mut out = [0; SLOT];
        let parts = self
            .key
            .to_be_bytes()
            .into_iter()
            .chain(self.tenant.to_be_bytes())
            .chain(self.consumer.to_be_bytes())
            .chain(self.user.to_be_bytes())
            .chain(self.until.to_be_bytes())
            .chain(self.used.to_be_bytes())
            .chain(self.size.to_be_bytes());
        for (to, from) in out.iter_mut().zip(parts) {
            *to = from;
        }
        out
    }

    fn read(bytes: &[u8]) -> Option<Slot> {
        let (key, rest) = bytes.split_first_chunk::<16>()?;
        let (tenant, rest) = rest.split_first_chunk::<8>()?;
        let (consumer, rest) = rest.split_first_chunk::<8>()?;
        let (user, rest) = rest.split_first_chunk::<8>()?;
        let (until, rest) = rest.split_first_chunk::<4>()?;
        let (used, rest) = rest.split_first_chunk::<4>()?;
        let (size, _) = rest.split_first_chunk::<4>()?;
        Some(Slot {
            key: u128::from_be_bytes(*key),
            tenant: u64::from_be_bytes(*tenant),
            consumer: u64::from_be_bytes(*consumer),
            user: u64::from_be_bytes(*user),
            until: u32::from_be_bytes(*until),
            used: u32::from_be_bytes(*used),
            size: u32::from_be_bytes(*size),
        })
    }
}

fn slots(index: &[u8]) -> impl Iterator<Item = Slot> {
    index.chunks_exact(SLOT).take(PLACES).filter_map(Slot::read)
}

/// Enough of a name to find a place by; the answer has all of it.
fn short(key: &Key) -> u128 {
    let bytes = key.0.last_chunk::<16>().copied().unwrap_or_default();
    u128::from_be_bytes(bytes).max(1)
}

fn seconds(now: u64) -> u32 {
    u32::try_from(now).unwrap_or(u32::MAX)
}

fn index_name(set: u64) -> String {
    format!("{FORM}.i.{set}")
}

fn place_name(set: u64, place: usize) -> String {
    format!("{FORM}.b.{set}.{place}")
}

#[cfg(test)]
mod tests {
    use shared::host::Capability;
    use shared::host::script::ScriptHost;

    use super::*;
    use crate::record::Head;

    fn entry(key: &Key, tenant: &str, user: &str, until: u64, body: &str) -> Entry {
        let hex = |text: &str| Key::of(text).hex();
        let head = Head {
            tenant: hex(tenant),
            consumer: hex("c"),
            user: hex(user),
            expires: until,
            stale_until: until,
            ..Head::default()
        };
        Entry::new(key, head, body.as_bytes().to_vec())
    }

    fn both(run: impl Fn(&ScriptHost)) {
        run(&ScriptHost::default());
        let mut alone = ScriptHost::default();
        alone.cannot.insert(Capability::SharedData);
        run(&alone);
        assert!(alone.shared.borrow().is_empty());
    }

    #[test]
    fn what_was_put_is_got_until_its_end() {
        both(|host| {
            let local = Local::new(100, 1 << 20);
            let key = Key::of("a");
            assert_eq!(local.get(host, &key, 1), None);
            let answer = entry(&key, "t", "s", 10, "{}");
            assert_eq!(local.put(host, &key, &answer, 10, 1), 0);
            assert_eq!(local.get(host, &key, 9), Some(answer));
            assert!(local.has(host, &key));
            assert_eq!(local.get(host, &key, 10), None);
            assert_eq!(local.get(host, &Key::of("b"), 9), None);
        });
    }

    #[test]
    fn workers_see_each_others_answers() {
        let host = ScriptHost::default();
        let (one, two) = (Local::new(100, 1 << 20), Local::new(100, 1 << 20));
        let key = Key::of("a");
        one.put(&host, &key, &entry(&key, "t", "s", 10, "{}"), 10, 1);
        assert!(two.get(&host, &key, 2).is_some());
    }

    #[test]
    fn it_is_bounded_and_what_is_used_stays() {
        both(|host| {
            let local = Local::new(64, 64 << 10);
            let used = Key::of("used");
            local.put(host, &used, &entry(&used, "t", "s", 1 << 31, "{}"), 1 << 31, 1);
            let mut lost = 0;
            for number in 0..1_000_u64 {
                let now = 100 + number * 100;
                let key = Key::of(&number.to_string());
                let body = "x".repeat(2_000);
                lost += local.put(host, &key, &entry(&key, "t", "s", 1 << 31, &body), 1 << 31, now);
                assert!(local.get(host, &used, now).is_some(), "{number}");
            }
            assert!(lost > 900);
            let kept = (0..1_000).filter(|n| local.has(host, &Key::of(&n.to_string()))).count();
            assert!((10..=32).contains(&kept), "{kept}");
        });
        let host = ScriptHost::default();
        let local = Local::new(64, 64 << 10);
        for number in 0..1_000_u64 {
            let key = Key::of(&number.to_string());
            let body = "x".repeat(2_000);
            local.put(&host, &key, &entry(&key, "t", "s", 1 << 31, &body), 1 << 31, number);
        }
        let bytes: usize = host.shared.borrow().values().map(|shared| shared.value.len()).sum();
        assert!(bytes < 70 << 10, "{bytes}");
    }

    #[test]
    fn purges_reach_what_they_mean() {
        both(|host| {
            let local = Local::new(1_000, 1 << 20);
            let names = ["a", "b", "c", "d"];
            let owners = [("t1", "s1"), ("t1", "s2"), ("t2", "s1"), ("t2", "s2")];
            for (name, (tenant, subject)) in names.iter().zip(owners) {
                let key = Key::of(name);
                local.put(host, &key, &entry(&key, tenant, subject, 99, "{}"), 99, 1);
            }
            let there = || names.map(|name| local.get(host, &Key::of(name), 2).is_some());
            let epoch = local.epoch(host);
            assert_eq!(local.purge(host, &Purge::User(Key::of("s1"))), 2);
            assert_eq!(there(), [false, true, false, true]);
            assert_eq!(local.purge(host, &Purge::Tenant(Key::of("t1"))), 1);
            assert_eq!(there(), [false, false, false, true]);
            assert_eq!(local.purge(host, &Purge::Key(Key::of("c"))), 0);
            assert_eq!(local.purge(host, &Purge::Consumer(Key::of("other"))), 0);
            assert_eq!(local.purge(host, &Purge::Consumer(Key::of("c"))), 1);
            assert_eq!(local.purge(host, &Purge::All), 0);
            assert_eq!(there(), [false; 4]);
            assert_eq!(local.epoch(host), epoch + 6);
            let left =
                host.shared.borrow().values().any(|v| v.value.windows(2).any(|w| w == b"{}"));
            assert!(!left, "no byte of an answer is left");
        });
    }
}
