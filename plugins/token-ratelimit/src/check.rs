//! Asks the counts whether a request may go on, here or elsewhere, and says so.

use std::rc::Rc;

use shared::audit;
use shared::config::Mode;
use shared::errors::{ApiError, ErrorKind};
use shared::facts::Fact;
use shared::filter::{CallReply, Cx, Flow, Reply};

use crate::admitted::{Admitted, Lease};
use crate::config::Unit;
use crate::filter::LimitFilter;
use crate::limiter::{Full, Plan};
use crate::store::rls::Next;
use crate::store::{Fail, Store, redis, rls};
use crate::{admin, headers};

/// Seconds after which a client may try again when the counts cannot be asked.
const TRY_AGAIN: &str = "1";

/// What a call is for.
pub(crate) enum Pending {
    /// An administrator's question.
    Admin(Box<admin::There>),
    /// A request's check.
    Check(Box<(Plan, Asked)>),
}

/// What was asked elsewhere.
pub(crate) enum Asked {
    /// Redis.
    Redis(redis::Asked),
    /// A rate limit service.
    Rls(rls::Asked),
}

impl Asked {
    /// Under which name it is known there; none in a rate limit service.
    pub(crate) fn lease(&self) -> String {
        match self {
            Asked::Redis(asked) => asked.lease.clone(),
            Asked::Rls(_) => String::new(),
        }
    }
}

impl LimitFilter {
    /// Asks the counts, here or elsewhere.
    pub(crate) fn check(&mut self, cx: &mut Cx<'_>, plan: Plan) -> Flow {
        let limiter = Rc::clone(&self.limiter);
        let (asked, call) = match &limiter.store {
            Store::Redis(redis) if !plan.claims.is_empty() => {
                let models = limiter.models_of(cx.host, &plan.claims);
                let keeping = limiter.forecasts.keeping();
                let (asked, call) = redis.check(cx.host, &plan.claims, models, keeping);
                (Asked::Redis(asked), call)
            }
            Store::Rls(rls) if !plan.claims.is_empty() => {
                let (asked, call) = rls.check(&limiter.rules, &plan.claims);
                (Asked::Rls(asked), call)
            }
            Store::Local | Store::Redis(_) | Store::Rls(_) => {
                let checked = limiter.check_here(cx.host, &plan.claims);
                let judged = limiter.judge(plan, None, &checked);
                return self.conclude(cx, judged);
            }
        };
        self.pending = Some(Pending::Check(Box::new((plan, asked))));
        Flow::Call(Box::new(call))
    }

    /// The store has answered, or not.
    pub(crate) fn checked(
        &mut self,
        cx: &mut Cx<'_>,
        plan: Plan,
        asked: Asked,
        reply: &CallReply,
    ) -> Flow {
        let limiter = Rc::clone(&self.limiter);
        let lease = asked.lease();
        let known = match (&limiter.store, asked) {
            (Store::Redis(redis), Asked::Redis(asked)) => {
                let said = redis.checked(cx.host, &asked, &plan.claims, reply);
                match said {
                    Some(said) => {
                        for (count, numbers) in &said.models {
                            limiter.forecasts.fetched(cx.host, count, numbers);
                        }
                        limiter.remember(cx.host, &plan.claims, &said.checked);
                        Some((said.checked, said.at))
                    }
                    None => {
                        limiter.forecasts.lost(asked.keeping);
                        None
                    }
                }
            }
            (Store::Rls(rls), Asked::Rls(asked)) => {
                match rls.checked(cx.host, &limiter.rules, &plan.claims, asked, reply) {
                    Next::Ask(asked, call) => {
                        self.pending = Some(Pending::Check(Box::new((plan, Asked::Rls(asked)))));
                        return Flow::Call(Box::new(call));
                    }
                    Next::Known(checked, among) => {
                        self.among = among;
                        Some((checked, cx.host.now_nanos() / 1_000_000))
                    }
                    Next::Silent => None,
                }
            }
            _ => return Flow::Continue,
        };
        match known {
            Some((checked, at)) => {
                let judged = limiter.judge(plan, None, &checked);
                let lease = Some(Lease { name: lease, at });
                self.conclude(cx, judged.map(|admitted| Admitted { lease, ..admitted }))
            }
            None => self.unanswered(cx, plan, lease),
        }
    }

