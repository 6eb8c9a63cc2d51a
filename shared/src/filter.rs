//! The one interface of the suite: a plugin is a [`Filter`] over a [`Host`].
//!
//! A filter owns policy, never I/O. It is told what arrived, in terms of requests, events and
//! answers, and says what should happen. Framing, buffering, holding and calls are the business of
//! [`Exchange`](crate::exchange::Exchange).

use crate::answer::AnswerBody;
use crate::errors::ApiError;
use crate::facts::Facts;
use crate::host::{Call, Host};
use crate::protocol::Endpoint;
use crate::request::RequestBody;

/// One plugin's part in one HTTP exchange.
///
/// For a request the filters of a chain are asked in order, for an answer in reverse order. Every
/// method has a default that lets things pass.
pub trait Filter {
    /// The request's headers are there. Ask for the body with [`Cx::read_body`].
    fn request_head(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::Continue
    }

    /// The request's body is there (empty if it has none); only if some filter asked for it.
    fn request(&mut self, _cx: &mut Cx<'_>, _body: &mut RequestBody) -> Flow {
        Flow::Continue
    }

    /// The call that [`Flow::Call`] started has ended.
    fn called(&mut self, _cx: &mut Cx<'_>, _reply: CallReply) -> Flow {
        Flow::Continue
    }

    /// While [`Flow::Wait`] holds the request: asked every few milliseconds whether what it waits for
    /// has come, and once more, with `late`, when its deadline has passed or the host cannot wait.
    /// [`Flow::Wait`] waits on; when it is late that is as [`Flow::Continue`].
    fn waited(&mut self, _cx: &mut Cx<'_>, _late: bool) -> Flow {
        Flow::Continue
    }

    /// The answer's headers are there; says what this filter wants of the body.
    fn response_head(&mut self, _cx: &mut Cx<'_>, _head: &mut ResponseHead<'_>) -> Interest {
        Interest::Ignore
    }

    /// One event of a streamed answer.
    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
        out.send(cx, event);
    }

    /// A streamed answer is over. `complete` is false if its last event was cut off.
    fn end(&mut self, _cx: &mut Cx<'_>, _complete: bool, _out: &mut Out<'_>) {}

    /// A whole answer that is not a stream. `Some` replaces its body.
    fn answer(
        &mut self,
        _cx: &mut Cx<'_>,
        _head: &mut ResponseHead<'_>,
        _body: &AnswerBody<'_>,
    ) -> Option<Vec<u8>> {
        None
    }

    /// A call that [`Cx::ask`] or [`Out::ask`] has made about the answer has ended. `out` takes what ends a
    /// stream that may not go on, and further questions.
    fn answer_called(
        &mut self,
        _cx: &mut Cx<'_>,
        _reply: CallReply,
        _out: &mut Out<'_>,
    ) -> Verdict {
        Verdict::Pass
    }

    /// The exchange is over, however it ended; called exactly once.
    fn done(&mut self, _cx: &mut Cx<'_>, _outcome: Outcome) {}
}

/// What a filter wants to happen next.
#[derive(Debug)]
pub enum Flow {
    /// Go on with the next filter.
    Continue,
    /// Make this call, then ask [`Filter::called`]. The request waits meanwhile.
    Call(Box<Call>),
    /// Hold the request and ask [`Filter::waited`] until it says otherwise, or until this time, in
    /// nanoseconds since the Unix epoch. A host without [`Capability::Tick`](crate::host::Capability::Tick)
    /// cannot wait: there the filter is asked at once, as if it were late.
    Wait(u64),
    /// Answer the client; the filters before this one see the reply as if a provider had sent it.
    Respond(Box<Reply>),
}

/// What a filter wants of an answer's body. The strongest wish in a chain decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    /// Nothing.
    Ignore,
    /// To see it. The bytes pass at once and unchanged.
    Observe,
    /// To change it. Only what the filters send goes out.
    Rewrite,
}

/// What becomes of an answer, or of what of a stream was asked about.
#[derive(Debug)]
pub enum Verdict {
    /// It may go out.
    Pass,
    /// The stream ends here: what has been sent meanwhile goes out in place of all that was kept back.
    End,
    /// This goes out in place of the answer.
    Replace(Box<Reply>),
}

/// A question about an answer.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The filter that asks.
    pub(crate) filter: usize,
    pub(crate) call: Call,
    /// Of a stream: how many of the bytes that are kept back it is about.
    pub(crate) about: usize,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer was sent to its end.
    Complete,
    /// The client left, or the provider's connection broke, before that.
    Aborted,
}

/// What every method of a filter gets besides its own matter.
pub struct Cx<'a> {
    /// The proxy.
    pub host: &'a dyn Host,
    /// What the plugins tell each other about this request.
    pub facts: &'a mut Facts,
    /// Which API the client speaks; `None` if the path is of none that is known.
    pub endpoint: Option<Endpoint>,
    pub(crate) body_wanted: bool,
    /// A filter of this module makes the call itself where the proxy cannot change the request's body.
    pub(crate) calls: bool,
    pub(crate) answer_rewritten: bool,
    /// A filter answers the request itself once its body is there.
    pub(crate) taken: bool,
    pub(crate) held: Held,
    /// The answer at hand is one of our own, which cannot wait.
    pub(crate) local: bool,
    pub(crate) withholds: bool,
    /// The filter that is shown a whole answer.
    pub(crate) place: usize,
    pub(crate) asks: Vec<Ask>,
}

