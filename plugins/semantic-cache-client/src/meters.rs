//! What the plugin counts. Metrics are looked up in the proxy once.

use shared::small_map::SmallMap;
use std::cell::RefCell;

use shared::host::{Capability, Host, MetricId, MetricKind};

/// Metrics by name.
#[derive(Debug, Default)]
pub struct Meters {
    known: RefCell<SmallMap<String, MetricId>>,
}

impl Meters {
    /// Adds to a counter. Labels are part of the name: `|result=miss`.
    pub fn count(&self, host: &dyn Host, name: &str, by: u64) {
        if by > 0
            && let Some(metric) = self.metric(host, MetricKind::Counter, name)
        {
            let _ = host.add_metric(metric, i64::try_from(by).unwrap_or(i64::MAX));
        }
    }

    /// Gives a histogram a value.
    pub fn record(&self, host: &dyn Host, name: &str, value: u64) {
        if let Some(metric) = self.metric(host, MetricKind::Histogram, name) {
            let _ = host.record_metric(metric, value);
        }
    }

    fn metric(&self, host: &dyn Host, kind: MetricKind, name: &str) -> Option<MetricId> {
        if !host.can(Capability::Metrics) {
            return None;
        }
        if let Some(known) = self.known.borrow().get(name) {
            return Some(*known);
        }
        let metric = host.metric(kind, name).ok()?;
        self.known.borrow_mut().insert(name.to_owned(), metric);
        Some(metric)
    }
}
