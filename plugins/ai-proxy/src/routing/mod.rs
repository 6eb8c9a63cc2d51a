//! Which targets a request may go to, and in which order they are asked.
//!
//! Rules are tried in the order they are written; the first that fits decides. What a request needs and
//! where it may go are hard limits: a target that does not meet them is never asked. Among the others
//! the rule's strategy decides, and targets that rest come last.

pub mod ask;
pub mod board;
pub mod canary;
pub mod carbon;
pub mod condition;
pub mod config;
pub mod failure;
pub mod health;
mod lack;
pub mod load;
pub mod order;
mod pick;
pub mod poll;
pub mod price;
pub mod store;

use shared::small_map::SmallMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use shared::config::ConfigError;
use shared::filter::CallReply;
use shared::host::{CallId, Host};
use shared::models;

use crate::config::{Key, Target};
use crate::overrides::Overrides;
use ask::{Ask, Needs};
use board::Board;
use canary::Canary;
use carbon::{Grid, USUAL_WATT_HOURS};
use condition::Condition;
use config::{AutoTiers, Circuit, Failure, Messages, Need, Sticky, Strategy, Tier, Weights};
use health::{Health, Outcome};
use load::{Load, Server};
use order::Turns;
use poll::Poll;
use price::Tariff;
use store::Store;

/// Most targets of one rule.
const MAX_TARGETS: usize = 256;

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
    condition: Condition,
    strategy: Strategy,
    weights: Weights,
    sticky: Option<Sticky>,
    regions: Option<Vec<String>>,
    attempts: usize,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// What is done to its requests' messages.
    pub messages: Option<Messages>,
    experiment: Option<String>,
    canary: Option<Canary>,
    /// Copies of its requests.
    pub shadow: Option<config::Shadow>,
    turns: Turns,
    /// A target's choice depends on how large the request is.
    sized: bool,
    /// Not all of its targets can do everything.
    able: bool,
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
    weight: u32,
    can: Option<Needs>,
    context: Option<u64>,
    tariff: Option<Tariff>,
    approved: bool,
    tier: Option<Tier>,
    watt_hours: f64,
    variant: Option<String>,
    fallback_for: Vec<Failure>,
}

/// Everything that rules share.
#[derive(Debug)]
pub struct Routing {
    routes: Vec<Route>,
    grid: Grid,
    /// When targets rest.
    pub circuit: Circuit,
    auto: AutoTiers,
    currencies: SmallMap<String, f64>,
    health: SmallMap<(usize, Option<String>), Rc<Health>>,
    polls: Vec<(Poll, Use)>,
    store: Option<Store>,
    board: Board,
    /// The providers' names.
    names: SmallMap<usize, String>,
}

/// What something that is fetched is for.
#[derive(Debug)]
enum Use {
    /// The carbon intensity of a region.
    Carbon {
        region: String,
        pointer: String,
        /// How long it counts, in nanoseconds.
        max_age: u64,
    },
    /// A server's load.
    Load(Rc<Server>),
}

