//! What is left of a provider's limits: as its answers tell, and as its keys are configured.

use shared::filter::Headers;
use shared::host::{Capability, Host};
use shared::time;

use crate::config::KeyLimits;
use crate::keys::KeyPool;

/// Pairs of headers: what is left, and when there is all of it again. OpenAI and those that follow it
/// (<https://platform.openai.com/docs/guides/rate-limits>), Anthropic
/// (<https://docs.anthropic.com/en/api/rate-limits>), and the IETF's draft as others send it.
const HEADERS: [(&str, &str); 7] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
];

/// Fewer tokens than this are as good as none.
const FEW_TOKENS: f64 = 500.0;

/// Longest that a key rests because of what is left, in seconds.
const MOST_SECONDS: u64 = 3600;

/// How often a change is tried again that another worker was faster with.
const TRIES: u32 = 8;

/// For how many seconds nothing is left, if nothing is. `now` is in seconds since the Unix epoch.
pub fn told(headers: &dyn Headers, now: u64) -> Option<u64> {
    let mut longest = None;
    for (remaining, reset) in HEADERS {
        let Some(left) = headers.get(remaining).and_then(|left| left.trim().parse::<f64>().ok())
        else {
            continue;
        };
        let needed = if remaining.contains("tokens") { FEW_TOKENS } else { 1.0 };
        if left < needed
            && let Some(seconds) = headers.get(reset).and_then(|reset| until(&reset, now))
        {
            longest = longest.max(Some(seconds.clamp(1, MOST_SECONDS)));
        }
    }
    longest
}

/// For how long an answer's `retry-after` says that nobody should ask, in seconds: so many, or until a
/// date. `now` is in seconds since the Unix epoch.
pub fn retry_after(text: Option<&str>, now: u64) -> Option<u64> {
    let text = text?.trim();
    match text.parse::<f64>() {
        // Saturates.
        Ok(seconds) => (seconds >= 0.0).then_some(seconds.ceil() as u64),
        Err(_) => Some(u64::try_from(time::of_http(text)?).unwrap_or(0).saturating_sub(now)),
    }
}

/// Seconds until then: a number of them, Go's form (`6m0s`, `120ms`) or a time of RFC 3339.
fn until(text: &str, now: u64) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        // Saturates.
        return (seconds >= 0.0).then_some(seconds.ceil() as u64);
    }
    if let Some(then) = time::parse(text) {
        return Some(u64::try_from(then).unwrap_or(0).saturating_sub(now));
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    Some(total.ceil() as u64)
}

/// A request with a key of this provider goes out, or an answer with so many tokens has come. A key
/// that has used up its share of this minute rests until the next. All workers count together where
/// they share data.
pub fn spend(
    host: &dyn Host,
    limits: &KeyLimits,
    keys: &KeyPool,
    (provider, key): (&str, usize),
    (requests, tokens): (u64, u64),
) {
    let now = host.now_nanos() / 1_000_000_000;
    let minute = now / 60;
    let name = format!("ai-proxy.keys.1.{provider}.{key}");
    let used = if host.can(Capability::SharedData) {
        count(host, &name, minute, requests, tokens)
    } else {
        keys.count(key, minute, requests, tokens)
    };
    let over = |limit: Option<u64>, used: u64| limit.is_some_and(|limit| used >= limit);
    if over(limits.requests_per_minute, used.0) || over(limits.tokens_per_minute, used.1) {
        keys.spent(key, 60 - now % 60, now);
    }
}

fn count(host: &dyn Host, name: &str, minute: u64, requests: u64, tokens: u64) -> (u64, u64) {
    for _ in 0..TRIES {
        let shared = host.shared(name);
        let version = shared.as_ref().map_or(0, |shared| shared.version);
        let (of, mut used) = shared.and_then(|shared| read(&shared.value)).unwrap_or_default();
        if of != minute {
            used = (0, 0);
        }
        used = (used.0.saturating_add(requests), used.1.saturating_add(tokens));
        let bytes = [minute, used.0, used.1].map(u64::to_le_bytes).concat();
        if host.set_shared(name, &bytes, version).is_ok() {
            return used;
        }
    }
    log::warn!("{name}: a request was not counted, the workers are too busy");
    (0, 0)
}

fn read(bytes: &[u8]) -> Option<(u64, (u64, u64))> {
    let mut numbers = bytes.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok());
    let mut next = || numbers.next().map(u64::from_le_bytes);
    Some((next()?, (next()?, next()?)))
}

#[cfg(test)]
mod tests {
    use shared::filter::ReplyHeaders;
    use shared::host::script::ScriptHost;

    use super::*;

    fn headers(list: &[(&str, &str)]) -> ReplyHeaders {
        let list = list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        ReplyHeaders { status: 200, list }
    }

    #[test]
    fn what_is_left_is_understood() {
        for (list, seconds) in [
            (
                vec![
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "1m30s"),
                ],
                Some(90),
            ),
            (
                vec![("x-ratelimit-remaining-requests", "1"), ("x-ratelimit-reset-requests", "1s")],
                None,
            ),
            (
                vec![("x-ratelimit-remaining-tokens", "10"), ("x-ratelimit-reset-tokens", "120ms")],
                Some(1),
            ),
            (
                vec![
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "2026-11-23T00:01:00Z"),
                ],
                Some(60),
            ),
            (vec![("ratelimit-remaining", "0"), ("ratelimit-reset", "7")], Some(7)),
            (vec![("ratelimit-remaining", "0"), ("ratelimit-reset", "99999")], Some(MOST_SECONDS)),
            (vec![("ratelimit-remaining", "0"), ("ratelimit-reset", "soon")], None),
        ] {
            assert_eq!(told(&headers(&list), 1_795_392_000), seconds, "{list:?}");
        }
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let seconds = |text: &str| retry_after(Some(text), 784_111_770);
        assert_eq!(seconds(" 1.5 "), Some(2));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0), "it is over");
        assert_eq!((seconds("-1"), seconds("soon"), retry_after(None, 0)), (None, None, None));
    }

    #[test]
    fn a_key_rests_for_the_rest_of_its_minute_in_all_workers() {
        let host = ScriptHost::default();
        host.now_nanos.set(90_000_000_000);
        let limits = KeyLimits { requests_per_minute: Some(2), tokens_per_minute: None };
        let keys = || KeyPool::new(&shared::config::document(r#"["a","b"]"#).unwrap());
        let (one, two) = (keys(), keys());
        spend(&host, &limits, &one, ("p", 0), (1, 10));
        assert_eq!(one.rest_of_all(90), None);
        spend(&host, &limits, &two, ("p", 0), (1, 10));
        assert_eq!(two.take(90), Some(1), "the other worker's request counts");
        two.rest(1, 10, 90);
        assert_eq!(two.rest_of_all(90), Some(10));
        assert_eq!(two.take(121), Some(0));
    }
}
