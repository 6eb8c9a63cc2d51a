//! The Messages protocol of Anthropic.

mod content;
mod validate;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::Value;

use super::{Answer, ApiError, Call, Endpoint, Protocol};
use crate::json::{Json, object};
use crate::output::{Output, Stop, Wish};
use crate::rng::Rng;
use crate::stream::Event;
use crate::tokens;

/// See the [module](self).
pub(crate) struct Anthropic;

/// A minute after the clock of all answers starts.
const RESET: &str = "2025-10-09T08:54:20Z";

impl Protocol for Anthropic {
    fn route(&self, method: &Method, path: &str) -> Option<Endpoint> {
        if *method != Method::POST {
            None
        } else if path.ends_with("/v1/messages") {
            Some(Endpoint::Chat)
        } else if path.ends_with("/v1/messages/count_tokens") {
            Some(Endpoint::CountTokens)
        } else if path.ends_with("/publishers/anthropic/models/count-tokens:rawPredict") {
            // Vertex AI's.
            Some(Endpoint::CountTokens)
        } else {
            None
        }
    }

    fn validate(&self, call: &Call<'_>) -> Result<(), ApiError> {
        validate::request(call)
    }

    fn answer(&self, call: &Call<'_>, rng: &mut Rng) -> Answer {
        if call.endpoint == Endpoint::CountTokens {
            return Answer::Body(object! { "input_tokens": input_tokens(call.body) });
        }
        let wish = Wish {
            last_user: last_user(call.body),
            max_tokens: call.body.get("max_tokens").and_then(Value::as_u64),
            stops: call.strings("stop_sequences"),
            call_id: ("toolu_01", 22),
        };
        let id = rng.id("msg_01", 22);
        let output = Output::new(call.script, call.listener, &wish, rng);
        // Nobody looks into a signature; it only has to come back unchanged.
        let signature = STANDARD.encode(rng.hex("signature ", 48));
        let reply = Reply { call, id, output, signature };
        if call.streams() { Answer::sse(reply.events()) } else { Answer::Body(reply.message()) }
    }

    fn error(&self, error: &ApiError, request_id: &str) -> Json {
        inner(error).with("request_id", request_id)
    }

    fn error_event(&self, error: &ApiError) -> Vec<Event> {
        vec![Event::named("error", inner(error).text())]
    }

    fn headers(&self, request_id: &str) -> Vec<(&'static str, String)> {
        [
            ("request-id", request_id),
            ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", "3999"),
            ("anthropic-ratelimit-requests-reset", RESET),
            ("anthropic-ratelimit-tokens-limit", "480000"),
            ("anthropic-ratelimit-tokens-remaining", "479000"),
            ("anthropic-ratelimit-tokens-reset", RESET),
            ("anthropic-ratelimit-input-tokens-limit", "400000"),
            ("anthropic-ratelimit-input-tokens-remaining", "399000"),
            ("anthropic-ratelimit-input-tokens-reset", RESET),
            ("anthropic-ratelimit-output-tokens-limit", "80000"),
            ("anthropic-ratelimit-output-tokens-remaining", "80000"),
            ("anthropic-ratelimit-output-tokens-reset", RESET),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
    }

    fn request_id(&self, rng: &mut Rng) -> String {
        rng.id("req_01", 22)
    }

    fn malformed(&self, error: &serde_json::Error) -> ApiError {
        ApiError::invalid(format!("The request body is not valid JSON: {error}"))
    }
}

fn inner(error: &ApiError) -> Json {
    let (kind, message) = match error.status {
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "Your credit balance is too low to access the Anthropic API."),
        403 => ("permission_error", "Your API key does not have permission to use the resource."),
        404 => ("not_found_error", "Not found"),
        413 => ("request_too_large", "Request exceeds the maximum size"),
        429 => {
            ("rate_limit_error", "This request would exceed the rate limit for your organization.")
        }
        503 | 529 => ("overloaded_error", "Overloaded"),
        504 => ("timeout_error", "Request timed out"),
        status if status >= 500 => ("api_error", "Internal server error"),
        _ => ("invalid_request_error", "Invalid request"),
    };
    let mut told = object! {
        "type": error.kind.as_deref().unwrap_or(kind),
        "message": error.message.as_deref().unwrap_or(message),
    };
    if let Some(code) = error.code {
        told = told.with("details", object! { "error_code": code });
    }
    object! { "type": "error", "error": told }
}

