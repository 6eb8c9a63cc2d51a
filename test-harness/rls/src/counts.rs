//! The counts: Limitador's, or ones that can give back.

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use limitador::RateLimiter;
use limitador::limit::Limit;

use crate::message::{Request, Said};

const DOMAIN: &str = "ai";

/// All counts.
pub(crate) enum Counts {
    /// Limitador's.
    Limitador(RateLimiter),
    /// Of each rule how much there is in how many seconds, and of rule, key and window how much was used.
    Own(HashMap<String, (u64, u64)>, RefCell<HashMap<(String, String, u64), u64>>),
}

impl Counts {
    /// `limits`: `RULE=MOST/SECONDS`.
    pub(crate) fn new(refunds: bool, limits: &[String]) -> Result<Counts, Box<dyn Error>> {
        let read = |text: &String| {
            let (rule, limit) = text.split_once('=')?;
            let (most, seconds) = limit.split_once('/')?;
            Some((rule.to_owned(), (most.parse().ok()?, seconds.parse().ok()?)))
        };
        let limits = limits.iter().map(|text| read(text).ok_or("expected RULE=MOST/SECONDS"));
        let limits = limits.collect::<Result<HashMap<_, (u64, u64)>, _>>()?;
        if refunds {
            return Ok(Counts::Own(limits, RefCell::default()));
        }
        let limiter = RateLimiter::new();
        for (rule, (most, seconds)) in limits {
            // A count for each key of those that have the rule's entry.
            let most = i64::try_from(most)?;
            limiter.add_limit(Limit::new(DOMAIN, most, seconds, Vec::<String>::new(), [rule]));
        }
        Ok(Counts::Limitador(limiter))
    }

    /// Whether a request goes on; counts it.
    pub(crate) fn decide(&self, request: &Request) -> Result<Said, Box<dyn Error>> {
        match self {
            Counts::Limitador(limiter) => {
                // As Limitador's own server does.
                let entries =
                    request.descriptors.iter().flat_map(|one| one.entries.iter().cloned());
                let values: HashMap<String, String> = entries.collect();
                let hits = i64::try_from(request.hits.max(1))?;
                let said = limiter.check_rate_limited_and_update(
                    &request.domain.as_str().into(),
                    &values,
                    hits,
                    false,
                )?;
                Ok(Said { over: said.limited, statuses: Vec::new() })
            }
            Counts::Own(limits, used) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
                let mut used = used.borrow_mut();
                let mut said = Said::default();
                for descriptor in &request.descriptors {
                    let hits = descriptor.hits.unwrap_or(request.hits.max(1));
                    let (rule, key) = descriptor.entries.first().ok_or("no entry")?;
                    let (most, seconds) = *limits.get(rule).ok_or("no such rule")?;
                    let most = descriptor.limit.unwrap_or(most);
                    let place = (rule.clone(), key.clone(), now / seconds);
                    let count = used.entry(place).or_default();
                    *count = if descriptor.back {
                        count.saturating_sub(hits)
                    } else {
                        count.saturating_add(hits)
                    };
                    let over = *count > most && !descriptor.back;
                    said.over |= over;
                    let left = most.saturating_sub(*count);
                    said.statuses.push((over, most, left, seconds - now % seconds));
                }
                Ok(said)
            }
        }
    }
}
