//! What can be configured.

mod stores;

use shared::small_map::SmallMap;

use serde::Serialize;
use shared::config::{Mistake, Mode, Node, Secrets, Setting};
use shared::price::Price;

pub use stores::{Fail, Redis, Rls, Store, Webhook};

/// Configuration of token-ratelimit.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `off` counts nothing; `dry_run` counts and logs, but refuses nothing.
    pub mode: Mode,
    /// Paths of further AI services (`/v2/models/*`, `~^/ocr`) whose requests are treated as well; see
    /// `services` of ai-proxy. In the bundle ai-proxy's are enough.
    pub services: Vec<String>,
    /// The limits. All that fit a request count, and all must have room.
    pub rules: Vec<Rule>,
    /// Most keys that are counted, of all rules together: exact among the workers of an Envoy, each
    /// worker's own on APISIX.
    pub max_keys: u32,
    /// Where the counts are: `local`, or in Redis or a rate limit service for many proxies.
    pub store: Store,
    /// Who is told when a budget passes one of its `soft` shares.
    pub webhook: Option<Webhook>,
    /// Models that a name may lead to (ai-proxy's aliases and routes), by name: a request is taken to
    /// cost what it would at the dearest. Those that have answered are known without.
    pub candidates: SmallMap<String, Vec<String>>,
    /// Prices of models, before those that are commonly known.
    pub prices: Vec<Price>,
    /// Tokens that an answer is taken to have where nothing is asked for and nothing has been learned.
    pub usual_completion: u64,
    /// Who may read and reset counts at `/_ai/limits`: `authorization: Bearer KEY`. Without a key
    /// there is no such endpoint.
    pub admin_key: Secrets,
    /// Whether answers say what is left: `x-ratelimit-*`, `ratelimit` and `ratelimit-policy`.
    pub headers: bool,
    /// Largest request body that is read, in bytes; a larger one is answered with 413.
    pub max_request_bytes: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            mode: Mode::default(),
            services: Vec::new(),
            rules: Vec::new(),
            max_keys: 100_000,
            store: Store::default(),
            webhook: None,
            candidates: SmallMap::new(),
            prices: Vec::new(),
            usual_completion: 1_000,
            admin_key: Secrets::default(),
            headers: true,
            max_request_bytes: 50 << 20,
        }
    }
}

/// One limit or budget.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, in answers, logs and metrics. Counts belong to it: a rule that is renamed begins anew.
    pub name: String,
    /// What each has a count of its own: `consumer`, `group`, `key_id`, `model`, `endpoint`, `ip`,
    /// `provider`, `target_model`, `route`, `header:NAME`, `query:NAME`, `cookie:NAME`, `tag:NAME`, `claim:NAME`, `body:NAME`
    /// (`user` or a member of `metadata`). Several together have one for each combination; none is one
    /// count for all.
    #[serde(default)]
    pub key: Vec<String>,
    /// For which requests; all unless said.
    #[serde(default)]
    pub when: When,
    /// What is counted.
    pub unit: Unit,
    /// How much there is. Of `cost` in US dollars.
    pub limit: f64,
    /// For how long: `30s`, `1m`, `5h`, or a calendar's `second`, `minute`, `hour`, `day`, `week`,
    /// `month`. Not of `concurrent`.
    #[serde(default)]
    pub window: Option<String>,
    /// How it is counted.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// Of `token_bucket`: most that can be saved up; the limit unless said.
    #[serde(default)]
    pub burst: Option<f64>,
    /// Where days, weeks and months begin, `+08:00`.
    #[serde(default)]
    pub utc_offset: Option<String>,
    /// The same by a time zone with its daylight saving time: `Europe/Berlin`, or its rule as POSIX writes
    /// it, `CET-1CEST,M3.5.0,M10.5.0/3`.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Of tokens: how much one of a model counts, by name or pattern; a name goes before patterns, a longer one before a shorter.
    #[serde(default)]
    pub weights: SmallMap<String, f64>,
    /// Of `weighted_tokens`: how much a token from the provider's cache counts.
    #[serde(default = "tenth")]
    pub cached_weight: f64,
    /// Of `weighted_tokens`: how much a token of the answer counts.
    #[serde(default = "one")]
    pub completion_weight: f64,
    /// Other limits for some: the parts of the key, joined by `/`; within one of several a `/` is `%2F`.
    #[serde(default)]
    pub overrides: SmallMap<String, Override>,
    /// Shares of the limit, from 0 to 1, at which answers, metrics and the webhook warn.
    #[serde(default)]
    pub soft: Vec<f64>,
    /// What happens to who has used it up.
    #[serde(default)]
    pub exceeded: Exceeded,
    /// Whether it is foretold what will have been used when the window ends; of windows of a day and more.
    #[serde(default)]
    pub forecast: Option<Forecast>,
    /// Whether a stream under way is ended when its answer would pass the limit: with a last event as if
    /// `max_tokens` had been reached. Not with `log` and `downgrade`.
    #[serde(default)]
    pub cut: bool,
    /// Of a key with `provider` or `target_model` (the model that the provider is asked for): those that are left
    /// out when their count is used up, `provider`, with `target_model` `provider=model`.
    #[serde(default)]
    pub providers: Vec<String>,
}

