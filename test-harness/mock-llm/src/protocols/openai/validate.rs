//! What OpenAI refuses.

use serde_json::{Map, Value};

use super::messages;
use crate::protocols::{ApiError, Call, Endpoint};

pub(in crate::protocols) type Check = Result<(), ApiError>;
pub(in crate::protocols) type Fields = Map<String, Value>;

const CHAT: [&str; 37] = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];
const EMBEDDINGS: [&str; 5] = ["dimensions", "encoding_format", "input", "model", "user"];

/// Checks a whole request.
pub(super) fn request(call: &Call<'_>) -> Check {
    let Some(fields) = head(call)? else { return Ok(()) };
    let known: &[&str] = if call.endpoint == Endpoint::Embeddings { &EMBEDDINGS } else { &CHAT };
    if let Some(field) = fields.keys().find(|field| !known.contains(&field.as_str())) {
        let message = format!("Unrecognized request argument supplied: {field}");
        return Err(ApiError::invalid(message).param(field));
    }
    model(fields)?;
    if call.endpoint == Endpoint::Embeddings { embeddings(fields) } else { chat(fields) }
}

/// Checks the headers; the body's fields, if there is to be one.
pub(in crate::protocols) fn head<'a>(call: &Call<'a>) -> Result<Option<&'a Fields>, ApiError> {
    if call.bearer().is_none() {
        let message = "You didn't provide an API key. You need to provide your API key in an \
                       Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        return Err(ApiError::status(401).message(message).code("invalid_api_key"));
    }
    if matches!(call.endpoint, Endpoint::Models | Endpoint::Model) {
        return Ok(None);
    }
    if !call.says_json() {
        let kind = call.header("content-type").unwrap_or_default();
        return Err(ApiError::invalid(format!(
            "Unsupported content type: '{kind}'. This API method only accepts 'application/json' \
             requests, but you specified the header 'Content-Type: {kind}'. Please try again with \
             a supported content type."
        ))
        .code("unsupported_content_type"));
    }
    match call.body {
        Value::Object(fields) => Ok(Some(fields)),
        _ => Err(ApiError::invalid("The JSON body of your request is not an object.")),
    }
}

/// Checks that a model is named.
pub(in crate::protocols) fn model(fields: &Fields) -> Check {
    match fields.get("model") {
        None => Err(ApiError::invalid("you must provide a model parameter")),
        Some(Value::String(model)) if !model.is_empty() => Ok(()),
        Some(other) => Err(wrong_type("model", "a non-empty string", other)),
    }
}

fn chat(fields: &Fields) -> Check {
    messages::check(list(fields, "messages")?.ok_or_else(|| missing("messages"))?)?;
    for (field, least, most) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("frequency_penalty", -2.0, 2.0),
        ("presence_penalty", -2.0, 2.0),
    ] {
        decimal(fields, field, least, most)?;
    }
    for (field, least, most) in [
        ("n", 1, 128),
        ("max_tokens", 1, i64::MAX),
        ("max_completion_tokens", 1, i64::MAX),
        ("top_logprobs", 0, 20),
        ("seed", i64::MIN, i64::MAX),
    ] {
        integer(fields, field, least, most)?;
    }
    for field in ["stream", "logprobs", "store", "parallel_tool_calls"] {
        if let Some(other) = present(fields, field).filter(|value| !value.is_boolean()) {
            return Err(wrong_type(field, "a boolean", other));
        }
    }
    for field in ["logit_bias", "metadata", "response_format", "stream_options", "audio"] {
        if let Some(other) = present(fields, field).filter(|value| !value.is_object()) {
            return Err(wrong_type(field, "an object", other));
        }
    }
    for field in ["user", "reasoning_effort", "service_tier", "verbosity", "prompt_cache_key"] {
        if let Some(other) = present(fields, field).filter(|value| !value.is_string()) {
            return Err(wrong_type(field, "a string", other));
        }
    }
    if present(fields, "stream_options").is_some()
        && fields.get("stream") != Some(&Value::Bool(true))
    {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(ApiError::invalid(message).param("stream_options"));
    }
    if let Some(Value::Object(options)) = present(fields, "stream_options") {
        only(options, &["include_usage", "include_obfuscation"], "stream_options")?;
    }
    if let Some(format) = present(fields, "response_format") {
        let kinds = ["text", "json_object", "json_schema"];
        one_of(format.get("type"), &kinds, "response_format.type")?;
        let named = format.pointer("/json_schema/name").is_some_and(Value::is_string);
        if format.get("type").is_some_and(|kind| kind == "json_schema") && !named {
            return Err(missing("response_format.json_schema.name"));
        }
    }
    stops(fields)?;
    tools(fields)
}

