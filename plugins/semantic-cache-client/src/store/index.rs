//! What is known of one set of the table: which answer is in which place, and which are being fetched.
//!
//! It is one value, so that looking an answer up and claiming the right to fetch it, and keeping it and
//! giving the claim back, are one change each. Numbers are little-endian, as the machine has them, and a
//! slot is read and written where it stands.

use crate::key::Key;

/// Places of a set.
pub(super) const PLACES: usize = 32;

/// Most claims of a set; more go unclaimed.
const CLAIMS: usize = 256;

/// The form, first in each value; also what makes a new one not empty, since compare-and-swap does not
/// protect the creation of a value.
const FORM: u8 = 2;

/// Form, epoch, number of slots.
const HEAD: usize = 1 + 8 + 1;

/// One slot's bytes: key, tenant, consumer, user, until, used, size.
const SLOT: usize = 16 + 3 * 8 + 3 * 4;

/// One claim's bytes: key, end, owner, state.
const CLAIM: usize = 16 + 8 + 8 + 1;

/// A set's index.
#[derive(Debug)]
pub struct Index {
    /// The head and the slots.
    bytes: Vec<u8>,
    pub(super) claims: Vec<Claim>,
}

/// What is said of one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// 0 if the place is free.
    pub(super) key: u128,
    pub(super) tenant: u64,
    pub(super) consumer: u64,
    pub(super) user: u64,
    /// Seconds since the Unix epoch.
    pub(super) until: u32,
    pub(super) used: u32,
    pub(super) size: u32,
}

/// Somebody fetches an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) key: u128,
    /// Milliseconds since the Unix epoch.
    pub(super) until: u64,
    pub(super) owner: u64,
    /// It was fetched and could not be kept: there is no use in waiting.
    pub(super) free: bool,
}

/// What had to go for a new answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    /// Where the new one is.
    pub(super) place: usize,
    /// Places that are free now.
    pub(super) gone: Vec<usize>,
    /// How many of them were still of use.
    pub(super) lost: u64,
}

impl Index {
    /// Reads a value; one of another form is as good as none.
    pub(super) fn read(mut bytes: Vec<u8>) -> Index {
        let slots = usize::from(bytes.get(HEAD - 1).copied().unwrap_or(0));
        let end = HEAD + slots * SLOT;
        if bytes.first() != Some(&FORM) || slots > PLACES || bytes.len() < end {
            let mut bytes = vec![0; HEAD];
            put(&mut bytes, 0, [FORM]);
            return Index { bytes, claims: Vec::new() };
        }
        let rest = bytes.get(end..).unwrap_or_default();
        let claims = rest.chunks_exact(CLAIM).map(Claim::read).collect();
        bytes.truncate(end);
        Index { bytes, claims }
    }

    /// Its value.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len() + self.claims.len() * CLAIM);
        out.extend_from_slice(&self.bytes);
        self.claims.iter().for_each(|claim| claim.write(&mut out));
        out
    }

    /// The number of the last purge that concerned this set.
    pub(super) fn epoch(&self) -> u64 {
        u64::from_le_bytes(take(&self.bytes, 1))
    }

    pub(super) fn set_epoch(&mut self, epoch: u64) {
        put(&mut self.bytes, 1, epoch.to_le_bytes());
    }

    /// How many places are described.
    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(HEAD) / SLOT
    }

    pub(super) fn slot(&self, place: usize) -> Slot {
        Slot::read(self.bytes.get(HEAD + place * SLOT..).unwrap_or_default())
    }

    pub(super) fn set_slot(&mut self, place: usize, slot: &Slot) {
        if place >= self.len() && place < PLACES {
            self.bytes.resize(HEAD + (place + 1) * SLOT, 0);
            let slots = u8::try_from(place + 1).unwrap_or(0);
            put(&mut self.bytes, HEAD - 1, [slots]);
        }
        slot.write(&mut self.bytes, HEAD + place * SLOT);
    }

    /// The place of an answer.
    pub(super) fn find(&self, key: u128) -> Option<usize> {
        let key = key.to_le_bytes();
        let slots = self.bytes.get(HEAD..).unwrap_or_default();
        slots.chunks_exact(SLOT).position(|slot| slot.first_chunk::<16>() == Some(&key))
    }

    /// The claim of an answer that is not over at this millisecond.
    pub(super) fn claim(&self, key: u128, now: u64) -> Option<&Claim> {
        self.claims.iter().find(|claim| claim.key == key && claim.until > now)
    }

    /// Adds a claim; false if there are too many. Those that are over go.
    pub(super) fn add_claim(&mut self, claim: Claim, now: u64) -> bool {
        self.claims.retain(|claim| claim.until > now);
        let room = self.claims.len() < CLAIMS;
        if room {
            self.claims.push(claim);
        }
        room
    }

    /// Puts an answer into a set of so many bytes.
    pub(super) fn make_room(&mut self, new: &Slot, bytes: usize, now: u32) -> Room {
        let mut room = Room::default();
        let size = |slot: &Slot| usize::try_from(slot.size).unwrap_or(usize::MAX);
        let (mut used, mut free) = (0_usize, None);
        for place in 0..self.len() {
            let slot = self.slot(place);
            if slot.key != 0 && slot.until > now && slot.key != new.key {
                used = used.saturating_add(size(&slot));
                continue;
            }
            if slot.key != 0 {
                self.set_slot(place, &Slot::default());
                room.gone.push(place);
            }
            free = free.or(Some(place));
        }
        free = free.or((self.len() < PLACES).then_some(self.len()));
        loop {
            if let Some(free) = free.filter(|_| used.saturating_add(size(new)) <= bytes) {
                self.set_slot(free, new);
                room.place = free;
                return room;
            }
            let places = (0..self.len()).map(|place| (place, self.slot(place)));
            let oldest = places.filter(|(_, slot)| slot.key != 0).min_by_key(|(_, slot)| slot.used);
            // One that is alone too large was refused before.
            let Some((place, slot)) = oldest else { return room };
            self.set_slot(place, &Slot::default());
            used = used.saturating_sub(size(&slot));
            free = Some(free.map_or(place, |free| free.min(place)));
            room.gone.push(place);
            room.lost += 1;
        }
    }
}

