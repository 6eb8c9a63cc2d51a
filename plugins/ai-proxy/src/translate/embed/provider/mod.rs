//! The providers' side: writes requests, reads answers.

mod amazon;
mod cohere;
mod google;
mod openai;

use serde_json::value::RawValue;
use shared::json::{JsonStr, parse};
use shared::write::JsonWriter;

use super::{Client, Field, Refusal, Request, Response, What};
use crate::config::Protocol;
use crate::provider::{Cloud, Provider};
use shared::percent;

/// A form in which providers are asked for vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's embeddings.
    OpenAi,
    /// Gemini's `batchEmbedContents`.
    Gemini,
    /// Vertex AI's `predict`.
    VertexPredict,
    /// Vertex AI's `embedContent`, for models after `gemini-embedding-001`.
    VertexEmbed,
    /// Cohere v2 embed.
    Cohere,
    /// Cohere's models on Bedrock.
    BedrockCohere,
    /// Amazon's Titan, second generation.
    Titan,
    /// Its first.
    TitanG1,
    /// Amazon's Nova.
    Nova,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Dialect; 9] = [
        Dialect::OpenAi,
        Dialect::Gemini,
        Dialect::VertexPredict,
        Dialect::VertexEmbed,
        Dialect::Cohere,
        Dialect::BedrockCohere,
        Dialect::Titan,
        Dialect::TitanG1,
        Dialect::Nova,
    ];

    /// That of a provider's model; `None` if it has no vectors.
    pub fn of(provider: &Provider, model: &str) -> Option<Dialect> {
        match (provider.protocol, provider.cloud) {
            (Protocol::Openai | Protocol::OpenaiResponses, _) => {
                provider.paths.embeddings.map(|_| Dialect::OpenAi)
            }
            (Protocol::Gemini, Cloud::Own) => Some(Dialect::Gemini),
            (Protocol::Gemini, _) => Some(google::on_vertex(model)),
            (Protocol::Cohere, _) => Some(Dialect::Cohere),
            (Protocol::Bedrock, _) => amazon::dialect(model),
            (Protocol::Anthropic, _) => None,
        }
    }

    /// Whether a client needs no translation; `method` is what a client of Gemini's calls.
    pub fn is_that_of(self, client: Client, method: &str) -> bool {
        match self {
            Dialect::OpenAi => client == Client::OpenAi,
            Dialect::Gemini => client == Client::Gemini,
            Dialect::VertexEmbed => client == Client::Gemini && method == "embedContent",
            _ => false,
        }
    }

    /// Below the provider's base URL; `method` is what a client of Gemini's calls, if it passes.
    pub fn path(self, provider: &Provider, model: &str, method: Option<&str>) -> String {
        let model = percent::encode(model);
        match self {
            Dialect::OpenAi => provider.paths.embeddings.unwrap_or("/embeddings").to_owned(),
            Dialect::Gemini => {
                format!("/models/{model}:{}", method.unwrap_or("batchEmbedContents"))
            }
            Dialect::VertexPredict => format!("/models/{model}:predict"),
            Dialect::VertexEmbed => format!("/models/{model}:embedContent"),
            Dialect::Cohere => "/v2/embed".to_owned(),
            Dialect::BedrockCohere | Dialect::Titan | Dialect::TitanG1 | Dialect::Nova => {
                format!("/model/{model}/invoke")
            }
        }
    }

    /// Most texts of a request.
    fn most(self, model: &str) -> usize {
        match self {
            // <https://platform.openai.com/docs/api-reference/embeddings/create>
            Dialect::OpenAi => 2048,
            // <https://ai.google.dev/gemini-api/docs/embeddings>
            Dialect::Gemini => 100,
            // <https://cloud.google.com/vertex-ai/generative-ai/docs/embeddings/get-text-embeddings>
            Dialect::VertexPredict if model.contains("gemini-embedding") => 1,
            Dialect::VertexPredict => 250,
            // <https://docs.cohere.com/reference/embed>
            Dialect::Cohere | Dialect::BedrockCohere => 96,
            Dialect::VertexEmbed | Dialect::Titan | Dialect::TitanG1 | Dialect::Nova => 1,
        }
    }

    /// Writes a request to this model. Names what has no place in it in `request.unsupported`.
    pub fn write(self, request: &mut Request<'_>, model: &str) -> Result<String, Refusal> {
        let most = self.most(model);
        if request.inputs.len() > most {
            return Err(Refusal::AtMost(most));
        }
        match self {
            Dialect::OpenAi => Ok(openai::write(request, model)),
            Dialect::Gemini => google::write_batch(request, model),
            Dialect::VertexPredict => google::write_predict(request),
            Dialect::VertexEmbed => google::write_one(request, model),
            Dialect::Cohere => cohere::write(request, Some(model)),
            Dialect::BedrockCohere => cohere::write_for_bedrock(request, model),
            Dialect::Titan => amazon::write_titan(request),
            Dialect::TitanG1 => amazon::write_titan_g1(request),
            Dialect::Nova => amazon::write_nova(request),
        }
    }

    /// Reads an answer; what is none has no vectors.
    pub fn read(self, text: &str) -> Response<'_> {
        match self {
            Dialect::OpenAi => openai::read(text),
            Dialect::Gemini | Dialect::VertexPredict | Dialect::VertexEmbed => google::read(text),
            Dialect::Cohere | Dialect::BedrockCohere => cohere::read(text),
            Dialect::Titan | Dialect::TitanG1 | Dialect::Nova => amazon::read(text),
        }
    }

    /// The header that tells how many tokens the texts had, where the body need not.
    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html>
    pub fn tokens_header(self) -> Option<&'static str> {
        match self {
            Dialect::BedrockCohere | Dialect::Titan | Dialect::TitanG1 | Dialect::Nova => {
                Some("x-amzn-bedrock-input-token-count")
            }
            _ => None,
        }
    }
}

/// A number that is to be whole, which with some comes as a decimal.
fn whole(number: Option<&RawValue>) -> Option<u64> {
    let number: f64 = parse(number?.get()).ok()?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A cast saturates.
    let count = number as u64;
    Some(count)
}

/// The one text of a request, for models that take no more.
fn only<'r, 'a>(request: &'r Request<'a>) -> Result<&'r JsonStr<'a>, Refusal> {
    match request.inputs.as_slice() {
        [input] => text(&input.what),
        _ => Err(Refusal::AtMost(1)),
    }
}

/// Only OpenAI's clients can have tokens, and only OpenAI's models know which those are.
fn text<'r, 'a>(what: &'r What<'a>) -> Result<&'r JsonStr<'a>, Refusal> {
    match what {
        What::Text(text) => Ok(text),
        What::Tokens(_) => Err(Refusal::Unsupported("tokens in place of a text")),
    }
}

fn write_texts(w: &mut JsonWriter, request: &Request<'_>) -> Result<(), Refusal> {
    w.open('[');
    for input in &request.inputs {
        w.string(text(&input.what)?);
    }
    w.close(']');
    Ok(())
}

/// Names what was asked for of these and cannot be had.
fn lacks(request: &mut Request<'_>, fields: &[Field]) {
    for field in fields {
        let given = match field {
            Field::Purpose => request.purpose.is_some(),
            Field::Title => request.inputs.iter().any(|input| input.title.is_some()),
            Field::Truncate => request.truncate.is_some(),
            Field::User => request.user.is_some(),
        };
        if given && !request.unsupported.contains(field) {
            request.unsupported.push(*field);
        }
    }
}
