//! Whether an answer is as a JSON Schema wants it.
//!
//! The keywords that providers take for structured outputs
//! (<https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>,
//! <https://ai.google.dev/api/caching#Schema>), by JSON Schema 2020-12. `pattern` and `format` are not
//! looked at: compiling an expression for one answer costs more than it tells. The crates that do the
//! whole standard are larger than this plugin.

use serde_json::Value;

/// Deepest nesting that is followed, of schema and answer; `$ref` can go round in a circle.
const DEEPEST: u32 = 64;
/// Most steps of one check, so that alternatives within alternatives come to an end.
const MOST_STEPS: u32 = 100_000;

/// Whether a value is valid. What is too deep or takes too long is not.
pub(super) fn is_valid(schema: &Value, value: &Value) -> bool {
    let mut check = Check { root: schema, steps: 0 };
    check.valid(schema, value, 0)
}

struct Check<'s> {
    root: &'s Value,
    steps: u32,
}

impl<'s> Check<'s> {
    fn valid(&mut self, schema: &'s Value, value: &Value, depth: u32) -> bool {
        self.steps = self.steps.saturating_add(1);
        if depth > DEEPEST || self.steps > MOST_STEPS {
            return false;
        }
        let schema = match schema {
            Value::Bool(all) => return *all,
            Value::Object(schema) => schema,
            _ => return true,
        };
        let deeper = depth.saturating_add(1);
        let get = |name: &str| schema.get(name);
        if let Some(found) = get("$ref").and_then(Value::as_str)
            && !self.resolve(found).is_some_and(|found| self.valid(found, value, deeper))
        {
            return false;
        }
        // Google's way of a type or null.
        if value.is_null() && get("nullable") == Some(&Value::Bool(true)) {
            return true;
        }
        get("type").is_none_or(|kind| is_of(kind, value))
            && get("const").is_none_or(|only| equal(only, value))
            && list(get("enum")).is_none_or(|all| all.iter().any(|one| equal(one, value)))
            && list(get("allOf")).is_none_or(|all| all.iter().all(|s| self.valid(s, value, deeper)))
            && list(get("anyOf")).is_none_or(|all| all.iter().any(|s| self.valid(s, value, deeper)))
            && list(get("oneOf")).is_none_or(|all| {
                all.iter().filter(|schema| self.valid(schema, value, deeper)).count() == 1
            })
            && get("not").is_none_or(|not| !self.valid(not, value, deeper))
            && match value {
                Value::Object(_) => self.object(schema, value, deeper),
                Value::Array(items) => self.array(schema, items, deeper),
                Value::String(text) => {
                    within(schema, "minLength", "maxLength", || text.chars().count())
                }
                Value::Number(number) => {
                    number.as_f64().is_none_or(|number| in_range(schema, number))
                }
                _ => true,
            }
    }

    fn object(&mut self, schema: &'s Map, value: &Value, depth: u32) -> bool {
        let Value::Object(members) = value else { return true };
        let required = list(schema.get("required")).unwrap_or_default().iter();
        if !required.filter_map(Value::as_str).all(|name| members.contains_key(name)) {
            return false;
        }
        let known = schema.get("properties");
        let others = schema.get("additionalProperties");
        within(schema, "minProperties", "maxProperties", || members.len())
            && members.iter().all(|(name, value)| {
                match known.and_then(|known| known.get(name)).or(others) {
                    Some(schema) => self.valid(schema, value, depth),
                    None => true,
                }
            })
    }

    fn array(&mut self, schema: &'s Map, items: &[Value], depth: u32) -> bool {
        let first = list(schema.get("prefixItems")).unwrap_or_default();
        within(schema, "minItems", "maxItems", || items.len())
            && items.iter().enumerate().all(|(place, item)| {
                match first.get(place).or_else(|| schema.get("items")) {
                    Some(schema) => self.valid(schema, item, depth),
                    None => true,
                }
            })
    }

    /// `#`, or `#/$defs/name`, of the same schema.
    fn resolve(&self, name: &str) -> Option<&'s Value> {
        self.root.pointer(name.strip_prefix('#')?)
    }
}

type Map = serde_json::Map<String, Value>;

