//! What is served from the cache, and what is said of it.

use shared::facts::Fact;
use shared::filter::{Cx, Reply};
use shared::usage::Usage;

use crate::answer;
use crate::ask::Ask;
use crate::meters::Meters;
use crate::record::Head;

/// How an answer came about, in the header `x-ai-cache` and the fact `cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Bypass,
    Miss,
    Exact,
    Semantic,
    Stale,
}

impl Verdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verdict::Bypass => "bypass",
            Verdict::Miss => "miss",
            Verdict::Exact => "hit-exact",
            Verdict::Semantic => "hit-semantic",
            Verdict::Stale => "stale",
        }
    }

    /// What counts it, and what has the time that it took.
    pub(crate) fn meters(self) -> (&'static str, &'static str) {
        match self {
            Verdict::Miss => {
                ("ai_cache_lookups_total|result=miss", "ai_cache_lookup_us|result=miss")
            }
            Verdict::Exact => {
                ("ai_cache_lookups_total|result=hit-exact", "ai_cache_lookup_us|result=hit-exact")
            }
            Verdict::Semantic => (
                "ai_cache_lookups_total|result=hit-semantic",
                "ai_cache_lookup_us|result=hit-semantic",
            ),
            Verdict::Stale => {
                ("ai_cache_lookups_total|result=stale", "ai_cache_lookup_us|result=stale")
            }
            Verdict::Bypass => {
                ("ai_cache_lookups_total|result=bypass", "ai_cache_lookup_us|result=bypass")
            }
        }
    }
}

/// States and counts what an answer from the cache stands for.
pub(crate) fn saved(meters: &Meters, cx: &mut Cx<'_>, head: &Head) {
    cx.facts.set_usage(Usage {
        prompt_tokens: head.prompt_tokens,
        completion_tokens: head.completion_tokens,
        ..Usage::default()
    });
    if !head.model.is_empty() {
        cx.facts.set(cx.host, Fact::Model, head.model.clone());
    }
    // The tokens are ai-metrics' to count, by the usage stated here.
    meters.count(cx.host, "ai_cache_saved_nanodollars_total", head.cost);
}

/// The reply to a request; `None` if the answer that was kept cannot be read.
pub(crate) fn reply(
    ask: &Ask,
    head: &Head,
    answer: Vec<u8>,
    verdict: Verdict,
    similarity: Option<f64>,
    now: u64,
) -> Option<Reply> {
    let (content_type, body) = if ask.stream {
        let body = answer::stream(ask.endpoint, &answer, ask.include_usage)?;
        ("text/event-stream", body)
    } else {
        ("application/json", answer)
    };
    let age = now.saturating_sub(head.created);
    let mut headers = vec![
        ("content-type".to_owned(), content_type.to_owned()),
        ("x-ai-cache".to_owned(), verdict.name().to_owned()),
        ("x-ai-cache-id".to_owned(), head.key.clone()),
        ("age".to_owned(), age.to_string()),
    ];
    if let Some(similarity) = similarity {
        headers.push(("x-ai-cache-similarity".to_owned(), format!("{similarity:.4}")));
    }
    Some(Reply { status: 200, headers, body })
}
