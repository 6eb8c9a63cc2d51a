//! What OpenAI refuses in the list of items.

use serde_json::{Map, Value};

use super::ENCRYPTED;
use super::validate::short;
use crate::protocols::ApiError;
use crate::protocols::openai::validate::{Check, Fields, missing, name, one_of, only, wrong_type};

const ITEMS: [&str; 7] = [
    "custom_tool_call",
    "custom_tool_call_output",
    "function_call",
    "function_call_output",
    "item_reference",
    "message",
    "reasoning",
];
const ROLES: [&str; 4] = ["assistant", "system", "developer", "user"];
const SAID: [&str; 2] = ["output_text", "refusal"];
const GIVEN: [&str; 3] = ["input_text", "input_image", "input_file"];

/// Checks every item, that calls and their outputs match, and that what was thought is followed by
/// what came of it.
pub(super) fn check(items: &[Value], request: &Map<String, Value>) -> Check {
    let mut open: Vec<&str> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("input[{index}]");
        let Value::Object(fields) = item else { return Err(wrong_type(&path, "an object", item)) };
        let kind = kind(fields);
        one_of(Some(&kind.into()), &ITEMS, &format!("{path}.type"))?;
        match kind {
            "message" => message(fields, &path)?,
            "function_call" => {
                only(fields, &["type", "id", "call_id", "name", "arguments", "status"], &path)?;
                name(fields.get("name"), &format!("{path}.name"))?;
                string(fields, "arguments", &path)?;
                open.push(call_id(fields, &path)?);
            }
            "custom_tool_call" => {
                only(fields, &["type", "id", "call_id", "name", "input", "status"], &path)?;
                string(fields, "input", &path)?;
                open.push(call_id(fields, &path)?);
            }
            "function_call_output" | "custom_tool_call_output" => {
                only(fields, &["type", "id", "call_id", "output", "status"], &path)?;
                let id = call_id(fields, &path)?;
                let Some(place) = open.iter().position(|open| *open == id) else {
                    let message =
                        format!("No tool call found for function call output with call_id {id}.");
                    return Err(ApiError::invalid(message).param("input"));
                };
                open.remove(place);
                let output =
                    fields.get("output").ok_or_else(|| missing(&format!("{path}.output")))?;
                content(output, &GIVEN, &format!("{path}.output"))?;
            }
            "item_reference" => {
                let id = fields.get("id").and_then(Value::as_str).unwrap_or_default();
                let message = format!("Item with id '{id}' not found.");
                return Err(ApiError::status(404).message(message).param("input"));
            }
            _ => {
                reasoning(fields, request, &path)?;
                followed(fields, items.get(index + 1))?;
            }
        }
    }
    match open.first() {
        None => Ok(()),
        Some(id) => {
            let message = format!("No tool output found for function call {id}.");
            Err(ApiError::invalid(message).param("input"))
        }
    }
}

/// A message may leave its type out.
fn kind(fields: &Fields) -> &str {
    match fields.get("type") {
        Some(kind) => kind.as_str().unwrap_or_default(),
        None if fields.contains_key("role") => "message",
        None => "",
    }
}

fn message(fields: &Fields, path: &str) -> Check {
    only(fields, &["type", "id", "role", "content", "status", "phase"], path)?;
    one_of(fields.get("role"), &ROLES, &format!("{path}.role"))?;
    let path = format!("{path}.content");
    let value = fields.get("content").ok_or_else(|| missing(&path))?;
    let said = fields.get("role").is_some_and(|role| role == "assistant");
    content(value, if said { &SAID } else { &GIVEN }, &path)
}

fn content(value: &Value, known: &[&str], path: &str) -> Check {
    let parts = match value {
        Value::String(_) => return Ok(()),
        Value::Array(parts) => parts,
        other => return Err(wrong_type(path, "one of a string or array of objects", other)),
    };
    for (index, part) in parts.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Value::Object(part) = part else { return Err(wrong_type(&path, "an object", part)) };
        one_of(part.get("type"), known, &format!("{path}.type"))?;
        match part.get("type").and_then(Value::as_str).unwrap_or_default() {
            "refusal" => {
                only(part, &["type", "refusal"], &path)?;
                string(part, "refusal", &path)?;
            }
            "input_image" => image(part, &path)?,
            "input_file" => file(part, &path)?,
            _ => {
                only(part, &["type", "text", "annotations", "logprobs"], &path)?;
                string(part, "text", &path)?;
            }
        }
    }
    Ok(())
}

fn image(part: &Fields, path: &str) -> Check {
    only(part, &["type", "image_url", "file_id", "detail"], path)?;
    let path = format!("{path}.image_url");
    let url = part.get("image_url").ok_or_else(|| missing(&path))?;
    let known = ["http://", "https://", "data:image/"];
    if url.as_str().is_some_and(|url| known.iter().any(|start| url.starts_with(start))) {
        return Ok(());
    }
    let message = format!(
        "Invalid '{path}'. Expected a valid URL, but got a value with an \
                           invalid format."
    );
    Err(ApiError::invalid(message).param(path).code("invalid_value"))
}

fn file(part: &Fields, path: &str) -> Check {
    only(part, &["type", "file_data", "file_url", "file_id", "filename", "detail"], path)?;
    match (part.get("file_data"), part.get("file_url").or(part.get("file_id"))) {
        (Some(data), None) => {
            let path = format!("{path}.file_data");
            if !data.as_str().is_some_and(|data| data.starts_with("data:")) {
                return Err(wrong_type(&path, "a base64-encoded data URL", data));
            }
            Ok(())
        }
        (None, Some(_)) => Ok(()),
        _ => Err(missing(&format!("{path}.file_data"))),
    }
}

