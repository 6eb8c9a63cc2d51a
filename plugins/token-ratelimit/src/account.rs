//! One count of one key: what was used, and what is left.
//!
//! What is reserved counts as used at once and is corrected when the answer is known. So there is
//! nothing to expire: of a request whose end nobody has seen, its estimate stays charged.

use crate::terms::{Kind, Receipt, Standing, Terms};

/// Seconds after which a place of a request is free again whose end nobody has seen.
pub const LEASE: u64 = 1_800;

/// Places are kept by when they were taken, this many seconds together.
const LEASE_STEP: u64 = 60;

/// What is known of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// When the current window began, seconds; of a bucket when it was last filled, milliseconds; of
    /// places nothing.
    pub(crate) since: u64,
    /// Used in the current window; missing in the bucket.
    pub(crate) used: u64,
    /// Used in the window before.
    pub(crate) before: u64,
    /// Added to the limit of this window.
    pub(crate) extra: u64,
    /// Marks that were passed in this window.
    pub(crate) marks: u64,
    /// All that was ever settled.
    pub(crate) total: u64,
    /// Places by when they were taken.
    pub(crate) places: Vec<(u64, u64)>,
}

impl Account {
    /// Reserves so much at this millisecond, if there is room; else says how many seconds to wait.
    /// `force`: even if there is none.
    pub fn reserve(
        &mut self,
        terms: &Terms,
        amount: u64,
        now: u64,
        force: bool,
    ) -> Result<Receipt, u64> {
        self.advance(terms, now);
        let standing = self.standing(terms, now);
        if !force && standing.used.saturating_add(amount) > standing.limit {
            return Err(self.wait(terms, amount, now));
        }
        self.used = self.used.saturating_add(amount);
        let since = match terms.kind {
            Kind::Places => {
                let step = now / 1000 / LEASE_STEP;
                match self.places.iter_mut().find(|(taken, _)| *taken == step) {
                    Some((_, count)) => *count = count.saturating_add(amount),
                    None => self.places.push((step, amount)),
                }
                step
            }
            Kind::Windows { .. } | Kind::Bucket { .. } => self.since,
        };
        Ok(Receipt { since, amount, paid: 0 })
    }

    /// Corrects what was reserved to what it really was.
    pub fn settle(&mut self, terms: &Terms, receipt: Receipt, actual: u64, now: u64) {
        self.advance(terms, now);
        let actual = actual.saturating_sub(receipt.paid);
        if terms.kind != Kind::Places {
            self.total = self.total.saturating_add(actual);
        }
        let change = |count: &mut u64| {
            *count = count.saturating_add(actual).saturating_sub(receipt.amount);
        };
        match terms.kind {
            Kind::Places => {
                if let Some((_, count)) =
                    self.places.iter_mut().find(|(at, _)| *at == receipt.since)
                {
                    *count = count.saturating_sub(receipt.amount);
                }
                self.places.retain(|(_, count)| *count > 0);
            }
            // It may have flown in meanwhile, so that there is nothing to give back.
            Kind::Bucket { .. } => change(&mut self.used),
            Kind::Windows { .. } if receipt.since == self.since => change(&mut self.used),
            Kind::Windows { window, zone, .. } => {
                let (previous, _) = window.at(self.since.saturating_sub(1), zone);
                if receipt.since == previous {
                    change(&mut self.before);
                }
                // Older ones count for nothing any more.
            }
        }
    }

    /// Reserves more for a request that has a receipt already, if there is room.
    pub fn extend(&mut self, terms: &Terms, receipt: &mut Receipt, more: u64, now: u64) -> bool {
        match self.reserve(terms, more, now, false) {
            Ok(next) if next.since == receipt.since || terms.is_bucket() => {
                receipt.amount = receipt.amount.saturating_add(more);
                true
            }
            Ok(_) => {
                // In the next window: what was reserved in the one before is settled there.
                let paid = receipt.paid.saturating_add(receipt.amount);
                self.total = self.total.saturating_add(receipt.amount);
                *receipt = Receipt { since: self.since, amount: more, paid };
                true
            }
            Err(_) => false,
        }
    }

    /// How many of these amounts, the lowest first, are passed, if one of them is for the first time.
    pub fn pass(&mut self, used: u64, marks: &[u64]) -> usize {
        let passed = marks.iter().filter(|mark| used >= **mark).count();
        if passed as u64 <= self.marks {
            return 0;
        }
        self.marks = passed as u64;
        passed
    }

    /// Gives back what was used in this window.
    pub fn reset(&mut self) {
        *self = Account { total: self.total, ..Account::default() };
    }

    /// Adds to the limit of this window.
    pub fn top_up(&mut self, terms: &Terms, amount: u64, now: u64) {
        self.advance(terms, now);
        self.extra = self.extra.saturating_add(amount);
    }

