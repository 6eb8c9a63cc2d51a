//! One HTTP exchange, from the first header to the last log line.
//!
//! The driver between a proxy's callbacks and the [`Chain`]: it holds, buffers, frames, replaces,
//! makes the calls, and knows which callbacks a host leaves out. It asks the host what it
//! [can](crate::host::Host::can) do and never which host it is.

mod answer;
mod judging;
mod request;
mod response;
#[cfg(test)]
mod tests;

use crate::chain::Chain;
use crate::facts::{Facts, Staters};
use crate::filter::{Ask, CallReply, Cx, Filter, Held, Interest, Outcome};
use crate::host::{Body, CallId, Host, Map};
use crate::protocol::Endpoint;
use crate::request::RequestBody;
use crate::services::Services;
use judging::Withheld;
use response::Response;

/// Header by which a plugin tells the proxy's routing where to send a request.
pub const CLUSTER_HEADER: &str = "x-ai-cluster";

/// What the proxy is to do after a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Go on.
    Continue,
    /// Keep what there is and wait.
    Pause,
}

/// How much of a body is kept in memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of a request; a larger one is answered with 413.
    pub request: usize,
    /// Of an answer that is not a stream; a larger one is answered with 502.
    pub response: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { request: 50 << 20, response: 50 << 20 }
    }
}

/// Settings of an exchange, the same for all of a plugin's.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Sizes.
    pub limits: Limits,
    /// Runs behind the proxy's router, once per attempt: what the routing filter wrote is read, not
    /// removed.
    pub upstream: bool,
    /// Apache APISIX: the route has the two functions of the body bridge, so that bodies can be changed.
    /// That the proxy declares their variables does not say that this route reads them.
    pub bridge: bool,
    /// A filter of the module makes the call itself where the proxy cannot change the request's body.
    pub calls: bool,
    /// Paths that are served besides those of the client APIs.
    pub services: Services,
    /// Plugins besides ai-proxy that see every request of this module first, and so state their facts in
    /// it.
    pub here: Staters,
    /// No plugin is in another module, so that facts need not be told to any.
    pub alone: bool,
}

/// One exchange.
pub struct Exchange {
    chain: Chain,
    facts: Facts,
    endpoint: Option<Endpoint>,
    settings: Settings,
    state: State,
    /// What the header callback said: no body follows.
    bodiless: bool,
    /// Asked for in the header phase.
    body_wanted: bool,
    /// Some filter is going to change the answer.
    answer_rewritten: bool,
    request: Option<RequestBody>,
    response: Option<Response>,
    pending: Option<Pending>,
    waiting: Option<Waiting>,
    /// Whether the answer's head is kept back.
    held: Held,
    /// Of a held answer: how much of the body has been shown to the filters, and what they made of it.
    seen: usize,
    kept: Vec<u8>,
    /// What of the answer waits for calls about it.
    withheld: Option<Box<Withheld>>,
    /// Calls about it that are to be made.
    asks: Vec<Ask>,
    /// How much of the request's body has come while its headers were still being worked on, all of it
    /// if true.
    arrived: Option<(usize, bool)>,
    /// Length of the body that was answered with.
    answered: usize,
    finished: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No request has been seen.
    Idle,
    /// The request's headers are being worked on, or were let pass.
    Head,
    /// The request's body is coming in.
    Reading,
    /// The whole request is being worked on.
    Working,
    /// The request is on its way to the provider.
    Sent,
    /// The answer comes from us, through all filters that concern it.
    Answered,
}

/// A call that the request waits for.
#[derive(Clone, Copy, Debug)]
struct Pending {
    call: CallId,
    filter: usize,
}

/// A time that the request waits for, or for what comes before.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    filter: usize,
    deadline: u64,
}

impl Exchange {
    /// An exchange for these filters.
    pub fn new(filters: Vec<Box<dyn Filter>>, settings: Settings) -> Exchange {
        Exchange {
            chain: Chain::new(filters),
            facts: Facts::new(settings.here, settings.alone),
            endpoint: None,
            settings,
            state: State::Idle,
            bodiless: false,
            body_wanted: false,
            answer_rewritten: false,
            request: None,
            response: None,
            pending: None,
            waiting: None,
            held: Held::No,
            seen: 0,
            kept: Vec::new(),
            withheld: None,
            asks: Vec::new(),
            arrived: None,
            answered: 0,
            finished: false,
        }
    }

    /// The exchange is over. May be called more than once; the filters hear of it once.
    pub fn done(&mut self, host: &dyn Host) {
        if std::mem::replace(&mut self.finished, true) || self.state == State::Idle {
            return;
        }
        self.waiting = None;
        let waits = self.withheld.as_ref().is_some_and(|withheld| withheld.waits());
        let complete = match &self.response {
            Some(_) if waits => false,
            Some(response) => response.ended() || response.interest() == Interest::Ignore,
            None => self.state == State::Answered,
        };
        let outcome = if complete { Outcome::Complete } else { Outcome::Aborted };
        self.with_cx(host, |chain, cx| chain.done(cx, outcome));
    }

    fn with_cx<T>(&mut self, host: &dyn Host, run: impl FnOnce(&mut Chain, &mut Cx<'_>) -> T) -> T {
        self.facts.ask_anew(host);
        let mut cx = Cx {
            host,
            facts: &mut self.facts,
            endpoint: self.endpoint,
            body_wanted: self.body_wanted,
            calls: self.settings.calls,
            held: std::mem::take(&mut self.held),
            answer_rewritten: self.answer_rewritten,
            taken: false,
            local: false,
            withholds: false,
            place: 0,
            asks: Vec::new(),
        };
        let result = run(&mut self.chain, &mut cx);
        let Cx { withholds, asks, .. } = &mut cx;
        if *withholds && self.withheld.is_none() {
            self.withheld = Some(Box::default());
        }
        self.asks.append(asks);
        self.body_wanted = cx.body_wanted;
        self.held = cx.held;
        self.answer_rewritten = cx.answer_rewritten;
        self.facts.tell(host);
        result
    }
}

/// `proxy_get_buffer_bytes` is an error for nothing on some hosts, so nothing is not asked for.
fn read(host: &dyn Host, body: Body, size: usize) -> Vec<u8> {
    if size == 0 { Vec::new() } else { host.body(body, 0, size).unwrap_or_default() }
}

/// What came of a call; `headers` is their number, `size` the body's length.
pub fn read_reply(host: &dyn Host, headers: usize, size: usize) -> CallReply {
    if headers == 0 {
        return CallReply::failed();
    }
    let text = |name: &str| {
        host.header(Map::CallReply, name).and_then(|value| String::from_utf8(value).ok())
    };
    CallReply {
        status: text(":status").and_then(|status| status.parse().ok()),
        content_type: text("content-type").unwrap_or_default(),
        retry_after: text("retry-after"),
        body: read(host, Body::CallReply, size),
    }
}

impl CallReply {
    /// No answer came.
    pub fn failed() -> CallReply {
        CallReply { status: None, content_type: String::new(), retry_after: None, body: Vec::new() }
    }
}
