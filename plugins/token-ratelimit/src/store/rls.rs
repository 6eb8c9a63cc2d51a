//! Counts in a rate limit service that speaks Envoy's protocol over gRPC: envoyproxy/ratelimit, Limitador.
//!
//! What is known there of a request is one entry for each rule: the rule's name and the key. A service
//! that can give back (`refunds`) is asked to reserve what a request will probably use, and told the
//! difference when it is over. Of one that cannot only one is taken before, and the rest is charged
//! afterwards: requests that run at the same time do not see each other's use until they are over.
//!
//! The protocol has no names for what was told, so that what was told twice counts twice. Where nobody
//! knows whether a message has arrived, what a client has used is told again, and what is given back is not.

use std::rc::Rc;
use std::time::Duration;

use shared::config::{ConfigError, Secret};
use shared::filter::CallReply;
use shared::host::{Call, CallId, GRPC, GRPC_UPSTREAM, Host};

use super::debts::{Debts, Flight};
use super::proto::{self, Descriptor, Status};
use super::queue::Settlement;
use super::waiting::is_last;
use super::{Fail, fail};
use crate::account::Account;
use crate::claim::{Answer, Checked, Claim, Mode};
use crate::config::{self, Unit};
use crate::rule::Rule;
use crate::terms::{Kind, Standing, Terms};
use crate::window::Window;

/// Billionths of a dollar in what a service counts of costs: millionths, because its limits have 32 bits.
const COST_PART: u64 = 1_000;

/// Stands for a key that a rule does not have; the protocol knows no empty ones.
const NO_KEY: &str = "-";

/// Counts in a rate limit service.
#[derive(Debug)]
pub struct Rls {
    call: Call,
    headers: Vec<(String, Secret)>,
    domain: String,
    refunds: bool,
    counts_refused: bool,
    limits: bool,
    one_descriptor: bool,
    flush: Duration,
    max_queue: usize,
    /// What to do when it does not answer.
    pub fail: Fail,
    debts: Rc<Debts>,
}

/// A check under way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// What has been said, by the claim's place.
    answers: Vec<Answer>,
    /// The claims that were asked for now, and those of the calls after it.
    now: Vec<usize>,
    later: Vec<Vec<usize>>,
}

/// What comes next in a check.
#[derive(Debug)]
pub enum Next {
    /// This is to be asked as well.
    Ask(Asked, Call),
    /// All is known. The rules of which one has no room, if it was not said which.
    Known(Checked, Vec<usize>),
    /// The service does not answer.
    Silent,
}

impl Rls {
    /// Checks a configuration; `path` is where it stands.
    pub fn new(config: config::Rls, rules: &[Rule], path: &str) -> Result<Rls, ConfigError> {
        let bad = |field: &str, message: &str| ConfigError::new(format!("{path}.{field}"), message);
        if !(1..=GRPC_UPSTREAM).contains(&config.upstream.len()) {
            return Err(bad("upstream", "name the service's cluster, in at most 100 letters"));
        }
        if config.domain.is_empty() {
            return Err(bad("domain", "must not be empty"));
        }
        if config.one_descriptor && (config.refunds || config.limits) {
            return Err(bad("one_descriptor", "is not for `refunds` and `limits`, which each has"));
        }
        if config.timeout_ms == 0 || config.flush_ms < 10 {
            let message = "`timeout_ms` must be 1 or more, `flush_ms` 10 or more";
            return Err(ConfigError::new(path, message));
        }
        for (index, rule) in rules.iter().enumerate() {
            let cannot = [
                (rule.unit == Unit::Concurrent, "unit", "counts no requests under way"),
                (rule.is_of_target(), "key", "cannot be looked at without counting"),
                (!rule.soft.is_empty(), "soft", "does not say what was used"),
                (rule.forecast.is_some(), "forecast", "does not say what was used"),
                (rule.cut && !config.refunds, "cut", "without `refunds` does not say what is left"),
            ];
            if let Some((_, field, what)) = cannot.into_iter().find(|(is, ..)| *is) {
                let message = format!("a rate limit service {what}; use another store");
                return Err(ConfigError::new(format!("rules[{index}].{field}"), message));
            }
        }
        let fail = fail(config.fail, config.local_share)
            .ok_or_else(|| bad("local_share", "must be between 0 and 1"))?;
        let debts = Debts::of(&format!("{}/{}", config.upstream, config.domain));
        let headers = config.headers.into_iter();
        Ok(Rls {
            call: Call {
                authority: config.upstream.clone(),
                upstream: config.upstream,
                scheme: GRPC.into(),
                method: "POST".into(),
                path: proto::METHOD.into(),
                headers: Vec::new(),
                body: Vec::new(),
                timeout: Duration::from_millis(config.timeout_ms.into()),
            },
            headers: headers.map(|(name, key)| (name.to_ascii_lowercase(), key)).collect(),
            domain: config.domain,
            refunds: config.refunds,
            counts_refused: config.counts_refused,
            limits: config.limits,
            one_descriptor: config.one_descriptor,
            flush: Duration::from_millis(config.flush_ms.into()),
            max_queue: config.max_queue,
            fail,
            debts,
        })
    }

