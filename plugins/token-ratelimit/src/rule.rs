//! One rule, compiled: for whom it is, what it counts, and how much there is.

use shared::small_map::SmallMap;

use serde_json::{Value, json};
use shared::client::Cidr;
use shared::config::ConfigError;
use shared::pattern::Pattern;
use shared::time;
use shared::usage::Usage;

use crate::ask::Ask;
use crate::config::{self, Exceeded, Override, Unit, Word};
use crate::terms::{Kind, Terms};
use crate::window::Window;
use crate::zone::Zone;

/// Billionths of a US dollar in one.
const NANO: f64 = 1e9;

/// A part of a rule's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The consumer.
    Consumer,
    /// Its first group.
    Group,
    /// The key that was used.
    KeyId,
    /// The model that was asked for.
    Model,
    /// The API.
    Endpoint,
    /// The client's address.
    Ip,
    /// The provider that answers; not known before.
    Provider,
    /// The model that it is asked for; not known before.
    TargetModel,
    /// The proxy's own route.
    Route,
    /// A header.
    Header(String),
    /// A parameter of the path.
    Query(String),
    /// A cookie.
    Cookie(String),
    /// A tag of the consumer's.
    Tag(String),
    /// A claim of its token's.
    Claim(String),
    /// `user`, or a member of `metadata`.
    Body(String),
}

impl Part {
    fn parse(text: &str) -> Option<Part> {
        if let Some((kind, name)) = text.split_once(':') {
            let name = name.to_owned();
            let part = match kind {
                "header" => Part::Header(name.to_ascii_lowercase()),
                "query" => Part::Query(name),
                "cookie" => Part::Cookie(name),
                "tag" => Part::Tag(name),
                "claim" => Part::Claim(name),
                "body" => Part::Body(name),
                _ => return None,
            };
            return (!text.ends_with(':')).then_some(part);
        }
        Some(match text {
            "consumer" => Part::Consumer,
            "group" => Part::Group,
            "key_id" => Part::KeyId,
            "model" => Part::Model,
            "endpoint" => Part::Endpoint,
            "ip" => Part::Ip,
            "provider" => Part::Provider,
            "target_model" => Part::TargetModel,
            "route" => Part::Route,
            _ => return None,
        })
    }
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What each has a count of its own.
    pub key: Vec<Part>,
    /// What is counted.
    pub unit: Unit,
    /// What happens to who has used it up.
    pub exceeded: Exceeded,
    /// Shares of the limit at which it warns, the lowest first.
    pub soft: Vec<f64>,
    /// The share of the limit from which on the forecast warns, if there is one.
    pub forecast: Option<f64>,
    /// Whether it ends streams under way.
    pub cut: bool,
    /// Of a key with a provider or its model: those that may be left out, `provider` or `provider=model`.
    pub providers: Vec<String>,
    /// The window as it is written, for people.
    pub window_name: String,
    /// How long the window is, in seconds; 0 of places.
    pub window_seconds: u64,
    kind: Kind,
    limit: u64,
    overrides: SmallMap<String, Override>,
    weights: Vec<(Pattern, f64)>,
    cached_weight: f64,
    completion_weight: f64,
    models: Vec<Pattern>,
    consumers: Vec<Pattern>,
    groups: Vec<Pattern>,
    paths: Vec<Pattern>,
    headers: Vec<(String, Pattern)>,
    ips: Vec<Cidr>,
}

/// What holds for one key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allowance {
    /// These terms.
    Terms(Terms),
    /// No limit.
    Unlimited,
    /// Nothing at all.
    Blocked,
}

