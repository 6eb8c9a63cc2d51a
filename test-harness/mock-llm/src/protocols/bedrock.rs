//! The Converse protocol of Amazon Bedrock, its vectors and its count of tokens.
//!
//! The model stands in the path, percent-encoded, and so does whether the answer is a stream, which
//! comes in Amazon's own framing.

mod invoke;
mod validate;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::Value;

use super::{Answer, ApiError, Call, Endpoint, Protocol};
use crate::json::{Json, object};
use crate::output::{Output, Stop, Wish};
use crate::rng::Rng;
use crate::stream::{Event, Framing};
use crate::tokens;

/// See the [module](self).
pub(crate) struct Bedrock;

const STREAM: &str = "/converse-stream";

/// The exceptions that a stream can end with.
const IN_STREAM: [&str; 5] = [
    "serviceUnavailableException",
    "throttlingException",
    "validationException",
    "modelStreamErrorException",
    "internalServerException",
];

impl Protocol for Bedrock {
    fn route(&self, method: &Method, path: &str) -> Option<Endpoint> {
        let head = path.strip_suffix(STREAM).or_else(|| path.strip_suffix("/converse"));
        let Some(head) = head else {
            return invoke::route(path).filter(|_| *method == Method::POST);
        };
        let (before, model) = head.rsplit_once('/')?;
        let found = *method == Method::POST && before.ends_with("/model") && !model.is_empty();
        found.then_some(Endpoint::Chat)
    }

    fn validate(&self, call: &Call<'_>) -> Result<(), ApiError> {
        validate::request(call)
    }

    fn answer(&self, call: &Call<'_>, rng: &mut Rng) -> Answer {
        if call.endpoint != Endpoint::Chat {
            return Answer::Body(invoke::answer(call));
        }
        let config = call.body.get("inferenceConfig");
        let stops = config.and_then(|config| config.get("stopSequences"));
        let stops = stops.and_then(Value::as_array).into_iter().flatten();
        let wish = Wish {
            last_user: last_user(call.body),
            max_tokens: config.and_then(|config| config.get("maxTokens")?.as_u64()),
            stops: stops.filter_map(|stop| stop.as_str().map(str::to_owned)).collect(),
            call_id: ("tooluse_", 22),
        };
        let output = Output::new(call.script, call.listener, &wish, rng);
        // Nobody looks into a signature; it only has to come back unchanged.
        let signature = STANDARD.encode(rng.hex("signature ", 48));
        let reply = Reply { call, output, signature };
        if !call.path.ends_with(STREAM) {
            return Answer::Body(reply.message());
        }
        Answer::Stream {
            content_type: "application/vnd.amazon.eventstream",
            framing: Framing::EventStream,
            events: reply.events(),
        }
    }

    fn error(&self, error: &ApiError, _request_id: &str) -> Json {
        object! { "message": words(error) }
    }

    /// The name of an error stands here, not in the body.
    fn error_headers(&self, error: &ApiError) -> Vec<(&'static str, String)> {
        let name = error.kind.clone().unwrap_or_else(|| defaults(error.status).0.to_owned());
        vec![("x-amzn-errortype", format!("{name}:http://internal.amazon.com/coral/"))]
    }

    fn error_event(&self, error: &ApiError) -> Vec<Event> {
        let wanted = error.kind.as_deref().unwrap_or_default();
        let name = IN_STREAM.into_iter().find(|name| name.eq_ignore_ascii_case(wanted));
        let name = name.unwrap_or("serviceUnavailableException");
        vec![Event::named(name, object! { "message": words(error) }.text())]
    }

    fn headers(&self, request_id: &str) -> Vec<(&'static str, String)> {
        vec![("x-amzn-requestid", request_id.to_owned())]
    }

    fn request_id(&self, rng: &mut Rng) -> String {
        [8, 4, 4, 4, 12].map(|length| rng.hex("", length)).join("-")
    }

    fn malformed(&self, error: &serde_json::Error) -> ApiError {
        let kind = Some("SerializationException".to_owned());
        ApiError { kind, ..ApiError::invalid(format!("Malformed input request: {error}")) }
    }
}

fn words(error: &ApiError) -> &str {
    error.message.as_deref().unwrap_or(defaults(error.status).1)
}

/// The name and the message of an error that says nothing else.
fn defaults(status: u16) -> (&'static str, &'static str) {
    match status {
        401 | 403 => (
            "AccessDeniedException",
            "You don't have access to the model with the specified model ID.",
        ),
        404 => ("ResourceNotFoundException", "Could not resolve the foundation model."),
        408 => ("ModelTimeoutException", "Model processing timed out."),
        424 => ("ModelErrorException", "The model failed to process the request."),
        429 => (
            "ThrottlingException",
            "Too many requests, please wait before trying again. You have sent too many requests. \
             Wait before trying again.",
        ),
        503 => ("ServiceUnavailableException", "Bedrock is unable to process your request."),
        status if status >= 500 => (
            "InternalServerException",
            "The system encountered an unexpected error during processing. Try your request again.",
        ),
        _ => ("ValidationException", "The provided request is not valid"),
    }
}

/// The text of blocks, with that of tool results.
fn text_of(blocks: &Value) -> String {
    let blocks = blocks.as_array().into_iter().flatten();
    let texts = blocks.filter_map(|block| match block.get("text") {
        Some(text) => text.as_str().map(str::to_owned),
        None => block.pointer("/toolResult/content").map(text_of),
    });
    texts.collect::<Vec<_>>().join(" ")
}

