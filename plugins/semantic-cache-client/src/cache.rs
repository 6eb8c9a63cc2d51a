//! The configured cache: what all requests of a worker share.

use std::cell::Cell;

use shared::config::{ConfigError, Mode};
use shared::host::{Capability, Host};
use shared::plugin::Need;

use crate::config::Config;
use crate::key::Names;
use crate::meters::Meters;
use crate::outbox::{Job, Outbox};
use crate::policy::Policy;
use crate::recent::Recent;
use crate::remote::Request;
use crate::semantic::{Semantic, Vectors};
use crate::store::local::{Local, Purge};
use crate::store::redis::Redis;
use crate::vector::{Point, Removal};

/// The cache of a worker.
#[derive(Debug)]
pub struct Cache {
    /// What requests are judged by.
    pub policy: Policy,
    /// Answers in the proxy's memory.
    pub local: Local,
    /// For how many seconds where there is Redis too.
    pub front_ttl: u64,
    /// Answers in Redis.
    pub redis: Option<Redis>,
    /// What compares questions.
    pub semantic: Option<Semantic>,
    /// What is to be sent to stores.
    pub outbox: Outbox,
    /// Requests that came before.
    pub recent: Recent,
    /// Names of consumers and their like.
    pub names: Names,
    /// What is counted.
    pub meters: Meters,
    /// Requests of this worker that wait for another's answer.
    pub waiting: Cell<u32>,
}

impl Cache {
    /// Checks a configuration.
    pub fn new(config: &Config) -> Result<Cache, ConfigError> {
        let policy = Policy::new(config)?;
        let local = Local::new(config.local.max_entries, config.local.max_bytes);
        if local.max_entry() < config.local.max_entry_bytes {
            let message = format!(
                "must be {} or more, so that an answer of `max_entry_bytes` has room in its part of the table",
                config.local.max_entry_bytes.saturating_mul(
                    usize::try_from(config.local.max_entries.div_ceil(32)).unwrap_or(usize::MAX)
                )
            );
            return Err(ConfigError::new("local.max_bytes", message));
        }
        Ok(Cache {
            policy,
            local,
            front_ttl: config.local.front_ttl.into(),
            redis: config.redis.as_ref().map(Redis::new).transpose()?,
            semantic: Semantic::new(config)?,
            outbox: Outbox::default(),
            recent: Recent::default(),
            names: Names::default(),
            meters: Meters::default(),
            waiting: Cell::new(0),
        })
    }

    /// Whether it does what it is there for, and not only counts.
    pub fn enforces(&self) -> bool {
        self.policy.mode == Mode::Enforce
    }

    /// What the proxy has to be able to do for this.
    pub fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        for (path, is_there) in
            [("redis", self.redis.is_some()), ("semantic.store", self.stores_vectors())]
        {
            if is_there {
                let message = "this proxy has no timer, and what is written there is written outside of \
                               requests; leave it out: each worker keeps answers in its memory";
                needs.push(Need::new(Capability::Tick, path, message));
            }
        }
        if self.policy.stale_if_error > 0 {
            let message = "this proxy cannot hold a failure back to put an old answer in its place; leave \
                           it out";
            needs.push(Need::new(Capability::HoldResponse, "stale_if_error", message));
        }
        needs
    }

    /// Whether anything is to be sent outside of requests.
    pub fn sends(&self) -> bool {
        self.stores_vectors() || self.redis.is_some()
    }

    fn stores_vectors(&self) -> bool {
        let vectors = self.semantic.as_ref().map(|semantic| &semantic.vectors);
        matches!(vectors, Some(Vectors::Remote(_)))
    }

    /// Adds a vector of a request of this epoch.
    pub fn add_vector(&self, host: &dyn Host, point: Point, epoch: u64) {
        match self.semantic.as_ref().map(|semantic| &semantic.vectors) {
            Some(Vectors::Local(vectors)) => {
                let lost = vectors.add(host, &point, seconds(host));
                self.meters.count(host, "ai_cache_evicted_total|what=vector", lost);
            }
            Some(Vectors::Remote(_)) => self.push(host, Job::Add(Box::new(point), epoch)),
            None => {}
        }
    }

    /// Removes vectors.
    pub fn remove_vectors(&self, host: &dyn Host, what: &Removal) {
        match self.semantic.as_ref().map(|semantic| &semantic.vectors) {
            Some(Vectors::Local(vectors)) => vectors.remove(host, what),
            Some(Vectors::Remote(_)) => self.push(host, Job::Remove(*what)),
            None => {}
        }
    }

    /// Keeps an answer to a request of this epoch in Redis too, from the next tick.
    pub fn put_later(&self, host: &dyn Host, request: Option<Request>, epoch: u64) {
        if let Some(request) = request {
            self.push(host, Job::Put(request, epoch));
        }
    }

    fn push(&self, host: &dyn Host, job: Job) {
        if !self.outbox.push(job) {
            self.meters.count(host, "ai_cache_dropped_total|what=write", 1);
        }
    }

    /// Removes answers and their vectors; how many there were in the proxy's memory.
    pub fn purge(&self, host: &dyn Host, what: &Purge) -> u64 {
        let removed = self.local.purge(host, what);
        self.recent.purged(self.local.epoch(host));
        if let Some(redis) = &self.redis {
            self.push(host, Job::Purge(redis.remove(what)));
        }
        self.remove_vectors(host, &Removal::Purged(*what));
        removed
    }

    /// Makes what is to be there before the first request.
    pub fn prepare(&self, host: &dyn Host) {
        self.local.prepare(host);
    }
}

/// Seconds since the Unix epoch.
pub fn seconds(host: &dyn Host) -> u64 {
    host.now_nanos() / 1_000_000_000
}