impl Rule {
    /// Compiles one; `path` is where it stands.
    pub fn new(config: config::Rule, path: &str) -> Result<Rule, ConfigError> {
        let bad = |field: &str, message: &str| ConfigError::new(format!("{path}.{field}"), message);
        let name_ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !(1..=64).contains(&config.name.len()) || !config.name.chars().all(name_ok) {
            return Err(bad("name", "must have 1 to 64 letters, digits, `-`, `_` or `.`"));
        }
        let mut key = Vec::new();
        for (index, part) in config.key.iter().enumerate() {
            let message = "expected consumer, group, key_id, model, endpoint, ip, provider, target_model, \
                           route, or header:, query:, cookie:, tag:, claim: or body: and a name";
            key.push(Part::parse(part).ok_or_else(|| bad(&format!("key[{index}]"), message))?);
        }
        let of_model = key.contains(&Part::TargetModel);
        if (of_model || key.contains(&Part::Provider)) && config.providers.is_empty() {
            return Err(bad("providers", "name those that a count of providers may leave out"));
        }
        for (index, provider) in config.providers.iter().enumerate() {
            if provider.contains('=') != of_model {
                let message =
                    "write `provider=model` if `target_model` is in the key, else `provider`";
                return Err(bad(&format!("providers[{index}]"), message));
            }
        }
        let unit = config.unit;
        if of_model || key.contains(&Part::Provider) {
            // Who answers is known only afterwards: such a count is looked at before and charged then.
            let cannot = [
                (unit == Unit::Concurrent, "unit"),
                (config.exceeded != Exceeded::Refuse, "exceeded"),
                (!config.soft.is_empty(), "soft"),
                (config.forecast.is_some(), "forecast"),
                (config.cut, "cut"),
            ];
            if let Some((_, field)) = cannot.into_iter().find(|(is, _)| *is) {
                let message = "is not for a count of providers: nothing is held of it while a request is \
                               under way, and those that are used up are left out";
                return Err(bad(field, message));
            }
        }
        let amount = |field: &str, value: f64| {
            let scaled = if unit == Unit::Cost { value * NANO } else { value };
            let whole = unit == Unit::Cost || value.fract() == 0.0;
            if !(0.0..=1e18).contains(&scaled) || !whole {
                return Err(bad(field, "must be a whole number of 0 or more (of `cost` any)"));
            }
            // Below 2^63, as was just checked.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Ok(scaled.round() as u64)
        };
        let limit = amount("limit", config.limit)?;
        let zone = match (&config.utc_offset, &config.time_zone) {
            (None, None) => Zone::default(),
            (Some(text), None) => Zone::fixed(
                time::offset(text)
                    .ok_or_else(|| bad("utc_offset", "write `+HH:MM` or `-HH:MM`"))?,
            ),
            (None, Some(text)) => Zone::parse(text).ok_or_else(|| {
                let message = "no such zone; write `Europe/Berlin`, or its rule, \
                               `CET-1CEST,M3.5.0,M10.5.0/3`";
                bad("time_zone", message)
            })?,
            (Some(_), Some(_)) => return Err(bad("time_zone", "is there besides `utc_offset`")),
        };
        let (kind, window_seconds) = match (unit, &config.window) {
            (Unit::Concurrent, Some(_)) => {
                return Err(bad("window", "requests under way have none; leave it out"));
            }
            (Unit::Concurrent, None) => (Kind::Places, 0),
            (_, None) => return Err(bad("window", "say for how long, as `1m` or `month`")),
            (_, Some(text)) => {
                let window = Window::parse(text).ok_or_else(|| {
                    bad(
                        "window",
                        "write `30s`, `1m`, `5h`, `7d`, or second, minute, hour, day, week, month",
                    )
                })?;
                let burst = config.burst.map_or(Ok(limit), |burst| amount("burst", burst))?;
                let kind = Kind::new(config.algorithm, window, zone, burst);
                (kind, window.length())
            }
        };
        if config.burst.is_some() && config.algorithm != config::Algorithm::TokenBucket {
            return Err(bad("burst", "is for `token_bucket`"));
        }
        if config.exceeded != Exceeded::Refuse && unit == Unit::Concurrent {
            return Err(bad("exceeded", "of `concurrent` only `refuse` makes sense"));
        }
        if let Some(forecast) = config.forecast {
            if !(0.01..=100.0).contains(&forecast.warn) {
                return Err(bad("forecast.warn", "must be between 0.01 and 100"));
            }
            if window_seconds < 86_400 || !matches!(kind, Kind::Windows { sliding: false, .. }) {
                return Err(bad("forecast", "is for `fixed_window` of a day or more"));
            }
        }
        if config.cut && (config.exceeded != Exceeded::Refuse || !unit.grows()) {
            return Err(bad("cut", "is for units that grow with the answer, and for `refuse`"));
        }
        let patterns =
            |field: &str, texts: &[String]| Pattern::all(texts, &format!("{path}.when.{field}"));
        let mut weights = Vec::new();
        for (model, weight) in &config.weights {
            let path = format!("{path}.weights.{model}");
            if !(0.0..=1e6).contains(weight) {
                return Err(ConfigError::new(path, "must be 0 or more"));
            }
            let named = !model.contains('*') && !model.starts_with('~');
            weights.push((named, model.len(), (Pattern::new(model, &path)?, *weight)));
        }
        // Members have no order: a name goes before patterns, and of these the longest.
        shared::sort::by(&mut weights, |a, b| (b.0, b.1) < (a.0, a.1));
        let weights = weights.into_iter().map(|(.., weight)| weight).collect();
        let shares = config.soft.iter().enumerate();
        for (index, share) in shares {
            if !(0.0..=1.0).contains(share) {
                return Err(bad(&format!("soft[{index}]"), "must be between 0 and 1"));
            }
        }
        for (field, weight) in [
            ("cached_weight", config.cached_weight),
            ("completion_weight", config.completion_weight),
        ] {
            if !(0.0..=1e6).contains(&weight) {
                return Err(bad(field, "must be 0 or more"));
            }
        }
        let mut overrides = SmallMap::new();
        for (written, other) in config.overrides {
            let field = format!("overrides.{written}");
            if let Override::Limit(limit) = other {
                amount(&field, limit)?;
            }
            let message = "must have the parts of `key`, joined by `/`; a `/` within one is `%2F`";
            let known = key_of(key.len(), &written).ok_or_else(|| bad(&field, message))?;
            overrides.insert(known, other);
        }
        let headers = config.when.headers.iter().map(|(name, text)| {
            let path = format!("{path}.when.headers.{name}");
            Ok((name.to_ascii_lowercase(), Pattern::new(text, &path)?))
        });
        let ips = config.when.ips.iter().enumerate().map(|(index, range)| {
            Cidr::parse(range).map_err(|error| bad(&format!("when.ips[{index}]"), error))
        });
        let mut soft = config.soft;
        shared::sort::by(&mut soft, |a, b| a < b);
        Ok(Rule {
            key,
            unit,
            exceeded: config.exceeded,
            soft,
            forecast: config.forecast.map(|forecast| forecast.warn),
            cut: config.cut,
            providers: config.providers,
            window_name: config.window.clone().unwrap_or_default(),
            window_seconds,
            kind,
            limit,
            overrides,
            weights,
            cached_weight: config.cached_weight,
            completion_weight: config.completion_weight,
            models: patterns("models", &config.when.models)?,
            consumers: patterns("consumers", &config.when.consumers)?,
            groups: patterns("groups", &config.when.groups)?,
            paths: patterns("paths", &config.when.paths)?,
            headers: headers.collect::<Result<_, ConfigError>>()?,
            ips: ips.collect::<Result<_, _>>()?,
            name: config.name,
        })
    }

