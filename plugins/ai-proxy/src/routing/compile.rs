//! Checks rules and makes them ready.

use std::rc::Rc;
use std::time::Duration;

use shared::config::ConfigError;
use shared::models;
use shared::small_map::SmallMap;
use shared::text;

use super::ask::Needs;
use super::board::Board;
use super::canary::Canary;
use super::carbon::{Grid, USUAL_WATT_HOURS};
use super::condition::Condition;
use super::config::{self, AutoTiers, Circuit, Need, Strategy};
use super::load::Server;
use super::order::Turns;
use super::pick::Measures;
use super::poll::Poll;
use super::price::Tariff;
use super::route::Counted;
use super::store::Store;
use super::{Route, RouteTarget, Routing, Timeouts, Use};
use crate::config::Target;
use crate::names::Names;
use crate::overrides::Overrides;

/// A provider's number, and its names of models.
type Found = (usize, Rc<Names>);

/// Most targets of one rule.
const MAX_TARGETS: usize = 256;

impl Routing {
    /// No rules yet.
    pub fn new(
        carbon: &config::Carbon,
        circuit: Circuit,
        auto: AutoTiers,
        currencies: SmallMap<String, f64>,
    ) -> Result<Routing, ConfigError> {
        if circuit.consecutive_failures == 0 || circuit.rest_seconds == 0 {
            let message = "`consecutive_failures` and `rest_seconds` must be 1 or more";
            return Err(ConfigError::new("circuit", message));
        }
        for (name, worth) in &currencies {
            if !(worth.is_finite() && *worth > 0.0) {
                let message = "must be what it is worth in US dollars, above 0";
                return Err(ConfigError::new(format!("currencies.{name}"), message));
            }
        }
        let mut polls = Vec::new();
        for (index, source) in carbon.sources.iter().enumerate() {
            let path = format!("carbon.sources[{index}]");
            if !source.pointer.starts_with('/') {
                let message = "must be a JSON Pointer: `/data/0/intensity`";
                return Err(ConfigError::new(format!("{path}.pointer"), message));
            }
            let headers = source.headers.iter();
            let headers = headers.map(|(name, value)| (name.clone(), value.expose().to_owned()));
            let every = Duration::from_secs(source.every_seconds);
            let url = format!("{path}.url");
            let poll =
                Poll::new(&source.url, source.cluster.clone(), headers.collect(), every, &url)?;
            polls.push((
                poll,
                Use::Carbon {
                    region: source.region.clone(),
                    pointer: source.pointer.clone(),
                    max_age: source.max_age_seconds.saturating_mul(1_000_000_000),
                },
            ));
        }
        Ok(Routing {
            routes: Vec::new(),
            grid: Grid::new(carbon)?,
            circuit,
            auto,
            currencies,
            health: SmallMap::new(),
            polls,
            store: None,
            board: Board::default(),
            names: SmallMap::new(),
        })
    }

    /// Keeps canaries in a store from now on.
    pub fn keep(&mut self, store: config::Store) -> Result<(), ConfigError> {
        self.store = Some(Store::new(store)?);
        let canaries = self.routes.iter_mut().filter_map(|route| route.canary.as_mut());
        canaries.for_each(Canary::wait);
        Ok(())
    }

