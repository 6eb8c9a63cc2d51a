//! The generateContent protocol of Google's Gemini.

mod contents;
mod reply;
mod tools;
mod validate;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::Value;

use self::reply::Reply;
use super::openai::embeddings::vector;
use super::{Answer, ApiError, Call, Endpoint, Protocol};
use crate::json::{Json, object};
use crate::output::{Output, Wish};
use crate::rng::Rng;
use crate::stream::{Event, Framing};
use crate::tokens;

/// See the [module](self).
pub(crate) struct Gemini;

const MODELS: [&str; 4] =
    ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "gemini-embedding-001"];

impl Protocol for Gemini {
    fn route(&self, method: &Method, path: &str) -> Option<Endpoint> {
        if *method == Method::GET {
            if path.ends_with("/v1beta/models") {
                return Some(Endpoint::Models);
            }
            let (_, id) = path.split_once("/v1beta/models/")?;
            return (!id.is_empty() && !id.contains(':')).then_some(Endpoint::Model);
        }
        match (method, model_and_method(path)?.1) {
            (&Method::POST, "generateContent" | "streamGenerateContent") => Some(Endpoint::Chat),
            (&Method::POST, "countTokens") => Some(Endpoint::CountTokens),
            // Vertex AI has no batches of this kind, and others have no predictions.
            (&Method::POST, "batchEmbedContents") if on_vertex(path) => None,
            (&Method::POST, "predict") if !on_vertex(path) => None,
            (&Method::POST, "embedContent" | "batchEmbedContents" | "predict") => {
                Some(Endpoint::Embeddings)
            }
            _ => None,
        }
    }

    fn validate(&self, call: &Call<'_>) -> Result<(), ApiError> {
        validate::request(call)
    }

    fn answer(&self, call: &Call<'_>, rng: &mut Rng) -> Answer {
        match call.endpoint {
            Endpoint::Chat | Endpoint::Rerank | Endpoint::Object => chat(call, rng),
            Endpoint::CountTokens => {
                let asked = field(call.body, "generateContentRequest").unwrap_or(call.body);
                Answer::Body(object! { "totalTokens": prompt_tokens(asked) })
            }
            Endpoint::Embeddings => Answer::Body(embeddings(call)),
            Endpoint::Models => {
                let models: Vec<Json> = MODELS.iter().map(|name| model(name)).collect();
                Answer::Body(object! { "models": models })
            }
            Endpoint::Model => {
                let name = call.path.rsplit('/').next().unwrap_or_default();
                Answer::Body(model(name))
            }
        }
    }

    fn error(&self, error: &ApiError, _request_id: &str) -> Json {
        let (status, message) = defaults(error.status);
        object! {
            "error": object! {
                "code": u64::from(error.status),
                "message": error.message.as_deref().unwrap_or(message),
                "status": error.kind.as_deref().unwrap_or(status),
            },
        }
    }

    fn error_event(&self, error: &ApiError) -> Vec<Event> {
        vec![Event::data(self.error(error, "").text())]
    }

    fn headers(&self, _request_id: &str) -> Vec<(&'static str, String)> {
        vec![("server-timing", "gfet4t7; dur=42".to_owned())]
    }

    fn request_id(&self, rng: &mut Rng) -> String {
        rng.id("", 22)
    }

    fn malformed(&self, _error: &serde_json::Error) -> ApiError {
        ApiError::invalid("Invalid JSON payload received. Unexpected token.")
    }
}

/// The status and message of an error that says nothing else.
fn defaults(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
        403 => ("PERMISSION_DENIED", "Permission denied: Consumer has been suspended."),
        404 => ("NOT_FOUND", "Requested entity was not found."),
        429 => ("RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan."),
        499 => ("CANCELLED", "The operation was cancelled."),
        503 => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        504 => ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
        status if status >= 500 => ("INTERNAL", "An internal error has occurred."),
        _ => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    }
}

/// `.../models/{model}:{method}`.
fn model_and_method(path: &str) -> Option<(&str, &str)> {
    let (_, end) = path.rsplit_once("/models/")?;
    end.split_once(':').filter(|(model, _)| !model.is_empty() && !model.contains('/'))
}

fn on_vertex(path: &str) -> bool {
    path.contains("/publishers/google/")
}

/// The model of a request.
fn model_of<'a>(call: &Call<'a>) -> &'a str {
    model_and_method(call.path).map_or("mock", |(model, _)| model)
}

/// Gemini 3 and later give calls ids and sign them.
fn is_three(model: &str) -> bool {
    let digit = model.strip_prefix("gemini-").and_then(|version| version.chars().next());
    digit.is_some_and(|digit| ('3'..='9').contains(&digit))
}

/// A field by its name, which may be written in snake_case too.
fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let value = value.as_object()?;
    let found = value.get(name).or_else(|| {
        let found = value.iter().find(|(key, _)| camel(key) == name);
        found.map(|(_, value)| value)
    })?;
    (!found.is_null()).then_some(found)
}

