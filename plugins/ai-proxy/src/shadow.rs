//! Copies of requests to other targets. Their answers are thrown away, after they were compared with
//! those that the clients got.
//!
//! A copy outlives its request, so that it is sent and received outside of it, in the same worker. How
//! answers compare is counted; nothing of what they say is kept.

use shared::small_map::SmallMap;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use shared::filter::CallReply;
use shared::host::{Call, CallId, Host, MetricId, MetricKind};

use serde_json::Value;

use crate::config::Protocol;
use crate::routing::price::Tariff;
use summary::{Summary, compare};

mod schema;
pub mod summary;

/// Most requests whose two answers are waited for, in each worker.
const MOST_WAITING: usize = 256;

/// How long an answer is waited for after the other, in nanoseconds.
const PATIENCE: u64 = 600_000_000_000;

/// A copy, ready to be sent.
#[derive(Debug)]
pub struct Copy {
    /// The number of the request that it is a copy of.
    pub id: u64,
    /// The rule's name.
    pub route: String,
    /// The target's provider.
    pub provider: String,
    /// And its model.
    pub model: String,
    /// What is sent.
    pub call: Call,
    /// In which protocol the answer comes.
    pub protocol: Protocol,
    /// The JSON Schema that its answer is to be valid against.
    pub schema: Option<Rc<Value>>,
    /// What its tokens cost.
    pub tariff: Option<Rc<Tariff>>,
}

/// All copies under way.
#[derive(Debug, Default)]
pub struct Shadows {
    queue: RefCell<VecDeque<Copy>>,
    sent: RefCell<Vec<(CallId, Copy, u64)>>,
    /// What is known of the client's answer, by the request's number.
    primary: RefCell<SmallMap<u64, (u64, Option<Summary>)>>,
    waiting: RefCell<Vec<(Copy, Summary, u64)>>,
    metrics: RefCell<SmallMap<String, MetricId>>,
    next: Cell<u64>,
}

impl Shadows {
    /// A number for a request that is copied.
    pub fn number(&self) -> u64 {
        self.next.set(self.next.get().wrapping_add(1));
        self.next.get()
    }

    /// Sends a copy as soon as can be; false if there are `most` already.
    pub fn send(&self, host: &dyn Host, copy: Copy, most: usize) -> bool {
        let mut queue = self.queue.borrow_mut();
        if queue.len() + self.sent.borrow().len() >= most
            || self.primary.borrow().len() >= MOST_WAITING
        {
            self.count(host, &copy.route, "dropped", "shadow", 1);
            return false;
        }
        self.primary.borrow_mut().entry(copy.id).or_insert((host.now_nanos(), None));
        queue.push_back(copy);
        true
    }

    /// The client's answer to a request that was copied.
    pub fn answered(&self, host: &dyn Host, id: u64, route: &str, summary: Summary) {
        self.count_all(host, route, "primary", &summary);
        if let Some(known) = self.primary.borrow_mut().get_mut(&id) {
            known.1 = Some(summary);
        }
        self.meet(host);
    }

    /// The client has left before its answer was there: there is nothing to compare copies with.
    pub fn forget(&self, id: u64) {
        self.primary.borrow_mut().remove(&id);
    }

    /// Sends what is to be sent, and forgets what has waited too long.
    pub fn tick(&self, host: &dyn Host) {
        let now = host.now_nanos();
        loop {
            let Some(copy) = self.queue.borrow_mut().pop_front() else { break };
            match host.call(&copy.call) {
                Ok(id) => self.sent.borrow_mut().push((id, copy, now)),
                Err(error) => {
                    log::warn!("a copy could not be sent to {}: {error}", copy.call.upstream);
                    self.count(host, &copy.route, "failures", "shadow", 1);
                }
            }
        }
        let fresh = |since: u64| now.saturating_sub(since) < PATIENCE;
        self.waiting.borrow_mut().retain(|(_, _, since)| fresh(*since));
        self.primary.borrow_mut().retain(|_, (since, _)| fresh(*since));
    }

    /// An answer has come; false if it is not to a copy.
    pub fn called(&self, host: &dyn Host, call: CallId, reply: &CallReply) -> bool {
        let mut sent = self.sent.borrow_mut();
        let Some(at) = sent.iter().position(|(id, ..)| *id == call) else { return false };
        let (_, copy, since) = sent.swap_remove(at);
        drop(sent);
        let now = host.now_nanos();
        let took = now.saturating_sub(since);
        let body = std::str::from_utf8(&reply.body).unwrap_or_default();
        let status = reply.status.unwrap_or(0);
        let mut summary = Summary::of(copy.protocol, status, body, copy.schema.as_deref());
        summary.took(took, copy.tariff.as_deref(), now);
        self.count_all(host, &copy.route, "shadow", &summary);
        self.waiting.borrow_mut().push((copy, summary, now));
        self.meet(host);
        true
    }

    /// Compares those whose both answers are there.
    fn meet(&self, host: &dyn Host) {
        let mut done = Vec::new();
        self.waiting.borrow_mut().retain(|(copy, shadow, _)| {
            let primary = self.primary.borrow();
            let primary = match primary.get(&copy.id) {
                Some((_, Some(primary))) => primary,
                waited_for => return waited_for.is_some(),
            };
            let found = compare(primary, shadow);
            done.extend(found.into_iter().map(|(what, same)| (copy.route.clone(), what, same)));
            false
        });
        for (route, what, same) in done {
            let result = if same { "same" } else { "different" };
            let name =
                format!("ai_shadow_compared_total|route={route}|what={what}|result={result}");
            self.add(host, name, 1);
        }
        // Those that nobody waits for any more.
        let waiting = self.waiting.borrow();
        let queue = self.queue.borrow();
        let sent = self.sent.borrow();
        self.primary.borrow_mut().retain(|id, (_, summary)| {
            summary.is_none()
                || waiting.iter().any(|(copy, ..)| copy.id == *id)
                || queue.iter().any(|copy| copy.id == *id)
                || sent.iter().any(|(_, copy, _)| copy.id == *id)
        });
    }

    fn count_all(&self, host: &dyn Host, route: &str, kind: &str, summary: &Summary) {
        for (what, by) in summary.figures() {
            if by > 0 {
                self.count(host, route, what, kind, by);
            }
        }
    }

    fn count(&self, host: &dyn Host, route: &str, what: &str, kind: &str, by: i64) {
        self.add(host, format!("ai_shadow_total|route={route}|what={what}|kind={kind}"), by);
    }

    fn add(&self, host: &dyn Host, name: String, by: i64) {
        let known = self.metrics.borrow().get(&name).copied();
        let metric = match known {
            Some(metric) => metric,
            None => match host.metric(MetricKind::Counter, &name) {
                Ok(metric) => *self.metrics.borrow_mut().entry(name).or_insert(metric),
                Err(_) => return,
            },
        };
        let _ = host.add_metric(metric, by);
    }
}