fn list(value: Option<&Value>) -> Option<&[Value]> {
    value.and_then(Value::as_array).map(Vec::as_slice)
}

/// `string`, Google's `STRING`, or a list of them.
fn is_of(kind: &Value, value: &Value) -> bool {
    match kind {
        Value::String(kind) => match kind.to_ascii_lowercase().as_str() {
            "string" => value.is_string(),
            "number" => value.is_number(),
            // 1.0 is one as well.
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "null" => value.is_null(),
            _ => true,
        },
        Value::Array(kinds) => kinds.iter().any(|kind| is_of(kind, value)),
        _ => true,
    }
}

/// 1 and 1.0 are the same.
fn equal(a: &Value, b: &Value) -> bool {
    a == b || (a.is_number() && b.is_number() && a.as_f64() == b.as_f64())
}

fn within(schema: &Map, least: &str, most: &str, count: impl Fn() -> usize) -> bool {
    // Google writes these as text.
    let limit = |name: &str| {
        let limit = schema.get(name)?;
        limit.as_u64().or_else(|| limit.as_str()?.parse().ok())
    };
    let count = || u64::try_from(count()).unwrap_or(u64::MAX);
    limit(least).is_none_or(|least| count() >= least)
        && limit(most).is_none_or(|most| count() <= most)
}

fn in_range(schema: &Map, number: f64) -> bool {
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    limit("minimum").is_none_or(|least| number >= least)
        && limit("maximum").is_none_or(|most| number <= most)
        && limit("exclusiveMinimum").is_none_or(|least| number > least)
        && limit("exclusiveMaximum").is_none_or(|most| number < most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_keyword_refuses_what_is_not_so() {
        for (schema, good, bad) in [
            (json!({"type": "integer"}), json!(2.0), json!(2.5)),
            (json!({"type": ["string", "null"]}), json!(null), json!(1)),
            (json!({"type": "STRING", "nullable": true}), json!(null), json!(1)),
            (json!({"enum": ["a", 1]}), json!(1.0), json!("b")),
            (json!({"const": {"a": 1}}), json!({"a": 1}), json!({"a": 2})),
            (json!({"required": ["a"]}), json!({"a": null}), json!({"b": 1})),
            (json!({"properties": {"a": {"type": "string"}}}), json!({"b": 1}), json!({"a": 1})),
            (
                json!({"properties": {"a": {}}, "additionalProperties": false}),
                json!({"a": 1}),
                json!({"a": 1, "b": 2}),
            ),
            (
                json!({"additionalProperties": {"type": "number"}}),
                json!({"a": 1}),
                json!({"a": ""}),
            ),
            (json!({"items": {"type": "number"}}), json!([1, 2]), json!([1, ""])),
            (
                json!({"prefixItems": [{"type": "number"}], "items": false}),
                json!([1]),
                json!([1, 2]),
            ),
            (json!({"minItems": "1"}), json!([1]), json!([])),
            (json!({"maxLength": 2}), json!("äö"), json!("abc")),
            (json!({"minimum": 1, "exclusiveMaximum": 2}), json!(1), json!(2)),
            (json!({"anyOf": [{"type": "string"}, {"minimum": 3}]}), json!(3), json!(2)),
            (json!({"oneOf": [{"minimum": 1}, {"minimum": 3}]}), json!(2), json!(4)),
            (json!({"allOf": [{"minimum": 1}, {"maximum": 3}]}), json!(2), json!(4)),
            (json!({"not": {"type": "null"}}), json!(1), json!(null)),
            (
                json!({"$defs": {"n": {"type": "object", "required": ["next"], "properties": {
                    "next": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]}}}},
                    "$ref": "#/$defs/n"}),
                json!({"next": {"next": null}}),
                json!({"next": {"next": 1}}),
            ),
        ] {
            assert!(is_valid(&schema, &good), "{schema} {good}");
            assert!(!is_valid(&schema, &bad), "{schema} {bad}");
        }
    }

    #[test]
    fn a_circle_and_endless_alternatives_come_to_an_end() {
        assert!(!is_valid(&json!({"$ref": "#"}), &json!(1)));
        let again = json!({"$ref": "#"});
        assert!(!is_valid(&json!({"anyOf": [again, again, again, again]}), &json!(1)));
    }
}
