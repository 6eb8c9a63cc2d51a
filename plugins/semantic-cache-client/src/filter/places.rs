//! The places where an answer is looked for, one after the other: the proxy's memory, Redis, a request for
//! the same that is under way, similar questions.

use std::rc::Rc;

use shared::facts::Fact;
use shared::filter::{Cx, Flow};
use shared::host::Capability;

use super::{Awaits, CacheFilter};
use crate::cache::seconds;
use crate::lookup::{Found, Lookup};
use crate::record::{Age, Entry};
use crate::serve::{Verdict, reply, saved};
use crate::store::local::{Claimed, Fill, Seen};
use crate::told;

impl CacheFilter {
    pub(super) fn usable(&mut self, cx: &mut Cx<'_>, entry: Entry) -> Option<Entry> {
        let now = seconds(cx.host);
        match entry.age(now) {
            Age::Fresh if !self.control.no_cache => {
                let age = now.saturating_sub(entry.head.created);
                self.control.max_age.is_none_or(|oldest| age <= oldest).then_some(entry)
            }
            Age::Fresh | Age::Stale => {
                self.stale = Some(entry);
                None
            }
            Age::Dead => None,
        }
    }

    /// Goes by a name of its API's own from here on; false if it does already.
    pub(super) fn apart(&mut self) -> bool {
        let ask = self.ask.as_ref().and_then(|ask| ask.apart());
        let apart = ask.is_some();
        if let Some(ask) = ask {
            self.ask = Some(Rc::new(ask));
        }
        apart
    }

    /// What the proxy's memory has. An answer that the client's API cannot tell is left to the others.
    pub(super) fn look(&mut self, cx: &mut Cx<'_>) -> Option<Seen> {
        let mut left = false;
        loop {
            let ask = self.ask.as_ref()?;
            let mut seen = {
                let known = ask.served.borrow();
                self.cache.local.look(cx.host, &ask.key, known.as_ref())
            };
            if left {
                self.epoch = seen.epoch;
            }
            let Some(entry) = seen.entry.take() else { return Some(seen) };
            // Only of those that are remembered the same is asked for again.
            if let Some(state) = seen.state
                && Rc::strong_count(ask) > 1
            {
                ask.serves(state, &entry);
            }
            seen.entry = told::tell(ask, entry);
            if seen.entry.is_some() || !self.apart() {
                return Some(seen);
            }
            left = true;
        }
    }

    pub(super) fn local(&mut self, cx: &mut Cx<'_>) -> Flow {
        let Some(mut seen) = self.look(cx) else { return Flow::Continue };
        self.cache.recent.purged(seen.epoch);
        if let Some(entry) = seen.entry.take()
            && let Some(entry) = self.usable(cx, entry)
        {
            return self.hit(cx, entry, None);
        }
        // An answer that was asked for before a purge is not kept after it.
        self.epoch = seen.epoch;
        if self.cache.sends() {
            self.all = self.cache.local.epoch(cx.host);
        }
        self.after_local(cx, seen)
    }

    /// Nothing in the proxy's memory: the next place.
    pub(super) fn after_local(&mut self, cx: &mut Cx<'_>, seen: Seen) -> Flow {
        let Some(key) = self.ask.as_ref().map(|ask| ask.key) else { return Flow::Continue };
        if !self.control.no_cache
            && let Some(redis) = &self.cache.redis
            && let Some(call) = redis.get(cx.host, &key)
        {
            self.awaits = Awaits::Redis;
            return Flow::Call(Box::new(call));
        }
        self.after_exact(cx, Some(seen))
    }