fn stops(fields: &Fields) -> Check {
    match present(fields, "stop") {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(items)) if items.len() <= 4 && items.iter().all(Value::is_string) => {
            Ok(())
        }
        Some(other) => Err(wrong_type("stop", "a string or an array of up to 4 strings", other)),
    }
}

fn tools(fields: &Fields) -> Check {
    let tools = list(fields, "tools")?;
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        let path = format!("tools[{index}]");
        one_of(tool.get("type"), &["function", "custom"], &format!("{path}.type"))?;
        if tool.get("type").is_some_and(|kind| kind == "custom") {
            continue;
        }
        let path = format!("{path}.function");
        let Some(Value::Object(function)) = tool.get("function") else {
            return Err(missing(&path));
        };
        only(function, &["name", "description", "parameters", "strict"], &path)?;
        name(function.get("name"), &format!("{path}.name"))?;
        if let Some(other) = present(function, "parameters").filter(|value| !value.is_object()) {
            return Err(wrong_type(&format!("{path}.parameters"), "an object", other));
        }
    }
    let Some(choice) = present(fields, "tool_choice") else {
        if tools.is_none() && present(fields, "parallel_tool_calls").is_some() {
            let message = "'parallel_tool_calls' is only allowed when 'tools' are specified.";
            return Err(ApiError::invalid(message).param("parallel_tool_calls"));
        }
        return Ok(());
    };
    if tools.is_none() {
        let message = "'tool_choice' is only allowed when 'tools' are specified.";
        return Err(ApiError::invalid(message).param("tool_choice"));
    }
    match choice {
        Value::String(_) => one_of(Some(choice), &["none", "auto", "required"], "tool_choice"),
        Value::Object(choice) => {
            let kinds = ["function", "allowed_tools", "custom"];
            one_of(choice.get("type"), &kinds, "tool_choice.type")?;
            if choice.get("type").is_some_and(|kind| kind != "function") {
                return Ok(());
            }
            let wanted = choice.get("function").and_then(|function| function.get("name"));
            name(wanted, "tool_choice.function.name")?;
            let known = |tool: &Value| tool.pointer("/function/name") == wanted;
            if tools.into_iter().flatten().any(known) {
                return Ok(());
            }
            let message = "Tool choice 'function' not found in 'tools' parameter.";
            Err(ApiError::invalid(message).param("tool_choice"))
        }
        other => Err(wrong_type("tool_choice", "a string or an object", other)),
    }
}

fn embeddings(fields: &Fields) -> Check {
    let bad = |message: &str| Err(ApiError::invalid(message).param("input"));
    match fields.get("input") {
        None => return Err(missing("input")),
        Some(Value::String(text)) if !text.is_empty() => {}
        Some(Value::Array(items)) if items.is_empty() || items.len() > 2048 => {
            return bad("Invalid 'input': expected an array of 1 to 2048 items.");
        }
        Some(Value::Array(items)) => {
            let texts = items.iter().all(|item| item.as_str().is_some_and(|text| !text.is_empty()));
            let numbers = |items: &Vec<Value>| !items.is_empty() && items.iter().all(Value::is_u64);
            let lists = items.iter().all(|item| item.as_array().is_some_and(numbers));
            if !texts && !lists && !numbers(items) {
                return bad("Invalid 'input': items must be non-empty strings or token arrays.");
            }
        }
        Some(_) => return bad("Invalid 'input': input cannot be an empty string."),
    }
    if let Some(format) = present(fields, "encoding_format") {
        one_of(Some(format), &["float", "base64"], "encoding_format")?;
    }
    integer(fields, "dimensions", 1, 1 << 16)
}

/// A field that is there and not null.
pub(in crate::protocols) fn present<'a>(fields: &'a Fields, field: &str) -> Option<&'a Value> {
    fields.get(field).filter(|value| !value.is_null())
}

