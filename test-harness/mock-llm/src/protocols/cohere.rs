//! The second version of Cohere's protocol.

mod validate;
mod vectors;

use hyper::Method;
use serde_json::Value;

use super::{Answer, ApiError, Call, Endpoint, Protocol};
use crate::json::{Json, object};
use crate::output::{Output, Stop, Wish};
use crate::rng::Rng;
use crate::stream::Event;
use crate::tokens;

/// See the [module](self).
pub(crate) struct Cohere;

const MODELS: [&str; 3] = ["command-a-03-2025", "command-a-reasoning-08-2025", "embed-v4.0"];

/// What Cohere adds to a prompt: it is counted, but not paid for.
const PREAMBLE: u64 = 66;

impl Protocol for Cohere {
    fn route(&self, method: &Method, path: &str) -> Option<Endpoint> {
        // Without the prefix it would be OpenAI's.
        if *method == Method::GET && path.ends_with("/cohere/v1/models") {
            return Some(Endpoint::Models);
        }
        let routes = [
            ("/v2/chat", Endpoint::Chat),
            ("/v2/embed", Endpoint::Embeddings),
            ("/v2/rerank", Endpoint::Rerank),
        ];
        let found = routes.into_iter().find(|(end, _)| path.ends_with(end));
        found.filter(|_| *method == Method::POST).map(|(_, endpoint)| endpoint)
    }

    fn validate(&self, call: &Call<'_>) -> Result<(), ApiError> {
        validate::request(call)
    }

    fn answer(&self, call: &Call<'_>, rng: &mut Rng) -> Answer {
        match call.endpoint {
            Endpoint::Embeddings => Answer::Body(vectors::embed(call, &uuid(rng))),
            Endpoint::Rerank => Answer::Body(vectors::rerank(call, &uuid(rng))),
            Endpoint::Models | Endpoint::Model => {
                let models = MODELS.map(|name| {
                    let endpoint = if name.starts_with("embed") { "embed" } else { "chat" };
                    object! { "name": name, "endpoints": vec![endpoint], "context_length": 256_000 }
                });
                Answer::Body(object! { "models": Vec::from(models), "next_page_token": Json::NULL })
            }
            Endpoint::Chat | Endpoint::CountTokens | Endpoint::Object => chat(call, rng),
        }
    }

    fn error(&self, error: &ApiError, request_id: &str) -> Json {
        let message = error.message.as_deref().unwrap_or(default_message(error.status));
        object! { "id": request_id, "message": message }
    }

    fn error_event(&self, error: &ApiError) -> Vec<Event> {
        let message = error.message.as_deref().unwrap_or(default_message(error.status));
        let reason = error.kind.as_deref().unwrap_or("ERROR");
        vec![event(
            "message-end",
            object! { "delta": object! { "finish_reason": reason, "error": message } },
        )]
    }

    fn headers(&self, request_id: &str) -> Vec<(&'static str, String)> {
        [
            ("x-debug-trace-id", request_id),
            ("x-endpoint-monthly-call-limit", "1000"),
            ("x-trial-endpoint-call-limit", "20"),
            ("x-trial-endpoint-call-remaining", "19"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
    }

    fn request_id(&self, rng: &mut Rng) -> String {
        uuid(rng)
    }

    fn malformed(&self, error: &serde_json::Error) -> ApiError {
        ApiError::invalid(format!("invalid json syntax: {error}"))
    }
}

fn uuid(rng: &mut Rng) -> String {
    [8, 4, 4, 4, 12].map(|length| rng.hex("", length)).join("-")
}

fn default_message(status: u16) -> &'static str {
    match status {
        401 => "invalid api token",
        403 => "you are not allowed to use this model",
        404 => "model not found, make sure the correct model ID was used and that you have access",
        422 => "the request could not be processed",
        429 => {
            "You are using a Trial key, which is limited to 20 API calls / minute. You can continue \
             to use the Trial key for free or upgrade to a Production key."
        }
        503 => "the service is unavailable, please try again",
        504 => "the request timed out",
        status if status >= 500 => "internal server error, please try again",
        _ => "invalid request",
    }
}

/// The text of a message's content.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

fn messages(body: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    body.get("messages").and_then(Value::as_array).into_iter().flatten()
}

/// The tokens that are paid for.
fn billed(body: &Value) -> u64 {
    let said = |message: &Value| {
        let content = message.get("content").map(text_of).unwrap_or_default();
        let plan = message.get("tool_plan").map(text_of).unwrap_or_default();
        let calls = message.get("tool_calls").map(Value::to_string).unwrap_or_default();
        tokens::count(&content) + tokens::count(&plan) + tokens::count(&calls)
    };
    let said: u64 = messages(body).map(said).sum();
    said + body.get("tools").map_or(0, |tools| tokens::count(&tools.to_string()))
}

fn chat(call: &Call<'_>, rng: &mut Rng) -> Answer {
    let last = messages(call.body).rev().find(|m| m.get("role").is_some_and(|r| r == "user"));
    let wish = Wish {
        last_user: last.and_then(|m| m.get("content")).map(text_of).unwrap_or_default(),
        max_tokens: call.body.get("max_tokens").and_then(Value::as_u64),
        stops: call.strings("stop_sequences"),
        call_id: ("call_", 12),
    };
    let id = uuid(rng);
    let output = Output::new(call.script, call.listener, &wish, rng);
    let reply = Reply { call, id, output };
    if call.streams() { Answer::sse(reply.events()) } else { Answer::Body(reply.whole()) }
}

/// All that an answer is made of.
struct Reply<'a> {
    call: &'a Call<'a>,
    id: String,
    output: Output,
}

