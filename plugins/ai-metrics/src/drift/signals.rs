//! What is watched, and what a request says about it.

use crate::drift::detector::Kind;
use crate::language::Language;
use crate::record::{Ending, Record};

/// What is watched of a model's answers.
pub(crate) const MODEL: [Signal; 7] = [
    Signal { name: "first_token", kind: Kind::Level, of: |r| level(millis(r.first_token?)) },
    Signal {
        name: "duration",
        kind: Kind::Level,
        of: |r| if r.ending == Ending::Ok { level(millis(r.total)) } else { None },
    },
    Signal {
        name: "answer_length",
        kind: Kind::Level,
        of: |r| if answered(r) { level(number(r.usage?.completion_tokens)) } else { None },
    },
    Signal {
        name: "errors",
        kind: Kind::Rate,
        of: |r| match r.ending {
            Ending::Ok => Some(0.0),
            Ending::Failed => Some(1.0),
            // The client's doing says nothing of the model.
            Ending::Refused | Ending::Left => None,
        },
    },
    Signal { name: "refusals", kind: Kind::Rate, of: |r| event(answered(r), r.refusal) },
    Signal { name: "tool_calls", kind: Kind::Rate, of: |r| event(answered(r), r.tool_call) },
    Signal { name: "invalid_json", kind: Kind::Rate, of: |r| event(true, !r.json_valid?) },
];

/// What is watched of a route's requests.
pub(crate) const ROUTE: [Signal; 5] = [
    Signal {
        name: "prompt_length",
        kind: Kind::Level,
        of: |r| if r.profile.known { level(number(r.profile.prompt_bytes)) } else { None },
    },
    Signal {
        name: "not_english",
        kind: Kind::Rate,
        of: |r| event(has_language(r), r.profile.language != Language::English),
    },
    Signal {
        name: "other_script",
        kind: Kind::Rate,
        of: |r| {
            let latin = matches!(r.profile.language, Language::English | Language::Latin);
            event(has_language(r), !latin)
        },
    },
    Signal {
        name: "attachments",
        kind: Kind::Rate,
        of: |r| event(r.profile.known, r.profile.attachments),
    },
    Signal { name: "tools", kind: Kind::Rate, of: |r| event(r.profile.known, r.profile.tools) },
];

/// Most signals of a subject.
pub(crate) const MOST_SIGNALS: usize =
    if MODEL.len() > ROUTE.len() { MODEL.len() } else { ROUTE.len() };

/// One thing that is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal {
    /// Its name.
    pub name: &'static str,
    /// What kind of numbers it gives.
    pub kind: Kind,
    /// A request's number; `None` if it says nothing about this.
    pub of: fn(&Record) -> Option<f64>,
}

impl Signal {
    /// A mean as people read it: levels are watched as logarithms.
    pub(crate) fn readable(&self, mean: f64) -> f64 {
        let value = match self.kind {
            Kind::Level => mean.exp() - 1.0,
            Kind::Rate => mean,
        };
        (value * 10_000.0).round() / 10_000.0
    }
}

fn answered(r: &Record) -> bool {
    r.ending == Ending::Ok && r.finish.is_some()
}

fn has_language(r: &Record) -> bool {
    r.profile.known && r.profile.language != Language::Unknown
}

#[allow(clippy::unnecessary_wraps)]
fn level(value: f64) -> Option<f64> {
    Some(value.ln_1p())
}

fn event(known: bool, happened: bool) -> Option<f64> {
    known.then_some(if happened { 1.0 } else { 0.0 })
}

fn millis(nanos: u64) -> f64 {
    number(nanos) / 1e6
}

/// Beyond 2^53 a float is not exact, which does not matter here.
#[allow(clippy::cast_precision_loss)]
fn number(count: u64) -> f64 {
    count as f64
}