    /// Nobody knows whether it was reserved; what is over is settled by what is found then.
    fn unanswered(&mut self, cx: &mut Cx<'_>, plan: Plan, lease: String) -> Flow {
        let limiter = Rc::clone(&self.limiter);
        limiter.count(cx.host, "ai_limit_store_errors_total", 1);
        let judged = match limiter.store.fail() {
            _ if limiter.mode != Mode::Enforce => Ok(limiter.judge_unseen(plan)),
            Fail::Open => Ok(limiter.judge_unseen(plan)),
            Fail::Closed => {
                limiter.release_there(cx.host, lease, &plan.claims);
                let error = ApiError::new(
                    ErrorKind::Overloaded,
                    "the limits cannot be checked at the moment; try again",
                );
                let mut reply = error.reply(cx.endpoint);
                reply.headers.push(("retry-after".into(), TRY_AGAIN.into()));
                return Flow::Respond(Box::new(reply));
            }
            Fail::Local(share) => {
                let shares = limiter.shares(cx.host, &plan.claims, share);
                let checked = limiter.check_here(cx.host, &shares);
                let claims = plan.claims.clone();
                let judged = limiter.judge(plan, Some(&shares), &checked);
                if judged.is_err() {
                    limiter.release_there(cx.host, lease.clone(), &claims);
                }
                judged
            }
        };
        let lease = Some(Lease { name: lease, at: 0 });
        self.conclude(cx, judged.map(|admitted| Admitted { lease, ..admitted }))
    }

    /// Lets it go on, or refuses it.
    fn conclude(&mut self, cx: &mut Cx<'_>, judged: Result<Admitted, Full>) -> Flow {
        match judged {
            Ok(admitted) => self.admitted = admitted,
            Err(full) => return self.refuse(cx, full),
        }
        if self.limiter.any_cuts(&self.admitted) {
            cx.rewrite_answer();
        }
        self.open = true;
        let exhausted = &self.admitted.exhausted;
        if !exhausted.is_empty() && self.limiter.mode == Mode::Enforce {
            cx.facts.set(cx.host, Fact::Exhausted, exhausted.join("\n"));
        }
        self.alert(cx);
        self.foretell(cx);
        self.state(cx);
        Flow::Continue
    }

    pub(crate) fn refuse(&self, cx: &mut Cx<'_>, full: Full) -> Flow {
        let Some(rule) = self.limiter.rules.get(full.rule) else { return Flow::Continue };
        let names = self.among.iter().filter_map(|rule| self.limiter.rules.get(*rule));
        let names: Vec<&str> = names.map(|rule| rule.name.as_str()).collect();
        // Of a service that does not say which it was.
        let shown = if names.is_empty() { rule.name.clone() } else { names.join("` or `") };
        let name = &rule.name;
        log::info!("{}", line("refuse", name, cx));
        cx.facts.set(cx.host, Fact::Limit, name.clone());
        cx.facts.set(cx.host, Fact::Error, "rate_limit_error");
        let what = match rule.unit {
            _ if !names.is_empty() => "counts of one of them",
            Unit::Requests => "requests",
            Unit::Concurrent => "requests at the same time",
            Unit::Cost => "budget",
            Unit::Images => "images",
            Unit::Seconds => "seconds",
            Unit::Pages => "pages",
            _ => "tokens",
        };
        let message = match full.wait {
            None => format!("limit `{shown}`: this key is blocked"),
            Some(_) if rule.unit == Unit::Concurrent => {
                format!("limit `{shown}`: too many {what}; try again when one has ended")
            }
            Some(wait) => format!("limit `{shown}`: the {what} are used up; try again in {wait} s"),
        };
        let error = ApiError::new(ErrorKind::RateLimit, message).code("rate_limit_exceeded");
        let mut reply: Reply = error.reply(cx.endpoint);
        if let Some(wait) = full.wait {
            reply.headers.push(("retry-after".into(), wait.to_string()));
        }
        if self.limiter.headers && full.standing.limit > 0 {
            reply.headers.extend(headers::of([(rule, full.standing)].into_iter()));
        }
        Flow::Respond(Box::new(reply))
    }

    fn state(&self, cx: &mut Cx<'_>) {
        let name = |index: usize| self.limiter.rules.get(index).map(|rule| rule.name.clone());
        if let Some(over) = &self.admitted.over {
            let name = name(over.rule).unwrap_or_default();
            log::info!("{}", line("exceeded", &name, cx));
        }
        // A dry run leaves the choice of models alone.
        if self.limiter.mode == Mode::Enforce
            && let Some(name) = self.admitted.downgrade.and_then(name)
        {
            cx.facts.set(cx.host, Fact::Downgrade, name);
        }
    }
}

/// A line of the audit log.
pub(crate) fn line(action: &str, rule: &str, cx: &mut Cx<'_>) -> String {
    let consumer = cx.facts.get(cx.host, Fact::Consumer);
    let more = serde_json::json!({"rule": rule});
    audit::line(cx.host.now_nanos(), "limit", action, consumer.as_deref(), more)
}
