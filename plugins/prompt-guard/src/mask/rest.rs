//! The rest of a text that was held back, as an event of its own.

use serde_json::{Map, Value};
use shared::json::JsonStr;

/// The event that a text came with, as the one that says the rest of it and nothing else: whatever else it
/// said (other texts, the names of calls) has been said.
pub(super) fn alone(before: &str, after: &str, text: &str) -> String {
    let rest = || [before, JsonStr::encode(text).quoted(), after].concat();
    // No JSON string has this without an escape.
    let marked = [before, "\"\\u0000\"", after].concat();
    let Ok(value) = shared::json::tree(&marked) else { return rest() };
    let google = value.get("candidates").is_some();
    match pruned(value, text, true, google) {
        Some(value) => shared::json::text_of(&value),
        None => rest(),
    }
}

/// What of a value leads to the mark, in whose place the text is put; `None` if nothing does.
fn pruned(value: Value, text: &str, top: bool, google: bool) -> Option<Value> {
    match value {
        Value::String(mark) => (mark == "\0").then(|| text.into()),
        Value::Array(items) => {
            let mut items = items.into_iter();
            items.find_map(|item| pruned(item, text, false, google)).map(|item| vec![item].into())
        }
        Value::Object(members) => {
            let call = members.contains_key("function");
            let mut found = false;
            let mut kept = Map::new();
            for (key, value) in members {
                let keeps = match &value {
                    Value::Null | Value::Bool(_) | Value::Number(_) => true,
                    // Ids and the model, what a delta is, and who speaks to clients of Google's.
                    Value::String(said) if said != "\0" => {
                        top || (key == "type" && !call) || (key == "role" && google)
                    }
                    _ => false,
                };
                if keeps {
                    kept.insert(key, value);
                } else if let Some(value) = pruned(value, text, false, google) {
                    found = true;
                    kept.insert(key, value);
                }
            }
            found.then(|| kept.into())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_comes_with_what_tells_whose_it_is_and_with_nothing_said_before() {
        for (event, expected) in [
            (
                r#"{"id":"c","choices":[{"index":1,"delta":{"role":"assistant","content":"a","tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":HERE}}]},"finish_reason":null}]}"#,
                r#"{"id":"c","choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"z"}}]},"finish_reason":null}]}"#,
            ),
            (
                r#"{"candidates":[{"content":{"parts":[{"text":"b"},{"text":HERE}],"role":"model"},"index":0}]}"#,
                r#"{"candidates":[{"content":{"parts":[{"text":"z"}],"role":"model"},"index":0}]}"#,
            ),
            (
                r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":HERE}}"#,
                r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"z"}}"#,
            ),
        ] {
            let (before, after) = event.split_once("HERE").unwrap();
            let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(value(&alone(before, after, "z")), value(expected));
        }
        assert_eq!(alone("no JSON ", "", "z"), "no JSON \"z\"", "better than nothing");
    }
}
