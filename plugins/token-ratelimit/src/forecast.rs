//! What a budget will have used when its window ends.
//!
//! Each count of a rule with `forecast` has a model of its hours, fed with all that was ever settled. In
//! Envoy the models are in shared data, in a fixed number of places: whichever worker is first in an hour
//! moves a model on. Elsewhere each worker has its own.

use std::cell::RefCell;
use std::collections::HashMap;

use shared::host::{Capability, Host};

use crate::account::Standing;
use crate::holt_winters::{Forecast, HoltWinters};
use crate::store::local::CountId;

/// Most counts that are foretold; another takes the place of the one that is in its way.
const PLACES: u64 = 1_024;
/// The form of what is kept.
const FORM: &str = "ai-forecast.1";
/// Hours without a request that are made up for, at most.
const MOST_HOURS: u64 = 24 * 28;
/// Numbers before a model.
const HEAD: usize = 5;

/// The models of all counts.
#[derive(Debug, Default)]
pub struct Forecasts {
    known: RefCell<HashMap<u64, Kept>>,
}

/// What is kept of one count.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    id: CountId,
    /// The hour under way, since the epoch.
    hour: u64,
    /// What was settled before it.
    total: u64,
    /// The end of the window, in hours, for which somebody was told.
    told: u64,
    model: HoltWinters,
}

/// What is foretold of a count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Foretold {
    /// At the end of the window.
    pub end: Forecast,
    /// It passes what was set, and nobody was told in this window.
    pub tell: bool,
    /// Another count had to be forgotten for it.
    pub evicted: bool,
}

impl Forecasts {
    /// A count stands so, and so much was ever settled. `warn`: the share of the limit from which on
    /// somebody is to be told. `None` as long as a day has not been seen.
    pub fn see(
        &self,
        host: &dyn Host,
        count: &str,
        standing: &Standing,
        total: u64,
        warn: f64,
    ) -> Option<Foretold> {
        let seconds = host.now_nanos() / 1_000_000_000;
        let (hour, id) = (seconds / 3_600, CountId::new(count));
        let place = id.0 % PLACES;
        let mut foretold = Foretold::default();
        let mut known = self.known.borrow_mut();
        let fresh = known.get(&place).is_some_and(|kept| kept.id == id && kept.hour == hour);
        if !fresh {
            let (kept, evicted) =
                moved_on(host, known.get(&place).cloned(), place, id, hour, total);
            foretold.evicted = evicted;
            known.insert(place, kept);
        }
        let kept = known.get_mut(&place)?;
        if kept.model.seen < 24 {
            return Some(foretold).filter(|foretold| foretold.evicted);
        }
        let hours = standing.reset.div_ceil(3_600).max(1);
        let rest = kept.model.sum(hour, hours);
        // The hour under way has begun already.
        let part = standing.reset as f64 / (hours * 3_600) as f64;
        let at_end = |more: f64| standing.used as f64 + more * part;
        foretold.end =
            Forecast { mean: at_end(rest.mean), low: at_end(rest.low), high: at_end(rest.high) };
        let window = (seconds.saturating_add(standing.reset)) / 3_600;
        if foretold.end.mean >= standing.limit as f64 * warn && kept.told != window {
            // Another worker may have told it.
            let other = read(host, place).filter(|other| other.id == id && other.told == window);
            foretold.tell = other.is_none();
            kept.told = window;
            write(host, place, kept);
        }
        Some(foretold)
    }
}

