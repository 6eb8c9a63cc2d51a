//! What OpenAI refuses in the list of messages.

use serde_json::{Map, Value};

use super::validate::{missing, name, one_of, only, present, wrong_type};
use crate::protocols::ApiError;

type Check = Result<(), ApiError>;
type Fields = Map<String, Value>;

const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

/// Checks every message, and that tool calls and their results match.
pub(super) fn check(messages: &[Value]) -> Check {
    // The calls of the last assistant message that have no result yet.
    let mut open: Vec<&str> = Vec::new();
    let mut after_calls = false;
    for (index, message) in messages.iter().enumerate() {
        let path = format!("messages[{index}]");
        let Value::Object(fields) = message else {
            return Err(wrong_type(&path, "an object", message));
        };
        one_of(fields.get("role"), &ROLES, &format!("{path}.role"))?;
        let role = fields.get("role").and_then(Value::as_str).unwrap_or_default();
        if role == "tool" {
            let id = present(fields, "tool_call_id")
                .and_then(Value::as_str)
                .ok_or_else(|| missing(&format!("{path}.tool_call_id")))?;
            if !after_calls {
                let message = "Invalid parameter: messages with role 'tool' must be a response to \
                               a preceding message with 'tool_calls'.";
                return Err(ApiError::invalid(message).param(format!("{path}.role")));
            }
            let Some(position) = open.iter().position(|open| *open == id) else {
                let message = format!(
                    "Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of \
                     previous message."
                );
                return Err(ApiError::invalid(message).param(format!("{path}.tool_call_id")));
            };
            open.remove(position);
        } else {
            answered(&open, &path)?;
            open.clear();
            after_calls = false;
        }
        self::message(fields, role, &path)?;
        if let Some(Value::Array(calls)) = present(fields, "tool_calls") {
            open = calls.iter().filter_map(|call| call.get("id")?.as_str()).collect();
            after_calls = true;
        }
    }
    answered(&open, &format!("messages[{}]", messages.len()))
}

fn answered(open: &[&str], path: &str) -> Check {
    if open.is_empty() {
        return Ok(());
    }
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to \
         each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Err(ApiError::invalid(message).param(format!("{path}.role")))
}

fn message(fields: &Fields, role: &str, path: &str) -> Check {
    let known: &[&str] = match role {
        "assistant" => &[
            "role",
            "content",
            "name",
            "refusal",
            "audio",
            "tool_calls",
            "function_call",
            "annotations",
        ],
        "tool" => &["role", "content", "tool_call_id"],
        _ => &["role", "content", "name"],
    };
    only(fields, known, path)?;
    let content_path = format!("{path}.content");
    match (role, present(fields, "content")) {
        ("assistant", None) => {
            let others = ["tool_calls", "function_call", "refusal", "audio"];
            if others.iter().all(|field| present(fields, field).is_none()) {
                return Err(wrong_type(&content_path, "a string or an array", &Value::Null));
            }
        }
        (_, None) => return Err(wrong_type(&content_path, "a string or an array", &Value::Null)),
        (_, Some(content)) => self::content(content, role, &content_path)?,
    }
    if present(fields, "name").is_some() || role == "function" {
        name(fields.get("name"), &format!("{path}.name"))?;
    }
    match present(fields, "tool_calls") {
        None => Ok(()),
        Some(Value::Array(calls)) if !calls.is_empty() => calls
            .iter()
            .enumerate()
            .try_for_each(|(index, call)| tool_call(call, &format!("{path}.tool_calls[{index}]"))),
        Some(_) => Err(ApiError::invalid(format!(
            "Invalid '{path}.tool_calls': empty array. Expected an array with minimum length 1."
        ))
        .param(format!("{path}.tool_calls"))),
    }
}

fn content(content: &Value, role: &str, path: &str) -> Check {
    let parts = match content {
        Value::String(_) => return Ok(()),
        Value::Array(parts) => parts,
        other => return Err(wrong_type(path, "one of a string or array of objects", other)),
    };
    if parts.is_empty() {
        return Err(ApiError::invalid(format!("Invalid '{path}': empty array.")).param(path));
    }
    let allowed: &[&str] = match role {
        "user" => &["text", "image_url", "input_audio", "file"],
        "assistant" => &["text", "refusal"],
        _ => &["text"],
    };
    for (index, part) in parts.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Value::Object(part) = part else { return Err(wrong_type(&path, "an object", part)) };
        one_of(part.get("type"), allowed, &format!("{path}.type"))?;
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
        // A part has its value in the field named like its type.
        only(part, &["type", kind], &path)?;
        let path = format!("{path}.{kind}");
        let value = part.get(kind).ok_or_else(|| missing(&path))?;
        let (good, expected) = match kind {
            "text" | "refusal" => (value.is_string(), "a string"),
            "image_url" => (value.get("url").is_some_and(image), "an object with a valid url"),
            "input_audio" => (audio(value), "an object with data and format"),
            _ => (value.is_object(), "an object"),
        };
        if !good {
            return Err(wrong_type(&path, expected, value));
        }
    }
    Ok(())
}

