//! The configured plugin's state: the rules and the counts.

use shared::config::{ConfigError, Mode, Secrets};
use shared::exchange::{Limits, Settings};
use shared::facts::Fact;
use shared::host::{Capability, Host, MetricKind};
use shared::price::Prices;
use shared::services::Services;
use shared::usage::Usage;

use crate::account::{Receipt, Standing, Terms};
use crate::ask::Ask;
use crate::config::{Config, Exceeded, Unit};
use crate::learned::Learned;
use crate::rule::{Allowance, Rule};
use crate::store::{KeyId, Store};

/// The configured plugin's state.
#[derive(Debug)]
pub struct Limiter {
    /// What the plugin does.
    pub mode: Mode,
    /// The rules, in their order.
    pub rules: Vec<Rule>,
    /// The counts.
    pub store: Store,
    /// Whether answers say what is left.
    pub headers: bool,
    /// Who may read and reset counts.
    pub admin: Secrets,
    /// How long answers are.
    pub learned: Learned,
    prices: Prices,
    usual: u64,
    settings: Settings,
}

/// What a request is expected to use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// Tokens.
    pub usage: Usage,
    /// Billionths of a US dollar.
    pub cost: u64,
}

/// What was reserved of one rule.
#[derive(Clone, Debug)]
pub struct Held {
    /// The rule's place.
    pub rule: usize,
    key: KeyId,
    terms: Terms,
    receipt: Receipt,
    /// Where the key stands since.
    pub standing: Standing,
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

/// What came of a request.
#[derive(Debug, Default)]
pub struct Admitted {
    /// What was reserved.
    pub held: Vec<Held>,
    /// A budget that asks for a cheaper model.
    pub downgrade: Option<usize>,
    /// Budgets that are used to one of their shares.
    pub warnings: Vec<(usize, f64)>,
    /// The first rule that would have refused, where nothing is refused.
    pub over: Option<Full>,
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
        let limits = Limits { request: config.max_request_bytes, ..Limits::default() };
        Ok(Limiter {
            mode: config.mode,
            rules,
            store: Store::new(config.max_keys),
            headers: config.headers,
            admin: config.admin_key,
            learned: Learned::default(),
            prices: Prices::new(config.prices)?,
            usual: config.usual_completion,
            settings: Settings {
                limits,
                trust_facts: true,
                services: Services::new(&config.services, "services")?,
                ..Settings::default()
            },
        })
    }

    /// Settings of its exchanges.
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// What a request will probably use: its prompt, and as many tokens as it asks for or as answers of
    /// the model usually have.
    pub fn expect(&self, model: &str, prompt_tokens: u64, max_tokens: Option<u64>) -> Expected {
        let usual = || self.learned.expected(model).unwrap_or(self.usual);
        let completion_tokens = max_tokens.unwrap_or_else(usual);
        let usage = Usage { prompt_tokens, completion_tokens, ..Usage::default() };
        Expected { usage, cost: self.cost("", model, &usage) }
    }

    /// What tokens cost, in billionths of a US dollar; 0 for a model that nobody has priced.
    pub fn cost(&self, provider: &str, model: &str, usage: &Usage) -> u64 {
        self.prices.cost(provider, model, usage).unwrap_or(0)
    }

    /// Whether any rule needs costs.
    pub fn counts_cost(&self) -> bool {
        self.rules.iter().any(|rule| rule.unit == Unit::Cost)
    }

    /// Reserves of all rules that fit, or of none.
    pub fn admit(&self, ask: &mut Ask<'_, '_>, expected: &Expected) -> Result<Admitted, Full> {
        let mut admitted = Admitted::default();
        for (index, rule) in self.rules.iter().enumerate() {
            if rule.is_of_provider() || !rule.fits(ask) {
                continue;
            }
            let key = ask.key(&rule.key);
            let full = match rule.allowance(&key) {
                Allowance::Unlimited => continue,
                Allowance::Blocked => {
                    Full { rule: index, wait: None, standing: Standing::default() }
                }
                Allowance::Terms(terms) => {
                    match self.reserve(ask, index, rule, &key, terms, expected, &mut admitted) {
                        Ok(()) => continue,
                        Err(full) => full,
                    }
                }
            };
            if rule.exceeded == Exceeded::Refuse && self.mode == Mode::Enforce {
                self.release(ask.cx.host, &admitted.held);
                return Err(full);
            }
            admitted.over.get_or_insert(full);
            if rule.exceeded == Exceeded::Downgrade {
                admitted.downgrade.get_or_insert(index);
            }
        }
        Ok(admitted)
    }

