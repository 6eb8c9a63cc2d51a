//! A rule and its targets, ready to be used.

use std::rc::Rc;

use shared::text;

use super::ask::Needs;
use super::canary::Canary;
use super::condition::Condition;
use super::config::{self, Failure, Messages, Sticky, Strategy, Tier, Weights};
use super::health::Health;
use super::load::Server;
use super::order::Turns;
use super::pick::Measures;
use super::price::Tariff;
use crate::config::Key;
use crate::names::Names;
use crate::overrides::Overrides;

/// A compiled rule.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Whose key the providers get.
    pub key: Key,
    /// The cluster that reaches all of its targets.
    pub cluster: Option<String>,
    /// Who may answer.
    pub targets: Vec<RouteTarget>,
    pub(super) condition: Condition,
    pub(super) strategy: Strategy,
    pub(super) weights: Weights,
    pub(super) measures: Measures,
    pub(super) sticky: Option<Sticky>,
    pub(super) regions: Option<Vec<String>>,
    pub(super) attempts: usize,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// What is done to its requests' messages.
    pub messages: Option<Messages>,
    pub(super) experiment: Option<String>,
    pub(super) canary: Option<Canary>,
    /// Copies of its requests.
    pub shadow: Option<config::Shadow>,
    pub(super) turns: Turns,
    /// A target's choice depends on how large the request is.
    pub(super) counted: Counted,
    /// Not all of its targets can do everything.
    pub(super) able: bool,
}

/// Whether it matters how large a request is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    /// It does not.
    Never,
    /// Only if it may be longer than so many tokens, the answer included: the least of the contexts.
    Above(u64),
    /// Always: it has to be weighed.
    Always,
}

/// How long things may take, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// From the request to the first event that says something, of a stream.
    pub first_token: Option<u64>,
    /// From the request to the end, of an answer that is not streamed.
    pub attempt: Option<u64>,
    /// All attempts together.
    pub total: Option<u64>,
}

/// A compiled target.
#[derive(Debug)]
pub struct RouteTarget {
    /// The provider's number.
    pub provider: usize,
    /// The provider's name.
    pub name: String,
    /// What the provider calls the model, if it is said here.
    pub model: Option<String>,
    /// What it calls those that are not.
    pub(super) names: Rc<Names>,
    /// The Envoy cluster that reaches it, if it is said here.
    pub cluster: Option<String>,
    /// Changes to the request's body.
    pub body: Overrides,
    /// Where it is.
    pub region: Option<String>,
    /// How it fares; targets with the same provider and model share it.
    pub health: Rc<Health>,
    /// Its servers, where they are known.
    pub servers: Vec<Rc<Server>>,
    pub(super) weight: u32,
    pub(super) can: Option<Needs>,
    pub(super) context: Option<u64>,
    /// What it charges, if that is known.
    pub tariff: Option<Rc<Tariff>>,
    pub(super) approved: bool,
    pub(super) tier: Option<Tier>,
    pub(super) watt_hours: f64,
    pub(super) variant: Option<String>,
    pub(super) fallback_for: Vec<Failure>,
}

impl Route {
    /// The regions that its requests may go to.
    pub fn regions(&self) -> Option<&[String]> {
        self.regions.as_deref()
    }

    /// A target's model, as the provider calls it where it is said here.
    pub fn target(&self, index: usize) -> Option<&RouteTarget> {
        self.targets.get(index)
    }

    /// The variant of its experiment or canary that a target is.
    pub fn variant(&self, target: usize) -> Option<String> {
        let (of, variant) = match &self.canary {
            Some(canary) if canary.target == target => (&self.name, "canary"),
            Some(_) => (&self.name, "stable"),
            None => (self.experiment.as_ref()?, self.targets.get(target)?.variant.as_deref()?),
        };
        Some(text!(of, "=", variant))
    }

    /// The target of this provider and model, of the provider's name alone where it does not say which
    /// model it is.
    pub fn named(&self, provider: &str, model: &str) -> Option<&RouteTarget> {
        let of = |wanted: Option<&str>| {
            let mut targets = self.targets.iter();
            targets.find(|target| target.name == provider && target.model.as_deref() == wanted)
        };
        of(Some(model)).or_else(|| of(None))
    }
}

impl RouteTarget {
    /// What its provider calls the model that is asked for.
    pub fn model_of(&self, asked: &str) -> String {
        self.model.clone().unwrap_or_else(|| self.names.of(asked))
    }
}
