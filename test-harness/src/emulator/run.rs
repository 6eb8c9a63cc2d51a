//! A whole exchange in one call, so that one scenario runs on both hosts.

use super::state::Callout;
use super::stream::HttpMessage;
use super::{ClientResponse, Exchange, Finish, Headers, RootContext, Vm};

/// What the client sends.
#[derive(Debug, Clone)]
pub struct Request {
    /// With `:method`, `:path`, `:authority`; `content-length` too, if there is to be one.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// In pieces of this size.
    pub chunk: usize,
    /// The end comes by itself, in an empty piece after the last.
    pub separate_end: bool,
    /// Given before the request arrives: path and value.
    pub properties: Vec<(Vec<String>, Vec<u8>)>,
}

/// What the upstream answers.
#[derive(Debug, Clone)]
pub struct Response {
    /// With `:status`.
    pub headers: Headers,
    /// The body, in the pieces it arrives in.
    pub chunks: Vec<Vec<u8>>,
    /// The end comes by itself, in an empty piece after the last.
    pub separate_end: bool,
    /// How it ends.
    pub finish: Finish,
}

/// What a service that the plugin calls answers.
#[derive(Debug, Clone)]
pub enum CalloutReply {
    /// Headers, with `:status`, and a body.
    Answer(Headers, Vec<u8>),
    /// No answer.
    Fail,
}

/// What came of an exchange.
#[derive(Debug, Clone)]
pub struct Exchanged {
    /// What the upstream received, `None` if the request never got there.
    pub upstream: Option<HttpMessage>,
    /// What the client received.
    pub client: ClientResponse,
    /// The HTTP calls the plugin made, in order.
    pub callouts: Vec<Callout>,
    /// What the plugin left in properties.
    pub properties: Vec<(String, Vec<u8>)>,
    /// Instructions.
    pub fuel: u64,
}

impl Request {
    /// A `POST` of a JSON body, in one piece.
    pub fn post(path: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        let length = body.len().to_string();
        let headers = Headers::from(&[
            (":method", "POST"),
            (":path", path),
            (":scheme", "http"),
            (":authority", "gateway.example"),
            ("content-type", "application/json"),
            ("content-length", length.as_str()),
        ]);
        Self { headers, body, chunk: usize::MAX, separate_end: false, properties: Vec::new() }
    }

    /// A `GET`.
    pub fn get(path: &str) -> Self {
        let mut request = Self::post(path, "");
        request.headers.set(":method", "GET");
        request.headers.remove("content-type");
        request.headers.remove("content-length");
        request
    }

    /// With this header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.set(name, value);
        self
    }

    /// With the body in pieces of this size.
    pub fn in_chunks_of(mut self, size: usize) -> Self {
        self.chunk = size.max(1);
        self
    }
}

impl Response {
    /// A JSON body in one piece.
    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Self {
        let (body, status) = (body.as_ref().to_vec(), status.to_string());
        let length = body.len().to_string();
        let headers = Headers::from(&[
            (":status", status.as_str()),
            ("content-type", "application/json"),
            ("content-length", length.as_str()),
        ]);
        let chunks = vec![body];
        Self { headers, chunks, separate_end: false, finish: Finish::Complete }
    }

    /// An event stream, in the pieces it arrives in; the end comes by itself.
    pub fn event_stream<C: AsRef<[u8]>>(chunks: impl IntoIterator<Item = C>) -> Self {
        let headers = [(":status", "200"), ("content-type", "text/event-stream")].into();
        let chunks = chunks.into_iter().map(|c| c.as_ref().to_vec()).collect();
        Self { headers, chunks, separate_end: true, finish: Finish::Complete }
    }

    /// With the body in pieces of this size, whatever they were.
    pub fn in_chunks_of(mut self, size: usize) -> Self {
        self.chunks = self.chunks.concat().chunks(size.max(1)).map(<[u8]>::to_vec).collect();
        self
    }

    /// With this end.
    pub fn finish(mut self, how: Finish) -> Self {
        self.finish = how;
        self
    }
}

impl CalloutReply {
    /// A JSON body.
    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Self {
        let status = status.to_string();
        let headers = [(":status", status.as_str()), ("content-type", "application/json")].into();
        Self::Answer(headers, body.as_ref().to_vec())
    }
}

/// For [`run`]: the plugin is not expected to call anyone.
pub fn no_callouts(callout: &Callout) -> CalloutReply {
    panic!("an HTTP call nobody expected: {callout:?}")
}

/// Runs a whole exchange: the client sends `request`, `upstream` answers what gets to it, `service`
/// answers the plugin's HTTP calls as they come up, and the exchange is finished.
///
/// # Panics
/// If the plugin holds the request or the response for good.
pub fn run(
    vm: &Vm,
    root: RootContext,
    request: Request,
    mut upstream: impl FnMut(&HttpMessage) -> Response,
    mut service: impl FnMut(&Callout) -> CalloutReply,
) -> Exchanged {
    let ex = vm.exchange(root);
    let mut callouts = Vec::new();
    let mut serve = |ex: &Exchange| {
        while let Some(callout) = ex.callouts().into_iter().next() {
            match service(&callout) {
                CalloutReply::Answer(headers, body) => ex.answer_callout(callout.id, headers, body),
                CalloutReply::Fail => ex.fail_callout(callout.id),
            };
            callouts.push(callout);
        }
    };
    for (path, value) in &request.properties {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        ex.set_property(&path, value);
    }
    let answered = |ex: &Exchange| {
        let client = ex.client_response();
        client.complete || client.reset
    };

    ex.request_headers(request.headers, request.body.is_empty());
    serve(&ex);
    let pieces: Vec<Vec<u8>> = request.body.chunks(request.chunk).map(<[u8]>::to_vec).collect();
    for (chunk, end) in with_end(&pieces, request.separate_end && !pieces.is_empty()) {
        ex.request_body(chunk, end);
        serve(&ex);
    }

    let mut finish = Finish::Complete;
    if !answered(&ex) {
        let Some(sent) = ex.upstream_request().filter(|sent| sent.complete) else {
            panic!("the plugin holds the request for good, and waits for no HTTP call");
        };
        let response = upstream(&sent);
        finish = response.finish;
        let cut = finish != Finish::Complete;
        let empty = response.chunks.iter().all(Vec::is_empty);
        ex.response_headers(response.headers, empty && !cut);
        serve(&ex);
        if !empty {
            for (chunk, end) in with_end(&response.chunks, response.separate_end) {
                if cut && end && chunk.is_empty() {
                    break;
                }
                ex.response_body(chunk, end && !cut);
                serve(&ex);
            }
        }
    }
    assert!(
        answered(&ex) || finish != Finish::Complete,
        "the plugin holds the response for good, and waits for no HTTP call"
    );
    ex.finish(finish);
    Exchanged {
        upstream: ex.upstream_request(),
        client: ex.client_response(),
        callouts,
        properties: ex.properties(),
        fuel: ex.fuel_used(),
    }
}

/// The pieces, each with whether it is the last.
fn with_end(pieces: &[Vec<u8>], separate_end: bool) -> Vec<(Vec<u8>, bool)> {
    let last = if separate_end { usize::MAX } else { pieces.len().wrapping_sub(1) };
    let mut out: Vec<_> =
        pieces.iter().enumerate().map(|(n, piece)| (piece.clone(), n == last)).collect();
    if separate_end {
        out.push((Vec::new(), true));
    }
    out
}
