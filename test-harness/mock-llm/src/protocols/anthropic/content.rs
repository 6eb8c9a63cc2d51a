//! What Anthropic refuses in the list of messages.

use serde_json::Value;

use super::validate::{Check, Fields, invalid, only, required, valid_name};

/// Blocks that are checked, with the fields they may have.
const BLOCKS: [(&str, &[&str]); 7] = [
    ("text", &["text", "cache_control", "citations"]),
    ("image", &["source", "cache_control"]),
    ("document", &["source", "cache_control", "citations", "context", "title"]),
    ("tool_use", &["id", "name", "input", "cache_control", "caller", "toolset_name"]),
    ("tool_result", &["tool_use_id", "content", "is_error", "cache_control", "toolset_name"]),
    ("thinking", &["thinking", "signature"]),
    ("redacted_thinking", &["data"]),
];
/// Blocks of Anthropic's own tools, which come back as they were sent.
const OPAQUE: [&str; 10] = [
    "bash_code_execution_tool_result",
    "code_execution_tool_result",
    "container_upload",
    "mcp_tool_result",
    "mcp_tool_use",
    "search_result",
    "server_tool_use",
    "text_editor_code_execution_tool_result",
    "web_fetch_tool_result",
    "web_search_tool_result",
];

/// Checks every message, and that tool calls and their results match; `current` is for the newest
/// version of the protocol. The first ones may answer calls of a conversation that `goes_on`.
pub(super) fn messages(messages: &[Value], current: bool, goes_on: bool) -> Check {
    if messages.is_empty() {
        return invalid("messages: at least one message is required");
    }
    // The calls of the assistant message right before.
    let mut calls: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let path = format!("messages.{index}");
        let Value::Object(fields) = message else {
            return invalid(format!("{path}: Input should be a valid dictionary"));
        };
        only(fields, &["role", "content"], &format!("{path}."))?;
        let role = match fields.get("role").and_then(Value::as_str) {
            Some(role @ ("user" | "assistant")) => role,
            Some(role) => {
                return invalid(format!(
                    "messages: Unexpected role \"{role}\". The Messages API accepts a top-level \
                     `system` parameter, not \"system\" as an input message role."
                ));
            }
            None => return required(&format!("{path}.role")),
        };
        if index == 0 && role != "user" {
            return invalid("messages: first message must use the \"user\" role");
        }
        let last = index + 1 == messages.len();
        content(fields, role, last, &path)?;
        let blocks = fields.get("content").and_then(Value::as_array);
        if current {
            newest(blocks, role, &path)?;
        }
        if index > 0 || !goes_on {
            results(blocks, role, &calls, &path)?;
        }
        calls = blocks.map(|blocks| ids(blocks, "tool_use", "id")).unwrap_or_default();
        if role == "user" && !calls.is_empty() {
            return invalid(format!(
                "{path}: `tool_use` blocks can only be in `assistant` messages"
            ));
        }
    }
    if calls.is_empty() {
        return Ok(());
    }
    unanswered(messages.len() - 1, &calls)
}

/// What only the newest version refuses.
fn newest(blocks: Option<&Vec<Value>>, role: &str, path: &str) -> Check {
    for (index, block) in blocks.into_iter().flatten().enumerate() {
        let path = format!("{path}.content.{index}");
        let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
        if role == "assistant" && kind == "document" {
            return invalid(format!(
                "{path}: `document` blocks are not permitted in `assistant` messages"
            ));
        }
        let cited = block.get("citations").and_then(Value::as_array).is_some_and(|c| !c.is_empty());
        if role == "user" && kind == "text" && cited {
            return invalid(format!(
                "{path}.text.citations: citations are not permitted in `user` messages"
            ));
        }
    }
    Ok(())
}

fn unanswered(index: usize, calls: &[&str]) -> Check {
    invalid(format!(
        "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately \
         after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the \
         next message.",
        calls.join(", ")
    ))
}