/// What is to become of a streamed answer whose head is kept back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Held {
    /// Nothing is kept back.
    #[default]
    No,
    /// It waits.
    Waiting,
    /// This goes out in its place.
    Replaced(Reply),
}

impl<'a> Cx<'a> {
    /// For what is called outside of an exchange: tests and tools.
    pub fn new(host: &'a dyn Host, facts: &'a mut Facts, endpoint: Option<Endpoint>) -> Cx<'a> {
        Cx {
            host,
            facts,
            endpoint,
            body_wanted: false,
            calls: false,
            answer_rewritten: false,
            taken: false,
            held: Held::No,
            local: false,
            withholds: false,
            place: 0,
            asks: Vec::new(),
        }
    }

    /// The API whose form an answer has where it is seen here: the client's, or that of the provider where it
    /// has not been translated yet ([`Fact::Form`](crate::facts::Fact::Form)).
    pub fn answer_form(&mut self) -> Option<Endpoint> {
        if self.facts.hears_counts(self.host) {
            return self.endpoint;
        }
        match self.facts.of_others(self.host, crate::facts::Fact::Form).as_deref() {
            Some("openai") => Some(Endpoint::OpenAiChat),
            Some("openai_responses") => Some(Endpoint::OpenAiResponses),
            Some("anthropic") => Some(Endpoint::AnthropicMessages),
            Some("gemini") => Some(Endpoint::Gemini),
            _ => self.endpoint,
        }
    }

    /// Whether a change of the request's body gets to the provider.
    pub fn can_change_request(&self) -> bool {
        self.calls || self.host.can(crate::host::Capability::RewriteRequestBody)
    }

    /// Asks for the request's body; in [`Filter::request_head`] only.
    pub fn read_body(&mut self) {
        self.body_wanted = true;
    }

    /// Asks for the request's body, and answers the request itself once it is there: the filters behind are
    /// not shown it. In [`Filter::request_head`] only.
    pub fn take_request(&mut self) {
        self.body_wanted = true;
        self.taken = true;
    }

    /// Keeps the head of a streamed answer back, and what comes of its body, until
    /// [`Cx::release_answer`]: as long as nothing has gone out, another provider can be asked. In
    /// [`Filter::response_head`] only; false if the proxy cannot.
    pub fn hold_answer(&mut self) -> bool {
        let can = self.host.can(crate::host::Capability::HoldResponse);
        if can {
            self.held = Held::Waiting;
        }
        can
    }

    /// Lets go what [`Cx::hold_answer`] keeps back.
    pub fn release_answer(&mut self) {
        self.held = Held::No;
    }

    /// Sends this in place of an answer that is kept back, with its status, so that the proxy may ask
    /// somebody else. No effect once it has been let go.
    pub fn replace_answer(&mut self, reply: Reply) {
        if self.held == Held::Waiting {
            self.held = Held::Replaced(reply);
        }
    }

    /// Keeps back what comes of the answer's body until a call that is made about it has been answered:
    /// [`Cx::ask`] for a whole answer, [`Out::ask`] for a stream. In [`Filter::response_head`] only, by a
    /// filter that wants [`Interest::Rewrite`]; false if the answer cannot wait, as the proxy cannot make it
    /// or it is one of our own.
    pub fn withhold_answer(&mut self) -> bool {
        let can = !self.local && self.host.can(crate::host::Capability::HoldResponse);
        self.withholds |= can;
        can
    }

    /// Makes a call about the whole answer at hand, in [`Filter::answer`], which it waits for; several may be
    /// made, and all have to let it pass.
    pub fn ask(&mut self, call: Call) {
        self.asks.push(Ask { filter: self.place, call, about: 0 });
    }

    /// Tells the filters after this one, while the request is there, that the answer must not get past
    /// this one unchanged: where the proxy cannot change it, it has to be fetched another way.
    pub fn rewrite_answer(&mut self) {
        self.answer_rewritten = true;
    }

    /// Whether some filter has said so.
    pub fn answer_is_rewritten(&self) -> bool {
        self.answer_rewritten
    }

    /// A refusal in the client's own protocol.
    pub fn refuse(&self, error: &ApiError) -> Flow {
        Flow::Respond(Box::new(error.reply(self.endpoint)))
    }
}

/// An answer made by a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers; the content length is added by the host.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallReply {
    /// HTTP status; `None` if no answer came (refused, timed out, cut off).
    pub status: Option<u16>,
    /// The `content-type` header.
    pub content_type: String,
    /// The `retry-after` header.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl CallReply {
    /// What came of a call of gRPC: its status
    /// (<https://grpc.github.io/grpc/core/md_doc_statuscodes.html>) as that of HTTP, and the message.
    pub fn of_grpc(status: u32, message: Vec<u8>) -> CallReply {
        let http = match status {
            0 => 200,
            // DEADLINE_EXCEEDED: it may have been done nonetheless.
            4 => 504,
            // UNAVAILABLE: it was not.
            14 => 503,
            _ => 500,
        };
        CallReply { status: Some(http), body: message, ..CallReply::failed() }
    }
}

