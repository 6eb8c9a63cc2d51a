//! Routes as they are written.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use shared::config::list;

use crate::config::Key;
use crate::overrides::Overrides;

/// A rule: for which requests, and who answers them. The first rule that fits a request is taken.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name, as in the answer's header `x-ai-route` and in metrics.
    pub name: String,
    /// Which requests it is for; all of them if left out. A rule for all must be the last.
    #[serde(default)]
    pub when: When,
    /// Who may answer.
    #[serde(deserialize_with = "list")]
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
}

fn three() -> u32 {
    3
}

/// Which requests a rule is for. All that is given must fit; of a list, one entry.
///
/// Texts are patterns: exact, a prefix that ends with `*`, or a regular expression after `~`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The model that is asked for.
    #[serde(default, deserialize_with = "list")]
    pub models: Vec<String>,
    /// Who asks.
    #[serde(default, deserialize_with = "list")]
    pub consumers: Vec<String>,
    /// A group of who asks.
    #[serde(default, deserialize_with = "list")]
    pub groups: Vec<String>,
    /// The path, without its query.
    #[serde(default, deserialize_with = "list")]
    pub paths: Vec<String>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Parameters of the query.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// What other plugins have found out: `pii`, `guard`, `downgrade`, `tags` ...; `*` for anything at
    /// all.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
    /// What the request needs of a model.
    #[serde(default, deserialize_with = "list")]
    pub needs: Vec<Need>,
    /// Whether the answer is to be a stream.
    pub stream: Option<bool>,
    /// Size of the prompt in tokens, as estimated.
    pub prompt_tokens: Option<Range>,
    /// Time of day.
    pub time: Option<Time>,
}

/// From and to, both included; open if left out.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// At least.
    pub min: Option<u64>,
    /// At most.
    pub max: Option<u64>,
}

/// Hours of the day.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// `HH:MM`.
    pub from: String,
    /// `HH:MM`, not included; before `from` it is that of the next day.
    pub to: String,
    /// `mon` to `sun`; every day unless said. After midnight it is still the day that `from` was on.
    #[serde(default, deserialize_with = "list")]
    pub days: Vec<String>,
    /// The clock's distance from UTC, `+08:00`.
    #[serde(default)]
    pub utc_offset: String,
}

/// Something that not every model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
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
    /// What its model can do; all of it unless said.
    pub can: Option<Vec<Need>>,
    /// Most tokens of prompt and answer together.
    pub context: Option<u64>,
    /// What it costs.
    pub price: Option<Price>,
    /// How demanding a request it is good for.
    pub tier: Option<Tier>,
    /// Energy, in watt-hours for a thousand tokens.
    pub watt_hours: Option<f64>,
    /// The variant of the route's experiment.
    pub variant: Option<String>,
}

fn one() -> u32 {
    1
}

/// Prices, in US dollars for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of the prompt.
    pub input: f64,
    /// Of the answer.
    pub output: f64,
}

/// How demanding requests are, and what a model is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
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

/// Who is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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

/// A step-by-step change from the route's first target to another.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The number of the target that is tried, in `targets`, from 0.
    pub target: usize,
    /// Its share in percent, step by step.
    #[serde(default = "steps", deserialize_with = "list")]
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

/// When a target rests.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Circuit {
    /// After so many failures in a row.
    #[serde(default = "five")]
    pub consecutive_failures: u32,
    /// Or if so many of its last answers were failures (0.5 is half), of `min_requests` at least.
    #[serde(default = "half")]
    pub error_rate: f64,
    /// Fewer answers than this prove nothing.
    #[serde(default = "twenty")]
    pub min_requests: u32,
    /// For how long, in seconds; then one request tries it. Doubles with each time, up to ten times.
    #[serde(default = "thirty")]
    pub rest_seconds: u64,
}

fn five() -> u32 {
    5
}

fn half() -> f64 {
    0.5
}

fn twenty() -> u32 {
    20
}

fn thirty() -> u64 {
    30
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
            key,
            cluster,
            experiment: None,
            canary: None,
        }
    }
}

impl Default for Carbon {
    fn default() -> Carbon {
        Carbon { regions: BTreeMap::new(), default: world() }
    }
}

impl Default for Circuit {
    fn default() -> Circuit {
        Circuit {
            consecutive_failures: five(),
            error_rate: half(),
            min_requests: twenty(),
            rest_seconds: thirty(),
        }
    }
}

/// How much carbon dioxide electricity makes.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Carbon {
    /// Grams of CO2 equivalent per kilowatt-hour by region: one number, or 24, one for each hour of
    /// UTC.
    #[serde(default)]
    pub regions: BTreeMap<String, Intensity>,
    /// For regions that are not named.
    #[serde(default = "world")]
    pub default: f64,
}

/// The world's mean of 2024, <https://ember-energy.org/latest-insights/global-electricity-review-2025/>.
fn world() -> f64 {
    473.0
}

/// Grams of CO2 equivalent per kilowatt-hour: a number, or a list of 24 by hour of UTC.
#[derive(Clone, Debug)]
pub struct Intensity(pub Vec<f64>);

impl<'de> Deserialize<'de> for Intensity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Intensity, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Intensity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or 24 of them")
            }
            fn visit_u64<E>(self, value: u64) -> Result<Intensity, E> {
                Ok(Intensity(vec![value as f64]))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Intensity, E> {
                Ok(Intensity(vec![value as f64]))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Intensity, E> {
                Ok(Intensity(vec![value]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Intensity, A::Error> {
                let mut hours = Vec::new();
                while let Some(hour) = seq.next_element()? {
                    hours.push(hour);
                }
                Ok(Intensity(hours))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Intensity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Intensity".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let number = || schemars::json_schema!({ "type": "number", "minimum": 0 });
        schemars::json_schema!({
            "description": "Grams of CO2 equivalent per kilowatt-hour: all day, or by hour of UTC.",
            "anyOf": [number(), {
                "type": "array", "items": number(), "minItems": 24, "maxItems": 24
            }],
        })
    }
}

/// What makes a request demanding, for the strategy `auto`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AutoTiers {
    /// A prompt of so many tokens is `medium`.
    pub medium_tokens: u64,
    /// And of so many `large`.
    pub large_tokens: u64,
    /// A conversation of so many messages is `medium`.
    pub many_turns: u64,
    /// The question has code.
    pub code: Tier,
    /// The question has mathematics.
    pub mathematics: Tier,
    /// Functions are declared.
    pub tools: Tier,
    /// Thinking is asked for.
    pub reasoning: Tier,
    /// There are pictures, sounds or documents.
    pub attachments: Tier,
}

impl Default for AutoTiers {
    fn default() -> AutoTiers {
        AutoTiers {
            medium_tokens: 400,
            large_tokens: 4000,
            many_turns: 8,
            code: Tier::Large,
            mathematics: Tier::Large,
            tools: Tier::Medium,
            reasoning: Tier::Large,
            attachments: Tier::Medium,
        }
    }
}
