//! One HTTP exchange as the host sees it.

use std::collections::BTreeMap;

use super::Headers;

/// An HTTP message, as far as it has been let through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpMessage {
    /// With the pseudo headers.
    pub headers: Headers,
    /// What the body came in, piece by piece.
    pub chunks: Vec<Vec<u8>>,
    /// Trailers, if there were any.
    pub trailers: Option<Headers>,
    /// True once the end was let through.
    pub complete: bool,
}

impl HttpMessage {
    /// The whole body.
    pub fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// The whole body as text, with U+FFFD for what is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }

    /// `:status` as a number.
    pub fn status(&self) -> u16 {
        self.headers.status()
    }
}

/// How a stream has ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The response went out whole.
    Complete,
    /// It was cut.
    Reset,
}

/// What holds a direction's headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Hold {
    /// They have not come yet.
    #[default]
    NotArrived,
    /// Held; body callbacks are made.
    Headers,
    /// Held, and the body waits in front of the filter.
    Everything,
    /// They went on.
    Released,
}

/// One direction of a stream.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) headers: Headers,
    pub(crate) trailers: Option<Headers>,
    /// Host functions reach the headers. On Envoy that ends when a header callback continues.
    pub(crate) visible: bool,
    pub(crate) hold: Hold,
    /// The body that is held, or that the running body callback looks at.
    pub(crate) buffer: Vec<u8>,
    /// The last body callback paused.
    pub(crate) buffering: bool,
    /// A callback of this direction is running.
    pub(crate) running: bool,
    /// It is a body callback.
    pub(crate) in_body: bool,
    /// The end has arrived.
    pub(crate) end: bool,
    /// What arrived while everything was held.
    pub(crate) waiting: Vec<(Vec<u8>, bool)>,
    /// What has gone on.
    pub(crate) sent: HttpMessage,
}

impl Side {
    /// The body that host functions reach.
    pub(crate) fn body(&mut self) -> Option<&mut Vec<u8>> {
        (self.in_body || self.buffering).then_some(&mut self.buffer)
    }

    pub(crate) fn started(&self) -> bool {
        self.hold == Hold::Released
    }

    /// Lets everything that is held go on.
    pub(crate) fn release(&mut self) {
        if self.hold != Hold::Released {
            self.hold = Hold::Released;
            self.sent.headers = self.headers.clone();
        }
        if !self.buffer.is_empty() {
            self.sent.chunks.push(std::mem::take(&mut self.buffer));
        }
        self.buffering = false;
        if self.end {
            self.sent.trailers.clone_from(&self.trailers);
        }
        self.sent.complete = self.end;
    }

    /// Lets this message go on, instead of whatever is held.
    pub(crate) fn send_instead(&mut self, headers: Headers, body: Vec<u8>) {
        *self = Side { headers, buffer: body, end: true, ..Side::default() };
        self.release();
    }
}

/// What only APISIX knows about a stream.
#[derive(Default)]
pub(crate) struct Nginx {
    pub(crate) step: Step,
    /// Values of the declared variables.
    pub(crate) variables: BTreeMap<String, Vec<u8>>,
    /// What the client sent.
    pub(crate) body: Vec<u8>,
    /// `:path` as the plugin set it.
    pub(crate) new_path: Option<Vec<u8>>,
    /// The request headers as they came.
    pub(crate) original: Headers,
    /// A local reply that takes effect when the callback returns: status and body.
    pub(crate) reply: Option<(u32, Vec<u8>)>,
    /// Response headers set before there was a response.
    pub(crate) reply_headers: Headers,
    pub(crate) wants_response_body: bool,
}

/// How far APISIX is with a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Step {
    /// The header callback has not been made, or waits for an HTTP call.
    #[default]
    Headers,
    /// The plugin wants the body, which is not whole yet.
    WaitsForBody,
    /// The body callback was made, or waits for an HTTP call.
    Body,
    /// The plugin is done with the request.
    Done,
}

#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) root: u32,
    /// The module knows this context.
    pub(crate) created: bool,
    /// Envoy: another filter answered first, so that no callback but the last ones is made.
    pub(crate) unseen: bool,
    pub(crate) request: Side,
    pub(crate) response: Side,
    /// Set by the plugin.
    pub(crate) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Set by the test.
    pub(crate) given: BTreeMap<Vec<u8>, Vec<u8>>,
    /// `response.code_details` of a local reply.
    pub(crate) local_reply: Option<String>,
    pub(crate) over: Option<Over>,
    /// `response.flags`.
    pub(crate) flags: u64,
    pub(crate) details: Option<String>,
    pub(crate) started_ns: u64,
    /// `request.duration`, known at the end.
    pub(crate) duration_ns: Option<u64>,
    pub(crate) fuel: u64,
    pub(crate) nginx: Nginx,
}

impl Stream {
    pub(crate) fn side(&mut self, response: bool) -> &mut Side {
        if response { &mut self.response } else { &mut self.request }
    }

    /// True if nothing more can come of it for the client.
    pub(crate) fn ended(&self) -> bool {
        self.over.is_some()
    }
}
