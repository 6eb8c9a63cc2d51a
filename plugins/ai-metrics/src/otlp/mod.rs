//! Metrics and spans for an OpenTelemetry collector: OTLP over HTTP, in JSON.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>. Metrics are cumulative, so an export that fails
//! loses nothing but its time; spans wait in a bounded queue until they have been taken. Each of the two
//! has at most one export under way, and backs off when the collector is overloaded or gone.

mod encode;
mod lane;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use shared::config::{ConfigError, Secret};
use shared::filter::CallReply;
use shared::host::{Call, CallId, Capability, Host};

use crate::config::{self, Site};
use crate::names;
use crate::record::Record;
use crate::series::{Labels, SeriesTable};
use encode::Resource;
use lane::{Lane, Verdict};

/// Most spans of one export.
const BATCH: usize = 512;

/// Sends what there is.
#[derive(Debug)]
pub struct Exporter {
    config: config::Otlp,
    headers: Vec<(String, Secret)>,
    resource: RefCell<Resource>,
    spans: RefCell<VecDeque<String>>,
    /// Spans that are part of the export under way.
    sent: Cell<usize>,
    metrics_lane: Lane,
    traces_lane: Lane,
    /// What the request at hand exports, on a host without a timer.
    on_request: Cell<Option<What>>,
}

/// What an export has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Metrics,
    Traces,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Metrics => "metrics",
            What::Traces => "traces",
        }
    }
}

impl Exporter {
    /// Checks a configuration.
    pub fn new(config: config::Otlp, site: &Site) -> Result<Exporter, ConfigError> {
        if config.upstream.is_empty() {
            return Err(ConfigError::new(
                "otlp.upstream",
                "name the collector's cluster (on APISIX its `host:port`)",
            ));
        }
        if !matches!(config.scheme.as_str(), "http" | "https") {
            return Err(ConfigError::new("otlp.scheme", "must be `http` or `https`"));
        }
        if !(0.0..=1.0).contains(&config.traces) {
            return Err(ConfigError::new("otlp.traces", "must be between 0 and 1"));
        }
        if config.period_ms < 100 || config.timeout_ms == 0 {
            return Err(ConfigError::new(
                "otlp",
                "`period_ms` must be 100 or more and `timeout_ms` 1 or more",
            ));
        }
        if !config.path.is_empty() && !config.path.starts_with('/') {
            return Err(ConfigError::new("otlp.path", "must begin with `/`"));
        }
        let named = |name: &String| {
            let ok = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !name.is_empty() && name.bytes().all(ok)
        };
        if let Some(name) = config.headers.keys().find(|name| !named(name)) {
            return Err(ConfigError::new(
                "otlp.headers",
                format!("`{}` is no name of a header", name.escape_debug()),
            ));
        }
        let headers = config.headers.iter();
        Ok(Exporter {
            headers: headers.map(|(name, key)| (name.to_ascii_lowercase(), key.clone())).collect(),
            resource: RefCell::new(Resource::new(&config.service_name, site)),
            spans: RefCell::default(),
            sent: Cell::new(0),
            metrics_lane: Lane::default(),
            traces_lane: Lane::default(),
            on_request: Cell::new(None),
            config,
        })
    }

    /// The share of requests whose span is sent; `None` if none is.
    pub fn trace_ratio(&self) -> Option<f64> {
        (self.config.traces > 0.0).then_some(self.config.traces)
    }

    /// A request is over: its span waits for the next export.
    pub fn span(&self, host: &dyn Host, series: &SeriesTable, record: &Record) {
        let Some(trace) = record.trace.filter(|trace| trace.sampled) else { return };
        let mut spans = self.spans.borrow_mut();
        if spans.len() >= self.config.max_queue {
            drop(spans);
            series.add(host, &names::DROPPED, Labels(&["span"]), true, 1);
            return;
        }
        spans.push_back(encode::span(record, trace));
    }

