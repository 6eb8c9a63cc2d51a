//! What answers say of what is left.
//!
//! `x-ratelimit-*` as OpenAI's clients read them
//! (<https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>), and the fields of
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>.

use shared::text;

use crate::config::Unit;
use crate::rule::Rule;
use crate::terms::Standing;

/// The headers for these rules and where they stand. Of several rules of a kind the tightest counts.
pub fn of<'a>(all: impl Iterator<Item = (&'a Rule, Standing)>) -> Vec<(String, String)> {
    let (mut tokens, mut requests, mut other) = (None, None, None);
    let (mut policies, mut limits) = (Vec::new(), Vec::new());
    for (rule, standing) in all {
        let slot = match rule.unit {
            Unit::TotalTokens
            | Unit::PromptTokens
            | Unit::CompletionTokens
            | Unit::WeightedTokens => &mut tokens,
            Unit::Requests => &mut requests,
            // OpenAI's headers have no word for them.
            Unit::Images | Unit::Seconds | Unit::Pages => &mut other,
            // What a request costs, and how many are under way, is not for every client to know.
            Unit::Cost | Unit::Concurrent => continue,
        };
        let tighter = |other: &Standing| share(&standing) < share(other);
        if slot.as_ref().is_none_or(tighter) {
            *slot = Some(standing);
        }
        let (name, window) = (&rule.name, rule.window_seconds);
        policies.push(text!('"', name, "\";q=", standing.limit, ";w=", window));
        limits.push(text!('"', name, "\";r=", standing.remaining(), ";t=", standing.reset));
    }
    let mut headers = Vec::new();
    for (kind, standing) in [("tokens", tokens), ("requests", requests)] {
        let Some(standing) = standing else { continue };
        for (what, value) in [
            ("limit", text!(standing.limit)),
            ("remaining", text!(standing.remaining())),
            ("reset", duration(standing.reset)),
        ] {
            headers.push((text!("x-ratelimit-", what, "-", kind), value));
        }
    }
    if !policies.is_empty() {
        headers.push(("ratelimit-policy".into(), policies.join(", ")));
        headers.push(("ratelimit".into(), limits.join(", ")));
    }
    headers
}

/// How much is left, as a share.
fn share(standing: &Standing) -> f64 {
    standing.remaining() as f64 / standing.limit.max(1) as f64
}

/// `1h2m3s`, as OpenAI writes it.
fn duration(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => text!(rest, "s"),
        (0, _) => text!(minutes, "m", rest, "s"),
        _ => text!(hours, "h", minutes, "m", rest, "s"),
    }
}
