//! What can be configured.

use shared::small_map::SmallMap;

use shared::config::{Mode, Secret, Secrets, Setting};
use shared::price::Price;

/// Configuration of ai-metrics. All of it has defaults: `{}` counts everything and shows it in the
/// proxy's metrics.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `off` counts nothing; `dry_run` counts, but serves no report and changes no header.
    pub mode: Mode,
    /// Paths of further AI services (`/v2/models/*`, `~^/ocr`) whose requests are treated as well; see
    /// `services` of ai-proxy. In the bundle ai-proxy's are enough.
    pub services: Vec<String>,
    /// Where this gateway stands. Every series has these labels, so that several sites add up.
    pub site: Site,
    /// The tag of a consumer (see ai-auth) that says which team pays for it.
    pub team_tag: String,
    /// How many different values a label may have and how many series there may be.
    pub labels: Labels,
    /// Whether and what of a request's body is looked at: lengths, languages, tools; never kept.
    pub inputs: Inputs,
    /// One line per request in the proxy's log.
    pub access_log: AccessLog,
    /// Metrics and spans for an OpenTelemetry collector.
    pub otlp: Option<Otlp>,
    /// Notices when a model or what is sent to it changes.
    pub drift: Drift,
    /// Compares models and variants: `GET /_ai/report`.
    pub report: Report,
    /// Prices of models, before those that are commonly known.
    pub prices: Vec<Price>,
    /// Largest request body that is read, in bytes; a larger one is answered with 413.
    pub max_request_bytes: usize,
    /// Largest answer that is looked at, in bytes; a larger one passes without.
    pub max_response_bytes: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            mode: Mode::default(),
            services: Vec::new(),
            site: Site::default(),
            team_tag: "team".into(),
            labels: Labels::default(),
            inputs: Inputs::default(),
            access_log: AccessLog::default(),
            otlp: None,
            drift: Drift::default(),
            report: Report::default(),
            prices: Vec::new(),
            max_request_bytes: 50 << 20,
            max_response_bytes: 50 << 20,
        }
    }
}

/// Where a gateway stands.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Site {
    /// `aws`, `azure`, `on-prem` ...
    pub cloud: String,
    /// `eu-central-1` ...
    pub region: String,
    /// The cluster's name.
    pub cluster: String,
}

/// Bounds of what the metrics hold.
#[derive(Clone, Copy, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Labels {
    /// Most values of a label; further ones are `other`.
    pub max_values: u16,
    /// Most series. From then on consumer, team, route and variant are `other`; at twice as many no
    /// further series is made.
    pub max_series: u32,
}

impl Default for Labels {
    fn default() -> Labels {
        Labels { max_values: 200, max_series: 10_000 }
    }
}

/// What of a request's body is looked at.
#[derive(Clone, Copy, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Inputs {
    /// Whether it is looked at. Without, there is no drift of inputs, no repeated prompts, and no
    /// estimate of tokens that nobody reports.
    pub enabled: bool,
    /// A larger body is only measured.
    pub max_bytes: usize,
}

impl Default for Inputs {
    fn default() -> Inputs {
        Inputs { enabled: true, max_bytes: 256 << 10 }
    }
}

/// One line per request.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AccessLog {
    /// Whether a JSON line goes to the proxy's log, at level info.
    pub enabled: bool,
    /// Whether the line is also set as the property `ai.log`, which Envoy's own access log shows with
    /// `%FILTER_STATE(wasm.ai.log:PLAIN)%`.
    pub property: bool,
    /// Names of the fields that it has, in this order; all if there are none.
    pub fields: Vec<String>,
}

/// Where OTLP goes, over HTTP and in JSON.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// The collector: a cluster on Envoy, `host:port` on APISIX.
    pub upstream: String,
    /// `http` or `https`; on Envoy the cluster decides.
    #[serde(default = "http")]
    pub scheme: String,
    /// The host name sent; the upstream's name unless said.
    #[serde(default)]
    pub authority: Option<String>,
    /// Goes before `/v1/metrics` and `/v1/traces`.
    #[serde(default)]
    pub path: String,
    /// Further headers, as a key of the collector.
    #[serde(default)]
    pub headers: SmallMap<String, Secret>,
    /// Whether metrics are sent.
    #[serde(default = "yes")]
    pub metrics: bool,
    /// The share of requests whose span is sent, 0 to 1, where the client's `traceparent` does not say.
    #[serde(default = "all")]
    pub traces: f64,
    /// `service.name` of the resource.
    #[serde(default = "service")]
    pub service_name: String,
    /// Milliseconds between two exports.
    #[serde(default = "period")]
    pub period_ms: u32,
    /// When to give up on one, in milliseconds.
    #[serde(default = "timeout")]
    pub timeout_ms: u32,
    /// Most spans that wait; further ones are dropped and counted.
    #[serde(default = "queue")]
    pub max_queue: usize,
    /// On a host without a timer (APISIX): a request that comes when an export is due makes it, and
    /// waits for it no longer than `timeout_ms`.
    #[serde(default)]
    pub on_requests: bool,
}

fn http() -> String {
    "http".into()
}
fn yes() -> bool {
    true
}
fn all() -> f64 {
    1.0
}
fn service() -> String {
    "wasm-ai-gateway".into()
}
fn period() -> u32 {
    5_000
}
fn timeout() -> u32 {
    5_000
}
fn queue() -> usize {
    2_048
}

/// When a change counts as drift.
#[derive(Clone, Copy, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    /// Whether it is looked for.
    pub enabled: bool,
    /// Requests that a model must have had before a change can be found: they are what is usual.
    pub warm_up: u32,
    /// Multiplies the thresholds: above 1 is less sensitive and has fewer false alarms.
    pub tolerance: f64,
    /// Most models and routes that are watched.
    pub max_subjects: usize,
}

impl Default for Drift {
    fn default() -> Drift {
        Drift { enabled: true, warm_up: 500, tolerance: 1.0, max_subjects: 100 }
    }
}

/// The comparison of models and variants.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Report {
    /// Who may read it and reset drift: `authorization: Bearer KEY`, or as the password of a browser.
    /// Without a key there is no report.
    pub admin_key: Secrets,
    /// Who may `POST /_ai/feedback`. Without a key there is no feedback, and answers have no
    /// `x-ai-feedback` header.
    pub feedback_key: Secrets,
    /// Requests that a figure needs; with fewer it says `not enough data`.
    pub min_samples: u32,
    /// Most models, variants and accounts that are told apart.
    pub max_groups: usize,
    /// How often a worker shows its figures to the others, in milliseconds.
    pub period_ms: u32,
    /// Requests that are remembered to notice that one is repeated; 0 does not look.
    pub repeats: u32,
}

impl Default for Report {
    fn default() -> Report {
        Report {
            admin_key: Secrets::default(),
            feedback_key: Secrets::default(),
            min_samples: 30,
            max_groups: 500,
            period_ms: 2_000,
            repeats: 20_000,
        }
    }
}
