//! The series: where values go, to the proxy's metrics and to the OTLP export.
//!
//! A request adds to a dozen of them, and each would be a call of the proxy. So what is counted waits here
//! until the next tick: a counter's additions as one sum, a histogram's values in a list, since the proxy
//! takes them one by one. A host without a timer is told at the end of each request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rustc_hash::FxHashMap;
use shared::host::{Capability, Host, MetricId, MetricKind};

use crate::config::{Config, Site};
use crate::group::Group;
use crate::labels::{OTHER_ID, ValueId, Values};
use crate::names::{self, Definition, Label, SEPARATOR, SITE};

/// Most labels of a metric.
const MAX_LABELS: usize = 13;

/// Most values of histograms that wait; then the proxy is told at once.
const MOST_WAITING: usize = 4096;

/// A metric and the numbers of its labels' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    metric: usize,
    values: [ValueId; MAX_LABELS],
}

/// The number of a series.
pub(crate) type Place = u32;

/// What a series of a histogram has counted, for OTLP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// How many in each bucket; the last one is beyond all bounds.
    pub buckets: Vec<u64>,
}

/// Where a series stands, for OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total<'a> {
    /// Of a counter or gauge.
    Number(i64),
    /// Of a histogram.
    Histogram(&'a Histogram),
}

#[derive(Debug)]
struct Series {
    key: Key,
    metric: &'static Definition,
    /// Its metric in the proxy, once it has been told of it.
    id: Option<MetricId>,
    /// Of a counter or gauge: where it stands ...
    number: i64,
    /// ... and what of that the proxy knows.
    told: i64,
    /// It is set, not added to: others set it too, so a difference would say nothing.
    set: bool,
    /// It is among those that have changed.
    changed: bool,
    /// Of a histogram, where OTLP is to have it.
    histogram: Option<Box<Histogram>>,
}

/// What the proxy has not been told yet.
#[derive(Debug, Default)]
struct Waiting {
    /// Counters and gauges.
    changed: Vec<Place>,
    /// Values of histograms.
    values: Vec<(Place, u64)>,
}

/// All series of a worker.
#[derive(Debug)]
pub struct SeriesTable {
    values: Values,
    site: String,
    max: usize,
    /// Whether totals of histograms are kept for OTLP.
    totals: bool,
    /// The numbers of a key are given out here: nobody can choose them so that they collide.
    places: RefCell<FxHashMap<Key, Place>>,
    series: RefCell<Vec<Series>>,
    waiting: RefCell<Waiting>,
    /// By the number of the series in [`names::REQUESTS`]: what its requests add to besides.
    groups: RefCell<Vec<Option<Rc<Group>>>>,
    /// No tick comes any more.
    over: Cell<bool>,
}

/// The labels of one emission: a metric's, in its order.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a>(pub &'a [&'a str]);

impl SeriesTable {
    /// A table with the configuration's bounds.
    pub fn new(config: &Config) -> SeriesTable {
        SeriesTable {
            values: Values::new(config.labels.max_values),
            site: site(&config.site),
            max: usize::try_from(config.labels.max_series).unwrap_or(usize::MAX),
            totals: config.otlp.as_ref().is_some_and(|otlp| otlp.metrics),
            places: RefCell::default(),
            series: RefCell::default(),
            waiting: RefCell::default(),
            groups: RefCell::default(),
            over: Cell::new(false),
        }
    }

    /// The number of a label's value. One for which there is no room is counted and becomes `other`.
    /// `trusted`: the names of models have been confirmed.
    pub(crate) fn id(&self, host: &dyn Host, label: Label, value: &str, trusted: bool) -> ValueId {
        // Only a model's name is the client's own words.
        let trusted = trusted || !matches!(label, Label::RequestModel | Label::ResponseModel);
        self.values.id(host, label, value, trusted).unwrap_or_else(|| {
            // Its own label has no more values than there are labels, so this does not come back.
            if label != Label::What {
                self.add(host, &names::FOLDED, Labels(&[label.name()]), true, 1);
            }
            OTHER_ID
        })
    }