fn messages(body: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    body.get("messages").and_then(Value::as_array).into_iter().flatten()
}

fn last_user(body: &Value) -> String {
    let last = messages(body).rev().find(|m| m.get("role").is_some_and(|role| role == "user"));
    last.and_then(|message| message.get("content")).map(text_of).unwrap_or_default()
}

fn input_tokens(body: &Value) -> u64 {
    let said = messages(body).filter_map(|message| message.get("content"));
    let said: u64 = said.map(|content| 4 + tokens::count(&text_of(content))).sum();
    let system = body.get("system").map_or(0, |system| tokens::count(&text_of(system)));
    let tools = body.get("toolConfig").map_or(0, |tools| tokens::count(&tools.to_string()));
    3 + said + system + tools
}

/// All that an answer is made of.
struct Reply<'a> {
    call: &'a Call<'a>,
    output: Output,
    signature: String,
}

impl Reply<'_> {
    fn stop_reason(&self) -> String {
        let natural = match self.output.stop {
            Stop::End => "end_turn",
            Stop::Length => "max_tokens",
            Stop::Sequence(_) => "stop_sequence",
            Stop::Tools => "tool_use",
            Stop::Refusal => "guardrail_intervened",
        };
        self.call.script.finish_reason.clone().unwrap_or_else(|| natural.to_owned())
    }

    fn said(&self) -> impl Iterator<Item = &String> {
        self.output.text.iter().chain(&self.output.refusal)
    }

    fn usage(&self) -> Option<Json> {
        match &self.call.script.usage {
            Some(Value::Bool(false)) => return None,
            Some(usage @ Value::Object(_)) => return Some(usage.clone().into()),
            _ => {}
        }
        let cached = self.call.script.cached_tokens.unwrap_or(0);
        let (input, output) = (input_tokens(self.call.body), self.output.tokens);
        Some(object! {
            "cacheReadInputTokens": cached,
            "cacheWriteInputTokens": 0,
            // Without the cached ones.
            "inputTokens": input.saturating_sub(cached),
            "outputTokens": output,
            "totalTokens": input.max(cached) + output,
        })
    }

    fn message(&self) -> Json {
        let mut content = Vec::new();
        if let Some(thinking) = &self.output.thinking {
            content.push(object! {
                "reasoningContent": object! {
                    "reasoningText": object! {
                        "signature": self.signature.as_str(),
                        "text": thinking.as_str(),
                    },
                },
            });
        }
        content.extend(self.said().map(|text| object! { "text": text.as_str() }));
        for call in &self.output.calls {
            // Arguments that are not JSON can only be shown in a stream.
            let input = serde_json::from_str::<Value>(&call.arguments)
                .unwrap_or_else(|_| call.arguments.clone().into());
            content.push(object! {
                "toolUse": object! {
                    "input": input,
                    "name": call.name.as_str(),
                    "toolUseId": call.id.as_str(),
                },
            });
        }
        object! {
            "metrics": object! { "latencyMs": 42 },
            "output": object! {
                "message": object! { "content": content, "role": "assistant" },
            },
            "stopReason": self.stop_reason(),
        }
        .with_some("usage", self.usage())
    }

    fn events(&self) -> Vec<Event> {
        let mut blocks = Blocks::default();
        blocks.push("messageStart", object! { "role": "assistant" });
        if let Some(thinking) = &self.output.thinking {
            for piece in tokens::pieces(thinking) {
                blocks.token(object! { "reasoningContent": object! { "text": piece } });
            }
            let signature = object! { "signature": self.signature.as_str() };
            blocks.delta(object! { "reasoningContent": signature });
            blocks.stop();
        }
        // Blocks of text and thought do without a start.
        for text in self.said() {
            for piece in tokens::pieces(text) {
                blocks.token(object! { "text": piece });
            }
            blocks.stop();
        }
        for call in &self.output.calls {
            let start = object! { "name": call.name.as_str(), "toolUseId": call.id.as_str() };
            let index = blocks.index;
            blocks.push(
                "contentBlockStart",
                object! {
                    "contentBlockIndex": index, "start": object! { "toolUse": start },
                },
            );
            // No arguments are no more than this.
            let arguments = if call.arguments == "{}" { "" } else { &call.arguments };
            for piece in tokens::pieces(arguments) {
                blocks.token(object! { "toolUse": object! { "input": piece } });
            }
            blocks.stop();
        }
        let mut events = blocks.events;
        let stop = object! { "stopReason": self.stop_reason() };
        // The answer is complete with this; the counts come after it.
        events.push(Event::named("messageStop", stop.text()).terminal());
        if let Some(usage) = self.usage() {
            let metrics = object! { "latencyMs": 42 };
            let metadata = object! { "metrics": metrics, "usage": usage };
            events.push(Event::named("metadata", metadata.text()).terminal());
        }
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
    fn push(&mut self, name: &'static str, payload: Json) {
        self.events.push(Event::named(name, payload.text()));
    }

    fn delta(&mut self, delta: Json) {
        let index = self.index;
        self.push("contentBlockDelta", object! { "contentBlockIndex": index, "delta": delta });
    }

    fn token(&mut self, delta: Json) {
        self.delta(delta);
        if let Some(event) = self.events.last_mut() {
            event.token = true;
        }
    }

    fn stop(&mut self) {
        let index = self.index;
        self.push("contentBlockStop", object! { "contentBlockIndex": index });
        self.index += 1;
    }
}

#[cfg(test)]
mod tests;
