//! Where the counts are.

pub mod debts;
pub mod entries;
pub mod local;
mod message;
pub mod proto;
pub mod queue;
pub mod redis;
pub mod rls;
mod waiting;

use shared::host::Host;

use crate::claim::{Checked, Claim};
use crate::config;
use local::Local;
use redis::Redis;
use rls::Rls;

/// Where the counts are.
#[derive(Debug)]
pub enum Store {
    /// In the proxy.
    Local,
    /// In Redis.
    Redis(Box<Redis>),
    /// In a rate limit service.
    Rls(Box<Rls>),
}

impl Store {
    /// What to do when it does not answer; the proxy's own counts always do.
    pub fn fail(&self) -> Fail {
        match self {
            Store::Local => Fail::Open,
            Store::Redis(redis) => redis.fail,
            Store::Rls(rls) => rls.fail,
        }
    }
}

/// What to do without an answer, as it is configured; `None` if the share is none.
pub(crate) fn fail(fail: config::Fail, share: f64) -> Option<Fail> {
    let fail = match fail {
        config::Fail::Open => Fail::Open,
        config::Fail::Closed => Fail::Closed,
        config::Fail::Local => Fail::Local(share),
    };
    (0.0..=1.0).contains(&share).then_some(fail)
}

/// What to do when a store elsewhere does not answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fail {
    /// Let the request go on, uncounted until the store is there again.
    Open,
    /// Refuse it.
    Closed,
    /// Go by this proxy's own counts, with this share of what was left of each limit.
    Local(f64),
}

/// The name of the count of what a store elsewhere has said of this one.
pub fn known(count: &str) -> String {
    format!("{count}#known")
}

/// The name of the count of what this proxy has let through while the store did not answer. Counts of their own, so
/// that they do not mix with those of another configuration.
pub fn own(count: &str) -> String {
    format!("{count}#share")
}

/// The proxy's own share of the claims, while the store does not answer: of what was `used` when it last did, nothing
/// is given out again.
pub fn shares(claims: &[Claim], share: f64, used: impl Fn(&Claim) -> u64) -> Vec<Claim> {
    let part = |amount: u64| {
        // Not more than it was, and not less than 0.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let part = (amount as f64 * share).ceil() as u64;
        part
    };
    let mut claims = claims.to_vec();
    for claim in &mut claims {
        let used = used(claim);
        match &mut claim.terms.kind {
            crate::terms::Kind::Bucket { burst, .. } => {
                *burst = part(burst.saturating_sub(used));
                claim.terms.limit = part(claim.terms.limit);
            }
            _ => claim.terms.limit = part(claim.terms.limit.saturating_sub(used)),
        }
        claim.count = own(&claim.count);
        claim.marks.clear();
    }
    claims
}

/// Checks and reserves here; all or nothing.
pub fn check(local: &Local, host: &dyn Host, claims: &[Claim]) -> (Checked, u64) {
    let mut checked = Checked { ok: true, answers: Vec::with_capacity(claims.len()) };
    let mut evicted = 0_u64;
    for claim in claims {
        let changed = local.apply(host, claim);
        evicted = evicted.saturating_add(changed.evicted);
        let refused = changed.result.full && claim.mode == crate::claim::Mode::Reserve;
        checked.answers.push(changed.result);
        if refused {
            checked.ok = false;
            break;
        }
    }
    if !checked.ok {
        for (claim, answer) in claims.iter().zip(&mut checked.answers) {
            local.take_back(host, claim, answer);
        }
        // Those after it were not asked.
        checked.answers.resize(claims.len(), crate::claim::Answer::default());
    }
    (checked, evicted)
}
