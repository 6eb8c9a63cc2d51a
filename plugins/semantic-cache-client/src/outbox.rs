//! What is sent to stores after a request: in order, from the root context's timer, since calls of a
//! request end with it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};

use shared::filter::CallReply;
use shared::host::{CallId, Host};

use crate::cache::Cache;
use crate::remote::Request;
use crate::semantic::Vectors;
use crate::store::webdis;
use crate::vector::{Point, RemoteVectors, Removal};

/// Most jobs that wait to be sent; more are dropped.
const MAX_JOBS: usize = 1_000;

/// Most calls of one tick.
const CALLS: usize = 32;

/// Seconds between two removals of vectors whose answers are over.
const SWEEP: u64 = 600;

/// Something to be sent.
#[derive(Clone, Debug)]
pub enum Job {
    /// An answer, to Redis, and the epoch of its request.
    Put(Request, u64),
    /// A purge, to Redis.
    Purge(Request),
    /// A vector to add, and the epoch of its request.
    Add(Box<Point>, u64),
    /// Vectors to remove.
    Remove(Removal),
    /// The same, as a configuration before this one has left it.
    Erase(Request),
}

impl Job {
    /// Whether it is sent again where the store does not answer. An answer that is not kept is fetched
    /// again; one that is not removed would be served.
    fn must_arrive(&self) -> bool {
        matches!(self, Job::Purge(_) | Job::Erase(_) | Job::Remove(Removal::Purged(_)))
    }

    /// Whether it is of a request before the last purge, maybe of another worker.
    fn is_over(&self, now: u64) -> bool {
        matches!(self, Job::Put(_, epoch) | Job::Add(_, epoch) if *epoch != now)
    }
}