impl Reply<'_> {
    fn finish_reason(&self) -> String {
        let natural = match self.output.stop {
            Stop::End | Stop::Refusal => "COMPLETE",
            Stop::Length => "MAX_TOKENS",
            Stop::Sequence(_) => "STOP_SEQUENCE",
            Stop::Tools => "TOOL_CALL",
        };
        self.call.script.finish_reason.clone().unwrap_or_else(|| natural.to_owned())
    }

    fn usage(&self) -> Option<Json> {
        match &self.call.script.usage {
            Some(Value::Bool(false)) => return None,
            Some(usage @ Value::Object(_)) => return Some(usage.clone().into()),
            _ => {}
        }
        let (input, output) = (billed(self.call.body), self.output.tokens);
        let all = input + PREAMBLE;
        let usage = object! {
            "billed_units": object! { "input_tokens": input, "output_tokens": output },
            "tokens": object! { "input_tokens": all, "output_tokens": output },
        };
        Some(usage.with_some("cached_tokens", self.call.script.cached_tokens))
    }

    /// What is said besides calls is their plan.
    fn plan(&self) -> Option<&String> {
        self.output.text.as_ref().filter(|_| !self.output.calls.is_empty())
    }

    fn said(&self) -> impl Iterator<Item = &String> {
        let text = self.output.text.iter().filter(|_| self.output.calls.is_empty());
        text.chain(&self.output.refusal)
    }

    fn whole(&self) -> Json {
        let thought = self.output.thinking.iter();
        let thought = thought.map(|text| object! { "type": "thinking", "thinking": text.as_str() });
        let said = self.said().map(|text| object! { "type": "text", "text": text.as_str() });
        let content: Vec<Json> = thought.chain(said).collect();
        let calls: Vec<Json> =
            self.output.calls.iter().map(|c| call(&c.id, &c.name, &c.arguments)).collect();
        let message = object! { "role": "assistant" }
            .with_some("content", (!content.is_empty()).then_some(content))
            .with_some("tool_plan", self.plan().cloned())
            .with_some("tool_calls", (!calls.is_empty()).then_some(calls));
        object! {
            "id": self.id.as_str(),
            "message": message,
            "finish_reason": self.finish_reason(),
        }
        .with_some("usage", self.usage())
    }

    fn events(&self) -> Vec<Event> {
        let empty = || Json::Array(Vec::new());
        let message = object! {
            "role": "assistant", "content": empty(), "tool_plan": "", "tool_calls": empty(),
            "citations": empty(),
        };
        let mut events = vec![event(
            "message-start",
            object! { "id": self.id.as_str(), "delta": object! { "message": message } },
        )];
        let thought = self.output.thinking.iter().map(|text| ("thinking", text));
        let said = thought.chain(self.said().map(|text| ("text", text)));
        for (index, (kind, text)) in said.enumerate() {
            let start = object! { "type": kind }.with(kind, "");
            events.push(added("content-start", Some(index), object! { "content": start }));
            for piece in tokens::pieces(text) {
                let content = object! { "content": object! {}.with(kind, piece) };
                events.push(added("content-delta", Some(index), content).token());
            }
            events.push(event("content-end", object! { "index": index }));
        }
        for piece in self.plan().into_iter().flat_map(|plan| tokens::pieces(plan)) {
            events.push(added("tool-plan-delta", None, object! { "tool_plan": piece }).token());
        }
        for (index, called) in self.output.calls.iter().enumerate() {
            let start = object! { "tool_calls": call(&called.id, &called.name, "") };
            events.push(added("tool-call-start", Some(index), start));
            for piece in tokens::pieces(&called.arguments) {
                let function = object! { "function": object! { "arguments": piece } };
                let more = object! { "tool_calls": function };
                events.push(added("tool-call-delta", Some(index), more).token());
            }
            events.push(event("tool-call-end", object! { "index": index }));
        }
        let delta = object! { "finish_reason": self.finish_reason() };
        let delta = delta.with_some("usage", self.usage());
        let end = object! { "id": self.id.as_str(), "delta": delta };
        events.push(event("message-end", end).terminal());
        events
    }
}

fn call(id: &str, name: &str, arguments: &str) -> Json {
    let function = object! { "name": name, "arguments": arguments };
    object! { "id": id, "type": "function", "function": function }
}

fn added(name: &'static str, index: Option<usize>, message: Json) -> Event {
    let fields = object! {}.with_some("index", index);
    event(name, fields.with("delta", object! { "message": message }))
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
