//! A gateway on a scripted host.
#![allow(dead_code)]

use std::rc::Rc;

use semantic_cache_client::configure;
use serde_json::{Value, json};
use shared::exchange::Exchange;
use shared::host::script::ScriptHost;
use shared::host::{Body, Map};
use shared::plugin::Plugin;
use shared::testing::{answer, chat_host, exchange_of, plugin, send, sent};

/// A chat with this question.
pub(crate) fn question(text: &str) -> Value {
    json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]})
}

/// An answer of this text.
pub(crate) fn reply(text: &str) -> Value {
    json!({
        "id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
                     "message": {"role": "assistant", "content": text, "refusal": null}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    })
}

/// The same with another member.
pub(crate) fn with(body: &Value, key: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[key] = value;
    body
}

/// A gateway with one worker, whose requests come one after the other.
pub(crate) struct Gateway {
    pub(crate) plugin: Rc<dyn Plugin>,
    pub(crate) host: ScriptHost,
    pub(crate) path: &'static str,
}

/// What came of a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Came {
    /// It went on to the provider.
    Sent,
    /// It was answered; with the header `x-ai-cache`, the content type and the body.
    Answered(u16, String, String, String),
}

impl Gateway {
    pub(crate) fn new(config: &str) -> Gateway {
        let host = chat_host();
        let gateway =
            Gateway { plugin: plugin(configure, config), host, path: "/v1/chat/completions" };
        gateway.consumer("ann");
        gateway
    }

    pub(crate) fn at(path: &'static str) -> Gateway {
        let gateway = Gateway { path, ..Gateway::new("{}") };
        gateway.host.put(Map::Request, ":path", path);
        gateway
    }

    pub(crate) fn fact(&self, name: &str, value: Option<&str>) {
        let name = format!("ai.{name}");
        match value {
            Some(value) => self.host.properties.borrow_mut().insert(name, value.into()),
            None => self.host.properties.borrow_mut().remove(&name),
        };
    }

    pub(crate) fn consumer(&self, name: &str) {
        self.fact("consumer", Some(name));
    }

    pub(crate) fn told(&self, name: &str) -> String {
        let found = self.host.properties.borrow().get(&format!("ai.{name}")).cloned();
        String::from_utf8(found.unwrap_or_default()).unwrap()
    }

    pub(crate) fn header(&self, name: &str, value: &str) {
        self.host.put(Map::Request, name, value);
    }

    pub(crate) fn plain(&self) {
        for name in ["cache-control", "x-ai-cache-key", "x-ai-cache-ttl", "x-ai-cache-semantic"] {
            self.host.headers.borrow_mut().remove(&(Map::Request as u8, name.into()));
        }
    }

    pub(crate) fn later(&self, seconds: u64) {
        self.host.now_nanos.set(self.host.now_nanos.get() + seconds * 1_000_000_000);
    }

    /// A request up to where it is sent or answered.
    pub(crate) fn begin(&self, body: &Value) -> (Exchange, Came) {
        self.host.sent.replace(None);
        self.fact("guard", None);
        self.fact("usage", None);
        self.host.headers.borrow_mut().retain(|(map, _), _| *map != Map::Response as u8);
        self.host.put_body(Body::Response, b"");
        let mut exchange = exchange_of(&self.plugin);
        let went = send(&mut exchange, &self.host, &body.to_string());
        let came = if went { Came::Sent } else { self.answered() };
        (exchange, came)
    }

    pub(crate) fn answered(&self) -> Came {
        let Some((status, headers, body)) = self.host.sent.borrow().clone() else {
            panic!("neither sent nor answered");
        };
        let header = |name: &str| {
            headers
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, value)| value.clone())
                .unwrap_or_default()
        };
        Came::Answered(
            status,
            header("x-ai-cache"),
            header("content-type"),
            String::from_utf8(body).unwrap(),
        )
    }

    /// A whole request; the provider, if it is asked, gives this answer.
    pub(crate) fn ask(&self, body: &Value, provider: &Value) -> Came {
        let (mut exchange, came) = self.begin(body);
        if came == Came::Sent {
            answer(&mut exchange, &self.host, 200, "application/json", &provider.to_string());
        }
        exchange.done(&self.host);
        came
    }

    pub(crate) fn purge(&self, query: &str, key: &str) -> (u16, String) {
        self.host.sent.replace(None);
        self.host.put(Map::Request, ":path", &format!("/_ai/cache/purge?{query}"));
        self.host.put(Map::Request, "authorization", &format!("Bearer {key}"));
        exchange_of(&self.plugin).request_headers(&self.host, true);
        self.host.put(Map::Request, ":path", self.path);
        let sent = sent(&self.host);
        self.host.sent.replace(None);
        sent
    }

    pub(crate) fn hits(&self, body: &Value) -> bool {
        let (mut exchange, came) = self.begin(body);
        // Not to be mistaken for an answer of the provider's.
        if came == Came::Sent {
            answer(&mut exchange, &self.host, 500, "application/json", "{}");
        }
        exchange.done(&self.host);
        came != Came::Sent
    }
}
