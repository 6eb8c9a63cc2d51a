//! What a filter may ask of the proxy it runs in.
//!
//! One trait, three implementations: the wasm side (Envoy and Apache APISIX), the scripted side for
//! native tests, and whatever a user of the library brings. Filters ask what the host [can](Host::can)
//! do; they never ask which host it is.

use std::fmt;
use std::time::Duration;

use crate::text::lossy;

#[cfg(any(test, target_os = "wasi"))]
mod memo;
#[cfg(any(test, feature = "testing"))]
pub mod script;
#[cfg(target_os = "wasi")]
pub mod wasm;

/// Something that not every host can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Request headers can be held back until the body has been read (or reach the provider only
    /// after it has been read anyway).
    HoldRequest,
    /// Response headers and body can be held back and replaced as a whole, status included.
    HoldResponse,
    /// The request body can be replaced.
    RewriteRequestBody,
    /// The response body can be replaced, piece by piece as it comes.
    RewriteResponseBody,
    /// The first part of a body can be replaced without writing the rest again.
    ReplacePrefix,
    /// The body's length header can be set by the plugin. On a host that cannot replace bodies it
    /// must not be touched: a wrong length lets one request smuggle another.
    SetContentLength,
    /// Values set as properties are seen by the other plugins of the same request.
    SharedProperties,
    /// HTTP calls go to named clusters; elsewhere to `host:port`.
    Clusters,
    /// `on_tick` and HTTP calls outside of requests.
    Tick,
    /// The status, headers and body of an answer made by the plugin are sent as they are.
    LocalReply,
    /// Values that all workers of the process see, changed by compare-and-swap.
    SharedData,
    /// Counters, gauges and histograms that the proxy publishes.
    Metrics,
}

/// The header maps of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Map {
    /// Headers of the client's request, as they go on to the provider.
    Request,
    /// Headers of the answer, as they go on to the client.
    Response,
    /// Headers of the answer to an HTTP call made by the plugin.
    CallReply,
}

/// The bodies of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// The client's request.
    Request,
    /// The answer: what is buffered while it is held, else the chunk at hand.
    Response,
    /// The answer to an HTTP call made by the plugin.
    CallReply,
}

/// An HTTP call made by the plugin, besides the request that it filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Where to: a cluster on Envoy, `host:port` on APISIX.
    pub upstream: String,
    /// `http` or `https`; APISIX reads it, on Envoy the cluster decides. [`GRPC`] is a call of gRPC with one
    /// message each way: the path is `/package.Service/Method`, the body the message, and the reply's
    /// status what HTTP has for gRPC's.
    pub scheme: String,
    /// The host name sent.
    pub authority: String,
    /// `GET`, `POST` ...
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When to give up, in milliseconds.
    pub timeout: Duration,
}

/// The scheme of a call of gRPC, for hosts with [`Capability::Clusters`].
pub const GRPC: &str = "grpc";

/// The longest name of a cluster that a call of gRPC can go to, in bytes.
pub const GRPC_UPSTREAM: usize = 100;

/// Identifies a pending HTTP call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub u32);

/// A status code other than 0 that the proxy answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostError(pub u32);

impl HostError {
    /// Asked for something that this host cannot do (the code that APISIX answers).
    pub const UNIMPLEMENTED: HostError = HostError(12);
    /// An argument that the host does not take.
    pub const BAD_ARGUMENT: HostError = HostError(2);
    /// A shared value has been changed meanwhile.
    pub const CAS_MISMATCH: HostError = HostError(8);
}

/// What a metric does with the values it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Adds them up; never falls.
    Counter,
    /// Is the last one.
    Gauge,
    /// Counts how many are how large.
    Histogram,
}

/// Identifies a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MetricId(pub u32);

/// A value that all workers see, and which version of it this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The value.
    pub value: Vec<u8>,
    /// To be named when the value is replaced; 0 for one that was never set.
    pub version: u32,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy answered status {}", self.0)
    }
}

impl std::error::Error for HostError {}