    /// Where it stands at this millisecond.
    pub fn standing(&self, terms: &Terms, now: u64) -> Standing {
        let mut account = self.clone();
        account.advance(terms, now);
        let seconds = now / 1000;
        let limit = terms.limit.saturating_add(account.extra);
        match terms.kind {
            Kind::Windows { window, zone, sliding } => {
                let (begin, end) = window.at(seconds, zone);
                let carried = if sliding { part(account.before, begin, end, now) } else { 0 };
                let used = account.used.saturating_add(carried);
                Standing { limit, used, reset: end.saturating_sub(seconds) }
            }
            Kind::Bucket { seconds, burst } => {
                let limit = burst.saturating_add(account.extra);
                let reset = flow_time(account.used, terms.limit, seconds).div_ceil(1000);
                Standing { limit, used: account.used, reset }
            }
            Kind::Places => {
                let used =
                    account.places.iter().map(|(_, count)| *count).fold(0, u64::saturating_add);
                Standing { limit, used, reset: 0 }
            }
        }
    }

    /// Whether nothing would be lost if it was forgotten.
    pub fn is_idle(&self, terms: &Terms, now: u64) -> bool {
        self.extra == 0 && self.standing(terms, now).used == 0
    }

    /// Brings it to this moment.
    fn advance(&mut self, terms: &Terms, now: u64) {
        match terms.kind {
            Kind::Windows { window, zone, .. } => {
                let (begin, _) = window.at(now / 1000, zone);
                // A clock that goes back a little does not give anything back.
                if begin > self.since {
                    let (previous, _) = window.at(begin.saturating_sub(1), zone);
                    self.before = if self.since == previous { self.used } else { 0 };
                    self.used = 0;
                    self.extra = 0;
                    self.marks = 0;
                    self.since = begin;
                }
            }
            Kind::Bucket { seconds, .. } => {
                let passed = now.saturating_sub(self.since);
                if self.since == 0 {
                    self.since = now;
                    return;
                }
                let whole = u128::from(seconds.max(1)) * 1000;
                let flown = u128::from(passed) * u128::from(terms.limit) / whole;
                if flown > 0 {
                    self.used = self.used.saturating_sub(u64::try_from(flown).unwrap_or(u64::MAX));
                    // The rest of a unit goes on flowing.
                    let taken = flown * whole / u128::from(terms.limit.max(1));
                    let taken = u64::try_from(taken).unwrap_or(passed).min(passed);
                    self.since = self.since.saturating_add(taken);
                }
            }
            Kind::Places => {
                let oldest = (now / 1000).saturating_sub(LEASE) / LEASE_STEP;
                self.places.retain(|(taken, _)| *taken >= oldest);
            }
        }
    }

    /// Seconds until so much is free, at least 1.
    pub fn wait(&self, terms: &Terms, amount: u64, now: u64) -> u64 {
        let seconds = now / 1000;
        let standing = self.standing(terms, now);
        let wait = match terms.kind {
            Kind::Places => 1,
            Kind::Bucket { seconds, .. } => {
                let missing = standing.used.saturating_add(amount).saturating_sub(standing.limit);
                flow_time(missing, terms.limit, seconds).div_ceil(1000)
            }
            Kind::Windows { window, zone, sliding } => {
                let (begin, end) = window.at(seconds, zone);
                let left = end.saturating_sub(seconds);
                let room = terms.limit.saturating_add(self.extra);
                let needed = self.used.saturating_add(amount);
                if !sliding || self.before == 0 || needed > room {
                    left
                } else {
                    // As soon as the window before weighs no more than what is free.
                    let free = u128::from(room.saturating_sub(needed));
                    let length = u128::from(end.saturating_sub(begin));
                    let keep = free * length / u128::from(self.before.max(1));
                    let at = end.saturating_sub(u64::try_from(keep).unwrap_or(u64::MAX));
                    at.saturating_sub(seconds).min(left)
                }
            }
        };
        wait.max(1)
    }
}

/// How much of what was used in the window before still counts.
fn part(before: u64, begin: u64, end: u64, now: u64) -> u64 {
    let length = u128::from(end.saturating_sub(begin).max(1)) * 1000;
    let left = (u128::from(end) * 1000).saturating_sub(u128::from(now)).min(length);
    u64::try_from((u128::from(before) * left).div_ceil(length)).unwrap_or(u64::MAX)
}

