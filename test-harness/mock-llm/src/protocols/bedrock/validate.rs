//! What Bedrock refuses.

use serde_json::{Map, Value};

use super::invoke;
use crate::protocols::{ApiError, Call, Endpoint};

type Check = Result<(), ApiError>;
type Fields = Map<String, Value>;

const FIELDS: [&str; 12] = [
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "inferenceConfig",
    "messages",
    "outputConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
    "system",
    "toolConfig",
];
const DOCUMENTS: [&str; 9] = ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"];
const IMAGES: [&str; 4] = ["png", "jpeg", "gif", "webp"];

/// Checks a whole request.
pub(super) fn request(call: &Call<'_>) -> Check {
    authorized(call)?;
    if !call.says_json() {
        return invalid("The Content-Type header must be application/json");
    }
    let Value::Object(fields) = call.body else {
        return invalid("Malformed input request: #: expected an object");
    };
    if call.endpoint != Endpoint::Chat {
        return invoke::check(call, fields);
    }
    only(fields, &FIELDS, "#")?;
    let Some(Value::Array(messages)) = fields.get("messages") else {
        return invalid("1 validation error detected: Value null at 'messages' is not valid");
    };
    let tools = tools(fields)?;
    conversation(messages, tools)?;
    system(fields.get("system"))?;
    inference(fields.get("inferenceConfig"))?;
    format(fields.get("outputConfig"))
}

/// A signature is looked at, but not computed: nobody here knows the secret.
fn authorized(call: &Call<'_>) -> Check {
    let refuse = |kind: &str, message: &str| {
        Err(ApiError { kind: Some(kind.to_owned()), ..ApiError::status(403).message(message) })
    };
    let Some(value) = call.header("authorization") else {
        return refuse("MissingAuthenticationTokenException", "Missing Authentication Token");
    };
    if call.bearer().is_some() {
        return Ok(());
    }
    let Some(rest) = value.strip_prefix("AWS4-HMAC-SHA256 ") else {
        let message = "Authorization header requires 'Credential', 'Signature' and 'SignedHeaders'";
        return refuse("IncompleteSignatureException", message);
    };
    let part = |name: &str| {
        let parts = rest.split(',').map(str::trim);
        parts.into_iter().find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let scope: Vec<_> = part("Credential").unwrap_or_default().split('/').collect();
    let date = call.header("x-amz-date").unwrap_or_default();
    let [id, day, region, "bedrock", "aws4_request"] = scope.as_slice() else {
        return refuse("InvalidSignatureException", "Credential should be scoped to bedrock");
    };
    let dated = !day.is_empty() && date.starts_with(day) && date.ends_with('Z') && date.len() == 16;
    let headers: Vec<_> = part("SignedHeaders").unwrap_or_default().split(';').collect();
    let signed = ["host", "x-amz-date"].iter().all(|name| headers.contains(name));
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let complete = !id.is_empty() && !region.is_empty();
    if complete && dated && signed && headers.is_sorted() && part("Signature").is_some_and(hex) {
        return Ok(());
    }
    let message = "The request signature we calculated does not match the signature you provided.";
    refuse("InvalidSignatureException", message)
}

/// Whether there are tools.
fn tools(fields: &Fields) -> Result<bool, ApiError> {
    let Some(config) = fields.get("toolConfig") else { return Ok(false) };
    let Some(Value::Array(tools)) = config.get("tools") else {
        return invalid("The toolConfig.tools field is missing").map(|()| false);
    };
    if tools.is_empty() {
        return invalid("The toolConfig.tools field must have 1 item at least").map(|()| false);
    }
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let path = format!("toolConfig.tools.{index}");
        if tool.get("cachePoint").is_some() {
            continue;
        }
        let name = tool.pointer("/toolSpec/name").and_then(Value::as_str).unwrap_or_default();
        if !valid_name(name) || names.contains(&name) {
            return invalid(format!("The name at {path}.toolSpec is not valid")).map(|()| false);
        }
        names.push(name);
        if tool.pointer("/toolSpec/description").is_some_and(|text| text == "") {
            return invalid(format!("The description at {path}.toolSpec is empty")).map(|()| false);
        }
        let schema = tool.pointer("/toolSpec/inputSchema/json/type");
        if schema.is_none_or(|kind| kind != "object") {
            let message = format!(
                "The value at {path}.toolSpec.inputSchema.json.type must be one of the following: \
                 object."
            );
            return invalid(message).map(|()| false);
        }
    }
    let Some(choice) = config.get("toolChoice") else { return Ok(true) };
    let known = choice.get("any").or_else(|| choice.get("auto")).is_some()
        || choice.pointer("/tool/name").and_then(Value::as_str).is_some_and(|n| names.contains(&n));
    if known { Ok(true) } else { invalid("The toolChoice is not valid").map(|()| true) }
}

