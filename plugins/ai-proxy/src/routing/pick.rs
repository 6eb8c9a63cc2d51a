//! The decision: which targets a request may go to, and who is asked first.

use std::fmt::Write as _;
use std::rc::Rc;

use shared::audit;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::host::Host;
use shared::texts::{self, Role};

use super::ask::{Ask, Needs};
use super::config::{Failure, Sticky, Strategy, Tier, Weights};
use super::health::Fitness;
use super::lack::Lack;
use super::load;
use super::order::{self, Candidate, drawn, hash, mix, order};
use super::price::Size;
use super::route::Counted;
use super::{Decision, Route, RouteTarget, Routing};

/// Most bytes of a conversation's beginning that make requests alike, for [`Sticky::PromptPrefix`].
const PREFIX: usize = 4096;

impl Routing {
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
        if route.is_plain()
            && route.shadow.is_none()
            && ask.unlimited()
            && !ask.debug
            && ask.pin().is_none()
        {
            return Ok(Decision {
                number,
                route,
                targets: vec![0],
                spare: Vec::new(),
                shadows: Vec::new(),
                variant: route.variant(0),
                reason: None,
            });
        }
        let (tier, signs) = match route.strategy {
            Strategy::Auto => ask.tier(&self.auto),
            _ => (Tier::Small, Vec::new()),
        };
        let mut reason = ask.debug.then(|| begin_reason(route, tier, &signs));
        let Found { mut left, mut aside, shadows, why } =
            self.candidates(route, ask, reason.as_mut());
        if left.is_empty() {
            left = instead(route, &mut aside, &why);
        }
        if left.is_empty() {
            if why.region {
                tell_regions(route, None, ask);
            }
            return Err(why.error());
        }
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
        let first = self.first(route, &left, key, ask, host);
        let offline: Vec<_> = aside.iter().filter(|c| is_for(route, c, Failure::Outage)).collect();
        let out = left.iter().all(|c| c.fitness == Fitness::Resting);
        let most = if offline.is_empty() { route.attempts } else { route.attempts.max(2) - 1 };
        let mut targets = order(&left, route.strategy, &route.weights, &route.turns, first, most);
        for (place, candidate) in offline.into_iter().enumerate() {
            let at = if out { place } else { targets.len() };
            targets.insert(at, candidate.index);
        }
        let spare = aside.iter().filter_map(|candidate| {
            let failures = &route.targets.get(candidate.index)?.fallback_for;
            let failures = failures.iter().filter(|failure| **failure != Failure::Outage);
            let failures: Vec<_> = failures.copied().collect();
            (!failures.is_empty()).then_some((candidate.index, failures))
        });
        let spare = spare.collect();
        if why.region {
            let first = targets.first().and_then(|target| route.targets.get(*target));
            tell_regions(route, first, ask);
        }
        if let Some(reason) = &mut reason {
            end_reason(reason, route, &targets, &left);
        }
        let variant = targets.first().and_then(|first| route.variant(*first));
        Ok(Decision { number, route, targets, spare, shadows, variant, reason })
    }

    /// Who is asked first whatever the strategy says.
    fn first(
        &self,
        route: &Route,
        left: &[Candidate],
        key: Option<u64>,
        ask: &Ask<'_, '_>,
        host: &dyn Host,
    ) -> Option<usize> {
        let is_well = |c: &Candidate| c.fitness != Fitness::Resting;
        if let Some(canary) = &route.canary {
            let hash = key.unwrap_or_else(|| mix(ask.random()));
            let there = left.iter().any(|candidate| candidate.index == canary.target);
            if there && canary.takes(host, mix(hash ^ 0x6361_6e61_7279)) {
                return Some(canary.target);
            }
            // The strategy must not choose it by itself.
            let others: Vec<_> =
                left.iter().copied().filter(|c| c.index != canary.target).collect();
            let well: Vec<_> = others.iter().copied().filter(is_well).collect();
            return key.and_then(|key| drawn(&well, key)).or_else(|| {
                let order = order(&others, route.strategy, &route.weights, &route.turns, None, 1);
                order.first().copied()
            });
        }
        if let Some(experiment) = &route.experiment {
            let hash = key.unwrap_or_else(|| mix(ask.random()));
            return drawn(left, mix(hash ^ order::hash(experiment.as_bytes())));
        }
        let well: Vec<_> = left.iter().copied().filter(is_well).collect();
        drawn(&well, key?)
    }

    /// The targets that a request may go to, and why others are not among them.
    fn candidates(
        &self,
        route: &Route,
        ask: &mut Ask<'_, '_>,
        mut reason: Option<&mut String>,
    ) -> Found {
        let regions = ask.regions();
        let exhausted = ask.fact(Fact::Exhausted);
        let pin = ask.pin();
        let max = ask.max_tokens;
        let prompt = match route.counted {
            Counted::Never => 0,
            Counted::Above(least) => {
                ask.prompt_tokens_above(least.saturating_sub(max.unwrap_or(0)))
            }
            Counted::Always => ask.prompt_tokens(),
        };
        let needs = if route.able { ask.all_needs() } else { Needs::default() };
        let size = Size::new(prompt, max);
        let mut why = Lack::default();
        let mut left = Vec::with_capacity(route.targets.len());
        let (mut aside, mut shadows) = (Vec::new(), Vec::new());
        let lists = [route.regions.as_deref(), regions.as_deref()];
        for (index, target) in route.targets.iter().enumerate() {
            // A target that does not say where it is, is nowhere that is allowed.
            let here = |list: &[String]| target.region.as_ref().is_some_and(|r| list.contains(r));
            let out = if !lists.into_iter().flatten().all(here) {
                why.region = true;
                "region"
            } else if let Some(need) = target.can.and_then(|can| needs.beyond(can)) {
                why.need = Some(need);
                "cannot"
            } else if target
                .context
                .is_some_and(|context| prompt.saturating_add(max.unwrap_or(0)) > context)
            {
                why.context = target.context.max(why.context);
                "context"
            } else if route
                .shadow
                .as_ref()
                .is_some_and(|shadow| !target.approved || shadow.targets.contains(&index))
            {
                shadows.push(index);
                "shadow"
            } else if !target.approved {
                "not_approved"
            } else if !exhausted.is_empty() && target.is_among(&exhausted, ask.model) {
                why.exhausted = true;
                "exhausted"
            } else if pin.as_deref().is_some_and(|pin| !target.is_pinned(pin, ask.model)) {
                why.pinned = true;
                "pin"
            } else {
                let list = if target.fallback_for.is_empty() { &mut left } else { &mut aside };
                list.push(self.candidate(route.measures, index, target, size, &*ask));
                continue;
            };
            if let Some(reason) = reason.as_deref_mut() {
                let _ = write!(reason, " without={}:{out}", target.label());
            }
        }
        Found { left, aside, shadows, why }
    }

    fn candidate(
        &self,
        measures: Measures,
        index: usize,
        target: &RouteTarget,
        size: Size,
        ask: &Ask<'_, '_>,
    ) -> Candidate {
        let (now, stream) = (ask.now, ask.stream);
        let health = &target.health;
        let when = |wanted: bool, measure: &dyn Fn() -> f64| if wanted { measure() } else { 0.0 };
        let tariff = target.tariff.as_ref().filter(|_| measures.cost);
        Candidate {
            index,
            weight: target.weight,
            fitness: health.fitness(now),
            latency: when(measures.latency, &|| health.latency(stream, now)),
            busy: when(measures.busy, &|| target.busy(now)),
            cost: tariff.map(|tariff| tariff.of(size, now)),
            carbon: when(measures.carbon, &|| {
                self.grid.grams(target.watt_hours, size, target.region.as_deref(), now)
            }),
            badness: when(measures.quality, &|| {
                f64::midpoint(health.failure_rate(now), 1.0 - health.score())
            }),
        }
    }
}