/// Milliseconds in which so much flows in.
fn flow_time(amount: u64, limit: u64, seconds: u64) -> u64 {
    let time = u128::from(amount) * u128::from(seconds) * 1000;
    u64::try_from(time.div_ceil(u128::from(limit.max(1)))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Algorithm;
    use crate::window::Window;
    use crate::zone::Zone;

    fn terms(algorithm: Algorithm, limit: u64, burst: u64) -> Terms {
        Terms { kind: Kind::new(algorithm, Window::Seconds(60), Zone::default(), burst), limit }
    }

    const START: u64 = 6_000_000_000;

    #[test]
    fn a_fixed_window_begins_anew() {
        let (terms, mut account) = (terms(Algorithm::FixedWindow, 10, 10), Account::default());
        for _ in 0..5 {
            account.reserve(&terms, 2, START + 10_000, false).unwrap();
        }
        assert_eq!(account.reserve(&terms, 1, START + 20_000, false), Err(40));
        assert!(account.reserve(&terms, 10, START + 60_000, false).is_ok());
        assert_eq!(account.standing(&terms, START + 61_000).remaining(), 0);
    }

    #[test]
    fn a_sliding_window_lets_go_slowly() {
        let (terms, mut account) = (terms(Algorithm::SlidingWindow, 100, 100), Account::default());
        account.reserve(&terms, 100, START + 59_000, false).unwrap();
        assert_eq!(account.standing(&terms, START + 60_000).remaining(), 0);
        assert_eq!(account.standing(&terms, START + 90_000).remaining(), 50);
        let wait = account.reserve(&terms, 75, START + 90_000, false).unwrap_err();
        assert_eq!(wait, 15);
        assert!(account.reserve(&terms, 75, START + 105_000, false).is_ok());
    }

    #[test]
    fn a_bucket_fills_steadily_and_holds_no_more_than_it_can() {
        let (terms, mut account) = (terms(Algorithm::TokenBucket, 60, 10), Account::default());
        account.reserve(&terms, 10, START, false).unwrap();
        assert_eq!(account.reserve(&terms, 3, START, false), Err(3));
        assert_eq!(account.reserve(&terms, 3, START + 2_999, false), Err(1));
        assert!(account.reserve(&terms, 3, START + 3_000, false).is_ok());
        assert_eq!(account.standing(&terms, START + 1_000_000).remaining(), 10);
        // Small steps lose nothing to rounding.
        let mut account = Account::default();
        account.reserve(&terms, 10, START, false).unwrap();
        for step in 1..=100 {
            account.advance(&terms, START + step * 100);
        }
        assert_eq!(account.standing(&terms, START + 10_000).used, 0);
    }

    #[test]
    fn what_was_reserved_is_corrected_in_its_own_window() {
        let terms = terms(Algorithm::SlidingWindow, 100, 100);
        let mut account = Account::default();
        let receipt = account.reserve(&terms, 80, START, false).unwrap();
        account.settle(&terms, receipt, 30, START + 1_000);
        assert_eq!(account.standing(&terms, START + 1_000).used, 30);
        let receipt = account.reserve(&terms, 60, START + 2_000, false).unwrap();
        account.settle(&terms, receipt, 70, START + 60_000);
        assert_eq!(account.standing(&terms, START + 60_000).used, 100);
        account.settle(&terms, Receipt { since: 1, amount: 50, paid: 0 }, 0, START + 60_000);
        assert_eq!(account.standing(&terms, START + 60_000).used, 100, "too old to matter");
    }

    #[test]
    fn a_stream_that_goes_on_in_the_next_window_is_charged_once() {
        let (terms, mut account) = (terms(Algorithm::FixedWindow, 1_000, 0), Account::default());
        let mut receipt = account.reserve(&terms, 100, START + 59_000, false).unwrap();
        assert!(account.extend(&terms, &mut receipt, 20, START + 61_000));
        assert!(account.extend(&terms, &mut receipt, 20, START + 121_000));
        account.settle(&terms, receipt, 150, START + 122_000);
        // 100 in the first window, 20 in the second, the rest in the third.
        assert_eq!((account.before, account.used, account.total), (20, 30, 150));
    }

    #[test]
    fn places_are_given_back_and_lost_ones_found_again() {
        let (terms, mut account) = (Terms { kind: Kind::Places, limit: 2 }, Account::default());
        let first = account.reserve(&terms, 1, START, false).unwrap();
        account.reserve(&terms, 1, START, false).unwrap();
        assert!(account.reserve(&terms, 1, START, false).is_err());
        account.settle(&terms, first, 0, START + 1_000);
        assert!(account.reserve(&terms, 1, START + 2_000, false).is_ok());
        assert!(account.reserve(&terms, 1, START + 3_000, false).is_err());
        let later = START + (LEASE + 120) * 1000;
        assert_eq!(account.standing(&terms, later).used, 0);
    }

    #[test]
    fn a_top_up_holds_for_its_window() {
        let (terms, mut account) = (terms(Algorithm::FixedWindow, 10, 10), Account::default());
        account.top_up(&terms, 5, START);
        assert!(account.reserve(&terms, 15, START, false).is_ok());
        assert_eq!(account.standing(&terms, START + 60_000).limit, 10);
    }

    #[test]
    fn a_window_admits_what_a_naive_count_admits() {
        use proptest::prelude::*;
        proptest!(|(steps in proptest::collection::vec((0_u64..20_000, 1_u64..40), 1..200))| {
            let terms = terms(Algorithm::FixedWindow, 100, 100);
            let (mut account, mut now) = (Account::default(), START);
            let mut naive: std::collections::HashMap<u64, u64> = std::collections::HashMap::new();
            for (pause, amount) in steps {
                now += pause;
                let used = naive.entry(now / 60_000).or_default();
                let admitted = *used + amount <= 100;
                prop_assert_eq!(account.reserve(&terms, amount, now, false).is_ok(), admitted);
                if admitted {
                    *used += amount;
                }
            }
        });
    }
}