thread_local! {
    /// Purges that a configuration which has been replaced could not bring to a service any more, by where that is.
    static LEFT: RefCell<Vec<(String, Request)>> = RefCell::default();
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

/// What a call is about; with the job if it is to be sent again.
#[derive(Debug)]
enum Sent {
    Redis(Option<Job>),
    Vectors(Option<Job>),
    Preparation,
}

impl Outbox {
    /// Adds a job; false if there are too many, so that it or another one is dropped. One that must arrive takes the
    /// place of one that need not.
    pub fn push(&self, job: Job) -> bool {
        let mut jobs = self.jobs.borrow_mut();
        let room = jobs.len() < MAX_JOBS;
        let dropped = jobs.iter().position(|job| !job.must_arrive());
        if room {
            jobs.push_back(job);
        } else if let Some(dropped) = dropped.filter(|_| job.must_arrive()) {
            jobs.remove(dropped);
            jobs.push_back(job);
        }
        room
    }

    /// Sends what is due.
    pub fn tick(&self, cache: &Cache, host: &dyn Host) {
        self.sweep(cache, host);
        self.take_up(cache);
        let vectors = remote_vectors(cache);
        if let Some(vectors) = vectors.filter(|vectors| vectors.api.eager() && !self.prepared.get())
        {
            self.prepare(host, vectors, 0);
        }
        if self.jobs.borrow().is_empty() {
            return;
        }
        let epoch = cache.local.epoch(host);
        let mut again = Vec::new();
        for _ in 0..CALLS {
            let Some(job) = self.jobs.borrow_mut().pop_front() else { break };
            if job.is_over(epoch) {
                cache.meters.count(host, "ai_cache_not_stored_total|what=purged", 1);
                continue;
            }
            let kept = job.must_arrive().then(|| job.clone());
            let (remote, request, sent) = match (&job, vectors, &cache.redis) {
                (Job::Put(request, _) | Job::Purge(request), _, Some(redis)) => {
                    (&redis.remote, Some(request.clone()), Sent::Redis(kept))
                }
                (Job::Add(point, _), Some(vectors), _) => {
                    if !self.prepared.get() && !self.prepare(host, vectors, point.vector.len()) {
                        // Until the collection is there.
                        again.push(job);
                        break;
                    }
                    (&vectors.remote, vectors.api.add(point), Sent::Vectors(kept))
                }
                (Job::Remove(what), Some(vectors), _) => {
                    (&vectors.remote, vectors.api.remove(what), Sent::Vectors(kept))
                }
                (Job::Erase(request), Some(vectors), _) => {
                    (&vectors.remote, Some(request.clone()), Sent::Vectors(kept))
                }
                _ => continue,
            };
            let Some(request) = request else { continue };
            let call = remote.call(host, request).and_then(|call| host.call(&call).ok());
            match call {
                Some(id) => {
                    self.calls.borrow_mut().insert(id, sent);
                }
                None if job.must_arrive() => again.push(job),
                None => cache.meters.count(host, "ai_cache_dropped_total|what=write", 1),
            }
        }
        let mut jobs = self.jobs.borrow_mut();
        again.into_iter().rev().for_each(|job| jobs.push_front(job));
    }

    /// Whether the collection is there; makes it if not.
    fn prepare(&self, host: &dyn Host, vectors: &RemoteVectors, numbers: usize) -> bool {
        if self.calls.borrow().values().any(|sent| matches!(sent, Sent::Preparation)) {
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

    /// A call was answered.
    pub fn called(&self, cache: &Cache, host: &dyn Host, id: CallId, reply: &CallReply) {
        let Some(sent) = self.calls.borrow_mut().remove(&id) else { return };
        let refusal = webdis::refusal(&reply.body);
        let away = CallReply { status: Some(503), ..CallReply::failed() };
        let passing = refusal.as_deref().is_some_and(webdis::is_passing);
        let reply = if passing { &away } else { reply };
        let vectors = remote_vectors(cache);
        let (done, kept) = match (sent, vectors, &cache.redis) {
            (Sent::Redis(kept), _, Some(redis)) => {
                (redis.remote.heard(host, reply).is_some() && refusal.is_none(), kept)
            }
            (Sent::Vectors(kept), Some(vectors), _) => {
                let body = vectors.remote.heard(host, reply);
                let done = body.is_some_and(|body| vectors.api.done(body)) && refusal.is_none();
                if reply.status == Some(404) || (body.is_some() && !done) {
                    // Maybe the collection has been removed.
                    self.prepared.set(false);
                }
                (done, kept)
            }
            (Sent::Preparation, Some(vectors), _) => {
                let _ = vectors.remote.heard(host, reply);
                let status = reply.status.unwrap_or(0);
                let done = vectors.api.prepared(status, &reply.body);
                self.prepared.set(done);
                (done, None)
            }
            _ => (true, None),
        };
        if !done {
            // A store that refuses will do so again.
            let silent = reply.status.is_none_or(|status| matches!(status, 0 | 429 | 500..));
            if let Some(job) = kept.filter(|_| silent) {
                self.jobs.borrow_mut().push_front(job);
            }
            cache.meters.count(host, "ai_cache_failed_total|what=write", 1);
        }
    }

    /// No tick comes any more: what must arrive is left to the configuration that follows.
    pub fn ended(&self, cache: &Cache) {
        let mut all = Vec::new();
        for (_, sent) in self.calls.borrow_mut().drain() {
            if let Sent::Redis(Some(job)) | Sent::Vectors(Some(job)) = sent {
                all.push(job);
            }
        }
        all.extend(self.jobs.borrow_mut().drain(..));
        let left = all.into_iter().filter(Job::must_arrive).filter_map(|job| {
            let (remote, request) = match (job, remote_vectors(cache), &cache.redis) {
                (Job::Purge(request), _, Some(redis)) => (&redis.remote, request),
                (Job::Erase(request), Some(vectors), _) => (&vectors.remote, request),
                (Job::Remove(what), Some(vectors), _) => {
                    (&vectors.remote, vectors.api.remove(&what)?)
                }
                _ => return None,
            };
            Some((remote.upstream().to_owned(), request))
        });
        LEFT.with_borrow_mut(|all| {
            all.extend(left);
            all.truncate(MAX_JOBS);
        });
    }

    /// Takes up what was left for the services that there are.
    fn take_up(&self, cache: &Cache) {
        LEFT.with_borrow_mut(|left| {
            let redis = cache.redis.as_ref().map(|redis| redis.remote.upstream());
            let vectors = remote_vectors(cache).map(|vectors| vectors.remote.upstream());
            let ours = |(place, _): &mut (String, Request)| {
                redis == Some(&**place) || vectors == Some(&**place)
            };
            for (place, request) in left.extract_if(.., ours) {
                let job = if redis == Some(&*place) { Job::Purge } else { Job::Erase };
                self.jobs.borrow_mut().push_back(job(request));
            }
        });
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

fn remote_vectors(cache: &Cache) -> Option<&RemoteVectors> {
    match cache.semantic.as_ref().map(|semantic| &semantic.vectors) {
        Some(Vectors::Remote(vectors)) => Some(vectors),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str) -> Request {
        Request { method: "POST", path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    #[test]
    fn a_purge_takes_the_place_of_an_answer_where_there_is_no_room() {
        let outbox = Outbox::default();
        assert!(outbox.push(Job::Purge(request("first"))));
        for _ in 1..MAX_JOBS {
            assert!(outbox.push(Job::Put(request("put"), 0)));
        }
        assert!(!outbox.push(Job::Put(request("late"), 0)), "one is dropped");
        assert!(!outbox.push(Job::Purge(request("second"))), "another one is dropped");
        let jobs = outbox.jobs.borrow();
        assert_eq!(jobs.len(), MAX_JOBS);
        let purges: Vec<_> = jobs
            .iter()
            .filter_map(|job| match job {
                Job::Purge(request) => Some(request.path.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(purges, ["first", "second"]);
    }
}