fn ids<'a>(blocks: &'a [Value], kind: &str, field: &str) -> Vec<&'a str> {
    blocks
        .iter()
        .filter(|block| block.get("type").is_some_and(|found| found == kind))
        .filter_map(|block| block.get(field)?.as_str())
        .collect()
}

/// Checks that a message answers exactly the calls of the message before.
fn results(blocks: Option<&Vec<Value>>, role: &str, calls: &[&str], path: &str) -> Check {
    let answered =
        blocks.map(|blocks| ids(blocks, "tool_result", "tool_use_id")).unwrap_or_default();
    if role != "user" && !answered.is_empty() {
        return invalid(format!("{path}: `tool_result` blocks can only be in `user` messages"));
    }
    for (index, id) in answered.iter().enumerate() {
        if !calls.contains(id) {
            return invalid(format!(
                "{path}.content.{index}: unexpected `tool_use_id` found in `tool_result` blocks: \
                 {id}. Each `tool_result` block must have a corresponding `tool_use` block in the \
                 previous message."
            ));
        }
        if answered.iter().filter(|other| *other == id).count() > 1 {
            return invalid(format!(
                "{path}.content.{index}: each tool_use must have a single result. Found multiple \
                 `tool_result` blocks with id: {id}"
            ));
        }
    }
    let missing: Vec<&str> = calls.iter().filter(|id| !answered.contains(id)).copied().collect();
    // Results must come before anything else in a message that answers calls.
    let leading = blocks.into_iter().flatten();
    let leading = leading
        .take_while(|block| block.get("type").is_some_and(|kind| kind == "tool_result"))
        .count();
    if missing.is_empty() && leading == answered.len() {
        return Ok(());
    }
    let index = path.rsplit('.').next().and_then(|index| index.parse::<usize>().ok());
    let found = if missing.is_empty() { calls } else { missing.as_slice() };
    unanswered(index.unwrap_or(0).saturating_sub(1), found)
}

fn content(fields: &Fields, role: &str, last: bool, path: &str) -> Check {
    let path = format!("{path}.content");
    // Only a started answer may be empty.
    let may_be_empty = last && role == "assistant";
    let blocks = match fields.get("content") {
        None => return required(&path),
        Some(Value::String(text)) if text.is_empty() && !may_be_empty => {
            return invalid(format!(
                "{path}: all messages must have non-empty content except for the optional final \
                 assistant message"
            ));
        }
        Some(Value::String(text)) => return prefill(text, may_be_empty),
        Some(Value::Array(blocks)) if blocks.is_empty() && !may_be_empty => {
            return invalid(format!(
                "{path}: all messages must have non-empty content except for the optional final \
                 assistant message"
            ));
        }
        Some(Value::Array(blocks)) => blocks,
        Some(_) => return invalid(format!("{path}: Input should be a valid string or list")),
    };
    for (index, item) in blocks.iter().enumerate() {
        block(item, &format!("{path}.{index}"))?;
    }
    let text = blocks.last().and_then(|block| block.get("text")?.as_str());
    prefill(text.unwrap_or_default(), may_be_empty)
}

fn prefill(text: &str, is_prefill: bool) -> Check {
    if is_prefill && text.ends_with(char::is_whitespace) {
        return invalid("messages: final assistant content cannot end with trailing whitespace");
    }
    Ok(())
}

