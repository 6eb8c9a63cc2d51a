//! A request's values, in the metrics.

use shared::host::Host;

use crate::names;
use crate::record::{Ending, NONE, Record};
use crate::series::{Labels, SeriesTable};

/// Counts a request that is over.
pub fn emit(series: &SeriesTable, host: &dyn Host, record: &Record) {
    let trusted = record.confirmed();
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
    series.add(host, &names::REQUESTS, labels, trusted, 1);
    attempts(series, host, r);
    others(series, host, r);
    if r.served() {
        durations(series, host, r);
        tokens(series, host, r);
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

fn durations(series: &SeriesTable, host: &dyn Host, r: &Record) {
    let trusted = r.confirmed();
    let served = [r.operation, &r.provider, &r.requested_model, &r.model];
    let whole = [r.operation, &r.provider, &r.requested_model, &r.model, &r.error_type];
    let record = |metric, labels, nanos: Option<u64>| {
        if let Some(nanos) = nanos {
            series.record(host, metric, Labels(labels), trusted, millis(nanos));
        }
    };
    record(&names::OPERATION_DURATION, &whole, Some(r.total));
    record(&names::INFERENCE_DURATION, &whole, r.is_inference().then_some(r.total));
    record(&names::SERVER_DURATION, &whole, r.upstream);
    record(&names::FIRST_CHUNK, &served, r.first_event);
    record(&names::FIRST_TOKEN_TIME, &served, r.first_token);
    record(&names::PER_CHUNK, &served, r.per_event);
    record(&names::PER_TOKEN_TIME, &served, r.per_token);
    if let Some(own) = r.own {
        let labels = Labels(&[r.operation]);
        series.record(host, &names::OVERHEAD_TIME, labels, true, own / 1_000);
    }
}

fn tokens(series: &SeriesTable, host: &dyn Host, r: &Record) {
    let Some(usage) = &r.usage else { return };
    let trusted = r.confirmed();
    let source = if r.estimated { "estimated" } else { "reported" };
    let served = [r.operation, &r.provider, &r.requested_model, &r.model];
    for (kind, tokens, inference) in [
        ("input", usage.prompt_tokens, &names::USAGE_INPUT),
        ("output", usage.completion_tokens, &names::USAGE_OUTPUT),
        ("cached", usage.cached_tokens, &names::USAGE_CACHED),
        ("cache_write", usage.cache_creation_tokens, &names::USAGE_CACHE_WRITE),
        ("reasoning", usage.reasoning_tokens, &names::USAGE_REASONING),
    ] {
        let whole = matches!(kind, "input" | "output");
        if tokens == 0 && !whole {
            continue;
        }
        if r.is_inference() {
            series.add(host, inference, Labels(&served), trusted, signed(tokens));
        }
        let labels = Labels(&[
            r.operation,
            &r.provider,
            &r.requested_model,
            &r.model,
            &r.consumer,
            &r.team,
            &r.route,
            &r.variant,
            kind,
            source,
        ]);
        series.add(host, &names::TOKENS_USED, labels, trusted, signed(tokens));
        if whole {
            let labels = Labels(&[r.operation, &r.provider, &r.requested_model, &r.model, kind]);
            series.record(host, &names::TOKEN_USAGE, labels, trusted, tokens);
        }
    }
    match r.cost {
        Some(cost) => {
            let labels = Labels(&[
                &r.provider,
                &r.requested_model,
                &r.model,
                &r.consumer,
                &r.team,
                &r.route,
                &r.variant,
                source,
            ]);
            series.add(host, &names::COST, labels, trusted, signed(cost));
        }
        None => {
            let labels = Labels(&[&r.provider, &r.model]);
            series.add(host, &names::UNPRICED, labels, trusted, 1);
        }
    }
}

/// Envoy's histograms hold whole numbers.
fn millis(nanos: u64) -> u64 {
    nanos.saturating_add(500_000) / 1_000_000
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
