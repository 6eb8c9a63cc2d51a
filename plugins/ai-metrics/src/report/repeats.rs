//! Whether a prompt has been asked before: hashes of the latest ones, shared by all workers.

use shared::small_map::SmallMap;
use std::cell::RefCell;

use shared::host::{Capability, Host};

/// The hashes are spread over so many lists, each of which is read and written at once.
const LISTS: u64 = 256;

/// The latest hashes.
#[derive(Debug)]
pub(super) struct Repeats {
    /// Most of a list.
    each: usize,
    local: RefCell<SmallMap<u64, Vec<u8>>>,
}

impl Repeats {
    /// Room for about so many.
    pub(super) fn new(max: u32) -> Repeats {
        let each = u64::from(max).div_ceil(LISTS);
        Repeats { each: usize::try_from(each).unwrap_or(usize::MAX), local: RefCell::default() }
    }

    /// Whether it is among them; from now on it is. Two workers that write a list at once lose one of
    /// the two hashes, and a repetition may go unnoticed.
    pub(super) fn seen(&self, host: &dyn Host, hash: u64) -> bool {
        if self.each == 0 {
            return false;
        }
        let list = hash % LISTS;
        if !host.can(Capability::SharedData) {
            let mut local = self.local.borrow_mut();
            return self.add(local.entry(list).or_default(), hash);
        }
        let key = format!("ai-metrics.repeats.1.{list}");
        let shared = host.shared(&key);
        let (mut hashes, version) = shared.map_or((Vec::new(), 0), |s| (s.value, s.version));
        let seen = self.add(&mut hashes, hash);
        if !seen {
            let _ = host.set_shared(&key, &hashes, version);
        }
        seen
    }

    /// The oldest goes first.
    fn add(&self, hashes: &mut Vec<u8>, hash: u64) -> bool {
        let hash = hash.to_le_bytes();
        if hashes.as_chunks::<8>().0.contains(&hash) {
            return true;
        }
        let over = (hashes.len() / 8).saturating_add(1).saturating_sub(self.each);
        hashes.drain(..over.saturating_mul(8).min(hashes.len()));
        hashes.extend_from_slice(&hash);
        false
    }
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;

    #[test]
    fn a_prompt_is_remembered_until_too_many_others_have_come() {
        for shared in [true, false] {
            let mut host = ScriptHost::default();
            if !shared {
                host.cannot.insert(Capability::SharedData);
            }
            let repeats = Repeats::new(512);
            assert!(!repeats.seen(&host, 5));
            assert!(repeats.seen(&host, 5));
            assert!(!repeats.seen(&host, 5 + LISTS) && repeats.seen(&host, 5));
            assert!(!repeats.seen(&host, 5 + 2 * LISTS));
            assert!(!repeats.seen(&host, 5), "two fit into a list");
        }
        assert!(!Repeats::new(0).seen(&ScriptHost::default(), 1));
    }
}