/// What is kept of a count, in this hour; whether another had to go.
fn moved_on(
    host: &dyn Host,
    own: Option<Kept>,
    place: u64,
    id: CountId,
    hour: u64,
    total: u64,
) -> (Kept, bool) {
    let stored = read(host, place).or(own);
    let evicted = stored.as_ref().is_some_and(|kept| kept.id != id);
    let stored = stored.filter(|kept| kept.id == id);
    let mut kept =
        stored.unwrap_or_else(|| Kept { id, hour, total, told: 0, model: HoltWinters::default() });
    if kept.hour >= hour {
        return (kept, evicted);
    }
    let hours = (hour - kept.hour).min(MOST_HOURS);
    let each = total.saturating_sub(kept.total) as f64 / hours as f64;
    for at in hour - hours..hour {
        kept.model.push(at, each);
    }
    (kept.hour, kept.total) = (hour, total);
    write(host, place, &kept);
    (kept, evicted)
}

fn name(place: u64) -> String {
    format!("{FORM}.{place}")
}

fn read(host: &dyn Host, place: u64) -> Option<Kept> {
    if !host.can(Capability::SharedData) {
        return None;
    }
    let bytes = host.shared(&name(place))?.value;
    let (head, model) = bytes.split_at_checked(HEAD * 8)?;
    let mut numbers = head.as_chunks::<8>().0.iter().map(|eight| u64::from_le_bytes(*eight));
    let id = CountId(numbers.next()?, numbers.next()?);
    let (hour, total, told) = (numbers.next()?, numbers.next()?, numbers.next()?);
    Some(Kept { id, hour, total, told, model: HoltWinters::from_bytes(model)? })
}

/// Two workers that write at once write the same.
fn write(host: &dyn Host, place: u64, kept: &Kept) {
    if !host.can(Capability::SharedData) {
        return;
    }
    let head = [kept.id.0, kept.id.1, kept.hour, kept.total, kept.told];
    let mut bytes: Vec<u8> = head.iter().flat_map(|number| number.to_le_bytes()).collect();
    bytes.extend(kept.model.to_bytes());
    let _ = host.set_shared(&name(place), &bytes, 0);
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;

    const START: u64 = 490_000 * 3_600;

    fn at(host: &ScriptHost, hour: u64) {
        host.now_nanos.set((START + hour * 3_600) * 1_000_000_000);
    }

    /// 100 units each hour, of a window that ends 100 hours after the last.
    fn run(host: &ScriptHost, forecasts: &Forecasts, from: u64, to: u64) -> Option<Foretold> {
        let mut last = None;
        for hour in from..to {
            at(host, hour);
            let reset = (150 - hour.min(149)) * 3_600;
            let standing = Standing { limit: 10_000, used: 100 * hour, reset };
            last = forecasts.see(host, "c", &standing, 100 * hour, 1.0);
        }
        last
    }

    #[test]
    fn the_end_of_the_window_is_foretold_and_told_once() {
        let host = ScriptHost::default();
        let forecasts = Forecasts::default();
        assert_eq!(run(&host, &forecasts, 0, 24), None, "a day must have been seen");
        let first = run(&host, &forecasts, 24, 25).unwrap();
        assert!((first.end.mean - 15_000.0).abs() < 150.0 && first.tell, "{first:?}");
        let next = run(&host, &forecasts, 25, 50).unwrap();
        assert!((next.end.mean - 15_000.0).abs() < 150.0 && !next.tell, "{next:?}");
        assert!(next.end.low <= next.end.mean && next.end.mean <= next.end.high);
    }

    #[test]
    fn workers_share_what_was_learned() {
        for shares in [true, false] {
            let mut host = ScriptHost::default();
            if !shares {
                host.cannot.insert(Capability::SharedData);
            }
            run(&host, &Forecasts::default(), 0, 40);
            let other = run(&host, &Forecasts::default(), 40, 41);
            assert_eq!(other.is_some(), shares);
            assert!(!other.is_some_and(|foretold| foretold.tell), "it was told");
        }
    }

    #[test]
    fn hours_without_requests_count() {
        let host = ScriptHost::default();
        let forecasts = Forecasts::default();
        run(&host, &forecasts, 0, 2);
        let after = run(&host, &forecasts, 48, 49).unwrap();
        assert!((after.end.mean - 15_000.0).abs() < 300.0, "{after:?}");
    }
}
