//! The configured plugin's state: everything that the requests of one worker add to.

use std::borrow::Cow;
use std::rc::Rc;

use serde::Deserialize;
use shared::config::{ConfigError, Mode};
use shared::exchange::{Limits, Settings};
use shared::filter::{CallReply, Cx, Outcome};
use shared::host::{Call, CallId, Capability, Host};
use shared::plugin::Need;

use crate::access_log::AccessLog;
use crate::config::{Config, Inputs};
use crate::drift::Drift;
use crate::emit::emit;
use crate::otlp::Exporter;
use crate::record::{Record, Seen};
use crate::report::Report;
use crate::series::SeriesTable;
use shared::price::Prices;
use shared::services::Services;

/// All of it.
#[derive(Debug)]
pub struct Metrics {
    /// What the plugin does.
    pub mode: Mode,
    /// What of a request's body is looked at.
    pub inputs: Inputs,
    /// The metrics.
    pub series: SeriesTable,
    /// What is compared.
    pub report: Report,
    /// What is watched for changes.
    pub drift: Drift,
    prices: Prices,
    log: AccessLog,
    otlp: Option<Exporter>,
    team_tag: String,
    settings: Settings,
}

impl Metrics {
    /// Checks a configuration.
    pub fn new(config: Config) -> Result<Metrics, ConfigError> {
        let limits =
            Limits { request: config.max_request_bytes, response: config.max_response_bytes };
        let series = SeriesTable::new(&config);
        Ok(Metrics {
            mode: config.mode,
            inputs: config.inputs,
            series,
            report: Report::new(&config.report),
            drift: Drift::new(config.drift)?,
            prices: Prices::new(config.prices)?,
            log: AccessLog::new(&config.access_log)?,
            otlp: config.otlp.map(|otlp| Exporter::new(otlp, &config.site)).transpose()?,
            team_tag: config.team_tag,
            settings: Settings {
                limits,
                services: Services::new(&config.services, "services")?,
                ..Settings::default()
            },
        })
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings.clone()
    }

    pub(crate) fn filter(self: &Rc<Self>) -> crate::filter::MetricsFilter {
        crate::filter::MetricsFilter::new(Rc::clone(self))
    }

    /// What the proxy has to be able to do for this.
    pub(crate) fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        if self.otlp.as_ref().is_some_and(|otlp| !otlp.exports_on_requests()) {
            let message = "this proxy has no timer by which exports could be made; set `on_requests: true`, \
                           and requests make them";
            needs.push(Need::new(Capability::Tick, "otlp", message));
        }
        if self.report.enabled() {
            let message = "this proxy has no timer by which its workers could add up what they have seen; \
                           leave it out, and read the proxy's own metrics of models";
            needs.push(Need::new(Capability::Tick, "report", message));
        }
        needs
    }

    pub(crate) fn trace_ratio(&self) -> Option<f64> {
        self.otlp.as_ref().and_then(Exporter::trace_ratio)
    }

    pub(crate) fn takes_feedback(&self) -> bool {
        self.report.takes_feedback()
    }

    /// A user has told what an answer was like: the fact that ai-proxy states of it.
    pub(crate) fn voted(&self, host: &dyn Host, fact: &str) {
        let Ok(vote) = serde_json::from_str::<Vote<'_>>(fact) else { return };
        let subject = (&*vote.provider, &*vote.model, &*vote.variant);
        let _ = self.report.feedback(host, &self.series, subject, vote.score);
    }

    /// A request is over.
    pub(crate) fn finished(&self, cx: &mut Cx<'_>, seen: &Seen, outcome: Outcome) {
        let host = cx.host;
        let record = Record::new(host, cx.facts, seen, outcome, &self.prices, &self.team_tag);
        emit(&self.series, host, &record);
        self.drift.observe(host, &self.series, &record);
        self.report.add(host, &self.series, &record);
        if let Some(otlp) = &self.otlp {
            otlp.span(host, &self.series, &record);
        }
        self.log.write(host, &record);
        self.series.settle(host);
    }

    /// No tick comes any more, and what waited for it is told.
    pub(crate) fn ended(&self, host: &dyn Host) {
        self.drift.look(host, &self.series);
        self.report.show(host);
        self.series.end(host);
    }

    pub(crate) fn tick(&self, host: &dyn Host) {
        self.report.tick(host);
        self.drift.tick(host, &self.series);
        if let Some(otlp) = &self.otlp {
            otlp.tick(host, &self.series);
        }
        self.series.tell(host);
    }

    pub(crate) fn called(&self, host: &dyn Host, call: CallId, reply: &CallReply) {
        if let Some(otlp) = &self.otlp {
            otlp.called(host, &self.series, call, reply);
        }
    }

    /// An export that a request is to make, on a host without a timer.
    pub(crate) fn due_on_request(&self, host: &dyn Host) -> Option<Call> {
        self.otlp.as_ref()?.due_on_request(host, &self.series)
    }

    pub(crate) fn exported_on_request(&self, host: &dyn Host, reply: &CallReply) {
        if let Some(otlp) = &self.otlp {
            otlp.exported_on_request(host, &self.series, reply);
        }
    }
}

/// A vote, as [`shared::facts::Fact::Feedback`] has it.
#[derive(Deserialize)]
struct Vote<'a> {
    #[serde(borrow)]
    provider: Cow<'a, str>,
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    variant: Cow<'a, str>,
    score: f64,
}
