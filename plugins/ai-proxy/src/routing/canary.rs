//! A step-by-step change from one target to another, that goes back by itself.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use shared::config::ConfigError;
use shared::host::{Capability, Host};

use super::config;
use super::health::Outcome;

/// How often a change of the shared account is tried again that another worker was faster with.
const TRIES: u32 = 8;

/// A canary, checked.
#[derive(Debug)]
pub struct Canary {
    /// The number of the target that is tried.
    pub target: usize,
    /// Where its account is in the data that the workers share.
    key: String,
    route: String,
    config: config::Canary,
    /// The account where workers share no data.
    own: RefCell<Account>,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It goes on by itself.
    #[default]
    Running,
    /// It stays at its step until somebody says otherwise.
    Paused,
    /// It has gone back: nobody is sent there.
    Aborted,
    /// It has gone through: everybody is sent there.
    Promoted,
}

/// What is known so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Where it stands.
    pub status: Status,
    /// The step that it is at.
    pub step: usize,
    /// When the step began, in nanoseconds since the Unix epoch; 0 before the first request.
    pub since: u64,
    /// The answers of the target that is tried, in this step.
    pub canary: Counts,
    /// Those of the others.
    pub stable: Counts,
}

/// Answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// How many.
    pub answers: u64,
    /// How many of them were failures.
    pub failures: u64,
    /// Sum of the times to the first token, in microseconds.
    pub first_micros: u64,
    /// Of how many answers.
    pub timed: u64,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        self.answers = self.answers.saturating_add(1);
        if outcome.failed() {
            self.failures = self.failures.saturating_add(1);
        } else if let Some(first) = outcome.first {
            self.first_micros = self.first_micros.saturating_add(first / 1000);
            self.timed = self.timed.saturating_add(1);
        }
    }

    fn failure_rate(&self) -> f64 {
        if self.answers == 0 { 0.0 } else { self.failures as f64 / self.answers as f64 }
    }

    fn mean_first(&self) -> Option<f64> {
        (self.timed > 0).then(|| self.first_micros as f64 / self.timed as f64)
    }
}

impl Canary {
    /// Checks a canary of a route with so many targets; `path` is where it stands.
    pub fn new(
        config: config::Canary,
        route: &str,
        targets: usize,
        path: &str,
    ) -> Result<Canary, ConfigError> {
        let bad =
            |field: &str, message: &str| Err(ConfigError::new(format!("{path}.{field}"), message));
        if config.target >= targets || targets < 2 {
            return bad("target", "must be the number of one of at least two targets, from 0");
        }
        let rising = config.steps.is_sorted_by(|a, b| a < b);
        let valid = config.steps.iter().all(|step| *step > 0.0 && *step <= 100.0);
        if config.steps.is_empty() || !rising || !valid {
            return bad("steps", "must rise, each above 0 and 100 at most");
        }
        if config.min_requests == 0 {
            return bad("min_requests", "must be 1 or more");
        }
        if !(config.max_error_margin >= 0.0 && config.max_latency_ratio >= 1.0) {
            return bad("max_latency_ratio", "must be 1 or more, and `max_error_margin` 0 or more");
        }
        Ok(Canary {
            target: config.target,
            key: format!("ai-proxy.canary.1.{route}"),
            route: route.to_owned(),
            config,
            own: RefCell::default(),
        })
    }

    /// Whether a client with this hash is sent to the target that is tried. One that is stays with it
    /// while its share grows.
    pub fn takes(&self, host: &dyn Host, hash: u64) -> bool {
        let account = self.account(host);
        let percent = match account.status {
            Status::Aborted => 0.0,
            Status::Promoted => 100.0,
            Status::Running | Status::Paused => {
                self.config.steps.get(account.step).copied().unwrap_or(100.0)
            }
        };
        ((hash % 1_000_000) as f64) < percent * 10_000.0
    }

    /// Where it stands.
    pub fn account(&self, host: &dyn Host) -> Account {
        if !host.can(Capability::SharedData) {
            return self.own.borrow().clone();
        }
        let shared = host.shared(&self.key);
        shared.and_then(|shared| serde_json::from_slice(&shared.value).ok()).unwrap_or_default()
    }

    /// A target has answered.
    pub fn answered(&self, host: &dyn Host, target: usize, outcome: &Outcome) {
        let now = host.now_nanos();
        self.change(host, |account| {
            if account.since == 0 {
                account.since = now;
            }
            let tried = target == self.target;
            let counts = if tried { &mut account.canary } else { &mut account.stable };
            counts.add(outcome);
            self.decide(account, now);
        });
    }

    /// Somebody takes it into their own hands.
    pub fn set(&self, host: &dyn Host, status: Status) {
        let now = host.now_nanos();
        self.change(host, |account| {
            log::warn!("canary {}: {:?} becomes {status:?} by hand", self.route, account.status);
            *account = Account { status, step: account.step, since: now, ..Account::default() };
        });
    }

    fn decide(&self, account: &mut Account, now: u64) {
        if matches!(account.status, Status::Aborted | Status::Promoted) {
            return;
        }
        if let Some(reason) = self.worse(account) {
            log::warn!(
                "canary {} rolled back at step {}: {reason}; tried {:?}, others {:?}",
                self.route,
                account.step,
                account.canary,
                account.stable
            );
            account.status = Status::Aborted;
            return;
        }
        let long = self.config.step_seconds.saturating_mul(1_000_000_000);
        let over = now.saturating_sub(account.since) >= long;
        let enough = account.canary.answers >= self.config.min_requests;
        if account.status == Status::Running && over && enough {
            let step = account.step.saturating_add(1);
            let done = step >= self.config.steps.len();
            let status = if done { Status::Promoted } else { Status::Running };
            log::warn!(
                "canary {} goes from step {} to {step}, {status:?}",
                self.route,
                account.step
            );
            *account = Account { status, step, since: now, ..Account::default() };
        }
    }

