//! The way of an answer through the chain: framing, holding, and what goes out instead.

use crate::chain::Chain;
use crate::errors::{ApiError, ErrorKind};
use crate::filter::{BodyKind, Cx, Event, Headers, Interest, Reply, ReplyHeaders, ResponseHead};
use crate::frames::{Frame, Framer};

/// What to do with the bytes that were fed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Let them pass.
    Pass,
    /// Send this instead of them.
    Replace(Vec<u8>),
    /// Let them pass and send this after them.
    Append(Vec<u8>),
}

/// One answer on its way.
pub(super) struct Response {
    /// The filters before this index see it.
    below: usize,
    status: u16,
    kind: BodyKind,
    interest: Interest,
    framer: Framer,
    /// The body so far, where it is wanted whole and the host does not keep it.
    whole: Vec<u8>,
    limit: usize,
    /// Something can be sent after its end.
    growable: bool,
    ended: bool,
    broken: bool,
}

impl Response {
    /// Shows the head to the filters. `limit` is the largest body, in bytes, that is kept;
    /// `writable` says whether the body can be changed at all.
    pub(super) fn begin(
        below: usize,
        chain: &mut Chain,
        cx: &mut Cx<'_>,
        status: u16,
        headers: &mut dyn Headers,
        limit: usize,
        writable: bool,
    ) -> Response {
        let kind = BodyKind::of(headers);
        let form = ["content-type", "content-encoding"].map(|name| (name, headers.get(name)));
        let mut head = ResponseHead { status, kind, headers };
        let interest = chain.response_head(below, cx, &mut head);
        let interest = match interest {
            // What is compressed cannot be looked into, only be replaced as a whole.
            Interest::Observe if kind == BodyKind::Encoded => Interest::Ignore,
            Interest::Rewrite if !writable => {
                // The body stays in the form that it has.
                for (name, value) in form {
                    match value {
                        Some(value) => head.headers.set(name, &value),
                        None => head.headers.remove(name),
                    }
                }
                Interest::Observe
            }
            interest => interest,
        };
        let growable = writable && head.headers.get("content-length").is_none();
        Response {
            below,
            status: head.status,
            kind,
            interest,
            framer: Framer::of(kind),
            whole: Vec::new(),
            limit,
            growable,
            ended: false,
            broken: false,
        }
    }

    pub(super) fn is_stream(&self) -> bool {
        self.kind.is_stream()
    }

