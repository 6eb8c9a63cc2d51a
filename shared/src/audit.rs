//! The line that every plugin writes into the proxy's log for a decision: a refusal, a routing, what an
//! administrator did, an erasure. One schema, so that one query finds them all.
//!
//! Never in it: prompts, answers, keys, masked values.

use serde_json::{Value, json};

use crate::time;

/// A line of the log, a JSON object. It always has `audit` (the schema's version), `time` (UTC), `event`
/// (whose decision), `action`, `consumer`, `rule`, `score`, `entities` (counts by kind) and `text` (a keyed
/// hash); `more`, an object, fills these in and adds what is of this event alone.
pub fn line(
    now_nanos: u64,
    event: &str,
    action: &str,
    consumer: Option<&str>,
    more: Value,
) -> String {
    let mut line = json!({
        "audit": 1,
        "time": time::written(now_nanos / 1_000_000_000),
        "event": event,
        "action": action,
        "consumer": consumer,
        "rule": null,
        "score": null,
        "entities": {},
        "text": null,
    });
    if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
    crate::json::text_of(&line)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn every_line_has_the_same_fields() {
        let bare = line(0, "cache_purge", "erase", None, json!({"removed": 3}));
        let full = line(
            1_700_000_000_000_000_000,
            "guard",
            "block",
            Some("anna"),
            json!({"rule": "pii:EMAIL", "score": 0.5, "entities": {"EMAIL": 1}, "text": "9f86"}),
        );
        let [bare, full] = [bare, full].map(|line| serde_json::from_str::<Value>(&line).unwrap());
        for key in
            ["audit", "time", "event", "action", "consumer", "rule", "score", "entities", "text"]
        {
            assert!(bare.get(key).is_some() && full.get(key).is_some(), "{key}");
        }
        assert_eq!((&bare["time"], &bare["removed"]), (&json!("1970-01-01T00:00:00Z"), &json!(3)));
        assert_eq!(
            (&full["time"], &full["rule"]),
            (&json!("2023-11-14T22:13:20Z"), &json!("pii:EMAIL"))
        );
    }
}
