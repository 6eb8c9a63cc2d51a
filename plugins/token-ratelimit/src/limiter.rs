//! The configured plugin's state: the rules and the counts.

use shared::small_map::SmallMap;
use std::cell::RefCell;
use std::time::Duration;

use shared::config::{ConfigError, Mode, Secrets};
use shared::exchange::{Limits, Settings};
use shared::filter::CallReply;
use shared::host::{CallId, Capability, Host, MetricId, MetricKind};
use shared::plugin::Need;
use shared::price::Prices;
use shared::services::Services;
use shared::usage::Usage;

use crate::alert::Alerts;
use crate::ask::Ask;
use crate::claim::{self, Checked, Claim};
use crate::config::{Config, Exceeded};
use crate::forecast::Forecasts;
use crate::learned::Learned;
use crate::rule::{Allowance, Rule};
use crate::store::local::Local;
use crate::store::redis::Redis;
use crate::store::rls::Rls;
use crate::store::{self, Fail, Store};
use crate::terms::{Kind, Standing, Terms};

/// Most that is reserved for one request: 17,592 dollars, or as many billion tokens. A client can ask for any
/// number, and where there is room for whatever is asked one beyond all counts would take with it, when it is given
/// back, what others have used. Lua's numbers hold the sum of 512 of these exactly.
const MOST: u64 = 1 << 44;

/// The configured plugin's state.
#[derive(Debug)]
pub struct Limiter {
    /// What the plugin does.
    pub mode: Mode,
    /// The rules, in their order.
    pub rules: Vec<Rule>,
    /// Where the counts are.
    pub store: Store,
    /// The proxy's own counts: all, or those that stand in for a store that does not answer.
    pub local: Local,
    /// Who is told of budgets.
    pub alerts: Option<Alerts>,
    /// What budgets will have used.
    pub forecasts: Forecasts,
    /// Whether answers say what is left.
    pub headers: bool,
    /// Who may read and reset counts.
    pub admin: Secrets,
    /// How long answers are, and who gives them.
    pub learned: Learned,
    prices: Prices,
    candidates: SmallMap<String, Vec<String>>,
    usual: u64,
    settings: Settings,
    /// By name. Envoy gives out another number whenever one is declared, and keeps all of them for good.
    metrics: RefCell<SmallMap<String, MetricId>>,
}

/// What a request is expected to use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// Tokens.
    pub usage: Usage,
    /// Billionths of a US dollar, of the dearest that may answer.
    pub cost: u64,
}

/// That there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// The rule's place.
    pub rule: usize,
    /// Seconds until there may be; `None`: never.
    pub wait: Option<u64>,
    /// Where the key stands.
    pub standing: Standing,
}

/// What a request asks of the counts.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// All that must be asked.
    pub claims: Vec<Claim>,
    /// Targets whose counts are looked at, by the claim's place.
    pub(crate) looks: Vec<(usize, String)>,
    /// Targets that are not to be asked, whatever is left.
    pub(crate) blocked: Vec<String>,
    /// The first rule that blocks the key and would have refused, where nothing is refused.
    pub(crate) over: Option<Full>,
    /// The first such rule that asks for a cheaper model.
    pub(crate) downgrade: Option<usize>,
}

impl Limiter {
    /// Checks a configuration.
    pub fn new(config: Config) -> Result<Limiter, ConfigError> {
        if config.max_keys == 0 {
            return Err(ConfigError::new("max_keys", "must be 1 or more"));
        }
        let mut rules: Vec<Rule> = Vec::new();
        for (index, rule) in config.rules.into_iter().enumerate() {
            let path = format!("rules[{index}]");
            let rule = Rule::new(rule, &path)?;
            if rules.iter().any(|other| other.name == rule.name) {
                return Err(ConfigError::new(format!("{path}.name"), "is there twice"));
            }
            rules.push(rule);
        }
        let store = match config.store {
            crate::config::Store::Local => Store::Local,
            crate::config::Store::Redis(redis) => {
                Store::Redis(Box::new(Redis::new(*redis, "store.redis")?))
            }
            crate::config::Store::Rls(rls) => {
                Store::Rls(Box::new(Rls::new(*rls, &rules, "store.rls")?))
            }
        };
        let limits = Limits { request: config.max_request_bytes, ..Limits::default() };
        Ok(Limiter {
            mode: config.mode,
            rules,
            local: Local::new(config.max_keys),
            alerts: config.webhook.map(Alerts::new).transpose()?,
            forecasts: Forecasts::new(matches!(store, Store::Redis(_))),
            store,
            headers: config.headers,
            admin: config.admin_key,
            learned: Learned::default(),
            prices: Prices::new(config.prices)?,
            candidates: config.candidates,
            usual: config.usual_completion,
            settings: Settings {
                limits,
                services: Services::new(&config.services, "services")?,
                ..Settings::default()
            },
            metrics: RefCell::default(),
        })
    }