    /// Adds a rule; `provider` finds a provider's number, and its names of models, by its name. Gives the rule's
    /// number.
    pub fn add(
        &mut self,
        given: config::Route,
        path: &str,
        provider: &dyn Fn(&str, &str) -> Result<Found, ConfigError>,
    ) -> Result<usize, ConfigError> {
        let condition = Condition::new(&given.when, &format!("{path}.when"))?;
        self.check(&given, path)?;
        let canary = given.canary.map(|canary| {
            Canary::new(canary, &given.name, given.targets.len(), &format!("{path}.canary"))
        });
        let canary = canary.transpose()?;
        let mut canary = canary;
        if let Some(canary) = &mut canary
            && let Some(target) = given.targets.get(canary.target)
        {
            let model = target.model.as_deref().unwrap_or_default();
            canary.tries(text!(target.provider, "/", model));
            if let (Some(by), Some(evidence)) = (&target.approved_by, &target.evidence) {
                canary.approve(by.clone(), evidence.clone());
            }
        }
        let several = given.targets.len() > 1;
        let mut targets = Vec::with_capacity(given.targets.len());
        for (index, target) in given.targets.into_iter().enumerate() {
            let path = format!("{path}.targets[{index}]");
            if given.strategy == Strategy::Auto && (target.tier.is_none() || target.model.is_none())
            {
                let message = "the strategy `auto` needs the `tier` and the `model` of each target";
                return Err(ConfigError::new(path, message));
            }
            if given.experiment.is_some() && target.variant.is_none() {
                let message = "is required: the route has an `experiment`";
                return Err(ConfigError::new(format!("{path}.variant"), message));
            }
            let provider = provider(&target.provider, &path)?;
            targets.push(self.target(target, provider, several, &path)?);
        }
        let measured = !matches!(
            given.strategy,
            Strategy::Priority
                | Strategy::Weighted
                | Strategy::LeastLatency
                | Strategy::LeastBusy
                | Strategy::Quality
        );
        let least = targets.iter().filter_map(|target| target.context).min();
        let counted = match least {
            _ if measured => Counted::Always,
            Some(least) => Counted::Above(least),
            None => Counted::Never,
        };
        self.routes.push(Route {
            counted,
            able: targets.iter().any(|target| target.can.is_some()),
            name: given.name,
            key: given.key,
            cluster: given.cluster,
            targets,
            condition,
            strategy: given.strategy,
            measures: Measures::of(given.strategy, &given.weights),
            weights: given.weights,
            sticky: given.sticky,
            regions: given.allowed_regions,
            attempts: usize::try_from(given.max_attempts).unwrap_or(1),
            messages: given.messages,
            timeouts: Timeouts {
                first_token: given.first_token_timeout_ms,
                attempt: given.attempt_timeout_ms,
                total: given.total_timeout_ms,
            },
            experiment: given.experiment,
            canary,
            shadow: given.shadow,
            turns: Turns::default(),
        });
        Ok(self.routes.len() - 1)
    }

    /// What can be told of a rule by itself and those before it.
    fn check(&self, given: &config::Route, path: &str) -> Result<(), ConfigError> {
        let bad =
            |field: &str, message: String| ConfigError::new(format!("{path}.{field}"), message);
        if given.name.is_empty() {
            return Err(bad("name", "must not be empty".into()));
        }
        if self.routes.iter().any(|route| route.name == given.name) {
            return Err(bad("name", "is there already; names must differ".into()));
        }
        if given.targets.is_empty() || given.targets.len() > MAX_TARGETS {
            return Err(bad("targets", format!("give 1 to {MAX_TARGETS} targets")));
        }
        if !(1..=10).contains(&given.max_attempts) {
            return Err(bad("max_attempts", "must be 1 to 10".into()));
        }
        let drawn = matches!(given.strategy, Strategy::Weighted) || given.experiment.is_some();
        if drawn && given.targets.iter().all(|target| target.weight == 0) {
            return Err(bad("targets", "all have the weight 0; give one a weight".into()));
        }
        let weights = given.weights;
        let each = [weights.latency, weights.cost, weights.carbon, weights.quality, weights.busy];
        let some = each.iter().any(|weight| *weight > 0.0);
        if each.iter().any(|weight| weight.is_nan() || *weight < 0.0)
            || (given.strategy == Strategy::Scored && !some)
        {
            return Err(bad("weights", "must be 0 or more, and one of them above 0".into()));
        }
        if let Some(shadow) = &given.shadow {
            if !(0.0..=100.0).contains(&shadow.percent) {
                return Err(bad("shadow.percent", "must be 0 to 100".into()));
            }
            let wrong = |number: &usize| *number >= given.targets.len();
            if let Some(place) = shadow.targets.iter().position(wrong) {
                let message = "is no number of one of the `targets`, from 0".into();
                return Err(bad(&format!("shadow.targets[{place}]"), message));
            }
        }
        let answers = given.targets.iter().enumerate().any(|(number, target)| {
            let shadow = given.shadow.as_ref().is_some_and(|s| s.targets.contains(&number));
            !shadow && target.fallback_for.is_empty()
        });
        if !answers && !given.targets.is_empty() {
            let message = "are all for copies or for failures; give one that answers";
            return Err(bad("targets", message.into()));
        }
        if given.experiment.is_some() && given.canary.is_some() {
            return Err(bad("canary", "cannot be together with `experiment`".into()));
        }
        Ok(())
    }

