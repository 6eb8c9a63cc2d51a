//! Which targets a request may go to, and in which order they are asked.
//!
//! Rules are tried in the order they are written; the first that fits decides. What a request needs and
//! where it may go are hard limits: a target that does not meet them is never asked. Among the others
//! the rule's strategy decides, and targets that rest come last.

pub mod ask;
pub mod canary;
pub mod condition;
pub mod config;
pub mod health;
pub mod order;
pub mod pattern;
pub mod price;

use std::collections::BTreeMap;
use std::rc::Rc;

use shared::config::ConfigError;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::host::Host;

use crate::config::{Key, Target};
use crate::overrides::Overrides;
use ask::Ask;
use canary::Canary;
use condition::Condition;
use config::{AutoTiers, Circuit, Need, Price, Sticky, Strategy, Tier, Weights};
use health::{Fitness, Health, Outcome};
use order::{Candidate, Turns, drawn, hash, mix, order};
use price::{Grid, Size, USUAL_WATT_HOURS};

/// Most targets of one rule.
const MAX_TARGETS: usize = 256;

/// Bytes of a conversation's beginning that make requests alike, for [`Sticky::PromptPrefix`].
const PREFIX: usize = 1024;

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
    experiment: Option<String>,
    canary: Option<Canary>,
    turns: Turns,
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
    weight: u32,
    can: Option<Vec<Need>>,
    context: Option<u64>,
    price: Option<Price>,
    tier: Option<Tier>,
    watt_hours: f64,
    variant: Option<String>,
}

/// Everything that rules share.
#[derive(Debug)]
pub struct Routing {
    routes: Vec<Route>,
    grid: Grid,
    /// When targets rest.
    pub circuit: Circuit,
    auto: AutoTiers,
    health: BTreeMap<(usize, Option<String>), Rc<Health>>,
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
    /// The variant of its experiment.
    pub variant: Option<String>,
    /// Why, in a few words.
    pub reason: String,
}

