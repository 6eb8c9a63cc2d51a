//! The way of a request: its head and body through the filters, what they wait for, and what they answer
//! themselves.

use super::response::outward;
use super::{Action, CLUSTER_HEADER, Exchange, Pending, State, Waiting, read_reply};
use crate::chain::{Stage, Step};
use crate::errors::{ApiError, ErrorKind};
use crate::facts::Fact;
use crate::filter::{BodyKind, CallReply, Flow, Reply};
use crate::host::{Body, CallId, Capability, Host, HostError, Map};
use crate::protocol::Endpoint;
use crate::protocol::endpoint::has_dots;
use crate::request::{Change, RequestBody};

impl Exchange {
    /// The request's headers have come; `end` if the host knows that no body follows.
    pub fn request_headers(&mut self, host: &dyn Host, end: bool) -> Action {
        if self.chain.is_empty() {
            return Action::Continue;
        }
        self.state = State::Head;
        self.bodiless = end;
        if !self.settings.upstream {
            let _ = host.remove_header(Map::Request, CLUSTER_HEADER);
            self.facts.begin(host);
        }
        // On a retry the path is the one that the attempt before has set.
        let asked = self.settings.upstream.then(|| self.facts.get(host, Fact::Path)).flatten();
        let path = asked.or_else(|| host.path());
        let plain = path.as_deref().filter(|path| !has_dots(path));
        self.endpoint = plain.and_then(|path| match self.settings.services.has(path) {
            true => Some(Endpoint::Generic),
            false => Endpoint::of(path),
        });
        self.run_head(host, 0)
    }

    fn run_head(&mut self, host: &dyn Host, from: usize) -> Action {
        let step = self.with_cx(host, |chain, cx| chain.request(from, Stage::Head, cx));
        match step {
            Step::Stopped(index, flow) => self.stopped(host, index, flow),
            Step::Passed if !self.body_wanted => {
                self.state = State::Sent;
                self.facts.hand_on(host);
                Action::Continue
            }
            Step::Passed if !host.body_follows(self.bodiless) => self.run_body(host, Vec::new()),
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
        let content_type = host.header_text(Map::Request, "content-type").unwrap_or_default();
        let body = match BodyKind::of_content_type(&content_type) {
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

    /// The answer to a call has come, `size` bytes long.
    pub fn call_response(&mut self, host: &dyn Host, call: CallId, headers: usize, size: usize) {
        if self.awaits() == Some(call) {
            self.call_ended(host, call, read_reply(host, headers, size));
        } else {
            self.answer_judged(host, call, headers, size);
        }
    }

    /// The same, where the reply is known.
    pub fn call_ended(&mut self, host: &dyn Host, call: CallId, reply: CallReply) {
        let Some(pending) = self.pending.filter(|pending| pending.call == call) else { return };
        self.pending = None;
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
            Flow::Continue => self.run_head(host, filter + 1),
            flow => self.stopped(host, filter, flow),
        }
    }

    /// Answers the client; the filters before index `filter` see it.
    pub(super) fn respond(&mut self, host: &dyn Host, filter: usize, reply: Reply) -> Action {
        self.request = None;
        self.waiting = None;
        let limit = self.settings.limits.response;
        let reply = self.with_cx(host, |chain, cx| outward(filter, chain, cx, reply, limit));
        self.state = State::Answered;
        self.answered = reply.body.len();
        self.facts.hand_on(host);
        if let Err(error) = host.respond(reply.status, &reply.headers, &reply.body) {
            log::error!("the answer could not be sent: {error}");
        }
        Action::Pause
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

fn write_request(host: &dyn Host, change: Change<'_>) -> Result<(), HostError> {
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
