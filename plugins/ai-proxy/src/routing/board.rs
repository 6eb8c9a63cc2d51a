//! What the workers tell each other of targets: until when they rest, and how users like them.
//!
//! One value that all workers share, changed by compare-and-swap and looked at once a second. Where
//! workers share nothing, each knows what it has seen itself.

use shared::small_map::SmallMap;
use std::cell::Cell;

use serde::Serialize;
use shared::config::Setting;
use shared::host::{Capability, Host};

use super::health::Health;

/// Where it is. Its number changes with its form.
const KEY: &str = "ai-proxy.board.1";

/// Most targets that it tells of.
const MOST: usize = 1024;

/// How often it is looked at, in nanoseconds.
const EVERY: u64 = 1_000_000_000;

/// How often a change is tried again that another worker was faster with.
const TRIES: u32 = 8;

/// A target's line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Setting)]
pub struct Line {
    /// Until when it rests, in nanoseconds since the Unix epoch.
    #[serde(rename = "r", default)]
    rest: u64,
    /// Sum of the scores that users have given.
    #[serde(rename = "s", default)]
    sum: f64,
    /// How many.
    #[serde(rename = "n", default)]
    count: f64,
}

/// How many scores count: older ones fade when there are more.
const SCORES: f64 = 200.0;

type Lines = SmallMap<String, Line>;

/// The board, as one worker sees it.
#[derive(Debug, Default)]
pub struct Board {
    next: Cell<u64>,
    seen: Cell<u32>,
}

impl Board {
    /// A target rests until then.
    pub fn rest(&self, host: &dyn Host, name: &str, until: u64) {
        change(host, name, |line| line.rest = line.rest.max(until));
    }

    /// A target is well again.
    pub fn well(&self, host: &dyn Host, name: &str) {
        change(host, name, |line| line.rest = 0);
    }

    /// A user has given a target a score, 0 to 1.
    pub fn score(&self, host: &dyn Host, name: &str, health: &Health, score: f64) {
        if !host.can(Capability::SharedData) {
            health.rate(score);
            return;
        }
        change(host, name, |line| {
            let keep = (SCORES / (line.count + 1.0)).min(1.0);
            line.sum = line.sum * keep + score;
            line.count = line.count * keep + 1.0;
            health.rated(line.sum / line.count);
        });
    }

    /// Looks at it, if it is time.
    pub fn tick<'h>(&self, host: &dyn Host, find: impl Fn(&str) -> Option<&'h Health>) {
        let now = host.now_nanos();
        if now < self.next.get() || !host.can(Capability::SharedData) {
            return;
        }
        self.next.set(now.saturating_add(EVERY));
        let Some(shared) = host.shared(KEY) else { return };
        if self.seen.replace(shared.version) == shared.version {
            return;
        }
        let lines: Lines = shared::config::record(&shared.value).unwrap_or_default();
        for (name, line) in &lines {
            let Some(health) = find(name) else { continue };
            if line.rest > now {
                health.rest_until(line.rest);
            }
            if line.count > 0.0 {
                health.rated(line.sum / line.count);
            }
        }
    }
}

fn change(host: &dyn Host, name: &str, change: impl Fn(&mut Line)) {
    if !host.can(Capability::SharedData) {
        return;
    }
    for _ in 0..TRIES {
        let shared = host.shared(KEY);
        let version = shared.as_ref().map_or(0, |shared| shared.version);
        let mut lines: Lines =
            shared.and_then(|s| shared::config::record(&s.value)).unwrap_or_default();
        if !lines.contains_key(name) && lines.len() >= MOST {
            log::warn!("the workers tell each other of {MOST} targets at most");
            return;
        }
        change(lines.entry(name.to_owned()).or_default());
        let Ok(bytes) = serde_json::to_vec(&lines) else { return };
        if host.set_shared(KEY, &bytes, version).is_ok() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::super::health::Fitness;
    use super::*;

    #[test]
    fn one_worker_sees_what_another_has_told() {
        let host = ScriptHost::default();
        host.now_nanos.set(EVERY);
        let (one, two) = (Board::default(), Board::default());
        let (mine, theirs) = (Health::default(), Health::default());
        one.rest(&host, "a", 9 * EVERY);
        one.score(&host, "a", &mine, 0.5);
        assert!((mine.score() - 0.5).abs() < 1e-9);
        two.tick(&host, |name| (name == "a").then_some(&theirs));
        assert_eq!(theirs.fitness(2 * EVERY), Fitness::Resting);
        assert!((theirs.score() - 0.5).abs() < 1e-9);
        assert_eq!(mine.fitness(2 * EVERY), Fitness::Well);
    }
}