/// `snakeCase` of `snake_case`.
fn camel(key: &str) -> String {
    let mut out = String::new();
    let mut up = false;
    for c in key.chars() {
        match c {
            '_' => up = true,
            c if up => {
                out.push(c.to_ascii_uppercase());
                up = false;
            }
            c => out.push(c),
        }
    }
    out
}

/// A list, or the one thing that stands where a list is meant.
fn list(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    }
}

/// The text of a content.
fn text_of(content: &Value) -> String {
    let parts = list(field(content, "parts"));
    let texts = parts.into_iter().filter_map(|part| match field(part, "text") {
        Some(text) => text.as_str().map(str::to_owned),
        None => Some(field(part, "functionResponse")?.get("response")?.to_string()),
    });
    texts.collect::<Vec<_>>().join(" ")
}

fn prompt_tokens(body: &Value) -> u64 {
    let contents = list(field(body, "contents"));
    let said: u64 = contents.into_iter().map(|content| 1 + tokens::count(&text_of(content))).sum();
    let system = field(body, "systemInstruction").map_or(0, |c| tokens::count(&text_of(c)));
    let tools = field(body, "tools").map_or(0, |tools| tokens::count(&tools.to_string()));
    said + system + tools
}

fn model(name: &str) -> Json {
    object! {
        "name": format!("models/{name}"),
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": vec!["generateContent", "countTokens"],
    }
}

fn embeddings(call: &Call<'_>) -> Json {
    let one = |request: &Value| {
        let size = field(request, "outputDimensionality").and_then(Value::as_u64);
        let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(3072).min(1 << 16);
        let text = field(request, "content").map(text_of).unwrap_or_default();
        let values: Vec<Json> = vector(&text.into(), size).into_iter().map(Json::Float).collect();
        object! { "values": Json::Array(values) }
    };
    let usage = |tokens: u64| object! { "promptTokenCount": tokens, "totalTokenCount": tokens };
    let said = |request: &Value| {
        let text = field(request, "content").map(text_of).unwrap_or_default();
        tokens::count(&text)
    };
    if call.path.ends_with(":predict") {
        let parameters = field(call.body, "parameters").cloned().unwrap_or_default();
        let instances = list(field(call.body, "instances")).into_iter();
        let all = instances.map(|instance| {
            let text = instance.get("content").cloned().unwrap_or_default();
            let size = field(&parameters, "outputDimensionality").and_then(Value::as_u64);
            let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(768).min(1 << 16);
            let values: Vec<Json> = vector(&text, size).into_iter().map(Json::Float).collect();
            let count = tokens::count(text.as_str().unwrap_or_default());
            let statistics = object! { "truncated": false, "token_count": count };
            let embeddings = object! { "statistics": statistics, "values": Json::Array(values) };
            object! { "embeddings": embeddings }
        });
        return object! { "predictions": all.collect::<Vec<_>>() };
    }
    if call.path.ends_with(":batchEmbedContents") {
        let tokens = list(field(call.body, "requests")).into_iter().map(said).sum();
        let all: Vec<Json> = list(field(call.body, "requests")).into_iter().map(one).collect();
        object! { "embeddings": all, "usageMetadata": usage(tokens) }
    } else {
        object! { "embedding": one(call.body), "usageMetadata": usage(said(call.body)) }
    }
}

fn chat(call: &Call<'_>, rng: &mut Rng) -> Answer {
    let none = Value::Null;
    let config = field(call.body, "generationConfig").unwrap_or(&none);
    let number = |name: &str| field(config, name).and_then(Value::as_u64);
    let contents = list(field(call.body, "contents"));
    let user = |content: &&&Value| field(content, "role").is_none_or(|role| role == "user");
    let stops = list(field(config, "stopSequences"));
    let wish = Wish {
        last_user: contents.iter().rev().find(user).map(|c| text_of(c)).unwrap_or_default(),
        max_tokens: number("maxOutputTokens"),
        stops: stops.into_iter().filter_map(|stop| Some(stop.as_str()?.to_owned())).collect(),
        call_id: ("", 16),
    };
    let thinking = field(config, "thinkingConfig");
    let count = number("candidateCount").unwrap_or(1).clamp(1, 8);
    let reply = Reply {
        call,
        id: rng.id("", 22),
        outputs: (0..count).map(|_| Output::new(call.script, call.listener, &wish, rng)).collect(),
        // Nobody looks into a signature; it only has to come back unchanged.
        signature: STANDARD.encode(rng.hex("signature ", 48)),
        shows_thoughts: thinking.and_then(|thinking| field(thinking, "includeThoughts"))
            == Some(&Value::Bool(true)),
    };
    if !call.path.ends_with(":streamGenerateContent") {
        return Answer::Body(reply.whole());
    }
    if call.query.split('&').any(|pair| pair == "alt=sse") {
        return Answer::Stream {
            content_type: "text/event-stream",
            framing: Framing::Sse,
            events: reply.events(),
        };
    }
    let (content_type, framing) = ("application/json; charset=UTF-8", Framing::Array);
    Answer::Stream { content_type, framing, events: reply.events() }
}

#[cfg(test)]
mod tests;
