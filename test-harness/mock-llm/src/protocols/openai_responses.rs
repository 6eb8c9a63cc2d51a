//! The Responses protocol of OpenAI.

mod events;
mod input;
mod validate;

use hyper::Method;
use serde_json::Value;

use self::events::{Events, event};
use super::openai::{OpenAi, text_of};
use super::{Answer, ApiError, Call, Endpoint, Protocol};
use crate::json::{Json, object};
use crate::output::{self, Output, Stop, Wish};
use crate::rng::Rng;
use crate::stream::Event;
use crate::tokens;

/// See the [module](self).
pub(crate) struct Responses;

/// How every encrypted content begins.
const ENCRYPTED: &str = "gAAAA";

impl Protocol for Responses {
    fn route(&self, method: &Method, path: &str) -> Option<Endpoint> {
        if *method == Method::POST && path.ends_with("/v1/responses") {
            return Some(Endpoint::Chat);
        }
        if *method == Method::POST && path.ends_with("/v1/responses/input_tokens") {
            return Some(Endpoint::CountTokens);
        }
        // One answer that was kept; none ever is.
        (*method == Method::GET && path.contains("/v1/responses/")).then_some(Endpoint::Model)
    }

    fn validate(&self, call: &Call<'_>) -> Result<(), ApiError> {
        validate::request(call)
    }

    fn answer(&self, call: &Call<'_>, rng: &mut Rng) -> Answer {
        if call.endpoint == Endpoint::Model {
            return Answer::Body(object! {});
        }
        if call.endpoint == Endpoint::CountTokens {
            let tokens = input_tokens(call.body);
            return Answer::Body(
                object! { "object": "response.input_tokens", "input_tokens": tokens },
            );
        }
        let wish = Wish {
            last_user: last_user(call.body),
            max_tokens: call.body.get("max_output_tokens").and_then(Value::as_u64),
            stops: Vec::new(),
            call_id: ("call_", 24),
        };
        let id = rng.hex("resp_", 48);
        let output = Output::new(call.script, call.listener, &wish, rng);
        let items = items(call, &output, rng);
        let reply = Reply { call, id, output, items };
        if call.streams() { Answer::sse(reply.events()) } else { Answer::Body(reply.whole()) }
    }

    fn error(&self, error: &ApiError, request_id: &str) -> Json {
        OpenAi.error(error, request_id)
    }

    /// The error twice, as OpenAI does.
    fn error_event(&self, error: &ApiError) -> Vec<Event> {
        let told: Value = serde_json::from_str(&self.error(error, "").text()).unwrap_or_default();
        let told = told.get("error").cloned().unwrap_or_default();
        let known = error.status == 429;
        let failed = object! {
            "id": "resp_failed",
            "object": "response",
            "status": "failed",
            "error": object! {
                "code": if known { "rate_limit_exceeded" } else { "server_error" },
                "message": told.get("message").cloned().unwrap_or_default(),
            },
            "output": Json::Array(Vec::new()),
            "usage": Json::NULL,
        };
        [("error", object! { "error": told }), ("response.failed", object! { "response": failed })]
            .into_iter()
            .map(|(kind, fields)| event(kind, 0, fields))
            .collect()
    }

    fn headers(&self, request_id: &str) -> Vec<(&'static str, String)> {
        OpenAi.headers(request_id)
    }

    fn request_id(&self, rng: &mut Rng) -> String {
        OpenAi.request_id(rng)
    }

    fn malformed(&self, error: &serde_json::Error) -> ApiError {
        OpenAi.malformed(error)
    }
}

