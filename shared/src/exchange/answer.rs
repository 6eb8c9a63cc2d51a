//! The way of an answer: what is held back, read, replaced, and when.

use super::response::{Output, Response};
use super::{Action, Exchange, State, read};
use crate::filter::{Headers, Held, Interest};
use crate::host::{Body, Capability, Host, Map};

/// Most bytes of a stream that are kept back; then it goes out, whatever it is.
const MOST_HELD: usize = 256 << 10;

impl Exchange {
    /// Whether the answer whose headers have come is the one that was given here. The proxy's own can
    /// overtake it, as when the same chunk of a body is too much for both.
    fn is_ours(&self, host: &dyn Host) -> bool {
        if self.state != State::Answered {
            return false;
        }
        let length = host.only_header(Map::Response, "content-length");
        let length =
            length.and_then(|length| String::from_utf8(length).ok()?.parse::<usize>().ok());
        length.is_none_or(|length| length == self.answered)
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
        if self.withheld.is_some() {
            self.show_withheld(host, response, &chunk, end);
            return self.release(host, size, end);
        }
        let output =
            self.with_cx(host, |chain, cx| response.stream(chain, cx, &chunk, end, Vec::new()));
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
        let output = if self.withheld.is_some() {
            self.show_withheld(host, response, &chunk, end);
            Output::Pass
        } else {
            self.with_cx(host, |chain, cx| response.stream(chain, cx, &chunk, end, Vec::new()))
        };
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
                self.withheld = None;
                self.kept = Vec::new();
                replace_response(host, size, &reply.body);
            }
            Held::No | Held::Waiting if self.withheld.is_some() => {
                return self.release(host, size, end);
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
        let new = match output {
            Output::Replace(bytes) => Some(bytes),
            Output::Pass | Output::Append(_) => None,
        };
        if holds && self.withheld.is_some() && !self.asks.is_empty() {
            return self.keep_whole(host, response, new, size);
        }
        if let Some(bytes) = new {
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
}

pub(super) fn replace_response(host: &dyn Host, size: usize, with: &[u8]) {
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

/// The headers of an answer that the host has.
pub(super) struct HostHeaders<'a>(pub(super) &'a dyn Host);

impl Headers for HostHeaders<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.0.header_text(Map::Response, name)
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
