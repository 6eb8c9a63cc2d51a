//! What a client asks for, as far as it is needed to send the request somewhere.

use std::ops::Range;

use shared::errors::{ApiError, ErrorKind};
use shared::filter::{BodyKind, Cx};
use shared::host::Map;
use shared::json::{BadJson, parse};
use shared::protocol::Endpoint;
use shared::protocol::openai_chat::Head;
use shared::request::RequestBody;

use crate::translate::client::Client;

/// A request whose body has been read.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The client's protocol.
    pub client: Client,
    /// The model's name.
    pub model: String,
    /// Where the name stands in the body, quotes included.
    pub model_range: Range<usize>,
    /// Whether the answer is to be an event stream.
    pub stream: bool,
    /// Whether the stream is to end with the token counts.
    pub include_usage: bool,
}

/// Refuses what this gateway cannot serve, by the headers alone.
pub fn check_head(cx: &Cx<'_>) -> Result<(), ApiError> {
    if cx.endpoint.and_then(Client::of).is_none() {
        let message =
            "this path is not served here; send POST /v1/chat/completions or /v1/messages";
        return Err(ApiError::new(ErrorKind::NotFound, message).code("unknown_path"));
    }
    if cx.host.method().as_deref() != Some("POST") {
        let message = "only POST is allowed here";
        return Err(ApiError::new(ErrorKind::MethodNotAllowed, message));
    }
    let header = |name| {
        let value = cx.host.header(Map::Request, name).unwrap_or_default();
        String::from_utf8_lossy(&value).into_owned()
    };
    if BodyKind::of_content_type(&header("content-type")) != BodyKind::Json {
        let message = "send the header `content-type: application/json`";
        return Err(ApiError::new(ErrorKind::UnsupportedMediaType, message));
    }
    if !matches!(header("content-encoding").trim(), "" | "identity") {
        let message = "compressed request bodies are not accepted; leave `content-encoding` out";
        return Err(ApiError::new(ErrorKind::UnsupportedMediaType, message));
    }
    Ok(())
}

/// Reads the body. On a path that is none of a client's protocol it is read as OpenAI's.
pub fn read(endpoint: Option<Endpoint>, body: &RequestBody) -> Result<Asked, ApiError> {
    let client = endpoint.and_then(Client::of).unwrap_or(Client::OpenAiChat);
    let head: Head<'_> = parse(body.text()).map_err(|error| bad(&error))?;
    let Some(model) = head.model.filter(|model| !model.is_empty()) else {
        return Err(missing("model"));
    };
    if head.messages.is_none() {
        return Err(missing("messages"));
    }
    let model_range = body.range_of(model.quoted()).ok_or_else(|| missing("model"))?;
    let options = head.stream_options.unwrap_or_default();
    Ok(Asked {
        client,
        model: model.decode().into_owned(),
        model_range,
        stream: head.stream.unwrap_or(false),
        include_usage: options.include_usage.unwrap_or(false),
    })
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