/// What was decided.
#[derive(Debug)]
pub struct Decision<'r> {
    /// The rule's number.
    pub number: usize,
    /// The rule.
    pub route: &'r Route,
    /// The numbers of its targets, in the order they are asked; never empty.
    pub targets: Vec<usize>,
    /// The numbers of those that are there for some failures only, and for which.
    pub spare: Vec<(usize, Vec<Failure>)>,
    /// The numbers of those that get copies.
    pub shadows: Vec<usize>,
    /// The variant of its experiment.
    pub variant: Option<String>,
    /// Why, if the client wants to know.
    pub reason: Option<String>,
}

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

    /// How often [`Routing::tick`] is wanted; never if there is nothing to do. `tells`: the workers tell
    /// each other of targets.
    pub fn tick_period(&self, tells: bool) -> Option<Duration> {
        let copies = self.routes.iter().any(|route| route.shadow.is_some());
        if !self.polls.is_empty() || self.store.is_some() || copies {
            return Some(Duration::from_millis(100));
        }
        // Of one target there is nothing to tell.
        let several = self.routes.iter().any(|route| route.targets.len() > 1);
        (tells && several).then_some(Duration::from_secs(1))
    }

    /// Keeps canaries in a store from now on.
    pub fn keep(&mut self, store: config::Store) -> Result<(), ConfigError> {
        self.store = Some(Store::new(store)?);
        let canaries = self.routes.iter_mut().filter_map(|route| route.canary.as_mut());
        canaries.for_each(Canary::wait);
        Ok(())
    }

    /// The canaries of all rules.
    pub fn canaries(&self) -> impl Iterator<Item = &Canary> {
        self.routes.iter().filter_map(|route| route.canary.as_ref())
    }

    /// Asks for what is due.
    pub fn tick(&self, host: &dyn Host) {
        self.polls.iter().for_each(|(poll, _)| poll.tick(host));
        if let Some(store) = &self.store {
            store.tick(host, self.canaries());
        }
        self.board.tick(host, |name| {
            let mut known = self.health.iter();
            known
                .find(|((provider, model), _)| self.label(*provider, model.as_deref()) == name)
                .map(|(_, h)| &**h)
        });
    }

    /// How a target is called on the board.
    fn label(&self, provider: usize, model: Option<&str>) -> String {
        let name = self.names.get(&provider).map_or("", String::as_str);
        format!("{name}/{}", model.unwrap_or_default())
    }

    /// A user has given an answer of this provider and model a score, 0 to 1.
    pub fn rate(&self, host: &dyn Host, provider: usize, model: &str, score: f64) {
        for (provider, model) in [Some(model.to_owned()), None].map(|model| (provider, model)) {
            let label = self.label(provider, model.as_deref());
            if let Some(health) = self.health.get(&(provider, model)) {
                self.board.score(host, &label, health, score);
                return;
            }
        }
    }

    /// An answer has come; false if it is not to a call made here.
    pub fn called(&self, host: &dyn Host, call: CallId, reply: &CallReply) -> bool {
        if let Some(store) = &self.store
            && store.called(host, call, reply, self.canaries())
        {
            return true;
        }
        let mut found = self.polls.iter().map(|(poll, used)| (poll.called(call, reply), used));
        let Some((Some(text), used)) = found.find(|(came, _)| came.is_some()) else {
            return false;
        };
        let now = host.now_nanos();
        match used {
            Use::Load(server) => server.tell(text.and_then(Load::read), now),
            Use::Carbon { region, pointer, max_age } => {
                let json = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
                let value = json.as_ref().and_then(|json| json.pointer(pointer)?.as_f64());
                match value.filter(|value| (0.0..1e5).contains(value)) {
                    Some(value) => self.grid.fetched(region, value, now.saturating_add(*max_age)),
                    None => log::warn!("no carbon intensity of {region} at {pointer}"),
                }
            }
        }
        true
    }

    /// Adds a rule; `provider` finds a provider's number by its name. Gives the rule's number.
    pub fn add(
        &mut self,
        given: config::Route,
        path: &str,
        provider: &dyn Fn(&str, &str) -> Result<usize, ConfigError>,
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
            && let (Some(by), Some(evidence)) = (&target.approved_by, &target.evidence)
        {
            canary.approve(by.clone(), evidence.clone());
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
            let number = provider(&target.provider, &path)?;
            targets.push(self.target(target, number, several, &path)?);
        }
        let measured = !matches!(
            given.strategy,
            Strategy::Priority | Strategy::Weighted | Strategy::LeastLatency | Strategy::Quality
        );
        let sized = measured || targets.iter().any(|target| target.context.is_some());
        self.routes.push(Route {
            sized,
            able: targets.iter().any(|target| target.can.is_some()),
            name: given.name,
            key: given.key,
            cluster: given.cluster,
            targets,
            condition,
            strategy: given.strategy,
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
        provider: usize,
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
        // With one target there is no choice, and its provider knows best.
        let limits = known.filter(|_| several);
        let can = given.can.as_deref().map(Needs::of);
        let can = can.or_else(|| limits.as_ref().map(able));
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

    /// A rule that fits every request, with others after it that are never reached.
    pub fn unreached(&self) -> Option<(usize, &str)> {
        let number = self.routes.iter().position(|route| route.condition.is_for_all())?;
        let after = number + 1;
        Some((after, self.routes.get(number)?.name.as_str())).filter(|_| after < self.routes.len())
    }

    /// The names of models that rules are for, patterns left out.
    pub fn model_names(&self) -> impl Iterator<Item = (&str, &Route)> {
        self.routes
            .iter()
            .flat_map(|route| route.condition.exact_models().map(move |model| (model, route)))
    }

    /// Whether a rule changes requests, or binds them to regions.
    pub fn prepares(&self) -> bool {
        self.routes.iter().any(|route| route.messages.is_some() || route.regions.is_some())
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The rule of this number.
    pub fn route(&self, number: usize) -> Option<&Route> {
        self.routes.get(number)
    }

    /// The first rule among the first `count` that a request fits.
    pub fn find(&self, count: usize, ask: &mut Ask<'_, '_>) -> Option<usize> {
        self.routes.iter().take(count).position(|route| route.condition.fits(ask))
    }

    /// A target has used so many tokens.
    pub fn spent(&self, route: usize, target: usize, tokens: u64, now: u64) {
        let target = self.routes.get(route).and_then(|route| route.targets.get(target));
        let tariff = target.and_then(|target| target.tariff.as_ref());
        if let Some(capacity) = tariff.and_then(Tariff::committed) {
            capacity.spend(tokens, now);
        }
    }

    /// A target was asked and this came of it. `None`: the client left first.
    pub fn ended(&self, host: &dyn Host, route: usize, target: usize, outcome: Option<Outcome>) {
        let Some(route) = self.routes.get(route) else { return };
        let Some(asked) = route.targets.get(target) else { return };
        let now = host.now_nanos();
        let before = asked.health.rests_until();
        asked.health.end(outcome, &self.circuit, now);
        let after = asked.health.rests_until();
        if after > before {
            self.board.rest(host, &self.label(asked.provider, asked.model.as_deref()), after);
        } else if after < before {
            self.board.well(host, &self.label(asked.provider, asked.model.as_deref()));
        }
        if let (Some(canary), Some(outcome)) = (&route.canary, outcome) {
            canary.answered(host, target, &outcome);
        }
    }
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
}

/// What is commonly known that a model can do. Of sounds and documents nothing is.
fn able(model: &models::Model) -> Needs {
    let can = |name: &str| model.price.can.iter().any(|can| can == name);
    let known = [
        (Need::Tools, can("tools")),
        (Need::Vision, can("vision")),
        (Need::JsonSchema, can("json_schema")),
        (Need::Reasoning, model.reasoning),
    ];
    let able = known.into_iter().filter(|(_, able)| *able).map(|(need, _)| need);
    Needs::of(&able.chain([Need::Audio, Need::Documents]).collect::<Vec<_>>())
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