/// What a rule's strategy has to know of each target; nothing else is found out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measures {
    latency: bool,
    busy: bool,
    cost: bool,
    carbon: bool,
    quality: bool,
}

impl Measures {
    /// Of this strategy.
    pub(super) fn of(strategy: Strategy, weights: &Weights) -> Measures {
        let is = |one: Strategy, weight: f64| {
            strategy == one || (strategy == Strategy::Scored && weight > 0.0)
        };
        Measures {
            latency: is(Strategy::LeastLatency, weights.latency),
            busy: is(Strategy::LeastBusy, weights.busy) || strategy == Strategy::LeastLatency,
            cost: is(Strategy::Cheapest, weights.cost) || strategy == Strategy::Auto,
            carbon: is(Strategy::Carbon, weights.carbon),
            quality: is(Strategy::Quality, weights.quality),
        }
    }
}

/// What became of a rule's targets.
struct Found {
    /// Who may answer.
    left: Vec<Candidate>,
    /// Who may after some failures.
    aside: Vec<Candidate>,
    /// Who gets copies.
    shadows: Vec<usize>,
    why: Lack,
}

/// Writes down that regions have decided where a request goes, or that it goes nowhere.
fn tell_regions(route: &Route, first: Option<&RouteTarget>, ask: &mut Ask<'_, '_>) {
    let consumer = ask.fact(Fact::Consumer);
    let more = serde_json::json!({
        "rule": route.name,
        "target": first.map(RouteTarget::label),
        "region": first.and_then(|target| target.region.as_deref()),
    });
    let action = if first.is_some() { "region" } else { "deny" };
    let consumer = Some(&*consumer).filter(|consumer| !consumer.is_empty());
    log::warn!("{}", audit::line(ask.now, "routing", action, consumer, more));
}

