//! What Anthropic refuses.

use serde_json::{Map, Value};

use super::content;
use crate::protocols::{ApiError, Call, Endpoint};

pub(super) type Check = Result<(), ApiError>;
pub(super) type Fields = Map<String, Value>;

/// The newest version of the protocol, which takes less than those before.
pub(super) const CURRENT: &str = "2026-10-21";
/// Begins the name of the feature that `thread` belongs to.
const THREADS: &str = "message-threads-";
/// Fields that the newest version has no more.
const SAMPLING: [&str; 3] = ["temperature", "top_k", "top_p"];
/// Fields of both endpoints.
const COMMON: [&str; 11] = [
    "cache_control",
    "context_management",
    "mcp_servers",
    "messages",
    "model",
    "output_config",
    "speed",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];
/// Fields that only make sense for an answer.
const MESSAGES: [&str; 11] = [
    "container",
    "diagnostics",
    "inference_geo",
    "max_tokens",
    "metadata",
    "service_tier",
    "stop_sequences",
    "stream",
    "temperature",
    "top_k",
    "top_p",
];
const TOOL: [&str; 10] = [
    "allowed_callers",
    "cache_control",
    "defer_loading",
    "description",
    "eager_input_streaming",
    "input_examples",
    "input_schema",
    "name",
    "strict",
    "type",
];

/// Checks a whole request.
pub(super) fn request(call: &Call<'_>) -> Check {
    let key = call.header("x-api-key").filter(|key| !key.trim().is_empty());
    if key.is_none() && call.bearer().is_none() {
        return Err(ApiError::status(401).message("x-api-key header is required"));
    }
    // On Vertex AI the version stands in the body.
    let vertex = call.path.ends_with(":rawPredict");
    let version = call.body.get("anthropic_version").and_then(Value::as_str);
    let current = match call.header("anthropic-version") {
        _ if vertex => match version {
            Some("vertex-2023-10-16") => false,
            _ => return required("anthropic_version"),
        },
        Some(CURRENT) => true,
        Some("2023-06-01" | "2023-01-01") => false,
        Some(other) => {
            return invalid(format!("anthropic-version: \"{other}\" is not a valid version"));
        }
        None => return invalid("anthropic-version: header is required"),
    };
    if !call.says_json() {
        return invalid("content-type: must be application/json");
    }
    let Value::Object(fields) = call.body else {
        return invalid("Input should be a valid dictionary");
    };
    let answers = call.endpoint == Endpoint::Chat;
    let known: Vec<&str> =
        COMMON.iter().chain(MESSAGES.iter().filter(|_| answers)).copied().collect();
    let threads = call.header("anthropic-beta").is_some_and(|names| names.contains(THREADS));
    let more = [vertex.then_some("anthropic_version"), threads.then_some("thread")];
    let known: Vec<&str> = known.into_iter().chain(more.into_iter().flatten()).collect();
    only(fields, &known, "")?;
    let goes_on = thread(fields.get("thread"))?;
    if current && let Some(field) = SAMPLING.iter().find(|field| fields.contains_key(**field)) {
        return invalid(format!("{field}: Extra inputs are not permitted"));
    }
    match fields.get("model") {
        None => return required("model"),
        Some(Value::String(model)) if !model.is_empty() => {}
        Some(Value::String(_)) => return invalid("model: String should have at least 1 character"),
        Some(_) => return invalid("model: Input should be a valid string"),
    }
    if answers {
        match fields.get("max_tokens") {
            None => return required("max_tokens"),
            Some(value) if value.as_u64().is_some_and(|number| number >= 1) => {}
            Some(value) if value.is_i64() || value.is_u64() => {
                return invalid("max_tokens: must be greater than or equal to 1");
            }
            Some(_) => return invalid("max_tokens: Input should be a valid integer"),
        }
    }
    match fields.get("messages") {
        None => return required("messages"),
        Some(Value::Array(messages)) => content::messages(messages, current, goes_on)?,
        Some(_) => return invalid("messages: Input should be a valid list"),
    }
    system(fields.get("system"))?;
    options(fields)?;
    tools(fields)?;
    thinking(fields)
}

