//! What becomes of a request at the targets of its rule, so that the next request can be sent better.
//!
//! The attempts may be made by another module (Envoy's clusters have their own), so what came of them
//! is stated as facts and read when the exchange is over.

use shared::facts::Fact;
use shared::filter::{Cx, Outcome};

use crate::gateway::{Choice, Gateway};
use crate::routing::health;

/// A request that was sent to a rule's targets.
#[derive(Debug)]
pub(super) struct Track {
    rule: usize,
    /// Numbers and providers of the targets, in the order they are asked.
    targets: Vec<(usize, String)>,
    /// Status of an answer that the proxy made itself because no provider could be reached.
    pub(super) proxy_status: Option<u16>,
}

impl Track {
    /// The request goes out. None if there is nothing to learn: the rule has one target.
    pub(super) fn begin(gateway: &Gateway, choice: &Choice<'_>, now: u64) -> Option<Track> {
        let decision = choice.decision.as_ref()?;
        if decision.route.targets.len() == 1 {
            return None;
        }
        let names = choice.targets.iter().map(|(provider, _)| provider.name.clone());
        let targets: Vec<_> = decision.targets.iter().copied().zip(names).collect();
        let first = decision.route.target(targets.first()?.0)?;
        first.health.begin(now);
        let _ = gateway;
        Some(Track { rule: decision.number, targets, proxy_status: None })
    }

    /// The exchange is over.
    pub(super) fn end(&self, gateway: &Gateway, cx: &mut Cx<'_>, outcome: Outcome) {
        let attempts = cx.facts.get(cx.host, Fact::Attempts).unwrap_or_default();
        let stated = cx.facts.get(cx.host, Fact::Outcomes).unwrap_or_default();
        let attempts: Vec<_> = attempts.split(',').filter(|name| !name.is_empty()).collect();
        let failed = health::Outcome { status: 0, first: None, total: None, retry_after: None };
        for (place, provider) in attempts.iter().enumerate() {
            let last = place + 1 == attempts.len();
            let known = stated.lines().rev().find_map(|line| parse(line, place));
            let came = match known {
                Some(known) => Some(known),
                // Another attempt followed, or the proxy gave up.
                None if !last || self.proxy_status.is_some() => Some(failed),
                None if outcome == Outcome::Aborted => None,
                None => Some(failed),
            };
            self.tell(gateway, cx, place, provider, came);
        }
        if attempts.is_empty() {
            let came = self.proxy_status.map(|_| failed);
            let first = self.targets.first().map_or("", |(_, provider)| provider.as_str());
            self.tell(gateway, cx, 0, first, came);
        }
    }

    fn tell(
        &self,
        gateway: &Gateway,
        cx: &Cx<'_>,
        place: usize,
        provider: &str,
        came: Option<health::Outcome>,
    ) {
        let planned = self.targets.get(place).filter(|(_, name)| name == provider);
        let named = || self.targets.iter().find(|(_, name)| name == provider);
        let Some((target, _)) = planned.or_else(named) else { return };
        let first = self.targets.first().is_some_and(|(first, _)| first == target);
        let route = gateway.routing().route(self.rule);
        if let Some(asked) = route.and_then(|route| route.target(*target))
            && !(first && place == 0)
        {
            asked.health.begin(cx.host.now_nanos());
        }
        gateway.routing().ended(cx.host, self.rule, *target, came);
    }
}

/// One attempt as it is seen where it is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    place: usize,
    started: u64,
    stated: bool,
}

impl Trial {
    /// It begins; `place` attempts were made before.
    pub(super) fn begin(place: usize, now: u64) -> Trial {
        Trial { place, started: now, stated: false }
    }

    /// The answer's first bytes have come, or it has failed. Only the first time counts.
    pub(super) fn state(&mut self, cx: &mut Cx<'_>, status: u16, retry_after: Option<&str>) {
        if std::mem::replace(&mut self.stated, true) {
            return;
        }
        let before = cx.facts.get(cx.host, Fact::Outcomes).unwrap_or_default();
        let first = cx.host.now_nanos().saturating_sub(self.started) / 1000;
        let after = retry_after.and_then(|after| after.trim().parse::<f64>().ok());
        let after = after.filter(|after| *after >= 0.0);
        // Saturates.
        let after = after.map_or_else(|| "-".to_owned(), |after| (after.ceil() as u64).to_string());
        let line = format!("{} {status} {first} {after}", self.place);
        let all = if before.is_empty() { line } else { format!("{before}\n{line}") };
        cx.facts.set(cx.host, Fact::Outcomes, all);
    }
}

/// The outcome that a line states, if it is of this attempt.
fn parse(line: &str, place: usize) -> Option<health::Outcome> {
    let mut words = line.split(' ');
    let number: usize = words.next()?.parse().ok()?;
    if number != place {
        return None;
    }
    let status = words.next()?.parse().ok()?;
    let nanos = |word: Option<&str>, unit: u64| {
        word.and_then(|word| word.parse::<u64>().ok()).map(|value| value.saturating_mul(unit))
    };
    let first = nanos(words.next(), 1000);
    Some(health::Outcome {
        status,
        first,
        total: None,
        retry_after: nanos(words.next(), 1_000_000_000),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_is_read_again() {
        let came = parse("1 429 2500 7", 1).unwrap();
        assert_eq!((came.status, came.first), (429, Some(2_500_000)));
        assert_eq!(came.retry_after, Some(7_000_000_000));
        assert_eq!(parse("0 200 10 -", 0).unwrap().retry_after, None);
        assert_eq!(parse("0 200 10 -", 1), None);
        assert_eq!(parse("", 0), None);
    }
}