    /// How often what is over is told.
    pub fn tick_period(&self) -> Duration {
        self.flush
    }

    /// The first call of a check.
    pub fn check(&self, rules: &[Rule], claims: &[Claim]) -> (Asked, Call) {
        let all = 0..claims.len();
        let mut later: Vec<Vec<usize>> = if self.refunds {
            vec![all.collect()]
        } else {
            // All that must have room are asked together, and the others each for itself: the answer may
            // not say which of them has none.
            let (must, may): (Vec<_>, Vec<_>) =
                all.partition(|place| claims.get(*place).is_some_and(|c| c.mode == Mode::Reserve));
            let may = may.into_iter().map(|place| vec![place]);
            std::iter::once(must).filter(|must| !must.is_empty()).chain(may).collect()
        };
        let now = if later.is_empty() { Vec::new() } else { later.remove(0) };
        let answers = vec![Answer::default(); claims.len()];
        let call = self.ask(rules, claims, &now);
        (Asked { answers, now, later }, call)
    }

    fn ask(&self, rules: &[Rule], claims: &[Claim], places: &[usize]) -> Call {
        let asked = places.iter().filter_map(|place| claims.get(*place));
        let descriptors: Vec<_> = asked
            .map(|claim| {
                let hits = (part(rules, &claim.count, claim.amount), false);
                self.descriptor(rules, &claim.count, &claim.terms, self.refunds.then_some(hits))
            })
            .collect();
        self.message(&descriptors, 1)
    }