    #[allow(clippy::too_many_arguments)] // They are the loop's above.
    fn reserve(
        &self,
        ask: &Ask<'_, '_>,
        index: usize,
        rule: &Rule,
        key: &str,
        terms: Terms,
        expected: &Expected,
        admitted: &mut Admitted,
    ) -> Result<(), Full> {
        let host = ask.cx.host;
        let id = KeyId::new(&rule.name, key);
        let amount = rule.amount(ask.model, &expected.usage, expected.cost, false);
        let first = self.store.reserve(host, id, &terms, amount, false);
        self.count(host, "ai_limit_evicted_total", first.evicted);
        let (result, standing) = first.result;
        let (receipt, standing, full) = match result {
            Ok(receipt) => (receipt, standing, None),
            Err(wait) => {
                let full = Full { rule: index, wait: Some(wait), standing };
                if rule.exceeded == Exceeded::Refuse && self.mode == Mode::Enforce {
                    return Err(full);
                }
                // It goes on, and so it counts.
                let (result, standing) = self.store.reserve(host, id, &terms, amount, true).result;
                match result {
                    Ok(receipt) => (receipt, standing, Some(full)),
                    Err(_) => return Err(full),
                }
            }
        };
        let used = standing.used as f64 / standing.limit.max(1) as f64;
        if let Some(share) = rule.soft.iter().rev().find(|share| used >= **share) {
            admitted.warnings.push((index, *share));
        }
        admitted.held.push(Held { rule: index, key: id, terms, receipt, standing });
        full.map_or(Ok(()), Err)
    }

    /// Providers whose count is used up, as [`Fact::Exhausted`] has them.
    pub fn exhausted(&self, ask: &mut Ask<'_, '_>) -> Vec<String> {
        let mut found = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.is_of_provider()) {
            if !rule.fits(ask) {
                continue;
            }
            for provider in &rule.providers {
                let mut ask = Ask { cx: ask.cx, provider, model: ask.model, body: ask.body };
                let key = ask.key(&rule.key);
                let used_up = match rule.allowance(&key) {
                    Allowance::Unlimited => false,
                    Allowance::Blocked => true,
                    Allowance::Terms(terms) => {
                        let id = KeyId::new(&rule.name, &key);
                        self.store.standing(ask.cx.host, id, &terms).remaining() == 0
                    }
                };
                if used_up {
                    found.push(format!("{provider}=*"));
                }
            }
        }
        found
    }

    /// Gives back what was reserved for a request that goes nowhere.
    pub fn release(&self, host: &dyn Host, held: &[Held]) {
        for held in held {
            self.store.settle(host, held.key, &held.terms, held.receipt, 0);
        }
    }

    /// A request is over, and has used this at this provider and model.
    pub fn settle(
        &self,
        ask: &mut Ask<'_, '_>,
        held: &[Held],
        usage: &Usage,
        answering_model: &str,
        served: bool,
    ) {
        let host = ask.cx.host;
        let stated = ask.cx.facts.get(host, Fact::Cost).and_then(|cost| cost.parse().ok());
        let cost = stated.unwrap_or_else(|| self.cost(ask.provider, answering_model, usage));
        for held in held {
            let Some(rule) = self.rules.get(held.rule) else { continue };
            let actual = rule.amount(ask.model, usage, cost, true);
            self.store.settle(host, held.key, &held.terms, held.receipt, actual);
        }
        if !served {
            return;
        }
        // Who answers is known only now.
        for rule in self.rules.iter().filter(|rule| rule.is_of_provider()) {
            if !rule.fits(ask) {
                continue;
            }
            let key = ask.key(&rule.key);
            if let Allowance::Terms(terms) = rule.allowance(&key) {
                let amount = rule.amount(ask.model, usage, cost, true);
                let id = KeyId::new(&rule.name, &key);
                let changed = self.store.reserve(host, id, &terms, amount, true);
                self.count(host, "ai_limit_evicted_total", changed.evicted);
            }
        }
    }

    /// Adds to one of the plugin's counters.
    pub fn count(&self, host: &dyn Host, name: &str, by: u64) {
        if by == 0 || !host.can(Capability::Metrics) {
            return;
        }
        if let Ok(id) = host.metric(MetricKind::Counter, name) {
            let _ = host.add_metric(id, i64::try_from(by).unwrap_or(i64::MAX));
        }
    }
}
