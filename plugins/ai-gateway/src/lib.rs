//! The bundle: all plugins in one `.wasm`, one parse of each body.
//!
//! Its configuration has one section per plugin, each as the plugin by itself takes it.

use std::rc::Rc;
use std::time::Duration;

use ai_proxy::AiProxy;
use serde::Deserialize;
use shared::config::{ConfigError, parse};
use shared::exchange::Settings;
use shared::filter::{CallReply, Filter};
use shared::host::{CallId, Host};
use shared::plugin::{Plugin, Setup};

/// Configuration of the bundle. A plugin without a section does not run.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// One API over all providers.
    #[serde(rename = "ai-proxy")]
    pub ai_proxy: ai_proxy::config::Config,
}

/// The configured bundle.
#[derive(Debug)]
pub struct AiGateway {
    ai_proxy: Rc<AiProxy>,
}

/// Reads the configuration.
pub fn configure(setup: Setup<'_>) -> Result<Rc<dyn Plugin>, ConfigError> {
    let config: Config = parse(setup.config)?;
    let ai_proxy = AiProxy::new(config.ai_proxy, setup.vm_config).map_err(|error| {
        // The role stands beside the configuration, not in it.
        let beside = error.path.starts_with("vm_config");
        if beside { error } else { error.within("ai-proxy") }
    })?;
    Ok(Rc::new(AiGateway { ai_proxy: Rc::new(ai_proxy) }))
}

impl Plugin for AiGateway {
    fn settings(&self) -> Settings {
        self.ai_proxy.settings()
    }

    fn filters(self: Rc<Self>) -> Vec<Box<dyn Filter>> {
        Rc::clone(&self.ai_proxy).filters()
    }

    fn tick_period(&self) -> Option<Duration> {
        self.ai_proxy.tick_period()
    }

    fn tick(&self, host: &dyn Host) {
        self.ai_proxy.tick(host);
    }

    fn called(&self, host: &dyn Host, call: CallId, reply: CallReply) {
        self.ai_proxy.called(host, call, reply);
    }
}

#[cfg(feature = "entry")]
shared::register!(configure);
