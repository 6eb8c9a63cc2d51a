//! Where the counts are.

pub mod entries;
pub mod local;
pub mod queue;
pub mod redis;

use shared::host::Host;

use crate::claim::{Checked, Claim};
use local::Local;
use redis::Redis;

/// Where the counts are.
#[derive(Debug)]
pub enum Store {
    /// In the proxy.
    Local,
    /// In Redis.
    Redis(Box<Redis>),
}

/// What to do when a store elsewhere does not answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fail {
    /// Let the request go on, uncounted until the store is there again.
    Open,
    /// Refuse it.
    Closed,
    /// Go by this proxy's own counts, with this share of each limit.
    Local(f64),
}

/// The proxy's own share of the claims, while the store does not answer.
pub fn shares(claims: &[Claim], share: f64) -> Vec<Claim> {
    let part = |amount: u64| {
        // Not more than it was, and not less than 0.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let part = (amount as f64 * share).ceil() as u64;
        part
    };
    let mut claims = claims.to_vec();
    for claim in &mut claims {
        claim.terms.limit = part(claim.terms.limit);
        if let crate::account::Kind::Bucket { burst, .. } = &mut claim.terms.kind {
            *burst = part(*burst);
        }
        // Counts of their own, so that they do not mix with those of another configuration.
        claim.count.push_str("#share");
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
            if let Some(receipt) = answer.receipt.take() {
                local.settle(host, &claim.count, &claim.terms, receipt, 0);
            }
        }
        // Those after it were not asked.
        checked.answers.resize(claims.len(), crate::claim::Answer::default());
    }
    (checked, evicted)
}
