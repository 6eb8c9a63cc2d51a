//! Which API of a provider a request goes to, and where that is.

use shared::errors::{ApiError, ErrorKind};
use shared::percent;
use shared::protocol::Service;

use crate::asked::{Asked, Operation};
use crate::config::Protocol;
use crate::provider::{Cloud, Provider};
use crate::translate::client::Client;
use crate::translate::count::Counter;
use crate::translate::embed::{self, Dialect};

/// A provider's API, as one request uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The protocol of its requests and answers.
    pub protocol: Protocol,
    /// The client speaks it as well.
    pub same: bool,
    /// Path and query.
    pub path: String,
    /// Which of the provider's services that is.
    pub service: Wanted,
}

/// A provider's service, where it has a form of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Chat, or what passes as it is.
    Plain,
    /// Vectors.
    Vectors(Dialect),
    /// The number of a request's tokens.
    Count(Counter),
}

impl Wire {
    /// The API of `provider` for what is asked; an error if it has none for it.
    pub fn of(provider: &Provider, model: &str, asked: &Asked) -> Result<Wire, ApiError> {
        let service = |protocol, same, path: &str, service| {
            Ok(Wire { protocol, same, path: provider.url(path, model), service })
        };
        let wire = |protocol, same, path: &str| service(protocol, same, path, Wanted::Plain);
        match asked.operation {
            Operation::Chat(client) => {
                let (protocol, same) = protocol(provider, client);
                if protocol == Protocol::Openai && provider.paths.chat.is_empty() {
                    return Err(has_no(provider, "chat"));
                }
                wire(
                    protocol,
                    same,
                    &chat_path(provider, protocol, client, same, model, asked.stream),
                )
            }
            Operation::Embed(client) => {
                let dialect = Dialect::of(provider, model);
                let dialect = dialect.ok_or_else(|| has_no(provider, "embeddings"))?;
                let same = dialect.is_that_of(client, asked.method());
                let method =
                    Some(asked.method()).filter(|_| same && client == embed::Client::Gemini);
                let path = dialect.path(provider, model, method);
                service(embed_protocol(provider), same, &path, Wanted::Vectors(dialect))
            }
            Operation::Count(client) => {
                let counter = Counter::of(provider, model);
                let counter = counter.ok_or_else(|| has_no(provider, "counting of tokens"))?;
                let same = counter.is_that_of(client);
                let path = counter.path(provider, model);
                service(provider.protocol, same, &path, Wanted::Count(counter))
            }
            Operation::AnthropicBatches => match (provider.protocol, provider.cloud) {
                (Protocol::Anthropic, Cloud::Own) => {
                    wire(Protocol::Anthropic, true, &format!("/v1{}", asked.tail))
                }
                _ => Err(has_no(provider, "batches of Anthropic's")),
            },
            Operation::GeminiCaches if has(provider, asked.operation) => {
                wire(Protocol::Gemini, true, &asked.tail)
            }
            Operation::GeminiCaches => Err(has_no(provider, "cached contents of Gemini's")),
            Operation::Generic(_) => wire(provider.protocol, true, &asked.tail),
            Operation::Service(service) => {
                let path = service_path(provider, service, &asked.tail);
                let path = path.ok_or_else(|| has_no(provider, name_of(service)))?;
                wire(service_protocol(provider, service), true, &path)
            }
        }
    }
}

/// That of its token counts: OpenAI's pictures and sounds have them as Responses do.
/// <https://platform.openai.com/docs/api-reference/images/object>
fn service_protocol(provider: &Provider, service: Service) -> Protocol {
    match (provider.protocol, service) {
        (Protocol::Openai, Service::Images | Service::Speech | Service::Transcriptions) => {
            Protocol::OpenaiResponses
        }
        (protocol, _) => protocol,
    }
}

/// That of its errors and token counts. Responses' are not those of OpenAI's embeddings.
fn embed_protocol(provider: &Provider) -> Protocol {
    match provider.protocol {
        Protocol::OpenaiResponses => Protocol::Openai,
        protocol => protocol,
    }
}

/// The protocol in which the provider is asked, and whether it is the client's.
fn protocol(provider: &Provider, client: Client) -> (Protocol, bool) {
    let paths = &provider.paths;
    match (provider.protocol, client) {
        (Protocol::Openai, Client::OpenAiResponses) if paths.responses.is_some() => {
            (Protocol::OpenaiResponses, true)
        }
        (Protocol::Openai, Client::OpenAiCompletions) if paths.completions.is_some() => {
            (Protocol::Openai, true)
        }
        (protocol, client) => (protocol, protocol.is_that_of(client)),
    }
}

