//! What Google refuses among functions and schemas.

use serde_json::Value;

use super::validate::{Check, invalid, only, wrong};
use super::{field, list};
use crate::protocols::ApiError;

const TOOL: [&str; 9] = [
    "codeExecution",
    "computerUse",
    "fileSearch",
    "functionDeclarations",
    "googleMaps",
    "googleSearch",
    "googleSearchRetrieval",
    "mcpServers",
    "urlContext",
];
const FUNCTION: [&str; 7] = [
    "behavior",
    "description",
    "name",
    "parameters",
    "parametersJsonSchema",
    "response",
    "responseJsonSchema",
];
/// The OpenAPI subset of `parameters` and `responseSchema`.
const SCHEMA: [&str; 22] = [
    "anyOf",
    "default",
    "description",
    "enum",
    "example",
    "format",
    "items",
    "maximum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minimum",
    "minItems",
    "minLength",
    "minProperties",
    "nullable",
    "pattern",
    "properties",
    "propertyOrdering",
    "required",
    "title",
    "type",
];

/// Checks the tools; the names of the functions.
pub(super) fn tools(body: &Value) -> Result<Vec<&str>, ApiError> {
    let mut names = Vec::new();
    for (index, tool) in list(field(body, "tools")).into_iter().enumerate() {
        let path = format!("tools[{index}]");
        only(tool, &TOOL, &path)?;
        let functions = list(field(tool, "functionDeclarations"));
        for (index, function) in functions.into_iter().enumerate() {
            let path = format!("{path}.function_declarations[{index}]");
            only(function, &FUNCTION, &path)?;
            let name = field(function, "name").and_then(Value::as_str).unwrap_or_default();
            if !valid_name(name) {
                invalid(format!(
                    "* GenerateContentRequest.{path}.name: Invalid function name. Must start with \
                     a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores \
                     (_), dots (.), colons (:), or dashes (-), with a maximum length of 128."
                ))?;
            }
            if names.contains(&name) {
                invalid(format!("Duplicate function declaration found: {name}"))?;
            }
            names.push(name);
            match (field(function, "parameters"), field(function, "parametersJsonSchema")) {
                (Some(_), Some(_)) => invalid(format!(
                    "{path}: only one of parameters and parameters_json_schema may be set"
                ))?,
                (Some(parameters), None) => schema(parameters, &format!("{path}.parameters"))?,
                (None, Some(schema)) if !schema.is_object() => {
                    wrong(&format!("{path}.parameters_json_schema"), "an object")?;
                }
                _ => {}
            }
        }
    }
    Ok(names)
}

/// Checks which of them must be called.
pub(super) fn tool_config(body: &Value, names: &[&str]) -> Check {
    let Some(config) = field(body, "toolConfig") else { return Ok(()) };
    let known = ["functionCallingConfig", "includeServerSideToolInvocations", "retrievalConfig"];
    only(config, &known, "tool_config")?;
    let Some(calling) = field(config, "functionCallingConfig") else { return Ok(()) };
    let path = "tool_config.function_calling_config";
    only(calling, &["allowedFunctionNames", "mode"], path)?;
    let mode = field(calling, "mode").and_then(Value::as_str).unwrap_or("AUTO");
    if !["AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED"].contains(&mode) {
        return wrong(&format!("{path}.mode"), "TYPE_ENUM");
    }
    if names.is_empty() {
        return invalid("Function calling config is set without function_declarations.");
    }
    let allowed = list(field(calling, "allowedFunctionNames"));
    if !allowed.is_empty() && !["ANY", "VALIDATED"].contains(&mode) {
        return invalid(format!(
            "{path}.allowed_function_names: should only be set when the mode is ANY"
        ));
    }
    let known = |name: &&Value| name.as_str().is_some_and(|name| names.contains(&name));
    if !allowed.iter().all(known) {
        return invalid(format!("{path}.allowed_function_names: no such function is declared"));
    }
    Ok(())
}

/// Checks an OpenAPI schema.
pub(super) fn schema(schema: &Value, path: &str) -> Check {
    only(schema, &SCHEMA, path)?;
    match field(schema, "type") {
        None if field(schema, "anyOf").is_some() => {}
        None => return invalid(format!("* GenerateContentRequest.{path}.type: must be specified")),
        Some(Value::String(kind)) => {
            let kinds = ["string", "number", "integer", "boolean", "array", "object", "null"];
            if !kinds.contains(&kind.to_ascii_lowercase().as_str()) {
                return wrong(&format!("{path}.type"), "Type");
            }
        }
        Some(_) => {
            return invalid(format!(
                "Invalid JSON payload received. Unknown name \"type\" at '{path}': Proto field is \
                 not repeating, cannot start list."
            ));
        }
    }
    if let Some(items) = field(schema, "items") {
        self::schema(items, &format!("{path}.items"))?;
    }
    let any = list(field(schema, "anyOf")).into_iter().enumerate();
    any.into_iter()
        .try_for_each(|(index, one)| self::schema(one, &format!("{path}.any_of[{index}]")))?;
    let properties = field(schema, "properties").and_then(Value::as_object);
    properties.into_iter().flatten().enumerate().try_for_each(|(index, (_, one))| {
        self::schema(one, &format!("{path}.properties[{index}].value"))
    })
}

/// Whether something may name a function.
pub(super) fn valid_name(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
    first && name.len() <= 128 && name.chars().all(legal)
}