/// The headers of an answer, be they the host's or those of a [`Reply`].
pub trait Headers {
    /// A header's value.
    fn get(&self, name: &str) -> Option<String>;
    /// Sets a header.
    fn set(&mut self, name: &str, value: &str);
    /// Removes a header.
    fn remove(&mut self, name: &str);
}

/// The head of a [`Reply`] in the making.
#[derive(Debug)]
pub struct ReplyHeaders {
    /// HTTP status, `:status`.
    pub status: u16,
    /// The headers.
    pub list: Vec<(String, String)>,
}

impl Headers for ReplyHeaders {
    fn get(&self, name: &str) -> Option<String> {
        if name == ":status" {
            return Some(self.status.to_string());
        }
        let found = self.list.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    }

    fn set(&mut self, name: &str, value: &str) {
        if name == ":status" {
            self.status = value.parse().unwrap_or(self.status);
            return;
        }
        self.remove(name);
        self.list.push((name.to_owned(), value.to_owned()));
    }

    fn remove(&mut self, name: &str) {
        self.list.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }
}

/// The head of an answer.
pub struct ResponseHead<'a> {
    /// HTTP status. Set it through [`ResponseHead::set_status`].
    pub status: u16,
    /// What the body is.
    pub kind: BodyKind,
    /// The headers.
    pub headers: &'a mut dyn Headers,
}

impl ResponseHead<'_> {
    /// Changes the status. Where the headers are gone already it has no effect.
    pub fn set_status(&mut self, status: u16) {
        self.status = status;
        self.headers.set(":status", &status.to_string());
    }
}

/// What an answer's body is, by its `content-type` and `content-encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `text/event-stream`.
    EventStream,
    /// `application/vnd.amazon.eventstream`.
    AwsEventStream,
    /// JSON.
    Json,
    /// Compressed: cannot be looked into.
    Encoded,
    /// Anything else.
    Other,
}

impl BodyKind {
    /// Reads it off the headers.
    pub fn of(headers: &dyn Headers) -> BodyKind {
        let encoding = headers.get("content-encoding").unwrap_or_default();
        if !matches!(encoding.trim(), "" | "identity") {
            return BodyKind::Encoded;
        }
        let content_type = headers.get("content-type").unwrap_or_default();
        BodyKind::of_content_type(&content_type)
    }

    /// Whether it comes event by event.
    pub fn is_stream(self) -> bool {
        matches!(self, BodyKind::EventStream | BodyKind::AwsEventStream)
    }

    /// Reads it off a `content-type`.
    pub fn of_content_type(content_type: &str) -> BodyKind {
        // As nearly all write it.
        match content_type {
            "application/json" => return BodyKind::Json,
            "text/event-stream" => return BodyKind::EventStream,
            _ => {}
        }
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("text/event-stream") {
            BodyKind::EventStream
        } else if essence.eq_ignore_ascii_case("application/vnd.amazon.eventstream") {
            BodyKind::AwsEventStream
        } else if essence.eq_ignore_ascii_case("application/json")
            || essence.to_ascii_lowercase().ends_with("+json")
        {
            BodyKind::Json
        } else {
            BodyKind::Other
        }
    }
}

/// One event of a stream, as a filter sees or sends it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The event's name, if it has one.
    pub name: Option<&'a str>,
    /// Its data lines, joined.
    pub data: &'a str,
    /// The bytes it came as; an event that is sent on goes out as just these.
    pub raw: Option<&'a [u8]>,
}

impl<'a> Event<'a> {
    /// An event without a name.
    pub fn data(data: &'a str) -> Event<'a> {
        Event { name: None, data, raw: None }
    }
}

/// Where a filter sends events: to the next filter outwards, and from the last one to the client.
pub struct Out<'a> {
    pub(crate) filters: &'a mut [Box<dyn Filter>],
    pub(crate) bytes: &'a mut Vec<u8>,
}

impl Out<'_> {
    /// Sends bytes that are no event, as a comment is, to the client.
    pub fn pass(&mut self, raw: &[u8]) {
        self.bytes.extend_from_slice(raw);
    }

    /// Sends an event on.
    pub fn send(&mut self, cx: &mut Cx<'_>, event: &Event<'_>) {
        match self.filters.split_last_mut() {
            Some((next, outer)) => {
                next.event(cx, event, &mut Out { filters: outer, bytes: self.bytes });
            }
            None => match event.raw {
                Some(raw) => self.bytes.extend_from_slice(raw),
                None => crate::sse::write_event(self.bytes, event.name, event.data),
            },
        }
    }
    /// Makes a call about what has been sent so far of a stream that [`Cx::withhold_answer`] keeps back.
    pub fn ask(&self, cx: &mut Cx<'_>, call: Call) {
        cx.asks.push(Ask { filter: self.filters.len(), call, about: self.bytes.len() });
    }
}
