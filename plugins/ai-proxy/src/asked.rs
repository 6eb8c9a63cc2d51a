//! What a client asks for, as far as it is needed to send the request somewhere.

use std::ops::Range;

use serde_json::value::RawValue;
use shared::errors::{ApiError, ErrorKind};
use shared::filter::{BodyKind, Cx};
use shared::host::{Host, Map};
use shared::json::{BadJson, JsonStr};
use shared::multipart;
use shared::percent;
use shared::protocol::endpoint::{GooglePath, tail};
use shared::protocol::head::Head;
use shared::protocol::{Endpoint, Service, Vendor};
use shared::request::RequestBody;

use crate::objects::request::Held;
use crate::translate::client::Client;
use crate::translate::{count, embed};

/// A request whose body has been read.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What is to be done.
    pub operation: Operation,
    /// The model's name; empty where the operation needs none.
    pub model: String,
    /// Where the name stands in the body, if it does.
    pub model_at: Option<ModelAt>,
    /// Whether the answer is to be an event stream.
    pub stream: bool,
    /// Whether the answer is to be a JSON array of the pieces of a stream, as Gemini gives it without
    /// `alt=sse`. One piece is the whole then.
    pub array: bool,
    /// Whether the stream is to end with the token counts.
    pub include_usage: bool,
    /// Most tokens of the answer, if the client says.
    pub max_tokens: Option<u64>,
    /// In whose form errors are told.
    pub vendor: Vendor,
    /// What follows the version in the path, with its query (`/files/file-1?x=y`).
    pub tail: String,
    /// Nothing is sent.
    pub get: bool,
    /// The objects it names that a provider keeps.
    pub held: Held,
    /// Which version of Anthropic's API the client speaks, and with which of its features.
    pub versions: Versions,
}

/// What clients of Anthropic choose in headers, as [`Fact::Versions`](shared::facts::Fact::Versions) has
/// it. <https://docs.anthropic.com/en/api/versioning>, <https://docs.anthropic.com/en/api/beta-headers>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions(pub String);

impl Versions {
    /// As the client has sent them, as long as no attempt has changed its headers.
    pub fn sent(host: &dyn Host) -> Versions {
        let header = |name| host.header(Map::Request, name);
        let text = match (header("anthropic-version"), header("anthropic-beta")) {
            (None, None) => return Versions::default(),
            (version, beta) => [version.unwrap_or_default(), beta.unwrap_or_default()].join(&b'\n'),
        };
        Versions(String::from_utf8(text).unwrap_or_default())
    }

    /// `anthropic-version` and `anthropic-beta`, empty where nothing was chosen.
    pub fn both(&self) -> (&str, &str) {
        self.0.split_once('\n').unwrap_or_default()
    }
}

/// What a client wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A chat completion, in this protocol.
    Chat(Client),
    /// Vectors of texts, in this protocol.
    Embed(embed::Client),
    /// The number of a request's tokens, in this protocol.
    Count(count::Client),
    /// Anthropic's batches.
    AnthropicBatches,
    /// Gemini's cached contents.
    GeminiCaches,
    /// A service of the configuration's, by its number.
    Generic(usize),
    /// A service whose bodies pass as they are.
    Service(Service),
}

/// Where a model's name stands in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelAt {
    /// A JSON string, quotes included.
    Json(Range<usize>),
    /// The value of a form's field.
    Form(Range<usize>),
}

impl Asked {
    /// The client's chat protocol, if that is what is asked for.
    pub fn client(&self) -> Option<Client> {
        match self.operation {
            Operation::Chat(client) => Some(client),
            _ => None,
        }
    }

    /// Whether the path, without its query, ends so.
    pub fn tail_ends_with(&self, end: &str) -> bool {
        self.tail.split('?').next().unwrap_or_default().ends_with(end)
    }

    /// What a client of Gemini's calls: `embedContent` of `.../models/{model}:embedContent`.
    pub fn method(&self) -> &str {
        let path = self.tail.split('?').next().unwrap_or_default();
        path.rsplit_once(':').map(|(_, method)| method).unwrap_or_default()
    }
}

