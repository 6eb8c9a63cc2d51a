//! What is sent to stores after a request: in order, from the root context's timer, since calls of a
//! request end with it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};

use shared::filter::CallReply;
use shared::host::{CallId, Host};

use crate::cache::Cache;
use crate::remote::{Remote, Request};
use crate::semantic::Vectors;
use crate::vector::{Point, Removal};

/// Most jobs that wait to be sent; more are dropped.
const MAX_JOBS: usize = 1_000;

/// Most calls of one tick.
const CALLS: usize = 32;

/// Seconds between two removals of vectors whose answers are over.
const SWEEP: u64 = 600;

/// Something to be sent.
#[derive(Debug)]
pub enum Job {
    /// To Redis.
    Redis(Request),
    /// A vector to add.
    Add(Box<Point>),
    /// Vectors to remove.
    Remove(Removal),
}

/// Jobs of a worker.
#[derive(Debug, Default)]
pub struct Outbox {
    jobs: RefCell<VecDeque<Job>>,
    calls: RefCell<HashMap<CallId, Sent>>,
    /// The collection of vectors is there.
    prepared: Cell<bool>,
    swept: Cell<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Redis,
    Vectors,
    Preparation,
}

impl Outbox {
    /// Adds a job; false if there are too many.
    pub fn push(&self, job: Job) -> bool {
        let mut jobs = self.jobs.borrow_mut();
        let room = jobs.len() < MAX_JOBS;
        if room {
            jobs.push_back(job);
        }
        room
    }

    /// Sends what is due.
    pub fn tick(&self, cache: &Cache, host: &dyn Host) {
        self.sweep(cache, host);
        let vectors = match cache.semantic.as_ref().map(|semantic| &semantic.vectors) {
            Some(Vectors::Remote(vectors)) => Some(vectors),
            _ => None,
        };
        if let Some(vectors) = vectors.filter(|vectors| vectors.api.eager() && !self.prepared.get())
        {
            self.prepare(host, vectors, 0);
        }
        for _ in 0..CALLS {
            let Some(job) = self.jobs.borrow_mut().pop_front() else { return };
            let (remote, request, sent) = match (&job, vectors, &cache.redis) {
                (Job::Redis(request), _, Some(redis)) => {
                    (&redis.remote, Some(request.clone()), Sent::Redis)
                }
                (Job::Add(point), Some(vectors), _) => {
                    if !self.prepared.get() && !self.prepare(host, vectors, point.vector.len()) {
                        // Until the collection is there.
                        self.jobs.borrow_mut().push_front(job);
                        return;
                    }
                    (&vectors.remote, vectors.api.add(point), Sent::Vectors)
                }
                (Job::Remove(what), Some(vectors), _) => {
                    (&vectors.remote, vectors.api.remove(what), Sent::Vectors)
                }
                _ => continue,
            };
            if let Some(request) = request {
                self.send(cache, host, remote, request, sent);
            }
        }
    }

    /// Whether the collection is there; makes it if not.
    fn prepare(
        &self,
        host: &dyn Host,
        vectors: &crate::vector::RemoteVectors,
        numbers: usize,
    ) -> bool {
        if self.calls.borrow().values().any(|sent| *sent == Sent::Preparation) {
            return false;
        }
        let Some(request) = vectors.api.prepare(numbers) else {
            self.prepared.set(true);
            return true;
        };
        if let Some(call) = vectors.remote.call(host, request)
            && let Ok(id) = host.call(&call)
        {
            self.calls.borrow_mut().insert(id, Sent::Preparation);
        }
        false
    }

    fn send(&self, cache: &Cache, host: &dyn Host, remote: &Remote, request: Request, sent: Sent) {
        let call = remote.call(host, request);
        match call.and_then(|call| host.call(&call).ok()) {
            Some(id) => {
                self.calls.borrow_mut().insert(id, sent);
            }
            None => cache.meters.count(host, "ai_cache_dropped_total|what=write", 1),
        }
    }

    /// A call was answered.
    pub fn called(&self, cache: &Cache, host: &dyn Host, id: CallId, reply: &CallReply) {
        let Some(sent) = self.calls.borrow_mut().remove(&id) else { return };
        let vectors = match cache.semantic.as_ref().map(|semantic| &semantic.vectors) {
            Some(Vectors::Remote(vectors)) => Some(vectors),
            _ => None,
        };
        let done = match (sent, vectors, &cache.redis) {
            (Sent::Redis, _, Some(redis)) => redis.remote.heard(host, reply).is_some(),
            (Sent::Vectors, Some(vectors), _) => {
                let done = vectors.remote.heard(host, reply).is_some();
                if reply.status == Some(404) {
                    // The collection has been removed.
                    self.prepared.set(false);
                }
                done
            }
            (Sent::Preparation, Some(vectors), _) => {
                let _ = vectors.remote.heard(host, reply);
                let status = reply.status.unwrap_or(0);
                let done = vectors.api.prepared(status, &reply.body);
                self.prepared.set(done);
                done
            }
            _ => true,
        };
        if !done {
            cache.meters.count(host, "ai_cache_failed_total|what=write", 1);
        }
    }

    fn sweep(&self, cache: &Cache, host: &dyn Host) {
        let now = crate::cache::seconds(host);
        if self.swept.get() == 0 {
            self.swept.set(now);
        }
        if now.saturating_sub(self.swept.get()) >= SWEEP {
            self.swept.set(now);
            cache.remove_vectors(host, &Removal::Expired(now));
        }
    }
}
