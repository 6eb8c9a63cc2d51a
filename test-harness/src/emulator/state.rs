//! What the host functions read and write.

use std::collections::{BTreeMap, VecDeque};

use wasmtime::{Memory, TypedFunc};

use super::shared::MetricKind;
use super::stream::Stream;
use super::{Headers, Options};

/// The answers of host functions, by the numbers of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// No such thing.
    NotFound = 1,
    /// Not allowed here, or not so.
    BadArgument = 2,
    /// The module gave something that is no header map.
    ParseFailure = 4,
    /// A pointer outside the module's memory.
    InvalidMemoryAccess = 6,
    /// Nothing in the queue.
    Empty = 7,
    /// The value was changed meanwhile.
    CasMismatch = 8,
    /// The host could not do it.
    InternalFailure = 10,
    /// The host has this function only in name.
    Unimplemented = 12,
}

/// A host function the module called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCall {
    /// The context it was called for.
    pub context: u32,
    /// For example `proxy_get_property`.
    pub name: &'static str,
    /// What was asked for: the property, header, buffer range...
    pub what: String,
    /// The answer.
    pub status: Status,
    /// What the module was given or gave, up to 4096 bytes of it.
    pub value: Option<Vec<u8>>,
    /// Instructions that the callback had left then: what was used between two calls tells where they go.
    pub left: u64,
}

/// A callback the host made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Of which context.
    pub context: u32,
    /// For example `proxy_on_request_body`.
    pub name: &'static str,
    /// The arguments after the context id: sizes, and 1 for the end of the stream.
    pub args: Vec<u32>,
    /// What it returned, `None` if it returns nothing or trapped.
    pub result: Option<u32>,
}

/// A line the module logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// 0 trace, 1 debug, 2 info, 3 warn, 4 error, 5 critical.
    pub level: u32,
    /// The text.
    pub text: String,
}

/// An HTTP call the module made and that is not yet answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callout {
    /// The token the module knows it by.
    pub id: u32,
    /// The context that made it.
    pub context: u32,
    /// A cluster on Envoy, `host:port` on APISIX.
    pub upstream: String,
    /// With `:method`, `:path`, `:authority`...
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// In ms, 0 for none.
    pub timeout_ms: u32,
}

/// The real host would crash here. Unwinds the module, then panics the test.
#[derive(Debug)]
pub(crate) struct Crash(pub(crate) String);

impl std::fmt::Display for Crash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "APISIX worker would crash: {}", self.0)
    }
}

impl std::error::Error for Crash {}

pub(crate) fn crash<T>(why: impl Into<String>) -> wasmtime::Result<T> {
    Err(wasmtime::Error::new(Crash(why.into())))
}

/// What Envoy does only once the callback that asked for it has returned.
pub(crate) enum Action {
    Continue { stream: u32, response: bool },
    LocalReply { stream: u32, headers: Headers, body: Vec<u8>, details: String },
    Reset { stream: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No callback is running, or one that has no request (configure, tick, done, delete).
    Idle,
    Configure,
    RequestHeaders,
    RequestBody,
    ResponseHeaders,
    ResponseBody,
    /// The answer of an HTTP call.
    CallResponse,
    Log,
    /// Anything else of a stream: its creation, trailers.
    Stream,
}

#[derive(Default)]
pub(crate) struct Root {
    pub(crate) configuration: Vec<u8>,
    pub(crate) tick_period_ms: u32,
    /// The context exists in the module.
    pub(crate) created: bool,
    /// `on_configure` returned true.
    pub(crate) configured: bool,
}

/// The answer of the HTTP call whose callback is running.
pub(crate) struct CallResponse {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) memory: Option<Memory>,
    pub(crate) allocate: Option<TypedFunc<u32, u32>>,
    pub(crate) phase: Phase,
    /// The context the running callback was made for.
    pub(crate) current: u32,
    /// The one the module then chose (`set_effective_context`), 0 for none.
    pub(crate) effective: u32,
    pub(crate) roots: BTreeMap<u32, Root>,
    pub(crate) streams: BTreeMap<u32, Stream>,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) callouts: BTreeMap<u32, Callout>,
    pub(crate) next_callout: u32,
    pub(crate) call_response: Option<CallResponse>,
    /// Code and message `proxy_get_status` gives.
    pub(crate) call_status: (u32, String),
    pub(crate) clock_ns: u64,
    pub(crate) random: u64,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) output: Vec<u8>,
    pub(crate) host_calls: Vec<HostCall>,
    pub(crate) callbacks: Vec<Callback>,
    /// Said by the running host function about itself, for the trace.
    pub(crate) what: String,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) metric_ids: BTreeMap<u32, (String, MetricKind)>,
    pub(crate) next_metric: u32,
}

impl State {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            clock_ns: options.clock_ns,
            random: options.seed,
            // APISIX counts them from 0, Envoy from 1.
            next_callout: u32::from(options.profile == super::Profile::Envoy),
            options,
            memory: None,
            allocate: None,
            phase: Phase::Idle,
            current: 0,
            effective: 0,
            roots: BTreeMap::new(),
            streams: BTreeMap::new(),
            actions: VecDeque::new(),
            callouts: BTreeMap::new(),
            call_response: None,
            call_status: (0, String::new()),
            logs: Vec::new(),
            output: Vec::new(),
            host_calls: Vec::new(),
            callbacks: Vec::new(),
            what: String::new(),
            value: None,
            metric_ids: BTreeMap::new(),
            next_metric: 0,
        }
    }

    pub(crate) fn envoy(&self) -> bool {
        self.options.profile == super::Profile::Envoy
    }

    /// The context host functions work on.
    pub(crate) fn context(&self) -> u32 {
        if self.effective == 0 { self.current } else { self.effective }
    }

    /// The stream host functions work on, `None` in a root context, and on APISIX wherever no
    /// request exists.
    pub(crate) fn stream(&mut self) -> Option<&mut Stream> {
        let none = matches!(self.phase, Phase::Idle | Phase::Configure);
        if !self.envoy() && none {
            return None;
        }
        self.streams.get_mut(&self.context())
    }

    /// The root context of what host functions work on.
    pub(crate) fn root_id(&self) -> u32 {
        let context = self.context();
        self.streams.get(&context).map_or(context, |stream| stream.root)
    }

    /// The lowest id that is free: both hosts use ids again.
    pub(crate) fn free_context(&self) -> u32 {
        let taken = |id: &u32| self.roots.contains_key(id) || self.streams.contains_key(id);
        (1..).find(|id| !taken(id)).expect("fewer than 2^32 contexts")
    }

    /// 64 bits of the seeded sequence (splitmix64).
    pub(crate) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
