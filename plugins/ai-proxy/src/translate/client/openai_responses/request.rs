//! Reads a Responses request. Every mistake is named with its place in the client's document.

use std::borrow::Cow;

use serde_json::value::RawValue;
use shared::errors::ApiError;
use shared::json::{Document, JsonStr, parse};
use shared::protocol::openai_responses::{Reasoning, Request as ApiRequest, TextConfig};

use super::{echo, input, tools};
use crate::translate::client::bad::{bad, invalid, required};
use crate::translate::client::left::{left, left_out};
use crate::translate::client::openai_chat::{of_openai, padding};
use crate::translate::ir::{Body, Effort, Format, Request};

pub(super) type Result<T> = std::result::Result<T, ApiError>;

/// What an answer may hold besides that has a place in the hub.
const INCLUDED: [&str; 2] = ["message.output_text.logprobs", "reasoning.encrypted_content"];

/// Reads the request.
pub fn read<'a>(body: impl Into<Document<'a>>) -> Result<Request<'a>> {
    let api: ApiRequest<'_> = body.into().parse().map_err(|error| bad("", &error))?;
    check(&api)?;
    let mut request = Request { echo: echo::write(&api), ..Request::default() };
    if let Some(instructions) = api.instructions.filter(|text| !text.is_empty()) {
        request.system.push(Body::Text(instructions).into());
    }
    let content = api.input.ok_or_else(|| required("", "input"))?;
    input::read(&mut request, content)?;
    if let Some(list) = api.tools {
        tools::read(&mut request, list)?;
    }
    if let Some(choice) = api.tool_choice {
        tools::read_choice(&mut request, choice)?;
    }
    if let Some(reasoning) = api.reasoning {
        read_reasoning(&mut request, reasoning)?;
    }
    if let Some(config) = api.text {
        read_text(&mut request, config)?;
    }
    let included = |wanted: &str| api.include.iter().flatten().any(|name| *name == *wanted);
    if api.top_logprobs.is_some_and(|top| top > 0) || included("message.output_text.logprobs") {
        request.logprobs = Some(api.top_logprobs.unwrap_or(0));
    }
    request.parallel_tool_calls = api.parallel_tool_calls;
    request.max_tokens = api.max_output_tokens;
    request.temperature = api.temperature;
    request.top_p = api.top_p;
    request.stream = api.stream.unwrap_or(false);
    request.user = api.safety_identifier.or(api.user).filter(|user| !user.is_empty());
    request.cache_key = api.prompt_cache_key;
    request.store = api.store;
    request.metadata = api.metadata;
    request.openai =
        of_openai(api.service_tier, api.prompt_cache_retention, api.prompt_cache_options);
    let unknown = |name: &JsonStr<'_>| !INCLUDED.contains(&&*name.decode());
    for (given, field) in [
        (api.truncation.is_some_and(|truncation| truncation != *"disabled"), "truncation"),
        (api.max_tool_calls.is_some(), "max_tool_calls"),
        (api.include.iter().flatten().any(unknown), "include"),
    ] {
        if given {
            left_out(&mut request.dropped, "", field);
        }
    }
    if let Some(options) = api.stream_options {
        padding(&mut request.dropped, &options);
    }
    left(&mut request.dropped, "", "", &api.rest);
    Ok(request)
}

/// What OpenAI keeps for its clients no other provider can have, and no answer would be right without
/// it.
fn check(api: &ApiRequest<'_>) -> Result<()> {
    let message = "is kept by OpenAI, and this model is another provider's; ";
    for (given, field, instead) in [
        (api.previous_response_id.is_some(), "previous_response_id", "send the whole conversation"),
        (api.conversation.is_some(), "conversation", "send the whole conversation"),
        (api.prompt.is_some(), "prompt", "send its text"),
    ] {
        if given {
            return Err(invalid(field, &format!("{message}{instead} in `input`")));
        }
    }
    if api.background == Some(true) {
        let message = "is not supported with this model's provider; use `stream`";
        return Err(invalid("background", message));
    }
    Ok(())
}

fn read_reasoning<'a>(request: &mut Request<'a>, raw: &'a RawValue) -> Result<()> {
    let reasoning: Reasoning<'a> = parse(raw.get()).map_err(|error| bad("reasoning", &error))?;
    if let Some(effort) = &reasoning.effort {
        let effort = Effort::of_word(&effort.decode()).ok_or_else(|| {
            invalid("reasoning.effort", "expected none, minimal, low, medium, high or xhigh")
        })?;
        request.thinking.effort = Some(effort);
    }
    if let Some(summary) = reasoning.summary.or(reasoning.generate_summary) {
        request.thinking.show = Some(summary != *"none");
    }
    left(&mut request.dropped, "reasoning", "", &reasoning.rest);
    Ok(())
}

fn read_text<'a>(request: &mut Request<'a>, raw: &'a RawValue) -> Result<()> {
    let config: TextConfig<'a> = parse(raw.get()).map_err(|error| bad("text", &error))?;
    request.verbosity = config.verbosity;
    left(&mut request.dropped, "text", "", &config.rest);
    let Some(format) = config.format else { return Ok(()) };
    left(&mut request.dropped, "text.format", "", &format.rest);
    let kind = format.kind.ok_or_else(|| required("text.format", "type"))?;
    request.format = match &*kind.decode() {
        "text" => None,
        "json_object" => Some(Format::Json),
        "json_schema" => Some(Format::Schema {
            name: Some(format.name.ok_or_else(|| required("text.format", "name"))?),
            description: format.description,
            schema: Cow::Borrowed(format.schema.ok_or_else(|| required("text.format", "schema"))?),
            strict: format.strict,
        }),
        _ => {
            return Err(invalid("text.format.type", "expected text, json_object or json_schema"));
        }
    };
    Ok(())
}

/// A field that must be a string, where others of its name may be anything.
pub(super) fn text<'a>(raw: Option<&'a RawValue>, path: &str, field: &str) -> Result<JsonStr<'a>> {
    let raw = raw.ok_or_else(|| required(path, field))?;
    parse(raw.get()).map_err(|error| bad(&format!("{path}.{field}"), &error))
}
