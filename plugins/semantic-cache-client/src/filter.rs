//! The filter: looks up before a request goes on, keeps its answer after it is over.

mod places;

use std::rc::Rc;

use shared::answer::AnswerBody;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{
    BodyKind, CallReply, Cx, Event, Filter, Flow, Interest, Out, Outcome, ResponseHead,
};
use shared::host::Capability;
use shared::request::RequestBody;

use crate::admin;
use crate::answer::{self, Assembly};
use crate::ask::Ask;
use crate::bypass::{Bypass, cacheable};
use crate::cache::{Cache, seconds};
use crate::control::Control;
use crate::keep::{self, Answer, Purpose, Why};
use crate::lookup::Lookup;
use crate::policy::Life;
use crate::record::Entry;
use crate::serve::{Verdict, reply, saved};
use crate::store::local::{Fill, Keeping};
use crate::told;

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    Nothing,
    /// The answer of this name in Redis.
    Redis,
    /// Another request's answer.
    Fill,
    /// A similar question.
    Lookup,
}

/// One request's part.
pub(crate) struct CacheFilter {
    cache: Rc<Cache>,
    control: Control,
    ask: Option<Rc<Ask>>,
    life: Life,
    awaits: Awaits,
    lookup: Option<Lookup>,
    /// Nanoseconds at which looking up began.
    began: u64,
    /// The number of this request's claim.
    claim: Option<u64>,
    /// The purge before this request that concerned its name, and the last one of all, which counts for
    /// what is kept elsewhere.
    epoch: u64,
    all: u64,
    /// What is served if the providers fail.
    stale: Option<Entry>,
    serves_stale: bool,
    answer: Answer,
}

impl CacheFilter {
    pub(crate) fn new(cache: Rc<Cache>) -> CacheFilter {
        CacheFilter {
            cache,
            control: Control::default(),
            ask: None,
            life: Life { ttl: 0, semantic: false },
            awaits: Awaits::Nothing,
            lookup: None,
            began: 0,
            claim: None,
            epoch: 0,
            all: 0,
            stale: None,
            serves_stale: false,
            answer: Answer::Nothing,
        }
    }

    fn bypass(&mut self, cx: &mut Cx<'_>, why: Bypass) -> Flow {
        let name = format!("ai_cache_bypassed_total|what={}", why.name());
        self.cache.meters.count(cx.host, &name, 1);
        cx.facts.set(cx.host, Fact::Cache, Verdict::Bypass.name());
        if self.control.only_if_cached { self.not_cached(cx) } else { Flow::Continue }
    }

    /// RFC 9111, 5.2.1.7.
    fn not_cached(&self, cx: &mut Cx<'_>) -> Flow {
        let message = "there is no cached answer to this request, and the header \
                       `cache-control: only-if-cached` forbids to ask for one";
        let error = ApiError::new(ErrorKind::Timeout, message).code("not_cached");
        cx.refuse(&error)
    }

    /// Whether an answer of this status is replaced by an old one.
    fn rescues(&self, cx: &mut Cx<'_>, status: u16) -> bool {
        let masked = cx.facts.get(cx.host, Fact::Guard).as_deref() == Some("mask");
        status >= 500
            && self.stale.is_some()
            && self.cache.enforces()
            && cx.host.can(Capability::HoldResponse)
            // What was masked is restored in whole answers only.
            && !(masked && self.ask.as_ref().is_some_and(|ask| ask.stream))
    }

    fn release(&mut self, cx: &mut Cx<'_>, free: bool) {
        if let (Some(owner), Some(ask)) = (self.claim.take(), &self.ask) {
            self.cache.local.release(cx.host, &ask.key, owner, free);
        }
    }

    fn waits_no_more(&mut self) {
        if self.awaits == Awaits::Fill {
            self.cache.waiting.set(self.cache.waiting.get().saturating_sub(1));
        }
        self.awaits = Awaits::Nothing;
    }
}