/// Who is there in place of targets that all cannot be asked: for prompts that are too long for them,
/// and else for when there is nobody.
fn instead(route: &Route, aside: &mut Vec<Candidate>, why: &Lack) -> Vec<Candidate> {
    let failure = if why.context.is_some() { Failure::ContextLength } else { Failure::Outage };
    let (taken, rest) = aside.drain(..).partition(|candidate| is_for(route, candidate, failure));
    *aside = rest;
    taken
}

fn is_for(route: &Route, candidate: &Candidate, failure: Failure) -> bool {
    let target = route.targets.get(candidate.index);
    target.is_some_and(|target| target.fallback_for.contains(&failure))
}

fn begin_reason(route: &Route, tier: Tier, signs: &[&str]) -> String {
    let mut reason = format!("route={} strategy={}", route.name, route.strategy.name());
    if route.strategy == Strategy::Auto {
        let signs = if signs.is_empty() { "none".to_owned() } else { signs.join(",") };
        let _ = write!(reason, " tier={} signs={signs}", tier.name());
    }
    reason
}

fn end_reason(reason: &mut String, route: &Route, targets: &[usize], left: &[Candidate]) {
    let _ = write!(reason, " order=");
    for (place, index) in targets.iter().enumerate() {
        let Some(target) = route.targets.get(*index) else { continue };
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(reason, "{comma}{}", target.label());
        let Some(of) = left.iter().find(|candidate| candidate.index == *index) else { continue };
        let _ = match route.strategy {
            Strategy::Cheapest | Strategy::Auto => match of.cost {
                Some(cost) => write!(reason, "(usd={cost:.6})"),
                None => write!(reason, "(usd=?)"),
            },
            Strategy::LeastLatency => write!(reason, "(ms={:.0})", of.latency / 1e6),
            Strategy::LeastBusy => write!(reason, "(busy={:.1})", of.busy),
            Strategy::Carbon => write!(reason, "(g={:.4})", of.carbon),
            Strategy::Quality => write!(reason, "(bad={:.3})", of.badness),
            Strategy::Priority | Strategy::Weighted | Strategy::Scored => Ok(()),
        };
        if of.fitness != Fitness::Well {
            reason.push_str(if of.fitness == Fitness::Probe { "(probe)" } else { "(rests)" });
        }
    }
}

impl Route {
    fn is_plain(&self) -> bool {
        self.targets.len() == 1
            && self.regions.is_none()
            && self
                .targets
                .iter()
                .all(|target| target.can.is_none() && target.context.is_none() && target.approved)
    }

    /// What keeps to the same target.
    fn sticky_key(&self, ask: &mut Ask<'_, '_>) -> Option<u64> {
        let text = match self.sticky.as_ref()? {
            Sticky::Consumer => ask.fact(Fact::Consumer),
            Sticky::Header(name) => ask.header(name)?,
            Sticky::PromptPrefix => beginning(ask.body),
        };
        (!text.is_empty()).then(|| hash(text.as_bytes()))
    }
}

/// What a conversation begins with: what is said up to the user's first message. It stays the same while
/// the conversation goes on, and so does what a provider has cached of it.
fn beginning(body: &str) -> Rc<str> {
    let mut beginning = String::new();
    for text in texts::request(body.into()).unwrap_or_default().texts {
        // Declared functions come after it in some APIs, and before it at the provider's.
        if text.role == Role::Declaration {
            continue;
        }
        let text_of = text.raw.get();
        let room = PREFIX.saturating_sub(beginning.len());
        let end = (0..=room.min(text_of.len())).rev().find(|end| text_of.is_char_boundary(*end));
        beginning.push_str(text_of.get(..end.unwrap_or(0)).unwrap_or_default());
        if text.role == Role::User || beginning.len() >= PREFIX {
            break;
        }
    }
    beginning.into()
}

impl RouteTarget {
    /// How busy it is, in requests: as its servers say, else by those under way from here.
    fn busy(&self, now: u64) -> f64 {
        let told = load::least(&self.servers, now).map(|(_, busy)| busy);
        told.unwrap_or_else(|| f64::from(self.health.under_way()))
    }

    /// Whether it is among these, `provider=model` or `provider=*` in lines, when this model is asked for.
    fn is_among(&self, lines: &str, asked: &str) -> bool {
        let fits = |line: &str| {
            let Some((provider, model)) = line.split_once('=') else { return false };
            provider == self.name && (model == "*" || model == self.model_of(asked))
        };
        lines.lines().any(fits)
    }

    /// Whether a client means it with this: `provider`, `provider/model` or, of whatever provider,
    /// `model`, as the provider calls it, when this model is asked for.
    fn is_pinned(&self, pin: &str, asked: &str) -> bool {
        let model = self.model_of(asked);
        let rest = pin.strip_prefix(self.name.as_str()).and_then(|rest| rest.strip_prefix('/'));
        pin == self.name || pin == model || rest == Some(model.as_str())
    }

    /// How it is called where decisions are told.
    fn label(&self) -> String {
        match &self.model {
            Some(model) => format!("{}/{model}", self.name),
            None => self.name.clone(),
        }
    }
}