impl Operation {
    /// That of an endpoint, if it is served here and concerns a provider.
    pub fn of(endpoint: Endpoint) -> Option<Operation> {
        match endpoint {
            Endpoint::OpenAiEmbeddings => Some(Operation::Embed(embed::Client::OpenAi)),
            Endpoint::GeminiEmbed => Some(Operation::Embed(embed::Client::Gemini)),
            Endpoint::AnthropicCountTokens => Some(Operation::Count(count::Client::Anthropic)),
            Endpoint::GeminiCountTokens => Some(Operation::Count(count::Client::Gemini)),
            Endpoint::OpenAiInputTokens => Some(Operation::Count(count::Client::OpenAi)),
            Endpoint::AnthropicBatches => Some(Operation::AnthropicBatches),
            Endpoint::GeminiCaches => Some(Operation::GeminiCaches),
            Endpoint::Service(service) => Some(Operation::Service(service)),
            // Which of them says the path.
            Endpoint::Generic => Some(Operation::Generic(0)),
            endpoint => Client::of(endpoint).map(Operation::Chat),
        }
    }

    /// Whether a model must be named.
    fn needs_model(self) -> bool {
        match self {
            Operation::Chat(_) | Operation::Embed(_) | Operation::Count(_) => true,
            Operation::Service(service) => !keeps(service),
            Operation::AnthropicBatches | Operation::GeminiCaches | Operation::Generic(_) => false,
        }
    }

    /// The methods that it takes.
    fn takes(self, method: &str) -> bool {
        match self {
            Operation::Service(service) if keeps(service) => {
                matches!(method, "GET" | "POST" | "DELETE")
            }
            Operation::AnthropicBatches => matches!(method, "GET" | "POST" | "DELETE"),
            // Whatever its server understands.
            Operation::Generic(_) => true,
            Operation::GeminiCaches => matches!(method, "GET" | "POST" | "PATCH" | "DELETE"),
            _ => method == "POST",
        }
    }

    /// Whether the body must be JSON.
    fn wants_json(self) -> bool {
        !matches!(
            self,
            Operation::Service(Service::Images | Service::Transcriptions | Service::Files)
                | Operation::Generic(_)
        )
    }
}

/// Services whose objects the provider keeps, and which name no model.
fn keeps(service: Service) -> bool {
    matches!(service, Service::Files | Service::Batches | Service::StoredResponses)
}

/// Refuses what this gateway cannot serve, by the headers alone.
pub fn check_head(cx: &Cx<'_>) -> Result<(), ApiError> {
    let Some(operation) = cx.endpoint.and_then(Operation::of) else {
        let message = "this path is not served here; send POST /v1/chat/completions, /v1/responses, \
                       /v1/messages or /v1beta/models/{model}:generateContent";
        return Err(ApiError::new(ErrorKind::NotFound, message).code("unknown_path"));
    };
    let method = cx.host.method().unwrap_or_default();
    if !operation.takes(&method) {
        let objects = operation.takes("GET");
        let message = if objects {
            "only GET, POST and DELETE are allowed here (of cached contents, PATCH as well)"
        } else {
            "only POST is allowed here"
        };
        return Err(ApiError::new(ErrorKind::MethodNotAllowed, message));
    }
    if method != "POST" {
        return Ok(());
    }
    let header = |name| cx.host.header_text(Map::Request, name).unwrap_or_default();
    let json = BodyKind::of_content_type(&header("content-type")) == BodyKind::Json;
    if operation.needs_model() && operation.wants_json() && !json {
        let message = "send the header `content-type: application/json`";
        return Err(ApiError::new(ErrorKind::UnsupportedMediaType, message));
    }
    if !matches!(header("content-encoding").trim(), "" | "identity") {
        let message = "compressed request bodies are not accepted; leave `content-encoding` out";
        return Err(ApiError::new(ErrorKind::UnsupportedMediaType, message));
    }
    Ok(())
}

/// The model and whether the answer is to be a stream, of a chat that may still lack something.
pub fn glance(path: &str, body: &RequestBody) -> Option<(String, bool)> {
    if let Some(google) = GooglePath::of(path) {
        let model = percent::decode(google.model);
        let plain = model.strip_prefix("models/").map(str::to_owned);
        return Some((plain.unwrap_or(model), google.streams()));
    }
    let head: Head<'_> = body.document().parse().ok()?;
    Some((head.model?.decode().into_owned(), head.stream.unwrap_or(false)))
}

