//! ai-metrics: what every request, model and consumer uses, costs and how it fares.
//!
//! Looks at each request and its answer as they pass, and when a request is over puts together what was
//! seen and what the other plugins have stated into one [`record::Record`]. From that record come the
//! proxy's metrics, the OTLP export, the access log, the report and the detection of drift; so they all
//! say the same.

pub mod access_log;
pub mod admin;
pub mod answer;
pub mod config;
pub mod drift;
pub mod emit;
mod filter;
mod group;
pub mod labels;
pub mod language;
pub mod metrics;
pub mod names;
mod nginx;
pub mod otlp;
pub mod record;
pub mod report;
pub mod request;
mod scan;
pub mod series;
pub mod sketch;
pub mod tokens;
pub mod trace;

use std::rc::Rc;
use std::time::Duration;

use shared::config::{ConfigError, Mode, parse};
use shared::exchange::Settings;
use shared::filter::{CallReply, Filter};
use shared::host::{CallId, Host};
use shared::plugin::{Need, Plugin, Setup};

use metrics::Metrics;

/// How often the plugin looks whether something is due.
const PERIOD: Duration = Duration::from_millis(500);

/// The configured plugin.
#[derive(Debug)]
pub struct AiMetrics {
    metrics: Rc<Metrics>,
}

/// Reads the configuration.
pub fn configure(setup: Setup<'_>) -> Result<Rc<dyn Plugin>, ConfigError> {
    Ok(Rc::new(AiMetrics::new(parse(setup.config)?)?))
}

impl AiMetrics {
    /// Checks a configuration.
    pub fn new(config: config::Config) -> Result<AiMetrics, ConfigError> {
        Ok(AiMetrics { metrics: Rc::new(Metrics::new(config)?) })
    }
}

impl Plugin for AiMetrics {
    fn settings(&self) -> Settings {
        self.metrics.settings()
    }

    fn filters(self: Rc<Self>) -> Vec<Box<dyn Filter>> {
        if self.metrics.mode == Mode::Off {
            return Vec::new();
        }
        vec![Box::new(self.metrics.filter())]
    }

    fn needs(&self) -> Vec<Need> {
        if self.metrics.mode == Mode::Off { Vec::new() } else { self.metrics.needs() }
    }

    fn tick_period(&self) -> Option<Duration> {
        (self.metrics.mode != Mode::Off).then_some(PERIOD)
    }

    fn tick(&self, host: &dyn Host) {
        self.metrics.tick(host);
    }

    fn ended(&self, host: &dyn Host) {
        self.metrics.ended(host);
    }

    fn called(&self, host: &dyn Host, call: CallId, reply: CallReply) {
        self.metrics.called(host, call, &reply);
    }
}

#[cfg(feature = "entry")]
shared::register!(configure);
