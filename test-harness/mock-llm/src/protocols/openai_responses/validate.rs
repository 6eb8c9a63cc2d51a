//! What OpenAI refuses.

use serde_json::Value;

use super::input;
use crate::protocols::openai::validate::{
    Check, Fields, decimal, head, integer, list, missing, model, name, one_of, only, present,
    wrong_type,
};
use crate::protocols::{ApiError, Call, Endpoint};

const KNOWN: [&str; 34] = [
    "background",
    "context_management",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "client_metadata",
    "access_programs",
    "image",
];
/// Those that are counted.
const COUNTED: [&str; 12] = [
    "conversation",
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "personality",
    "previous_response_id",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
];
const INCLUDE: [&str; 8] = [
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
];
const TOOLS: [&str; 14] = [
    "apply_patch",
    "code_interpreter",
    "computer_use_preview",
    "custom",
    "file_search",
    "function",
    "image_generation",
    "local_shell",
    "mcp",
    "namespace",
    "shell",
    "tool_search",
    "web_search",
    "web_search_preview",
];
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// The longest name of a user, of a cache or of a call, in characters.
pub(super) const MAX_NAME: usize = 64;

/// Checks a whole request.
pub(super) fn request(call: &Call<'_>) -> Check {
    let Some(fields) = head(call)? else {
        let id = call.path.rsplit('/').next().unwrap_or_default();
        let message = format!("Response with id '{id}' not found.");
        return Err(ApiError::status(404).message(message).param("id"));
    };
    let known = if call.endpoint == Endpoint::CountTokens { &COUNTED[..] } else { &KNOWN };
    if let Some(field) = fields.keys().find(|field| !known.contains(&field.as_str())) {
        let message = format!("Unknown parameter: '{field}'.");
        return Err(ApiError::invalid(message).param(field).code("unknown_parameter"));
    }
    model(fields)?;
    if let Some(id) = present(fields, "previous_response_id") {
        let message = format!("Previous response with id {id} not found.");
        let error = ApiError::invalid(message).param("previous_response_id");
        return Err(error.code("previous_response_not_found"));
    }
    plain(fields)?;
    match present(fields, "input") {
        None => return Err(missing("input")),
        Some(Value::String(_)) => {}
        Some(Value::Array(items)) => input::check(items, fields)?,
        Some(other) => return Err(wrong_type("input", "a string or an array", other)),
    }
    include(fields, call.model())?;
    reasoning(fields, call.model())?;
    text(fields)?;
    tools(fields)
}

fn plain(fields: &Fields) -> Check {
    decimal(fields, "temperature", 0.0, 2.0)?;
    decimal(fields, "top_p", 0.0, 1.0)?;
    integer(fields, "max_output_tokens", 16, i64::MAX)?;
    integer(fields, "top_logprobs", 0, 20)?;
    for field in ["stream", "store", "parallel_tool_calls", "background"] {
        if let Some(other) = present(fields, field).filter(|value| !value.is_boolean()) {
            return Err(wrong_type(field, "a boolean", other));
        }
    }
    for field in ["instructions", "truncation", "service_tier"] {
        if let Some(other) = present(fields, field).filter(|value| !value.is_string()) {
            return Err(wrong_type(field, "a string", other));
        }
    }
    for field in ["user", "safety_identifier", "prompt_cache_key"] {
        short(present(fields, field), field)?;
    }
    if present(fields, "stream_options").is_some()
        && fields.get("stream") != Some(&Value::Bool(true))
    {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(ApiError::invalid(message).param("stream_options"));
    }
    match present(fields, "metadata") {
        None => Ok(()),
        Some(Value::Object(notes)) if notes.len() <= 16 => {
            match notes.iter().find(|(_, note)| !note.is_string()) {
                Some((key, note)) => Err(wrong_type(&format!("metadata.{key}"), "a string", note)),
                None => Ok(()),
            }
        }
        Some(other) => Err(wrong_type("metadata", "an object of up to 16 strings", other)),
    }
}

/// Refuses what is no string or too long a one.
pub(super) fn short(value: Option<&Value>, path: &str) -> Check {
    let length = match value {
        None => return Ok(()),
        Some(Value::String(text)) => text.chars().count(),
        Some(other) => return Err(wrong_type(path, "a string", other)),
    };
    if length <= MAX_NAME {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "Invalid '{path}': string too long. Expected a string with maximum length {MAX_NAME}, but \
         got a string with length {length} instead."
    ))
    .param(path)
    .code("string_above_max_length"))
}

/// The models that think; all but those of the fourth generation.
fn thinks(model: &str) -> bool {
    !model.starts_with("gpt-4")
}

fn include(fields: &Fields, model: &str) -> Check {
    let names = match present(fields, "include") {
        None => return Ok(()),
        Some(Value::Array(names)) => names,
        Some(other) => return Err(wrong_type("include", "an array of strings", other)),
    };
    for (index, name) in names.iter().enumerate() {
        one_of(Some(name), &INCLUDE, &format!("include[{index}]"))?;
        if name == "reasoning.encrypted_content" && !thinks(model) {
            let message = "Encrypted content is not supported with this model.";
            return Err(ApiError::invalid(message).param("include"));
        }
    }
    Ok(())
}

