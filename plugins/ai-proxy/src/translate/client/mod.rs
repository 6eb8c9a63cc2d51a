//! The clients' side: reads requests, writes answers.

pub mod anthropic;
mod bad;
pub mod openai_chat;

use shared::errors::ApiError;
use shared::protocol::{Endpoint, Vendor};

use super::ir::{Delta, Request, Response};

/// A protocol that clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// OpenAI Chat Completions.
    OpenAiChat,
    /// Anthropic Messages.
    Anthropic,
}

impl Client {
    /// That of an endpoint, if it is one that is translated.
    pub fn of(endpoint: Endpoint) -> Option<Client> {
        match endpoint {
            Endpoint::OpenAiChat => Some(Client::OpenAiChat),
            Endpoint::AnthropicMessages => Some(Client::Anthropic),
            Endpoint::AnthropicCountTokens | Endpoint::Gemini | Endpoint::OpenAiOther => None,
        }
    }

    /// In whose form errors are written.
    pub fn vendor(self) -> Vendor {
        match self {
            Client::OpenAiChat => Vendor::OpenAi,
            Client::Anthropic => Vendor::Anthropic,
        }
    }

    /// Reads a request; every mistake is named with its place in the client's document.
    pub fn read(self, text: &str) -> Result<Request<'_>, ApiError> {
        match self {
            Client::OpenAiChat => openai_chat::read(text),
            Client::Anthropic => anthropic::read(text),
        }
    }

    /// Writes a whole answer; `model` where the provider names none, `created` in seconds since the
    /// Unix epoch.
    pub fn write(self, response: &Response<'_>, model: &str, created: u64) -> String {
        match self {
            Client::OpenAiChat => openai_chat::write(response, model, created),
            Client::Anthropic => anthropic::write(response, model),
        }
    }

    /// Begins a streamed answer.
    pub fn stream(self, model: &str, created: u64, include_usage: bool) -> StreamWriter {
        match self {
            Client::OpenAiChat => StreamWriter::OpenAiChat(openai_chat::StreamWriter::new(
                model,
                created,
                include_usage,
            )),
            Client::Anthropic => StreamWriter::Anthropic(anthropic::StreamWriter::new(model)),
        }
    }
}

/// Takes an event's name, if it has one, and its data.
pub type Send<'s> = &'s mut dyn FnMut(Option<&str>, &str);

/// A streamed answer in the making.
#[derive(Debug)]
pub enum StreamWriter {
    /// OpenAI Chat Completions.
    OpenAiChat(openai_chat::StreamWriter),
    /// Anthropic Messages.
    Anthropic(anthropic::StreamWriter),
}

impl StreamWriter {
    /// Turns a step into events.
    pub fn write(&mut self, delta: &Delta<'_>, send: Send<'_>) {
        match self {
            StreamWriter::OpenAiChat(writer) => writer.write(delta, &mut |data| send(None, data)),
            StreamWriter::Anthropic(writer) => writer.write(delta, send),
        }
    }
}
