//! What came of a request's check, and how it is settled.

use shared::host::Host;
use shared::usage::Usage;

use crate::ask::Ask;
use crate::claim::{self, Checked, Claim};
use crate::config::Exceeded;
use crate::limiter::{Full, Limiter, Plan};
use crate::store::Store;
use crate::store::queue::{Row, Settlement};
use crate::terms::{Receipt, Standing, Terms};

/// What was reserved of one rule.
#[derive(Clone, Debug)]
pub struct Held {
    /// The rule's place.
    pub rule: usize,
    /// How much, with what was reserved since.
    pub amount: u64,
    /// How much a store elsewhere was asked for, which knows nothing of what was reserved here since.
    pub(crate) asked: u64,
    /// Where the key stands since.
    pub standing: Standing,
    /// The count.
    pub count: String,
    /// All that was ever settled of it.
    pub total: u64,
    pub(crate) terms: Terms,
    /// Of the proxy's own counts: the one that it was reserved of.
    pub(crate) here: Option<Here>,
}

/// A reservation of the proxy's own counts.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    count: String,
    terms: Terms,
    receipt: Receipt,
}

/// A reservation in a store elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// Its name; empty if nothing was reserved, or nobody knows under which name.
    pub name: String,
    /// When it was made, by the store's clock in milliseconds; 0 if nobody knows whether it was.
    pub at: u64,
}

/// What came of a request's check.
#[derive(Debug, Default)]
pub struct Admitted {
    /// What was reserved.
    pub held: Vec<Held>,
    /// Where, if not (only) here.
    pub lease: Option<Lease>,
    /// Targets that are used up, as [`Fact::Exhausted`](shared::facts::Fact::Exhausted) has them.
    pub exhausted: Vec<String>,
    /// The first rule that asks for a cheaper model.
    pub downgrade: Option<usize>,
    /// Budgets that are used to one of their shares.
    pub warnings: Vec<(usize, f64)>,
    /// Budgets that have passed one of their shares with this request.
    pub passed: Vec<(usize, f64, Standing, String)>,
    /// The first rule that would have refused, where nothing is refused.
    pub over: Option<Full>,
}

impl Limiter {
    /// What the counts have said comes to. `asked`: the claims as they were put, where they are others than
    /// the plan's.
    pub fn judge(
        &self,
        plan: Plan,
        asked: Option<&[Claim]>,
        checked: &Checked,
    ) -> Result<Admitted, Full> {
        let Plan { claims, looks, blocked, over, downgrade } = plan;
        let mut admitted = Admitted { over, downgrade, ..Admitted::default() };
        admitted.exhausted.extend(blocked);
        for (index, (claim, answer)) in claims.into_iter().zip(&checked.answers).enumerate() {
            let Some(rule) = self.rules.get(claim.rule) else { continue };
            let standing = answer.standing;
            if claim.mode == claim::Mode::Look {
                let provider = looks.iter().find(|(place, _)| *place == index);
                if let Some((_, provider)) = provider.filter(|_| standing.remaining() == 0) {
                    admitted.exhausted.push(provider.clone());
                }
                continue;
            }
            if answer.full {
                let full = Full { rule: claim.rule, wait: Some(answer.wait), standing };
                if claim.mode == claim::Mode::Reserve {
                    return Err(full);
                }
                admitted.over.get_or_insert(full);
                if rule.exceeded == Exceeded::Downgrade {
                    admitted.downgrade.get_or_insert(claim.rule);
                }
            }
            let used = standing.used as f64 / standing.limit.max(1) as f64;
            if let Some(share) = rule.soft.iter().rev().find(|share| used >= **share) {
                admitted.warnings.push((claim.rule, *share));
            }
            if let Some(share) = answer.passed.checked_sub(1).and_then(|at| rule.soft.get(at)) {
                admitted.passed.push((claim.rule, *share, standing, claim.count.clone()));
            }
            let here = answer.receipt.map(|receipt| {
                let other = asked.and_then(|asked| asked.get(index)).unwrap_or(&claim);
                Here { count: other.count.clone(), terms: other.terms, receipt }
            });
            let Claim { rule, count, terms, amount, .. } = claim;
            admitted.held.push(Held {
                rule,
                amount,
                asked: amount,
                standing,
                count,
                total: answer.total,
                terms,
                here,
            });
        }
        Ok(admitted)
    }

