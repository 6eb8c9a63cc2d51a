//! The report as JSON.

use serde_json::{Map, Value, json};

use super::stats::{Figure, quantile, share};
use super::tally::Group;
use super::{Contents, costs};
use shared::time::written_millis;

/// A figure of a group and its unit.
pub(super) struct Named {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) of: fn(&Group, u64) -> Figure,
    /// Places behind the point.
    pub(super) places: usize,
}

const MILLIS: f64 = 0.001;
const DOLLARS: f64 = 1e-9;

/// What is compared.
pub(super) const FIGURES: [Named; 8] = [
    Named {
        name: "success_rate",
        title: "Success, %",
        // Those that the client broke off or asked wrongly say nothing of the model.
        of: |group, min| share(group.ok, group.ok.saturating_add(group.failed), min).times(100.0),
        places: 2,
    },
    Named {
        name: "first_token_p50_ms",
        title: "First token, median, ms",
        of: |group, min| quantile(&group.first_token, 0.5, min).times(MILLIS),
        places: 1,
    },
    Named {
        name: "first_token_p95_ms",
        title: "First token, 95 %, ms",
        of: |group, min| quantile(&group.first_token, 0.95, min).times(MILLIS),
        places: 1,
    },
    Named {
        name: "duration_p50_ms",
        title: "Whole answer, median, ms",
        of: |group, min| quantile(&group.duration, 0.5, min).times(MILLIS),
        places: 1,
    },
    Named {
        name: "duration_p95_ms",
        title: "Whole answer, 95 %, ms",
        of: |group, min| quantile(&group.duration, 0.95, min).times(MILLIS),
        places: 1,
    },
    Named {
        name: "answer_tokens",
        title: "Tokens of an answer",
        of: |group, min| group.answer.figure(min),
        places: 1,
    },
    Named {
        name: "cost_usd",
        title: "Cost of a request, USD",
        of: |group, min| group.cost.figure(min).times(DOLLARS),
        places: 6,
    },
    Named {
        name: "feedback",
        title: "Feedback, 0 to 1",
        of: |group, min| group.feedback.figure(min),
        places: 3,
    },
];

/// The report.
pub fn view(contents: &Contents<'_>) -> Value {
    let groups = |groups: &shared::small_map::SmallMap<String, Group>| -> Value {
        groups.iter().map(|(name, group)| shown(name, group, contents.min)).collect()
    };
    let tally = contents.tally;
    let drift: Vec<_> = contents
        .drift
        .iter()
        .map(|s| {
            let score = (s.score * 1000.0).round() / 1000.0;
            json!({ "subject": s.subject, "signal": s.signal, "score": score, "active": s.active })
        })
        .collect();
    json!({
        "generated": written_millis(contents.now),
        "since": (tally.since != 0).then(|| written_millis(tally.since)),
        "min_samples": contents.min,
        "models": groups(&tally.models),
        "variants": groups(&tally.variants),
        "accounts": costs::json(tally),
        "drift": drift,
    })
}

fn shown(name: &str, group: &Group, min: u64) -> Value {
    let mut out = Map::new();
    out.insert("name".into(), name.into());
    let Group { ok, refused, failed, left, .. } = group;
    let requests = json!({
        "all": group.requests(), "ok": ok, "refused": refused, "failed": failed, "left": left,
    });
    out.insert("requests".into(), requests);
    for figure in &FIGURES {
        out.insert(figure.name.into(), number((figure.of)(group, min)));
    }
    let repeated = json!({
        "requests": group.repeated.count,
        "cost_usd": costs::dollars(group.repeated.nano_usd),
    });
    out.insert("repeated_prompts".into(), repeated);
    let cheaper: Map<_, _> = group
        .cheaper
        .iter()
        .map(|(model, sum)| {
            let saved = costs::dollars(sum.nano_usd);
            (model.clone(), json!({ "requests": sum.count, "saves_usd": saved }))
        })
        .collect();
    out.insert("cheaper_models".into(), cheaper.into());
    out.into()
}

fn number(figure: Figure) -> Value {
    match figure.known {
        Some(known) => json!({
            "n": figure.n, "value": known.value, "low": known.low, "high": known.high,
        }),
        None => json!({ "n": figure.n, "note": "not enough data" }),
    }
}
