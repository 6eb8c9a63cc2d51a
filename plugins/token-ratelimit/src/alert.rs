//! Tells somebody that a budget has passed one of its shares: a POST of JSON, sent from the tick.
//!
//! Each share is told once in a window, whichever worker or proxy has seen it first: the mark is kept
//! with the count. A message that is not taken is tried again, up to five times.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use shared::config::{ConfigError, Secret};
use shared::filter::CallReply;
use shared::host::{Call, CallId, Host};

use crate::config;

/// How often one message is sent at most.
const TRIES: u32 = 5;

/// Nanoseconds between two tries.
const PAUSE: u64 = 1_000_000_000;

/// The messages that wait.
#[derive(Debug)]
pub struct Alerts {
    call: Call,
    headers: Vec<(String, Secret)>,
    max_queue: usize,
    waiting: RefCell<VecDeque<String>>,
    sent: Cell<Option<CallId>>,
    tries: Cell<u32>,
    rest: Cell<u64>,
}

impl Alerts {
    /// Checks a configuration.
    pub fn new(config: config::Webhook) -> Result<Alerts, ConfigError> {
        let bad = |field: &str, text: &str| ConfigError::new(format!("webhook.{field}"), text);
        if config.upstream.is_empty() {
            return Err(bad("upstream", "name its cluster (on APISIX its `host:port`)"));
        }
        if !matches!(config.scheme.as_str(), "http" | "https") {
            return Err(bad("scheme", "must be `http` or `https`"));
        }
        if !config.path.starts_with('/') {
            return Err(bad("path", "must begin with `/`"));
        }
        if config.timeout_ms == 0 {
            return Err(bad("timeout_ms", "must be 1 or more"));
        }
        let headers = config.headers.into_iter();
        Ok(Alerts {
            call: Call {
                authority: config.authority.unwrap_or_else(|| config.upstream.clone()),
                upstream: config.upstream,
                scheme: config.scheme,
                method: "POST".into(),
                path: config.path,
                headers: vec![("content-type".into(), "application/json".into())],
                body: Vec::new(),
                timeout: Duration::from_millis(config.timeout_ms.into()),
            },
            headers: headers.map(|(name, key)| (name.to_ascii_lowercase(), key)).collect(),
            max_queue: config.max_queue,
            waiting: RefCell::default(),
            sent: Cell::new(None),
            tries: Cell::new(0),
            rest: Cell::new(0),
        })
    }

    /// Adds a message; false if there is no room for it.
    pub fn push(&self, message: &Value) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= self.max_queue {
            return false;
        }
        waiting.push_back(shared::json::text_of(message));
        true
    }

    /// Sends the next, if none is under way.
    pub fn tick(&self, host: &dyn Host) {
        if self.sent.get().is_some() || self.rest.get() > host.now_nanos() {
            return;
        }
        let Some(message) = self.waiting.borrow().front().cloned() else { return };
        let mut call = self.call.clone();
        let headers = self.headers.iter();
        call.headers.extend(headers.map(|(name, key)| (name.clone(), key.expose().to_owned())));
        call.body = message.into_bytes();
        match host.call(&call) {
            Ok(id) => self.sent.set(Some(id)),
            Err(_) => self.ended(host, false),
        }
    }

    /// A call was answered; true if it was one of these.
    pub fn called(&self, host: &dyn Host, call: CallId, reply: &CallReply) -> bool {
        if self.sent.get() != Some(call) {
            return false;
        }
        self.sent.set(None);
        self.ended(host, reply.status.is_some_and(|status| (200..300).contains(&status)));
        self.tick(host);
        true
    }

    fn ended(&self, host: &dyn Host, taken: bool) {
        let tries = self.tries.get().saturating_add(1);
        if taken || tries >= TRIES {
            self.waiting.borrow_mut().pop_front();
            self.tries.set(0);
            if !taken {
                let line = json!({"event": "limit_webhook", "state": "given up"});
                log::warn!("{}", shared::json::text_of(&line));
            }
        } else {
            self.tries.set(tries);
            self.rest.set(host.now_nanos().saturating_add(PAUSE));
        }
    }
}