pub(in crate::protocols) fn list<'a>(
    fields: &'a Fields,
    field: &str,
) -> Result<Option<&'a Vec<Value>>, ApiError> {
    match present(fields, field) {
        None => Ok(None),
        Some(Value::Array(items)) if items.is_empty() => Err(ApiError::invalid(format!(
            "Invalid '{field}': empty array. Expected an array with minimum length 1, but got an \
             empty array instead."
        ))
        .param(field)
        .code("empty_array")),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => Err(wrong_type(field, "an array of objects", other)),
    }
}

/// Refuses fields of an object that are not among the known ones.
pub(in crate::protocols) fn only(fields: &Fields, known: &[&str], path: &str) -> Check {
    match fields.keys().find(|field| !known.contains(&field.as_str())) {
        None => Ok(()),
        Some(field) => {
            let path = format!("{path}.{field}");
            let message = format!("Unknown parameter: '{path}'.");
            Err(ApiError::invalid(message).param(path).code("unknown_parameter"))
        }
    }
}

/// Refuses anything but one of the given strings.
pub(in crate::protocols) fn one_of(value: Option<&Value>, known: &[&str], path: &str) -> Check {
    match value {
        None => Err(missing(path)),
        Some(Value::String(text)) if known.contains(&text.as_str()) => Ok(()),
        Some(value) => {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let known: Vec<String> = known.iter().map(|known| format!("'{known}'")).collect();
            let message =
                format!("Invalid value: '{value}'. Supported values are: {}.", known.join(", "));
            Err(ApiError::invalid(message).param(path).code("invalid_value"))
        }
    }
}

/// Refuses what cannot name a function.
pub(in crate::protocols) fn name(value: Option<&Value>, path: &str) -> Check {
    let valid = |name: &str| {
        !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    match value {
        None => Err(missing(path)),
        Some(Value::String(text)) if valid(text) => Ok(()),
        Some(_) => Err(ApiError::invalid(format!(
            "Invalid '{path}': string does not match pattern. Expected a string that matches the \
             pattern '^[a-zA-Z0-9_-]+$'."
        ))
        .param(path)
        .code("invalid_value")),
    }
}

pub(in crate::protocols) fn decimal(fields: &Fields, field: &str, least: f64, most: f64) -> Check {
    let Some(value) = present(fields, field) else { return Ok(()) };
    let Some(number) = value.as_f64() else {
        return Err(wrong_type(field, "a decimal", value));
    };
    range(field, "decimal", value, number < least, number > most, &least, &most)
}

pub(in crate::protocols) fn integer(fields: &Fields, field: &str, least: i64, most: i64) -> Check {
    let Some(value) = present(fields, field) else { return Ok(()) };
    let Some(number) = value.as_i64() else {
        return Err(wrong_type(field, "an integer", value));
    };
    range(field, "integer", value, number < least, number > most, &least, &most)
}

fn range(
    field: &str,
    kind: &str,
    value: &Value,
    low: bool,
    high: bool,
    least: &dyn std::fmt::Display,
    most: &dyn std::fmt::Display,
) -> Check {
    let (side, extreme, sign, bound) = match (low, high) {
        (true, _) => ("below", "minimum", ">=", least),
        (_, true) => ("above", "maximum", "<=", most),
        _ => return Ok(()),
    };
    Err(ApiError::invalid(format!(
        "Invalid '{field}': {kind} {side} {extreme} value. Expected a value {sign} {bound}, but \
         got {value} instead."
    ))
    .param(field)
    .code("out_of_range"))
}

/// The error for a field that must be there.
pub(in crate::protocols) fn missing(path: &str) -> ApiError {
    ApiError::invalid(format!("Missing required parameter: '{path}'."))
        .param(path)
        .code("missing_required_parameter")
}

/// The error for a field of the wrong type.
pub(in crate::protocols) fn wrong_type(path: &str, expected: &str, value: &Value) -> ApiError {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(text) if text.is_empty() => "an empty string",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let message = format!("Invalid type for '{path}': expected {expected}, but got {got} instead.");
    ApiError::invalid(message).param(path).code("invalid_type")
}

#[cfg(test)]
mod tests;
