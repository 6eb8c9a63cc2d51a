//! What Google refuses.

use serde_json::{Map, Value};

use super::tools::{schema, tool_config, tools};
use super::{camel, contents, field, is_three, list, model_of, on_vertex};
use crate::protocols::{ApiError, Call, Endpoint};

pub(super) type Check = Result<(), ApiError>;

const REQUEST: [&str; 11] = [
    "cachedContent",
    "contents",
    "generationConfig",
    "labels",
    "model",
    "safetySettings",
    "serviceTier",
    "store",
    "systemInstruction",
    "toolConfig",
    "tools",
];
const CONFIG: [&str; 23] = [
    "candidateCount",
    "enableEnhancedCivicAnswers",
    "frequencyPenalty",
    "imageConfig",
    "logprobs",
    "maxOutputTokens",
    "mediaResolution",
    "presencePenalty",
    "responseFormat",
    "responseJsonSchema",
    "responseLogprobs",
    "responseMimeType",
    "responseModalities",
    "responseSchema",
    "seed",
    "speechConfig",
    "stopSequences",
    "temperature",
    "thinkingConfig",
    "topK",
    "topP",
    "audioTimestamp",
    "routingConfig",
];
/// Checks a whole request.
pub(super) fn request(call: &Call<'_>) -> Check {
    let key = call.header("x-goog-api-key").is_some_and(|key| !key.trim().is_empty());
    let in_query = call.query.split('&').any(|pair| pair.len() > 4 && pair.starts_with("key="));
    if !key && !in_query && call.bearer().is_none() {
        return Err(ApiError::status(403).message(
            "Method doesn't allow unregistered callers (callers without established identity). \
             Please use API Key or other form of API consumer identity to call this API.",
        ));
    }
    if matches!(call.endpoint, Endpoint::Models | Endpoint::Model) {
        return Ok(());
    }
    if !call.says_json() {
        return invalid("Invalid content type: send application/json.");
    }
    match call.endpoint {
        Endpoint::Chat => generate(call.body, model_of(call)),
        Endpoint::CountTokens if on_vertex(call.path) => {
            let known = [
                "contents",
                "generationConfig",
                "instances",
                "model",
                "systemInstruction",
                "tools",
            ];
            only(call.body, &known, "")?;
            contents::check(call.body, false)
        }
        Endpoint::CountTokens => match field(call.body, "generateContentRequest") {
            Some(request) => generate(request, model_of(call)),
            None => {
                only(call.body, &["contents", "model"], "")?;
                contents::check(call.body, false)
            }
        },
        _ => embed(call),
    }
}

fn embed(call: &Call<'_>) -> Check {
    if call.path.ends_with(":predict") {
        return predict(call);
    }
    let both = ["content", "model", "outputDimensionality", "taskType", "title"];
    let vertex = ["autoTruncate", "embedContentConfig"];
    let vertex = vertex.iter().filter(|_| on_vertex(call.path));
    let known: Vec<&str> = both.iter().chain(vertex).copied().collect();
    let one = |request: &Value, path: &str| {
        only(request, &known, path)?;
        match field(request, "content") {
            Some(content) if !list(field(content, "parts")).is_empty() => Ok(()),
            _ => invalid("* EmbedContentRequest.content: contents is not specified"),
        }
    };
    if !call.path.ends_with(":batchEmbedContents") {
        return one(call.body, "");
    }
    only(call.body, &["requests"], "")?;
    let requests = list(field(call.body, "requests"));
    if requests.is_empty() {
        return invalid("* BatchEmbedContentsRequest.requests: requests is not specified");
    }
    if requests.len() > 100 {
        return invalid(
            "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch",
        );
    }
    let named = format!("models/{}", model_of(call));
    requests.into_iter().enumerate().try_for_each(|(index, request)| {
        if field(request, "model").is_none_or(|model| *model != named) {
            return invalid(format!(
                "* BatchEmbedContentsRequest.requests[{index}].model: unexpected model name format \
                 or model"
            ));
        }
        one(request, &format!("requests[{index}]"))
    })
}

/// <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>
fn predict(call: &Call<'_>) -> Check {
    only(call.body, &["instances", "parameters"], "")?;
    let instances = list(field(call.body, "instances"));
    let most = if model_of(call).starts_with("gemini-embedding") { 1 } else { 250 };
    if instances.is_empty() || instances.len() > most {
        return invalid(format!(
            "{} instance(s) is not allowed per prediction. Please use at least 1 and at most {most}.",
            instances.len()
        ));
    }
    for (index, instance) in instances.into_iter().enumerate() {
        only(instance, &["content", "taskType", "title"], &format!("instances[{index}]"))?;
        if instance.get("content").is_none_or(|content| !content.is_string()) {
            return invalid("The text content is empty.");
        }
    }
    match field(call.body, "parameters") {
        Some(parameters) => {
            only(parameters, &["autoTruncate", "outputDimensionality"], "parameters")
        }
        None => Ok(()),
    }
}

fn generate(body: &Value, model: &str) -> Check {
    only(body, &REQUEST, "")?;
    contents::check(body, is_three(model))?;
    if let Some(system) = field(body, "systemInstruction") {
        if !system.is_object() {
            return invalid(
                "Invalid value at 'system_instruction' \
                 (type.googleapis.com/google.ai.generativelanguage.v1beta.Content)",
            );
        }
        only(system, &["parts", "role"], "system_instruction")?;
    }
    let names = tools(body)?;
    tool_config(body, &names)?;
    match field(body, "generationConfig") {
        Some(config) => self::config(config, model, !names.is_empty()),
        None => Ok(()),
    }
}

