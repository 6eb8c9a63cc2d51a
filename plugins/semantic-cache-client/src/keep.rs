//! Keeping an answer once its request is over and what prompt-guard says of it is known.

use shared::facts::Fact;
use shared::filter::Cx;
use shared::host::Host;

use crate::answer::{self, Assembly};
use crate::ask::Ask;
use crate::cache::{Cache, seconds};
use crate::key::Key;
use crate::policy::Life;
use crate::record::{Entry, Head};
use crate::store::local::{Keeping, Kept};
use crate::told;
use crate::vector::Point;

/// An answer as it was seen.
#[derive(Debug)]
pub(crate) enum Answer {
    /// None that could be kept.
    Nothing,
    /// It comes whole.
    Expected,
    /// It came whole; if it is one that may be kept.
    Whole(Result<Vec<u8>, Why>),
    /// It comes as a stream; bytes so far.
    Stream(Assembly, usize),
}

/// Why an answer is not kept; for metrics.
pub(crate) type Why = &'static str;

/// What an answer is kept for.
pub(crate) struct Purpose<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) life: Life,
    /// The question's vector.
    pub(crate) vector: Option<&'a [f32]>,
    /// That of its name when it was asked for.
    pub(crate) epoch: u64,
    /// That of all.
    pub(crate) all: u64,
    /// The claim that is given back, if the answer is put into the proxy's memory or can never be.
    pub(crate) claim: Option<u64>,
}

/// Keeps an answer that may be kept. False if it is none: then the claim is not given back.
pub(crate) fn keep(cache: &Cache, cx: &mut Cx<'_>, answer: Answer, purpose: &Purpose<'_>) -> bool {
    if matches!(answer, Answer::Nothing | Answer::Expected) {
        return false;
    }
    let ask = purpose.ask;
    let owners = [&ask.tenant, &ask.consumer, &ask.user].map(|name| cache.names.of(name));
    let entry = match entry(cache, cx, ask, purpose.life, answer, &owners) {
        Ok(entry) => entry,
        Err(why) => {
            cache.meters.count(cx.host, &format!("ai_cache_not_stored_total|what={why}"), 1);
            return false;
        }
    };
    let keeping = Keeping { epoch: Some(purpose.epoch), claim: purpose.claim, until: 0 };
    if front(cache, cx.host, &ask.key, &entry, keeping) == Kept::Purged {
        cache.meters.count(cx.host, "ai_cache_not_stored_total|what=purged", 1);
        return true;
    }
    if let Some(redis) = &cache.redis {
        let request = redis.put(&ask.key, &entry, &owners, seconds(cx.host));
        cache.put_later(cx.host, request, purpose.all);
    }
    if let (Some(vector), Some(question)) = (purpose.vector, &ask.question) {
        let [tenant, consumer, user] = owners;
        let point = Point {
            key: ask.key,
            partition: question.partition,
            tenant,
            consumer,
            user,
            until: entry.head.expires,
            vector: vector.to_vec(),
        };
        cache.add_vector(cx.host, point, purpose.all);
    }
    cache.meters.count(cx.host, "ai_cache_stored_total", 1);
    true
}

fn entry(
    cache: &Cache,
    cx: &mut Cx<'_>,
    ask: &Ask,
    life: Life,
    answer: Answer,
    owners: &[Key; 3],
) -> Result<Entry, Why> {
    let guard = cx.facts.get(cx.host, Fact::Guard).unwrap_or_default();
    if guard.starts_with("block") {
        return Err("guard");
    }
    if cx.facts.get(cx.host, Fact::Error).is_some_and(|error| !error.is_empty()) {
        return Err("error");
    }
    let usage = cx.facts.usage(cx.host);
    let body = match answer {
        Answer::Nothing | Answer::Expected => return Err("incomplete"),
        Answer::Whole(kept) => kept?,
        Answer::Stream(assembly, _) => {
            let mut value = assembly.finish().ok_or("incomplete")?;
            if let Some(usage) = &usage {
                answer::add_usage(ask.endpoint, &mut value, usage);
            }
            let text = shared::json::text_of(&value);
            if !answer::good(ask.endpoint, &text, ask.wanted()) {
                return Err("unfinished");
            }
            text.into_bytes()
        }
    };
    if body.len() > cache.policy.max_entry_bytes {
        return Err("too_large");
    }
    let model = cx.facts.get(cx.host, Fact::Model).unwrap_or_else(|| ask.model.clone());
    let mut cost = None;
    if let Some(usage) = &usage {
        let provider = cx.facts.get(cx.host, Fact::Provider).unwrap_or_default();
        cost = cache.policy.prices.cost(&provider, &model, usage);
    }
    let usage = usage.unwrap_or_default();
    let created = seconds(cx.host);
    let ttl = cache.policy.jittered(life.ttl, cx.host.random());
    let expires = created.saturating_add(ttl.into());
    let head = Head {
        api: told::letter(ask.endpoint),
        owners: owners.map(|owner| owner.number()),
        created,
        expires,
        stale_until: expires.saturating_add(cache.policy.stale_if_error.into()),
        question: ask.question.as_ref().map(|asked| (asked.text.clone(), asked.partition.hex())),
        model,
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        cost: cost.unwrap_or(0),
        ..Head::default()
    };
    Ok(Entry::new(&ask.key, head, body))
}

/// Keeps an answer in the proxy's memory; where there is Redis too, for a short while.
pub(crate) fn front(
    cache: &Cache,
    host: &dyn Host,
    key: &Key,
    entry: &Entry,
    keeping: Keeping,
) -> Kept {
    let until = match (&cache.redis, cache.front_ttl) {
        (Some(_), front) => entry.head.stale_until.min(seconds(host).saturating_add(front)),
        (None, _) => entry.head.stale_until,
    };
    let kept = cache.local.put(host, key, entry, Keeping { until, ..keeping });
    let lost = match kept {
        Kept::Yes(lost) => lost,
        Kept::TooLarge => 1,
        Kept::Purged => 0,
    };
    cache.meters.count(host, "ai_cache_evicted_total", lost);
    kept
}
