//! ai-proxy: one API over all providers.
//!
//! Reads which model is asked for, sends the request to a provider that has it, in that provider's
//! protocol and with its key, and turns the answer back into the client's protocol, event by event.

pub mod admin;
pub mod answer;
pub mod asked;
pub mod attempt;
pub mod auth;
pub mod base_url;
pub mod config;
pub mod document;
pub mod feedback;
pub mod filters;
pub mod gateway;
pub mod keys;
pub mod messages;
pub mod models;
pub mod names;
pub mod objects;
pub mod overrides;
pub mod pieces;
pub mod presets;
pub mod provider;
pub mod quota;
pub mod renamed;
pub mod routing;
pub mod service;
pub mod shadow;
pub mod translate;
pub mod wire;

use std::rc::Rc;
use std::time::Duration;

use shared::config::{ConfigError, Mode, parse};
use shared::exchange::Settings;
use shared::filter::{CallReply, Filter};
use shared::host::{CallId, Host};
use shared::plugin::{Need, Plugin, Setup};

use config::Role;
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
    /// What runs before the plugins that look at prompts, where this one does not stand alone.
    pub fn preparing(&self) -> Rc<dyn Plugin> {
        Rc::new(Preparing(Rc::clone(&self.gateway)))
    }

    /// Checks a configuration; `vm_config` is the role's name, or empty.
    pub fn new(config: config::Config, vm_config: &[u8]) -> Result<AiProxy, ConfigError> {
        Ok(AiProxy { gateway: Rc::new(Gateway::new(config, vm_config)?) })
    }

    /// Whether no other role of this plugin takes part in an exchange.
    pub fn is_inline(&self) -> bool {
        self.gateway.role == Role::Inline
    }

    /// Whether requests are only ever let through: no calls, no changed bodies.
    pub fn only_passes(&self) -> bool {
        self.gateway.mode != Mode::Enforce || self.gateway.inline == config::Inline::Pass
    }
}

/// The part of the plugin that changes requests before other plugins look at them.
#[derive(Debug)]
struct Preparing(Rc<Gateway>);

impl Plugin for Preparing {
    fn settings(&self) -> Settings {
        self.0.settings()
    }

    fn filters(self: Rc<Self>) -> Vec<Box<dyn Filter>> {
        if self.0.mode == Mode::Off || self.0.role == Role::Translate {
            return Vec::new();
        }
        filters::preparing(&self.0).into_iter().collect()
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
        filters::filters(&self.gateway)
    }

    fn needs(&self) -> Vec<Need> {
        self.gateway.needs()
    }

    /// The role `route` shows nobody's credentials, and only where requests are sent on is anything
    /// to be known of where they go.
    fn tick_period(&self) -> Option<Duration> {
        if self.gateway.mode == Mode::Off {
            return None;
        }
        let shows = self.gateway.role != Role::Route && self.gateway.accesses().next().is_some();
        let access = shows.then_some(auth::access::PERIOD);
        let routes = self.gateway.role != Role::Translate;
        // Where there may be no timer, only what cannot do without asks for one.
        let tells = self.gateway.role == Role::Route;
        let routing = self.gateway.routing().tick_period(tells).filter(|_| routes);
        access.into_iter().chain(routing).min()
    }

    fn tick(&self, host: &dyn Host) {
        if self.gateway.role != Role::Route {
            self.gateway.accesses().for_each(|access| access.tick(host));
        }
        if self.gateway.role != Role::Translate {
            self.gateway.routing().tick(host);
            self.gateway.shadows.tick(host);
        }
    }

    fn called(&self, host: &dyn Host, call: CallId, reply: CallReply) {
        let _ = self.gateway.accesses().any(|access| access.called(host, call, &reply))
            || self.gateway.routing().called(host, call, &reply)
            || self.gateway.shadows.called(host, call, &reply);
    }
}

#[cfg(feature = "entry")]
shared::register!(configure);
