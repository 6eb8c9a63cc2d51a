//! The configuration, checked and ready to be asked.

use shared::config::{ConfigError, Mode, Secrets};
use shared::exchange::{Limits, Settings};
use shared::pattern::Pattern;
use shared::price::Prices;

use crate::config::{Allow, Config, Language, Scope, Stampede};
use crate::control::Control;

/// What requests are judged by.
#[derive(Debug)]
pub struct Policy {
    /// What the plugin does at all.
    pub mode: Mode,
    /// Who shares answers.
    pub scope: Scope,
    /// Part of every name.
    pub generation: String,
    /// What is cached.
    pub allow: Allow,
    /// Members that change nothing.
    pub ignore: Vec<String>,
    /// Headers that change answers.
    pub vary: Vec<String>,
    /// Of questions that mean the same.
    pub semantic: Option<Questions>,
    /// Equal requests at the same time.
    pub stampede: Stampede,
    /// Seconds after its end.
    pub stale_if_error: u32,
    /// Largest answer.
    pub max_entry_bytes: usize,
    /// Who may purge.
    pub admin: Secrets,
    /// What answers cost.
    pub prices: Prices,
    ttl: u32,
    max_ttl: u32,
    jitter: f64,
    rules: Vec<Rule>,
    max_request_bytes: usize,
}

/// Which questions are compared, and how.
#[derive(Clone, Debug)]
pub struct Questions {
    /// Languages.
    pub languages: Vec<Language>,
    /// In characters.
    pub max_question: usize,
    /// Cosine.
    pub threshold: f64,
    /// Word by word.
    pub veto: bool,
    /// How many are looked at.
    pub candidates: u32,
    /// Where those are that are asked.
    pub region: String,
}

#[derive(Debug)]
struct Rule {
    models: Vec<Pattern>,
    consumers: Vec<String>,
    paths: Vec<String>,
    ttl: u32,
    semantic: bool,
}

/// For how long, and whether what means the same counts as equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// In seconds; 0 caches nothing.
    pub ttl: u32,
    /// Questions are compared.
    pub semantic: bool,
}

impl Policy {
    /// Checks a configuration.
    pub fn new(config: &Config) -> Result<Policy, ConfigError> {
        let bad = |path: &str, message: &str| Err(ConfigError::new(path, message));
        if !(0.0..=0.5).contains(&config.jitter) {
            return bad("jitter", "must be a number from 0 to 0.5");
        }
        if config.ttl == 0 || config.max_ttl == 0 {
            return bad(
                "ttl",
                "`ttl` and `max_ttl` must be 1 or more; to cache nothing set `mode` to off",
            );
        }
        if config.local.max_entries == 0 || config.local.max_entry_bytes == 0 {
            return bad("local", "`max_entries` and `max_entry_bytes` must be 1 or more");
        }
        if config.local.front_ttl == 0 {
            return bad("local.front_ttl", "must be 1 or more");
        }
        if config.local.max_bytes < config.local.max_entry_bytes {
            return bad("local.max_bytes", "must be `max_entry_bytes` or more");
        }
        if !(0.0..=10.0).contains(&config.cache.max_temperature) {
            return bad("cache.max_temperature", "must be a number from 0 to 10");
        }
        let header = |name: &String| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !name.is_empty()
        };
        if let Some(at) = config.vary.iter().position(|name| !header(name)) {
            return bad(&format!("vary[{at}]"), "must be the name of a header");
        }
        let mut rules = Vec::new();
        for (index, rule) in config.rules.iter().enumerate() {
            rules.push(Rule {
                models: Pattern::all(&rule.models, &format!("rules[{index}].models"))?,
                consumers: rule.consumers.clone(),
                paths: rule.paths.clone(),
                ttl: rule.ttl,
                semantic: rule.semantic,
            });
        }
        let semantic = match &config.semantic {
            None => None,
            Some(semantic) => {
                if !(0.0..=1.0).contains(&semantic.threshold) {
                    return bad("semantic.threshold", "must be a number from 0 to 1");
                }
                if !(1..=20).contains(&semantic.candidates) {
                    return bad("semantic.candidates", "must be from 1 to 20");
                }
                Some(Questions {
                    languages: semantic.languages.clone(),
                    region: semantic.region.clone(),
                    max_question: semantic.max_question,
                    threshold: semantic.threshold,
                    veto: semantic.veto,
                    candidates: semantic.candidates,
                })
            }
        };
        Ok(Policy {
            mode: config.mode,
            scope: config.scope,
            generation: config.generation.clone(),
            allow: config.cache,
            ignore: config.ignore.clone(),
            vary: config.vary.iter().map(|name| name.to_ascii_lowercase()).collect(),
            semantic,
            stampede: config.stampede,
            stale_if_error: config.stale_if_error,
            max_entry_bytes: config.local.max_entry_bytes,
            admin: config.admin_key.clone(),
            prices: Prices::new(config.prices.clone())?,
            ttl: config.ttl,
            max_ttl: config.max_ttl,
            jitter: config.jitter,
            rules,
            max_request_bytes: config.max_request_bytes,
        })
    }

    /// Settings of exchanges.
    pub fn settings(&self) -> Settings {
        let limits = Limits { request: self.max_request_bytes, ..Limits::default() };
        Settings { limits, ..Settings::default() }
    }

    /// Whether a life can depend on the path.
    pub fn asks_for_paths(&self) -> bool {
        self.rules.iter().any(|rule| !rule.paths.is_empty())
    }

    /// For how long the answer to a request is used.
    pub fn life(&self, model: &str, consumer: &str, path: &str, control: &Control) -> Life {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let rule = self.rules.iter().find(|rule| {
            (rule.models.is_empty() || rule.models.iter().any(|pattern| pattern.fits(model)))
                && (rule.consumers.is_empty() || rule.consumers.iter().any(|name| name == consumer))
                && (rule.paths.is_empty() || rule.paths.iter().any(|name| name == path))
        });
        let life = match rule {
            Some(rule) => Life { ttl: rule.ttl, semantic: rule.semantic },
            None => Life { ttl: self.ttl, semantic: true },
        };
        match control.ttl {
            Some(ttl) if life.ttl > 0 => Life { ttl: ttl.min(self.max_ttl), ..life },
            _ => life,
        }
    }

    /// A life, a little longer or shorter by chance.
    pub fn jittered(&self, ttl: u32, random: u64) -> u32 {
        // A share from -1 to 1 of sixteen bits.
        let share = f64::from(u16::try_from(random & 0xffff).unwrap_or(0)) / 32_767.5 - 1.0;
        let ttl = f64::from(ttl) * (1.0 + share * self.jitter);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let ttl = ttl.round().clamp(1.0, f64::from(u32::MAX)) as u32;
        ttl
    }
}
