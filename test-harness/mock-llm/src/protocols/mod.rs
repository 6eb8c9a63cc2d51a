//! The protocols of the providers, each behind [`Protocol`].

mod anthropic;
mod bedrock;
mod cohere;
mod gemini;
mod kept;
mod openai;
mod openai_responses;

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use serde_json::Value;

use crate::json::Json;
use crate::rng::Rng;
use crate::script::Script;
use crate::stream::{Event, Framing};

/// The clock of all answers starts here and counts requests.
const EPOCH: u64 = 1_760_000_000;

/// A family of endpoints and their formats.
pub(crate) trait Protocol: Sync {
    /// What a request wants, if it is one of this protocol.
    fn route(&self, method: &Method, path: &str) -> Option<Endpoint>;

    /// Refuses what the real provider refuses.
    fn validate(&self, call: &Call<'_>) -> Result<(), ApiError>;

    /// The answer of the script.
    fn answer(&self, call: &Call<'_>, rng: &mut Rng) -> Answer;

    /// The body of an error answer.
    fn error(&self, error: &ApiError, request_id: &str) -> Json;

    /// What a stream says when it fails half-way.
    fn error_event(&self, error: &ApiError) -> Vec<Event>;

    /// The headers of every answer.
    fn headers(&self, request_id: &str) -> Vec<(&'static str, String)>;

    /// The further headers of an error answer.
    fn error_headers(&self, _error: &ApiError) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// A new id for one request.
    fn request_id(&self, rng: &mut Rng) -> String;

    /// The refusal of a body that is not JSON.
    fn malformed(&self, error: &serde_json::Error) -> ApiError;
}

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// An answer of a model.
    Chat,
    /// How many tokens a request for an answer has.
    CountTokens,
    /// Vectors.
    Embeddings,
    /// An order of documents.
    Rerank,
    /// All models.
    Models,
    /// One model.
    Model,
    /// Something that the provider keeps for its client.
    Object,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// What it wants.
    pub(crate) endpoint: Endpoint,
    /// Where it arrived.
    pub(crate) listener: &'a str,
    /// Its path, without the query.
    pub(crate) path: &'a str,
    /// Its query, without the question mark.
    pub(crate) query: &'a str,
    /// Its headers.
    pub(crate) headers: &'a HeaderMap,
    /// Its body; null if it has none or it is not JSON.
    pub(crate) body: &'a Value,
    /// What to do.
    pub(crate) script: &'a Script,
    /// How many requests the listener has had before.
    pub(crate) number: u64,
}

impl Call<'_> {
    /// The time, in seconds.
    pub(crate) fn created(&self) -> u64 {
        EPOCH + self.number
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The token of an `Authorization: Bearer` header.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .filter(|token| !token.trim().is_empty())
    }

    /// The body is said to be JSON.
    pub(crate) fn says_json(&self) -> bool {
        self.header("content-type")
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    }

    /// The model the request names.
    pub(crate) fn model(&self) -> &str {
        self.body.get("model").and_then(Value::as_str).unwrap_or("mock")
    }

    /// The client wants a stream.
    pub(crate) fn streams(&self) -> bool {
        self.body.get("stream") == Some(&Value::Bool(true))
    }

    /// The strings of a field that holds one or a list.
    pub(crate) fn strings(&self, field: &str) -> Vec<String> {
        let string = |value: &Value| value.as_str().map(str::to_owned);
        match self.body.get(field) {
            Some(Value::Array(items)) => items.iter().filter_map(string).collect(),
            Some(value) => string(value).into_iter().collect(),
            None => Vec::new(),
        }
    }
}

/// An answer that is not an error.
#[derive(Debug)]
pub(crate) enum Answer {
    /// One JSON body.
    Body(Json),
    /// A stream.
    Stream {
        /// The content type.
        content_type: &'static str,
        /// How its events become bytes.
        framing: Framing,
        /// All its events.
        events: Vec<Event>,
    },
}

impl Answer {
    /// A stream of server-sent events.
    pub(crate) fn sse(events: Vec<Event>) -> Answer {
        Answer::Stream {
            content_type: "text/event-stream; charset=utf-8",
            framing: Framing::Sse,
            events,
        }
    }
}

/// An error of the provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The type; the protocol's own for the status if absent.
    pub(crate) kind: Option<String>,
    /// The message; the protocol's own for the status if absent.
    pub(crate) message: Option<String>,
    /// The parameter that is wrong.
    pub(crate) param: Option<String>,
    /// A machine-readable reason.
    pub(crate) code: Option<&'static str>,
}

impl ApiError {
    /// An error with the protocol's own words for the status.
    pub(crate) fn status(status: u16) -> Self {
        ApiError { status, ..ApiError::default() }
    }

    /// A request that is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        ApiError::status(400).message(message)
    }

    /// The error a script asks for.
    pub(crate) fn scripted(script: &Script, status: u16) -> Self {
        ApiError {
            kind: script.error_type.clone(),
            message: script.error_message.clone(),
            ..ApiError::status(status)
        }
    }

    /// With this message.
    pub(crate) fn message(self, message: impl Into<String>) -> Self {
        ApiError { message: Some(message.into()), ..self }
    }

    /// With this wrong parameter.
    pub(crate) fn param(self, param: impl Into<String>) -> Self {
        ApiError { param: Some(param.into()), ..self }
    }

    /// With this machine-readable reason.
    pub(crate) fn code(self, code: &'static str) -> Self {
        ApiError { code: Some(code), ..self }
    }
}

