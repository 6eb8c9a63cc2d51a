//! The series: where values go, to the proxy's metrics and to the OTLP export.

use std::cell::RefCell;

use rustc_hash::FxHashMap;
use shared::host::{Capability, Host, MetricId, MetricKind};

use crate::config::{Config, Site};
use crate::labels::{OTHER_ID, ValueId, Values};
use crate::names::{self, Definition, Label, SEPARATOR, SITE};

/// Most labels of a metric.
const MAX_LABELS: usize = 13;

/// A metric and the numbers of its labels' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    metric: usize,
    values: [ValueId; MAX_LABELS],
}

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Total {
    /// Of a counter or gauge.
    Number(i64),
    /// Of a histogram.
    Histogram(Histogram),
}

#[derive(Debug)]
struct Series {
    /// Its metric in the proxy; `None` where the proxy has none.
    id: Option<MetricId>,
    /// Its place in OTLP's totals.
    total: Option<Total>,
}

/// All series of a worker.
#[derive(Debug)]
pub struct SeriesTable {
    values: Values,
    site: String,
    max: usize,
    /// Whether totals are kept for OTLP.
    totals: bool,
    /// The numbers of a key are given out here: nobody can choose them so that they collide.
    table: RefCell<FxHashMap<Key, Series>>,
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
            table: RefCell::default(),
        }
    }

    /// The numbers of the values. Those for which there is no room are counted and become `other`.
    pub fn ids(
        &self,
        host: &dyn Host,
        metric: &Definition,
        labels: Labels<'_>,
        trusted: bool,
    ) -> [ValueId; MAX_LABELS] {
        let mut ids = [OTHER_ID; MAX_LABELS];
        for ((slot, label), value) in ids.iter_mut().zip(metric.labels).zip(labels.0) {
            // Only a model's name is the client's own words.
            let trusted = trusted || !matches!(label, Label::RequestModel | Label::ResponseModel);
            match self.values.id(host, *label, value, trusted) {
                Some(id) => *slot = id,
                None => self.fold(host, *label),
            }
        }
        ids
    }

    fn fold(&self, host: &dyn Host, label: Label) {
        // Its own label has no more values than there are labels, so this does not come back.
        if label != Label::What {
            self.add(host, &names::FOLDED, Labels(&[label.name()]), true, 1);
        }
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
        let ids = self.ids(host, metric, labels, trusted);
        self.change(
            host,
            metric,
            ids,
            |host, id| host.add_metric(id, by),
            |total| {
                if let Total::Number(number) = total {
                    *number = number.saturating_add(by);
                }
            },
        );
    }

    /// Sets a gauge, or gives a histogram one more value.
    pub fn record(
        &self,
        host: &dyn Host,
        metric: &'static Definition,
        labels: Labels<'_>,
        trusted: bool,
        value: u64,
    ) {
        let ids = self.ids(host, metric, labels, trusted);
        self.change(
            host,
            metric,
            ids,
            |host, id| host.record_metric(id, value),
            |total| match total {
                Total::Number(number) => *number = i64::try_from(value).unwrap_or(i64::MAX),
                Total::Histogram(histogram) => histogram.record(metric.buckets, value),
            },
        );
    }

    fn change(
        &self,
        host: &dyn Host,
        metric: &'static Definition,
        ids: [ValueId; MAX_LABELS],
        tell: impl Fn(&dyn Host, MetricId) -> Result<(), shared::host::HostError>,
        total: impl FnOnce(&mut Total),
    ) {
        let place = names::ALL.iter().position(|other| std::ptr::eq(*other, metric));
        let Some(place) = place else { return };
        let mut key = Key { metric: place, values: ids };
        let mut table = self.table.borrow_mut();
        if !table.contains_key(&key) {
            if table.len() >= self.max {
                for (slot, label) in key.values.iter_mut().zip(metric.labels) {
                    if label.is_extra() {
                        *slot = OTHER_ID;
                    }
                }
            }
            if !table.contains_key(&key) {
                if table.len() >= self.max.saturating_mul(2) {
                    drop(table);
                    if metric.name != names::DROPPED.name {
                        self.add(host, &names::DROPPED, Labels(&["series"]), true, 1);
                    }
                    return;
                }
                let series = self.make(host, metric, &key);
                table.insert(key, series);
            }
        }
        let Some(series) = table.get_mut(&key) else { return };
        if let Some(id) = series.id {
            let _ = tell(host, id);
        }
        if let Some(kept) = &mut series.total {
            total(kept);
        }
    }

    fn make(&self, host: &dyn Host, metric: &Definition, key: &Key) -> Series {
        let id = host
            .can(Capability::Metrics)
            .then(|| host.metric(metric.kind, &self.name(metric, key)).ok());
        let total = self.totals.then(|| match metric.kind {
            MetricKind::Counter | MetricKind::Gauge => Total::Number(0),
            MetricKind::Histogram => {
                let buckets = vec![0; metric.buckets.len().saturating_add(1)];
                Total::Histogram(Histogram { count: 0, sum: 0, buckets })
            }
        });
        Series { id: id.flatten(), total }
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
    pub fn each(&self, mut show: impl FnMut(&'static Definition, &[(Label, &str)], &Total)) {
        let table = self.table.borrow();
        let mut keys: Vec<_> = table.iter().collect();
        // One order in every export: a metric's series stand together.
        keys.sort_by_key(|(key, _)| (key.metric, key.values));
        for (key, series) in keys {
            let (Some(metric), Some(total)) = (names::ALL.get(key.metric), &series.total) else {
                continue;
            };
            let values: Vec<_> = key
                .values
                .iter()
                .zip(metric.labels)
                .map(|(id, label)| (*label, self.values.value(*label, *id)))
                .collect();
            let values: Vec<_> = values.iter().map(|(label, value)| (*label, &**value)).collect();
            show(metric, &values, total);
        }
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
        assert_eq!(host.metric_value("ai_pii_total|region=eu|kind=email|consumer=a%7Cb"), 2);
    }

    #[test]
    fn what_is_folded_is_counted() {
        let (table, host) = (table(1, 99), ScriptHost::default());
        for consumer in ["a", "b", "c"] {
            pii(&table, &host, "email", consumer);
        }
        assert_eq!(host.metric_value("ai_pii_total|region=eu|kind=email|consumer=other"), 2);
        assert_eq!(host.metric_value("ai_metrics_folded_total|region=eu|what=consumer"), 2);
    }

    #[test]
    fn too_many_series_lose_their_extra_labels_and_then_themselves() {
        let (table, host) = (table(99, 2), ScriptHost::default());
        for n in 0..20 {
            pii(&table, &host, &format!("k{n}"), "a");
        }
        assert_eq!(table.table.borrow().len(), 4);
        assert_eq!(host.metric_value("ai_pii_total|region=eu|kind=k2|consumer=other"), 1);
    }

    #[test]
    fn totals_are_kept_for_the_export_alone() {
        let host = ScriptHost::default();
        let config = r#"{"otlp":{"upstream":"otel"}}"#;
        let config: Config = shared::config::parse(config.as_bytes()).unwrap();
        let table = SeriesTable::new(&config);
        let labels = Labels(&["chat", "o", "m", "m"]);
        for value in [0, 1, 2, 60_000] {
            table.record(&host, &names::FIRST_TOKEN_TIME, labels, true, value);
        }
        let mut seen = Vec::new();
        table.each(|metric, labels, total| seen.push((metric.name, labels.len(), total.clone())));
        let (name, labels, Total::Histogram(histogram)) = seen.remove(0) else { panic!() };
        assert_eq!((name, labels), (names::FIRST_TOKEN_TIME.name, 4));
        assert_eq!((histogram.count, histogram.sum), (4, 60_003));
        assert_eq!(histogram.buckets[..2], [2, 1]);
        assert_eq!(histogram.buckets.last(), Some(&1));
    }
}
