//! One attempt at one provider: the request in its form, and what is set around it.

use shared::errors::{ApiError, ErrorKind};
use shared::facts;
use shared::host::{Host, HostError, Map};
use shared::json::JsonStr;
use shared::request::RequestBody;

use crate::asked::Asked;
use crate::config::{OnUnsupported, Protocol};
use crate::gateway::{Gateway, Provider};
use crate::translate::ir::Unsupported;
use crate::translate::provider::{Options, write};

/// Headers of the client that no provider gets: its own credentials, and what the plugins tell each
/// other.
const STRIPPED: [&str; 12] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "proxy-authorization",
    "openai-organization",
    "openai-project",
    "anthropic-version",
    "anthropic-beta",
    facts::HEADER,
    shared::exchange::CLUSTER_HEADER,
];

/// The version of Anthropic's API that is spoken.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// A request as a provider takes it.
#[derive(Debug)]
pub struct Attempt {
    /// Path and query.
    pub path: String,
    /// What to do with the body.
    pub body: NewBody,
    /// Fields that the provider has nothing for, under the client's names.
    pub dropped: Vec<String>,
    /// [`Request::echo`](crate::translate::ir::Request::echo).
    pub echo: String,
    /// Names of the tools that take any text.
    pub custom_tools: Vec<String>,
}

/// What to do with a request's body.
#[derive(Debug, PartialEq, Eq)]
pub enum NewBody {
    /// It stays.
    Same,
    /// Another name of the model, as JSON.
    Model(String),
    /// All of it is new.
    Whole(String),
}

impl Attempt {
    /// Puts a request into the provider's form.
    pub fn new(
        gateway: &Gateway,
        provider: &Provider,
        model: &str,
        asked: &Asked,
        text: &str,
    ) -> Result<Attempt, ApiError> {
        let base = &provider.base_url.path;
        let path = match provider.protocol {
            Protocol::Openai => format!("{base}/chat/completions"),
            Protocol::Anthropic => format!("{base}/v1/messages"),
            Protocol::OpenaiResponses => format!("{base}/responses"),
            Protocol::Gemini => format!("{base}/models/{model}:generateContent"),
            Protocol::Bedrock => format!("{base}/model/{model}/converse"),
            Protocol::Cohere => format!("{base}/v2/chat"),
        };
        if provider.protocol.is_that_of(asked.client) {
            let body = if asked.model == model {
                NewBody::Same
            } else {
                NewBody::Model(JsonStr::encode(model).quoted().to_owned())
            };
            return Ok(Attempt {
                path,
                body,
                dropped: Vec::new(),
                echo: String::new(),
                custom_tools: Vec::new(),
            });
        }
        let mut request = asked.client.read(text)?;
        let options = Options {
            model,
            default_max_tokens: provider.default_max_tokens,
            openai: provider.base_url.authority == "api.openai.com",
        };
        let body = write(provider.protocol, &mut request, &options)
            .map_err(|Unsupported(what)| unsupported(what, &provider.name))?;
        let mut dropped = request.dropped;
        dropped.extend(request.unsupported.iter().map(|f| asked.client.name_of(*f).to_owned()));
        if let (OnUnsupported::Error, Some(field)) = (gateway.on_unsupported, dropped.first()) {
            let message =
                format!("{field}: provider `{}` has nothing for it; leave it out", provider.name);
            return Err(ApiError::new(ErrorKind::InvalidRequest, message).param(field));
        }
        let custom = request.tools.iter().filter(|tool| tool.custom);
        Ok(Attempt {
            path,
            body: NewBody::Whole(body),
            dropped,
            echo: request.echo,
            custom_tools: custom.map(|tool| tool.name.decode().into_owned()).collect(),
        })
    }

    /// Applies the body's change.
    pub fn change(self, asked: &Asked, body: &mut RequestBody) -> Result<(), ApiError> {
        match self.body {
            NewBody::Same => {}
            NewBody::Whole(text) => body.replace(text),
            NewBody::Model(name) => {
                body.edit(&[(asked.model_range.clone(), &name)]).map_err(|_| {
                    ApiError::new(ErrorKind::Internal, "the model's name could not be replaced")
                })?;
            }
        }
        Ok(())
    }

    /// The body for a call of the plugin's own.
    pub fn into_body(self, asked: &Asked, text: &str) -> Vec<u8> {
        match self.body {
            NewBody::Whole(text) => text.into_bytes(),
            NewBody::Same => text.as_bytes().to_vec(),
            NewBody::Model(name) => {
                let before = text.get(..asked.model_range.start).unwrap_or_default();
                let after = text.get(asked.model_range.end..).unwrap_or_default();
                [before, &name, after].concat().into_bytes()
            }
        }
    }
}

fn unsupported(what: &str, provider: &str) -> ApiError {
    let message =
        format!("provider `{provider}` does not take {what}; leave it out or ask another model");
    ApiError::new(ErrorKind::InvalidRequest, message).code("unsupported_by_provider")
}

/// The headers that a provider wants, those of the content apart.
pub fn headers(provider: &Provider) -> Vec<(String, String)> {
    let mut headers = provider.headers.clone();
    match provider.protocol {
        Protocol::Gemini => {
            if let Some(key) = provider.api_key.first() {
                headers.push(("x-goog-api-key".into(), key.expose().to_owned()));
            }
        }
        Protocol::Openai | Protocol::OpenaiResponses | Protocol::Bedrock | Protocol::Cohere => {
            if let Some(key) = provider.api_key.first() {
                headers.push(("authorization".into(), format!("Bearer {}", key.expose())));
            }
        }
        Protocol::Anthropic => {
            if let Some(key) = provider.api_key.first() {
                headers.push(("x-api-key".into(), key.expose().to_owned()));
            }
            if !headers.iter().any(|(name, _)| name == "anthropic-version") {
                headers.push(("anthropic-version".into(), ANTHROPIC_VERSION.into()));
            }
        }
    }
    headers
}

/// Takes away what is the client's own, and what an attempt before this one has set.
pub fn strip(gateway: &Gateway, host: &dyn Host) {
    for name in STRIPPED.into_iter().chain(gateway.provider_headers()) {
        let _ = host.remove_header(Map::Request, name);
    }
}

/// Points the request at a provider.
pub fn address(
    gateway: &Gateway,
    provider: &Provider,
    path: &str,
    host: &dyn Host,
) -> Result<(), HostError> {
    strip(gateway, host);
    // Answers are looked into.
    host.set_header(Map::Request, "accept-encoding", "identity")?;
    for (name, value) in headers(provider) {
        host.set_header(Map::Request, &name, &value)?;
    }
    host.set_path(path)?;
    host.set_authority(&provider.base_url.authority)
}
