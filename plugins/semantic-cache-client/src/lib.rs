//! semantic-cache-client: answers that were given before, to whom they may be given again.
//!
//! A request's name is a hash of all that may change its answer, of whose it is among them. An answer of
//! that name is served at once. If there is none, and questions are compared, one of the same context
//! that means the same may be served; what comes from the provider is kept once it is over.

pub mod admin;
pub mod answer;
pub mod ask;
pub mod bypass;
pub mod cache;
pub mod canonical;
pub mod config;
pub mod control;
pub mod embed;
mod filter;
pub mod judge;
mod keep;
pub mod key;
mod lookup;
pub mod meters;
pub mod outbox;
mod plain;
pub mod policy;
pub mod recent;
pub mod record;
pub mod remote;
pub mod semantic;
mod serve;
pub mod store;
mod told;
pub mod vector;
pub mod veto;

use std::rc::Rc;
use std::time::Duration;

use shared::config::{ConfigError, Mode, parse};
use shared::exchange::Settings;
use shared::filter::{CallReply, Filter};
use shared::host::{CallId, Host};
use shared::plugin::{Need, Plugin, Setup};

use cache::Cache;

/// How often what is to be sent is sent.
const TICK: Duration = Duration::from_millis(50);

/// How often what was counted is told, where nothing is to be sent.
const COUNTS: Duration = Duration::from_secs(1);

/// The configured plugin.
#[derive(Debug)]
pub struct SemanticCache {
    cache: Rc<Cache>,
}

/// Reads the configuration.
pub fn configure(setup: Setup<'_>) -> Result<Rc<dyn Plugin>, ConfigError> {
    Ok(Rc::new(SemanticCache::new(parse(setup.config)?)?))
}

impl SemanticCache {
    /// Checks a configuration.
    pub fn new(config: config::Config) -> Result<SemanticCache, ConfigError> {
        Ok(SemanticCache { cache: Rc::new(Cache::new(&config)?) })
    }
}

impl Plugin for SemanticCache {
    fn settings(&self) -> Settings {
        self.cache.policy.settings()
    }

    fn filters(self: Rc<Self>) -> Vec<Box<dyn Filter>> {
        if self.cache.policy.mode == Mode::Off {
            return Vec::new();
        }
        vec![Box::new(filter::CacheFilter::new(Rc::clone(&self.cache)))]
    }

    fn needs(&self) -> Vec<Need> {
        if self.cache.policy.mode == Mode::Off { Vec::new() } else { self.cache.needs() }
    }

    fn started(&self, host: &dyn Host) {
        if self.cache.policy.mode != Mode::Off {
            self.cache.prepare(host);
        }
    }

    fn tick_period(&self) -> Option<Duration> {
        let period = if self.cache.sends() { TICK } else { COUNTS };
        (self.cache.policy.mode != Mode::Off).then_some(period)
    }

    fn tick(&self, host: &dyn Host) {
        self.cache.meters.tell(host);
        self.cache.outbox.tick(&self.cache, host);
    }

    fn ended(&self, host: &dyn Host) {
        self.cache.meters.tell(host);
        self.cache.outbox.ended(&self.cache);
    }

    fn called(&self, host: &dyn Host, call: CallId, reply: CallReply) {
        self.cache.outbox.called(&self.cache, host, call, &reply);
    }
}

#[cfg(feature = "entry")]
shared::register!(configure);