    fn descriptor<'a>(
        &self,
        rules: &[Rule],
        count: &'a str,
        terms: &Terms,
        hits: Option<(u64, bool)>,
    ) -> Descriptor<'a> {
        let mut parts = count.splitn(3, ':').skip(1);
        let (rule, key) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let limit =
            || Some((u32::try_from(part(rules, count, terms.limit)).ok()?, unit_of(terms)?));
        Descriptor {
            entry: (rule, if key.is_empty() { NO_KEY } else { key }),
            limit: if self.limits { limit() } else { None },
            hits,
        }
    }

    fn message(&self, descriptors: &[Descriptor<'_>], hits: u32) -> Call {
        let mut call = self.call.clone();
        let headers = self.headers.iter();
        call.headers.extend(headers.map(|(name, key)| (name.clone(), key.expose().to_owned())));
        call.body = proto::request(&self.domain, descriptors, hits, self.one_descriptor);
        call
    }

    /// A call of a check has ended.
    pub fn checked(
        &self,
        host: &dyn Host,
        rules: &[Rule],
        claims: &[Claim],
        mut asked: Asked,
        reply: &CallReply,
    ) -> Next {
        let said = reply.status.filter(|status| *status == 200);
        let said = said.and_then(|_| proto::response(&reply.body));
        self.debts.heard(said.is_some(), reply.status);
        let Some(said) = said else { return Next::Silent };
        let known = said.statuses.len() == asked.now.len();
        for (index, place) in asked.now.iter().enumerate() {
            let Some(claim) = claims.get(*place) else { continue };
            let status = said.statuses.get(index).filter(|_| known).copied();
            let answer = answer(host, rules, claim, status, said.over);
            if let Some(slot) = asked.answers.get_mut(*place) {
                *slot = answer;
            }
        }
        let must = |place: &&usize| claims.get(**place).is_some_and(|c| c.mode == Mode::Reserve);
        let full = |place: &&usize| asked.answers.get(**place).is_some_and(|answer| answer.full);
        let refused = asked.now.iter().filter(must).any(|place| full(&place));
        if refused {
            if self.refunds && self.counts_refused {
                let back = claims.iter().filter(|claim| claim.mode.reserves());
                back.for_each(|claim| {
                    let amount = part(rules, &claim.count, claim.amount);
                    self.owe(&claim.count, &claim.terms, -signed(amount));
                });
            }
            let among: Vec<usize> = asked
                .now
                .iter()
                .filter(must)
                .filter_map(|place| Some(claims.get(*place)?.rule))
                .collect();
            let among = if known || among.len() < 2 { Vec::new() } else { among };
            return Next::Known(Checked { ok: false, answers: asked.answers }, among);
        }
        if asked.later.is_empty() {
            return Next::Known(Checked { ok: true, answers: asked.answers }, Vec::new());
        }
        asked.now = asked.later.remove(0);
        let call = self.ask(rules, claims, &asked.now);
        Next::Ask(asked, call)
    }

    /// A request is over; false if there was no room to keep that.
    pub fn settle(&self, rules: &[Rule], settlement: &Settlement) -> bool {
        let mut kept = true;
        for row in &settlement.rows {
            let part = |amount| signed(part(rules, &row.count, amount));
            let taken = match row.reserved {
                // Nobody knows whether it was.
                _ if settlement.at == 0 => 0,
                Some(reserved) if self.refunds => part(reserved),
                Some(_) => 1,
                None => 0,
            };
            let more = part(row.actual).saturating_sub(taken);
            // Without refunds there is nothing to be done about one too many.
            if more > 0 || self.refunds {
                kept &= self.owe(&row.count, &row.terms, more);
            }
        }
        kept
    }

    fn owe(&self, count: &str, terms: &Terms, more: i64) -> bool {
        self.debts.add(count, terms, more, self.max_queue)
    }

    /// Of how many more counts something waits to be told than the proxy knows of.
    pub fn waiting(&self) -> i64 {
        self.debts.told.change(self.debts.len())
    }

    /// As [`waiting`](Rls::waiting), when no tick comes any more: those of the last are lost.
    pub fn ended(&self) -> i64 {
        if is_last(&self.debts) { self.debts.told.change(0) } else { 0 }
    }

    /// Tells what is over, if something is.
    pub fn tick(&self, host: &dyn Host, rules: &[Rule]) {
        let now = host.now_nanos();
        self.debts.expire(now);
        // One call may have many counts only where each can have its own amount.
        let each = if self.refunds { super::queue::BATCH } else { 1 };
        while let Some(debts) = self.debts.take(now, each) {
            let descriptors: Vec<_> = debts
                .iter()
                .map(|debt| {
                    let hits = (debt.amount.unsigned_abs(), debt.amount < 0);
                    self.descriptor(rules, &debt.count, &debt.terms, self.refunds.then_some(hits))
                })
                .collect();
            let hits = match debts.first() {
                Some(debt) if !self.refunds => u32::try_from(debt.amount).unwrap_or(u32::MAX),
                _ => 1,
            };
            let sent = host.call(&self.message(&descriptors, hits));
            let timeout = u64::try_from(self.call.timeout.as_nanos()).unwrap_or(u64::MAX);
            let until = now.saturating_add(timeout.saturating_mul(2));
            let flight = Flight { call: sent.ok(), until, debts };
            match flight.call {
                Some(_) => self.debts.under_way(flight),
                None => return self.debts.failed(now, flight, false),
            }
        }
    }

    /// A call of a tick was answered; false if it was none of these.
    pub fn called(&self, host: &dyn Host, rules: &[Rule], call: CallId, reply: &CallReply) -> bool {
        let Some(flight) = self.debts.landed(call) else { return false };
        let said = reply.status.filter(|status| *status == 200);
        let said = said.and_then(|_| proto::response(&reply.body));
        self.debts.heard(said.is_some(), reply.status);
        match said {
            // Some services do not count what there is no room for.
            Some(said) => self.debts.told(flight, said.over && !self.refunds),
            None => self.debts.failed(host.now_nanos(), flight, reply.status != Some(503)),
        }
        self.tick(host, rules);
        true
    }
}

/// What a service has said of a claim.
fn answer(
    host: &dyn Host,
    rules: &[Rule],
    claim: &Claim,
    status: Option<Status>,
    over: bool,
) -> Answer {
    let wait = || {
        let now = host.now_nanos() / 1_000_000;
        Account::default().wait(&claim.terms, claim.amount, now)
    };
    let Some(status) = status else {
        return Answer { full: over, wait: wait(), ..Answer::default() };
    };
    let whole =
        |amount: u64| if of_cost(rules, &claim.count) { amount * COST_PART } else { amount };
    let standing = Standing {
        limit: whole(status.limit),
        used: whole(status.limit.saturating_sub(status.remaining)),
        reset: status.reset,
    };
    let wait = if status.reset > 0 { status.reset } else { wait() };
    Answer { standing, full: status.over, wait, ..Answer::default() }
}

fn of_cost(rules: &[Rule], count: &str) -> bool {
    let name = count.split(':').nth(1).unwrap_or_default();
    rules.iter().any(|rule| rule.name == name && rule.unit == Unit::Cost)
}

/// An amount as the service counts it.
fn part(rules: &[Rule], count: &str, amount: u64) -> u64 {
    if of_cost(rules, count) { amount.div_ceil(COST_PART) } else { amount }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// A window as `envoy.type.v3.RateLimitUnit`.
fn unit_of(terms: &Terms) -> Option<u32> {
    let Kind::Windows { window, .. } = terms.kind else { return None };
    Some(match window {
        Window::Seconds(1) => 1,
        Window::Seconds(60) => 2,
        Window::Seconds(3_600) => 3,
        Window::Seconds(86_400) => 4,
        Window::Month => 5,
        Window::Week => 7,
        Window::Seconds(_) => return None,
    })
}
