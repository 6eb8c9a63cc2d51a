//! What the plugin counts. Metrics are looked up in the proxy once, and told it by the tick, which adds up
//! what many requests have counted; where there is no tick, at once.

use shared::small_map::SmallMap;
use std::cell::{Cell, RefCell};

use shared::host::{Capability, Host, MetricId, MetricKind};

/// Most values of histograms that wait for the tick; then they are told at once.
const MOST: usize = 4096;

/// Metrics by name.
#[derive(Debug, Default)]
pub struct Meters {
    known: RefCell<SmallMap<String, (MetricId, u64)>>,
    values: RefCell<Vec<(MetricId, u64)>>,
    /// Something waits.
    waits: Cell<bool>,
}

impl Meters {
    /// Adds to a counter. Labels are part of the name: `|result=miss`.
    pub fn count(&self, host: &dyn Host, name: &str, by: u64) {
        if by > 0
            && let Some(metric) = self.metric(host, MetricKind::Counter, name, by)
        {
            add(host, metric, by);
        }
    }

    /// Gives a histogram a value.
    pub fn record(&self, host: &dyn Host, name: &str, value: u64) {
        let Some(metric) = self.metric(host, MetricKind::Histogram, name, 0) else { return };
        let mut values = self.values.borrow_mut();
        if host.can(Capability::Tick) && values.len() < MOST {
            values.push((metric, value));
            self.waits.set(true);
        } else {
            let _ = host.record_metric(metric, value);
        }
    }

    /// Tells the proxy what has been counted.
    pub fn tell(&self, host: &dyn Host) {
        if !self.waits.replace(false) {
            return;
        }
        for (metric, counted) in self.known.borrow_mut().values_mut() {
            let by = std::mem::take(counted);
            if by > 0 {
                add(host, *metric, by);
            }
        }
        for (metric, value) in self.values.borrow_mut().drain(..) {
            let _ = host.record_metric(metric, value);
        }
    }

    /// The metric, if it is to be told at once; `by` is kept if not.
    fn metric(&self, host: &dyn Host, kind: MetricKind, name: &str, by: u64) -> Option<MetricId> {
        if !host.can(Capability::Metrics) {
            return None;
        }
        let waits = by > 0 && host.can(Capability::Tick);
        let kept = if waits { by } else { 0 };
        let mut known = self.known.borrow_mut();
        let metric = match known.get_mut(name) {
            Some((metric, counted)) => {
                *counted = counted.saturating_add(kept);
                *metric
            }
            None => {
                let metric = host.metric(kind, name).ok()?;
                known.insert(name.to_owned(), (metric, kept));
                metric
            }
        };
        if waits {
            self.waits.set(true);
        }
        (!waits).then_some(metric)
    }
}

fn add(host: &dyn Host, metric: MetricId, by: u64) {
    let _ = host.add_metric(metric, i64::try_from(by).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;

    #[test]
    fn what_is_counted_is_told_by_the_tick_once() {
        let (host, meters) = (ScriptHost::post("/"), Meters::default());
        meters.count(&host, "a", 2);
        meters.count(&host, "a", 3);
        meters.record(&host, "h", 7);
        assert_eq!(host.metric_value("a"), 0);
        meters.tell(&host);
        assert_eq!(host.metric_value("a"), 5);
        meters.tell(&host);
        assert_eq!(host.metric_value("a"), 5);
        meters.count(&host, "a", 1);
        meters.tell(&host);
        assert_eq!(host.metric_value("a"), 6);
    }

    #[test]
    fn without_a_tick_it_is_told_at_once() {
        let host = ScriptHost { cannot: [Capability::Tick].into(), ..ScriptHost::post("/") };
        let meters = Meters::default();
        meters.count(&host, "a", 2);
        assert_eq!(host.metric_value("a"), 2);
        meters.tell(&host);
        assert_eq!(host.metric_value("a"), 2);
    }
}
