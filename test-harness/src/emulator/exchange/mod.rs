//! Drives one HTTP exchange: the test plays client, upstream and called services.

mod apisix;
mod envoy;

use std::cell::{Cell, RefCell};

use super::instance::{Inner, Outcome};
use super::state::{Callout, Phase};
use super::stream::{Hold, HttpMessage, Over, Stream};
use super::{Headers, Vm};

/// One HTTP exchange. Several may run in one [`Vm`] at a time, in any order.
pub struct Exchange {
    vm: Vm,
    id: Cell<u32>,
    /// Contexts it had before (see [`exec_to_named_location`](Self::exec_to_named_location)).
    former: RefCell<Vec<u32>>,
    /// The stream, once finished.
    ended: RefCell<Option<Stream>>,
}

/// What the client has received so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientResponse {
    /// Headers, body and whether it is whole.
    pub message: HttpMessage,
    /// It is the proxy's own answer, by the plugin or by the host; what Envoy calls the details.
    pub local_reply: Option<String>,
    /// The connection was cut before the end.
    pub reset: bool,
}

impl std::ops::Deref for ClientResponse {
    type Target = HttpMessage;

    fn deref(&self) -> &HttpMessage {
        &self.message
    }
}

/// How an exchange ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The client has the whole response.
    Complete,
    /// The client went away.
    ClientDisconnect,
    /// The upstream's connection broke.
    UpstreamReset,
}

impl Exchange {
    pub(super) fn new(vm: Vm, id: u32) -> Self {
        let (former, ended) = (RefCell::default(), RefCell::default());
        Self { vm, id: Cell::new(id), former, ended }
    }

    /// The id of its context. Once the exchange is finished, another may get it.
    pub fn context(&self) -> u32 {
        self.id.get()
    }

    /// The request's headers, pseudo headers included, arrive from the client.
    pub fn request_headers(&self, headers: impl Into<Headers>, end_of_stream: bool) -> &Self {
        let headers = headers.into();
        self.drive(|inner, id| {
            assert!(inner.stream(id).request.hold == Hold::NotArrived, "request headers twice");
            if inner.state().envoy() {
                inner.envoy_headers(id, false, headers.lowercased(), end_of_stream);
            } else {
                inner.apisix_request_headers(id, headers, end_of_stream);
            }
        });
        self
    }

    /// A piece of the request's body arrives. Ignored once the request was answered.
    pub fn request_body(&self, chunk: impl AsRef<[u8]>, end_of_stream: bool) -> &Self {
        self.drive(|inner, id| {
            if inner.state().envoy() {
                inner.envoy_body(id, false, chunk.as_ref(), end_of_stream);
            } else {
                inner.apisix_request_body(id, chunk.as_ref(), end_of_stream);
            }
        });
        self
    }

    /// The request ends with trailers. APISIX shows them to no plugin.
    pub fn request_trailers(&self, trailers: impl Into<Headers>) -> &Self {
        let trailers = trailers.into();
        self.drive(|inner, id| {
            if inner.state().envoy() {
                inner.envoy_trailers(id, false, trailers.lowercased());
            } else {
                inner.apisix_request_body(id, b"", true);
            }
        });
        self
    }

    /// What has gone to the upstream, `None` while it is held. The headers are as they were when
    /// they went.
    pub fn upstream_request(&self) -> Option<HttpMessage> {
        self.look(|stream| stream.request.started().then(|| stream.request.sent.clone()))
    }

    /// True while the plugin holds the request's headers or some of its body.
    pub fn request_is_held(&self) -> bool {
        self.look(|stream| !stream.request.started() || stream.request.buffering)
    }

    /// The upstream's response headers arrive, `:status` among them.
    ///
    /// # Panics
    /// If the request never reached the upstream, or was answered already.
    pub fn response_headers(&self, headers: impl Into<Headers>, end_of_stream: bool) -> &Self {
        self.look(|stream| {
            assert!(stream.request.started(), "the request is held, so no upstream can answer it");
            assert!(stream.local_reply.is_none(), "the request was answered locally");
        });
        self.respond(headers.into(), end_of_stream)
    }

    /// Another plugin answered before this one saw the request. On APISIX this one gets the response
    /// callbacks nonetheless; Envoy makes `on_log` and what follows it.
    pub fn response_to_unseen_request(
        &self,
        headers: impl Into<Headers>,
        end_of_stream: bool,
    ) -> &Self {
        self.drive(|inner, id| {
            if inner.state().envoy() {
                inner.stream(id).unseen = true;
            }
        });
        self.respond(headers.into(), end_of_stream)
    }

