//! A gateway of two providers on a scripted host.
// What follows are helpers of tests, outside of the functions that clippy knows as tests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::rc::Rc;

use ai_proxy::configure;
use shared::exchange::{Action, Exchange};
use shared::host::script::ScriptHost;
use shared::host::{Body, Map};
use shared::plugin::{Plugin, Setup};

/// OpenAI as `o`, Anthropic as `a`; `best` is both, in this order.
pub const CONFIG: &str = r#"{
    "providers": [
        {"name": "o", "protocol": "openai", "api_key": "sk-o", "cluster": "co"},
        {"name": "a", "protocol": "anthropic", "api_key": "sk-a", "cluster": "ca",
         "headers": {"X-Extra": "1"}}
    ],
    "models": [
        {"name": "gpt-*", "targets": [{"provider": "o"}]},
        {"name": "claude-*", "targets": [{"provider": "a"}]},
        {"name": "best", "cluster": "both", "targets": [
            {"provider": "o", "model": "gpt-5"}, {"provider": "a", "model": "claude-5"}]}
    ],
    "aliases": {"fast": "claude-haiku"}
}"#;

/// An exchange of a gateway with this configuration in this role.
pub fn exchange(config: &str, role: &str) -> Exchange {
    exchange_of(&plugin(config, role))
}

/// A gateway with this configuration in this role.
pub fn plugin(config: &str, role: &str) -> Rc<dyn Plugin> {
    configure(Setup { config: config.as_bytes(), vm_config: role.as_bytes() }).unwrap()
}

/// One of its exchanges.
pub fn exchange_of(plugin: &Rc<dyn Plugin>) -> Exchange {
    Exchange::new(Rc::clone(plugin).filters(), plugin.settings())
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
    let mut out = Vec::new();
    for piece in pieces {
        host.put_body(Body::Response, piece);
        exchange.response_body(host, piece.len(), false);
        out.push(host.body_text(Body::Response));
    }
    host.put_body(Body::Response, b"");
    exchange.response_body(host, 0, true);
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

/// A request for Anthropic's model.
pub fn ask(model: &str, more: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]{more}}}"#)
}