pub(super) fn conversation(messages: &[Value], tools: bool) -> Check {
    if messages.is_empty() {
        return invalid("The messages field is empty. Add a message and try again.");
    }
    let mut names = Vec::new();
    // The calls of the message right before.
    let mut calls: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let path = format!("messages.{index}");
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if index == 0 && role != "user" {
            return invalid(
                "A conversation must start with a user message. Try again with a conversation that \
                 starts with a user message.",
            );
        }
        if role != if index % 2 == 0 { "user" } else { "assistant" } {
            return invalid(
                "A conversation must alternate between user and assistant roles. Make sure the \
                 conversation alternates between user and assistant roles and try again.",
            );
        }
        let content = message.get("content").and_then(Value::as_array);
        let Some(content) = content.filter(|content| !content.is_empty()) else {
            return invalid(format!(
                "The content field in the Message object at {path} is empty. Add a ContentBlock \
                 object to the content field and try again."
            ));
        };
        for (index, item) in content.iter().enumerate() {
            block(item, tools, &format!("{path}.content.{index}"), &mut names)?;
        }
        let documents = content.iter().any(|block| block.get("document").is_some());
        if documents && !content.iter().any(|block| block.get("text").is_some()) {
            return invalid(format!("A text block is required with the documents at {path}"));
        }
        let ids = |pointer: &str| -> Vec<&str> {
            content.iter().filter_map(|block| block.pointer(pointer)?.as_str()).collect()
        };
        let results = ids("/toolResult/toolUseId");
        if results.iter().any(|id| !calls.contains(id)) || results.len() > calls.len() {
            return invalid(format!(
                "The number of toolResult blocks at {path}.content exceeds the number of toolUse \
                 blocks of previous turn."
            ));
        }
        if let Some(missing) = calls.iter().find(|id| !results.contains(id)) {
            return invalid(format!(
                "Expected toolResult blocks at {path}.content for the following Ids: {missing}"
            ));
        }
        calls = ids("/toolUse/toolUseId");
    }
    Ok(())
}

fn block<'v>(block: &'v Value, tools: bool, path: &str, names: &mut Vec<&'v str>) -> Check {
    let Some((kind, value)) = block.as_object().and_then(|fields| fields.iter().next()) else {
        return invalid(format!("The ContentBlock object at {path} is empty"));
    };
    if block.as_object().is_some_and(|fields| fields.len() > 1) {
        return invalid(format!("The ContentBlock object at {path} must set one key only"));
    }
    match kind.as_str() {
        "text" if value.as_str().is_none_or(|text| text.trim().is_empty()) => invalid(format!(
            "The text field in the ContentBlock object at {path} is blank. Add text to the text \
             field, and try again."
        )),
        "toolUse" | "toolResult" => {
            if !tools {
                return invalid(
                    "The toolConfig field must be defined when using toolUse and toolResult \
                     content blocks.",
                );
            }
            let id = value.get("toolUseId").and_then(Value::as_str).unwrap_or_default();
            if !valid_name(id) {
                return invalid(format!(
                    "1 validation error detected: Value at '{path}.{kind}.toolUseId' failed to \
                     satisfy constraint: Member must satisfy regular expression pattern: \
                     [a-zA-Z0-9_-]+"
                ));
            }
            if kind == "toolUse" && !value.get("input").is_some_and(Value::is_object) {
                return invalid(format!("The input at {path}.toolUse must be an object"));
            }
            if kind == "toolUse" {
                return Ok(());
            }
            let Some(content) = value.get("content").and_then(Value::as_array) else {
                return invalid(format!("The content at {path}.toolResult is missing"));
            };
            content.iter().enumerate().try_for_each(|(index, item)| {
                let path = format!("{path}.toolResult.content.{index}");
                if item.get("json").is_some() {
                    Ok(())
                } else {
                    self::block(item, tools, &path, names)
                }
            })
        }
        "image" => media(value, &IMAGES, path),
        "document" => {
            let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
            let legal = |c: char| c.is_ascii_alphanumeric() || " -()[]".contains(c);
            if name.is_empty() || !name.chars().all(legal) || name.contains("  ") {
                return invalid(
                    "The document file name can only contain alphanumeric characters, whitespace \
                     characters, hyphens, parentheses, and square brackets. The name can't contain \
                     more than one consecutive whitespace character.",
                );
            }
            if names.contains(&name) {
                return invalid("Messages can't contain duplicate document names.");
            }
            names.push(name);
            media(value, &DOCUMENTS, path)
        }
        "text" | "video" | "audio" | "cachePoint" | "reasoningContent" | "guardContent"
        | "citationsContent" | "searchResult" => Ok(()),
        _ => extraneous(path, kind),
    }
}

