//! What can be configured.

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::config::{Mode, Secrets, list};
use shared::price::Price;

/// Configuration of token-ratelimit.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `off` counts nothing; `dry_run` counts and logs, but refuses nothing.
    pub mode: Mode,
    /// Paths of further AI services (`/v2/models/*`, `~^/ocr`) whose requests are treated as well; see
    /// `services` of ai-proxy. In the bundle ai-proxy's are enough.
    #[serde(deserialize_with = "shared::config::list")]
    pub services: Vec<String>,
    /// The limits. All that fit a request count, and all must have room.
    #[serde(deserialize_with = "list")]
    pub rules: Vec<Rule>,
    /// Most keys that are counted, of all rules together: exact among the workers of an Envoy, each
    /// worker's own on APISIX.
    pub max_keys: u32,
    /// Prices of models, before those that are commonly known.
    #[serde(deserialize_with = "list")]
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
            prices: Vec::new(),
            usual_completion: 1_000,
            admin_key: Secrets::default(),
            headers: true,
            max_request_bytes: 50 << 20,
        }
    }
}

/// One limit or budget.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, in answers, logs and metrics. Counts belong to it: a rule that is renamed begins anew.
    pub name: String,
    /// What each has a count of its own: `consumer`, `group`, `key_id`, `model`, `endpoint`, `ip`,
    /// `provider`, `header:NAME`, `query:NAME`, `cookie:NAME`, `tag:NAME`, `claim:NAME`, `body:NAME`
    /// (`user` or a member of `metadata`). Several together have one for each combination; none is one
    /// count for all.
    #[serde(default, deserialize_with = "list")]
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
    /// Of tokens: how much one of a model counts, by name or pattern; the first that fits.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// Of `weighted_tokens`: how much a token from the provider's cache counts.
    #[serde(default = "tenth")]
    pub cached_weight: f64,
    /// Of `weighted_tokens`: how much a token of the answer counts.
    #[serde(default = "one")]
    pub completion_weight: f64,
    /// Other limits for some: the parts of the key, joined by `/`.
    #[serde(default)]
    pub overrides: BTreeMap<String, Override>,
    /// Shares of the limit, from 0 to 1, at which answers and metrics warn.
    #[serde(default, deserialize_with = "list")]
    pub soft: Vec<f64>,
    /// What happens to who has used it up.
    #[serde(default)]
    pub exceeded: Exceeded,
    /// Of a key with `provider`: those that are left out when their count is used up.
    #[serde(default, deserialize_with = "list")]
    pub providers: Vec<String>,
}

fn tenth() -> f64 {
    0.1
}
fn one() -> f64 {
    1.0
}

/// For which requests a rule is. All that is said must fit.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Models that the client asks for: `gpt-4o`, `claude-*`, `~regex`.
    #[serde(deserialize_with = "list")]
    pub models: Vec<String>,
    /// Consumers, as ai-auth names them.
    #[serde(deserialize_with = "list")]
    pub consumers: Vec<String>,
    /// Groups, as ai-auth names them.
    #[serde(deserialize_with = "list")]
    pub groups: Vec<String>,
    /// Paths, without the query.
    #[serde(deserialize_with = "list")]
    pub paths: Vec<String>,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Addresses, `10.0.0.0/8`.
    #[serde(deserialize_with = "list")]
    pub ips: Vec<String>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
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
}

/// How it is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Exceeded {
    /// Refused with 429.
    #[default]
    Refuse,
    /// Goes on, and ai-proxy chooses among the targets of a lower tier (the fact `downgrade`).
    Downgrade,
    /// Goes on; it is logged and counted.
    Log,
}

/// Another limit for some.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Override {
    /// So much.
    Limit(f64),
    /// None, or nothing at all.
    Word(Word),
}

/// An override in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// No limit.
    Unlimited,
    /// Always refused.
    Blocked,
}
