//! What Cohere refuses.

use serde_json::{Map, Value};

use crate::protocols::{ApiError, Call, Endpoint};

type Check = Result<(), ApiError>;
type Fields = Map<String, Value>;

const CHAT: [&str; 22] = [
    "citation_options",
    "documents",
    "frequency_penalty",
    "k",
    "logprobs",
    "max_tokens",
    "messages",
    "model",
    "p",
    "presence_penalty",
    "priority",
    "raw_prompting",
    "response_format",
    "safety_mode",
    "seed",
    "stop_sequences",
    "stream",
    "strict_tools",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
];
const EMBED: [&str; 10] = [
    "embedding_types",
    "images",
    "input_type",
    "inputs",
    "max_tokens",
    "model",
    "output_dimension",
    "priority",
    "texts",
    "truncate",
];
const RERANK: [&str; 6] =
    ["documents", "max_tokens_per_doc", "model", "priority", "query", "top_n"];

/// Checks a whole request.
pub(super) fn request(call: &Call<'_>) -> Check {
    if call.bearer().is_none() {
        return Err(ApiError::status(401).message("no api key supplied"));
    }
    if matches!(call.endpoint, Endpoint::Models | Endpoint::Model) {
        return Ok(());
    }
    if !call.says_json() {
        return invalid("invalid content type: application/json is required");
    }
    let Value::Object(fields) = call.body else {
        return invalid("invalid json syntax: expected an object");
    };
    let known: &[&str] = match call.endpoint {
        Endpoint::Embeddings => &EMBED,
        Endpoint::Rerank => &RERANK,
        _ => &CHAT,
    };
    if let Some(field) = fields.keys().find(|field| !known.contains(&field.as_str())) {
        return invalid(format!("unknown field: parameter '{field}' is not a valid field"));
    }
    if fields.get("model").and_then(Value::as_str).is_none_or(str::is_empty) {
        return invalid("invalid request: model is required");
    }
    match call.endpoint {
        Endpoint::Embeddings => embed(fields),
        Endpoint::Rerank => rerank(fields),
        _ => chat(fields),
    }
}

fn chat(fields: &Fields) -> Check {
    let Some(Value::Array(messages)) = fields.get("messages") else {
        return invalid("invalid request: messages is required");
    };
    conversation(messages)?;
    for (field, least, most) in [
        ("temperature", 0.0, 1.0),
        ("p", 0.01, 0.99),
        ("k", 0.0, 500.0),
        ("frequency_penalty", 0.0, 1.0),
        ("presence_penalty", 0.0, 1.0),
        ("seed", 0.0, f64::MAX),
        ("max_tokens", 0.0, f64::MAX),
    ] {
        let Some(value) = fields.get(field) else { continue };
        if value.as_f64().is_none_or(|number| !(least..=most).contains(&number)) {
            return invalid(format!(
                "invalid request: {field} must be between {least} and {most} inclusive."
            ));
        }
    }
    for field in ["stream", "strict_tools", "logprobs"] {
        if fields.get(field).is_some_and(|value| !value.is_boolean()) {
            return invalid(format!("invalid type: parameter {field} is of type bool"));
        }
    }
    if let Some(stops) = fields.get("stop_sequences") {
        let few = stops.as_array().is_some_and(|list| list.len() <= 5);
        if !few || !stops.as_array().into_iter().flatten().all(Value::is_string) {
            return invalid("invalid request: stop_sequences must have 5 strings at most");
        }
    }
    if let Some(thinking) = fields.get("thinking") {
        let kind = thinking.get("type").and_then(Value::as_str).unwrap_or_default();
        let budget = thinking.get("token_budget");
        let positive = budget.is_none_or(|budget| budget.as_u64().is_some_and(|n| n > 0));
        if !["enabled", "disabled"].contains(&kind) || !positive {
            return invalid("invalid request: thinking is not valid");
        }
    }
    tools(fields)
}

