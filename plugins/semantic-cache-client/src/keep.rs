//! Keeping an answer once its request is over and what prompt-guard says of it is known.

use serde_json::Value;
use shared::facts::Fact;
use shared::filter::Cx;
use shared::host::Host;

use crate::answer::{self, Assembly, Wanted};
use crate::ask::Ask;
use crate::cache::{Cache, seconds};
use crate::key::Key;
use crate::policy::Life;
use crate::record::{Entry, Head};
use crate::vector::Point;

/// An answer as it was seen.
#[derive(Debug)]
pub(crate) enum Answer {
    /// None that could be kept.
    Nothing,
    /// It comes whole.
    Expected,
    /// It came whole.
    Whole(Vec<u8>),
    /// It comes as a stream; bytes so far.
    Stream(Assembly, usize),
}

/// Why an answer is not kept; for metrics.
type Why = &'static str;

/// Keeps an answer that may be kept; `epoch` is that of its request.
pub(crate) fn keep(
    cache: &Cache,
    cx: &mut Cx<'_>,
    ask: &Ask,
    life: Life,
    answer: Answer,
    vector: Option<&[f32]>,
    epoch: u64,
) {
    if matches!(answer, Answer::Nothing | Answer::Expected) {
        return;
    }
    match entry(cache, cx, ask, life, answer) {
        Ok(entry) => {
            store(cache, cx.host, &ask.key, &entry, epoch);
            if let (Some(vector), Some(question)) = (vector, &ask.question) {
                let point = Point {
                    key: ask.key,
                    partition: question.partition,
                    tenant: ask.tenant,
                    consumer: Key::of(&ask.consumer),
                    user: Key::of(&ask.user),
                    until: entry.head.expires,
                    vector: vector.to_vec(),
                };
                cache.add_vector(cx.host, point, epoch);
            }
            cache.meters.count(cx.host, "ai_cache_stored_total", 1);
        }
        Err(why) => {
            cache.meters.count(cx.host, &format!("ai_cache_not_stored_total|what={why}"), 1);
        }
    }
}

fn entry(
    cache: &Cache,
    cx: &mut Cx<'_>,
    ask: &Ask,
    life: Life,
    answer: Answer,
) -> Result<Entry, Why> {
    let guard = cx.facts.get(cx.host, Fact::Guard).unwrap_or_default();
    if guard.starts_with("block") {
        return Err("guard");
    }
    if cx.facts.get(cx.host, Fact::Error).is_some_and(|error| !error.is_empty()) {
        return Err("error");
    }
    let usage = cx.facts.usage(cx.host);
    let wanted = Wanted { tools: ask.tools };
    let body = match answer {
        Answer::Nothing | Answer::Expected => return Err("incomplete"),
        Answer::Whole(bytes) => {
            let value: Value = shared::json::from_bytes(&bytes).map_err(|_| "malformed")?;
            if !answer::good(ask.endpoint, &value, wanted) {
                return Err("unfinished");
            }
            bytes
        }
        Answer::Stream(assembly, _) => {
            let mut value = assembly.finish().ok_or("incomplete")?;
            if !answer::good(ask.endpoint, &value, wanted) {
                return Err("unfinished");
            }
            if let Some(usage) = &usage {
                answer::add_usage(ask.endpoint, &mut value, usage);
            }
            serde_json::to_vec(&value).map_err(|_| "malformed")?
        }
    };
    if body.len() > cache.policy.max_entry_bytes {
        return Err("too_large");
    }
    let usage = usage.unwrap_or_default();
    let provider = cx.facts.get(cx.host, Fact::Provider).unwrap_or_default();
    let model = cx.facts.get(cx.host, Fact::Model).unwrap_or_else(|| ask.model.clone());
    let cost = cache.policy.prices.cost(&provider, &model, &usage);
    let created = seconds(cx.host);
    let ttl = cache.policy.jittered(life.ttl, cx.host.random());
    let expires = created.saturating_add(ttl.into());
    let head = Head {
        tenant: ask.tenant.hex(),
        consumer: Key::of(&ask.consumer).hex(),
        user: Key::of(&ask.user).hex(),
        created,
        expires,
        stale_until: expires.saturating_add(cache.policy.stale_if_error.into()),
        question: ask.question.as_ref().map(|question| question.text.clone()),
        partition: ask.question.as_ref().map(|question| question.partition.hex()),
        model,
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        cost: cost.unwrap_or(0),
        ..Head::default()
    };
    Ok(Entry::new(&ask.key, head, body))
}

fn store(cache: &Cache, host: &dyn Host, key: &Key, entry: &Entry, epoch: u64) {
    front(cache, host, key, entry);
    if let Some(redis) = &cache.redis {
        cache.put_later(host, redis.put(key, entry, seconds(host)), epoch);
    }
}

/// Keeps an answer in the proxy's memory; where there is Redis too, for a short while.
pub(crate) fn front(cache: &Cache, host: &dyn Host, key: &Key, entry: &Entry) {
    let now = seconds(host);
    let until = match (&cache.redis, cache.front_ttl) {
        (Some(_), front) => entry.head.stale_until.min(now.saturating_add(front)),
        (None, _) => entry.head.stale_until,
    };
    let lost = cache.local.put(host, key, entry, until, now);
    cache.meters.count(host, "ai_cache_evicted_total", lost);
}