fn image(url: &Value) -> bool {
    let known = ["http://", "https://", "data:image/"];
    url.as_str().is_some_and(|url| known.iter().any(|start| url.starts_with(start)))
}

fn audio(value: &Value) -> bool {
    value.get("data").is_some_and(Value::is_string)
        && value.get("format").is_some_and(|format| format == "wav" || format == "mp3")
}

fn tool_call(call: &Value, path: &str) -> Check {
    let Value::Object(fields) = call else { return Err(wrong_type(path, "an object", call)) };
    if !fields.get("id").is_some_and(Value::is_string) {
        return Err(missing(&format!("{path}.id")));
    }
    one_of(fields.get("type"), &["function", "custom"], &format!("{path}.type"))?;
    if fields.get("type").is_some_and(|kind| kind == "custom") {
        return Ok(());
    }
    only(fields, &["id", "type", "function"], path)?;
    let path = format!("{path}.function");
    let Some(Value::Object(function)) = fields.get("function") else { return Err(missing(&path)) };
    only(function, &["name", "arguments"], &path)?;
    name(function.get("name"), &format!("{path}.name"))?;
    match function.get("arguments") {
        Some(Value::String(_)) => Ok(()),
        Some(other) => Err(wrong_type(&format!("{path}.arguments"), "a string", other)),
        None => Err(missing(&format!("{path}.arguments"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(messages: Value) -> String {
        let messages = messages.as_array().unwrap();
        check(messages).unwrap_err().message.unwrap()
    }

    fn call(id: &str) -> Value {
        json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
    }

    #[test]
    fn good_conversations_pass() {
        let messages = json!([
            {"role": "developer", "content": "x"},
            {"role": "user", "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                {"type": "file", "file": {"file_id": "f"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [call("1"), call("2")]},
            {"role": "tool", "tool_call_id": "2", "content": "b"},
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "a"}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        ]);
        assert_eq!(check(messages.as_array().unwrap()), Ok(()));
    }

    #[test]
    fn tool_results_must_match_their_calls() {
        let assistant = json!({"role": "assistant", "content": null, "tool_calls": [call("1")]});
        let tool = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": ""});
        let user = json!({"role": "user", "content": "hi"});
        assert!(refusal(json!([user, tool("1")])).contains("preceding message with 'tool_calls'"));
        assert!(refusal(json!([assistant, user])).contains("did not have response messages: 1"));
        assert!(refusal(json!([assistant])).contains("did not have response messages: 1"));
        assert!(refusal(json!([assistant, tool("9")])).contains("'tool_call_id' of '9' not found"));
        assert!(refusal(json!([assistant, tool("1"), user, tool("1")])).contains("preceding"));
        assert!(
            refusal(json!([assistant, {"role": "tool", "content": ""}])).contains("tool_call_id")
        );
    }

    #[test]
    fn foreign_fields_and_parts_are_refused() {
        for (message, part) in [
            (json!({"role": "human", "content": ""}), "Invalid value: 'human'"),
            (json!({"content": ""}), "'messages[0].role'"),
            (json!({"role": "user", "content": 1}), "messages[0].content"),
            (json!({"role": "user"}), "got null"),
            (json!({"role": "assistant", "content": null}), "got null"),
            (
                json!({"role": "user", "content": "a", "cache_control": {}}),
                "messages[0].cache_control",
            ),
            (
                json!({"role": "assistant", "content": "a", "reasoning_content": "b"}),
                "reasoning_content",
            ),
            (
                json!({"role": "user", "content": [{"type": "image", "source": {}}]}),
                "Invalid value: 'image'",
            ),
            (
                json!({"role": "system", "content": [{"type": "image_url", "image_url": {}}]}),
                "image_url",
            ),
            (
                json!({"role": "user", "content": [{"type": "text", "text": "a", "cache_control": 1}]}),
                "content[0].cache_control",
            ),
            (
                json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "AAAA"}}]}),
                "valid url",
            ),
            (
                json!({"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": {}}}]}),
                "expected a string, but got an object",
            ),
        ] {
            let got = refusal(json!([message]));
            assert!(got.contains(part), "{message}: {got}");
        }
    }
}