impl Routing {
    /// No rules yet.
    pub fn new(
        carbon: config::Carbon,
        circuit: Circuit,
        auto: AutoTiers,
    ) -> Result<Routing, ConfigError> {
        if circuit.consecutive_failures == 0 || circuit.rest_seconds == 0 {
            let message = "`consecutive_failures` and `rest_seconds` must be 1 or more";
            return Err(ConfigError::new("circuit", message));
        }
        Ok(Routing {
            routes: Vec::new(),
            grid: Grid::new(carbon)?,
            circuit,
            auto,
            health: BTreeMap::new(),
        })
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
            targets.push(self.target(target, number, &path)?);
        }
        self.routes.push(Route {
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
            experiment: given.experiment,
            canary,
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
        if given.experiment.is_some() && given.canary.is_some() {
            return Err(bad("canary", "cannot be together with `experiment`".into()));
        }
        Ok(())
    }

    fn target(
        &mut self,
        given: config::RouteTarget,
        provider: usize,
        path: &str,
    ) -> Result<RouteTarget, ConfigError> {
        let negative =
            |value: Option<f64>| value.is_some_and(|value| value.is_nan() || value < 0.0);
        let price = given.price;
        if negative(price.map(|p| p.input)) || negative(price.map(|p| p.output)) {
            return Err(ConfigError::new(format!("{path}.price"), "must be 0 or more"));
        }
        if negative(given.watt_hours) {
            return Err(ConfigError::new(format!("{path}.watt_hours"), "must be 0 or more"));
        }
        let health = self.health.entry((provider, given.model.clone())).or_default();
        Ok(RouteTarget {
            provider,
            name: given.provider,
            model: given.model,
            cluster: given.cluster,
            body: given.body,
            region: given.region,
            health: Rc::clone(health),
            weight: given.weight,
            can: given.can,
            context: given.context,
            price,
            tier: given.tier,
            watt_hours: given.watt_hours.unwrap_or(USUAL_WATT_HOURS),
            variant: given.variant,
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

    /// Decides by a rule.
    pub fn decide(
        &self,
        number: usize,
        ask: &mut Ask<'_, '_>,
        host: &dyn Host,
    ) -> Result<Decision<'_>, ApiError> {
        let Some(route) = self.routes.get(number) else {
            return Err(ApiError::new(ErrorKind::Internal, "there is no such route"));
        };
        // Most rules have one target and no limits: nothing to find out.
        if route.is_plain() && ask.unlimited() {
            let reason = String::from("only_target");
            return Ok(Decision { number, route, targets: vec![0], variant: None, reason });
        }
        let (tier, signs) = match route.strategy {
            Strategy::Auto => ask.tier(&self.auto),
            _ => (Tier::Small, Vec::new()),
        };
        let mut left = self.candidates(route, ask)?;
        if route.strategy == Strategy::Auto {
            let fits = |c: &Candidate| {
                let target = route.targets.get(c.index);
                target.and_then(|target| target.tier).is_some_and(|t| t >= tier)
            };
            // If none is good enough, the best there are.
            if left.iter().any(fits) {
                left.retain(fits);
            }
        }
        let key = route.sticky_key(ask);
        let (first, variant) = self.first(route, &left, key, ask, host);
        let mut targets = order(&left, route.strategy, &route.weights, &route.turns, first);
        targets.truncate(route.attempts);
        let mut reason = String::from(route.strategy.name());
        for sign in signs {
            reason.push(' ');
            reason.push_str(sign);
        }
        Ok(Decision { number, route, targets, variant, reason })
    }

    /// Who is asked first whatever the strategy says, and the variant that this is.
    fn first(
        &self,
        route: &Route,
        left: &[Candidate],
        key: Option<u64>,
        ask: &Ask<'_, '_>,
        host: &dyn Host,
    ) -> (Option<usize>, Option<String>) {
        if let Some(canary) = &route.canary {
            let hash = key.unwrap_or_else(|| mix(ask.random()));
            if canary.takes(host, mix(hash ^ 0x6361_6e61_7279)) {
                return (Some(canary.target), Some(format!("{}=canary", route.name)));
            }
            // The strategy must not choose it by itself.
            let others: Vec<_> =
                left.iter().copied().filter(|c| c.index != canary.target).collect();
            let order = order(&others, route.strategy, &route.weights, &route.turns, None);
            return (order.first().copied(), Some(format!("{}=stable", route.name)));
        }
        if let Some(experiment) = &route.experiment {
            let hash = key.unwrap_or_else(|| mix(ask.random()));
            let index = drawn(left, mix(hash ^ order::hash(experiment.as_bytes())));
            let target = index.and_then(|index| route.targets.get(index));
            let variant = target.and_then(|target| target.variant.as_deref());
            return (index, variant.map(|variant| format!("{experiment}={variant}")));
        }
        let well: Vec<_> = left.iter().copied().filter(|c| c.fitness != Fitness::Resting).collect();
        (key.and_then(|key| drawn(&well, key)), None)
    }

    /// The targets that a request may go to.
    fn candidates(&self, route: &Route, ask: &mut Ask<'_, '_>) -> Result<Vec<Candidate>, ApiError> {
        let regions = ask.regions();
        let exhausted = ask.fact(Fact::Exhausted);
        let max = ask.max_tokens;
        let sized = route.targets.iter().any(|target| {
            target.context.is_some() || target.price.is_some() || route.strategy == Strategy::Carbon
        });
        let prompt = if sized { ask.prompt_tokens() } else { 0 };
        let size = Size::new(prompt, max);
        let now = ask.now;
        let mut why = Lack::default();
        let mut left = Vec::with_capacity(route.targets.len());
        for (index, target) in route.targets.iter().enumerate() {
            let lists = [route.regions.as_deref(), regions.as_deref()];
            // A target that does not say where it is, is nowhere that is allowed.
            let here = |list: &[String]| target.region.as_ref().is_some_and(|r| list.contains(r));
            if !lists.into_iter().flatten().all(here) {
                why.region = true;
            } else if let Some(need) = target.lacks(ask) {
                why.need = Some(need);
            } else if target
                .context
                .is_some_and(|context| prompt.saturating_add(max.unwrap_or(0)) > context)
            {
                why.context = target.context.max(why.context);
            } else if target.is_among(&exhausted) {
                why.exhausted = true;
            } else {
                left.push(Candidate {
                    index,
                    weight: target.weight,
                    fitness: target.health.fitness(now),
                    latency: target.health.latency(now),
                    busy: target.health.under_way(),
                    cost: target.price.map(|price| price.of(size)),
                    carbon: self.grid.grams(target.watt_hours, size, target.region.as_deref(), now),
                    badness: (target.health.failure_rate() + 1.0 - target.health.score()) / 2.0,
                });
            }
        }
        if left.is_empty() { Err(why.error()) } else { Ok(left) }
    }

    /// A target was asked and this came of it. `None`: the client left first.
    pub fn ended(&self, host: &dyn Host, route: usize, target: usize, outcome: Option<Outcome>) {
        let Some(route) = self.routes.get(route) else { return };
        let Some(asked) = route.targets.get(target) else { return };
        asked.health.end(outcome, &self.circuit, host.now_nanos());
        if let (Some(canary), Some(outcome)) = (&route.canary, outcome) {
            canary.answered(host, target, &outcome);
        }
    }
}

impl Route {
    fn is_plain(&self) -> bool {
        self.targets.len() == 1
            && self.regions.is_none()
            && self.targets.iter().all(|target| target.can.is_none() && target.context.is_none())
    }

    /// What keeps to the same target.
    fn sticky_key(&self, ask: &mut Ask<'_, '_>) -> Option<u64> {
        let text = match self.sticky.as_ref()? {
            Sticky::Consumer => ask.fact(Fact::Consumer),
            Sticky::Header(name) => ask.header(name)?,
            Sticky::PromptPrefix => {
                let mut end = PREFIX.min(ask.body.len());
                while !ask.body.is_char_boundary(end) {
                    end -= 1;
                }
                ask.body.get(..end).unwrap_or_default().to_owned()
            }
        };
        (!text.is_empty()).then(|| hash(text.as_bytes()))
    }

    /// A target's model, as the provider calls it where it is said here.
    pub fn target(&self, index: usize) -> Option<&RouteTarget> {
        self.targets.get(index)
    }
}

impl RouteTarget {
    /// Whether it is among these, `provider=model` or `provider=*` in lines.
    fn is_among(&self, lines: &str) -> bool {
        let fits = |line: &str| {
            let Some((provider, model)) = line.split_once('=') else { return false };
            provider == self.name && (model == "*" || self.model.as_deref() == Some(model))
        };
        lines.lines().any(fits)
    }

    /// What the request needs and its model cannot do.
    fn lacks(&self, ask: &Ask<'_, '_>) -> Option<Need> {
        const ALL: [Need; 6] = [
            Need::Tools,
            Need::Vision,
            Need::Audio,
            Need::Documents,
            Need::JsonSchema,
            Need::Reasoning,
        ];
        let can = self.can.as_ref()?;
        ALL.into_iter().find(|need| !can.contains(need) && ask.needs(*need))
    }
}

/// Why no target was left.
#[derive(Debug, Default)]
struct Lack {
    region: bool,
    need: Option<Need>,
    context: Option<u64>,
    exhausted: bool,
}

impl Lack {
    fn error(self) -> ApiError {
        if self.exhausted {
            let message = "the limits of all providers of this model are used up; try again later";
            return ApiError::new(ErrorKind::RateLimit, message).code("targets_exhausted");
        }
        if let Some(context) = self.context {
            let message = format!(
                "the prompt and the answer asked for are longer than {context} tokens, the most that \
                 a provider of this model takes; shorten the prompt or lower `max_tokens`"
            );
            return ApiError::new(ErrorKind::InvalidRequest, message)
                .code("context_length_exceeded");
        }
        if let Some(need) = self.need {
            let what = match need {
                Need::Tools => "call functions",
                Need::Vision => "see pictures",
                Need::Audio => "hear",
                Need::Documents => "read documents",
                Need::JsonSchema => "keep to a JSON Schema",
                Need::Reasoning => "think",
            };
            let message = format!("no provider of this model can {what}; choose another model");
            return ApiError::new(ErrorKind::InvalidRequest, message).code("unsupported_by_model");
        }
        let message = "no provider of this model is in a region that this request may go to";
        ApiError::new(ErrorKind::Permission, message).code("region_not_allowed")
    }
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
        }
    }
}
