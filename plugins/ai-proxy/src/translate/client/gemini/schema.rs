//! From Google's OpenAPI schemas to JSON Schema, <https://ai.google.dev/api/caching#Schema>.

use std::borrow::Cow;

use serde_json::value::RawValue;
use shared::errors::ApiError;
use shared::json::{JsonStr, parse};
use shared::protocol::gemini::{Members, Schema};
use shared::write::JsonWriter;

use crate::translate::client::bad::{bad, invalid};

/// Deeper than any schema.
const MAX_DEPTH: u32 = 64;

type Result<T> = std::result::Result<T, ApiError>;

/// The same as a JSON Schema: types are written small, what may be null says so in its type, and
/// numbers are numbers. What is JSON Schema already stays as it is.
pub(super) fn convert(schema: &RawValue, path: &str) -> Result<Cow<'static, RawValue>> {
    let mut w = JsonWriter::with_capacity(schema.get().len());
    write(&mut w, schema, path, MAX_DEPTH)?;
    let json = RawValue::from_string(w.finish());
    json.map(Cow::Owned).map_err(|_| invalid(path, "is not a schema"))
}

fn write(w: &mut JsonWriter, json: &RawValue, path: &str, depth: u32) -> Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(invalid(path, "the schema is nested too deeply"));
    };
    // JSON Schema's `true` and `false`.
    if matches!(json.get(), "true" | "false") {
        w.raw(json.get());
        return Ok(());
    }
    if !json.get().starts_with('{') {
        return Err(invalid(path, "expected a schema, which is an object"));
    }
    let schema: Schema<'_> = parse(json.get()).map_err(|error| bad(path, &error))?;
    let nullable = schema.nullable == Some(true);
    w.open('{');
    if let Some(kind) = schema.kind {
        w.key("type");
        write_type(w, kind, nullable);
    }
    if let Some(values) = schema.values {
        w.key("enum");
        w.open('[');
        values.iter().for_each(|value| w.raw(value.get()));
        if nullable && !values.iter().any(|value| value.get() == "null") {
            w.raw("null");
        }
        w.close(']');
    }
    if let Some(schemas) = schema.any_of {
        w.key("anyOf");
        w.open('[');
        for (index, one) in schemas.into_iter().enumerate() {
            write(w, one, &format!("{path}.anyOf[{index}]"), depth)?;
        }
        if nullable && schema.kind.is_none() {
            w.raw(r#"{"type":"null"}"#);
        }
        w.close(']');
    }
    if let Some(properties) = schema.properties {
        w.key("properties");
        let order = schema.property_ordering.unwrap_or_default();
        write_properties(w, properties, &order, path, depth)?;
    }
    for (key, value) in schema.rest.iter().filter(|(_, value)| value.get() != "null") {
        write_member(w, key, value, path, depth)?;
    }
    w.close('}');
    Ok(())
}

fn write_type(w: &mut JsonWriter, kind: &RawValue, nullable: bool) {
    let mut kinds: Vec<String> = match parse::<JsonStr<'_>>(kind.get()) {
        Ok(kind) => vec![kind.decode().to_ascii_lowercase()],
        Err(_) => match parse::<Vec<JsonStr<'_>>>(kind.get()) {
            Ok(kinds) => kinds.iter().map(|kind| kind.decode().to_ascii_lowercase()).collect(),
            // For the provider to refuse.
            Err(_) => return w.raw(kind.get()),
        },
    };
    if nullable && !kinds.iter().any(|kind| kind == "null") {
        kinds.push("null".into());
    }
    match kinds.as_slice() {
        [kind] => w.text(kind),
        kinds => {
            w.open('[');
            kinds.iter().for_each(|kind| w.text(kind));
            w.close(']');
        }
    }
}