    fn target(
        &mut self,
        given: config::RouteTarget,
        (provider, names): Found,
        several: bool,
        path: &str,
    ) -> Result<RouteTarget, ConfigError> {
        if given.watt_hours.is_some_and(|watts| watts.is_nan() || watts < 0.0) {
            return Err(ConfigError::new(format!("{path}.watt_hours"), "must be 0 or more"));
        }
        let known = given.model.as_deref().and_then(models::find);
        let tariff = match given.price {
            Some(price) => Some(Tariff::new(price, &self.currencies, &format!("{path}.price"))?),
            None => known.as_ref().map(|model| Tariff::known(&model.price)),
        };
        let tariff = tariff.map(Rc::new);
        // With one target there is no choice, and its provider knows best.
        let limits = known.filter(|model| several && !model.is_anywhere());
        let can = given.can.as_deref().map(Needs::of);
        let can = can.or_else(|| limits.as_ref().and_then(able));
        let context = given.context.or(limits.and_then(|model| model.context));
        let mut servers = Vec::with_capacity(given.endpoints.len());
        for (index, endpoint) in given.endpoints.iter().enumerate() {
            let path = format!("{path}.endpoints[{index}]");
            if given.endpoints.len() > 1 && endpoint.address.is_none() {
                let message = "is required where there are several";
                return Err(ConfigError::new(format!("{path}.address"), message));
            }
            let server = Rc::new(Server::new(endpoint));
            if let Some(metrics) = &endpoint.metrics {
                let every = Duration::from_millis(metrics.every_ms);
                let path = format!("{path}.metrics.url");
                let poll =
                    Poll::new(&metrics.url, metrics.cluster.clone(), Vec::new(), every, &path)?;
                self.polls.push((poll, Use::Load(Rc::clone(&server))));
            }
            servers.push(server);
        }
        let given_text = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        self.names.entry(provider).or_insert_with(|| given.provider.clone());
        let health = self.health.entry((provider, given.model.clone())).or_default();
        Ok(RouteTarget {
            provider,
            name: given.provider,
            model: given.model,
            names,
            cluster: given.cluster,
            body: given.body,
            region: given.region,
            health: Rc::clone(health),
            servers,
            weight: given.weight,
            can,
            context,
            tariff,
            approved: !given.needs_approval
                || (given_text(&given.approved_by) && given_text(&given.evidence)),
            tier: given.tier,
            watt_hours: given.watt_hours.unwrap_or(USUAL_WATT_HOURS),
            variant: given.variant,
            fallback_for: given.fallback_for,
        })
    }

    /// The first rule that is never reached, and the one before it that takes all of its requests.
    pub fn unreached(&self) -> Option<(usize, &str)> {
        self.routes.iter().enumerate().find_map(|(number, route)| {
            let mut before = self.routes.iter().take(number);
            let first = before.find(|before| before.condition.covers(&route.condition))?;
            Some((number, first.name.as_str()))
        })
    }
}

/// What is commonly known that a model can do, if anything is. Of sounds and documents nothing is.
fn able(model: &models::Model) -> Option<Needs> {
    if model.price.can.is_empty() && !model.reasoning {
        return None;
    }
    let can = |name: &str| model.price.can.iter().any(|can| can == name);
    let known = [
        (Need::Tools, can("tools")),
        (Need::Vision, can("vision")),
        (Need::JsonSchema, can("json_schema")),
        (Need::Reasoning, model.reasoning),
    ];
    let able = known.into_iter().filter(|(_, able)| *able).map(|(need, _)| need);
    Some(Needs::of(&able.chain([Need::Audio, Need::Documents]).collect::<Vec<_>>()))
}

impl From<Target> for config::RouteTarget {
    /// A target of a model's entry has no more than its name.
    fn from(target: Target) -> config::RouteTarget {
        config::RouteTarget {
            provider: target.provider,
            model: target.model,
            weight: 1,
            region: None,
            cluster: None,
            body: Overrides::default(),
            can: None,
            context: None,
            price: None,
            tier: None,
            watt_hours: None,
            variant: None,
            fallback_for: Vec::new(),
            endpoints: Vec::new(),
            needs_approval: false,
            approved_by: None,
            evidence: None,
        }
    }
}