    /// Nobody has answered: what a request counts is known only when the store is there again.
    pub fn judge_unseen(&self, plan: Plan) -> Admitted {
        let held =
            plan.claims.into_iter().filter(|claim| claim.mode.reserves()).map(|claim| Held {
                rule: claim.rule,
                total: 0,
                amount: claim.amount,
                asked: claim.amount,
                standing: Standing { limit: claim.terms.limit, ..Standing::default() },
                count: claim.count,
                terms: claim.terms,
                here: None,
            });
        let (over, downgrade) = (plan.over, plan.downgrade);
        Admitted { held: held.collect(), over, downgrade, ..Admitted::default() }
    }

    /// A request is over, and has used this at this provider and model.
    pub fn settle(
        &self,
        ask: &mut Ask<'_, '_>,
        admitted: &Admitted,
        usage: &Usage,
        answering_model: &str,
        served: bool,
    ) {
        let host = ask.cx.host;
        let cost = self.cost(ask.provider, answering_model, usage);
        let mut rows = Vec::new();
        for held in &admitted.held {
            let Some(rule) = self.rules.get(held.rule) else { continue };
            let actual = rule.amount(ask.model, usage, cost, true);
            if let Some(here) = &held.here {
                self.local.settle(host, &here.count, &here.terms, here.receipt, actual);
            }
            if admitted.lease.is_none() {
                continue;
            }
            rows.push(Row {
                count: held.count.clone(),
                terms: held.terms,
                actual,
                reserved: Some(held.asked),
            });
        }
        // Who answers is known only now.
        let charges = if served { self.charges(ask, usage, cost) } else { Vec::new() };
        match &admitted.lease {
            None => {
                for (count, terms, amount) in charges {
                    let changed = self.local.charge(host, &count, &terms, amount);
                    self.count(host, "ai_limit_evicted_total", changed.evicted);
                }
            }
            Some(lease) => {
                rows.extend(charges.into_iter().map(|(count, terms, actual)| Row {
                    count,
                    terms,
                    actual,
                    reserved: None,
                }));
                let (lease, at) = (lease.name.clone(), lease.at);
                self.settle_there(host, Settlement { lease, at, rows });
            }
        }
    }

    /// Gives back what a request has reserved elsewhere that goes nowhere, if it has. Not in a rate limit
    /// service: there nobody could tell what was reserved from what was not.
    pub fn release_there(&self, host: &dyn Host, lease: String, claims: &[Claim]) {
        if matches!(self.store, Store::Rls(_)) {
            return;
        }
        let rows = claims.iter().filter(|claim| claim.mode.reserves()).map(|claim| Row {
            count: claim.count.clone(),
            terms: claim.terms,
            actual: 0,
            reserved: Some(claim.amount),
        });
        self.settle_there(host, Settlement { lease, at: 0, rows: rows.collect() });
    }

    fn settle_there(&self, host: &dyn Host, settlement: Settlement) {
        let kept = match &self.store {
            Store::Local => true,
            Store::Redis(redis) => settlement.rows.is_empty() || redis.settle(settlement),
            Store::Rls(rls) => rls.settle(&self.rules, &settlement),
        };
        if !kept {
            self.count(host, "ai_limit_settlements_dropped_total", 1);
        }
    }

    /// Whether a stream under way may go on that has used so much by now, `cost` in billionths of a
    /// dollar: the first rule that ends it, else `None`. Reserves more where the counts are here.
    pub fn over_by(
        &self,
        host: &dyn Host,
        admitted: &mut Admitted,
        model: &str,
        usage: &Usage,
        cost: u64,
    ) -> Option<usize> {
        for held in &mut admitted.held {
            if !self.cuts(held.rule) {
                continue;
            }
            let rule = self.rules.get(held.rule)?;
            let more = rule.amount(model, usage, cost, false).saturating_sub(held.amount);
            if more == 0 {
                continue;
            }
            match &mut held.here {
                // In steps, so that not every event changes the count.
                Some(Here { count, terms, receipt }) => {
                    let step = (held.amount / 8).max(more);
                    let local = &self.local;
                    let reserved = [step, more]
                        .into_iter()
                        .find(|amount| local.extend(host, count, terms, receipt, *amount));
                    match reserved {
                        Some(amount) => held.amount = held.amount.saturating_add(amount),
                        None => return Some(held.rule),
                    }
                }
                // What was left when it began, and others may have taken since.
                None if more > held.standing.remaining() => return Some(held.rule),
                None => {}
            }
        }
        None
    }

    /// Whether any of these may end the stream.
    pub fn any_cuts(&self, admitted: &Admitted) -> bool {
        admitted.held.iter().any(|held| self.cuts(held.rule))
    }
}