/// Whether the conversation goes on from what is kept. Nothing really is, but every id of the right form is there.
/// <https://platform.claude.com/docs/en/build-with-claude/message-threads>
fn thread(thread: Option<&Value>) -> Result<bool, ApiError> {
    let text = |name: &str| thread.and_then(|thread| thread.get(name)?.as_str());
    match (thread, text("type"), text("previous_message_id")) {
        (None | Some(Value::Null), ..) => Ok(false),
        (_, Some("create"), None) => Ok(false),
        (_, Some("continue"), Some(id)) if id.starts_with("msg_") && id.len() < 40 => Ok(true),
        (_, Some("continue"), Some(_)) => Err(ApiError::status(404).code("thread_not_found")),
        _ => Err(ApiError::invalid("thread: Input should be 'create' or 'continue'")),
    }
}

fn system(system: Option<&Value>) -> Check {
    match system {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(blocks)) => blocks.iter().enumerate().try_for_each(|(index, block)| {
            let path = format!("system.{index}");
            if block.get("type").is_none_or(|kind| kind != "text") {
                return invalid(format!("{path}.type: Input should be 'text'"));
            }
            content::block(block, &path)
        }),
        Some(_) => invalid("system: Input should be a valid string or list"),
    }
}

fn options(fields: &Fields) -> Check {
    for field in ["temperature", "top_p"] {
        match fields.get(field).map(Value::as_f64) {
            None => {}
            Some(None) => return invalid(format!("{field}: Input should be a valid number")),
            Some(Some(number)) if (0.0..=1.0).contains(&number) => {}
            Some(Some(_)) => return invalid(format!("{field}: range: 0..1")),
        }
    }
    if fields.get("top_k").is_some_and(|value| !value.is_u64()) {
        return invalid("top_k: Input should be a valid integer");
    }
    if fields.get("stream").is_some_and(|value| !value.is_boolean()) {
        return invalid("stream: Input should be a valid boolean");
    }
    for field in ["output_config", "context_management"] {
        if fields.get(field).is_some_and(|value| !value.is_object() && !value.is_null()) {
            return invalid(format!("{field}: Input should be a valid dictionary"));
        }
    }
    match fields.get("service_tier").map(Value::as_str) {
        None | Some(Some("auto" | "standard_only")) => {}
        Some(_) => return invalid("service_tier: Input should be 'auto' or 'standard_only'"),
    }
    match fields.get("metadata") {
        None => {}
        Some(Value::Object(metadata)) => {
            only(metadata, &["user_id"], "metadata.")?;
            if metadata.get("user_id").is_some_and(|user| !user.is_string() && !user.is_null()) {
                return invalid("metadata.user_id: Input should be a valid string");
            }
        }
        Some(_) => return invalid("metadata: Input should be a valid dictionary"),
    }
    match fields.get("stop_sequences") {
        None => Ok(()),
        Some(Value::Array(items)) => {
            items.iter().enumerate().try_for_each(|(index, item)| match item {
                Value::String(text) if text.trim().is_empty() => invalid(format!(
                    "stop_sequences.{index}: each stop sequence must contain non-whitespace"
                )),
                Value::String(_) => Ok(()),
                _ => invalid(format!("stop_sequences.{index}: Input should be a valid string")),
            })
        }
        Some(_) => invalid("stop_sequences: Input should be a valid list"),
    }
}