fn last_user(body: &Value) -> String {
    match body.get("input") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let last =
                items.iter().rev().find(|item| item.get("role").is_some_and(|r| r == "user"));
            last.and_then(|item| item.get("content")).map(text_of).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn input_tokens(body: &Value) -> u64 {
    let texts: u64 = match body.get("input") {
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| {
                let said = item.get("content").map(text_of).unwrap_or_default();
                let done = ["arguments", "input", "output"].iter().filter_map(|key| item.get(key));
                let done: String = done.map(text_of).collect();
                4 + tokens::count(&said) + tokens::count(&done)
            })
            .sum(),
        Some(Value::String(text)) => 4 + tokens::count(text),
        _ => 0,
    };
    let instructions = body.get("instructions").and_then(Value::as_str).map_or(0, tokens::count);
    3 + texts
        + instructions
        + body.get("tools").map_or(0, |tools| tokens::count(&tools.to_string()))
}

/// One thing of an answer.
enum Item {
    Thought { id: String, summary: Option<String>, encrypted: String },
    Message { id: String, text: String, refusal: bool },
    Call { id: String, call: output::Call, custom: bool },
}

fn items(call: &Call<'_>, output: &Output, rng: &mut Rng) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(thinking) = &output.thinking {
        // Nobody looks into it; it only has to come back unchanged.
        let (id, encrypted) = (rng.hex("rs_", 48), rng.id(ENCRYPTED, 60));
        let shown =
            call.body.pointer("/reasoning/summary").is_some_and(|summary| !summary.is_null());
        items.push(Item::Thought { id, summary: shown.then(|| thinking.clone()), encrypted });
    }
    for (text, refusal) in [(&output.text, false), (&output.refusal, true)] {
        if let Some(text) = text {
            items.push(Item::Message { id: rng.hex("msg_", 48), text: text.clone(), refusal });
        }
    }
    for called in &output.calls {
        let custom = is_custom(call.body, &called.name);
        let id = rng.hex(if custom { "ctc_" } else { "fc_" }, 48);
        items.push(Item::Call { id, call: called.clone(), custom });
    }
    items
}

fn is_custom(body: &Value, name: &str) -> bool {
    let tools = body.get("tools").and_then(Value::as_array);
    tools.into_iter().flatten().any(|tool| {
        tool.get("type").is_some_and(|kind| kind == "custom")
            && tool.get("name").is_some_and(|own| own == name)
    })
}

impl Item {
    fn id(&self) -> &str {
        match self {
            Item::Thought { id, .. } | Item::Message { id, .. } | Item::Call { id, .. } => id,
        }
    }

    /// The item; without its content when it begins.
    fn json(&self, status: &str, begun: bool) -> Json {
        match self {
            Item::Thought { id, summary, encrypted } => {
                let summary: Vec<Json> =
                    summary.iter().filter(|_| !begun).map(|text| summary_text(text)).collect();
                object! { "id": id.as_str(), "type": "reasoning", "summary": summary }
                    .with_some("encrypted_content", (!begun).then_some(encrypted.as_str()))
            }
            Item::Message { id, text, refusal } => {
                let content = if begun { Vec::new() } else { vec![part(text, *refusal)] };
                object! {
                    "id": id.as_str(),
                    "type": "message",
                    "status": status,
                    "content": content,
                    "role": "assistant",
                }
            }
            Item::Call { id, call, custom } => {
                let (kind, key) = call_type(*custom);
                let arguments = if begun { "" } else { call.arguments.as_str() };
                object! { "id": id.as_str(), "type": kind, "status": status }
                    .with(key, arguments)
                    .with("call_id", call.id.as_str())
                    .with("name", call.name.as_str())
            }
        }
    }
}

fn call_type(custom: bool) -> (&'static str, &'static str) {
    if custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") }
}

fn part(text: &str, refusal: bool) -> Json {
    if refusal {
        return object! { "type": "refusal", "refusal": text };
    }
    let none = || Json::Array(Vec::new());
    object! { "type": "output_text", "annotations": none(), "logprobs": none(), "text": text }
}

fn summary_text(text: &str) -> Json {
    object! { "type": "summary_text", "text": text }
}

/// All that an answer is made of.
struct Reply<'a> {
    call: &'a Call<'a>,
    id: String,
    output: Output,
    items: Vec<Item>,
}

