//! An index in the proxy's memory: a fixed number of segments, each a value with some vectors, whose
//! numbers are kept in eight bits. A search reads all of them; a thousand vectors of 384 numbers are
//! about half a megabyte and well under a millisecond.

use shared::host::Host;

use super::{Near, Point, Query, Removal};
use crate::key::Key;
use crate::store::local::Purge;
use crate::store::memory::Memory;

/// Vectors of a segment.
const PLACES: usize = 64;

/// The form, first in each segment, and before how many numbers its vectors have.
const FORM: u8 = 1;

/// Bytes of a record before its numbers: partition, name, tenant, consumer, user, end, scale.
const FACTS: usize = 8 + 32 + 8 + 8 + 8 + 4 + 4;

/// The index.
#[derive(Debug)]
pub struct LocalVectors {
    memory: Memory,
    segments: u64,
}

struct Record<'a> {
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    fn part<const N: usize>(&self, at: usize) -> [u8; N] {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
    }

    fn partition(&self) -> u64 {
        u64::from_be_bytes(self.part(0))
    }

    fn key(&self) -> Key {
        Key(self.part(8))
    }

    fn owner(&self, which: usize) -> u64 {
        u64::from_be_bytes(self.part(40 + which * 8))
    }

    fn until(&self) -> u32 {
        u32::from_be_bytes(self.part(64))
    }

    fn scale(&self) -> f32 {
        f32::from_be_bytes(self.part(68))
    }

    fn numbers(&self) -> &'a [u8] {
        self.bytes.get(FACTS..).unwrap_or_default()
    }

    /// The cosine of this vector and another, both of the length 1.
    fn similarity(&self, vector: &[f32]) -> f64 {
        let products =
            self.numbers().iter().zip(vector).map(|(a, b)| f32::from(a.cast_signed()) * b);
        f64::from(products.sum::<f32>() * self.scale())
    }
}

fn write(point: &Point) -> Vec<u8> {
    let largest = point.vector.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let scale = (largest / 127.0).max(f32::MIN_POSITIVE);
    let mut out = Vec::with_capacity(FACTS + point.vector.len());
    out.extend(point.partition.number().to_be_bytes());
    out.extend(point.key.0);
    for owner in [point.tenant, point.consumer, point.user] {
        out.extend(owner.number().to_be_bytes());
    }
    out.extend(seconds(point.until).to_be_bytes());
    let numbers: Vec<i8> = point
        .vector
        .iter()
        .map(|x| {
            #[allow(clippy::cast_possible_truncation)]
            let number = (x / scale).round().clamp(-127.0, 127.0) as i8;
            number
        })
        .collect();
    // What was rounded has no longer the length 1.
    let length = numbers.iter().map(|x| f32::from(*x) * f32::from(*x)).sum::<f32>().sqrt();
    out.extend((1.0 / length.max(f32::MIN_POSITIVE)).to_be_bytes());
    out.extend(numbers.iter().map(|x| x.cast_unsigned()));
    out
}

impl LocalVectors {
    /// An index of at most so many vectors.
    pub fn new(max_vectors: u32) -> LocalVectors {
        let segments = u64::from(max_vectors).div_ceil(PLACES as u64).max(1);
        LocalVectors { memory: Memory::default(), segments }
    }

    /// The most similar questions, the first the most.
    pub fn search(&self, host: &dyn Host, query: &Query<'_>) -> Vec<Near> {
        let mut best: Vec<Near> = Vec::new();
        let count = usize::try_from(query.count).unwrap_or(usize::MAX);
        for segment in 0..self.segments {
            let bytes = self.memory.get(host, &name(segment));
            for record in records(&bytes, query.vector.len()) {
                if record.partition() != query.partition.number()
                    || record.until() <= seconds(query.now)
                {
                    continue;
                }
                let near = Near { key: record.key(), similarity: record.similarity(query.vector) };
                let at = best.partition_point(|other| other.similarity >= near.similarity);
                best.insert(at, near);
                best.truncate(count);
            }
        }
        best
    }

    /// Adds a vector, or replaces the one of the same answer; how many others had to go for it.
    pub fn add(&self, host: &dyn Host, point: &Point, now: u64) -> u64 {
        let Ok(dimensions) = u16::try_from(point.vector.len()) else { return 1 };
        // One answer is always in the same segment, so that it is there once.
        let segment = u64::from_be_bytes(point.key.0.last_chunk().copied().unwrap_or([0; 8]));
        let new = write(point);
        self.memory.change(host, &name(segment % self.segments), |bytes| {
            let mut kept: Vec<&[u8]> = records(&bytes, point.vector.len())
                .filter(|record| record.until() > seconds(now) && record.key() != point.key)
                .map(|record| record.bytes)
                .collect();
            let mut lost = 0;
            while kept.len() >= PLACES {
                let until = |record: &&[u8]| Record { bytes: record }.until();
                let soonest = kept.iter().enumerate().min_by_key(|(_, record)| until(record));
                let Some((at, _)) = soonest else { break };
                kept.swap_remove(at);
                lost += 1;
            }
            kept.push(&new);
            (Some(join(dimensions, &kept)), lost)
        })
    }