    fn respond(&self, headers: Headers, end_of_stream: bool) -> &Self {
        self.drive(|inner, id| {
            if inner.stream(id).ended() {
                return;
            }
            assert!(inner.stream(id).response.hold == Hold::NotArrived, "response headers twice");
            if inner.state().envoy() {
                inner.envoy_headers(id, true, headers.lowercased(), end_of_stream);
            } else {
                inner.apisix_response_headers(id, headers, end_of_stream);
            }
        });
        self
    }

    /// A piece of the response's body arrives from the upstream. Ignored once the stream was reset
    /// or answered locally.
    pub fn response_body(&self, chunk: impl AsRef<[u8]>, end_of_stream: bool) -> &Self {
        self.drive(|inner, id| {
            if inner.stream(id).ended() || inner.stream(id).local_reply.is_some() {
                return;
            }
            if inner.state().envoy() {
                inner.envoy_body(id, true, chunk.as_ref(), end_of_stream);
            } else {
                inner.apisix_response_body(id, chunk.as_ref(), end_of_stream);
            }
        });
        self
    }

    /// The response ends with trailers. APISIX shows them to no plugin.
    pub fn response_trailers(&self, trailers: impl Into<Headers>) -> &Self {
        let trailers = trailers.into();
        self.drive(|inner, id| {
            if inner.state().envoy() {
                inner.envoy_trailers(id, true, trailers.lowercased());
            } else {
                inner.apisix_response_body(id, b"", true);
            }
        });
        self
    }

    /// What the client has received so far.
    pub fn client_response(&self) -> ClientResponse {
        self.look(|stream| ClientResponse {
            message: stream.response.sent.clone(),
            local_reply: stream.local_reply.clone(),
            reset: stream.over == Some(Over::Reset),
        })
    }

    /// Its pending HTTP calls.
    pub fn callouts(&self) -> Vec<Callout> {
        let id = self.id.get();
        self.vm.callouts().into_iter().filter(|c| c.context == id).collect()
    }

    /// As [`Vm::answer_callout`].
    pub fn answer_callout(
        &self,
        id: u32,
        headers: impl Into<Headers>,
        body: impl AsRef<[u8]>,
    ) -> bool {
        self.vm.answer_callout(id, headers, body)
    }

    /// As [`Vm::fail_callout`].
    pub fn fail_callout(&self, id: u32) -> bool {
        self.vm.fail_callout(id)
    }

    /// Gives a property that comes from elsewhere: the host, another plugin.
    pub fn set_property(&self, path: &[&str], value: impl AsRef<[u8]>) -> &Self {
        let (path, value) = (path.join("\0"), value.as_ref().to_vec());
        self.drive(|inner, id| {
            let stream = inner.stream(id);
            // nginx has one variable of a name, whoever sets it.
            if let Some(own) = stream.nginx.variables.get_mut(&path) {
                own.clone_from(&value);
            }
            stream.given.insert(path.into_bytes(), value);
        });
        self
    }

