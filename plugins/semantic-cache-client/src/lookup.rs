//! Looking for a similar question: its vector, the nearest ones, their answers, and a second look. A small
//! state machine; whatever fails, nothing was found.

use std::rc::Rc;

use shared::filter::CallReply;
use shared::host::{Call, Host};

use crate::ask::{Ask, Question};
use crate::cache::{Cache, seconds};
use crate::record::{Age, Entry};
use crate::semantic::{Semantic, Vectors};
use crate::told;
use crate::vector::{Near, Query};
use crate::veto;

/// A look-up under way.
#[derive(Debug)]
pub(crate) struct Lookup {
    ask: Rc<Ask>,
    question: Question,
    threshold: f64,
    stage: Stage,
    vector: Option<Vec<f32>>,
    /// What is still to be looked at, the most similar last.
    near: Vec<Near>,
    /// What passed, but for the second look.
    passed: Option<(Box<Entry>, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Embedding,
    Searching,
    Fetching(Near),
    Judging,
}

/// What came of a step.
pub(crate) enum Found {
    /// Make this call.
    Call(Box<Call>),
    /// This answer, to a question that is so similar.
    Answer(Box<Entry>, f64),
    /// There is none.
    Nothing,
}

impl Lookup {
    /// Begins.
    pub(crate) fn begin(
        cache: &Cache,
        host: &dyn Host,
        ask: Rc<Ask>,
        question: Question,
        threshold: Option<f64>,
    ) -> (Lookup, Found) {
        let least = cache.policy.semantic.as_ref().map_or(1.0, |semantic| semantic.threshold);
        let lookup = Lookup {
            // A client can be stricter, not laxer.
            threshold: threshold.unwrap_or(0.0).max(least),
            ask,
            question,
            stage: Stage::Embedding,
            vector: None,
            near: Vec::new(),
            passed: None,
        };
        let found = match &cache.semantic {
            Some(semantic) => {
                let embedding = &semantic.embedding;
                let request = embedding.request(&lookup.question.text);
                call_or(embedding.remote.call(host, request), || failed(cache, host, "embedder"))
            }
            None => Found::Nothing,
        };
        (lookup, found)
    }

    /// The question's vector, once it is known.
    pub(crate) fn vector(&self) -> Option<&[f32]> {
        self.vector.as_deref()
    }

    /// A call was answered.
    pub(crate) fn called(&mut self, cache: &Cache, host: &dyn Host, reply: &CallReply) -> Found {
        let Some(semantic) = &cache.semantic else { return Found::Nothing };
        match self.stage {
            Stage::Embedding => {
                let body = semantic.embedding.remote.heard(host, reply);
                self.vector = body.and_then(|body| semantic.embedding.read(body));
                if self.vector.is_none() {
                    return failed(cache, host, "embedder");
                }
                self.search(cache, host, semantic)
            }
            Stage::Searching => {
                let Vectors::Remote(vectors) = &semantic.vectors else { return Found::Nothing };
                let Some(body) = vectors.remote.heard(host, reply) else {
                    // Of a collection that is not there yet nothing is found.
                    return if reply.status == Some(404) {
                        Found::Nothing
                    } else {
                        failed(cache, host, "vectors")
                    };
                };
                let answer = shared::json::tree_of(body).unwrap_or_default();
                let query = self.query(cache, host);
                match query.and_then(|query| vectors.api.found(&query, &answer)) {
                    Some(near) => self.sift(cache, host, semantic, near),
                    None => failed(cache, host, "vectors"),
                }
            }
            Stage::Fetching(near) => {
                let redis = cache.redis.as_ref();
                let entry = redis.and_then(|redis| redis.got(host, &near.key, reply));
                if let Some(entry) = entry
                    && let Some(found) = self.look(cache, host, semantic, near, entry)
                {
                    return found;
                }
                self.next(cache, host, semantic)
            }
            Stage::Judging => {
                let judge = semantic.judge.as_ref();
                let body = judge.and_then(|judge| judge.remote.heard(host, reply));
                match (judge, body, self.passed.take()) {
                    (Some(judge), Some(body), Some((entry, similarity))) if judge.read(body) => {
                        Found::Answer(entry, similarity)
                    }
                    (_, Some(_), _) => {
                        cache.meters.count(host, "ai_cache_vetoed_total|what=judge", 1);
                        Found::Nothing
                    }
                    _ => failed(cache, host, "judge"),
                }
            }
        }
    }