/// The text of content, with that of tool results.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks
            .iter()
            .filter_map(|block| match block.get("text") {
                Some(Value::String(text)) => Some(text.clone()),
                _ => block.get("content").map(text_of),
            })
            .collect::<Vec<_>>()
            .join(" "),
        _ => String::new(),
    }
}

fn last_user(body: &Value) -> String {
    let messages = body.get("messages").and_then(Value::as_array);
    let user = |message: &&Value| message.get("role").is_some_and(|role| role == "user");
    let last = messages.and_then(|messages| messages.iter().rev().find(user));
    last.and_then(|message| message.get("content")).map(text_of).unwrap_or_default()
}

fn input_tokens(body: &Value) -> u64 {
    let messages = body.get("messages").and_then(Value::as_array);
    let said: u64 = messages
        .into_iter()
        .flatten()
        .filter_map(|message| message.get("content"))
        .map(|content| 4 + tokens::count(&text_of(content)))
        .sum();
    let system = body.get("system").map_or(0, |system| tokens::count(&text_of(system)));
    let tools = body.get("tools").map_or(0, |tools| tokens::count(&tools.to_string()));
    3 + said + system + tools
}

/// All that an answer is made of.
struct Reply<'a> {
    call: &'a Call<'a>,
    id: String,
    output: Output,
    signature: String,
}