    /// There is no answer of this name: is somebody fetching it?
    pub(super) fn after_exact(&mut self, cx: &mut Cx<'_>, seen: Option<Seen>) -> Flow {
        let stampede = self.cache.policy.stampede;
        let Some(key) = self.ask.as_ref().map(|ask| ask.key) else { return Flow::Continue };
        let waits = stampede.max_wait_ms > 0
            && self.cache.enforces()
            && !self.control.no_cache
            && self.claim.is_none()
            && cx.host.can(Capability::Tick);
        if !waits {
            return self.after_fill(cx);
        }
        let claimed = match seen {
            Some(Seen { fill: Fill::Somebody, .. }) => Claimed::Others,
            seen => self.cache.local.claim(cx.host, &key, stampede.max_wait_ms.into(), seen),
        };
        match claimed {
            Claimed::Mine(owner) => {
                self.claim = Some(owner);
                self.after_fill(cx)
            }
            Claimed::Others if self.cache.waiting.get() < stampede.max_waiting => {
                self.cache.waiting.set(self.cache.waiting.get() + 1);
                self.awaits = Awaits::Fill;
                self.cache.meters.count(cx.host, "ai_cache_waited_total", 1);
                let wait = u64::from(stampede.max_wait_ms).saturating_mul(1_000_000);
                Flow::Wait(cx.host.now_nanos().saturating_add(wait))
            }
            Claimed::Others => {
                self.cache.meters.count(cx.host, "ai_cache_dropped_total|what=waiting", 1);
                self.after_fill(cx)
            }
            Claimed::Free => self.after_fill(cx),
        }
    }

    /// This request is to get an answer: of a similar question, or of a provider.
    pub(super) fn after_fill(&mut self, cx: &mut Cx<'_>) -> Flow {
        if let Some(ask) = &self.ask
            && let Some(question) = ask.question.clone()
            && self.life.semantic
            && !self.control.no_cache
        {
            let (ask, threshold) = (Rc::clone(ask), self.control.threshold);
            let (lookup, found) = Lookup::begin(&self.cache, cx.host, ask, question, threshold);
            self.lookup = Some(lookup);
            return self.looked_up(cx, found);
        }
        self.miss(cx)
    }

    pub(super) fn looked_up(&mut self, cx: &mut Cx<'_>, found: Found) -> Flow {
        match found {
            Found::Call(call) => {
                self.awaits = Awaits::Lookup;
                Flow::Call(call)
            }
            Found::Nothing => self.miss(cx),
            Found::Answer(entry, similarity) => match self.usable(cx, *entry) {
                Some(entry) => self.hit(cx, entry, Some(similarity)),
                None => self.miss(cx),
            },
        }
    }

    pub(super) fn miss(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.looked(cx, Verdict::Miss);
        if self.control.only_if_cached { self.not_cached(cx) } else { Flow::Continue }
    }

    pub(super) fn looked(&self, cx: &mut Cx<'_>, verdict: Verdict) {
        let meters = &self.cache.meters;
        let (lookups, took) = verdict.meters();
        meters.count(cx.host, lookups, 1);
        let micros = cx.host.clock_nanos().saturating_sub(self.began) / 1_000;
        meters.record(cx.host, took, micros);
        cx.facts.set(cx.host, Fact::Cache, verdict.name());
    }

    /// Answers from the cache.
    pub(super) fn hit(&mut self, cx: &mut Cx<'_>, entry: Entry, similarity: Option<f64>) -> Flow {
        let verdict = if similarity.is_some() { Verdict::Semantic } else { Verdict::Exact };
        if !self.cache.enforces() {
            let name = format!("ai_cache_would_hit_total|result={}", verdict.name());
            self.cache.meters.count(cx.host, &name, 1);
            return self.miss(cx);
        }
        let Entry { head, body } = entry;
        let now = seconds(cx.host);
        let reply =
            self.ask.as_ref().and_then(|ask| reply(ask, &head, body, verdict, similarity, now));
        let Some(reply) = reply else { return self.miss(cx) };
        self.release(cx, true);
        self.looked(cx, verdict);
        saved(&self.cache.meters, cx, &head);
        Flow::Respond(Box::new(reply))
    }
}