    fn key(&self, host: &dyn Host, metric: &Definition, labels: Labels<'_>, trusted: bool) -> Key {
        let mut key = Key::of(metric, |_| OTHER_ID);
        for ((slot, label), value) in key.values.iter_mut().zip(metric.labels).zip(labels.0) {
            *slot = self.id(host, *label, value, trusted);
        }
        key
    }

    /// The series that a request with these labels of [`names::REQUESTS`] adds to.
    pub(crate) fn group(&self, host: &dyn Host, labels: Labels<'_>, trusted: bool) -> Rc<Group> {
        let key = self.key(host, &names::REQUESTS, labels, trusted);
        let known = self.places.borrow().get(&key).copied();
        let place = known.or_else(|| self.place(host, key));
        let index = place.and_then(|place| usize::try_from(place).ok()).unwrap_or(usize::MAX);
        let group = self.groups.borrow().get(index).and_then(Clone::clone);
        if let (Some(group), true) = (group, known.is_some()) {
            return group;
        }
        let group = Rc::new(Group::new(names::REQUESTS.labels, &key.values));
        // One whose series has lost some of its labels is that of other requests too.
        let whole = self.series.borrow().get(index).is_some_and(|series| series.key == key);
        if whole {
            let mut groups = self.groups.borrow_mut();
            if groups.len() <= index {
                groups.resize(index.saturating_add(1), None);
            }
            if let Some(slot) = groups.get_mut(index) {
                *slot = Some(Rc::clone(&group));
            }
        }
        group
    }

    /// The series of this key, or of what is left of it where there are too many.
    pub(crate) fn place(&self, host: &dyn Host, mut key: Key) -> Option<Place> {
        let find = |key: &Key| self.places.borrow().get(key).copied();
        if let Some(place) = find(&key) {
            return Some(place);
        }
        let metric = *names::ALL.get(key.metric)?;
        let count = self.series.borrow().len();
        if count >= self.max {
            for (slot, label) in key.values.iter_mut().zip(metric.labels) {
                if label.is_extra() {
                    *slot = OTHER_ID;
                }
            }
            if let Some(place) = find(&key) {
                return Some(place);
            }
        }
        if count >= self.max.saturating_mul(2) {
            if metric.place != names::DROPPED.place {
                self.add(host, &names::DROPPED, Labels(&["series"]), true, 1);
            }
            return None;
        }
        let place = Place::try_from(count).ok()?;
        let histogram = (self.totals && metric.kind == MetricKind::Histogram).then(|| {
            let buckets = vec![0; metric.buckets.len().saturating_add(1)];
            Box::new(Histogram { count: 0, sum: 0, buckets })
        });
        let (set, changed) = (false, false);
        let series = Series { key, metric, id: None, number: 0, told: 0, set, changed, histogram };
        self.series.borrow_mut().push(series);
        self.places.borrow_mut().insert(key, place);
        Some(place)
    }

    /// Adds to a counter or gauge. `trusted`: the names of models have been confirmed.
    pub fn add(
        &self,
        host: &dyn Host,
        metric: &'static Definition,
        labels: Labels<'_>,
        trusted: bool,
        by: i64,
    ) {
        let key = self.key(host, metric, labels, trusted);
        if let Some(place) = self.place(host, key) {
            self.add_at(place, by);
        }
    }

    pub(crate) fn add_at(&self, place: Place, by: i64) {
        self.change(place, |series| series.number = series.number.saturating_add(by));
    }

    /// Sets a gauge.
    pub fn set(
        &self,
        host: &dyn Host,
        metric: &'static Definition,
        labels: Labels<'_>,
        value: u64,
    ) {
        let key = self.key(host, metric, labels, true);
        if let Some(place) = self.place(host, key) {
            self.change(place, |series| {
                series.set = true;
                series.number = i64::try_from(value).unwrap_or(i64::MAX);
            });
        }
    }