/// The proxy, for the exchange at hand.
///
/// Takes `&self` throughout: the state is the proxy's. Reads that fail are `None`, because to a
/// filter a header that cannot be read is a header that is not there.
pub trait Host {
    /// Whether the host can do this.
    fn can(&self, capability: Capability) -> bool;

    /// A header's value; several of one name are joined by the host with a comma.
    fn header(&self, map: Map, name: &str) -> Option<Vec<u8>>;
    /// The same where no other header of this map will be asked for.
    fn only_header(&self, map: Map, name: &str) -> Option<Vec<u8>> {
        self.header(map, name)
    }
    /// [`header`](Self::header) as text, with U+FFFD for what is no UTF-8.
    fn header_text(&self, map: Map, name: &str) -> Option<String> {
        self.header(map, name).map(lossy)
    }
    /// Sets a header, whether or not it was there.
    fn set_header(&self, map: Map, name: &str, value: &str) -> Result<(), HostError>;
    /// Removes a header; one that is not there is fine.
    fn remove_header(&self, map: Map, name: &str) -> Result<(), HostError>;

    /// The request's method.
    fn method(&self) -> Option<String>;
    /// The request's path and query.
    fn path(&self) -> Option<String>;
    /// Sets path and query of the request to the provider.
    fn set_path(&self, path: &str) -> Result<(), HostError>;
    /// Sets the host name of the request to the provider.
    fn set_authority(&self, authority: &str) -> Result<(), HostError>;
    /// Whether a request body follows the headers; `end` is what the header callback said.
    fn body_follows(&self, end: bool) -> bool {
        !end
    }
    /// Announces in the header phase that the body is wanted. Hosts that always give it do nothing.
    fn want_body(&self, body: Body) -> Result<(), HostError>;

    /// Up to `len` bytes of a body from `start` on.
    fn body(&self, body: Body, start: usize, len: usize) -> Option<Vec<u8>>;
    /// Replaces the first `replaced` bytes of a body that has `total`. Hosts without
    /// [`Capability::ReplacePrefix`] take `replaced == total` only.
    fn replace_body(
        &self,
        body: Body,
        replaced: usize,
        total: usize,
        with: &[u8],
    ) -> Result<(), HostError>;

    /// A property of the request or the proxy.
    fn property(&self, path: &[&str]) -> Option<Vec<u8>>;
    /// Sets a property.
    fn set_property(&self, path: &[&str], value: &[u8]) -> Result<(), HostError>;

    /// Answers the client instead of the provider.
    fn respond(
        &self,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<(), HostError>;
    /// Starts an HTTP call.
    fn call(&self, call: &Call) -> Result<CallId, HostError>;
    /// Lets a held request go on.
    fn resume_request(&self) -> Result<(), HostError>;
    /// Lets an answer go on that waits; not from one of its own callbacks.
    fn resume_response(&self) -> Result<(), HostError>;

    /// A value that all workers of the process see. Hosts without [`Capability::SharedData`] have
    /// none.
    fn shared(&self, key: &str) -> Option<Shared>;
    /// Replaces such a value if it still is of this version, else [`HostError::CAS_MISMATCH`]; version
    /// 0 sets it whatever it is. Two workers that both create a value are not told apart, and there is
    /// no way to remove one.
    fn set_shared(&self, key: &str, value: &[u8], version: u32) -> Result<(), HostError>;

    /// Declares a metric, or finds the one of this name. Costs a look-up in the proxy: to be kept.
    fn metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError>;
    /// Adds to a counter or a gauge.
    fn add_metric(&self, metric: MetricId, by: i64) -> Result<(), HostError>;
    /// Sets a gauge, or gives a histogram one more value.
    fn record_metric(&self, metric: MetricId, value: u64) -> Result<(), HostError>;

    /// Nanoseconds since the Unix epoch. It may stand still while a callback lasts: asking the proxy costs as
    /// much as any other call.
    fn now_nanos(&self) -> u64;
    /// The same, asked anew: for how long something takes within a callback.
    fn clock_nanos(&self) -> u64 {
        self.now_nanos()
    }
    /// A random number, for ids and jitter; never for secrets.
    fn random(&self) -> u64;
}