    pub(super) fn interest(&self) -> Interest {
        self.interest
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// What is still to come of it must not get out.
    pub(super) fn broken(&self) -> bool {
        self.broken
    }

    /// What is still to come of it must not get out.
    pub(super) fn mute(&mut self) {
        self.ended = true;
        self.broken = true;
        self.interest = Interest::Rewrite;
    }

    /// Looks no further.
    pub(super) fn ignore(&mut self) {
        self.interest = Interest::Ignore;
        self.whole = Vec::new();
    }

    /// Takes a chunk of an event stream. What is sent comes after `bytes`.
    pub(super) fn stream(
        &mut self,
        chain: &mut Chain,
        cx: &mut Cx<'_>,
        chunk: &[u8],
        end: bool,
        mut bytes: Vec<u8>,
    ) -> Output {
        if self.broken {
            return Output::Replace(bytes);
        }
        let below = self.below;
        if self.framer.push(chunk, |frame| feed(chain, below, cx, &frame, &mut bytes)).is_err() {
            return self.unreadable(chain, cx, bytes);
        }
        if end {
            self.ended = true;
            let mut complete = true;
            let seen = bytes.len();
            let framer = std::mem::replace(&mut self.framer, Framer::of(self.kind));
            let finished = framer.finish(|frame| {
                complete = false;
                feed(chain, below, cx, &frame, &mut bytes);
            });
            let passed = bytes.len();
            chain.end(below, cx, complete && finished.is_ok(), &mut bytes);
            if self.interest == Interest::Observe && self.growable && bytes.len() > passed {
                // What was left unfinished ends first.
                let mut more = if passed > seen { b"\n\n".to_vec() } else { Vec::new() };
                more.extend_from_slice(bytes.get(passed..).unwrap_or_default());
                return Output::Append(more);
            }
        }
        if self.interest == Interest::Rewrite { Output::Replace(bytes) } else { Output::Pass }
    }

    /// An event that is damaged or over the framer's limit: no filter may see half of it, so the
    /// stream ends here. A stream that is only observed goes on unobserved.
    fn unreadable(&mut self, chain: &mut Chain, cx: &mut Cx<'_>, mut bytes: Vec<u8>) -> Output {
        self.broken = self.interest == Interest::Rewrite;
        if !self.broken {
            self.interest = Interest::Ignore;
            return Output::Pass;
        }
        self.ended = true;
        chain.end(self.below, cx, false, &mut bytes);
        Output::Replace(bytes)
    }

    /// Keeps a chunk of an answer that is wanted whole; false if it has grown over the limit.
    pub(super) fn keep(&mut self, chunk: &[u8]) -> bool {
        if self.whole.len().saturating_add(chunk.len()) > self.limit {
            return false;
        }
        self.whole.extend_from_slice(chunk);
        true
    }

    pub(super) fn fits(&self, size: usize) -> bool {
        size <= self.limit
    }

    /// The whole answer is there (what was kept, or `body`).
    pub(super) fn answer(
        &mut self,
        chain: &mut Chain,
        cx: &mut Cx<'_>,
        headers: &mut dyn Headers,
        body: Option<&[u8]>,
    ) -> Output {
        self.ended = true;
        let whole = std::mem::take(&mut self.whole);
        let body = body.unwrap_or(&whole);
        let mut head = ResponseHead { status: self.status, kind: self.kind, headers };
        let changed = chain.answer(self.below, cx, &mut head, body);
        match (self.interest, changed) {
            (Interest::Rewrite, Some(body)) => Output::Replace(body),
            // On a host that does not hold, what was kept has been withheld and is now due.
            (Interest::Rewrite, None) if !whole.is_empty() => Output::Replace(whole),
            _ => Output::Pass,
        }
    }

    /// What the client is told of an answer that is too large to be looked at.
    pub(super) fn oversized(&mut self, cx: &Cx<'_>) -> Reply {
        self.ended = true;
        self.broken = true;
        self.whole = Vec::new();
        let message = format!(
            "the provider's answer is larger than {} bytes; raise `max_response_bytes` or ask for less",
            self.limit
        );
        ApiError::new(ErrorKind::BadGateway, message).reply(cx.endpoint)
    }
}

/// Frames that carry nothing for a filter (comments, an event that is not UTF-8) pass as they are.
fn feed(chain: &mut Chain, below: usize, cx: &mut Cx<'_>, frame: &Frame<'_>, bytes: &mut Vec<u8>) {
    match &frame.data {
        Some(data) => {
            let event = Event { name: frame.name, data, raw: Some(frame.raw) };
            chain.event(below, cx, &event, bytes);
        }
        None => bytes.extend_from_slice(frame.raw),
    }
}

/// Runs a reply of the filter of index `below` through the filters before it.
pub(super) fn outward(
    below: usize,
    chain: &mut Chain,
    cx: &mut Cx<'_>,
    mut reply: Reply,
    limit: usize,
) -> Reply {
    if below == 0 {
        return reply;
    }
    let mut headers =
        ReplyHeaders { status: reply.status, list: std::mem::take(&mut reply.headers) };
    cx.local = true;
    let mut response = Response::begin(below, chain, cx, reply.status, &mut headers, limit, true);
    let output = match response.interest() {
        Interest::Ignore => Output::Pass,
        _ if response.is_stream() => response.stream(chain, cx, &reply.body, true, Vec::new()),
        _ => response.answer(chain, cx, &mut headers, Some(&reply.body)),
    };
    let body = match output {
        Output::Replace(body) => body,
        Output::Append(more) => [reply.body, more].concat(),
        Output::Pass => reply.body,
    };
    Reply { status: headers.status, headers: headers.list, body }
}
