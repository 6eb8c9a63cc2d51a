//! One HTTP exchange, from the first header to the last log line.
//!
//! The driver between a proxy's callbacks and the [`Chain`]: it holds, buffers, frames, replaces,
//! makes the calls, and knows which callbacks a host leaves out. It asks the host what it
//! [can](crate::host::Host::can) do and never which host it is.

mod response;
#[cfg(test)]
mod tests;

use crate::chain::{Chain, Stage, Step};
use crate::errors::{ApiError, ErrorKind};
use crate::facts::{Fact, Facts};
use crate::filter::{
    BodyKind, CallReply, Cx, Filter, Flow, Headers, Held, Interest, Outcome, Reply,
};
use crate::host::{Body, CallId, Capability, Host, Map};
use crate::protocol::Endpoint;
use crate::request::{Change, RequestBody};
use crate::services::Services;
use response::{Output, Response, outward};

/// Header by which a plugin tells the proxy's routing where to send a request.
pub const CLUSTER_HEADER: &str = "x-ai-cluster";

/// Most bytes of a stream that are kept back; then it goes out, whatever it is.
const MOST_HELD: usize = 256 << 10;

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
    /// Paths that are served besides those of the client APIs.
    pub services: Services,
}

/// One exchange.
pub struct Exchange {
    chain: Chain,
    facts: Facts,
    endpoint: Option<Endpoint>,
    settings: Settings,
    state: State,
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
            facts: Facts::default(),
            endpoint: None,
            settings,
            state: State::Idle,
            body_wanted: false,
            answer_rewritten: false,
            request: None,
            response: None,
            pending: None,
            waiting: None,
            held: Held::No,
            seen: 0,
            kept: Vec::new(),
            arrived: None,
            answered: 0,
            finished: false,
        }
    }

    /// The request's headers have come; `end` if the host knows that no body follows.
    pub fn request_headers(&mut self, host: &dyn Host, end: bool) -> Action {
        if self.chain.is_empty() {
            return Action::Continue;
        }
        self.state = State::Head;
        if !self.settings.upstream {
            let _ = host.remove_header(Map::Request, CLUSTER_HEADER);
            self.facts.begin(host);
        }
        // On a retry the path is the one that the attempt before has set.
        let asked = self.settings.upstream.then(|| self.facts.get(host, Fact::Path)).flatten();
        let path = asked.or_else(|| host.path());
        self.endpoint = path.as_deref().and_then(|path| match self.settings.services.has(path) {
            true => Some(Endpoint::Generic),
            false => Endpoint::of(path),
        });
        self.run_head(host, 0, end)
    }

    fn run_head(&mut self, host: &dyn Host, from: usize, end: bool) -> Action {
        let step = self.with_cx(host, |chain, cx| chain.request(from, Stage::Head, cx));
        match step {
            Step::Stopped(index, flow) => self.stopped(host, index, flow),
            Step::Passed if !self.body_wanted => {
                self.state = State::Sent;
                self.facts.hand_on(host);
                Action::Continue
            }
            Step::Passed if !host.body_follows(end) => self.run_body(host, Vec::new()),
            // Told before it is sent; the proxy's own buffer may be no larger.
            Step::Passed if announced(host) > self.settings.limits.request => {
                self.state = State::Reading;
                self.too_large(host)
            }
            Step::Passed => {
                self.state = State::Reading;
                if let Some((size, true)) = self.arrived {
                    return self.request_body(host, size, true);
                }
                let _ = host.want_body(Body::Request);
                if host.can(Capability::HoldRequest) { Action::Pause } else { Action::Continue }
            }
        }
    }

    /// More of the request's body has come; `size` bytes can be read.
    pub fn request_body(&mut self, host: &dyn Host, size: usize, end: bool) -> Action {
        match self.state {
            State::Reading if size > self.settings.limits.request => self.too_large(host),
            State::Reading if end => {
                let body = host.body(Body::Request, 0, size).unwrap_or_default();
                self.run_body(host, body)
            }
            State::Reading | State::Working | State::Answered => Action::Pause,
            // Going on with the body would let the headers go that a filter still holds.
            State::Head if self.holds_head() => {
                self.arrived = Some((size, end));
                Action::Pause
            }
            State::Idle | State::Head | State::Sent => Action::Continue,
        }
    }

    /// Whether a filter holds the request's headers.
    fn holds_head(&self) -> bool {
        self.pending.is_some() || self.waiting.is_some()
    }

    fn too_large(&mut self, host: &dyn Host) -> Action {
        let error = ApiError::new(ErrorKind::TooLarge, too_large(self.settings.limits.request));
        let reply = error.reply(self.endpoint);
        let all = self.chain.len();
        self.respond(host, all, reply)
    }

    /// The request ends with trailers, so its last body callback did not say that it was the last.
    pub fn request_trailers(&mut self, host: &dyn Host) -> Action {
        let limit = self.settings.limits.request.saturating_add(1);
        if self.state == State::Head && self.holds_head() {
            let size = host.body(Body::Request, 0, limit).map_or(0, |body| body.len());
            self.arrived = Some((size, true));
            return Action::Pause;
        }
        if self.state != State::Reading {
            return if self.state == State::Working { Action::Pause } else { Action::Continue };
        }
        let body = host.body(Body::Request, 0, limit).unwrap_or_default();
        self.request_body_read(host, body)
    }

    fn request_body_read(&mut self, host: &dyn Host, body: Vec<u8>) -> Action {
        if body.len() > self.settings.limits.request {
            return self.request_body(host, body.len(), true);
        }
        self.run_body(host, body)
    }

    fn run_body(&mut self, host: &dyn Host, body: Vec<u8>) -> Action {
        self.state = State::Working;
        // Only forms and files may have other bytes than UTF-8's.
        let content_type = host.header(Map::Request, "content-type").unwrap_or_default();
        let body = match BodyKind::of_content_type(&String::from_utf8_lossy(&content_type)) {
            BodyKind::Json => RequestBody::new(body),
            _ if content_type.is_empty() => RequestBody::new(body),
            _ => Ok(RequestBody::binary(body)),
        };
        match body {
            Ok(body) => {
                self.request = Some(body);
                self.run_filters(host, 0)
            }
            Err(_) => {
                let error = ApiError::new(
                    ErrorKind::InvalidRequest,
                    "the request body is not valid UTF-8; send JSON encoded as UTF-8",
                );
                let reply = error.reply(self.endpoint);
                let all = self.chain.len();
                self.respond(host, all, reply)
            }
        }
    }

    fn run_filters(&mut self, host: &dyn Host, from: usize) -> Action {
        let mut body = match self.request.take() {
            Some(body) => body,
            None => return Action::Continue,
        };
        let step = self.with_cx(host, |chain, cx| chain.request(from, Stage::Body(&mut body), cx));
        let action = match step {
            Step::Stopped(index, flow) => {
                self.request = Some(body);
                return self.stopped(host, index, flow);
            }
            Step::Passed => match body.change() {
                Some(change) => write_request(host, change),
                None => Ok(()),
            },
        };
        match action {
            Ok(()) => {
                self.state = State::Sent;
                self.facts.hand_on(host);
                Action::Continue
            }
            Err(error) => {
                log::error!("the request body could not be replaced: {error}");
                let error =
                    ApiError::new(ErrorKind::Internal, "the gateway cannot change this request");
                let reply = error.reply(self.endpoint);
                let all = self.chain.len();
                self.respond(host, all, reply)
            }
        }
    }

    /// A filter said something other than "go on".
    fn stopped(&mut self, host: &dyn Host, filter: usize, flow: Flow) -> Action {
        match flow {
            Flow::Continue => Action::Continue,
            Flow::Respond(reply) => self.respond(host, filter, *reply),
            Flow::Call(call) => match host.call(&call) {
                Ok(call) => {
                    self.pending = Some(Pending { call, filter });
                    Action::Pause
                }
                // As if the provider could not be reached; the filter may know another way.
                Err(error) => {
                    log::warn!("call to {} could not be started: {error}", call.upstream);
                    self.reply_to(host, filter, CallReply::failed())
                }
            },
            Flow::Wait(deadline) if host.can(Capability::Tick) && deadline > host.now_nanos() => {
                self.waiting = Some(Waiting { filter, deadline });
                Action::Pause
            }
            Flow::Wait(_) => self.ask_again(host, filter, true),
        }
    }

    /// Whether the request waits, so that [`tick`](Exchange::tick) is to be called every few
    /// milliseconds.
    pub fn waits(&self) -> bool {
        self.waiting.is_some()
    }

    /// The call that the request waits for.
    pub fn awaits(&self) -> Option<CallId> {
        self.pending.map(|pending| pending.call)
    }

    /// Asks the filter that waits whether it still has to.
    pub fn tick(&mut self, host: &dyn Host) {
        let Some(waiting) = self.waiting.take() else { return };
        let late = waiting.deadline <= host.now_nanos();
        if self.ask_again(host, waiting.filter, late) == Action::Continue {
            let _ = host.resume_request();
        }
    }

    fn ask_again(&mut self, host: &dyn Host, filter: usize, late: bool) -> Action {
        match self.with_cx(host, |chain, cx| chain.waited(filter, late, cx)) {
            Flow::Wait(_) if late => self.go_on(host, filter, Flow::Continue),
            flow => self.go_on(host, filter, flow),
        }
    }

    /// The answer to a call has come, `size` bytes long. True if the request may go on.
    pub fn call_response(&mut self, host: &dyn Host, call: CallId, headers: usize, size: usize) {
        let Some(pending) = self.pending.filter(|pending| pending.call == call) else { return };
        self.pending = None;
        let reply = read_reply(host, headers, size);
        if self.reply_to(host, pending.filter, reply) == Action::Continue {
            let _ = host.resume_request();
        }
    }

    fn reply_to(&mut self, host: &dyn Host, filter: usize, reply: CallReply) -> Action {
        let flow = self.with_cx(host, |chain, cx| chain.called(filter, reply, cx));
        self.go_on(host, filter, flow)
    }

    /// What a filter says that the request has waited for.
    fn go_on(&mut self, host: &dyn Host, filter: usize, flow: Flow) -> Action {
        match flow {
            Flow::Continue if self.request.is_some() => self.run_filters(host, filter + 1),
            Flow::Continue => self.run_head(host, filter + 1, false),
            flow => self.stopped(host, filter, flow),
        }
    }

    /// Answers the client; the filters before index `filter` see it.
    fn respond(&mut self, host: &dyn Host, filter: usize, reply: Reply) -> Action {
        self.request = None;
        self.waiting = None;
        let limit = self.settings.limits.response;
        let reply = self.with_cx(host, |chain, cx| outward(filter, chain, cx, reply, limit));
        self.state = State::Answered;
        self.answered = reply.body.len();
        if let Err(error) = host.respond(reply.status, &reply.headers, &reply.body) {
            log::error!("the answer could not be sent: {error}");
        }
        Action::Pause
    }

    /// Whether the answer whose headers have come is the one that was given here. The proxy's own can
    /// overtake it, as when the same chunk of a body is too much for both.
    fn is_ours(&self, host: &dyn Host) -> bool {
        let length = host.header(Map::Response, "content-length");
        let length =
            length.and_then(|length| String::from_utf8(length).ok()?.parse::<usize>().ok());
        self.state == State::Answered && length.is_none_or(|length| length == self.answered)
    }

    /// The answer's headers have come; `end` if no body follows.
    pub fn response_headers(&mut self, host: &dyn Host, end: bool) -> Action {
        // Our own answer, which has been through the filters already; or the answer to a request
        // that this exchange never saw.
        if self.state == State::Idle || self.is_ours(host) {
            return Action::Continue;
        }
        // A local answer of the proxy can come while the request is still being worked on.
        self.state = State::Sent;
        self.pending = None;
        self.waiting = None;
        self.facts.answered(host);
        let mut headers = HostHeaders(host);
        let status = headers.get(":status").and_then(|s| s.parse().ok()).unwrap_or(0);
        let limit = self.settings.limits.response;
        let all = self.chain.len();
        let mut response = self.with_cx(host, |chain, cx| {
            let writable = host.can(Capability::RewriteResponseBody);
            Response::begin(all, chain, cx, status, &mut HostHeaders(host), limit, writable)
        });
        let action = match response.interest() {
            Interest::Ignore => Action::Continue,
            interest => {
                if !end {
                    let _ = host.want_body(Body::Response);
                }
                self.open(host, &mut response, &mut headers, interest, end)
            }
        };
        self.response = Some(response);
        action
    }

    fn open(
        &mut self,
        host: &dyn Host,
        response: &mut Response,
        headers: &mut HostHeaders<'_>,
        interest: Interest,
        end: bool,
    ) -> Action {
        if end {
            let output =
                self.with_cx(host, |chain, cx| response.answer(chain, cx, headers, Some(&[])));
            if let Output::Replace(body) = output {
                if self.settings.upstream && response.is_stream() {
                    // A reply would go to the client; this status lets the proxy ask somebody else.
                    headers.set(":status", "502");
                    headers.remove("content-type");
                    return Action::Continue;
                }
                // Headers that end the stream cannot be given a body; a reply can.
                self.state = State::Answered;
                self.answered = body.len();
                return send_instead(host, headers, &body);
            }
            return Action::Continue;
        }
        match interest {
            _ if response.is_stream() && self.held == Held::Waiting => {
                headers.remove("content-length");
                Action::Pause
            }
            Interest::Rewrite if response.is_stream() => {
                headers.remove("content-length");
                Action::Continue
            }
            Interest::Rewrite if host.can(Capability::HoldResponse) => Action::Pause,
            Interest::Rewrite => {
                headers.remove("content-length");
                Action::Continue
            }
            Interest::Observe | Interest::Ignore => Action::Continue,
        }
    }

    /// More of the answer's body has come; `size` bytes can be read.
    pub fn response_body(&mut self, host: &dyn Host, size: usize, end: bool) -> Action {
        let Some(mut response) = self.response.take() else { return Action::Continue };
        let over = response.ended() && !response.is_stream();
        let action = if over || response.interest() == Interest::Ignore {
            if response.broken() && !host.can(Capability::HoldResponse) {
                replace_response(host, size, &[]);
            }
            Action::Continue
        } else if response.is_stream() {
            self.stream_chunk(host, &mut response, size, end)
        } else {
            self.answer_chunk(host, &mut response, size, end)
        };
        self.response = Some(response);
        action
    }

    fn stream_chunk(
        &mut self,
        host: &dyn Host,
        response: &mut Response,
        size: usize,
        end: bool,
    ) -> Action {
        if self.held != Held::No {
            return self.held_chunk(host, response, size, end);
        }
        let chunk = read(host, Body::Response, size);
        let output = self.with_cx(host, |chain, cx| response.stream(chain, cx, &chunk, end));
        match output {
            Output::Pass => {}
            Output::Replace(bytes) => replace_response(host, chunk.len(), &bytes),
            Output::Append(more) => {
                let length = chunk.len();
                replace_response(host, length, &[chunk, more].concat());
            }
        }
        Action::Continue
    }

    /// A chunk of a stream whose head is kept back. The proxy keeps what has come; `size` is all of it.
    fn held_chunk(
        &mut self,
        host: &dyn Host,
        response: &mut Response,
        size: usize,
        end: bool,
    ) -> Action {
        let fresh = size.saturating_sub(self.seen);
        let chunk = if fresh == 0 {
            Vec::new()
        } else {
            host.body(Body::Response, self.seen, fresh).unwrap_or_default()
        };
        self.seen = size;
        let output = self.with_cx(host, |chain, cx| response.stream(chain, cx, &chunk, end));
        let replaced = match output {
            Output::Pass => false,
            Output::Replace(bytes) => {
                self.kept.extend_from_slice(&bytes);
                true
            }
            Output::Append(more) => {
                self.kept = [read(host, Body::Response, size), more].concat();
                true
            }
        };
        let waits = self.held == Held::Waiting && !end && size <= MOST_HELD;
        match std::mem::take(&mut self.held) {
            Held::Waiting if waits => {
                self.held = Held::Waiting;
                return Action::Pause;
            }
            Held::Replaced(reply) => {
                let mut headers = HostHeaders(host);
                headers.set(":status", &reply.status.to_string());
                for (name, value) in &reply.headers {
                    headers.set(name, value);
                }
                response.mute();
                self.kept = Vec::new();
                replace_response(host, size, &reply.body);
            }
            Held::No | Held::Waiting => {
                let kept = std::mem::take(&mut self.kept);
                if replaced || !kept.is_empty() {
                    replace_response(host, size, &kept);
                }
            }
        }
        Action::Continue
    }

    fn answer_chunk(
        &mut self,
        host: &dyn Host,
        response: &mut Response,
        size: usize,
        end: bool,
    ) -> Action {
        let holds = response.interest() == Interest::Rewrite && host.can(Capability::HoldResponse);
        let fits = if holds {
            response.fits(size)
        } else {
            let chunk = read(host, Body::Response, size);
            response.keep(&chunk)
        };
        if !fits {
            return self.oversized(host, response, size, holds);
        }
        if !end {
            return match (response.interest(), holds) {
                (Interest::Rewrite, true) => Action::Pause,
                (Interest::Rewrite, false) => {
                    replace_response(host, size, &[]);
                    Action::Continue
                }
                _ => Action::Continue,
            };
        }
        let body = holds.then(|| read(host, Body::Response, size));
        let mut headers = HostHeaders(host);
        let output = self
            .with_cx(host, |chain, cx| response.answer(chain, cx, &mut headers, body.as_deref()));
        if let Output::Replace(bytes) = output {
            if holds {
                headers.set("content-length", &bytes.len().to_string());
            }
            replace_response(host, size, &bytes);
        }
        Action::Continue
    }

    fn oversized(
        &mut self,
        host: &dyn Host,
        response: &mut Response,
        size: usize,
        holds: bool,
    ) -> Action {
        if response.interest() != Interest::Rewrite {
            response.ignore();
            return Action::Continue;
        }
        let reply = self.with_cx(host, |_, cx| response.oversized(cx));
        if holds {
            self.state = State::Answered;
            self.answered = reply.body.len();
            let _ = host.respond(reply.status, &reply.headers, &reply.body);
            return Action::Pause;
        }
        // The status has left already.
        replace_response(host, size, &reply.body);
        Action::Continue
    }

    /// The answer ends with trailers, so its last body callback did not say that it was the last.
    pub fn response_trailers(&mut self, host: &dyn Host) -> Action {
        let limit = self.settings.limits.response;
        let Some(response) = &self.response else { return Action::Continue };
        if response.ended() {
            return Action::Continue;
        }
        let held = host.can(Capability::HoldResponse)
            && match response.is_stream() {
                true => self.held == Held::Waiting,
                false => response.interest() == Interest::Rewrite,
            };
        let size =
            if held { host.body(Body::Response, 0, limit).map_or(0, |b| b.len()) } else { 0 };
        self.response_body(host, size, true)
    }

    /// The exchange is over. May be called more than once; the filters hear of it once.
    pub fn done(&mut self, host: &dyn Host) {
        if std::mem::replace(&mut self.finished, true) || self.state == State::Idle {
            return;
        }
        self.waiting = None;
        let complete = match &self.response {
            Some(response) => response.ended() || response.interest() == Interest::Ignore,
            None => self.state == State::Answered,
        };
        let outcome = if complete { Outcome::Complete } else { Outcome::Aborted };
        self.with_cx(host, |chain, cx| chain.done(cx, outcome));
    }

    fn with_cx<T>(&mut self, host: &dyn Host, run: impl FnOnce(&mut Chain, &mut Cx<'_>) -> T) -> T {
        self.facts.ask_anew();
        let mut cx = Cx {
            host,
            facts: &mut self.facts,
            endpoint: self.endpoint,
            body_wanted: self.body_wanted,
            held: std::mem::take(&mut self.held),
            answer_rewritten: self.answer_rewritten,
        };
        let result = run(&mut self.chain, &mut cx);
        self.body_wanted = cx.body_wanted;
        self.held = cx.held;
        self.answer_rewritten = cx.answer_rewritten;
        result
    }
}