fn reasoning(fields: &Fields, request: &Map<String, Value>, path: &str) -> Check {
    only(fields, &["type", "id", "summary", "content", "encrypted_content", "status"], path)?;
    if !fields.get("summary").is_some_and(Value::is_array) {
        return Err(missing(&format!("{path}.summary")));
    }
    let id = fields.get("id").and_then(Value::as_str).unwrap_or_default();
    match fields.get("encrypted_content").and_then(Value::as_str) {
        Some(content) if content.starts_with(ENCRYPTED) && !content.contains('#') => Ok(()),
        Some(_) => {
            let message = "The encrypted content could not be verified.";
            Err(ApiError::invalid(message).code("invalid_encrypted_content"))
        }
        None if request.get("store") == Some(&Value::Bool(false)) => {
            let message = format!(
                "Item with id '{id}' not found. Items are not persisted when `store` is set to \
                 false. Try again with `store` set to true, or remove this item from your input."
            );
            Err(ApiError::status(404).message(message).param("input"))
        }
        None => Ok(()),
    }
}

fn followed(fields: &Fields, next: Option<&Value>) -> Check {
    let good = next.and_then(Value::as_object).is_some_and(|next| {
        let own = next.get("role").is_none_or(|role| role == "assistant");
        own && !kind(next).ends_with("_output")
    });
    if good {
        return Ok(());
    }
    let id = fields.get("id").and_then(Value::as_str).unwrap_or_default();
    let message = format!(
        "Item '{id}' of type 'reasoning' was provided without its required following item."
    );
    Err(ApiError::invalid(message).param("input"))
}

fn call_id<'f>(fields: &'f Fields, path: &str) -> Result<&'f str, ApiError> {
    let path = format!("{path}.call_id");
    short(fields.get("call_id"), &path)?;
    fields.get("call_id").and_then(Value::as_str).ok_or_else(|| missing(&path))
}

fn string(fields: &Fields, field: &str, path: &str) -> Check {
    let path = format!("{path}.{field}");
    match fields.get(field) {
        Some(Value::String(_)) => Ok(()),
        Some(other) => Err(wrong_type(&path, "a string", other)),
        None => Err(missing(&path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(items: Value) -> String {
        let items = items.as_array().unwrap();
        let request = json!({"store": false});
        check(items, request.as_object().unwrap()).unwrap_err().message.unwrap()
    }

    fn call(id: &str) -> Value {
        json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"})
    }

    fn output(id: &str) -> Value {
        json!({"type": "function_call_output", "call_id": id, "output": "x"})
    }

    #[test]
    fn good_conversations_pass() {
        let items = json!([
            {"role": "developer", "content": "x"},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"},
            ]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAAx"},
            call("1"),
            call("2"),
            output("2"),
            {"type": "function_call_output", "call_id": "1", "output": [{"type": "input_text", "text": "a"}]},
            {"type": "custom_tool_call", "call_id": "3", "name": "p", "input": "x"},
            {"type": "custom_tool_call_output", "call_id": "3", "output": ""},
            {"role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
        ]);
        assert_eq!(check(items.as_array().unwrap(), &Map::new()), Ok(()));
    }

    #[test]
    fn calls_and_their_outputs_must_match() {
        assert!(refusal(json!([call("1")])).contains("No tool output found for function call 1"));
        assert!(refusal(json!([output("1")])).contains("output with call_id 1"));
        assert!(refusal(json!([call("1"), output("2")])).contains("output with call_id 2"));
        assert!(refusal(json!([call(&"x".repeat(65))])).contains("maximum length 64"));
    }

    #[test]
    fn thoughts_must_be_whole_and_lead_somewhere() {
        let thought = |content: Value| json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content});
        assert!(refusal(json!([thought(json!("gAAAAAx"))])).contains("required following item"));
        let user = json!({"role": "user", "content": "x"});
        assert!(refusal(json!([thought(json!("gAAAAAx")), user])).contains("following item"));
        for foreign in ["sig==", "anthropic#x", "gAAAAA#"] {
            let items = json!([thought(json!(foreign)), call("1"), output("1")]);
            assert!(refusal(items).contains("could not be verified"), "{foreign}");
        }
        assert!(refusal(json!([thought(Value::Null), call("1")])).contains("not persisted"));
    }

    #[test]
    fn foreign_items_and_parts_are_refused() {
        for (item, part) in [
            (json!({"content": ""}), "Invalid value: ''"),
            (json!({"role": "tool", "content": ""}), "Invalid value: 'tool'"),
            (json!({"role": "user"}), "input[0].content"),
            (json!({"role": "user", "content": [{"type": "text", "text": "a"}]}), "'text'"),
            (
                json!({"role": "user", "content": [{"type": "output_text", "text": "a"}]}),
                "'output_text'",
            ),
            (
                json!({"role": "assistant", "content": [{"type": "input_text", "text": "a"}]}),
                "'input_text'",
            ),
            (
                json!({"role": "user", "content": [{"type": "input_image", "image_url": {"url": "x"}}]}),
                "valid URL",
            ),
            (
                json!({"role": "user", "content": [{"type": "input_file", "file_data": "AAAA"}]}),
                "data URL",
            ),
            (json!({"role": "assistant", "content": "a", "tool_calls": []}), "input[0].tool_calls"),
            (
                json!({"type": "function_call", "call_id": "1", "name": "f", "arguments": {}}),
                "input[0].arguments",
            ),
            (json!({"type": "item_reference", "id": "msg_1"}), "'msg_1' not found"),
        ] {
            let got = refusal(json!([item]));
            assert!(got.contains(part), "{item}: {got}");
        }
    }
}