    /// Removes vectors.
    pub fn remove(&self, host: &dyn Host, what: &Removal) {
        for segment in 0..self.segments {
            self.memory.change(host, &name(segment), |bytes| {
                let Some(dimensions) = dimensions(&bytes) else { return (None, ()) };
                let all = || records(&bytes, usize::from(dimensions));
                let kept: Vec<&[u8]> = all()
                    .filter(|record| !meant(record, what))
                    .map(|record| record.bytes)
                    .collect();
                let changed = kept.len() < all().count();
                (changed.then(|| join(dimensions, &kept)), ())
            });
        }
    }
}

fn meant(record: &Record<'_>, what: &Removal) -> bool {
    match what {
        Removal::Expired(now) => record.until() <= seconds(*now),
        Removal::Purged(Purge::All) => true,
        Removal::Purged(Purge::Key(key)) => record.key() == *key,
        Removal::Purged(Purge::Tenant(key)) => record.owner(0) == key.number(),
        Removal::Purged(Purge::Consumer(key)) => record.owner(1) == key.number(),
        Removal::Purged(Purge::User(key)) => record.owner(2) == key.number(),
    }
}

fn join(dimensions: u16, records: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![FORM];
    out.extend(dimensions.to_be_bytes());
    records.iter().for_each(|record| out.extend_from_slice(record));
    out
}

fn dimensions(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [FORM, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// The records of a segment; none if its vectors are of another embedder.
fn records(bytes: &[u8], numbers: usize) -> impl Iterator<Item = Record<'_>> {
    let same = dimensions(bytes).is_some_and(|dimensions| usize::from(dimensions) == numbers);
    let rest = if same { bytes.get(3..).unwrap_or_default() } else { &[] };
    rest.chunks_exact(FACTS.saturating_add(numbers)).map(|bytes| Record { bytes })
}

fn name(segment: u64) -> String {
    format!("ai-cache.1.v.{segment}")
}

fn seconds(now: u64) -> u32 {
    u32::try_from(now).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;
    use crate::embed::normal;

    fn point(name: &str, partition: &str, vector: &[f32]) -> Point {
        Point {
            key: Key::of(name),
            partition: Key::of(partition),
            tenant: Key::of("t"),
            consumer: Key::of("c"),
            user: Key::of(name),
            until: 100,
            vector: normal(vector.to_vec()).unwrap(),
        }
    }

    fn find(index: &LocalVectors, host: &ScriptHost, partition: &str, vector: &[f32]) -> Vec<Near> {
        let vector = normal(vector.to_vec()).unwrap();
        index.search(
            host,
            &Query { vector: &vector, partition: Key::of(partition), count: 2, now: 50 },
        )
    }

    #[test]
    fn the_most_similar_of_the_same_partition_come_first() {
        let host = ScriptHost::default();
        let index = LocalVectors::new(1_000);
        for (name, partition, vector) in [
            ("a", "p", [1.0, 0.1, 0.0]),
            ("b", "p", [1.0, 0.0, 0.0]),
            ("c", "p", [0.0, 1.0, 0.0]),
            ("d", "other", [1.0, 0.0, 0.0]),
        ] {
            index.add(&host, &point(name, partition, &vector), 1);
        }
        let near = find(&index, &host, "p", &[2.0, 0.0, 0.0]);
        assert_eq!(near.iter().map(|n| n.key).collect::<Vec<_>>(), [Key::of("b"), Key::of("a")]);
        assert!((near[0].similarity - 1.0).abs() < 1e-3);
        assert!((near[1].similarity - 0.995).abs() < 1e-2, "{}", near[1].similarity);
        assert!(find(&index, &host, "p", &[1.0, 0.0]).is_empty(), "of another embedder");
        index.add(&host, &point("b", "p", &[0.0, 0.0, 1.0]), 1);
        assert_eq!(find(&index, &host, "p", &[1.0, 0.0, 0.0])[0].key, Key::of("a"));
    }

    #[test]
    fn it_is_bounded_and_forgets_what_is_purged() {
        let host = ScriptHost::default();
        let index = LocalVectors::new(128);
        let mut lost = 0;
        for number in 0..1_000_u16 {
            let name = number.to_string();
            lost += index.add(&host, &point(&name, "p", &[1.0, f32::from(number), 0.0]), 1);
        }
        assert_eq!(lost, 1_000 - 128);
        let bytes: usize = host.shared.borrow().values().map(|shared| shared.value.len()).sum();
        assert!(bytes < 128 * (FACTS + 3) + 10, "{bytes}");
        index.remove(&host, &Removal::Purged(Purge::User(Key::of("999"))));
        assert!(
            find(&index, &host, "p", &[1.0, 999.0, 0.0]).iter().all(|n| n.key != Key::of("999"))
        );
        assert!(!find(&index, &host, "p", &[1.0, 0.0, 0.0]).is_empty());
        index.remove(&host, &Removal::Purged(Purge::Consumer(Key::of("c"))));
        assert!(find(&index, &host, "p", &[1.0, 0.0, 0.0]).is_empty());
    }
}
