//! The form of counts in shared data: little-endian numbers, one count after the other. Reading and
//! writing the counts of a value is most of what a check costs, and JSON would be ten times that.

use super::local::CountId;
use crate::account::Account;

/// A count among those of its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Which it is.
    pub id: CountId,
    /// The count.
    pub account: Account,
    /// Milliseconds from which on nothing is lost if it is forgotten.
    pub idle: u64,
}

/// Writes them.
pub fn write(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len().saturating_mul(80));
    for Entry { id, account, idle } in entries {
        let places = account.places.len().min(usize::from(u16::MAX));
        let numbers = [
            id.0,
            id.1,
            *idle,
            account.since,
            account.used,
            account.before,
            account.extra,
            account.marks,
            account.total,
            places as u64,
        ];
        let pairs = account.places.iter().take(places).flat_map(|(taken, count)| [*taken, *count]);
        for number in numbers.into_iter().chain(pairs) {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    out
}

/// Reads them. What another release has left in another form is no count.
pub fn read(bytes: &[u8]) -> Vec<Entry> {
    let mut numbers = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let mut entries = Vec::with_capacity(bytes.len() / 80);
    while let Some(entry) = entry(&mut numbers) {
        entries.push(entry);
    }
    entries
}

fn entry(numbers: &mut impl Iterator<Item = u64>) -> Option<Entry> {
    let id = CountId(numbers.next()?, numbers.next()?);
    let idle = numbers.next()?;
    let mut account = Account {
        since: numbers.next()?,
        used: numbers.next()?,
        before: numbers.next()?,
        extra: numbers.next()?,
        marks: numbers.next()?,
        total: numbers.next()?,
        places: Vec::new(),
    };
    for _ in 0..numbers.next()? {
        account.places.push((numbers.next()?, numbers.next()?));
    }
    Some(Entry { id, account, idle })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let account = Account { since: 1, used: u64::MAX, total: 3, ..Account::default() };
        let with_places = Account { places: vec![(5, 6), (7, 8)], ..Account::default() };
        let entries = [
            Entry { id: CountId(1, 2), account, idle: 9 },
            Entry { id: CountId(3, 4), account: with_places, idle: 0 },
        ];
        let bytes = write(&entries);
        assert_eq!(read(&bytes), entries);
        // Cut off or not ours: no more than what is whole, and no panic.
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).len() <= 1);
        }
        assert!(read(&[0xff; 800]).len() <= 1);
    }
}