impl Filter for CacheFilter {
    fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
        let cacheable = cacheable(cx.endpoint).is_some();
        if !cacheable && let Some(asked) = admin::Asked::of(cx.host) {
            return Flow::Respond(Box::new(admin::answer(&self.cache, cx.host, &asked)));
        }
        match Control::read(cx.host) {
            Ok(control) => self.control = control,
            Err(message) => {
                return cx.refuse(&ApiError::new(ErrorKind::InvalidRequest, message));
            }
        }
        if cacheable {
            cx.read_body();
        }
        Flow::Continue
    }

    fn request(&mut self, cx: &mut Cx<'_>, body: &mut RequestBody) -> Flow {
        if cacheable(cx.endpoint).is_none() {
            return Flow::Continue;
        }
        self.began = cx.host.clock_nanos();
        let (policy, recent) = (&self.cache.policy, &self.cache.recent);
        let ask = match Ask::read(policy, recent, cx, &self.control, body) {
            Ok(ask) => ask,
            Err(why) => return self.bypass(cx, why),
        };
        let policy = &self.cache.policy;
        let path = if policy.asks_for_paths() { cx.host.path() } else { None };
        let path = path.unwrap_or_default();
        self.life = policy.life(&ask.model, &ask.consumer, &path, &self.control);
        if self.life.ttl == 0 {
            return self.bypass(cx, Bypass::Rule);
        }
        self.ask = Some(ask);
        self.local(cx)
    }

    fn called(&mut self, cx: &mut Cx<'_>, reply: CallReply) -> Flow {
        match std::mem::replace(&mut self.awaits, Awaits::Nothing) {
            Awaits::Redis => {
                let key = self.ask.as_ref().map(|ask| ask.key);
                let entry = match (&self.cache.redis, key) {
                    (Some(redis), Some(key)) => redis.got(cx.host, &key, &reply),
                    _ => None,
                };
                // What was purged meanwhile is not to be brought back.
                let entry = entry.filter(|_| self.cache.local.epoch(cx.host) == self.all);
                if let (Some(entry), Some(key)) = (&entry, key) {
                    let keeping = Keeping { until: 0, epoch: Some(self.epoch), claim: None };
                    keep::front(&self.cache, cx.host, &key, entry, keeping);
                }
                let told = match (entry, &self.ask) {
                    (Some(entry), Some(ask)) => match told::tell(ask, entry) {
                        Some(entry) => self.usable(cx, entry),
                        None if self.apart() => return self.local(cx),
                        None => None,
                    },
                    _ => None,
                };
                match told {
                    Some(entry) => self.hit(cx, entry, None),
                    None => self.after_exact(cx, None),
                }
            }
            Awaits::Lookup => {
                let Some(lookup) = &mut self.lookup else { return Flow::Continue };
                let found = lookup.called(&self.cache, cx.host, &reply);
                self.looked_up(cx, found)
            }
            Awaits::Nothing | Awaits::Fill => Flow::Continue,
        }
    }

    fn waited(&mut self, cx: &mut Cx<'_>, late: bool) -> Flow {
        let Some(mut seen) = self.look(cx) else { return Flow::Continue };
        if seen.fill == Fill::Somebody && !late {
            let wait = u64::from(self.cache.policy.stampede.max_wait_ms).saturating_mul(1_000_000);
            return Flow::Wait(self.began.saturating_add(wait));
        }
        self.waits_no_more();
        if let Some(entry) = seen.entry.take()
            && let Some(entry) = self.usable(cx, entry)
        {
            return self.hit(cx, entry, None);
        }
        // Who had it has gone: this one, or another of those that wait, takes its place.
        if seen.fill == Fill::Nobody && !late {
            self.after_exact(cx, Some(seen))
        } else {
            self.after_fill(cx)
        }
    }

    fn response_head(&mut self, cx: &mut Cx<'_>, head: &mut ResponseHead<'_>) -> Interest {
        if cacheable(cx.endpoint).is_none() {
            return Interest::Ignore;
        }
        // The answer is of the proxy's own making, and came while this one waited.
        self.waits_no_more();
        let Some(ask) = &self.ask else {
            head.headers.set("x-ai-cache", Verdict::Bypass.name());
            return Interest::Ignore;
        };
        head.headers.set("x-ai-cache", Verdict::Miss.name());
        head.headers.set("x-ai-cache-id", &ask.hex);
        // What is seen here is not what the client gets.
        let changed = !cx.host.can(Capability::SharedProperties)
            && cx.facts.of_others(cx.host, Fact::Form).is_some();
        if changed {
            return Interest::Ignore;
        }
        if head.status == 200 {
            self.answer = match head.kind {
                BodyKind::EventStream => Answer::Stream(Assembly::new(ask.endpoint), 0),
                BodyKind::Json => Answer::Expected,
                _ => Answer::Nothing,
            };
            let wanted = !matches!(self.answer, Answer::Nothing);
            return if wanted { Interest::Observe } else { Interest::Ignore };
        }
        if self.rescues(cx, head.status) {
            self.serves_stale = true;
            // What comes in place of the failure has neither its length nor its coding.
            for name in ["content-length", "content-encoding"] {
                head.headers.remove(name);
            }
            return Interest::Rewrite;
        }
        Interest::Ignore
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event<'_>, out: &mut Out<'_>) {
        if let Answer::Stream(assembly, size) = &mut self.answer {
            // Events have many more bytes than what they add up to.
            *size = size.saturating_add(event.data.len());
            if *size > self.cache.policy.max_entry_bytes.saturating_mul(64) {
                self.answer = Answer::Nothing;
                self.cache.meters.count(cx.host, "ai_cache_dropped_total|what=too_large", 1);
            } else {
                assembly.add(event.data);
            }
        }
        out.send(cx, event);
    }

    fn end(&mut self, _cx: &mut Cx<'_>, complete: bool, _out: &mut Out<'_>) {
        if !complete {
            self.answer = Answer::Nothing;
        }
    }

    fn answer(
        &mut self,
        cx: &mut Cx<'_>,
        head: &mut ResponseHead<'_>,
        body: &AnswerBody<'_>,
    ) -> Option<Vec<u8>> {
        if self.serves_stale {
            let entry = self.stale.take()?;
            let Entry { head: known, body } = entry;
            let ask = self.ask.as_ref()?;
            let reply = reply(ask, &known, body, Verdict::Stale, None, seconds(cx.host))?;
            head.set_status(reply.status);
            for (name, value) in &reply.headers {
                head.headers.set(name, value);
            }
            self.looked(cx, Verdict::Stale);
            saved(&self.cache.meters, cx, &known);
            return Some(reply.body);
        }
        if matches!(self.answer, Answer::Expected) {
            self.answer = if body.bytes().len() <= self.cache.policy.max_entry_bytes {
                Answer::Whole(self.ask.as_ref().map_or(Err("incomplete"), |ask| whole(ask, body)))
            } else {
                self.cache.meters.count(cx.host, "ai_cache_dropped_total|what=too_large", 1);
                Answer::Nothing
            };
        }
        None
    }

    fn done(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        self.waits_no_more();
        let answer = std::mem::replace(&mut self.answer, Answer::Nothing);
        let Some(ask) = &self.ask else { return };
        if self.claim.is_none() && matches!(answer, Answer::Nothing | Answer::Expected) {
            return;
        }
        let mut unkept = false;
        if outcome == Outcome::Complete {
            let purpose = Purpose {
                ask,
                life: self.life,
                vector: self.lookup.as_ref().and_then(Lookup::vector),
                epoch: self.epoch,
                all: self.all,
                claim: self.claim,
            };
            if keep::keep(&self.cache, cx, answer, &purpose) {
                self.claim = None;
                return;
            }
            unkept = true;
        }
        // After a client that left the next fetches it; only one that cannot be kept is not worth waiting for.
        self.release(cx, unkept);
    }
}

/// An answer that came whole, if it is one that may be kept.
fn whole(ask: &Ask, body: &AnswerBody<'_>) -> Result<Vec<u8>, Why> {
    if !answer::good(ask.endpoint, body.document(), ask.wanted()) {
        return Err("unfinished");
    }
    Ok(body.bytes().to_vec())
}
