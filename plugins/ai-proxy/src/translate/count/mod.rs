//! How many tokens a request has: from each client's form to each provider's and back. Where a provider
//! cannot be asked, the gateway answers itself, with an [`estimate`].
//!
//! What is counted is the chat request that the provider would get, less what its counter does not
//! know.

pub mod estimate;
mod form;

use shared::errors::ApiError;
use shared::json::{BadJson, parse};
use shared::pick::at;

use super::client::{Client as Chat, anthropic};
use super::ir::{Request, Unsupported};
use super::provider::{self, Options};
use crate::config::Protocol;
use crate::provider::{Cloud, Provider};
use shared::percent;

/// A form in which clients ask for the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `POST /v1/messages/count_tokens`.
    Anthropic,
    /// `:countTokens`.
    Gemini,
    /// `POST /v1/responses/input_tokens`.
    OpenAi,
}

/// A form in which providers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Anthropic's own.
    Anthropic,
    /// That of Anthropic's models on Vertex AI.
    VertexAnthropic,
    /// Bedrock's, of a Messages request.
    BedrockInvoke,
    /// Gemini's own.
    Gemini,
    /// That on Vertex AI.
    VertexGemini,
    /// Bedrock's, of a Converse request.
    BedrockConverse,
    /// OpenAI's, of a Responses request.
    OpenAi,
}

/// Why a request cannot be counted.
#[derive(Debug)]
pub enum Failed {
    /// The client's mistake.
    Mistake(ApiError),
    /// The provider has nothing for this.
    Unsupported(Unsupported),
}

/// A request as a counter takes it.
#[derive(Debug)]
pub struct Written {
    /// The body.
    pub body: String,
    /// Fields that were not counted, under the client's names.
    pub dropped: Vec<String>,
}

impl Client {
    /// All of them.
    pub const ALL: [Client; 3] = [Client::Anthropic, Client::Gemini, Client::OpenAi];

    /// The chat protocol whose requests it counts.
    pub fn chat(self) -> Chat {
        match self {
            Client::Anthropic => Chat::Anthropic,
            Client::Gemini => Chat::Gemini,
            Client::OpenAi => Chat::OpenAiResponses,
        }
    }

