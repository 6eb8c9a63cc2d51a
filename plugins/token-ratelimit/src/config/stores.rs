//! Where the counts are, and who is told of them.

use shared::config::{Secret, Setting};
use shared::small_map::SmallMap;

/// Where the counts are.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// In the data that the workers of an Envoy share; on APISIX each worker's own.
    #[default]
    Local,
    /// In Redis, through Webdis: one count for many proxies, that outlives them.
    Redis(Box<Redis>),
    /// In a rate limit service that speaks Envoy's protocol over gRPC (envoyproxy/ratelimit, Limitador); on
    /// Envoy only.
    Rls(Box<Rls>),
}

/// Redis, through Webdis.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Webdis: a cluster on Envoy, `host:port` on APISIX.
    pub upstream: String,
    /// `http` or `https`; on Envoy the cluster decides.
    #[serde(default = "http")]
    pub scheme: String,
    /// The host name sent; the upstream's name unless said.
    #[serde(default)]
    pub authority: Option<String>,
    /// Further headers, as `authorization` for Webdis's access control.
    #[serde(default)]
    pub headers: SmallMap<String, Secret>,
    /// The keys begin with it. Proxies of one prefix share their counts. In braces, as `{ai}`, all are
    /// in one slot of a Redis cluster.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// When to give up on a call, in milliseconds; no request waits longer.
    #[serde(default = "timeout")]
    pub timeout_ms: u32,
    /// What to do with a request when there is no answer.
    #[serde(default)]
    pub fail: Fail,
    /// Of `fail: local`: the share of what was left of each limit that this proxy gives out by itself.
    #[serde(default = "half")]
    pub local_share: f64,
    /// After how many seconds a request is taken to be lost whose end nobody has told: a place of
    /// `concurrent` is free again then, and of other units the estimate stays charged.
    #[serde(default = "lease")]
    pub lease_seconds: u32,
    /// Milliseconds between two batches of what is over.
    #[serde(default = "flush")]
    pub flush_ms: u32,
    /// Most requests of a worker that are over and wait to be told; of further ones the estimate stays
    /// charged, and they are counted.
    #[serde(default = "queue")]
    pub max_queue: usize,
    /// On a host without a timer (APISIX): what is over is told with the next request's check.
    #[serde(default)]
    pub on_requests: bool,
}

/// A rate limit service.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rls {
    /// The service's cluster, of HTTP/2.
    pub upstream: String,
    /// The `domain` of the limits there (Limitador's namespace).
    #[serde(default = "prefix")]
    pub domain: String,
    /// Further metadata of the calls.
    #[serde(default)]
    pub headers: SmallMap<String, Secret>,
    /// Whether the service takes `hits_addend` and `is_negative_hits` of each descriptor: then what a request
    /// will probably use is reserved, and what it has not used is given back. Else one is taken before, and
    /// the rest is charged afterwards, which is weaker.
    #[serde(default)]
    pub refunds: bool,
    /// Of `refunds`: whether the service counts what it refuses, so that it has to be given back.
    #[serde(default = "yes")]
    pub counts_refused: bool,
    /// Whether the rules' limits are sent along, for services that take them in place of their own:
    /// those of windows of a second, minute, hour, day, week or month.
    #[serde(default)]
    pub limits: bool,
    /// Whether the entries of all rules are sent in one descriptor, as the limits of Limitador 2 need it; not with
    /// `refunds` and `limits`.
    #[serde(default)]
    pub one_descriptor: bool,
    /// When to give up on a call, in milliseconds; no request waits longer for one.
    #[serde(default = "timeout")]
    pub timeout_ms: u32,
    /// What to do with a request when there is no answer.
    #[serde(default)]
    pub fail: Fail,
    /// Of `fail: local`: the share of each limit that this proxy gives out by itself.
    #[serde(default = "half")]
    pub local_share: f64,
    /// Milliseconds between two batches of what is over.
    #[serde(default = "flush")]
    pub flush_ms: u32,
    /// Most keys of a worker of which something waits to be told; what others have used is not told, and
    /// counted.
    #[serde(default = "queue")]
    pub max_queue: usize,
}

/// What to do with a request when a store does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Fail {
    /// Let it go on; what it uses is counted when the store is there again.
    Open,
    /// Refuse it with 503.
    Closed,
    /// Go by this proxy's own counts and its share of each limit.
    #[default]
    Local,
}

/// Who is told.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The receiver: a cluster on Envoy, `host:port` on APISIX.
    pub upstream: String,
    /// `http` or `https`; on Envoy the cluster decides.
    #[serde(default = "http")]
    pub scheme: String,
    /// The host name sent; the upstream's name unless said.
    #[serde(default)]
    pub authority: Option<String>,
    /// The path that is posted to.
    #[serde(default = "root")]
    pub path: String,
    /// Further headers.
    #[serde(default)]
    pub headers: SmallMap<String, Secret>,
    /// When to give up on a call, in milliseconds.
    #[serde(default = "patience")]
    pub timeout_ms: u32,
    /// Most messages that wait; further ones are dropped and counted.
    #[serde(default = "messages")]
    pub max_queue: usize,
}

fn yes() -> bool {
    true
}
fn http() -> String {
    "http".into()
}
fn prefix() -> String {
    "ai".into()
}
fn root() -> String {
    "/".into()
}
fn timeout() -> u32 {
    200
}
fn patience() -> u32 {
    5_000
}
fn half() -> f64 {
    0.5
}
fn lease() -> u32 {
    1_800
}
fn flush() -> u32 {
    200
}
fn queue() -> usize {
    10_000
}
fn messages() -> usize {
    100
}