impl Reply<'_> {
    fn stop(&self) -> (String, Option<&str>) {
        let (reason, sequence) = match &self.output.stop {
            Stop::End => ("end_turn", None),
            Stop::Length => ("max_tokens", None),
            Stop::Sequence(sequence) => ("stop_sequence", Some(sequence.as_str())),
            Stop::Tools => ("tool_use", None),
            Stop::Refusal => ("refusal", None),
        };
        let scripted = self.call.script.finish_reason.clone();
        (scripted.unwrap_or_else(|| reason.to_owned()), sequence)
    }

    fn said(&self) -> impl Iterator<Item = &String> {
        self.output.text.iter().chain(&self.output.refusal)
    }

    /// The usage fields, unless the script wants others or none.
    fn usage(&self, own: impl FnOnce(u64, u64) -> Json) -> Option<Json> {
        match &self.call.script.usage {
            Some(Value::Bool(false)) => None,
            Some(usage @ Value::Object(_)) => Some(usage.clone().into()),
            _ => {
                let cached = self.call.script.cached_tokens.unwrap_or(0);
                Some(own(input_tokens(self.call.body).saturating_sub(cached), cached))
            }
        }
    }

    fn full_usage(&self, output_tokens: u64, details: Option<Json>) -> Option<Json> {
        self.usage(|input, cached| {
            object! {
                "input_tokens": input,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": cached,
                "cache_creation": object! {
                    "ephemeral_5m_input_tokens": 0,
                    "ephemeral_1h_input_tokens": 0,
                },
                "output_tokens": output_tokens,
                "service_tier": "standard",
            }
            .with_some("output_tokens_details", details)
        })
    }

    fn envelope(&self, content: Vec<Json>, reason: Option<String>, sequence: Option<&str>) -> Json {
        let stopped = reason.is_some();
        object! {
            "model": self.call.model(),
            "id": self.id.as_str(),
            "type": "message",
            "role": "assistant",
            "content": content,
            "stop_reason": reason,
            "stop_sequence": sequence,
            "stop_details": self.stop_details().filter(|_| stopped),
        }
    }

    /// More about a refusal.
    fn stop_details(&self) -> Option<Json> {
        (self.output.stop == Stop::Refusal).then(|| {
            object! { "type": "refusal", "category": Json::NULL, "explanation": Json::NULL }
        })
    }

    /// How many of the output tokens were thoughts, if any.
    fn details(&self) -> Option<Json> {
        let tokens = self.output.reasoning_tokens;
        (tokens > 0).then(|| object! { "thinking_tokens": tokens })
    }

    fn message(&self) -> Json {
        let mut content = Vec::new();
        if let Some(thinking) = &self.output.thinking {
            content.push(object! {
                "type": "thinking",
                "thinking": thinking.as_str(),
                "signature": self.signature.as_str(),
            });
        }
        for text in self.said() {
            content.push(object! { "type": "text", "text": text.as_str() });
        }
        for call in &self.output.calls {
            // Arguments that are not JSON can only be shown in a stream.
            let input = serde_json::from_str::<Value>(&call.arguments)
                .unwrap_or_else(|_| call.arguments.clone().into());
            content.push(object! {
                "type": "tool_use",
                "id": call.id.as_str(),
                "name": call.name.as_str(),
                "input": input,
            });
        }
        let (reason, sequence) = self.stop();
        self.envelope(content, Some(reason), sequence)
            .with_some("usage", self.full_usage(self.output.tokens, self.details()))
    }

    fn events(&self) -> Vec<Event> {
        let start =
            self.envelope(Vec::new(), None, None).with_some("usage", self.full_usage(1, None));
        let mut blocks = Blocks::default();
        blocks.events.push(event("message_start", object! { "message": start }));
        if let Some(thinking) = &self.output.thinking {
            blocks.start(object! { "type": "thinking", "thinking": "", "signature": "" });
            for piece in tokens::pieces(thinking) {
                blocks.delta(object! { "type": "thinking_delta", "thinking": piece }, true);
            }
            let signature = self.signature.as_str();
            blocks.delta(object! { "type": "signature_delta", "signature": signature }, false);
            blocks.stop();
        }
        for text in self.said() {
            blocks.start(object! { "type": "text", "text": "" });
            for piece in tokens::pieces(text) {
                blocks.delta(object! { "type": "text_delta", "text": piece }, true);
            }
            blocks.stop();
        }
        for call in &self.output.calls {
            blocks.start(object! {
                "type": "tool_use",
                "id": call.id.as_str(),
                "name": call.name.as_str(),
                "input": object! {},
            });
            blocks.delta(object! { "type": "input_json_delta", "partial_json": "" }, false);
            // No arguments are no more than this.
            let arguments = if call.arguments == "{}" { "" } else { &call.arguments };
            for piece in tokens::pieces(arguments) {
                blocks.delta(object! { "type": "input_json_delta", "partial_json": piece }, true);
            }
            blocks.stop();
        }
        let (reason, sequence) = self.stop();
        let usage = self.usage(|input, cached| {
            object! {
                "input_tokens": input,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": cached,
                "output_tokens": self.output.tokens,
            }
            .with_some("output_tokens_details", self.details())
        });
        let delta = object! {
            "stop_reason": reason,
            "stop_sequence": sequence,
            "stop_details": self.stop_details(),
        };
        let mut events = blocks.events;
        events.push(event("message_delta", object! { "delta": delta }.with_some("usage", usage)));
        events.push(event("message_stop", object! {}).terminal());
        events
    }
}

/// The events of content blocks.
#[derive(Default)]
struct Blocks {
    events: Vec<Event>,
    index: usize,
}

impl Blocks {
    fn start(&mut self, block: Json) {
        let fields = object! { "index": self.index, "content_block": block };
        self.events.push(event("content_block_start", fields));
        if self.index == 0 {
            self.events.push(event("ping", object! {}));
        }
    }

    fn delta(&mut self, delta: Json, token: bool) {
        let fields = object! { "index": self.index, "delta": delta };
        let event = event("content_block_delta", fields);
        self.events.push(if token { event.token() } else { event });
    }

    fn stop(&mut self) {
        self.events.push(event("content_block_stop", object! { "index": self.index }));
        self.index += 1;
    }
}

/// An event, whose name is also its `type`.
fn event(name: &'static str, fields: Json) -> Event {
    let mut all = vec![("type", Json::from(name))];
    if let Json::Object(fields) = fields {
        all.extend(fields);
    }
    Event::named(name, Json::Object(all).text())
}

#[cfg(test)]
mod tests;