    /// Reads the request that is to be counted.
    pub fn read(self, text: &str) -> Result<Request<'_>, ApiError> {
        match self {
            Client::Anthropic => anthropic::read_to_count(text),
            Client::Gemini => self.chat().read(whole(text)),
            Client::OpenAi => self.chat().read(text),
        }
    }

    /// Writes the answer.
    pub fn write(self, tokens: u64) -> String {
        match self {
            Client::Anthropic => format!(r#"{{"input_tokens":{tokens}}}"#),
            Client::Gemini => format!(r#"{{"totalTokens":{tokens}}}"#),
            Client::OpenAi => {
                format!(r#"{{"object":"response.input_tokens","input_tokens":{tokens}}}"#)
            }
        }
    }
}

/// The whole request of a `countTokens`, whichever way it is given.
fn whole(text: &str) -> &str {
    let other = || at(text, &["generate_content_request"]);
    let request = at(text, &["generateContentRequest"]).or_else(other);
    request.map_or(text, |request| request.get())
}

impl Counter {
    /// All of them.
    pub const ALL: [Counter; 7] = [
        Counter::Anthropic,
        Counter::VertexAnthropic,
        Counter::BedrockInvoke,
        Counter::Gemini,
        Counter::VertexGemini,
        Counter::BedrockConverse,
        Counter::OpenAi,
    ];

    /// That of a provider's model; `None` if there is none.
    pub fn of(provider: &Provider, model: &str) -> Option<Counter> {
        match (provider.protocol, provider.cloud) {
            (Protocol::Anthropic, Cloud::Own) => Some(Counter::Anthropic),
            (Protocol::Anthropic, Cloud::Vertex) => Some(Counter::VertexAnthropic),
            (Protocol::Anthropic, Cloud::Bedrock) => Some(Counter::BedrockInvoke),
            (Protocol::Gemini, Cloud::Own) => Some(Counter::Gemini),
            (Protocol::Gemini, _) => Some(Counter::VertexGemini),
            // Of other models Bedrock does not count,
            // <https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html>.
            (Protocol::Bedrock, _) => {
                model.contains("anthropic.").then_some(Counter::BedrockConverse)
            }
            (Protocol::Openai | Protocol::OpenaiResponses, _) => {
                provider.paths.input_tokens.map(|_| Counter::OpenAi)
            }
            (Protocol::Cohere, _) => None,
        }
    }

    /// Whether a client needs no translation.
    pub fn is_that_of(self, client: Client) -> bool {
        matches!(
            (self, client),
            (Counter::Anthropic, Client::Anthropic)
                | (Counter::Gemini, Client::Gemini)
                | (Counter::OpenAi, Client::OpenAi)
        )
    }

    /// The protocol of the requests that it counts.
    fn protocol(self) -> Protocol {
        match self {
            Counter::Anthropic | Counter::VertexAnthropic | Counter::BedrockInvoke => {
                Protocol::Anthropic
            }
            Counter::Gemini | Counter::VertexGemini => Protocol::Gemini,
            Counter::BedrockConverse => Protocol::Bedrock,
            Counter::OpenAi => Protocol::OpenaiResponses,
        }
    }

    /// Below the provider's base URL.
    pub fn path(self, provider: &Provider, model: &str) -> String {
        match self {
            Counter::Anthropic => "/v1/messages/count_tokens".to_owned(),
            // <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens>
            Counter::VertexAnthropic => "/models/count-tokens:rawPredict".to_owned(),
            Counter::Gemini | Counter::VertexGemini => {
                format!("/models/{}:countTokens", percent::encode(model))
            }
            // <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html>
            Counter::BedrockInvoke | Counter::BedrockConverse => {
                format!("/model/{}/count-tokens", percent::encode(plain_model(model)))
            }
            Counter::OpenAi => provider.paths.input_tokens.unwrap_or_default().to_owned(),
        }
    }

    /// Writes the request. A client of the same protocol has its own counted, member for member.
    pub fn write(
        self,
        client: Client,
        text: &str,
        options: &Options<'_>,
    ) -> Result<Written, Failed> {
        let chat = client.chat();
        if self.protocol().is_that_of(chat) {
            let text = if client == Client::Gemini { whole(text) } else { text };
            let body = form::fit(self, text, options.model);
            return Ok(Written { body, dropped: Vec::new() });
        }
        let mut request = client.read(text).map_err(Failed::Mistake)?;
        // What Anthropic's requests have in other clouds is added below.
        let gemini = self.protocol() == Protocol::Gemini;
        let cloud = if gemini { options.cloud } else { Cloud::Own };
        let options = Options { cloud, ..*options };
        let body = provider::write(self.protocol(), &mut request, &options)
            .map_err(Failed::Unsupported)?;
        // What the provider has nothing for says something of the answer, which is not counted.
        Ok(Written { body: form::fit(self, &body, options.model), dropped: request.dropped })
    }
}

/// A model by its own id: that of a profile, which begins with a region (`us.anthropic...`), is not
/// counted for.
fn plain_model(model: &str) -> &str {
    let at = model.find("anthropic.").filter(|_| !model.starts_with("arn:"));
    at.and_then(|at| model.get(at..)).unwrap_or(model)
}

/// What each vendor calls the number: Anthropic and OpenAI, Bedrock, Google.
const NUMBER: [&str; 3] = ["input_tokens", "inputTokens", "totalTokens"];

/// The number, in a counter's answer.
pub fn read(text: &str) -> Result<u64, BadJson> {
    match NUMBER.iter().find_map(|name| at(text, &[name])) {
        Some(number) => parse(number.get()),
        None => Err(BadJson { path: String::new(), message: "names no number".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_counted_for_by_its_model() {
        let arn = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-v1:0";
        for (model, plain) in [
            ("us.anthropic.claude-haiku-4-5-v1:0", "anthropic.claude-haiku-4-5-v1:0"),
            ("anthropic.claude-haiku-4-5-v1:0", "anthropic.claude-haiku-4-5-v1:0"),
            (arn, arn),
        ] {
            assert_eq!(plain_model(model), plain);
        }
    }

    #[test]
    fn every_vendors_number_is_read() {
        for text in [
            r#"{"input_tokens":7}"#,
            r#"{"inputTokens":7}"#,
            r#"{"totalTokens":7,"promptTokensDetails":[{"modality":"TEXT","tokenCount":7}]}"#,
            r#"{"object":"response.input_tokens","input_tokens":7}"#,
        ] {
            assert_eq!(read(text), Ok(7), "{text}");
        }
        assert!(read("{}").is_err());
        assert!(read("").is_err());
    }
}