    fn change(&self, place: Place, change: impl FnOnce(&mut Series)) {
        let mut all = self.series.borrow_mut();
        let index = usize::try_from(place).unwrap_or(usize::MAX);
        let Some(series) = all.get_mut(index) else { return };
        change(series);
        if !std::mem::replace(&mut series.changed, true) {
            self.waiting.borrow_mut().changed.push(place);
        }
    }

    /// Gives a histogram one more value.
    pub(crate) fn record_at(&self, host: &dyn Host, place: Place, value: u64) {
        if self.totals {
            let mut all = self.series.borrow_mut();
            let index = usize::try_from(place).unwrap_or(usize::MAX);
            let Some(series) = all.get_mut(index) else { return };
            if let Some(histogram) = &mut series.histogram {
                histogram.record(series.metric.buckets, value);
            }
        }
        if !host.can(Capability::Metrics) {
            return;
        }
        let mut waiting = self.waiting.borrow_mut();
        waiting.values.push((place, value));
        if waiting.values.len() >= MOST_WAITING {
            drop(waiting);
            self.tell(host);
        }
    }

    /// A request is over: the proxy is told at once where no tick does it.
    pub fn settle(&self, host: &dyn Host) {
        if self.over.get() || !host.can(Capability::Tick) {
            self.tell(host);
        }
    }

    /// No tick comes any more.
    pub fn end(&self, host: &dyn Host) {
        self.over.set(true);
        self.tell(host);
    }

    /// Tells the proxy what it does not know yet.
    pub fn tell(&self, host: &dyn Host) {
        let mut waiting = self.waiting.borrow_mut();
        let Waiting { changed, values } = &mut *waiting;
        let mut all = self.series.borrow_mut();
        let tells = host.can(Capability::Metrics);
        for place in changed.drain(..) {
            let index = usize::try_from(place).unwrap_or(usize::MAX);
            let Some(series) = all.get_mut(index) else { continue };
            series.changed = false;
            let Some(id) = tells.then(|| self.id_of(host, series)).flatten() else { continue };
            let by = series.number.saturating_sub(series.told);
            series.told = series.number;
            let _ = match series.set {
                true => host.record_metric(id, u64::try_from(series.number).unwrap_or(0)),
                false if by == 0 => continue,
                false => host.add_metric(id, by),
            };
        }
        for (place, value) in values.drain(..) {
            let index = usize::try_from(place).unwrap_or(usize::MAX);
            let Some(series) = all.get_mut(index) else { continue };
            if let Some(id) = self.id_of(host, series) {
                let _ = host.record_metric(id, value);
            }
        }
    }

    /// A series' metric in the proxy.
    fn id_of(&self, host: &dyn Host, series: &mut Series) -> Option<MetricId> {
        if series.id.is_none() {
            let name = self.name(series.metric, &series.key);
            series.id = host.metric(series.metric.kind, &name).ok();
        }
        series.id
    }

    fn name(&self, metric: &Definition, key: &Key) -> String {
        let mut name = String::from(metric.name);
        name.push_str(&self.site);
        for (id, label) in key.values.iter().zip(metric.labels) {
            let value = self.values.value(*label, *id);
            name.push(SEPARATOR);
            name.push_str(label.name());
            name.push('=');
            name.push_str(&names::escape(&value));
        }
        name
    }

    /// All series that OTLP gets: the metric, its labels' values and where it stands.
    pub fn each(&self, mut show: impl FnMut(&'static Definition, &[(Label, &str)], Total<'_>)) {
        if !self.totals {
            return;
        }
        let all = self.series.borrow();
        let mut all: Vec<_> = all.iter().collect();
        // One order in every export: a metric's series stand together.
        shared::sort::by_key(&mut all, |series| series.key);
        for series in all {
            let total = match &series.histogram {
                Some(histogram) => Total::Histogram(histogram),
                None => Total::Number(series.number),
            };
            let values: Vec<_> = series
                .key
                .values
                .iter()
                .zip(series.metric.labels)
                .map(|(id, label)| (*label, self.values.value(*label, *id)))
                .collect();
            let values: Vec<_> = values.iter().map(|(label, value)| (*label, &**value)).collect();
            show(series.metric, &values, total);
        }
    }
}