fn reasoning(fields: &Fields, model: &str) -> Check {
    let reasoning = match present(fields, "reasoning") {
        None => return Ok(()),
        Some(Value::Object(reasoning)) => reasoning,
        Some(other) => return Err(wrong_type("reasoning", "an object", other)),
    };
    only(reasoning, &["effort", "summary", "generate_summary", "context", "mode"], "reasoning")?;
    if let Some(effort) = present(reasoning, "effort") {
        one_of(Some(effort), &EFFORTS, "reasoning.effort")?;
        if !thinks(model) {
            let path = "reasoning.effort";
            let message =
                format!("Unsupported parameter: '{path}' is not supported with this model.");
            return Err(ApiError::invalid(message).param(path).code("unsupported_parameter"));
        }
    }
    match present(reasoning, "summary") {
        None => Ok(()),
        summary => one_of(summary, &["auto", "concise", "detailed"], "reasoning.summary"),
    }
}

fn text(fields: &Fields) -> Check {
    let text = match present(fields, "text") {
        None => return Ok(()),
        Some(Value::Object(text)) => text,
        Some(other) => return Err(wrong_type("text", "an object", other)),
    };
    only(text, &["format", "verbosity"], "text")?;
    if let verbosity @ Some(_) = present(text, "verbosity") {
        one_of(verbosity, &["low", "medium", "high"], "text.verbosity")?;
    }
    let Some(Value::Object(format)) = present(text, "format") else { return Ok(()) };
    let kinds = ["text", "json_object", "json_schema"];
    one_of(format.get("type"), &kinds, "text.format.type")?;
    if format.get("type").is_some_and(|kind| kind == "json_schema") {
        let known = ["type", "name", "description", "schema", "strict"];
        only(format, &known, "text.format")?;
        name(format.get("name"), "text.format.name")?;
        if !format.get("schema").is_some_and(Value::is_object) {
            return Err(missing("text.format.schema"));
        }
    }
    Ok(())
}

fn tools(fields: &Fields) -> Check {
    // Unlike that of Chat Completions, an empty list is fine.
    let tools = match present(fields, "tools") {
        Some(Value::Array(tools)) if tools.is_empty() => None,
        _ => list(fields, "tools")?,
    };
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        self::tool(tool, &format!("tools[{index}]"))?;
    }
    match present(fields, "tool_choice") {
        None => Ok(()),
        Some(choice @ Value::String(_)) => {
            one_of(Some(choice), &["none", "auto", "required"], "tool_choice")
        }
        Some(Value::Object(choice)) => {
            let named = choice.get("type").and_then(Value::as_str);
            let kind = named.ok_or_else(|| missing("tool_choice.type"))?;
            if !matches!(kind, "function" | "custom") {
                return Ok(());
            }
            let wanted = choice.get("name");
            name(wanted, "tool_choice.name")?;
            let known = |tool: &Value| tool.get("name") == wanted && tool["type"] == kind;
            if tools.into_iter().flatten().any(known) {
                return Ok(());
            }
            let message = format!("Tool choice '{kind}' not found in 'tools' parameter.");
            Err(ApiError::invalid(message).param("tool_choice"))
        }
        Some(other) => Err(wrong_type("tool_choice", "a string or an object", other)),
    }
}

fn tool(tool: &Value, path: &str) -> Check {
    let Value::Object(fields) = tool else { return Err(wrong_type(path, "an object", tool)) };
    one_of(fields.get("type"), &TOOLS, &format!("{path}.type"))?;
    match fields.get("type").and_then(Value::as_str) {
        Some("function") => {
            name(fields.get("name"), &format!("{path}.name"))?;
            let known = ["type", "name", "description", "parameters", "strict", "defer_loading"];
            only(fields, &known, path)?;
            let parameters = present(fields, "parameters");
            if let Some(other) = parameters.filter(|value| !value.is_object()) {
                return Err(wrong_type(&format!("{path}.parameters"), "an object", other));
            }
            match parameters {
                Some(schema) if fields.get("strict") == Some(&Value::Bool(true)) => {
                    strict(schema, fields.get("name"), path)
                }
                _ => Ok(()),
            }
        }
        Some("custom") => {
            name(fields.get("name"), &format!("{path}.name"))?;
            only(fields, &["type", "name", "description", "format", "defer_loading"], path)
        }
        _ => Ok(()),
    }
}

/// A strict function names all its arguments and takes no others.
fn strict(schema: &Value, name: Option<&Value>, path: &str) -> Check {
    let name = name.and_then(Value::as_str).unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object);
    let required = schema.get("required").and_then(Value::as_array);
    let listed = |key: &String| required.is_some_and(|keys| keys.iter().any(|own| own == key));
    let what = if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        "'additionalProperties' is required to be supplied and to be false."
    } else if !properties.is_none_or(|properties| properties.keys().all(listed)) {
        "'required' is required to be supplied and to be an array including every key in \
         properties."
    } else {
        return Ok(());
    };
    let message = format!("Invalid schema for function '{name}': In context=(), {what}");
    let error = ApiError::invalid(message).param(format!("{path}.parameters"));
    Err(error.code("invalid_function_parameters"))
}

#[cfg(test)]
mod tests;