/// The order of the properties is that in which models write them.
fn write_properties(
    w: &mut JsonWriter,
    properties: Members<'_>,
    order: &[JsonStr<'_>],
    path: &str,
    depth: u32,
) -> Result<()> {
    let mut members = properties.rest;
    if !order.is_empty() {
        let order: Vec<_> = order.iter().map(JsonStr::decode).collect();
        let place = |name: &str| order.iter().position(|one| one == name);
        let mut placed: Vec<_> = members
            .into_iter()
            .map(|member| (place(&member.0).unwrap_or(order.len()), member))
            .collect();
        shared::sort::by_key(&mut placed, |(place, _)| *place);
        members = placed.into_iter().map(|(_, member)| member).collect();
    }
    w.open('{');
    for (name, schema) in members {
        w.raw(JsonStr::encode(&name).quoted());
        w.raw_tail(":");
        write(w, schema, &format!("{path}.properties.{name}"), depth)?;
    }
    w.close('}');
    Ok(())
}

fn write_member(
    w: &mut JsonWriter,
    key: &str,
    value: &RawValue,
    path: &str,
    depth: u32,
) -> Result<()> {
    let key = camel(key);
    if key == "format" && value.get() == "\"enum\"" {
        return Ok(());
    }
    w.raw(JsonStr::encode(key).quoted());
    w.raw_tail(":");
    let path = || format!("{path}.{key}");
    match key {
        "items" | "additionalProperties" | "not" if !value.get().starts_with('[') => {
            write(w, value, &path(), depth)?;
        }
        "oneOf" | "allOf" | "prefixItems" if value.get().starts_with('[') => {
            let schemas: Vec<&RawValue> = parse(value.get()).map_err(|e| bad(&path(), &e))?;
            w.open('[');
            for (index, one) in schemas.into_iter().enumerate() {
                write(w, one, &format!("{}[{index}]", path()), depth)?;
            }
            w.close(']');
        }
        "$defs" | "defs" | "definitions" if value.get().starts_with('{') => {
            let schemas: Members<'_> = parse(value.get()).map_err(|e| bad(&path(), &e))?;
            write_properties(w, schemas, &[], &path(), depth)?;
        }
        // Whole numbers, which Google's SDKs write as strings.
        "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minLength" | "maxLength" => {
            let digits = value.get().trim_matches('"');
            w.raw(if digits.parse::<u64>().is_ok() { digits } else { value.get() });
        }
        _ => w.raw(value.get()),
    }
    Ok(())
}

/// Google's spelling of a member that has two.
fn camel(key: &str) -> &str {
    match key {
        "one_of" => "oneOf",
        "all_of" => "allOf",
        "prefix_items" => "prefixItems",
        "additional_properties" => "additionalProperties",
        "min_items" => "minItems",
        "max_items" => "maxItems",
        "min_properties" => "minProperties",
        "max_properties" => "maxProperties",
        "min_length" => "minLength",
        "max_length" => "maxLength",
        key => key,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;
    use serde_json::{Value, json};

    use super::*;

    fn converted(schema: &Value) -> Value {
        let raw = to_raw_value(schema).unwrap();
        serde_json::from_str(convert(&raw, "x").unwrap().get()).unwrap()
    }

    #[test]
    fn types_are_written_small_at_every_depth() {
        let openapi = json!({
            "type": "OBJECT",
            "properties": {
                "type": {"type": "STRING", "format": "enum", "enum": ["OBJECT", "ARRAY"]},
                "list": {"type": "ARRAY", "items": {"type": "INTEGER", "format": "int32"},
                         "minItems": "1", "maxItems": 3},
                "either": {"anyOf": [{"type": "NUMBER"}, {"type": "BOOLEAN"}]},
            },
            "required": ["type"],
            "propertyOrdering": ["type", "list", "either"],
        });
        assert_eq!(
            converted(&openapi),
            json!({
                "type": "object",
                "properties": {
                    "type": {"type": "string", "enum": ["OBJECT", "ARRAY"]},
                    "list": {"type": "array", "items": {"type": "integer", "format": "int32"},
                             "minItems": 1, "maxItems": 3},
                    "either": {"anyOf": [{"type": "number"}, {"type": "boolean"}]},
                },
                "required": ["type"],
            })
        );
    }

    #[test]
    fn what_may_be_null_says_so_in_its_type() {
        assert_eq!(
            converted(&json!({"type": "STRING", "nullable": true, "enum": ["a"]})),
            json!({"type": ["string", "null"], "enum": ["a", null]})
        );
        assert_eq!(
            converted(&json!({"nullable": true, "any_of": [{"type": "STRING"}]})),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]})
        );
        assert_eq!(
            converted(&json!({"type": "STRING", "nullable": false})),
            json!({"type": "string"})
        );
    }

    #[test]
    fn a_property_may_have_the_name_of_a_member() {
        let openapi = json!({"type": "OBJECT", "properties": {
            "nullable": {"type": "BOOLEAN"}, "min_items": {"type": "STRING"}}});
        assert_eq!(
            converted(&openapi),
            json!({"type": "object", "properties": {
                "nullable": {"type": "boolean"}, "min_items": {"type": "string"}}})
        );
    }

    #[test]
    fn json_schema_stays_as_it_is() {
        let schema = json!({"$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object", "properties": {"a": {"type": ["string", "null"], "default": "OBJECT"}},
            "additionalProperties": false, "$defs": {"b": {"type": "number", "minimum": 0.5}}});
        assert_eq!(converted(&schema), schema);
    }

    #[test]
    fn properties_stand_in_the_order_in_which_they_are_to_be_written() {
        let raw = RawValue::from_string(
            r#"{"properties":{"b":{},"a":{"type":"STRING"},"z":true},"propertyOrdering":["z","a"],
                "minItems":"2","required":["a"]}"#
                .into(),
        );
        assert_eq!(
            convert(&raw.unwrap(), "x").unwrap().get(),
            r#"{"properties":{"z":true,"a":{"type":"string"},"b":{}},"minItems":2,"required":["a"]}"#
        );
    }

    #[test]
    fn a_schema_without_end_is_refused() {
        let deep = r#"{"items":"#.repeat(500) + "{}" + &"}".repeat(500);
        let raw = RawValue::from_string(deep).unwrap();
        assert!(convert(&raw, "x").unwrap_err().message.contains("too deeply"));
    }

    #[test]
    fn what_is_no_schema_is_refused_with_its_place() {
        let raw = to_raw_value(&json!(["OBJECT"])).unwrap();
        let error = convert(&raw, "tools[0].functionDeclarations[1].parameters").unwrap_err();
        assert_eq!(error.param.unwrap(), "tools[0].functionDeclarations[1].parameters");
    }
}
