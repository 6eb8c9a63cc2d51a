//! Drives an [`Exchange`] on a [`ScriptHost`] as a proxy would; for the tests of plugins.
// Helpers of tests: what does not hold is to fail them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::rc::Rc;

use crate::exchange::{Action, Exchange};
use crate::host::script::ScriptHost;
use crate::host::{Body, CallId, Map};
use crate::plugin::{Configure, Plugin, Setup};

/// A plugin with this configuration; panics with what is wrong with it.
pub fn plugin(configure: Configure, config: &str) -> Rc<dyn Plugin> {
    let setup = Setup { config: config.as_bytes(), vm_config: b"" };
    configure(setup).unwrap_or_else(|error| panic!("{error}"))
}

/// What is wrong with a configuration; empty if nothing is.
pub fn refused(configure: Configure, config: &str) -> String {
    let setup = Setup { config: config.as_bytes(), vm_config: b"" };
    configure(setup).err().map(|error| error.to_string()).unwrap_or_default()
}

/// One of its exchanges.
pub fn exchange_of(plugin: &Rc<dyn Plugin>) -> Exchange {
    Exchange::new(Rc::clone(plugin).filters(), plugin.settings())
}

/// Answers the call that the request waits for; true if it goes on to the provider.
pub fn called(
    exchange: &mut Exchange,
    host: &ScriptHost,
    id: u32,
    status: u16,
    body: &str,
) -> bool {
    host.put(Map::CallReply, ":status", &status.to_string());
    host.put_body(Body::CallReply, body.as_bytes());
    exchange.call_response(host, CallId(id), 1, body.len());
    host.sent.borrow().is_none()
}

/// A host with a JSON request for a chat completion.
pub fn chat_host() -> ScriptHost {
    let host = ScriptHost::post("/v1/chat/completions");
    host.put(Map::Request, "content-type", "application/json");
    host.put(Map::Request, "authorization", "Bearer the-clients-own");
    host.now_nanos.set(1_760_000_000_000_000_000);
    host
}

/// Sends a whole request; true if it goes on to the provider.
pub fn send(exchange: &mut Exchange, host: &ScriptHost, body: &str) -> bool {
    host.put_body(Body::Request, body.as_bytes());
    exchange.request_headers(host, false);
    if host.sent.borrow().is_some() {
        return false;
    }
    let action = exchange.request_body(host, body.len(), true);
    let sent = host.sent.borrow().is_some();
    !sent && action == Action::Continue
}

/// What the client was answered: status and body.
pub fn sent(host: &ScriptHost) -> (u16, String) {
    let sent = host.sent.borrow();
    let (status, _, body) = sent.as_ref().unwrap();
    (*status, String::from_utf8(body.clone()).unwrap())
}

/// Feeds the head of an answer.
pub fn head(exchange: &mut Exchange, host: &ScriptHost, status: u16, content_type: &str) -> Action {
    host.put(Map::Response, ":status", &status.to_string());
    host.put(Map::Response, "content-type", content_type);
    exchange.response_headers(host, false)
}

/// Feeds a streamed answer in these pieces; what the client gets of each.
pub fn stream(exchange: &mut Exchange, host: &ScriptHost, pieces: &[&[u8]]) -> Vec<String> {
    head(exchange, host, 200, "text/event-stream");
    feed(exchange, host, pieces)
}

/// Feeds the body of a streamed answer in these pieces; what the client gets of each.
pub fn feed(exchange: &mut Exchange, host: &ScriptHost, pieces: &[&[u8]]) -> Vec<String> {
    let mut out = Vec::new();
    // What the proxy keeps while the answer is held back.
    let mut kept = Vec::new();
    for piece in pieces {
        kept.extend_from_slice(piece);
        host.put_body(Body::Response, &kept);
        let action = exchange.response_body(host, kept.len(), false);
        if action == Action::Pause {
            out.push(String::new());
            continue;
        }
        kept.clear();
        out.push(host.body_text(Body::Response));
    }
    host.put_body(Body::Response, &kept);
    exchange.response_body(host, kept.len(), true);
    out.push(host.body_text(Body::Response));
    out
}

/// Feeds a whole answer; what the client gets.
pub fn answer(
    exchange: &mut Exchange,
    host: &ScriptHost,
    status: u16,
    content_type: &str,
    body: &str,
) -> String {
    head(exchange, host, status, content_type);
    host.put_body(Body::Response, body.as_bytes());
    exchange.response_body(host, body.len(), true);
    host.body_text(Body::Response)
}
