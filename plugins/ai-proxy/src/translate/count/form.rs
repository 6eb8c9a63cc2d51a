//! A chat request in the form of each counter.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use shared::json::{JsonStr, fields};
use shared::write::JsonWriter;

use super::Counter;
use crate::overrides::{Overrides, apply};
use crate::provider::Cloud;

/// Puts a chat request into the counter's form.
pub(super) fn fit(counter: Counter, chat: &str, model: &str) -> String {
    let named = format!("\"model\":{}", JsonStr::encode(model).quoted());
    match counter {
        Counter::Anthropic => object(&named, chat, &MESSAGES),
        Counter::VertexAnthropic => {
            let version = Cloud::Vertex.anthropic_version().unwrap_or_default();
            object(&format!(r#""anthropic_version":"{version}",{named}"#), chat, &MESSAGES)
        }
        Counter::BedrockInvoke => {
            format!(r#"{{"input":{{"invokeModel":{{"body":"{}"}}}}}}"#, invoke(chat))
        }
        Counter::Gemini => {
            let named =
                format!(r#""model":{}"#, JsonStr::encode(&format!("models/{model}")).quoted());
            let request = object(&named, chat, &GENERATE);
            format!(r#"{{"generateContentRequest":{request}}}"#)
        }
        Counter::VertexGemini => object("", chat, &GENERATE_ON_VERTEX),
        Counter::BedrockConverse => {
            format!(r#"{{"input":{{"converse":{}}}}}"#, object("", chat, &CONVERSE))
        }
        Counter::OpenAi => object(&named, chat, &RESPONSES),
    }
}

/// What a counter knows of a request: <https://docs.anthropic.com/en/api/messages-count-tokens>,
const MESSAGES: [&str; 10] = [
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "mcp_servers",
    "context_management",
    "cache_control",
    "speed",
];

/// <https://ai.google.dev/api/tokens>,
const GENERATE: [&str; 11] = [
    "contents",
    "systemInstruction",
    "system_instruction",
    "tools",
    "toolConfig",
    "tool_config",
    "generationConfig",
    "generation_config",
    "cachedContent",
    "safetySettings",
    "safety_settings",
];

/// <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens>,
const GENERATE_ON_VERTEX: [&str; 6] = [
    "contents",
    "systemInstruction",
    "system_instruction",
    "tools",
    "generationConfig",
    "generation_config",
];

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseTokensRequest.html>,
const CONVERSE: [&str; 4] = ["messages", "system", "toolConfig", "additionalModelRequestFields"];

/// <https://platform.openai.com/docs/api-reference/responses/input-tokens>.
const RESPONSES: [&str; 10] = [
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "truncation",
    "previous_response_id",
    "conversation",
];

/// An object of these members of another, after `first`.
fn object(first: &str, of: &str, keep: &[&str]) -> String {
    let mut w = JsonWriter::with_capacity(of.len().saturating_add(first.len()));
    w.open('{');
    if !first.is_empty() {
        w.raw(first);
    }
    for (key, value) in fields(of).unwrap_or_default() {
        if keep.contains(&&*key) {
            w.key(&key);
            w.raw(value.get());
        }
    }
    w.close('}');
    w.finish()
}

/// A Messages request as InvokeModel takes it, in Base64.
fn invoke(chat: &str) -> String {
    let mut overrides = Overrides::default();
    overrides.remove.extend(["model".to_owned(), "stream".to_owned()]);
    let version = Cloud::Bedrock.anthropic_version().unwrap_or_default();
    overrides.default.insert("anthropic_version".into(), version.into());
    // It demands one, and does not count it.
    overrides.default.insert("max_tokens".into(), 1.into());
    BASE64.encode(apply(chat, &overrides.edits(chat)))
}