    fn query(&self, cache: &Cache, host: &dyn Host) -> Option<Query<'_>> {
        Some(Query {
            vector: self.vector.as_deref()?,
            partition: self.question.partition,
            count: cache.policy.semantic.as_ref().map_or(1, |semantic| semantic.candidates),
            now: seconds(host),
        })
    }

    fn search(&mut self, cache: &Cache, host: &dyn Host, semantic: &Semantic) -> Found {
        let Some(query) = self.query(cache, host) else { return Found::Nothing };
        match &semantic.vectors {
            Vectors::Local(vectors) => {
                let near = vectors.search(host, &query);
                self.sift(cache, host, semantic, near)
            }
            Vectors::Remote(vectors) => {
                let Some(request) = vectors.api.search(&query) else { return Found::Nothing };
                self.stage = Stage::Searching;
                call_or(vectors.remote.call(host, request), || failed(cache, host, "vectors"))
            }
        }
    }

    fn sift(
        &mut self,
        cache: &Cache,
        host: &dyn Host,
        semantic: &Semantic,
        mut near: Vec<Near>,
    ) -> Found {
        near.retain(|near| near.similarity >= self.threshold);
        near.truncate(20);
        shared::sort::few(&mut near, |a, b| a.similarity < b.similarity);
        self.near = near;
        self.next(cache, host, semantic)
    }

    /// Looks at the next one.
    fn next(&mut self, cache: &Cache, host: &dyn Host, semantic: &Semantic) -> Found {
        while let Some(near) = self.near.pop() {
            if let Some(entry) = cache.local.get(host, &near.key) {
                if let Some(found) = self.look(cache, host, semantic, near, entry) {
                    return found;
                }
                continue;
            }
            if let Some(redis) = &cache.redis
                && let Some(call) = redis.get(host, &near.key)
            {
                self.stage = Stage::Fetching(near);
                return Found::Call(Box::new(call));
            }
        }
        Found::Nothing
    }

    /// Whether an answer serves this question; `None` if it does not.
    fn look(
        &mut self,
        cache: &Cache,
        host: &dyn Host,
        semantic: &Semantic,
        near: Near,
        entry: Entry,
    ) -> Option<Found> {
        // Stores can be mistaken, or written to by others.
        let partition = self.question.partition.hex();
        let (known, of) = entry.head.question.clone()?;
        if of != partition || entry.age(seconds(host)) != Age::Fresh {
            return None;
        }
        let entry = told::tell(&self.ask, entry)?;
        if cache.policy.semantic.as_ref().is_some_and(|semantic| semantic.veto)
            && let Some(why) = veto::differ(&known, &self.question.text)
        {
            cache.meters.count(host, &format!("ai_cache_vetoed_total|what={}", why.name()), 1);
            return None;
        }
        let Some(judge) = &semantic.judge else {
            return Some(Found::Answer(Box::new(entry), near.similarity));
        };
        let request = judge.request(&known, &self.question.text);
        self.stage = Stage::Judging;
        self.passed = Some((Box::new(entry), near.similarity));
        Some(call_or(judge.remote.call(host, request), || failed(cache, host, "judge")))
    }
}

fn call_or(call: Option<Call>, otherwise: impl FnOnce() -> Found) -> Found {
    match call {
        Some(call) => Found::Call(Box::new(call)),
        None => otherwise(),
    }
}

fn failed(cache: &Cache, host: &dyn Host, what: &str) -> Found {
    cache.meters.count(host, &format!("ai_cache_failed_total|what={what}"), 1);
    Found::Nothing
}
