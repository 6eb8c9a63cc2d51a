//! Routes as they are written.

mod auto;
mod carbon;
mod circuit;
mod messages;
mod price;
mod rollout;

use shared::small_map::SmallMap;

use shared::config::Setting;
use shared::hours::Time;

use crate::config::Key;
use crate::overrides::Overrides;
pub use auto::AutoTiers;
pub use carbon::{Carbon, Intensity, Source};
pub use circuit::Circuit;
pub use messages::{Message, Messages, Role, Template};
pub use price::{Committed, OffPeak, Price};
pub use rollout::{Canary, Shadow, Store};

/// A rule: for which requests, and who answers them. The first rule that fits a request is taken.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name, as in the answer's header `x-ai-route` and in metrics.
    pub name: String,
    /// Which requests it is for; all of them if left out. A rule for all must be the last.
    #[serde(default)]
    pub when: When,
    /// Who may answer.
    pub targets: Vec<RouteTarget>,
    /// Who of them is asked first. The others follow in the same order where the proxy retries.
    #[serde(default)]
    pub strategy: Strategy,
    /// What the strategy `scored` weighs, each 0 or more.
    #[serde(default)]
    pub weights: Weights,
    /// What keeps to the same target as long as that is well.
    pub sticky: Option<Sticky>,
    /// Regions that its requests may go to; any unless said.
    pub allowed_regions: Option<Vec<String>>,
    /// Most targets that are tried, 1 to 10.
    #[serde(default = "three")]
    pub max_attempts: u32,
    /// What is done to its requests' messages.
    pub messages: Option<Messages>,
    /// Most milliseconds from a streamed request to the first event that says something; then the next
    /// target is asked. On Envoy the header `x-envoy-upstream-rq-per-try-timeout-ms` carries it.
    pub first_token_timeout_ms: Option<u64>,
    /// The same, to the end of an answer that is not streamed.
    pub attempt_timeout_ms: Option<u64>,
    /// Most milliseconds from the request to the end of the answer, all attempts together. On Envoy the
    /// header `x-envoy-upstream-rq-timeout-ms` carries it.
    pub total_timeout_ms: Option<u64>,
    /// Whose key the providers get.
    #[serde(default)]
    pub key: Key,
    /// On Envoy without a cluster per attempt: the cluster that reaches all targets.
    pub cluster: Option<String>,
    /// The name of an A/B test. Its variants are the targets' `variant`s; `sticky` keeps each client
    /// with one.
    pub experiment: Option<String>,
    /// A step-by-step change from the first target to another.
    pub canary: Option<Canary>,
    /// Copies of its requests to other targets.
    pub shadow: Option<Shadow>,
}

fn three() -> u32 {
    3
}

/// Which requests a rule is for. All that is given must fit; of a list, one entry.
///
/// Texts are patterns: exact, a prefix that ends with `*`, or a regular expression after `~`.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The model that is asked for.
    #[serde(default)]
    pub models: Vec<String>,
    /// Who asks.
    #[serde(default)]
    pub consumers: Vec<String>,
    /// A group of who asks.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The path, without its query.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Headers.
    #[serde(default)]
    pub headers: SmallMap<String, String>,
    /// Parameters of the query.
    #[serde(default)]
    pub query: SmallMap<String, String>,
    /// What other plugins have found out: `pii`, `guard`, `downgrade`, `tags` ...; `*` for anything at
    /// all.
    #[serde(default)]
    pub facts: SmallMap<String, String>,
    /// What the request needs of a model.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// Whether the answer is to be a stream.
    pub stream: Option<bool>,
    /// Size of the prompt in tokens, as estimated.
    pub prompt_tokens: Option<Range>,
    /// Time of day.
    pub time: Option<Time>,
}

/// From and to, both included; open if left out.
#[derive(Clone, Copy, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// At least.
    pub min: Option<u64>,
    /// At most.
    pub max: Option<u64>,
}

/// Something that not every model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Call functions.
    Tools,
    /// See pictures.
    Vision,
    /// Hear.
    Audio,
    /// Read documents.
    Documents,
    /// Answer in a JSON Schema.
    JsonSchema,
    /// Think.
    Reasoning,
}