    /// Settings of its exchanges.
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// What the proxy has to be able to do for this.
    pub fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        match &self.store {
            Store::Local => {}
            Store::Redis(redis) if redis.tick_period().is_none() => {}
            Store::Redis(_) => {
                let message = "this proxy has no timer by which the end of requests could be told; set \
                               `on_requests: true`, and the next request tells it";
                needs.push(Need::new(Capability::Tick, "store.redis", message));
            }
            Store::Rls(_) => {
                let message = "this proxy makes no calls of gRPC; use `local` or `redis`";
                needs.push(Need::new(Capability::Clusters, "store.rls", message));
            }
        }
        if self.alerts.is_some() {
            let message = "this proxy has no timer by which it could be called; leave it out: answers warn \
                           in the header `x-ai-budget`";
            needs.push(Need::new(Capability::Tick, "webhook", message));
        }
        for index in (0..self.rules.len()).filter(|index| self.cuts(*index)) {
            let message = "this proxy cannot change answers, so that none can be ended here; leave it out, \
                           or use ai-gateway, which has this plugin as its section `token-ratelimit`";
            let path = format!("rules[{index}].cut");
            needs.push(Need::new(Capability::RewriteResponseBody, path, message));
        }
        needs
    }

    /// What a request will probably use: its prompt, and as many tokens as it asks for or as answers of
    /// the model usually have.
    pub fn expect(
        &self,
        model: &str,
        route: &str,
        prompt_tokens: u64,
        max_tokens: Option<u64>,
    ) -> Expected {
        let usual = || self.learned.expected(model, route).unwrap_or(self.usual);
        let completion_tokens = max_tokens.unwrap_or_else(usual);
        let usage = Usage { prompt_tokens, completion_tokens, ..Usage::default() };
        let own = self.prices.cost("", model, &usage);
        let known = self
            .learned
            .dearest(model, |provider, model| self.prices.cost(provider, model, &usage));
        let candidates = self.candidates.get(model).into_iter().flatten();
        let named = candidates.filter_map(|model| self.prices.cost("", model, &usage)).max();
        Expected { usage, cost: own.max(known).max(named).unwrap_or(0) }
    }

    /// What tokens cost, in billionths of a US dollar; 0 for a model that nobody has priced.
    pub fn cost(&self, provider: &str, model: &str, usage: &Usage) -> u64 {
        self.prices.cost(provider, model, usage).unwrap_or(0)
    }

    /// What a request asks of the counts; an error if it is for nobody to ask.
    pub fn plan(&self, ask: &mut Ask<'_, '_>, expected: &Expected) -> Result<Plan, Full> {
        let mut plan = Plan::default();
        for (index, rule) in self.rules.iter().enumerate() {
            if !rule.fits(ask) {
                continue;
            }
            if rule.is_of_target() {
                self.look(ask, index, rule, &mut plan);
                continue;
            }
            let key = ask.key(&rule.key);
            let refuses = rule.exceeded == Exceeded::Refuse && self.mode == Mode::Enforce;
            match rule.allowance(&key) {
                Allowance::Unlimited => {}
                Allowance::Blocked => {
                    let full = Full { rule: index, wait: None, standing: Standing::default() };
                    if refuses {
                        return Err(full);
                    }
                    plan.over.get_or_insert(full);
                    if rule.exceeded == Exceeded::Downgrade {
                        plan.downgrade.get_or_insert(index);
                    }
                }
                Allowance::Terms(terms) => {
                    let amount = rule.amount(ask.model, &expected.usage, expected.cost, false);
                    plan.claims.push(Claim {
                        rule: index,
                        count: claim::count(&rule.name, &terms, &key),
                        terms,
                        amount: amount.min(MOST),
                        mode: if refuses { claim::Mode::Reserve } else { claim::Mode::Force },
                        marks: rule.marks(terms.limit),
                    });
                }
            }
        }
        Ok(plan)
    }

    /// The counts of a plan whose models of a forecast are to be fetched.
    pub fn models_of(&self, host: &dyn Host, claims: &[Claim]) -> Vec<String> {
        let foretold = claims.iter().filter(|claim| {
            let rule = self.rules.get(claim.rule);
            rule.is_some_and(|rule| rule.forecast.is_some())
                && self.forecasts.wants(host, &claim.count)
        });
        foretold.map(|claim| claim.count.clone()).collect()
    }

    fn look(&self, ask: &mut Ask<'_, '_>, index: usize, rule: &Rule, plan: &mut Plan) {
        for provider in &rule.providers {
            let (count, terms) = match self.of_provider(ask, rule, provider) {
                Some(Allowance::Blocked) => {
                    plan.blocked.push(target_of(provider));
                    continue;
                }
                Some(Allowance::Terms(terms)) => {
                    let key = self.key_at(ask, rule, provider);
                    (claim::count(&rule.name, &terms, &key), terms)
                }
                _ => continue,
            };
            plan.looks.push((plan.claims.len(), target_of(provider)));
            plan.claims.push(Claim {
                rule: index,
                count,
                terms,
                amount: 0,
                mode: claim::Mode::Look,
                marks: Vec::new(),
            });
        }
    }

    fn key_at(&self, ask: &mut Ask<'_, '_>, rule: &Rule, provider: &str) -> String {
        let (provider, target_model) = provider.split_once('=').unwrap_or((provider, ""));
        let (cx, model, body) = (&mut *ask.cx, ask.model, ask.body);
        Ask { cx, provider, target_model, model, body }.key(&rule.key)
    }

    fn of_provider(&self, ask: &mut Ask<'_, '_>, rule: &Rule, provider: &str) -> Option<Allowance> {
        let key = self.key_at(ask, rule, provider);
        Some(rule.allowance(&key))
    }

    /// What a request that `provider` has answered counts there: the count's name, its terms and how
    /// much.
    pub(crate) fn charges(
        &self,
        ask: &mut Ask<'_, '_>,
        usage: &Usage,
        cost: u64,
    ) -> Vec<(String, Terms, u64)> {
        let mut charges = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.is_of_target()) {
            if !rule.fits(ask) {
                continue;
            }
            let key = ask.key(&rule.key);
            if let Allowance::Terms(terms) = rule.allowance(&key) {
                let amount = rule.amount(ask.model, usage, cost, true);
                charges.push((claim::count(&rule.name, &terms, &key), terms, amount));
            }
        }
        charges
    }

    /// Checks and reserves with the proxy's own counts.
    pub fn check_here(&self, host: &dyn Host, claims: &[Claim]) -> Checked {
        let (checked, evicted) = crate::store::check(&self.local, host, claims);
        self.count(host, "ai_limit_evicted_total", evicted);
        checked
    }

    /// Keeps what Redis has said of the counts, for the time when it does not answer. Of requests under way there is
    /// nothing to keep: nobody would say when they have ended.
    pub fn remember(&self, host: &dyn Host, claims: &[Claim], checked: &Checked) {
        let Store::Redis(redis) = &self.store else { return };
        if !matches!(redis.fail, Fail::Local(_)) {
            return;
        }
        let mut evicted = 0_u64;
        for (claim, answer) in claims.iter().zip(&checked.answers) {
            if claim.terms.kind == Kind::Places {
                continue;
            }
            // With what was added to the limit.
            let left = answer.standing.limit.saturating_sub(answer.standing.used);
            let used = claim.terms.most().saturating_sub(left);
            let changed = self.local.put(host, &store::known(&claim.count), &claim.terms, used);
            evicted = evicted.saturating_add(changed.evicted);
            let own = store::own(&claim.count);
            // Once Redis has been told of what this proxy has let through meanwhile, it is among what it says.
            if self.local.standing(host, &own, &claim.terms).used > 0 && redis.knows_all() {
                self.local.put(host, &own, &claim.terms, 0);
            }
        }
        self.count(host, "ai_limit_evicted_total", evicted);
    }

    /// The proxy's own share of what was left when Redis last answered.
    pub fn shares(&self, host: &dyn Host, claims: &[Claim], share: f64) -> Vec<Claim> {
        let used = |claim: &Claim| {
            self.local.standing(host, &store::known(&claim.count), &claim.terms).used
        };
        store::shares(claims, share, used)
    }

    /// Whether a rule may end streams under way.
    pub fn cuts(&self, index: usize) -> bool {
        self.mode == Mode::Enforce && self.rules.get(index).is_some_and(|rule| rule.cut)
    }

    /// How often [`tick`](Limiter::tick) is wanted.
    pub fn tick_period(&self) -> Option<Duration> {
        let store = match &self.store {
            Store::Local => None,
            Store::Redis(redis) => redis.tick_period(),
            Store::Rls(rls) => Some(rls.tick_period()),
        };
        let alerts = self.alerts.as_ref().map(|_| Duration::from_secs(1));
        store.into_iter().chain(alerts).min()
    }

    /// What is to be done outside of requests.
    pub fn tick(&self, host: &dyn Host) {
        let more = match &self.store {
            Store::Local => 0,
            Store::Redis(redis) => {
                redis.tick(host);
                redis.waiting()
            }
            Store::Rls(rls) => {
                rls.tick(host, &self.rules);
                rls.waiting()
            }
        };
        self.wait(host, more);
        if let Some(alerts) = &self.alerts {
            alerts.tick(host);
        }
    }

    /// No tick comes any more.
    pub fn ended(&self, host: &dyn Host) {
        let more = match &self.store {
            Store::Local => 0,
            Store::Redis(redis) => redis.ended(),
            Store::Rls(rls) => rls.ended(),
        };
        self.wait(host, more);
    }

    /// So many more wait to be told to the store.
    fn wait(&self, host: &dyn Host, more: i64) {
        if more == 0 || !host.can(Capability::Metrics) {
            return;
        }
        if let Some(id) = self.metric(host, MetricKind::Gauge, "ai_limit_settlements_waiting") {
            let _ = host.add_metric(id, more);
        }
    }

    /// A call that a tick has made was answered.
    pub fn called(&self, host: &dyn Host, call: CallId, reply: &CallReply) {
        let theirs = match &self.store {
            Store::Local => false,
            Store::Redis(redis) => redis.called(host, call, reply),
            Store::Rls(rls) => rls.called(host, &self.rules, call, reply),
        };
        if theirs {
            return;
        }
        if let Some(alerts) = &self.alerts {
            alerts.called(host, call, reply);
        }
    }

    /// Adds to one of the plugin's counters.
    pub fn count(&self, host: &dyn Host, name: &str, by: u64) {
        if by == 0 || !host.can(Capability::Metrics) {
            return;
        }
        if let Some(id) = self.metric(host, MetricKind::Counter, name) {
            let _ = host.add_metric(id, i64::try_from(by).unwrap_or(i64::MAX));
        }
    }

    /// Sets one of the plugin's gauges.
    pub fn gauge(&self, host: &dyn Host, name: &str, value: u64) {
        if !host.can(Capability::Metrics) {
            return;
        }
        if let Some(id) = self.metric(host, MetricKind::Gauge, name) {
            let _ = host.record_metric(id, value);
        }
    }

    fn metric(&self, host: &dyn Host, kind: MetricKind, name: &str) -> Option<MetricId> {
        let mut metrics = self.metrics.borrow_mut();
        if let Some(id) = metrics.get(name) {
            return Some(*id);
        }
        let id = host.metric(kind, name).ok()?;
        metrics.insert(name.to_owned(), id);
        Some(id)
    }
}

/// As [`Fact::Exhausted`](shared::facts::Fact::Exhausted) has it: of a provider all its models.
fn target_of(provider: &str) -> String {
    if provider.contains('=') { provider.to_owned() } else { format!("{provider}=*") }
}
