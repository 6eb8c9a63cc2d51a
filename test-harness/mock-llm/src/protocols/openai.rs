//! The protocol of OpenAI and of everybody who imitates it.

mod completions;
pub(super) mod embeddings;
mod messages;
pub(super) mod validate;

use hyper::Method;
use serde_json::Value;

use super::{Answer, ApiError, Call, EPOCH, Endpoint, Protocol};
use crate::json::{Json, object};
use crate::output::{Output, Stop, Wish};
use crate::rng::Rng;
use crate::stream::Event;
use crate::tokens;

/// See the [module](self).
pub(crate) struct OpenAi;

const MODELS: [&str; 4] = ["gpt-4o", "gpt-4o-mini", "o3-mini", "text-embedding-3-small"];
const MODEL_PATH: &str = "/v1/models/";

impl Protocol for OpenAi {
    fn route(&self, method: &Method, path: &str) -> Option<Endpoint> {
        if *method == Method::POST {
            let routes = [
                ("/v1/chat/completions", Endpoint::Chat),
                (completions::PATH, Endpoint::Chat),
                ("/v1/embeddings", Endpoint::Embeddings),
            ];
            return routes.into_iter().find(|(end, _)| path.ends_with(end)).map(|(_, found)| found);
        }
        if *method != Method::GET {
            return None;
        }
        if path.ends_with("/v1/models") {
            return Some(Endpoint::Models);
        }
        model_in(path).map(|_| Endpoint::Model)
    }

    fn validate(&self, call: &Call<'_>) -> Result<(), ApiError> {
        if call.path.ends_with(completions::PATH) {
            validate::head(call)?;
            return completions::validate(call);
        }
        validate::request(call)
    }

    fn answer(&self, call: &Call<'_>, rng: &mut Rng) -> Answer {
        match call.endpoint {
            Endpoint::Chat if call.path.ends_with(completions::PATH) => {
                completions::answer(call, rng)
            }
            Endpoint::Chat | Endpoint::CountTokens | Endpoint::Rerank | Endpoint::Object => {
                chat(call, rng)
            }
            Endpoint::Embeddings => Answer::Body(embeddings::answer(call)),
            Endpoint::Models => {
                let models: Vec<Json> = MODELS.iter().map(|id| model(id)).collect();
                Answer::Body(object! { "object": "list", "data": models })
            }
            Endpoint::Model => Answer::Body(model(model_in(call.path).unwrap_or("mock"))),
        }
    }

    fn error(&self, error: &ApiError, _request_id: &str) -> Json {
        let (kind, message, code) = defaults(error.status);
        object! {
            "error": object! {
                "message": error.message.as_deref().unwrap_or(message),
                "type": error.kind.as_deref().unwrap_or(kind),
                "param": error.param.clone(),
                "code": error.code.or(code),
            },
        }
    }

    fn error_event(&self, error: &ApiError) -> Vec<Event> {
        vec![Event::data(self.error(error, "").text())]
    }

