//! What becomes of a request at the targets of its rule, so that the next request can be sent better.
//!
//! The attempts may be made by another module (Envoy's clusters have their own), so what came of them
//! is stated as facts and read when the exchange is over.

use shared::facts::Fact;
use shared::filter::{Cx, Outcome};
use shared::text;

use crate::gateway::{Choice, Gateway};
use crate::routing::health;

/// What [`Fact::Guard`] says of an answer that was kept back.
const BLOCKED: &str = "block_answer";

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
        let now = cx.host.now_nanos();
        let mut begun = false;
        let blocked = cx.facts.get(cx.host, Fact::Guard).is_some_and(|guard| guard == BLOCKED);
        for (place, provider) in attempts.iter().enumerate() {
            let last = place + 1 == attempts.len();
            let known =
                stated.lines().rev().filter_map(Line::parse).find(|line| line.place == place);
            let failed = health::Outcome::default();
            let came = match known {
                Some(line) => {
                    let whole = last && outcome == Outcome::Complete;
                    let total = whole.then(|| now.saturating_sub(line.started));
                    Some(health::Outcome { total, blocked: blocked && last, ..line.outcome })
                }
                // Another attempt followed, or the proxy gave up.
                None if !last || self.proxy_status.is_some() => Some(failed),
                None if outcome == Outcome::Aborted => None,
                None => Some(failed),
            };
            let target =
                known.and_then(|line| line.target).or_else(|| self.planned(place, provider));
            begun |= self.tell(gateway, cx, place, target, came);
            if let Some(target) = target.filter(|_| last) {
                let tokens = cx.facts.usage(cx.host).map_or(0, |usage| usage.total_tokens());
                gateway.routing().spent(self.rule, target, tokens, now);
            }
        }
        // It has begun with the first, whom the proxy may not have asked.
        if let Some((first, _)) = self.targets.first()
            && !attempts.is_empty()
            && !begun
        {
            gateway.routing().ended(cx.host, self.rule, *first, None);
        }
        if attempts.is_empty() {
            let came = self.proxy_status.map(|_| health::Outcome::default());
            self.tell(gateway, cx, 0, self.targets.first().map(|(target, _)| *target), came);
        }
    }

    /// The target that an attempt was to go to.
    fn planned(&self, place: usize, provider: &str) -> Option<usize> {
        let planned = self.targets.get(place).filter(|(_, name)| name == provider);
        let named = || self.targets.iter().find(|(_, name)| name == provider);
        planned.or_else(named).map(|(target, _)| *target)
    }

    /// Tells what came of an attempt; true if it was the one that it has begun with.
    fn tell(
        &self,
        gateway: &Gateway,
        cx: &Cx<'_>,
        place: usize,
        target: Option<usize>,
        came: Option<health::Outcome>,
    ) -> bool {
        let Some(target) = target else { return false };
        let first = place == 0 && self.targets.first().is_some_and(|(first, _)| *first == target);
        let route = gateway.routing().route(self.rule);
        if let Some(asked) = route.and_then(|route| route.target(target))
            && !first
        {
            asked.health.begin(cx.host.now_nanos());
        }
        gateway.routing().ended(cx.host, self.rule, target, came);
        first
    }
}

/// One attempt as it is seen where it is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    /// So many attempts were made before.
    pub(super) place: usize,
    target: Option<usize>,
    started: u64,
    stated: bool,
}

impl Trial {
    /// It begins; `place` attempts were made before. `target` is its number in the rule.
    pub(super) fn begin(place: usize, target: Option<usize>, now: u64) -> Trial {
        Trial { place, target, started: now, stated: false }
    }

    /// The answer's first bytes have come, or it has failed. Only the first time counts.
    pub(super) fn state(&mut self, cx: &mut Cx<'_>, status: u16, rest: Option<u64>) {
        if std::mem::replace(&mut self.stated, true) {
            return;
        }
        let before = cx.facts.get(cx.host, Fact::Outcomes).unwrap_or_default();
        let first = cx.host.now_nanos().saturating_sub(self.started);
        let line = Line {
            place: self.place,
            target: self.target,
            started: self.started,
            outcome: health::Outcome {
                status,
                first: Some(first),
                retry_after: rest.map(|seconds| seconds.saturating_mul(1_000_000_000)),
                ..health::Outcome::default()
            },
        };
        let line = line.write();
        let all = if before.is_empty() { line } else { text!(before, "\n", line) };
        cx.facts.set(cx.host, Fact::Outcomes, all);
    }
}

/// What is stated of an attempt: a line of [`Fact::Outcomes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    place: usize,
    target: Option<usize>,
    /// When it began, in nanoseconds since the Unix epoch.
    started: u64,
    /// What came of it.
    pub(super) outcome: health::Outcome,
}

impl Line {
    fn write(&self) -> String {
        let or_dash = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
        let target = self.target.and_then(|target| u64::try_from(target).ok());
        let of = |nanos: Option<u64>, unit| or_dash(nanos.map(|nanos| nanos / unit));
        text!(
            self.place,
            ' ',
            u64::from(self.outcome.status),
            ' ',
            of(self.outcome.first, 1_000),
            ' ',
            of(self.outcome.retry_after, 1_000_000_000),
            ' ',
            or_dash(target),
            ' ',
            self.started / 1_000,
        )
    }

    /// Reads a line.
    pub(super) fn parse(line: &str) -> Option<Line> {
        let mut words = line.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let place = usize::try_from(number()?).ok()?;
        let status = u16::try_from(number()?).ok()?;
        let (first, after, target) = (number(), number(), number());
        let started = number().unwrap_or(0).saturating_mul(1000);
        Some(Line {
            place,
            target: target.and_then(|target| usize::try_from(target).ok()),
            started,
            outcome: health::Outcome {
                status,
                first: first.map(|micros| micros.saturating_mul(1000)),
                retry_after: after.map(|seconds| seconds.saturating_mul(1_000_000_000)),
                ..health::Outcome::default()
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_is_read_again() {
        let outcome = health::Outcome {
            status: 429,
            first: Some(2_500_000),
            retry_after: Some(7_000_000_000),
            ..health::Outcome::default()
        };
        let line = Line { place: 1, target: Some(3), started: 1_760_000_000_000_001_000, outcome };
        assert_eq!(Line::parse(&line.write()), Some(line));
        let bare = Line {
            place: 0,
            target: None,
            started: 0,
            outcome: health::Outcome { status: 200, ..health::Outcome::default() },
        };
        assert_eq!(Line::parse(&bare.write()), Some(bare));
        assert_eq!(Line::parse(""), None);
    }
}
