//! A request's values, in the metrics.

use shared::host::Host;

use crate::group::{Group, KINDS, Part};
use crate::names::{self, Definition};
use crate::record::{Ending, NONE, Record};
use crate::series::{Labels, SeriesTable};

/// Counts a request that is over.
pub fn emit(series: &SeriesTable, host: &dyn Host, record: &Record) {
    let r = record;
    let status = r.status.to_string();
    let finish = r.finish.map_or(NONE, |finish| finish.name());
    let stream = if r.stream { "true" } else { "false" };
    let labels = Labels(&[
        r.operation,
        &r.provider,
        &r.requested_model,
        &r.model,
        &r.consumer,
        &r.team,
        &r.route,
        &r.variant,
        r.protocol,
        stream,
        &status,
        &r.error_type,
        finish,
    ]);
    let group = series.group(host, labels, r.confirmed());
    group.add((series, host), &names::REQUESTS, Part::default(), 1);
    attempts(series, host, r);
    others(series, host, r);
    if r.served() {
        durations(&group, (series, host), r);
        tokens(&group, (series, host), r);
    }
}

fn attempts(series: &SeriesTable, host: &dyn Host, r: &Record) {
    let Some((last, before)) = r.attempts.split_last() else { return };
    for provider in before {
        series.add(host, &names::ATTEMPTS, Labels(&[provider, "failed"]), true, 1);
    }
    let result = match r.ending {
        Ending::Failed => "failed",
        // The provider has refused; that is for the client to mend.
        Ending::Refused => "refused",
        Ending::Ok | Ending::Left => "served",
    };
    series.add(host, &names::ATTEMPTS, Labels(&[last, result]), true, 1);
}

/// What the plugins between here and the provider did.
fn others(series: &SeriesTable, host: &dyn Host, r: &Record) {
    if !r.cache.is_empty() {
        series.add(host, &names::CACHE, Labels(&[&r.cache, &r.consumer, &r.route]), true, 1);
    }
    if let (true, Some(usage)) = (r.from_cache(), &r.usage) {
        for (kind, tokens) in [("input", usage.prompt_tokens), ("output", usage.completion_tokens)]
        {
            let labels = Labels(&[&r.requested_model, kind]);
            series.add(host, &names::CACHE_TOKENS, labels, r.confirmed(), signed(tokens));
        }
    }
    if !r.limit.is_empty() {
        let labels = Labels(&[&r.limit, &r.consumer, &r.team]);
        series.add(host, &names::LIMITED, labels, true, 1);
    }
    if !r.guard.is_empty() {
        series.add(host, &names::GUARD, Labels(&[&r.guard, &r.consumer, &r.route]), true, 1);
    }
    for rule in &r.guard_rules {
        series.add(host, &names::GUARD_RULES, Labels(&[rule, &r.guard]), true, 1);
    }
    for kind in &r.pii {
        series.add(host, &names::PII, Labels(&[kind, &r.consumer]), true, 1);
    }
}

fn durations(group: &Group, at: (&SeriesTable, &dyn Host), r: &Record) {
    let record = |metric: &'static Definition, nanos: Option<u64>| {
        if let Some(nanos) = nanos {
            group.record(at, metric, Part::default(), millis(nanos));
        }
    };
    record(&names::OPERATION_DURATION, Some(r.total));
    record(&names::INFERENCE_DURATION, r.is_inference().then_some(r.total));
    record(&names::SERVER_DURATION, r.upstream);
    record(&names::FIRST_CHUNK, r.first_event);
    record(&names::FIRST_TOKEN_TIME, r.first_token);
    record(&names::PER_CHUNK, r.per_event);
    record(&names::PER_TOKEN_TIME, r.per_token);
    if let Some(own) = r.own {
        group.record(at, &names::OVERHEAD_TIME, Part::default(), own / 1_000);
    }
}

fn tokens(group: &Group, at: (&SeriesTable, &dyn Host), r: &Record) {
    let Some(usage) = &r.usage else { return };
    let counts: [(u64, &'static Definition); KINDS.len()] = [
        (usage.prompt_tokens, &names::USAGE_INPUT),
        (usage.completion_tokens, &names::USAGE_OUTPUT),
        (usage.cached_tokens, &names::USAGE_CACHED),
        (usage.cache_creation_tokens, &names::USAGE_CACHE_WRITE),
        (usage.reasoning_tokens, &names::USAGE_REASONING),
    ];
    let estimated = r.estimated;
    for (kind, (tokens, inference)) in counts.into_iter().enumerate() {
        // Input and output.
        let whole = kind < 2;
        if tokens == 0 && !whole {
            continue;
        }
        if r.is_inference() {
            group.add(at, inference, Part::default(), signed(tokens));
        }
        group.add(at, &names::TOKENS_USED, Part { kind, estimated }, signed(tokens));
        if whole {
            group.record(at, &names::TOKEN_USAGE, Part { kind, estimated: false }, tokens);
        }
    }
    let part = Part { kind: 0, estimated };
    match r.cost {
        Some(cost) => group.add(at, &names::COST, part, signed(cost)),
        None => group.add(at, &names::UNPRICED, Part::default(), 1),
    }
}

/// Envoy's histograms hold whole numbers.
fn millis(nanos: u64) -> u64 {
    nanos.saturating_add(500_000) / 1_000_000
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