impl Reply<'_> {
    /// Why the answer is incomplete, if it is.
    fn reason(&self) -> Option<&str> {
        let cut = (self.output.stop == Stop::Length).then_some("max_output_tokens");
        self.call.script.finish_reason.as_deref().or(cut)
    }

    fn status(&self) -> &'static str {
        if self.reason().is_some() { "incomplete" } else { "completed" }
    }

    fn whole(&self) -> Json {
        let last = self.items.len().saturating_sub(1);
        let items = self.items.iter().enumerate().map(|(index, item)| {
            item.json(if index == last { self.status() } else { "completed" }, false)
        });
        self.object(self.status(), items.collect(), self.usage())
    }

    fn object(&self, status: &str, output: Vec<Json>, usage: Option<Json>) -> Json {
        let asked = |key: &str, or: Value| {
            let given = self.call.body.get(key).filter(|value| !value.is_null());
            given.cloned().unwrap_or(or)
        };
        let reason = self.reason().filter(|_| status == "incomplete");
        object! {
            "id": self.id.as_str(),
            "object": "response",
            "created_at": self.call.created(),
            "status": status,
            "background": false,
            "error": Json::NULL,
            "incomplete_details": reason.map(|reason| object! { "reason": reason }),
            "instructions": asked("instructions", Value::Null),
            "max_output_tokens": asked("max_output_tokens", Value::Null),
            "model": self.call.model(),
            "output": output,
            "parallel_tool_calls": asked("parallel_tool_calls", true.into()),
            "previous_response_id": Json::NULL,
            "reasoning": asked("reasoning", serde_json::json!({"effort": null, "summary": null})),
            "store": asked("store", true.into()),
            "temperature": asked("temperature", 1.0.into()),
            "text": asked("text", serde_json::json!({"format": {"type": "text"}})),
            "tool_choice": asked("tool_choice", "auto".into()),
            "tools": asked("tools", Value::Array(Vec::new())),
            "top_p": asked("top_p", 1.0.into()),
            "truncation": asked("truncation", "disabled".into()),
            "usage": usage,
            "user": asked("user", Value::Null),
            "metadata": asked("metadata", serde_json::json!({})),
        }
    }

    fn usage(&self) -> Option<Json> {
        match &self.call.script.usage {
            Some(Value::Bool(false)) => return None,
            Some(usage @ Value::Object(_)) => return Some(usage.clone().into()),
            _ => {}
        }
        let cached = self.call.script.cached_tokens.unwrap_or(0);
        let input = input_tokens(self.call.body).max(cached);
        let output = self.output.tokens;
        Some(object! {
            "input_tokens": input,
            "input_tokens_details": object! { "cached_tokens": cached, "cache_write_tokens": 0 },
            "output_tokens": output,
            "output_tokens_details":
                object! { "reasoning_tokens": self.output.reasoning_tokens },
            "total_tokens": input + output,
        })
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Events::default();
        for kind in ["response.created", "response.in_progress"] {
            let response = self.object("in_progress", Vec::new(), None);
            events.add(kind, object! { "response": response });
        }
        let last = self.items.len().saturating_sub(1);
        for (index, item) in self.items.iter().enumerate() {
            events.item = (index, item.id().to_owned());
            let begun = item.json("in_progress", true);
            events.add(
                "response.output_item.added",
                object! { "output_index": index, "item": begun },
            );
            match item {
                Item::Thought { summary: Some(text), .. } => events.thought(text),
                Item::Thought { summary: None, .. } => {}
                Item::Message { text, refusal, .. } => events.message(text, *refusal),
                Item::Call { call, custom, .. } => events.call(&call.arguments, *custom),
            }
            let over = item.json(if index == last { self.status() } else { "completed" }, false);
            events
                .add("response.output_item.done", object! { "output_index": index, "item": over });
        }
        let kind = match self.reason() {
            Some(_) => "response.incomplete",
            None => "response.completed",
        };
        events.add(kind, object! { "response": self.whole() });
        let mut events = events.list;
        if let Some(last) = events.pop() {
            events.push(last.terminal());
        }
        events
    }
}

#[cfg(test)]
mod tests;
