//! What an answer repeats of its request. SDKs demand some of it.

use shared::protocol::openai_responses::Request as ApiRequest;
use shared::write::JsonWriter;

/// The members, as they stand in the request, or what OpenAI takes where the client says nothing.
pub(super) fn write(api: &ApiRequest<'_>) -> String {
    let mut w = JsonWriter::with_capacity(512);
    let string = |text: &Option<shared::json::JsonStr<'_>>, or: &str| match text {
        Some(text) => text.quoted().to_owned(),
        None => or.to_owned(),
    };
    let raw = |raw: Option<&serde_json::value::RawValue>, or: &str| match raw {
        Some(raw) => raw.get().to_owned(),
        None => or.to_owned(),
    };
    let number = |value: Option<f64>| value.unwrap_or(1.0).to_string();
    for (key, value) in [
        ("background", "false".to_owned()),
        ("instructions", string(&api.instructions, "null")),
        ("max_output_tokens", api.max_output_tokens.map_or("null".into(), |max| max.to_string())),
        ("max_tool_calls", raw(api.max_tool_calls, "null")),
        ("metadata", raw(api.metadata, "{}")),
        ("parallel_tool_calls", api.parallel_tool_calls.unwrap_or(true).to_string()),
        ("previous_response_id", "null".to_owned()),
        ("prompt_cache_key", string(&api.prompt_cache_key, "null")),
        ("reasoning", raw(api.reasoning, r#"{"effort":null,"summary":null}"#)),
        ("safety_identifier", string(&api.safety_identifier, "null")),
        ("service_tier", "\"default\"".to_owned()),
        // Whatever was asked: an answer of another provider cannot be fetched from OpenAI.
        ("store", "false".to_owned()),
        ("temperature", number(api.temperature)),
        ("text", raw(api.text, r#"{"format":{"type":"text"}}"#)),
        ("tool_choice", raw(api.tool_choice, "\"auto\"")),
        ("tools", raw(api.tools, "[]")),
        ("top_logprobs", api.top_logprobs.unwrap_or(0).to_string()),
        ("top_p", number(api.top_p)),
        ("truncation", string(&api.truncation, "\"disabled\"")),
        ("user", string(&api.user, "null")),
    ] {
        w.key(key);
        w.raw(&value);
    }
    w.finish()
}
