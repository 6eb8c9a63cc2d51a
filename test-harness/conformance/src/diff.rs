//! Where two documents differ.

use std::fmt;

use serde_json::{Number, Value};

/// The longest value that is shown, in characters.
const SHOWN: usize = 100;

/// A place where they differ; `None` where one of them has nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// `messages[0].content`
    pub(crate) path: String,
    pub(crate) ours: Option<Value>,
    pub(crate) theirs: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ours = self.ours.as_ref().map(shorten);
        let theirs = self.theirs.as_ref().map(shorten);
        let text = |value: Option<String>| value.unwrap_or_else(|| "nothing".into());
        write!(f, "{}: ours {}, theirs {}", self.path, text(ours), text(theirs))
    }
}

fn shorten(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= SHOWN {
        return text;
    }
    text.chars().take(SHOWN).chain("...".chars()).collect()
}

/// All places where they differ, the innermost of each.
pub(crate) fn differences(ours: &Value, theirs: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(String::new(), Some(ours), Some(theirs), &mut found);
    found
}

fn compare(
    path: String,
    ours: Option<&Value>,
    theirs: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    match (ours, theirs) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let only_theirs = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(only_theirs) {
                let dot = if path.is_empty() { "" } else { "." };
                compare(format!("{path}{dot}{key}"), a.get(key), b.get(key), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for at in 0..a.len().max(b.len()) {
                compare(format!("{path}[{at}]"), a.get(at), b.get(at), found);
            }
        }
        (Some(Value::Number(a)), Some(Value::Number(b))) if same_number(a, b) => {}
        (a, b) if a == b => {}
        (a, b) => found.push(Difference { path, ours: a.cloned(), theirs: b.cloned() }),
    }
}

/// Fractions count as equal if they are the same single-precision number, as which some gateways keep
/// them: 0.7 became 0.699999988079071. Whole numbers are compared exactly.
fn same_number(a: &Number, b: &Number) -> bool {
    let whole = |number: &Number| {
        let fraction = number.as_f64().filter(|number| number.fract() == 0.0);
        number.as_i128().or(fraction.map(|number| number as i128))
    };
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.as_f64().map(|a| a as f32) == b.as_f64().map(|b| b as f32),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(a: Value, b: Value) -> Vec<String> {
        differences(&a, &b).into_iter().map(|difference| difference.path).collect()
    }

    #[test]
    fn every_place_is_named() {
        let a = json!({ "a": [1, { "b": "x" }], "c": 1, "d": null });
        let b = json!({ "a": [1, { "b": "y" }, 3], "e": 1, "d": null });
        assert_eq!(paths(a, b), ["a[1].b", "a[2]", "c", "e"]);
        assert_eq!(paths(json!({ "a": null }), json!({})), ["a"]);
        assert_eq!(paths(json!({ "a": "1" }), json!({ "a": 1 })), ["a"]);
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(paths(json!([0.7, 1, 100]), json!([0.699999988079071, 1.0, 1e2])).is_empty());
        assert_eq!(paths(json!([0.7, 16777216]), json!([0.71, 16777217])), ["[0]", "[1]"]);
    }

    #[test]
    fn long_values_are_shortened() {
        let shown = differences(&json!({ "a": "x".repeat(1000) }), &json!({}));
        let shown = shown.first().unwrap().to_string();
        assert!(shown.len() < 200 && shown.ends_with("..., theirs nothing"), "{shown}");
    }
}