/// Checks one block of content.
pub(super) fn block(block: &Value, path: &str) -> Check {
    let Value::Object(fields) = block else {
        return invalid(format!("{path}: Input should be a valid dictionary"));
    };
    let Some(kind) = fields.get("type").and_then(Value::as_str) else {
        return required(&format!("{path}.type"));
    };
    if OPAQUE.contains(&kind) {
        return Ok(());
    }
    let Some((_, known)) = BLOCKS.iter().find(|(name, _)| *name == kind) else {
        let tags: Vec<String> = BLOCKS.iter().map(|(name, _)| format!("'{name}'")).collect();
        return invalid(format!(
            "{path}: Input tag '{kind}' found using 'type' does not match any of the expected \
             tags: {}",
            tags.join(", ")
        ));
    };
    let known: Vec<&str> = known.iter().copied().chain(["type"]).collect();
    only(fields, &known, &format!("{path}.{kind}."))?;
    if let Some(cache) = fields.get("cache_control").filter(|cache| !cache.is_null())
        && cache.get("type").is_none_or(|kind| kind != "ephemeral")
    {
        return invalid(format!("{path}.{kind}.cache_control.type: Input should be 'ephemeral'"));
    }
    let text = |field: &str| match fields.get(field) {
        None => required(&format!("{path}.{kind}.{field}")),
        Some(Value::String(_)) => Ok(()),
        Some(_) => invalid(format!("{path}.{kind}.{field}: Input should be a valid string")),
    };
    match kind {
        "text" => {
            text("text")?;
            if fields.get("text").is_some_and(|text| text == "") {
                return invalid(format!("{path}.text: text content blocks must be non-empty"));
            }
            Ok(())
        }
        "image" | "document" => source(fields.get("source"), kind, path),
        "tool_use" => {
            text("id")?;
            text("name")?;
            let named = fields.get("name").and_then(Value::as_str).is_some_and(valid_name);
            let known = fields.get("id").and_then(Value::as_str).is_some_and(valid_name);
            if !named || !known {
                let field = if named { "id" } else { "name" };
                return invalid(format!(
                    "{path}.tool_use.{field}: String should match pattern '^[a-zA-Z0-9_-]+$'"
                ));
            }
            match fields.get("input") {
                None => required(&format!("{path}.tool_use.input")),
                Some(Value::Object(_)) => Ok(()),
                Some(_) => {
                    invalid(format!("{path}.tool_use.input: Input should be a valid dictionary"))
                }
            }
        }
        "tool_result" => {
            text("tool_use_id")?;
            result_content(fields, path)
        }
        "thinking" => text("thinking").and_then(|()| text("signature")),
        _ => text("data"),
    }
}

fn result_content(fields: &Fields, path: &str) -> Check {
    if fields.get("is_error").is_some_and(|value| !value.is_boolean()) {
        return invalid(format!("{path}.tool_result.is_error: Input should be a valid boolean"));
    }
    match fields.get("content") {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(blocks)) => blocks.iter().enumerate().try_for_each(|(index, item)| {
            let path = format!("{path}.tool_result.content.{index}");
            match item.get("type").and_then(Value::as_str) {
                Some("text" | "image" | "document" | "search_result" | "tool_reference") => {
                    block(item, &path)
                }
                _ => invalid(format!("{path}: Input should be a block of text, image or document")),
            }
        }),
        Some(_) => {
            invalid(format!("{path}.tool_result.content: Input should be a valid string or list"))
        }
    }
}

fn source(source: Option<&Value>, kind: &str, path: &str) -> Check {
    let path = format!("{path}.{kind}.source");
    let Some(source) = source else { return required(&path) };
    let text = |field: &str| source.get(field).and_then(Value::as_str);
    let needed: &[&str] = match (kind, text("type")) {
        (_, Some("base64")) => &["media_type", "data"],
        (_, Some("url")) => &["url"],
        (_, Some("file")) => &["file_id"],
        ("document", Some("text")) => &["media_type", "data"],
        ("document", Some("content")) => &[],
        _ => return invalid(format!("{path}.type: Input should be 'base64' or 'url'")),
    };
    for field in needed {
        if text(field).is_none_or(str::is_empty) {
            return required(&format!("{path}.{field}"));
        }
    }
    let types = ["image/jpeg", "image/png", "image/gif", "image/webp"];
    if kind == "image" && text("media_type").is_some_and(|kind| !types.contains(&kind)) {
        let types: Vec<String> = types.iter().map(|kind| format!("'{kind}'")).collect();
        return invalid(format!("{path}.media_type: Input should be {}", types.join(", ")));
    }
    if text("data").is_some_and(|data| data.starts_with("data:")) {
        return invalid(format!("{path}.data: invalid base64 data"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