fn tools(fields: &Fields) -> Check {
    let none = Vec::new();
    let tools = match fields.get("tools") {
        None => &none,
        Some(Value::Array(tools)) => tools,
        Some(_) => return invalid("tools: Input should be a valid list"),
    };
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let path = format!("tools.{index}");
        let Value::Object(tool) = tool else {
            return invalid(format!("{path}: Input should be a valid dictionary"));
        };
        let Some(name) = tool.get("name").and_then(Value::as_str) else {
            return required(&format!("{path}.name"));
        };
        if names.contains(&name) {
            return invalid("tools: Tool names must be unique.");
        }
        names.push(name);
        // Anthropic's own tools each have fields of their own.
        if tool.get("type").is_some_and(|kind| kind != "custom") {
            continue;
        }
        only(tool, &TOOL, &format!("{path}.custom."))?;
        if !valid_name(name) {
            return invalid(format!(
                "{path}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            ));
        }
        if tool.get("description").is_some_and(|text| !text.is_string()) {
            return invalid(format!("{path}.custom.description: Input should be a valid string"));
        }
        match tool.get("input_schema") {
            None => return required(&format!("{path}.custom.input_schema")),
            Some(Value::Object(schema)) => {
                if schema.get("type").is_none_or(|kind| kind != "object") {
                    let path = format!("{path}.custom.input_schema.type");
                    return match schema.get("type") {
                        None => required(&path),
                        Some(_) => invalid(format!("{path}: Input should be 'object'")),
                    };
                }
            }
            Some(_) => {
                return invalid(format!(
                    "{path}.custom.input_schema: Input should be a valid dictionary"
                ));
            }
        }
    }
    tool_choice(fields.get("tool_choice"), &names)
}

fn tool_choice(choice: Option<&Value>, names: &[&str]) -> Check {
    let Some(choice) = choice else { return Ok(()) };
    let Value::Object(choice) = choice else {
        return invalid("tool_choice: Input should be a valid dictionary");
    };
    let kind = choice.get("type").and_then(Value::as_str).unwrap_or_default();
    let known: &[&str] = match kind {
        "auto" | "any" => &["type", "disable_parallel_tool_use"],
        "tool" => &["type", "name", "disable_parallel_tool_use"],
        "none" => &["type"],
        _ => {
            return invalid(format!(
                "tool_choice: Input tag '{kind}' found using 'type' does not match any of the \
                 expected tags: 'auto', 'any', 'tool', 'none'"
            ));
        }
    };
    only(choice, known, &format!("tool_choice.{kind}."))?;
    if choice.get("disable_parallel_tool_use").is_some_and(|value| !value.is_boolean()) {
        return invalid("tool_choice.disable_parallel_tool_use: Input should be a valid boolean");
    }
    if kind == "tool" {
        return match choice.get("name").and_then(Value::as_str) {
            None => required("tool_choice.tool.name"),
            Some(name) if names.contains(&name) => Ok(()),
            Some(name) => invalid(format!("Tool '{name}' not found in provided tools")),
        };
    }
    if names.is_empty() && kind != "none" {
        return invalid("tool_choice: tool_choice may only be specified while providing tools");
    }
    Ok(())
}

fn thinking(fields: &Fields) -> Check {
    let Some(thinking) = fields.get("thinking") else { return Ok(()) };
    let Value::Object(thinking) = thinking else {
        return invalid("thinking: Input should be a valid dictionary");
    };
    match thinking.get("type").and_then(Value::as_str) {
        Some("disabled") => return only(thinking, &["type"], "thinking.disabled."),
        Some("between_tools") => only(thinking, &["type"], "thinking.between_tools.")?,
        Some("adaptive") => only(thinking, &["type", "display"], "thinking.adaptive.")?,
        Some("enabled") => {
            only(thinking, &["type", "budget_tokens", "display"], "thinking.enabled.")?;
            let Some(budget) = thinking.get("budget_tokens").and_then(Value::as_u64) else {
                return required("thinking.enabled.budget_tokens");
            };
            if budget < 1024 {
                return invalid(
                    "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
                );
            }
            let most = fields.get("max_tokens").and_then(Value::as_u64);
            if most.is_some_and(|most| most <= budget) {
                return invalid("`max_tokens` must be greater than `thinking.budget_tokens`.");
            }
        }
        other => {
            return invalid(format!(
                "thinking: Input tag '{}' found using 'type' does not match any of the expected \
                 tags: 'adaptive', 'between_tools', 'disabled', 'enabled'",
                other.unwrap_or_default()
            ));
        }
    }
    if fields.get("temperature").and_then(Value::as_f64).is_some_and(|number| number != 1.0) {
        return invalid("`temperature` may only be set to 1 when thinking is enabled.");
    }
    if fields.contains_key("top_k") {
        return invalid("`top_k` must be unset when thinking is enabled.");
    }
    let choice = fields.get("tool_choice").and_then(|choice| choice.get("type"));
    if choice.is_some_and(|kind| kind == "any" || kind == "tool") {
        return invalid("Thinking may not be enabled when tool_choice forces tool use.");
    }
    Ok(())
}

/// Whether something may name a tool.
pub(super) fn valid_name(name: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=128).contains(&name.len()) && name.bytes().all(valid)
}

/// Refuses fields that are not among the known ones.
pub(super) fn only(fields: &Fields, known: &[&str], prefix: &str) -> Check {
    match fields.keys().find(|field| !known.contains(&field.as_str())) {
        None => Ok(()),
        Some(field) => invalid(format!("{prefix}{field}: Extra inputs are not permitted")),
    }
}

/// Refuses the request.
pub(super) fn invalid(message: impl Into<String>) -> Check {
    Err(ApiError::invalid(message))
}

/// Refuses the request because a field is missing.
pub(super) fn required(path: &str) -> Check {
    invalid(format!("{path}: Field required"))
}

#[cfg(test)]
mod tests;