fn chat_path(
    provider: &Provider,
    protocol: Protocol,
    client: Client,
    same: bool,
    model: &str,
    stream: bool,
) -> String {
    let paths = &provider.paths;
    let model = || percent::encode(model);
    match (protocol, provider.cloud) {
        (Protocol::Openai, _) if same && client == Client::OpenAiCompletions => {
            paths.completions.unwrap_or("/completions").to_owned()
        }
        (Protocol::Openai, _) => paths.chat.to_owned(),
        (Protocol::OpenaiResponses, _) => paths.responses.unwrap_or("/responses").to_owned(),
        (Protocol::Anthropic, Cloud::Own) => "/v1/messages".to_owned(),
        (Protocol::Anthropic, Cloud::Vertex) => {
            let method = if stream { "streamRawPredict" } else { "rawPredict" };
            format!("/models/{}:{method}", model())
        }
        (Protocol::Anthropic, Cloud::Bedrock) => {
            let method = if stream { "invoke-with-response-stream" } else { "invoke" };
            format!("/model/{}/{method}", model())
        }
        (Protocol::Gemini, _) => {
            let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            format!("/models/{}:{method}", model())
        }
        (Protocol::Bedrock, _) => {
            let method = if stream { "converse-stream" } else { "converse" };
            format!("/model/{}/{method}", model())
        }
        (Protocol::Cohere, _) => "/v2/chat".to_owned(),
    }
}

/// The provider's path for what the client has as `tail`.
fn service_path(provider: &Provider, service: Service, tail: &str) -> Option<String> {
    let paths = &provider.paths;
    let (own, clients) = match service {
        Service::Images => (paths.images?, "/images"),
        Service::Speech => (paths.speech?, "/audio/speech"),
        Service::Transcriptions if tail.starts_with("/audio/translations") => {
            let own = paths.transcriptions?.strip_suffix("/transcriptions")?;
            return Some(format!("{own}{}", tail.strip_prefix("/audio")?));
        }
        Service::Transcriptions => (paths.transcriptions?, "/audio/transcriptions"),
        Service::Moderations => (paths.moderations?, "/moderations"),
        Service::Rerank => (paths.rerank?, "/rerank"),
        Service::Files if tail.starts_with("/uploads") => {
            (paths.files.and(Some("/uploads"))?, "/uploads")
        }
        Service::Files => (paths.files?, "/files"),
        Service::Batches => (paths.batches?, "/batches"),
        Service::StoredResponses => (paths.responses?, "/responses"),
    };
    Some(format!("{own}{}", tail.strip_prefix(clients)?))
}

/// What is missing, in words.
pub fn name_of(service: Service) -> &'static str {
    match service {
        Service::Images => "images",
        Service::Speech => "speech",
        Service::Transcriptions => "transcriptions",
        Service::Moderations => "moderation",
        Service::Rerank => "reranking",
        Service::Files => "files",
        Service::Batches => "batches",
        Service::StoredResponses => "stored responses",
    }
}

/// Whether what is asked for is a number of tokens that this provider cannot be asked for.
pub fn must_estimate(provider: &Provider, model: &str, operation: Operation) -> bool {
    matches!(operation, Operation::Count(_)) && Counter::of(provider, model).is_none()
}

/// Whether the provider has this service at all.
pub fn has(provider: &Provider, operation: Operation) -> bool {
    let paths = &provider.paths;
    match operation {
        Operation::AnthropicBatches => {
            provider.protocol == Protocol::Anthropic && provider.cloud == Cloud::Own
        }
        Operation::GeminiCaches => {
            provider.protocol == Protocol::Gemini && provider.cloud == Cloud::Own
        }
        Operation::Service(Service::Files) => paths.files.is_some(),
        Operation::Service(Service::Batches) => paths.batches.is_some(),
        Operation::Service(Service::StoredResponses) => paths.responses.is_some(),
        _ => true,
    }
}

fn has_no(provider: &Provider, what: &str) -> ApiError {
    let message = format!("provider `{}` has no {what}; ask another model", provider.name);
    ApiError::new(ErrorKind::NotFound, message).code("unsupported_by_provider")
}