fn tools(fields: &Fields) -> Check {
    let tools = fields.get("tools").and_then(Value::as_array).filter(|tools| !tools.is_empty());
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        let function =
            tool.get("function").filter(|_| tool.get("type") == Some(&"function".into()));
        let named = function.and_then(|f| f.get("name")?.as_str()).is_some_and(|n| !n.is_empty());
        let typed = function.and_then(|f| f.get("parameters")).is_some_and(Value::is_object);
        if !named || !typed {
            return invalid(format!("invalid request: tools[{index}] needs a name and parameters"));
        }
    }
    match fields.get("tool_choice").map(Value::as_str) {
        None => {}
        Some(Some("REQUIRED" | "NONE")) if tools.is_some() => {}
        Some(Some("REQUIRED" | "NONE")) => {
            return invalid("invalid request: tool_choice requires tools");
        }
        Some(_) => return invalid("invalid request: tool_choice must be REQUIRED or NONE"),
    }
    let Some(format) = fields.get("response_format") else { return Ok(()) };
    if tools.is_some() {
        return invalid("invalid request: response_format is not supported with tools");
    }
    let object = format.get("type").is_some_and(|kind| kind == "json_object");
    let schema = format.get("json_schema");
    match format.get("type").and_then(Value::as_str) {
        Some("json_object" | "text") if schema.is_none_or(|s| object && s.is_object()) => Ok(()),
        _ => invalid("invalid request: response_format is not valid"),
    }
}

fn conversation(messages: &[Value]) -> Check {
    if messages.is_empty() {
        return invalid("invalid request: messages must have at least one element");
    }
    let mut calls: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let path = format!("messages[{index}]");
        let content = message.get("content").filter(|content| !content.is_null());
        let empty = content
            .is_none_or(|content| content == "" || content.as_array().is_some_and(Vec::is_empty));
        let text = |field: &str| message.get(field).and_then(Value::as_str).unwrap_or_default();
        match text("role") {
            "system" | "user" if empty => {
                return invalid(format!("invalid request: content of {path} must not be empty"));
            }
            "system" | "user" => parts(content, text("role"), &path)?,
            "assistant" => {
                let called = message.get("tool_calls").and_then(Value::as_array);
                if empty && called.is_none_or(Vec::is_empty) {
                    return invalid(format!(
                        "invalid request: {path} has no content or tool_calls"
                    ));
                }
                parts(content, "assistant", &path)?;
                let ids = called.into_iter().flatten().map(|call| {
                    let function =
                        call.pointer("/function/arguments").is_some_and(Value::is_string);
                    call.get("id").and_then(Value::as_str).filter(|_| function)
                });
                let ids: Option<Vec<&str>> = ids.collect();
                let Some(ids) = ids else {
                    return invalid(format!("invalid request: tool_calls of {path} are not valid"));
                };
                calls.extend(ids);
            }
            "tool" => {
                if !calls.contains(&text("tool_call_id")) {
                    return invalid(format!(
                        "invalid request: cannot specify outputs.call that was not previously \
                         called: {path}.tool_call_id"
                    ));
                }
                if empty {
                    return invalid(format!(
                        "invalid request: content of {path} must not be empty"
                    ));
                }
                parts(content, "tool", &path)?;
            }
            _ => return invalid(format!("invalid request: role of {path} is not valid")),
        }
    }
    Ok(())
}

fn parts(content: Option<&Value>, role: &str, path: &str) -> Check {
    for (index, part) in content.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
        let good = match (role, kind) {
            (_, "text") => part.get("text").is_some_and(Value::is_string),
            ("user", "image_url") => part.pointer("/image_url/url").is_some_and(Value::is_string),
            ("assistant", "thinking") => part.get("thinking").is_some_and(Value::is_string),
            ("tool", "document") => part.pointer("/document/data").is_some(),
            _ => false,
        };
        if !good {
            return invalid(format!("invalid request: {path}.content[{index}] is not valid"));
        }
    }
    Ok(())
}

fn embed(fields: &Fields) -> Check {
    let types = ["search_document", "search_query", "classification", "clustering", "image"];
    let kind = fields.get("input_type").and_then(Value::as_str).unwrap_or_default();
    if !types.contains(&kind) {
        return invalid(
            "invalid request: valid input_type must be provided with the provided model",
        );
    }
    let some = |field: &str| {
        let list = fields.get(field).and_then(Value::as_array);
        list.is_some_and(|list| (1..=96).contains(&list.len()))
    };
    if ["texts", "images", "inputs"].into_iter().any(some) {
        return Ok(());
    }
    invalid("invalid request: at least one of texts, images and inputs is required, 96 at most")
}

fn rerank(fields: &Fields) -> Check {
    if fields.get("query").and_then(Value::as_str).is_none_or(str::is_empty) {
        return invalid("invalid request: query is required");
    }
    let documents = fields.get("documents").and_then(Value::as_array);
    if documents.is_none_or(|list| list.is_empty() || !list.iter().all(Value::is_string)) {
        return invalid("invalid request: list of documents must not be empty");
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> Check {
    Err(ApiError::invalid(message))
}

#[cfg(test)]
mod tests;
