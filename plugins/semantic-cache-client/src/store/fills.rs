//! Which answers are being fetched: one of several equal requests at the same time goes to the provider,
//! the others wait for it.
//!
//! A table of a fixed number of values, each with the claims of some names. A claim ends when its answer
//! is there, when its request ends in another way, or when its time is over.

use shared::host::Host;

use super::memory::Memory;
use crate::key::Key;

/// Values; claims are few at a time.
const VALUES: u64 = 64;

/// Most claims of one value; more go unclaimed.
const CLAIMS: usize = 256;

/// Milliseconds for which a request that was not worth waiting for is remembered as such.
const FREE: u64 = 1_000;

/// One claim's bytes: name, end, owner, state.
const CLAIM: usize = 16 + 8 + 8 + 1;

/// The form, first in each value. An empty value could not be changed by compare-and-swap.
const FORM: u8 = 1;

/// Who fetches what.
#[derive(Debug, Default)]
pub struct Fills {
    memory: Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    key: u128,
    until: u64,
    owner: u64,
    free: bool,
}

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

/// What came of asking for a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is the asker's, under this number.
    Mine(u64),
    /// Somebody else has it.
    Others,
    /// There is none to be had, and none is needed.
    Free,
}

impl Fills {
    /// Claims an answer for so many milliseconds.
    pub fn claim(&self, host: &dyn Host, key: &Key, millis: u64) -> Claimed {
        let now = now(host);
        let owner = host.random();
        self.change(host, key, |claims| {
            claims.retain(|claim| claim.until > now);
            match claims.iter().find(|claim| claim.key == short(key)) {
                Some(claim) if claim.free => Claimed::Free,
                Some(_) => Claimed::Others,
                None if claims.len() >= CLAIMS => Claimed::Free,
                None => {
                    let until = now.saturating_add(millis);
                    claims.push(Claim { key: short(key), until, owner, free: false });
                    Claimed::Mine(owner)
                }
            }
        })
    }

    /// Who has the claim.
    pub fn look(&self, host: &dyn Host, key: &Key) -> Fill {
        let now = now(host);
        let value = self.memory.get(host, &name(key));
        let mut live = claims(&value).filter(|claim| claim.key == short(key) && claim.until > now);
        match live.next() {
            None => Fill::Nobody,
            Some(claim) if claim.free => Fill::Free,
            Some(_) => Fill::Somebody,
        }
    }

    /// Gives a claim back. `free`: there is no use in another's waiting for the next.
    pub fn release(&self, host: &dyn Host, key: &Key, owner: u64, free: bool) {
        let now = now(host);
        self.change(host, key, |claims| {
            claims.retain(|claim| {
                claim.until > now && (claim.key != short(key) || claim.owner != owner)
            });
            if free && claims.len() < CLAIMS {
                let until = now.saturating_add(FREE);
                claims.push(Claim { key: short(key), until, owner, free });
            }
        });
    }

    /// Makes the values, as compare-and-swap does not protect their creation.
    pub fn prepare(&self, host: &dyn Host) {
        for value in 0..VALUES {
            self.memory.change(host, &format!("ai-cache.1.f.{value}"), |value| {
                (value.is_empty().then(|| vec![FORM]), ())
            });
        }
    }

    fn change<T>(
        &self,
        host: &dyn Host,
        key: &Key,
        mut change: impl FnMut(&mut Vec<Claim>) -> T,
    ) -> T {
        self.memory.change(host, &name(key), |value| {
            let mut all: Vec<Claim> = claims(&value).collect();
            let result = change(&mut all);
            let mut bytes = vec![FORM];
            bytes.extend(all.iter().flat_map(Claim::write));
            (if bytes == value { None } else { Some(bytes) }, result)
        })
    }
}

impl Claim {
    fn write(&self) -> impl Iterator<Item = u8> + use<> {
        let Claim { key, until, owner, free } = *self;
        let bytes = key.to_be_bytes().into_iter().chain(until.to_be_bytes());
        bytes.chain(owner.to_be_bytes()).chain([u8::from(free)])
    }

    fn read(bytes: &[u8]) -> Option<Claim> {
        let (key, rest) = bytes.split_first_chunk::<16>()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (owner, rest) = rest.split_first_chunk::<8>()?;
        Some(Claim {
            key: u128::from_be_bytes(*key),
            until: u64::from_be_bytes(*until),
            owner: u64::from_be_bytes(*owner),
            free: rest.first() == Some(&1),
        })
    }
}

fn claims(value: &[u8]) -> impl Iterator<Item = Claim> {
    let rest =
        value.split_first().filter(|(form, _)| **form == FORM).map_or(&[][..], |(_, rest)| rest);
    rest.chunks_exact(CLAIM).filter_map(Claim::read)
}

fn short(key: &Key) -> u128 {
    key.0.last_chunk::<16>().copied().map_or(0, u128::from_be_bytes)
}

fn name(key: &Key) -> String {
    format!("ai-cache.1.f.{}", key.number() % VALUES)
}

fn now(host: &dyn Host) -> u64 {
    host.now_nanos() / 1_000_000
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;

    #[test]
    fn one_has_the_claim_until_it_is_given_back() {
        let host = ScriptHost::default();
        let (one, two) = (Fills::default(), Fills::default());
        one.prepare(&host);
        let key = Key::of("a");
        assert_eq!(one.look(&host, &key), Fill::Nobody);
        let Claimed::Mine(owner) = one.claim(&host, &key, 100) else { panic!() };
        assert_eq!(two.claim(&host, &key, 100), Claimed::Others);
        assert_eq!(two.look(&host, &key), Fill::Somebody);
        assert!(matches!(two.claim(&host, &Key::of("b"), 100), Claimed::Mine(_)));
        // Somebody else's number gives nothing back.
        two.release(&host, &key, owner + 77, false);
        assert_eq!(one.look(&host, &key), Fill::Somebody);
        one.release(&host, &key, owner, false);
        assert_eq!(one.look(&host, &key), Fill::Nobody);
        assert!(matches!(two.claim(&host, &key, 100), Claimed::Mine(_)));
    }

    #[test]
    fn a_claim_ends_by_itself() {
        let host = ScriptHost::default();
        let fills = Fills::default();
        let key = Key::of("a");
        assert!(matches!(fills.claim(&host, &key, 100), Claimed::Mine(_)));
        host.now_nanos.set(100_000_000);
        assert_eq!(fills.look(&host, &key), Fill::Nobody);
        assert!(matches!(fills.claim(&host, &key, 100), Claimed::Mine(_)));
    }

    #[test]
    fn nobody_waits_for_what_is_not_kept() {
        let host = ScriptHost::default();
        let fills = Fills::default();
        let key = Key::of("a");
        let Claimed::Mine(owner) = fills.claim(&host, &key, 100) else { panic!() };
        fills.release(&host, &key, owner, true);
        assert_eq!(fills.look(&host, &key), Fill::Free);
        assert_eq!(fills.claim(&host, &key, 100), Claimed::Free);
        host.now_nanos.set(FREE * 1_000_000);
        assert_eq!(fills.look(&host, &key), Fill::Nobody);
    }
}