    fn headers(&self, request_id: &str) -> Vec<(&'static str, String)> {
        [
            ("x-request-id", request_id),
            ("openai-organization", "mock-organization"),
            ("openai-version", "2020-10-01"),
            ("openai-processing-ms", "42"),
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-limit-tokens", "2000000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-remaining-tokens", "1999950"),
            ("x-ratelimit-reset-requests", "6ms"),
            ("x-ratelimit-reset-tokens", "1ms"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
    }

    fn request_id(&self, rng: &mut Rng) -> String {
        rng.hex("req_", 32)
    }

    fn malformed(&self, _error: &serde_json::Error) -> ApiError {
        ApiError::invalid(
            "We could not parse the JSON body of your request. (HINT: This likely means you \
             aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but \
             what was sent was not valid JSON.)",
        )
    }
}

/// The type, message and code of an error that says nothing else.
fn defaults(status: u16) -> (&'static str, &'static str, Option<&'static str>) {
    match status {
        401 => (
            "invalid_request_error",
            "Incorrect API key provided: sk-m***mock. You can find your API key at \
             https://platform.openai.com/account/api-keys.",
            Some("invalid_api_key"),
        ),
        403 => (
            "invalid_request_error",
            "You are not allowed to sample from this model.",
            Some("insufficient_permissions"),
        ),
        404 => (
            "invalid_request_error",
            "The model does not exist or you do not have access to it.",
            Some("model_not_found"),
        ),
        429 => (
            "requests",
            "Rate limit reached for requests. Please try again in 6ms. Visit \
             https://platform.openai.com/account/rate-limits to learn more.",
            Some("rate_limit_exceeded"),
        ),
        500 => (
            "server_error",
            "The server had an error while processing your request. Sorry about that!",
            None,
        ),
        503 => (
            "server_error",
            "The server is currently overloaded with other requests. Sorry about that! You can \
             retry your request, or contact us through our help center if the error persists.",
            None,
        ),
        status if status > 500 => ("server_error", "The server had an error.", None),
        _ => ("invalid_request_error", "Invalid request.", None),
    }
}

fn model(id: &str) -> Json {
    object! { "id": id, "object": "model", "created": EPOCH, "owned_by": "mock" }
}

fn model_in(path: &str) -> Option<&str> {
    let (_, id) = path.split_once(MODEL_PATH)?;
    (!id.is_empty()).then_some(id)
}

/// The text of a message's content.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

fn prompt_tokens(body: &Value) -> u64 {
    let messages = body.get("messages").and_then(Value::as_array);
    let texts: u64 = messages
        .into_iter()
        .flatten()
        .map(|message| {
            let content = message.get("content").map(text_of).unwrap_or_default();
            let calls = message.get("tool_calls").map(Value::to_string).unwrap_or_default();
            4 + tokens::count(&content) + tokens::count(&calls)
        })
        .sum();
    3 + texts + body.get("tools").map_or(0, |tools| tokens::count(&tools.to_string()))
}

fn chat(call: &Call<'_>, rng: &mut Rng) -> Answer {
    let body = call.body;
    let number = |field: &str| body.get(field).and_then(Value::as_u64);
    let last_user = body
        .get("messages")
        .and_then(Value::as_array)
        .and_then(|messages| {
            messages.iter().rev().find(|m| m.get("role").is_some_and(|role| role == "user"))
        })
        .and_then(|message| message.get("content"))
        .map(text_of)
        .unwrap_or_default();
    let wish = Wish {
        last_user,
        max_tokens: number("max_completion_tokens").or_else(|| number("max_tokens")),
        stops: call.strings("stop"),
        call_id: ("call_", 24),
    };
    let id = rng.id("chatcmpl-", 29);
    let fingerprint = rng.hex("fp_", 10);
    let choices = number("n").unwrap_or(1).clamp(1, 128);
    let outputs: Vec<Output> =
        (0..choices).map(|_| Output::new(call.script, call.listener, &wish, rng)).collect();
    let usage = usage(call, &outputs);
    if call.streams() {
        return Answer::sse(stream(call, &id, &fingerprint, &outputs, usage));
    }
    let choices: Vec<Json> = outputs
        .iter()
        .enumerate()
        .map(|(index, output)| {
            object! {
                "index": index,
                "message": message(output),
                "logprobs": Json::NULL,
                "finish_reason": finish_reason(call, output),
            }
        })
        .collect();
    let answer = object! {
        "id": id,
        "object": "chat.completion",
        "created": call.created(),
        "model": call.model(),
        "choices": choices,
    };
    Answer::Body(
        answer
            .with_some("usage", usage)
            .with("service_tier", "default")
            .with("system_fingerprint", fingerprint),
    )
}

fn message(output: &Output) -> Json {
    let calls: Vec<Json> = output
        .calls
        .iter()
        .map(|call| {
            object! {
                "id": call.id.as_str(),
                "type": "function",
                "function": object! {
                    "name": call.name.as_str(),
                    "arguments": call.arguments.as_str(),
                },
            }
        })
        .collect();
    object! { "role": "assistant", "content": output.text.clone() }
        .with_some("reasoning_content", output.thinking.clone())
        .with_some("tool_calls", (!calls.is_empty()).then_some(calls))
        .with("refusal", output.refusal.clone())
        .with("annotations", Json::Array(Vec::new()))
}

fn finish_reason(call: &Call<'_>, output: &Output) -> String {
    let natural = match output.stop {
        Stop::End | Stop::Sequence(_) | Stop::Refusal => "stop",
        Stop::Length => "length",
        Stop::Tools => "tool_calls",
    };
    call.script.finish_reason.clone().unwrap_or_else(|| natural.to_owned())
}

fn usage(call: &Call<'_>, outputs: &[Output]) -> Option<Json> {
    if call.script.hides_usage() {
        return None;
    }
    if let Some(usage @ Value::Object(_)) = &call.script.usage {
        return Some(usage.clone().into());
    }
    let cached = call.script.cached_tokens.unwrap_or(0);
    let prompt = prompt_tokens(call.body).max(cached);
    let completion: u64 = outputs.iter().map(|output| output.tokens).sum();
    let reasoning: u64 = outputs.iter().map(|output| output.reasoning_tokens).sum();
    Some(object! {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": object! { "cached_tokens": cached, "audio_tokens": 0 },
        "completion_tokens_details": object! {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// A stream's changes to one choice, each with whether it carries a token.
fn deltas(output: &Output) -> Vec<(Json, bool)> {
    let content = if output.text.is_some() { Json::from("") } else { Json::NULL };
    let mut deltas =
        vec![(object! { "role": "assistant", "content": content, "refusal": Json::NULL }, false)];
    let mut say = |delta| deltas.push((delta, true));
    for piece in output.thinking.iter().flat_map(|text| tokens::pieces(text)) {
        say(object! { "reasoning_content": piece });
    }
    for piece in output.text.iter().flat_map(|text| tokens::pieces(text)) {
        say(object! { "content": piece });
    }
    for piece in output.refusal.iter().flat_map(|text| tokens::pieces(text)) {
        say(object! { "refusal": piece });
    }
    for (index, call) in output.calls.iter().enumerate() {
        let start = object! {
            "index": index,
            "id": call.id.as_str(),
            "type": "function",
            "function": object! { "name": call.name.as_str(), "arguments": "" },
        };
        say(object! { "tool_calls": vec![start] });
        for piece in tokens::pieces(&call.arguments) {
            let more = object! { "index": index, "function": object! { "arguments": piece } };
            say(object! { "tool_calls": vec![more] });
        }
    }
    deltas
}

fn stream(
    call: &Call<'_>,
    id: &str,
    fingerprint: &str,
    outputs: &[Output],
    usage: Option<Json>,
) -> Vec<Event> {
    let asked = call.body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
    let usage = usage.filter(|_| asked || call.script.usage_always);
    let chunk = |choices: Vec<Json>, last: Option<Json>| {
        let chunk = object! {
            "id": id,
            "object": "chat.completion.chunk",
            "created": call.created(),
            "model": call.model(),
            "service_tier": "default",
            "system_fingerprint": fingerprint,
            "choices": choices,
        };
        // Every chunk has the field, or none.
        let usage = usage.is_some().then(|| last.unwrap_or(Json::NULL));
        Event::data(chunk.with_some("usage", usage).text())
    };
    let choice = |index: usize, delta: Json, reason: Option<String>| {
        vec![object! {
            "index": index, "delta": delta, "logprobs": Json::NULL, "finish_reason": reason,
        }]
    };

    // The choices take turns, as those of a real provider do.
    let mut turns: Vec<_> = outputs.iter().map(|output| deltas(output).into_iter()).collect();
    let mut events = Vec::new();
    let mut more = true;
    while more {
        more = false;
        for (index, turn) in turns.iter_mut().enumerate() {
            if let Some((delta, token)) = turn.next() {
                let event = chunk(choice(index, delta, None), None);
                events.push(if token { event.token() } else { event });
                more = true;
            }
        }
    }
    for (index, output) in outputs.iter().enumerate() {
        let reason = finish_reason(call, output);
        events.push(chunk(choice(index, object! {}, Some(reason)), None));
    }
    if usage.is_some() {
        events.push(chunk(Vec::new(), usage.clone()));
    }
    events.push(Event::data("[DONE]").terminal());
    events
}

#[cfg(test)]
mod tests;