    /// Whether it is for a request.
    pub fn fits(&self, ask: &mut Ask<'_, '_>) -> bool {
        let any = |patterns: &[Pattern], text: &str| patterns.iter().any(|p| p.fits(text));
        (self.models.is_empty() || any(&self.models, ask.model))
            && (self.consumers.is_empty() || any(&self.consumers, &ask.part(&Part::Consumer)))
            && (self.groups.is_empty()
                || ask.groups().split(',').any(|group| any(&self.groups, group)))
            && (self.paths.is_empty() || any(&self.paths, &ask.path()))
            && self.headers.iter().all(|(name, pattern)| pattern.fits(&ask.header(name)))
            && (self.ips.is_empty()
                || ask.address().is_some_and(|ip| self.ips.iter().any(|range| range.contains(ip))))
    }

    /// A key as people write it; `None` if it has other parts than the rule's.
    pub fn key_of(&self, written: &str) -> Option<String> {
        key_of(self.key.len(), written)
    }

    /// What holds for a key.
    pub fn allowance(&self, key: &str) -> Allowance {
        let limit = match self.overrides.get(key) {
            Some(Override::Word(Word::Unlimited)) => return Allowance::Unlimited,
            Some(Override::Word(Word::Blocked)) => return Allowance::Blocked,
            Some(Override::Limit(limit)) => self.scaled(*limit),
            None => self.limit,
        };
        let kind = match self.kind {
            // What can be saved up grows with the limit.
            Kind::Bucket { seconds, burst } if limit != self.limit => {
                let burst = u128::from(burst) * u128::from(limit) / u128::from(self.limit.max(1));
                Kind::Bucket { seconds, burst: u64::try_from(burst).unwrap_or(u64::MAX) }
            }
            kind => kind,
        };
        Allowance::Terms(Terms { kind, limit })
    }

