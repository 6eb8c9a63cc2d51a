//! What Google refuses in the conversation.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::tools::valid_name;
use super::validate::{Check, invalid, only, wrong};
use super::{field, list};

/// What a part may say.
const DATA: [&str; 9] = [
    "codeExecutionResult",
    "executableCode",
    "fileData",
    "functionCall",
    "functionResponse",
    "inlineData",
    "text",
    "toolCall",
    "toolResponse",
];
/// What it may have besides.
const MORE: [&str; 5] =
    ["mediaResolution", "partMetadata", "thought", "thoughtSignature", "videoMetadata"];

/// Checks every content, and that calls and their results match. `signed`: calls of the current turn
/// must be.
pub(super) fn check(body: &Value, signed: bool) -> Check {
    let contents = list(field(body, "contents"));
    if contents.is_empty() {
        return invalid("* GenerateContentRequest.contents: contents is not specified");
    }
    // Where the current turn begins: with the last thing that the user said.
    let said = |content: &&Value| is_user(content) && !has(content, "functionResponse");
    let turn = contents.iter().rposition(said).unwrap_or(0);
    let mut before: Option<&Value> = None;
    for (index, content) in contents.iter().copied().enumerate() {
        let path = format!("contents[{index}]");
        only(content, &["parts", "role"], &path)?;
        let role = field(content, "role").and_then(Value::as_str).unwrap_or("user");
        if !["user", "model", "function"].contains(&role) {
            return invalid("Please use a valid role: user, model.");
        }
        let parts = list(field(content, "parts"));
        if parts.is_empty() {
            return invalid(format!(
                "* GenerateContentRequest.{path}.parts: contents.parts must not be empty."
            ));
        }
        for (index, part) in parts.into_iter().enumerate() {
            self::part(part, &format!("{path}.parts[{index}]"))?;
        }
        pair(before, content)?;
        if signed && index > turn {
            self::signed(content, index)?;
        }
        before = Some(content);
    }
    Ok(())
}

fn is_user(content: &Value) -> bool {
    field(content, "role").is_none_or(|role| role != "model")
}

fn has(content: &Value, kind: &str) -> bool {
    count(content, kind) > 0
}

fn count(content: &Value, kind: &str) -> usize {
    list(field(content, "parts")).into_iter().filter(|part| field(part, kind).is_some()).count()
}

/// Checks that calls follow the user, and results follow calls, as many as there were.
fn pair(before: Option<&Value>, content: &Value) -> Check {
    if has(content, "functionCall") && before.is_none_or(|before| !is_user(before)) {
        return invalid(
            "Please ensure that function call turn comes immediately after a user turn or after a \
             function response turn.",
        );
    }
    let calls = before.map_or(0, |before| count(before, "functionCall"));
    let results = count(content, "functionResponse");
    if calls == 0 && results > 0 {
        return invalid(
            "Please ensure that function response turn comes immediately after a function call \
             turn.",
        );
    }
    if calls != results && (results > 0 || is_user(content)) {
        return invalid(
            "Please ensure that the number of function response parts is equal to the number of \
             function call parts of the function call turn.",
        );
    }
    Ok(())
}

/// Checks that the first call of a content has a signature.
fn signed(content: &Value, index: usize) -> Check {
    let parts = list(field(content, "parts"));
    let first = parts.into_iter().find(|part| field(part, "functionCall").is_some());
    match first {
        Some(part) if field(part, "thoughtSignature").is_none() => invalid(format!(
            "Function call is missing a thought_signature in functionCall parts. This is required \
             for tools to work correctly, and missing thought_signature may lead to degraded model \
             performance. Additional data, function call in the {index}. content block."
        )),
        _ => Ok(()),
    }
}

fn part(part: &Value, path: &str) -> Check {
    let known: Vec<&str> = DATA.iter().chain(&MORE).copied().collect();
    only(part, &known, path)?;
    let said: Vec<_> = DATA.iter().filter(|name| field(part, name).is_some()).collect();
    let [kind] = said.as_slice() else {
        return invalid(format!(
            "* GenerateContentRequest.{path}.data: required oneof field 'data' must have one \
             initialized field"
        ));
    };
    if let Some(signature) = field(part, "thoughtSignature") {
        bytes(signature, &format!("{path}.thought_signature"))?;
    }
    let value = field(part, kind).unwrap_or(&Value::Null);
    match **kind {
        "text" if !value.is_string() => wrong(&format!("{path}.text"), "TYPE_STRING"),
        "inlineData" => {
            only(value, &["data", "displayName", "mimeType"], &format!("{path}.inline_data"))?;
            mime_type(value, &format!("{path}.inline_data"))?;
            let data = field(value, "data").unwrap_or(&Value::Null);
            bytes(data, &format!("{path}.inline_data.data"))
        }
        "fileData" => {
            only(value, &["displayName", "fileUri", "mimeType"], &format!("{path}.file_data"))?;
            match field(value, "fileUri").and_then(Value::as_str) {
                Some(uri) if !uri.is_empty() => Ok(()),
                _ => invalid(format!("* GenerateContentRequest.{path}.file_data.file_uri: empty")),
            }
        }
        "functionCall" => {
            let path = format!("{path}.function_call");
            only(value, &["args", "id", "name"], &path)?;
            name(value, &path)?;
            object(field(value, "args").unwrap_or(&Value::Object(Default::default())), &path)
        }
        "functionResponse" => {
            let path = format!("{path}.function_response");
            let known = ["id", "name", "parts", "response", "scheduling", "willContinue"];
            only(value, &known, &path)?;
            name(value, &path)?;
            object(field(value, "response").unwrap_or(&Value::Null), &path)
        }
        _ => Ok(()),
    }
}

fn name(value: &Value, path: &str) -> Check {
    match field(value, "name").and_then(Value::as_str) {
        Some(name) if valid_name(name) => Ok(()),
        _ => invalid(format!("* GenerateContentRequest.{path}.name: Name cannot be empty.")),
    }
}

fn object(value: &Value, path: &str) -> Check {
    match value {
        Value::Object(_) => Ok(()),
        _ => wrong(path, "type.googleapis.com/google.protobuf.Struct"),
    }
}

fn mime_type(value: &Value, path: &str) -> Check {
    match field(value, "mimeType").and_then(Value::as_str) {
        Some(kind) if kind.contains('/') => Ok(()),
        _ => invalid(format!("* GenerateContentRequest.{path}.mime_type: Unsupported MIME type")),
    }
}

/// Either alphabet is read.
fn bytes(value: &Value, path: &str) -> Check {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let good = value.as_str().is_some_and(|text| {
        [STANDARD, URL_SAFE]
            .iter()
            .any(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).is_ok())
    });
    if good { Ok(()) } else { wrong(path, "TYPE_BYTES), Base64 decoding failed") }
}