/// Who may answer.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RouteTarget {
    /// The provider's name.
    pub provider: String,
    /// What the provider calls the model; by the provider's `models` if left out.
    pub model: Option<String>,
    /// Its share where targets are drawn by weight; 0 is only tried after the others.
    #[serde(default = "one")]
    pub weight: u32,
    /// Where it is, for `allowed_regions` and `carbon`.
    pub region: Option<String>,
    /// On Envoy, the cluster that reaches it; that of its provider if left out.
    pub cluster: Option<String>,
    /// Changes to the request's body for this target, after those of the provider.
    #[serde(default)]
    pub body: Overrides,
    /// What its model can do; unless said what is commonly known of it, where there are other targets.
    pub can: Option<Vec<Need>>,
    /// Most tokens of prompt and answer together; unless said as is commonly known, in the same way.
    pub context: Option<u64>,
    /// What it costs; unless said as is commonly known.
    pub price: Option<Price>,
    /// Its servers, where they are known one by one: self-hosted vLLM and SGLang. The least busy one is
    /// asked, and the strategies `least_busy` and `least_latency` look at it.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// It gets no requests but copies (`shadow`) until `approved_by` and `evidence` are given.
    #[serde(default)]
    pub needs_approval: bool,
    /// Who has approved of it.
    pub approved_by: Option<String>,
    /// What the approval rests on: where the evaluation can be found.
    pub evidence: Option<String>,
    /// How demanding a request it is good for.
    pub tier: Option<Tier>,
    /// Energy, in watt-hours for a thousand tokens.
    pub watt_hours: Option<f64>,
    /// The variant of the route's experiment.
    pub variant: Option<String>,
    /// It is asked after these failures only, or, of `outage`, where all others fail or rest.
    #[serde(default)]
    pub fallback_for: Vec<Failure>,
}

fn one() -> u32 {
    1
}

/// One server of a target.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its `ip:port`, as Envoy's cluster knows it. Sent in the header `x-gateway-destination-endpoint`,
    /// which Envoy's override-host load balancing follows. May be left out where there is one.
    pub address: Option<String>,
    /// Where it tells its load.
    pub metrics: Option<Metrics>,
}

/// Where a server tells its load, as Prometheus text.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// `http://10.0.0.7:8000/metrics`.
    pub url: String,
    /// On Envoy, the cluster that reaches it.
    pub cluster: Option<String>,
    /// How often it is asked, in milliseconds.
    #[serde(default = "one_second")]
    pub every_ms: u64,
}

fn one_second() -> u64 {
    1000
}

/// A failure that a target may be there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The prompt is too long for the model.
    ContextLength,
    /// The provider's filter has stopped the request or the answer.
    ContentFilter,
    /// No other target is well: the offline rule.
    Outage,
}

impl Failure {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Failure::ContextLength => "context_length",
            Failure::ContentFilter => "content_filter",
            Failure::Outage => "outage",
        }
    }

    /// The one of this name.
    pub fn of_name(name: &str) -> Option<Failure> {
        let all = [Failure::ContextLength, Failure::ContentFilter, Failure::Outage];
        all.into_iter().find(|failure| failure.name() == name)
    }
}

/// How demanding requests are, and what a model is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Short questions, rewording, extraction.
    Small,
    /// Most things.
    Medium,
    /// Long or many-sided work, code, mathematics.
    Large,
}

impl Tier {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Small => "small",
            Tier::Medium => "medium",
            Tier::Large => "large",
        }
    }
}

/// Who is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The first that is well, in the order they are written.
    #[default]
    Priority,
    /// In turn, by `weight` (smooth weighted round robin).
    Weighted,
    /// Whose first token comes soonest, as measured.
    LeastLatency,
    /// Who has the fewest requests under way, by `weight`.
    LeastBusy,
    /// Who costs least for this request.
    Cheapest,
    /// Whose electricity is cleanest.
    Carbon,
    /// Who fails least.
    Quality,
    /// By a mix of these, see `weights`.
    Scored,
    /// The cheapest whose `tier` is enough for what the request looks like.
    Auto,
}

impl Strategy {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Priority => "priority",
            Strategy::Weighted => "weighted",
            Strategy::LeastLatency => "least_latency",
            Strategy::LeastBusy => "least_busy",
            Strategy::Cheapest => "cheapest",
            Strategy::Carbon => "carbon",
            Strategy::Quality => "quality",
            Strategy::Scored => "scored",
            Strategy::Auto => "auto",
        }
    }
}

/// What the strategy `scored` weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Time to the first token.
    #[serde(default)]
    pub latency: f64,
    /// Price.
    #[serde(default)]
    pub cost: f64,
    /// Emissions.
    #[serde(default)]
    pub carbon: f64,
    /// Failures.
    #[serde(default)]
    pub quality: f64,
    /// Requests under way.
    #[serde(default)]
    pub busy: f64,
}

/// What keeps to the same target.
#[derive(Clone, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// All requests of a consumer; of a client without one, nothing does.
    Consumer,
    /// All requests with the same value of this header.
    Header(String),
    /// All requests whose conversation begins alike, so that a provider's prompt cache is hit.
    PromptPrefix,
}

impl Route {
    /// A rule of its targets alone, in their order.
    pub fn plain(
        name: String,
        targets: Vec<RouteTarget>,
        cluster: Option<String>,
        key: Key,
    ) -> Route {
        Route {
            name,
            when: When::default(),
            targets,
            strategy: Strategy::Priority,
            weights: Weights::default(),
            sticky: None,
            allowed_regions: None,
            max_attempts: 10,
            messages: None,
            first_token_timeout_ms: None,
            attempt_timeout_ms: None,
            total_timeout_ms: None,
            key,
            cluster,
            experiment: None,
            canary: None,
            shadow: None,
        }
    }
}