impl Key {
    /// The series of a metric whose labels have these values.
    pub(crate) fn of(metric: &Definition, id: impl Fn(Label) -> ValueId) -> Key {
        let mut values = [OTHER_ID; MAX_LABELS];
        for (slot, label) in values.iter_mut().zip(metric.labels) {
            *slot = id(*label);
        }
        Key { metric: metric.place, values }
    }
}

impl Histogram {
    fn record(&mut self, bounds: &[u64], value: u64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(value);
        let bucket = bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
    }
}

fn site(site: &Site) -> String {
    let values = [&site.cloud, &site.region, &site.cluster];
    let named = SITE.into_iter().zip(values).filter(|(_, value)| !value.is_empty());
    named.map(|(name, value)| format!("{SEPARATOR}{name}={}", names::escape(value))).collect()
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;

    fn table(max_values: u16, max_series: u32) -> SeriesTable {
        let labels = crate::config::Labels { max_values, max_series };
        let site = Site { region: "eu".into(), ..Site::default() };
        SeriesTable::new(&Config { labels, site, ..Config::default() })
    }

    fn pii(table: &SeriesTable, host: &ScriptHost, kind: &str, consumer: &str) {
        table.add(host, &names::PII, Labels(&[kind, consumer]), true, 1);
    }

    #[test]
    fn every_metric_fits_its_key_and_every_definition_is_listed() {
        assert!(names::ALL.iter().all(|metric| metric.labels.len() <= MAX_LABELS));
    }

    #[test]
    fn a_series_has_the_site_and_its_labels_in_its_name() {
        let (table, host) = (table(9, 9), ScriptHost::default());
        pii(&table, &host, "email", "a|b");
        pii(&table, &host, "email", "a|b");
        assert!(host.metrics.borrow().is_empty(), "it waits for the tick");
        table.tell(&host);
        table.tell(&host);
        assert_eq!(host.metric_value("ai_pii_total|region=eu|kind=email|consumer=a%7Cb"), 2);
    }

    #[test]
    fn what_is_folded_is_counted() {
        let (table, host) = (table(1, 99), ScriptHost::default());
        for consumer in ["a", "b", "c"] {
            pii(&table, &host, "email", consumer);
        }
        table.tell(&host);
        assert_eq!(host.metric_value("ai_pii_total|region=eu|kind=email|consumer=other"), 2);
        assert_eq!(host.metric_value("ai_metrics_folded_total|region=eu|what=consumer"), 2);
    }

    #[test]
    fn too_many_series_lose_their_extra_labels_and_then_themselves() {
        let (table, host) = (table(99, 2), ScriptHost::default());
        for n in 0..20 {
            pii(&table, &host, &format!("k{n}"), "a");
        }
        table.tell(&host);
        assert_eq!(table.series.borrow().len(), 4);
        assert_eq!(host.metric_value("ai_pii_total|region=eu|kind=k2|consumer=other"), 1);
    }

    #[test]
    fn totals_are_kept_for_the_export_alone() {
        let host = ScriptHost::default();
        let config = r#"{"otlp":{"upstream":"otel"}}"#;
        let config: Config = shared::config::parse(config.as_bytes()).unwrap();
        let table = SeriesTable::new(&config);
        let key =
            table.key(&host, &names::FIRST_TOKEN_TIME, Labels(&["chat", "o", "m", "m"]), true);
        let place = table.place(&host, key).unwrap();
        for value in [0, 1, 2, 60_000] {
            table.record_at(&host, place, value);
        }
        let mut seen = Vec::new();
        table.each(|metric, labels, total| {
            let Total::Histogram(histogram) = total else { panic!() };
            seen.push((metric.name, labels.len(), histogram.clone()));
        });
        let (name, labels, histogram) = seen.remove(0);
        assert_eq!((name, labels), (names::FIRST_TOKEN_TIME.name, 4));
        assert_eq!((histogram.count, histogram.sum), (4, 60_003));
        assert_eq!(histogram.buckets[..2], [2, 1]);
        assert_eq!(histogram.buckets.last(), Some(&1));
    }
}
