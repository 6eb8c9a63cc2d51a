//! ai-auth: who may ask, and for what.
//!
//! Finds out who asks, from a key, a token or what the proxy itself has proved, and holds the request
//! against what that consumer may do. The other plugins are told by facts; the provider is told nothing.

pub mod access;
pub mod asked;
pub mod auth;
pub mod config;
pub mod credentials;
pub mod directory;
mod filter;
pub mod jwt;
pub mod key;
pub mod lookup;

use std::rc::Rc;
use std::time::Duration;

use shared::config::{ConfigError, Mode, parse};
use shared::exchange::Settings;
use shared::filter::{CallReply, Filter};
use shared::host::{CallId, Host};
use shared::plugin::{Plugin, Setup};

use auth::Auth;

/// How often the plugin looks whether something is due.
const PERIOD: Duration = Duration::from_secs(1);

/// The configured plugin.
#[derive(Debug)]
pub struct AiAuth {
    auth: Rc<Auth>,
}

/// Reads the configuration.
pub fn configure(setup: Setup<'_>) -> Result<Rc<dyn Plugin>, ConfigError> {
    Ok(Rc::new(AiAuth::new(parse(setup.config)?)?))
}

impl AiAuth {
    /// Checks a configuration.
    pub fn new(config: config::Config) -> Result<AiAuth, ConfigError> {
        Ok(AiAuth { auth: Rc::new(Auth::new(config)?) })
    }
}

impl Plugin for AiAuth {
    fn settings(&self) -> Settings {
        self.auth.settings()
    }

    fn filters(self: Rc<Self>) -> Vec<Box<dyn Filter>> {
        if self.auth.mode == Mode::Off {
            return Vec::new();
        }
        vec![Box::new(filter::AuthFilter::new(Rc::clone(&self.auth)))]
    }

    fn tick_period(&self) -> Option<Duration> {
        self.auth.fetches().then_some(PERIOD)
    }

    fn tick(&self, host: &dyn Host) {
        self.auth.tick(host);
    }

    fn called(&self, host: &dyn Host, call: CallId, reply: CallReply) {
        self.auth.called(host, call, &reply);
    }
}

#[cfg(feature = "entry")]
shared::register!(configure);