    /// An amount as people write it, in the unit's smallest part.
    pub fn scaled(&self, value: f64) -> u64 {
        let scaled = if self.unit == Unit::Cost { value * NANO } else { value };
        // Checked when it was configured.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let scaled = scaled.round() as u64;
        scaled
    }

    /// An amount as people read it.
    pub fn shown(&self, amount: u64) -> Value {
        match self.unit {
            Unit::Cost => json!(amount as f64 / NANO),
            _ => json!(amount),
        }
    }

    /// An amount that is foretold, as people read it.
    pub fn shown_part(&self, amount: f64) -> f64 {
        match self.unit {
            Unit::Cost => (amount / NANO * 1e4).round() / 1e4,
            _ => amount.round(),
        }
    }

    /// How much a request counts, with these tokens, this cost in billionths of a dollar, and under way
    /// or not.
    pub fn amount(&self, model: &str, usage: &Usage, cost: u64, over: bool) -> u64 {
        // How many there are only the answer says, so that one is kept free until then.
        let least = u64::from(!over);
        let tokens = match self.unit {
            Unit::TotalTokens => usage.total_tokens(),
            Unit::PromptTokens => usage.prompt_tokens,
            Unit::CompletionTokens => usage.completion_tokens,
            Unit::WeightedTokens => {
                let cached = usage.cached_tokens.min(usage.prompt_tokens);
                let fresh = usage.prompt_tokens.saturating_sub(cached);
                return self.weighted(
                    model,
                    fresh as f64
                        + cached as f64 * self.cached_weight
                        + usage.completion_tokens as f64 * self.completion_weight,
                );
            }
            Unit::Requests => return 1,
            Unit::Concurrent => return least,
            Unit::Cost => return cost,
            Unit::Images => usage.images.max(least),
            Unit::Seconds => usage.seconds.max(least),
            Unit::Pages => usage.pages.max(least),
        };
        self.weighted(model, tokens as f64)
    }

    fn weighted(&self, model: &str, tokens: f64) -> u64 {
        let weight = self.weights.iter().find(|(pattern, _)| pattern.fits(model));
        let tokens = tokens * weight.map_or(1.0, |(_, weight)| *weight);
        // A float beyond the range of an integer is its end.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let tokens = tokens.ceil() as u64;
        tokens
    }

    /// The amounts of its soft shares.
    pub fn marks(&self, limit: u64) -> Vec<u64> {
        let mark = |share: &f64| {
            // Shares are between 0 and 1.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let mark = (limit as f64 * share).ceil() as u64;
            mark.max(1)
        };
        self.soft.iter().map(mark).collect()
    }

    /// Whether its key has the provider or its model, which are known only when there is an answer.
    pub fn is_of_target(&self) -> bool {
        self.key.iter().any(|part| matches!(part, Part::Provider | Part::TargetModel))
    }
}

/// A key of so many parts as people write it. Of one part alone a `/` is no end: models have names with one.
fn key_of(parts: usize, written: &str) -> Option<String> {
    match parts {
        0 => written.is_empty().then(String::new),
        1 => Some(written.replace('/', "%2F")),
        _ => (written.split('/').count() == parts).then(|| written.to_owned()),
    }
}
