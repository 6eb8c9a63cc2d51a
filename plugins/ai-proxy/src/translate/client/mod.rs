//! The clients' side: reads requests, writes answers.

pub mod anthropic;
pub(super) mod bad;
pub mod gemini;
pub(super) mod left;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_responses;

use std::fmt::Debug;

use shared::errors::ApiError;
use shared::json::Document;
use shared::protocol::{Endpoint, Vendor};

use super::ir::{Delta, Field, Request, Response};

/// A protocol that clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// OpenAI Chat Completions.
    OpenAiChat,
    /// OpenAI's older Completions.
    OpenAiCompletions,
    /// OpenAI Responses.
    OpenAiResponses,
    /// Anthropic Messages.
    Anthropic,
    /// Gemini generateContent.
    Gemini,
}

/// What an answer says besides what the provider says.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The model, where the provider names none.
    pub model: String,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// A random number, for ids where the provider gives none.
    pub id: u64,
    /// A stream ends with the token counts.
    pub include_usage: bool,
    /// [`Request::echo`].
    pub echo: String,
    /// Names of the tools that take any text ([`Tool::custom`](super::ir::Tool::custom)).
    pub custom_tools: Vec<String>,
}

/// Takes an event's name, if it has one, and its data.
pub type Send<'s> = &'s mut dyn FnMut(Option<&str>, &str);

/// A streamed answer in the making.
pub trait StreamWriter: Debug {
    /// Turns a step into events.
    fn write(&mut self, delta: &Delta<'_>, send: Send<'_>);
}

impl Client {
    /// All of them.
    pub const ALL: [Client; 5] = [
        Client::OpenAiChat,
        Client::OpenAiCompletions,
        Client::OpenAiResponses,
        Client::Anthropic,
        Client::Gemini,
    ];

    /// That of an endpoint, if it is one that is translated.
    pub fn of(endpoint: Endpoint) -> Option<Client> {
        match endpoint {
            Endpoint::OpenAiChat => Some(Client::OpenAiChat),
            Endpoint::OpenAiCompletions => Some(Client::OpenAiCompletions),
            Endpoint::OpenAiResponses => Some(Client::OpenAiResponses),
            Endpoint::AnthropicMessages => Some(Client::Anthropic),
            Endpoint::Gemini => Some(Client::Gemini),
            _ => None,
        }
    }

    /// In whose form errors are written.
    pub fn vendor(self) -> Vendor {
        match self {
            Client::OpenAiChat | Client::OpenAiCompletions | Client::OpenAiResponses => {
                Vendor::OpenAi
            }
            Client::Anthropic => Vendor::Anthropic,
            Client::Gemini => Vendor::Google,
        }
    }

    /// Reads a request; every mistake is named with its place in the client's document.
    pub fn read<'a>(self, body: impl Into<Document<'a>>) -> Result<Request<'a>, ApiError> {
        let body = body.into();
        match self {
            Client::OpenAiChat => openai_chat::read(body),
            Client::OpenAiCompletions => openai_completions::read(body),
            Client::OpenAiResponses => openai_responses::read(body),
            Client::Anthropic => anthropic::read(body),
            Client::Gemini => gemini::read(body),
        }
    }

    /// Its name of a field, as a path into the request.
    pub fn name_of(self, field: Field) -> &'static str {
        match self {
            Client::OpenAiChat => openai_chat::name_of(field),
            Client::OpenAiCompletions => openai_completions::name_of(field),
            Client::OpenAiResponses => openai_responses::name_of(field),
            Client::Anthropic => anthropic::name_of(field),
            Client::Gemini => gemini::name_of(field),
        }
    }

    /// Writes a whole answer.
    pub fn write(self, response: &Response<'_>, context: &Context) -> String {
        match self {
            Client::OpenAiChat => openai_chat::write(response, context),
            Client::OpenAiCompletions => openai_completions::write(response, context),
            Client::OpenAiResponses => openai_responses::write(response, context),
            Client::Anthropic => anthropic::write(response, context),
            Client::Gemini => gemini::write(response, context),
        }
    }

    /// Begins a streamed answer.
    pub fn stream(self, context: Context) -> Box<dyn StreamWriter> {
        match self {
            Client::OpenAiChat => Box::new(openai_chat::StreamWriter::new(context)),
            Client::OpenAiCompletions => Box::new(openai_completions::StreamWriter::new(context)),
            Client::OpenAiResponses => Box::new(openai_responses::StreamWriter::new(context)),
            Client::Anthropic => Box::new(anthropic::StreamWriter::new(context)),
            Client::Gemini => Box::new(gemini::StreamWriter::new(context)),
        }
    }
}