/// The length that a request's headers announce; 0 if they do not.
fn announced(host: &dyn Host) -> usize {
    let length = host.header(Map::Request, "content-length").unwrap_or_default();
    std::str::from_utf8(&length).ok().and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

fn too_large(limit: usize) -> String {
    format!(
        "the request body is larger than {limit} bytes; send less, or raise `max_request_bytes`"
    )
}

/// `proxy_get_buffer_bytes` is an error for nothing on some hosts, so nothing is not asked for.
fn read(host: &dyn Host, body: Body, size: usize) -> Vec<u8> {
    if size == 0 { Vec::new() } else { host.body(body, 0, size).unwrap_or_default() }
}

fn write_request(host: &dyn Host, change: Change<'_>) -> Result<(), crate::host::HostError> {
    if host.can(Capability::ReplacePrefix) {
        host.replace_body(Body::Request, change.replaced, change.total, change.with)?;
    } else {
        host.replace_body(Body::Request, change.total, change.total, change.whole)?;
    }
    if host.can(Capability::SetContentLength) {
        host.set_header(Map::Request, "content-length", &change.whole.len().to_string())?;
    }
    Ok(())
}

fn replace_response(host: &dyn Host, size: usize, with: &[u8]) {
    if let Err(error) = host.replace_body(Body::Response, size, size, with) {
        log::error!("the answer could not be replaced: {error}");
    }
}

fn send_instead(host: &dyn Host, headers: &HostHeaders<'_>, body: &[u8]) -> Action {
    let status = headers.get(":status").and_then(|s| s.parse().ok()).unwrap_or(502);
    let content_type = headers.get("content-type").unwrap_or_else(|| "application/json".into());
    match host.respond(status, &[("content-type".into(), content_type)], body) {
        Ok(()) => Action::Pause,
        Err(_) => Action::Continue,
    }
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

/// The headers of an answer that the host has.
struct HostHeaders<'a>(&'a dyn Host);

impl Headers for HostHeaders<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = self.0.header(Map::Response, name)?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    fn set(&mut self, name: &str, value: &str) {
        if let Err(error) = self.0.set_header(Map::Response, name, value) {
            log::debug!("response header {name} could not be set: {error}");
        }
    }

    fn remove(&mut self, name: &str) {
        let _ = self.0.remove_header(Map::Response, name);
    }
}
