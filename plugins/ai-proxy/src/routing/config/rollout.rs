//! Changes step by step and trials beside the answer, as they are written.

use shared::config::Setting;

/// A step-by-step change from the route's first target to another.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The number of the target that is tried, in `targets`, from 0.
    pub target: usize,
    /// Its share in percent, step by step.
    #[serde(default = "steps")]
    pub steps: Vec<f64>,
    /// How long a step lasts at least, in seconds.
    #[serde(default = "five_minutes")]
    pub step_seconds: u64,
    /// How many answers of the canary a step needs at least.
    #[serde(default = "hundred")]
    pub min_requests: u64,
    /// It goes back to 0 percent if its share of failures is so much above the other's (0.05 is five
    /// points).
    #[serde(default = "five_points")]
    pub max_error_margin: f64,
    /// And if its time to the first token is so many times the other's.
    #[serde(default = "twice")]
    pub max_latency_ratio: f64,
    /// And if prompt-guard keeps so much more of its answers back than of the other's.
    #[serde(default = "five_points")]
    pub max_block_margin: f64,
}

/// Where canaries are kept, so that restarts do not lose them and several gateways share them: a Redis
/// behind Webdis, <https://webd.is>.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// `http://webdis:7379`.
    pub url: String,
    /// On Envoy, the cluster that reaches it.
    pub cluster: Option<String>,
    /// What its keys begin with.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// How often it is looked at, in milliseconds.
    #[serde(default = "two_seconds")]
    pub every_ms: u64,
}

fn prefix() -> String {
    "ai-proxy:".into()
}

fn two_seconds() -> u64 {
    2000
}

/// Copies of requests to another target: the answer is thrown away, after it was compared.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// Share of the requests that are copied, in percent.
    #[serde(default = "all")]
    pub percent: f64,
    /// Numbers of the rule's targets that get copies, from 0. Those that lack an approval always do.
    #[serde(default)]
    pub targets: Vec<usize>,
    /// On Envoy, the cluster that reaches them, without filters of its own; that of the target if left
    /// out.
    pub cluster: Option<String>,
    /// How long an answer may take, in milliseconds.
    #[serde(default = "one_minute")]
    pub timeout_ms: u64,
    /// Largest request that is copied, in bytes.
    #[serde(default = "one_mebibyte")]
    pub max_bytes: usize,
    /// Most copies under way, in each worker; more are not made.
    #[serde(default = "most_copies")]
    pub max_under_way: usize,
}

fn all() -> f64 {
    100.0
}

fn one_minute() -> u64 {
    60_000
}

fn one_mebibyte() -> usize {
    1 << 20
}

fn most_copies() -> usize {
    16
}

fn steps() -> Vec<f64> {
    vec![1.0, 5.0, 25.0, 50.0, 100.0]
}

fn five_minutes() -> u64 {
    300
}

fn hundred() -> u64 {
    100
}

fn five_points() -> f64 {
    0.05
}

fn twice() -> f64 {
    2.0
}