    /// Why it is worse than the others, if that is proven.
    fn worse(&self, account: &Account) -> Option<&'static str> {
        let (tried, others) = (&account.canary, &account.stable);
        let bearable = others.failure_rate() + self.config.max_error_margin;
        // Even if all answers to come were good, there would be too many failures.
        let enough = tried.answers.max(self.config.min_requests) as f64;
        if tried.failures as f64 > bearable * enough {
            return Some("it fails more often");
        }
        if tried.answers < self.config.min_requests {
            return None;
        }
        let (tried, others) = (tried.mean_first()?, others.mean_first()?);
        (tried > others * self.config.max_latency_ratio).then_some("it is slower")
    }

    fn change(&self, host: &dyn Host, change: impl Fn(&mut Account)) {
        if !host.can(Capability::SharedData) {
            change(&mut self.own.borrow_mut());
            return;
        }
        for _ in 0..TRIES {
            let shared = host.shared(&self.key);
            let mut account = shared
                .as_ref()
                .and_then(|shared| serde_json::from_slice(&shared.value).ok())
                .unwrap_or_default();
            change(&mut account);
            let Ok(bytes) = serde_json::to_vec(&account) else { return };
            let version = shared.map_or(0, |shared| shared.version);
            if host.set_shared(&self.key, &bytes, version).is_ok() {
                return;
            }
        }
        log::warn!("canary {}: an answer was not counted, the workers are too busy", self.route);
    }
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::super::order::mix;
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn canary(json: &str) -> Canary {
        Canary::new(serde_json::from_str(json).unwrap(), "r", 2, "routes[0].canary").unwrap()
    }

    fn answered(status: u16, millis: u64) -> Outcome {
        Outcome { status, first: Some(millis * 1_000_000), total: None, retry_after: None }
    }

    fn share(canary: &Canary, host: &ScriptHost) -> usize {
        (0..10_000).filter(|n| canary.takes(host, mix(*n))).count() / 100
    }

    #[test]
    fn it_grows_step_by_step_and_nobody_is_sent_back() {
        let host = ScriptHost::default();
        let canary = canary(r#"{"target":1,"steps":[10,50],"step_seconds":60,"min_requests":5}"#);
        host.now_nanos.set(SECOND);
        let first: Vec<_> = (0..1000).filter(|n| canary.takes(&host, mix(*n))).collect();
        assert!((9..=11).contains(&share(&canary, &host)));
        for _ in 0..5 {
            canary.answered(&host, 1, &answered(200, 10));
            canary.answered(&host, 0, &answered(200, 10));
        }
        assert_eq!(canary.account(&host).step, 0, "too early");
        host.now_nanos.set(62 * SECOND);
        canary.answered(&host, 1, &answered(200, 10));
        assert_eq!(canary.account(&host).step, 1);
        assert!((48..=52).contains(&share(&canary, &host)));
        assert!(first.iter().all(|n| canary.takes(&host, mix(*n))));
        host.now_nanos.set(200 * SECOND);
        for _ in 0..5 {
            canary.answered(&host, 1, &answered(200, 10));
        }
        assert_eq!(canary.account(&host).status, Status::Promoted);
        assert_eq!(share(&canary, &host), 100);
    }

    #[test]
    fn it_goes_back_when_it_fails_more_often_and_does_not_wait_for_the_last_proof() {
        let host = ScriptHost::default();
        let canary = canary(r#"{"target":1,"min_requests":100,"max_error_margin":0.05}"#);
        for _ in 0..100 {
            canary.answered(&host, 0, &answered(200, 10));
        }
        for _ in 0..5 {
            canary.answered(&host, 1, &answered(500, 10));
        }
        assert_eq!(canary.account(&host).status, Status::Running);
        canary.answered(&host, 1, &answered(500, 10));
        assert_eq!(canary.account(&host).status, Status::Aborted);
        assert_eq!(share(&canary, &host), 0);
    }

    #[test]
    fn it_goes_back_when_it_is_slower() {
        let host = ScriptHost::default();
        let canary = canary(r#"{"target":1,"min_requests":10,"max_latency_ratio":1.5}"#);
        for _ in 0..10 {
            canary.answered(&host, 0, &answered(200, 100));
            canary.answered(&host, 1, &answered(200, 160));
        }
        assert_eq!(canary.account(&host).status, Status::Aborted);
    }

    #[test]
    fn two_workers_share_one_account_and_a_hand_can_stop_it() {
        let host = ScriptHost::default();
        let json = r#"{"target":1,"steps":[10],"min_requests":100}"#;
        let (one, two) = (canary(json), canary(json));
        one.answered(&host, 1, &answered(200, 1));
        two.answered(&host, 1, &answered(200, 1));
        assert_eq!(one.account(&host).canary.answers, 2);
        two.set(&host, Status::Aborted);
        assert_eq!(share(&one, &host), 0);
        one.set(&host, Status::Promoted);
        assert_eq!(share(&two, &host), 100);
    }

    #[test]
    fn mistakes_are_named() {
        for (json, place) in [
            (r#"{"target":2}"#, "routes[0].canary.target: "),
            (r#"{"target":1,"steps":[5,5]}"#, "routes[0].canary.steps: "),
            (r#"{"target":1,"steps":[0]}"#, "routes[0].canary.steps: "),
            (r#"{"target":1,"min_requests":0}"#, "routes[0].canary.min_requests: "),
        ] {
            let config = serde_json::from_str(json).unwrap();
            let error = Canary::new(config, "r", 2, "routes[0].canary").unwrap_err().to_string();
            assert!(error.starts_with(place), "{error}");
        }
    }
}