/// Reads the body. On a path that is none of a client's protocol it is read as OpenAI's.
pub fn read(cx: &Cx<'_>, path: &str, body: &RequestBody) -> Result<Asked, ApiError> {
    let operation = cx.endpoint.and_then(Operation::of);
    let operation = operation.unwrap_or(Operation::Chat(Client::OpenAiChat));
    let mut asked = Asked {
        operation,
        model: String::new(),
        model_at: None,
        stream: false,
        array: false,
        include_usage: false,
        max_tokens: None,
        vendor: cx.endpoint.map_or(Vendor::OpenAi, Endpoint::vendor),
        tail: tail(path).unwrap_or_default().to_owned(),
        get: cx.host.method().is_some_and(|method| method == "GET"),
        held: Held::default(),
        versions: Versions::default(),
    };
    if matches!(operation, Operation::Generic(_)) {
        // Its body is its own business.
    } else if let Some(google) = GooglePath::of(path) {
        asked.model = percent::decode(google.model);
        let query = path.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let sse = query.split('&').any(|pair| pair == "alt=sse");
        asked.stream = google.streams() && sse;
        asked.array = google.streams() && !sse;
        // The names of tuned models and of Vertex begin with their kind.
        let plain = asked.model.strip_prefix("models/").map(str::to_owned);
        asked.model = plain.unwrap_or(asked.model);
    } else if body.text().is_empty() && !body.bytes().is_empty() {
        read_form(cx, &mut asked, body)?;
    } else if operation.needs_model() || !body.text().trim().is_empty() {
        read_json(&mut asked, body)?;
    }
    if operation == Operation::GeminiCaches {
        let at = path.find("/cachedContents").unwrap_or(path.len());
        asked.tail = path.get(at..).unwrap_or_default().to_owned();
        let plain = asked.model.strip_prefix("models/").map(str::to_owned);
        asked.model = plain.unwrap_or(asked.model);
    }
    if asked.model.is_empty() && operation.needs_model() {
        return Err(missing("model"));
    }
    Ok(asked)
}

fn read_json(asked: &mut Asked, body: &RequestBody) -> Result<(), ApiError> {
    let head: Head<'_> = body.document_in_one_go().parse().map_err(|error| bad(&error))?;
    if let Some(field) = lacking(asked.operation, &head) {
        return Err(missing(field));
    }
    asked.stream = head.stream.unwrap_or(false);
    asked.max_tokens = head.max_tokens();
    let options = head.stream_options.unwrap_or_default();
    asked.include_usage = options.include_usage.unwrap_or(false);
    if let Some(model) = head.model {
        asked.model_at = body.range_of(model.quoted()).map(ModelAt::Json);
        asked.model = model.decode().into_owned();
    }
    Ok(())
}

/// The first field that must be there and is not.
fn lacking(operation: Operation, head: &Head<'_>) -> Option<&'static str> {
    let empty = |model: &Option<JsonStr<'_>>| model.as_ref().is_none_or(JsonStr::is_empty);
    if operation.needs_model() && empty(&head.model) {
        return Some("model");
    }
    let given = |value: Option<&RawValue>| value.is_some();
    match operation {
        Operation::Chat(Client::OpenAiChat | Client::Anthropic)
        | Operation::Count(count::Client::Anthropic) => {
            (!given(head.messages)).then_some("messages")
        }
        Operation::Chat(Client::OpenAiCompletions) => (!given(head.prompt)).then_some("prompt"),
        Operation::Embed(_) => (!given(head.input)).then_some("input"),
        _ => None,
    }
}

fn read_form(cx: &Cx<'_>, asked: &mut Asked, body: &RequestBody) -> Result<(), ApiError> {
    if !asked.operation.needs_model() {
        return Ok(());
    }
    let content_type = cx.host.header_text(Map::Request, "content-type").unwrap_or_default();
    let found = multipart::field(body.bytes(), &content_type, "model").map_err(|error| {
        ApiError::new(ErrorKind::InvalidRequest, format!("model: {error}")).param("model")
    })?;
    let range = found.ok_or_else(|| missing("model"))?;
    let name = body.bytes().get(range.clone()).and_then(|name| std::str::from_utf8(name).ok());
    asked.model = name.ok_or_else(|| missing("model"))?.to_owned();
    asked.model_at = Some(ModelAt::Form(range));
    Ok(())
}

fn missing(field: &str) -> ApiError {
    ApiError::new(ErrorKind::InvalidRequest, format!("{field}: is required")).param(field)
}

fn bad(error: &BadJson) -> ApiError {
    if error.path.is_empty() {
        let message = format!("the request body is not valid JSON: {}", error.message);
        return ApiError::new(ErrorKind::InvalidRequest, message);
    }
    ApiError::new(ErrorKind::InvalidRequest, error.to_string()).param(&error.path)
}

/// What a client is told that asks for a model nobody has.
pub fn unknown_model(model: &str, known: &[&str]) -> ApiError {
    let shown: String = model.chars().take(100).collect();
    let known =
        if known.is_empty() { String::new() } else { format!("; try {}", known.join(", ")) };
    let message = format!("no provider is configured for model `{shown}`{known}");
    ApiError::new(ErrorKind::NotFound, message).param("model").code("model_not_found")
}
