//! A step-by-step change from one target to another, that goes back by itself.

use std::cell::{Cell, RefCell};

use serde::Serialize;
use shared::config::ConfigError;
use shared::config::Setting;
use shared::host::{Capability, Host, Shared};

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
    /// What is tried, `provider/model`.
    tried: String,
    /// What the target's approval rests on, for the audit.
    approval: Option<(String, String)>,
    /// False until what a store has kept is known: nobody is sent there before.
    ready: Cell<bool>,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Setting)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Setting)]
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
    /// What is tried, `provider/model`: of something else this account says nothing. Empty where an earlier release
    /// has written it.
    #[serde(default)]
    pub of: String,
}

/// Answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Setting)]
pub struct Counts {
    /// How many.
    pub answers: u64,
    /// How many of them were failures.
    pub failures: u64,
    /// How many of them prompt-guard has kept back.
    #[serde(default)]
    pub blocked: u64,
    /// Sum of the times to the first token, in microseconds.
    pub first_micros: u64,
    /// Of how many answers.
    pub timed: u64,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        self.answers = self.answers.saturating_add(1);
        self.blocked = self.blocked.saturating_add(u64::from(outcome.blocked));
        if outcome.failed() {
            self.failures = self.failures.saturating_add(1);
        } else if let Some(first) = outcome.first {
            self.first_micros = self.first_micros.saturating_add(first / 1000);
            self.timed = self.timed.saturating_add(1);
        }
    }

    fn share(&self, of: u64) -> f64 {
        if self.answers == 0 { 0.0 } else { of as f64 / self.answers as f64 }
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
        if config.max_latency_ratio.is_nan() || config.max_latency_ratio < 1.0 {
            return bad("max_latency_ratio", "must be 1 or more");
        }
        for (field, margin) in [
            ("max_error_margin", config.max_error_margin),
            ("max_block_margin", config.max_block_margin),
        ] {
            if margin.is_nan() || margin < 0.0 {
                return bad(field, "must be 0 or more");
            }
        }
        Ok(Canary {
            target: config.target,
            key: format!("ai-proxy.canary.1.{route}"),
            route: route.to_owned(),
            config,
            own: RefCell::default(),
            tried: String::new(),
            approval: None,
            ready: Cell::new(true),
        })
    }

    /// What is tried. What was found out of something else that was tried under this rule does not count.
    pub fn tries(&mut self, what: String) {
        self.tried = what;
    }

    /// Who has approved of the target, and on what evidence.
    pub fn approve(&mut self, approved_by: String, evidence: String) {
        self.approval = Some((approved_by, evidence));
    }

    /// The route's name.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// Waits for what a store has kept.
    pub fn wait(&mut self) {
        self.ready.set(false);
    }

    /// What a store has kept: it counts if it is newer, and gives back what there is if that is. `None`:
    /// the store has nothing.
    pub fn meet(&self, host: &dyn Host, kept: Option<Account>) -> Option<Account> {
        self.ready.set(true);
        let own = self.account(host);
        match kept.filter(|kept| self.is_of(kept)) {
            Some(kept) if kept.since > own.since => {
                self.change(host, &|account| {
                    // Another worker may have been faster.
                    (account.since < kept.since).then(|| {
                        *account = kept.clone();
                        self.audit(account, "taken over from the store", None)
                    })
                });
                None
            }
            Some(kept) => (own.since > kept.since).then_some(own),
            None => (own.since > 0).then_some(own),
        }
    }

    /// Whether a client with this hash is sent to the target that is tried. One that is stays with it
    /// while its share grows.
    pub fn takes(&self, host: &dyn Host, hash: u64) -> bool {
        if !self.ready.get() {
            return false;
        }
        let account = self.account(host);
        let percent = self.percent(&account);
        ((hash % 1_000_000) as f64) < percent * 10_000.0
    }

    /// Where it stands.
    pub fn account(&self, host: &dyn Host) -> Account {
        if !host.can(Capability::SharedData) {
            return self.own.borrow().clone();
        }
        self.read(host.shared(&self.key).as_ref())
    }

    fn read(&self, shared: Option<&Shared>) -> Account {
        let found = shared.and_then(|shared| shared::config::record(&shared.value));
        found.filter(|found| self.is_of(found)).unwrap_or_default()
    }

    fn is_of(&self, account: &Account) -> bool {
        account.of.is_empty() || account.of == self.tried
    }

    /// A target has answered.
    pub fn answered(&self, host: &dyn Host, target: usize, outcome: &Outcome) {
        if !self.ready.get() {
            return;
        }
        let now = host.now_nanos();
        self.change(host, &|account| {
            if account.since == 0 {
                account.since = now;
            }
            let tried = target == self.target;
            let counts = if tried { &mut account.canary } else { &mut account.stable };
            counts.add(outcome);
            self.decide(account, now)
        });
    }

    /// Somebody takes it into their own hands.
    pub fn set(&self, host: &dyn Host, status: Status) {
        let now = host.now_nanos();
        self.change(host, &|account| {
            // Newer than what it was before, for the store.
            let since = now.max(account.since.saturating_add(1));
            *account = Account { status, step: account.step, since, ..Account::default() };
            Some(self.audit(account, "by hand", None))
        });
    }

    /// Goes back or a step on, if it is time; gives the line for the audit.
    fn decide(&self, account: &mut Account, now: u64) -> Option<String> {
        if matches!(account.status, Status::Aborted | Status::Promoted) {
            return None;
        }
        if let Some(reason) = self.worse(account) {
            let before = account.clone();
            // Newer than what it was before, for the store.
            account.since = now.max(account.since.saturating_add(1));
            account.status = Status::Aborted;
            return Some(self.audit(account, reason, Some(&before)));
        }
        let long = self.config.step_seconds.saturating_mul(1_000_000_000);
        let over = now.saturating_sub(account.since) >= long;
        let enough = account.canary.answers >= self.config.min_requests;
        if account.status == Status::Running && over && enough {
            let before = account.clone();
            let step = account.step.saturating_add(1);
            let done = step >= self.config.steps.len();
            let status = if done { Status::Promoted } else { Status::Running };
            let since = now.max(account.since.saturating_add(1));
            *account = Account { status, step, since, ..Account::default() };
            return Some(self.audit(account, "it is no worse than the others", Some(&before)));
        }
        None
    }

    /// The line that tells a change to whoever has to answer for it.
    fn audit(&self, account: &Account, reason: &str, before: Option<&Account>) -> String {
        let mut more = serde_json::json!({
            "rule": self.route,
            "status": account.status,
            "step": account.step,
            "percent": self.percent(account),
            "reason": reason,
        });
        if let (Some(more), Some(before)) = (more.as_object_mut(), before) {
            more.insert("tried".into(), serde_json::json!(before.canary));
            more.insert("others".into(), serde_json::json!(before.stable));
        }
        if let (Some(more), Some((by, evidence))) = (more.as_object_mut(), &self.approval) {
            more.insert("approved_by".into(), by.as_str().into());
            more.insert("evidence".into(), evidence.as_str().into());
        }
        let action = match account.status {
            Status::Running => "run",
            Status::Paused => "pause",
            Status::Promoted => "promote",
            Status::Aborted => "abort",
        };
        shared::audit::line(account.since, "canary", action, None, more)
    }

    /// The share that is sent to the target.
    pub fn percent(&self, account: &Account) -> f64 {
        match account.status {
            Status::Aborted => 0.0,
            Status::Promoted => 100.0,
            Status::Running | Status::Paused => {
                self.config.steps.get(account.step).copied().unwrap_or(100.0)
            }
        }
    }

    /// Why it is worse than the others, if that is proven.
    fn worse(&self, account: &Account) -> Option<&'static str> {
        let (tried, others) = (&account.canary, &account.stable);
        // Even if all answers to come were good, there would be too many.
        let enough = tried.answers.max(self.config.min_requests) as f64;
        let bearable = others.share(others.failures) + self.config.max_error_margin;
        if tried.failures as f64 > bearable * enough {
            return Some("it fails more often");
        }
        let bearable = others.share(others.blocked) + self.config.max_block_margin;
        if tried.blocked as f64 > bearable * enough {
            return Some("more of its answers are kept back");
        }
        if tried.answers < self.config.min_requests {
            return None;
        }
        let (tried, others) = (tried.mean_first()?, others.mean_first()?);
        (tried > others * self.config.max_latency_ratio).then_some("it is slower")
    }

    /// Changes the account that all workers share; logs the line that is to tell of it, once it is done.
    fn change(&self, host: &dyn Host, change: &dyn Fn(&mut Account) -> Option<String>) {
        let tell = |line: Option<String>| line.into_iter().for_each(|line| log::warn!("{line}"));
        if !host.can(Capability::SharedData) {
            tell(change(&mut self.own.borrow_mut()));
            return;
        }
        for _ in 0..TRIES {
            let shared = host.shared(&self.key);
            let mut account = self.read(shared.as_ref());
            let line = change(&mut account);
            account.of.clone_from(&self.tried);
            let Ok(bytes) = serde_json::to_vec(&account) else { return };
            let version = shared.map_or(0, |shared| shared.version);
            if host.set_shared(&self.key, &bytes, version).is_ok() {
                tell(line);
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
        Canary::new(shared::config::document(json).unwrap(), "r", 2, "routes[0].canary").unwrap()
    }

    fn answered(status: u16, millis: u64) -> Outcome {
        Outcome { status, first: Some(millis * 1_000_000), ..Outcome::default() }
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
    fn it_goes_back_when_more_of_its_answers_are_kept_back() {
        let host = ScriptHost::default();
        let canary = canary(r#"{"target":1,"min_requests":10,"max_block_margin":0.1}"#);
        for _ in 0..2 {
            let outcome = Outcome { blocked: true, ..answered(200, 1) };
            canary.answered(&host, 1, &outcome);
        }
        assert_eq!(canary.account(&host).status, Status::Aborted);
    }

    #[test]
    fn what_a_store_has_kept_comes_back_and_is_waited_for() {
        let host = ScriptHost::default();
        host.now_nanos.set(5 * SECOND);
        let mut canary = canary(r#"{"target":1,"steps":[50,100]}"#);
        canary.wait();
        assert_eq!(share(&canary, &host), 0);
        canary.answered(&host, 0, &answered(200, 1));
        assert_eq!(canary.account(&host).since, 0);
        let kept = Account { status: Status::Aborted, since: SECOND, ..Account::default() };
        assert_eq!(canary.meet(&host, Some(kept.clone())), None);
        assert_eq!(canary.account(&host), kept);
        canary.set(&host, Status::Promoted);
        let own = canary.meet(&host, Some(kept)).unwrap();
        assert_eq!((own.status, own.since), (Status::Promoted, 5 * SECOND));
        assert_eq!(canary.meet(&host, Some(own)), None, "both know");
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
            let config = shared::config::document(json).unwrap();
            let error = Canary::new(config, "r", 2, "routes[0].canary").unwrap_err().to_string();
            assert!(error.starts_with(place), "{error}");
        }
    }
}