fn config(config: &Value, model: &str, functions: bool) -> Check {
    let path = "generation_config";
    only(config, &CONFIG, path)?;
    for name in ["temperature", "topP", "topK", "presencePenalty", "frequencyPenalty"] {
        if field(config, name).is_some_and(|value| !value.is_number()) {
            return wrong(&format!("{path}.{name}"), "TYPE_FLOAT");
        }
    }
    for name in ["maxOutputTokens", "candidateCount", "seed", "logprobs"] {
        if field(config, name).is_some_and(|value| !value.is_i64()) {
            return wrong(&format!("{path}.{name}"), "TYPE_INT32");
        }
    }
    let seed = field(config, "seed").and_then(Value::as_i64);
    if seed.is_some_and(|seed| i32::try_from(seed).is_err()) {
        return wrong(&format!("{path}.seed"), "TYPE_INT32");
    }
    let count = field(config, "candidateCount").and_then(Value::as_i64);
    if count.is_some_and(|count| !(1..=8).contains(&count)) {
        return invalid("The number of candidates must be between 1 and 8.");
    }
    if list(field(config, "stopSequences")).len() > 5 {
        return invalid("The number of stop sequences must be at most 5.");
    }
    let kind = field(config, "responseMimeType").and_then(Value::as_str);
    let kind = kind.unwrap_or("text/plain");
    if !["text/plain", "application/json", "text/x.enum"].contains(&kind) {
        return invalid("Invalid response_mime_type.");
    }
    let schemas = ["responseSchema", "responseJsonSchema"].map(|name| field(config, name));
    if schemas.iter().flatten().count() > 1 {
        return invalid("Only one of response_schema and response_json_schema may be set.");
    }
    if schemas.iter().flatten().count() == 1 && kind == "text/plain" {
        return invalid("A response schema is set, but the response mime type is text/plain.");
    }
    if let [Some(schema), _] = schemas {
        self::schema(schema, &format!("{path}.response_schema"))?;
    }
    if functions && kind == "application/json" && !is_three(model) {
        return invalid(
            "Function calling with a response mime type: 'application/json' is unsupported",
        );
    }
    match field(config, "thinkingConfig") {
        Some(thinking) => self::thinking(thinking, model),
        None => Ok(()),
    }
}

fn thinking(thinking: &Value, model: &str) -> Check {
    let known = ["includeThoughts", "thinkingBudget", "thinkingLevel"];
    only(thinking, &known, "generation_config.thinking_config")?;
    let budget = field(thinking, "thinkingBudget").map(Value::as_i64);
    let level = field(thinking, "thinkingLevel").and_then(Value::as_str);
    match (budget, level) {
        (Some(_), Some(_)) => {
            invalid("You can only set only one of thinking budget and thinking level.")
        }
        (Some(None), _) => wrong("generation_config.thinking_config.thinking_budget", "TYPE_INT32"),
        (Some(Some(budget)), None) if model.starts_with("gemini-2.5-pro") => match budget {
            0 => invalid("Budget 0 is invalid. This model only works in thinking mode."),
            -1 | 128..=32_768 => Ok(()),
            _ => invalid(format!(
                "The thinking budget {budget} is invalid. Please choose a value between 128 and \
                 32768."
            )),
        },
        (Some(Some(budget)), None) if budget > 24_576 && model.starts_with("gemini-2.5") => {
            invalid(format!(
                "The thinking budget {budget} is invalid. Please choose a value between 0 and \
                 24576."
            ))
        }
        (None, Some(_)) if !is_three(model) => {
            invalid("Thinking level is not supported for this model.")
        }
        (None, Some(level)) => match level.to_ascii_lowercase().as_str() {
            "minimal" if model.contains("-pro") => {
                invalid("Thinking level MINIMAL is not supported for this model.")
            }
            "minimal" | "low" | "medium" | "high" => Ok(()),
            _ => wrong("generation_config.thinking_config.thinking_level", "TYPE_ENUM"),
        },
        _ => Ok(()),
    }
}

/// Refuses what is no object, and fields that are not among the known ones.
pub(super) fn only(value: &Value, known: &[&str], path: &str) -> Check {
    let Value::Object(fields) = value else {
        return invalid(format!("Invalid value at '{path}': expected an object"));
    };
    unknown(fields, known).map_or(Ok(()), |key| {
        let at = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
        invalid(format!(
            "Invalid JSON payload received. Unknown name \"{key}\"{at}: Cannot find field."
        ))
    })
}

fn unknown<'f>(fields: &'f Map<String, Value>, known: &[&str]) -> Option<&'f String> {
    fields.keys().find(|key| !known.contains(&camel(key).as_str()))
}

/// Refuses a value of the wrong type.
pub(super) fn wrong(path: &str, kind: &str) -> Check {
    invalid(format!("Invalid value at '{path}' ({kind})"))
}

/// Refuses the request.
pub(super) fn invalid(message: impl Into<String>) -> Check {
    Err(ApiError::invalid(message))
}
