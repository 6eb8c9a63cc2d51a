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
