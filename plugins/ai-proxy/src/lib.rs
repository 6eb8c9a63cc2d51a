//! ai-proxy: one API over all providers.
//!
//! Reads which model is asked for, sends the request to a provider that has it, in that provider's
//! protocol and with its key, and turns the answer back into the client's protocol, event by event.

pub mod answer;
pub mod asked;
pub mod attempt;
pub mod auth;
pub mod base_url;
pub mod config;
pub mod filters;
pub mod gateway;
pub mod keys;
pub mod models;
pub mod names;
pub mod overrides;
pub mod percent;
pub mod presets;
pub mod provider;
pub mod translate;
pub mod wire;

use std::rc::Rc;

use shared::config::{ConfigError, Mode, parse};
use shared::exchange::Settings;
use shared::filter::Filter;
use shared::plugin::{Plugin, Setup};

use gateway::Gateway;

/// The configured plugin.
#[derive(Debug)]
pub struct AiProxy {
    gateway: Rc<Gateway>,
}

/// Reads the configuration.
pub fn configure(setup: Setup<'_>) -> Result<Rc<dyn Plugin>, ConfigError> {
    Ok(Rc::new(AiProxy::new(parse(setup.config)?, setup.vm_config)?))
}

impl AiProxy {
    /// Checks a configuration; `vm_config` is the role's name, or empty.
    pub fn new(config: config::Config, vm_config: &[u8]) -> Result<AiProxy, ConfigError> {
        Ok(AiProxy { gateway: Rc::new(Gateway::new(config, vm_config)?) })
    }
}

impl Plugin for AiProxy {
    fn settings(&self) -> Settings {
        self.gateway.settings()
    }

    fn filters(self: Rc<Self>) -> Vec<Box<dyn Filter>> {
        if self.gateway.mode == Mode::Off {
            return Vec::new();
        }
        vec![filters::filter(Rc::clone(&self.gateway))]
    }
}

#[cfg(feature = "entry")]
shared::register!(configure);