    /// Exports what is due.
    pub fn tick(&self, host: &dyn Host, series: &SeriesTable) {
        for what in [What::Metrics, What::Traces] {
            if let Some(call) = self.due(host, series, what) {
                match host.call(&call) {
                    Ok(id) => self.lane(what).started(host.now_nanos(), Some(id)),
                    // As a collector that is not there.
                    Err(_) => self.ended(host, series, what, &CallReply::failed()),
                }
            }
        }
    }

    /// An export was answered.
    pub fn called(&self, host: &dyn Host, series: &SeriesTable, call: CallId, reply: &CallReply) {
        for what in [What::Metrics, What::Traces] {
            if self.lane(what).is(call) {
                return self.ended(host, series, what, reply);
            }
        }
    }

    /// Whether requests make exports where there is no timer.
    pub fn exports_on_requests(&self) -> bool {
        self.config.on_requests
    }

    /// An export that a request is to make, on a host without a timer.
    pub fn due_on_request(&self, host: &dyn Host, series: &SeriesTable) -> Option<Call> {
        if !self.config.on_requests || host.can(Capability::Tick) {
            return None;
        }
        // Of a request whose client has left nobody hears what came of its export.
        let (now, timeout) =
            (host.now_nanos(), Duration::from_millis(self.config.timeout_ms.into()));
        if self.on_request.get().is_some_and(|what| !self.lane(what).is_due(now, timeout)) {
            return None;
        }
        let found = [What::Metrics, What::Traces]
            .into_iter()
            .find_map(|what| Some((what, self.due(host, series, what)?)));
        let (what, call) = found?;
        self.on_request.set(Some(what));
        self.lane(what).started(host.now_nanos(), None);
        Some(call)
    }

    /// It was answered.
    pub fn exported_on_request(&self, host: &dyn Host, series: &SeriesTable, reply: &CallReply) {
        if let Some(what) = self.on_request.take() {
            self.ended(host, series, what, reply);
        }
    }

    fn lane(&self, what: What) -> &Lane {
        match what {
            What::Metrics => &self.metrics_lane,
            What::Traces => &self.traces_lane,
        }
    }

    /// What is to be sent now, if it is time and there is something.
    fn due(&self, host: &dyn Host, series: &SeriesTable, what: What) -> Option<Call> {
        let now = host.now_nanos();
        let timeout = Duration::from_millis(self.config.timeout_ms.into());
        if !self.lane(what).is_due(now, timeout) {
            return None;
        }
        let mut resource = self.resource.borrow_mut();
        resource.started(host);
        let body = match what {
            What::Metrics if !self.config.metrics => return None,
            What::Metrics => encode::metrics(&resource, series, now)?,
            What::Traces => {
                let spans = self.spans.borrow();
                let batch = spans.len().min(BATCH);
                if batch == 0 {
                    return None;
                }
                self.sent.set(batch);
                encode::traces(&resource, spans.iter().take(batch))
            }
        };
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(self.headers.iter().map(|(n, key)| (n.clone(), key.expose().to_owned())));
        Some(Call {
            upstream: self.config.upstream.clone(),
            scheme: self.config.scheme.clone(),
            authority: self.config.authority.as_ref().unwrap_or(&self.config.upstream).clone(),
            method: "POST".into(),
            path: format!("{}/v1/{}", self.config.path.trim_end_matches('/'), what.name()),
            headers,
            body: body.into_bytes(),
            timeout,
        })
    }

    fn ended(&self, host: &dyn Host, series: &SeriesTable, what: What, reply: &CallReply) {
        let period = Duration::from_millis(self.config.period_ms.into());
        let verdict = self.lane(what).ended(host, reply, period);
        if what == What::Traces && verdict != Verdict::Again {
            let mut spans = self.spans.borrow_mut();
            let sent = self.sent.take().min(spans.len());
            spans.drain(..sent);
            let more = !spans.is_empty();
            drop(spans);
            if verdict == Verdict::Refused {
                let lost = i64::try_from(sent).unwrap_or(i64::MAX);
                series.add(host, &names::DROPPED, Labels(&["span"]), true, lost);
            } else if more {
                self.traces_lane.hurry();
            }
        }
        let labels = [what.name(), verdict.name()];
        series.add(host, &names::EXPORTS, Labels(&labels), true, 1);
    }
}