/// Every protocol. Cohere's list of models has the path of OpenAI's, but for a prefix, and goes first.
static ALL: [&dyn Protocol; 9] = [
    &kept::OPENAI,
    &kept::ANTHROPIC,
    &kept::GEMINI,
    &cohere::Cohere,
    &openai::OpenAi,
    &anthropic::Anthropic,
    &openai_responses::Responses,
    &gemini::Gemini,
    &bedrock::Bedrock,
];

/// The protocol and endpoint of a request.
pub(crate) fn find(method: &Method, path: &str) -> Option<(&'static dyn Protocol, Endpoint)> {
    ALL.iter().find_map(|protocol| Some((*protocol, protocol.route(method, path)?)))
}

/// The protocol whose errors unknown paths get.
pub(crate) fn fallback() -> &'static dyn Protocol {
    &openai::OpenAi
}

/// A header that only the gateway may read and that has come through to the provider.
pub(crate) fn leaked_header(headers: &HeaderMap) -> Option<ApiError> {
    let name = headers.keys().find(|name| name.as_str().starts_with("x-ai-"))?;
    Some(ApiError::invalid(format!("gateway header leaked: {name}")))
}

/// Reads a body; an empty one is no JSON.
pub(crate) fn parse(body: &Bytes) -> serde_json::Result<Value> {
    serde_json::from_slice(body)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Headers all protocols are content with.
    pub(crate) fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer sk-test"),
            ("content-type", "application/json"),
            ("anthropic-version", "2023-06-01"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    /// Validates a body as a request to an endpoint.
    pub(crate) fn check(
        protocol: &dyn Protocol,
        endpoint: Endpoint,
        headers: &HeaderMap,
        body: &Value,
    ) -> Result<(), ApiError> {
        let script = Script::default();
        let (listener, path, number) = ("a", "/", 0);
        protocol.validate(&Call {
            endpoint,
            listener,
            path,
            query: "",
            headers,
            body,
            script: &script,
            number,
        })
    }

    /// Answers a body without validating it.
    pub(crate) fn answer(
        protocol: &dyn Protocol,
        endpoint: Endpoint,
        body: &Value,
        script: Value,
    ) -> Answer {
        answer_at(protocol, endpoint, "/v1/models/m", body, script)
    }

    /// The same of a request to this path.
    pub(crate) fn answer_at(
        protocol: &dyn Protocol,
        endpoint: Endpoint,
        path: &str,
        body: &Value,
        script: Value,
    ) -> Answer {
        let script = Script::parse(script, "a").unwrap();
        let (headers, listener, query, number) = (headers(), "a", "", 1);
        let headers = &headers;
        let script = &script;
        let call = Call { endpoint, listener, path, query, headers, body, script, number };
        protocol.answer(&call, &mut Rng::new(1))
    }

    /// The whole body of an answer.
    pub(crate) fn body(answer: Answer) -> Value {
        match answer {
            Answer::Body(json) => serde_json::from_str(&json.text()).unwrap(),
            Answer::Stream { .. } => panic!("a stream"),
        }
    }

    /// The events of an answer.
    pub(crate) fn events(answer: Answer) -> Vec<Event> {
        match answer {
            Answer::Stream { events, .. } => events,
            Answer::Body(json) => panic!("no stream but {}", json.text()),
        }
    }

    /// The data of an event.
    pub(crate) fn data(event: &Event) -> Value {
        serde_json::from_slice(&event.data).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_behind_any_prefix() {
        let find = |method, path| find(&method, path).map(|(_, endpoint)| endpoint);
        assert_eq!(find(Method::POST, "/v1/chat/completions"), Some(Endpoint::Chat));
        assert_eq!(find(Method::POST, "/openai/v1/embeddings"), Some(Endpoint::Embeddings));
        assert_eq!(find(Method::POST, "/x/y/v1/messages"), Some(Endpoint::Chat));
        assert_eq!(find(Method::POST, "/v1/messages/count_tokens"), Some(Endpoint::CountTokens));
        assert_eq!(find(Method::POST, "/openai/v1/responses"), Some(Endpoint::Chat));
        assert_eq!(find(Method::GET, "/v1/responses/resp_1"), Some(Endpoint::Model));
        let converse = "/model/amazon.nova-pro-v1%3A0/converse";
        assert_eq!(find(Method::POST, converse), Some(Endpoint::Chat));
        assert_eq!(find(Method::POST, "/b/model/m/converse-stream"), Some(Endpoint::Chat));
        assert_eq!(find(Method::POST, "/cohere/v2/chat"), Some(Endpoint::Chat));
        assert_eq!(find(Method::POST, "/v2/embed"), Some(Endpoint::Embeddings));
        assert_eq!(find(Method::POST, "/v2/rerank"), Some(Endpoint::Rerank));
        assert_eq!(find(Method::GET, "/cohere/v1/models"), Some(Endpoint::Models));
        assert_eq!(find(Method::GET, "/v1/models"), Some(Endpoint::Models));
        assert_eq!(find(Method::GET, "/p/v1/models/org/model"), Some(Endpoint::Model));
        let stream = "/v1beta/models/gemini-2.5-pro:streamGenerateContent";
        assert_eq!(find(Method::POST, stream), Some(Endpoint::Chat));
        assert_eq!(find(Method::GET, "/v1beta/models"), Some(Endpoint::Models));
        assert_eq!(find(Method::GET, "/v1/chat/completions"), None);
        assert_eq!(find(Method::POST, "/v1/unknown"), None);
    }

    #[test]
    fn gateway_headers_are_noticed() {
        let mut headers = testing::headers();
        assert_eq!(leaked_header(&headers), None);
        headers.insert("x-ai-model", "m".parse().unwrap());
        let error = leaked_header(&headers).unwrap();
        assert_eq!(error.message.unwrap(), "gateway header leaked: x-ai-model");
    }
}
