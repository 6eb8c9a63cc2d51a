//! What a budget will have used when its window ends.
//!
//! Each count of a rule with `forecast` has a model of its hours, fed with all that was ever settled. In
//! Envoy the models are in shared data, in a fixed number of places: whichever worker is first in an hour
//! moves a model on. Elsewhere each worker has its own. Where the counts are in Redis, a model is fetched
//! from there in each hour with the first check that needs it, and brought there with the first after it
//! has moved on: all proxies share it, and it outlives them. One that was not brought in time is made up
//! for, since it goes by the sum of all that was ever settled, which is kept with the count.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use shared::host::{Capability, Host};

use crate::holt_winters::{self, Forecast, HoltWinters};
use crate::store::local::CountId;
use crate::terms::Standing;

/// Most counts that are foretold; another takes the place of the one that is in its way.
const PLACES: u64 = 1_024;
/// The form of what is kept.
const SHARED: &str = "ai-forecast.1";
/// The form of what is kept in Redis; another release with another form begins anew.
pub const FORM: &str = "forecast.1";
/// Numbers of a model that is kept in Redis: hour, sum and what was told, then the model's own.
pub const NUMBERS: usize = 3 + holt_winters::NUMBERS;
/// Most models that wait to be brought; of further ones a later hour is.
const AT_MOST: usize = 1_024;
/// Most models that one check brings.
const AT_ONCE: usize = 8;
/// Hours without a request that are made up for, at most.
const MOST_HOURS: u64 = 24 * 28;
/// Numbers before a model.
const HEAD: usize = 5;

/// The models of all counts.
#[derive(Debug, Default)]
pub struct Forecasts {
    known: RefCell<HashMap<u64, Kept>>,
    /// Counts whose models have moved on and are to be kept elsewhere; `None` where there is no such
    /// place. At most one for each place.
    moved: Option<RefCell<VecDeque<String>>>,
}

/// A model on its way to where it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// The count.
    pub count: String,
    /// The hour that it has moved on to, since the epoch.
    pub hour: u64,
    /// All that is known, as numbers with commas between; the hour is the first.
    pub numbers: String,
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
    /// `kept`: whether the models are kept elsewhere as well.
    pub fn new(kept: bool) -> Forecasts {
        Forecasts { known: RefCell::default(), moved: kept.then(RefCell::default) }
    }

    /// Whether the model of a count is to be fetched from where it is kept: none of this hour is here.
    pub fn wants(&self, host: &dyn Host, count: &str) -> bool {
        let (hour, id) = (hour_of(host), CountId::new(count));
        let place = id.0 % PLACES;
        let here = |kept: &Kept| kept.id == id && kept.hour >= hour;
        !self.known.borrow().get(&place).is_some_and(here)
            && !read(host, place).as_ref().is_some_and(here)
    }

    /// The model of a count as it was kept; no effect if it is none, or if one is here that knows more.
    pub fn fetched(&self, host: &dyn Host, count: &str, numbers: &[u64]) {
        let id = CountId::new(count);
        let place = id.0 % PLACES;
        let Some(kept) = Kept::from_numbers(id, numbers) else { return };
        let mut known = self.known.borrow_mut();
        let here = read(host, place).or_else(|| known.get(&place).cloned());
        let age = |kept: &Kept| (kept.hour, kept.model.seen);
        if here.is_some_and(|here| here.id == id && age(&here) >= age(&kept)) {
            return;
        }
        write(host, place, &kept);
        known.insert(place, kept);
    }

    /// Models that have moved on and are to be kept; they are taken to be, unless it is said that they
    /// were [lost](Forecasts::lost).
    pub fn keeping(&self) -> Vec<Keeping> {
        let Some(moved) = &self.moved else { return Vec::new() };
        let mut moved = moved.borrow_mut();
        let next = moved.len().min(AT_ONCE);
        let known = self.known.borrow();
        let kept = moved.drain(..next).filter_map(|count| {
            let id = CountId::new(&count);
            let kept = known.get(&(id.0 % PLACES)).filter(|kept| kept.id == id)?;
            Some(Keeping { hour: kept.hour, numbers: kept.to_numbers(), count })
        });
        kept.collect()
    }

    /// These have not got where they are kept.
    pub fn lost(&self, keeping: Vec<Keeping>) {
        keeping.into_iter().for_each(|lost| self.keep(&lost.count));
    }

    fn keep(&self, count: &str) {
        let Some(moved) = &self.moved else { return };
        let mut moved = moved.borrow_mut();
        if moved.len() < AT_MOST && !moved.iter().any(|other| other == count) {
            moved.push_back(count.to_owned());
        }
    }

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
            let Moved { kept, on, evicted } =
                moved_on(host, known.get(&place).cloned(), place, id, hour, total);
            foretold.evicted = evicted;
            known.insert(place, kept);
            if on {
                self.keep(count);
            }
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
            self.keep(count);
        }
        Some(foretold)
    }
}

fn hour_of(host: &dyn Host) -> u64 {
    host.now_nanos() / 1_000_000_000 / 3_600
}

impl Kept {
    fn to_numbers(&self) -> String {
        let bytes = self.model.to_bytes();
        let own = bytes.as_chunks::<4>().0.iter().map(|four| u64::from(u32::from_le_bytes(*four)));
        let all = [self.hour, self.total, self.told].into_iter().chain(own);
        all.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
    }

    /// `None` if nothing was kept, or something in another form.
    fn from_numbers(id: CountId, numbers: &[u64]) -> Option<Kept> {
        let (head, own) = numbers.split_at_checked(3)?;
        let [hour, total, told] = *head else { return None };
        let four = |number: &u64| u32::try_from(*number).map(u32::to_le_bytes);
        let bytes = own.iter().map(four).collect::<Result<Vec<_>, _>>().ok()?;
        let model = HoltWinters::from_bytes(bytes.as_flattened())?;
        (hour > 0).then_some(Kept { id, hour, total, told, model })
    }
}

/// What is kept of a count in this hour.
struct Moved {
    kept: Kept,
    /// It has moved on just now, or begun.
    on: bool,
    /// Another had to go.
    evicted: bool,
}

/// Brings what is kept of a count to this hour.
fn moved_on(
    host: &dyn Host,
    own: Option<Kept>,
    place: u64,
    id: CountId,
    hour: u64,
    total: u64,
) -> Moved {
    let stored = read(host, place).or(own);
    let evicted = stored.as_ref().is_some_and(|kept| kept.id != id);
    let stored = stored.filter(|kept| kept.id == id);
    let fresh = stored.is_none();
    let mut kept =
        stored.unwrap_or_else(|| Kept { id, hour, total, told: 0, model: HoltWinters::default() });
    if kept.hour >= hour {
        return Moved { kept, on: fresh, evicted };
    }
    let hours = (hour - kept.hour).min(MOST_HOURS);
    let each = total.saturating_sub(kept.total) as f64 / hours as f64;
    for at in hour - hours..hour {
        kept.model.push(at, each);
    }
    (kept.hour, kept.total) = (hour, total);
    write(host, place, &kept);
    Moved { kept, on: true, evicted }
}

fn name(place: u64) -> String {
    format!("{SHARED}.{place}")
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