fn tenth() -> f64 {
    0.1
}
fn one() -> f64 {
    1.0
}

/// What is done with a forecast.
#[derive(Clone, Copy, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// The share of the limit from which on a forecast warns, as `soft` does of what was used.
    #[serde(default = "one")]
    pub warn: f64,
}

/// For which requests a rule is. All that is said must fit.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Models that the client asks for: `gpt-4o`, `claude-*`, `~regex`.
    pub models: Vec<String>,
    /// Consumers, as ai-auth names them.
    pub consumers: Vec<String>,
    /// Groups, as ai-auth names them.
    pub groups: Vec<String>,
    /// Paths, without the query.
    pub paths: Vec<String>,
    /// Headers.
    pub headers: SmallMap<String, String>,
    /// Addresses, `10.0.0.0/8`.
    pub ips: Vec<String>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Tokens of prompt and answer.
    TotalTokens,
    /// Tokens of the prompt.
    PromptTokens,
    /// Tokens of the answer.
    CompletionTokens,
    /// Tokens, cached ones and those of the answer by their weights.
    WeightedTokens,
    /// Requests.
    Requests,
    /// US dollars.
    Cost,
    /// Requests that are under way.
    Concurrent,
    /// Pictures, as the `usage` of ai-proxy's `services` counts them.
    Images,
    /// Seconds of sound or film, counted alike.
    Seconds,
    /// Pages, counted alike.
    Pages,
}

impl Unit {
    /// Whether a request counts more the longer its answer is.
    pub fn grows(self) -> bool {
        matches!(
            self,
            Unit::TotalTokens | Unit::CompletionTokens | Unit::WeightedTokens | Unit::Cost
        )
    }
}

/// How it is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Of the window that ends now: the current one and as much of the one before as is left of it.
    #[default]
    SlidingWindow,
    /// From one beginning to the next; of days and longer by the calendar.
    FixedWindow,
    /// Fills steadily, the limit in each window, and holds `burst`.
    TokenBucket,
}

/// What happens to who has used a limit up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Exceeded {
    /// Refused with 429.
    #[default]
    Refuse,
    /// Goes on with the fact `downgrade`, for which a rule of ai-proxy (`when.facts`) can have cheaper targets; without
    /// one nothing else happens.
    Downgrade,
    /// Goes on; it is logged and counted.
    Log,
}

/// Another limit for some.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(untagged))]
pub enum Override {
    /// So much.
    Limit(f64),
    /// None, or nothing at all.
    Word(Word),
}

impl Setting for Override {
    fn blank() -> Override {
        Override::Limit(0.0)
    }

    fn read(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        *self = if node.is_text() {
            let mut word = Word::blank();
            word.read(node)?;
            Override::Word(word)
        } else {
            Override::Limit(node.number("a number, `unlimited` or `blocked`")?)
        };
        Ok(())
    }
}

/// An override in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// No limit.
    Unlimited,
    /// Always refused.
    Blocked,
}