    /// What the plugin set, else what [`set_property`](Self::set_property) gave.
    pub fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        let path = path.join("\0");
        self.look(|stream| {
            let variable = stream.nginx.variables.get(&path);
            let set = stream.properties.get(path.as_bytes()).or(variable);
            set.or_else(|| stream.given.get(path.as_bytes())).cloned()
        })
    }

    /// Everything the plugin set, by path (segments joined by NUL). On Envoy that is what the other
    /// Wasm filters of this request can read.
    pub fn properties(&self) -> Vec<(String, Vec<u8>)> {
        self.look(|stream| {
            let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
            let own = stream.properties.iter().map(|(p, v)| (text(p), v.clone()));
            own.chain(stream.nginx.variables.clone()).collect()
        })
    }

    /// The `proxy-buffering` plugin of APISIX runs `ngx.exec`: what follows goes to a new context.
    pub fn exec_to_named_location(&self) -> &Self {
        let old = self.id.get();
        let mut inner = self.vm.inner.borrow_mut();
        assert!(!inner.state().envoy(), "APISIX only");
        let new = inner.apisix_new_context(old);
        self.former.borrow_mut().push(old);
        self.id.set(new);
        drop(inner);
        self
    }

    /// Ends the exchange: `on_log` (Envoy only), `on_done`, `on_delete`. What the client received
    /// can still be looked at.
    ///
    /// # Panics
    /// If it is to be complete and is not: something holds it.
    pub fn finish(&self, how: Finish) {
        let id = self.id.get();
        let mut inner = self.vm.inner.borrow_mut();
        if how == Finish::Complete {
            let stream = inner.stream(id);
            assert!(stream.ended(), "the client does not have the whole response yet");
        }
        inner.end_stream(id, how);
        for id in self.former.borrow_mut().drain(..) {
            inner.delete_context(id);
        }
        *self.ended.borrow_mut() = inner.delete_context(id);
    }

    /// The instructions its callbacks used.
    pub fn fuel_used(&self) -> u64 {
        self.look(|stream| stream.fuel)
    }

    fn drive(&self, action: impl FnOnce(&mut Inner, u32)) {
        assert!(self.ended.borrow().is_none(), "the exchange is finished");
        action(&mut self.vm.inner.borrow_mut(), self.id.get());
    }

    fn look<T>(&self, what: impl FnOnce(&Stream) -> T) -> T {
        if let Some(stream) = &*self.ended.borrow() {
            return what(stream);
        }
        what(self.vm.inner.borrow_mut().stream(self.id.get()))
    }
}

impl Inner {
    /// Everything of the end up to `on_log`.
    fn end_stream(&mut self, id: u32, how: Finish) {
        if !self.stream(id).ended() {
            match (how, self.state().envoy()) {
                (Finish::Complete, _) => {}
                (Finish::ClientDisconnect, _) => {
                    let stream = self.stream(id);
                    stream.over = Some(Over::Reset);
                    stream.details = Some("downstream_remote_disconnect".into());
                    stream.flags |= 0x4000;
                }
                (Finish::UpstreamReset, true) => self.envoy_upstream_reset(id),
                (Finish::UpstreamReset, false) => self.apisix_upstream_reset(id),
            }
        }
        self.cancel_callouts(id);
        let clock = self.state().clock_ns;
        let stream = self.stream(id);
        stream.duration_ns = Some(clock.saturating_sub(stream.started_ns));
        if stream.created {
            self.call("proxy_on_log", Phase::Log, id, &[id]);
        }
    }

    /// `on_done`, `on_delete`.
    fn delete_context(&mut self, id: u32) -> Option<Stream> {
        if self.stream(id).created {
            self.call("proxy_on_done", Phase::Idle, id, &[id]);
            self.call("proxy_on_delete", Phase::Idle, id, &[id]);
        }
        self.cancel_callouts(id);
        self.state_mut().streams.remove(&id)
    }

    /// What has become of the response: is it whole, and does its size agree with its headers?
    fn response_went_on(&mut self, id: u32) {
        let head = self.stream(id).request.headers.get(":method") == Some("HEAD");
        let sent = &self.stream(id).response.sent;
        if !sent.complete {
            return;
        }
        if !head && ![204, 304].contains(&sent.status()) {
            self.check_length(id, true);
        }
        self.stream(id).over = Some(Over::Complete);
        self.cancel_callouts(id);
    }

    fn check_length(&mut self, id: u32, response: bool) {
        if !self.state().options.check_content_length {
            return;
        }
        let sent = &self.stream(id).side(response).sent;
        let Some(said) = sent.headers.get("content-length").filter(|_| sent.complete) else {
            return;
        };
        let (what, is) = (if response { "response" } else { "request" }, sent.body().len());
        assert!(
            said == is.to_string(),
            "content-length of the {what} says {said}, but its body has {is} bytes"
        );
    }

    /// The calls of a stream that has ended are cancelled without a callback.
    fn cancel_callouts(&mut self, id: u32) {
        self.state_mut().callouts.retain(|_, c| c.context != id);
    }

    pub(super) fn after_call_response(&mut self, context: u32, outcome: Outcome) {
        if !self.state().streams.contains_key(&context) {
            return;
        }
        if !self.state().envoy() {
            // This callback returns nothing.
            let outcome = if outcome.ok() { Outcome::Returned(0) } else { outcome };
            self.apisix_after(context, outcome);
        } else if !outcome.ok() {
            self.envoy_fail(context);
        }
    }

    pub(super) fn run_actions(&mut self) {
        while let Some(action) = self.state_mut().actions.pop_front() {
            self.envoy_action(action);
        }
    }
}
