//! A plugin's `conf` as the module gets it.

use serde_json::{Map, Value};

/// What APISIX makes of a route's `conf`: a string arrives as it is; an object passes through Lua, which
/// knows no empty list, no null and no whole number of more than 14 digits.
///
/// # Errors
/// If it is neither, or empty: the schema of every Wasm plugin.
pub(super) fn bytes(conf: &Value) -> Result<Vec<u8>, String> {
    match conf {
        Value::String(text) if !text.is_empty() => Ok(text.clone().into_bytes()),
        Value::Object(fields) if !fields.is_empty() => Ok(through_lua(conf).to_string().into()),
        _ => Err("`conf` must be a string or an object, and not empty".into()),
    }
}

fn through_lua(value: &Value) -> Value {
    match value {
        Value::Null => Value::Object(Map::new()),
        Value::Array(items) if items.is_empty() => Value::Object(Map::new()),
        Value::Array(items) => items.iter().map(through_lua).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(k, v)| (k.clone(), through_lua(v))).collect())
        }
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.abs() >= 1e14 => Value::from(float),
            _ => value.clone(),
        },
        Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_passes_through_lua_and_a_string_does_not() {
        let conf =
            json!({"a": [], "b": null, "c": [1, {"d": 0.5}], "e": 123_456_789_012_345_678_u64});
        let text = String::from_utf8(bytes(&conf).unwrap()).unwrap();
        // Whether an exponent has a sign depends on what serde_json is built with.
        let text = text.replace("e+", "e");
        assert_eq!(text, r#"{"a":{},"b":{},"c":[1,{"d":0.5}],"e":1.2345678901234568e17}"#);
        assert_eq!(bytes(&json!("{ \"a\": [] }")).unwrap(), b"{ \"a\": [] }");
        for wrong in [json!(""), json!({}), json!([]), json!(7), json!(null)] {
            assert!(bytes(&wrong).is_err());
        }
    }
}
