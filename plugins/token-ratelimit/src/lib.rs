//! token-ratelimit: limits and budgets that hold, however many ask at once.
//!
//! Before a request goes on, what it will probably use is reserved of every rule that fits it; when it is
//! over, however it ended, the reservation is corrected to what was really used. So requests that run at
//! the same time see each other's use before it has happened.

pub mod account;
pub mod admin;
pub mod admitted;
pub mod alert;
pub mod ask;
mod check;
pub mod claim;
pub mod config;
pub mod cut;
mod filter;
pub mod forecast;
pub mod headers;
pub mod holt_winters;
pub mod learned;
pub mod limiter;
pub mod reported;
pub mod rule;
pub mod store;
mod tell;
pub mod terms;
pub mod window;
pub mod zone;

use std::rc::Rc;
use std::time::Duration;

use shared::config::{ConfigError, Mode, parse};
use shared::exchange::Settings;
use shared::filter::{CallReply, Filter};
use shared::host::{CallId, Host};
use shared::plugin::{Need, Plugin, Setup};

use limiter::Limiter;

/// The configured plugin.
#[derive(Debug)]
pub struct TokenRatelimit {
    limiter: Rc<Limiter>,
}

/// Reads the configuration.
pub fn configure(setup: Setup<'_>) -> Result<Rc<dyn Plugin>, ConfigError> {
    Ok(Rc::new(TokenRatelimit::new(parse(setup.config)?)?))
}

impl TokenRatelimit {
    /// Checks a configuration.
    pub fn new(config: config::Config) -> Result<TokenRatelimit, ConfigError> {
        Ok(TokenRatelimit { limiter: Rc::new(Limiter::new(config)?) })
    }
}

impl Plugin for TokenRatelimit {
    fn settings(&self) -> Settings {
        self.limiter.settings()
    }

    fn filters(self: Rc<Self>) -> Vec<Box<dyn Filter>> {
        if self.limiter.mode == Mode::Off {
            return Vec::new();
        }
        vec![Box::new(filter::LimitFilter::new(Rc::clone(&self.limiter)))]
    }

    fn needs(&self) -> Vec<Need> {
        if self.limiter.mode == Mode::Off { Vec::new() } else { self.limiter.needs() }
    }

    fn started(&self, host: &dyn Host) {
        if self.limiter.mode != Mode::Off {
            self.limiter.local.prepare(host);
        }
    }

    fn tick_period(&self) -> Option<Duration> {
        self.limiter.tick_period()
    }

    fn tick(&self, host: &dyn Host) {
        self.limiter.tick(host);
    }

    fn ended(&self, host: &dyn Host) {
        self.limiter.ended(host);
    }

    fn called(&self, host: &dyn Host, call: CallId, reply: CallReply) {
        self.limiter.called(host, call, &reply);
    }
}

#[cfg(feature = "entry")]
shared::register!(configure);