fn media(value: &Value, formats: &[&str], path: &str) -> Check {
    let format = value.get("format").and_then(Value::as_str).unwrap_or_default();
    if !formats.contains(&format) {
        return invalid(format!("The format at {path} must be one of {}", formats.join(", ")));
    }
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let bytes = text("/source/bytes").is_some_and(|b| !b.is_empty() && !b.starts_with("data:"));
    if bytes || text("/source/s3Location/uri").is_some_and(|uri| uri.starts_with("s3://")) {
        return Ok(());
    }
    invalid(format!("The source at {path} has neither bytes nor s3Location"))
}

fn system(system: Option<&Value>) -> Check {
    for (index, block) in system.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let text = block.get("text").and_then(Value::as_str);
        if block.get("cachePoint").is_none() && text.is_none_or(|text| text.trim().is_empty()) {
            return invalid(format!(
                "The text field in the SystemContentBlock object at system.{index} is blank."
            ));
        }
    }
    Ok(())
}

fn inference(config: Option<&Value>) -> Check {
    let Some(config) = config else { return Ok(()) };
    let Value::Object(config) = config else { return invalid("inferenceConfig is no object") };
    only(config, &["maxTokens", "stopSequences", "temperature", "topP"], "#/inferenceConfig")?;
    if config.get("maxTokens").is_some_and(|max| max.as_u64().is_none_or(|max| max == 0)) {
        return invalid("The value at inferenceConfig.maxTokens must be 1 or more");
    }
    for field in ["temperature", "topP"] {
        let bad = |value: &Value| value.as_f64().is_none_or(|n| !(0.0..=1.0).contains(&n));
        if config.get(field).is_some_and(bad) {
            return invalid(format!("The value at inferenceConfig.{field} must be from 0 to 1"));
        }
    }
    let stops = config.get("stopSequences").and_then(Value::as_array).into_iter().flatten();
    if stops.into_iter().any(|stop| stop.as_str().is_none_or(str::is_empty)) {
        return invalid("The values of inferenceConfig.stopSequences must not be empty");
    }
    Ok(())
}

fn format(config: Option<&Value>) -> Check {
    let Some(format) = config.and_then(|config| config.get("textFormat")) else { return Ok(()) };
    let schema = format.pointer("/structure/jsonSchema/schema").and_then(Value::as_str);
    let parsed = schema.is_some_and(|schema| {
        serde_json::from_str::<Value>(schema).is_ok_and(|schema| schema.is_object())
    });
    if parsed && format.get("type").is_some_and(|kind| kind == "json_schema") {
        return Ok(());
    }
    invalid("The schema at outputConfig.textFormat.structure.jsonSchema is not valid JSON")
}

fn valid_name(name: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(valid)
}

pub(super) fn only(fields: &Fields, known: &[&str], path: &str) -> Check {
    match fields.keys().find(|field| !known.contains(&field.as_str())) {
        None => Ok(()),
        Some(field) => extraneous(path, field),
    }
}

fn extraneous(path: &str, key: &str) -> Check {
    invalid(format!(
        "Malformed input request: {path}: extraneous key [{key}] is not permitted, please reformat \
         your input and try again."
    ))
}

pub(super) fn invalid(message: impl Into<String>) -> Check {
    Err(ApiError::invalid(message))
}

#[cfg(test)]
mod tests;
