//! prompt-guard: what may pass between a client and a model.
//!
//! Looks at every text of a request for attempts to misuse a model, for personal data and for what lists
//! deny; masks data before it leaves and restores it in the answer; ends an answer that may not get out.

mod admin;
pub mod answers;
pub mod config;
mod decide;
pub mod detect;
pub mod expression;
mod filter;
pub mod findings;
pub mod mask;
pub mod moderation;
pub mod normalise;
mod outside;
pub mod pii;
pub mod policy;
mod refusal;
pub mod rules;
mod scripts;
pub mod unique;
mod whole;

use std::rc::Rc;

use shared::config::{ConfigError, Mode, parse};
use shared::exchange::Settings;
use shared::filter::Filter;
use shared::plugin::{Need, Plugin, Setup};

use policy::Policy;

/// The configured plugin.
#[derive(Debug)]
pub struct PromptGuard {
    policy: Rc<Policy>,
}

/// Reads the configuration.
pub fn configure(setup: Setup<'_>) -> Result<Rc<dyn Plugin>, ConfigError> {
    Ok(Rc::new(PromptGuard::new(parse(setup.config)?)?))
}

impl PromptGuard {
    /// Checks a configuration.
    pub fn new(config: config::Config) -> Result<PromptGuard, ConfigError> {
        Ok(PromptGuard { policy: Rc::new(Policy::new(config)?) })
    }
}

impl Plugin for PromptGuard {
    fn settings(&self) -> Settings {
        self.policy.settings()
    }

    fn needs(&self) -> Vec<Need> {
        self.policy.needs()
    }

    fn filters(self: Rc<Self>) -> Vec<Box<dyn Filter>> {
        if self.policy.mode == Mode::Off {
            return Vec::new();
        }
        vec![Box::new(filter::GuardFilter::new(Rc::clone(&self.policy)))]
    }
}

#[cfg(feature = "entry")]
shared::register!(configure);