impl Slot {
    fn read(bytes: &[u8]) -> Slot {
        Slot {
            key: u128::from_le_bytes(take(bytes, 0)),
            tenant: u64::from_le_bytes(take(bytes, 16)),
            consumer: u64::from_le_bytes(take(bytes, 24)),
            user: u64::from_le_bytes(take(bytes, 32)),
            until: u32::from_le_bytes(take(bytes, 40)),
            used: u32::from_le_bytes(take(bytes, 44)),
            size: u32::from_le_bytes(take(bytes, 48)),
        }
    }

    fn write(&self, to: &mut [u8], at: usize) {
        put(to, at, self.key.to_le_bytes());
        put(to, at + 16, self.tenant.to_le_bytes());
        put(to, at + 24, self.consumer.to_le_bytes());
        put(to, at + 32, self.user.to_le_bytes());
        put(to, at + 40, self.until.to_le_bytes());
        put(to, at + 44, self.used.to_le_bytes());
        put(to, at + 48, self.size.to_le_bytes());
    }
}

impl Claim {
    fn read(bytes: &[u8]) -> Claim {
        Claim {
            key: u128::from_le_bytes(take(bytes, 0)),
            until: u64::from_le_bytes(take(bytes, 16)),
            owner: u64::from_le_bytes(take(bytes, 24)),
            free: bytes.get(32) == Some(&1),
        }
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.key.to_le_bytes());
        to.extend_from_slice(&self.until.to_le_bytes());
        to.extend_from_slice(&self.owner.to_le_bytes());
        to.push(u8::from(self.free));
    }
}

/// Enough of a name to find a place by; the answer has all of it.
pub(super) fn short(key: &Key) -> u128 {
    let bytes = key.0.last_chunk::<16>().copied().unwrap_or_default();
    u128::from_le_bytes(bytes).max(1)
}

/// The bytes from `at` on; zeros where there are none.
fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    found.copied().unwrap_or([0; N])
}

fn put<const N: usize>(to: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = to.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
        *place = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(key: u128, used: u32, size: u32) -> Slot {
        Slot { key, tenant: 1, consumer: 2, user: 3, until: 100, used, size }
    }

    #[test]
    fn an_index_is_read_as_it_was_written() {
        let mut index = Index::read(Vec::new());
        assert_eq!((index.len(), index.epoch()), (0, 0));
        index.set_epoch(7);
        index.set_slot(0, &slot(5, 1, 10));
        index.set_slot(1, &slot(6, 2, 11));
        let claim = Claim { key: 9, until: 50, owner: 4, free: true };
        assert!(index.add_claim(claim, 0));
        let read = Index::read(index.write());
        assert_eq!((read.len(), read.epoch()), (2, 7));
        assert_eq!((read.slot(0), read.slot(1)), (slot(5, 1, 10), slot(6, 2, 11)));
        assert_eq!((read.find(6), read.find(7)), (Some(1), None));
        assert_eq!((read.claim(9, 49), read.claim(9, 50)), (Some(&claim), None));
        for bytes in [vec![1; 99], vec![FORM], vec![FORM, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1]] {
            let none = Index::read(bytes);
            assert_eq!((none.len(), none.epoch(), none.claims.len()), (0, 0, 0));
        }
    }

    #[test]
    fn room_is_made_by_what_is_over_then_by_what_was_not_used_the_longest() {
        let mut index = Index::read(Vec::new());
        for number in 0..PLACES {
            let used = u32::try_from(50 - number).unwrap();
            let room = index.make_room(&slot(number as u128 + 1, used, 10), 1_000, 60);
            assert_eq!(room, Room { place: number, ..Room::default() });
        }
        let room = index.make_room(&slot(99, 60, 10), 1_000, 60);
        assert_eq!(room, Room { place: PLACES - 1, gone: vec![PLACES - 1], lost: 1 });
        // Another answer of the same name takes its place.
        let room = index.make_room(&slot(99, 61, 10), 1_000, 60);
        assert_eq!(room, Room { place: PLACES - 1, gone: vec![PLACES - 1], lost: 0 });
        let room = index.make_room(&slot(100, 61, 900), 1_000, 60);
        assert_eq!((room.lost, index.find(100)), (22, Some(room.place)));
        // All others are over.
        let last = Slot { until: 300, ..slot(101, 150, 10) };
        let room = index.make_room(&last, 1_000, 150);
        assert_eq!((room.lost, room.place, room.gone.len()), (0, 0, 11));
    }
}
