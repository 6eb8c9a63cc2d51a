//! The providers' side: writes requests, reads answers.

pub mod anthropic;
pub mod openai_chat;

use shared::json::BadJson;
use shared::usage::Report;

use super::ir::{Delta, Request, Response};
use crate::config::Protocol;

/// What a provider's requests depend on besides the client's.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The provider's name of the model.
    pub model: &'a str,
    /// `max_tokens` where the protocol demands it and the client gives none.
    pub default_max_tokens: u64,
    /// OpenAI itself, whose newer models refuse what other servers take.
    pub openai: bool,
}

/// Writes a request. Names what has no place in it in `request.dropped`.
pub fn write(protocol: Protocol, request: &mut Request<'_>, options: &Options<'_>) -> String {
    match protocol {
        Protocol::Openai => openai_chat::write(request, options),
        Protocol::Anthropic => anthropic::write(request, options.model, options.default_max_tokens),
    }
}

/// Reads a whole answer.
pub fn read(protocol: Protocol, text: &str) -> Result<Response<'_>, BadJson> {
    match protocol {
        Protocol::Openai => openai_chat::read(text),
        Protocol::Anthropic => anthropic::read(text),
    }
}

/// The type and the words of an error's body.
pub fn read_error(protocol: Protocol, text: &str) -> Option<(String, String)> {
    match protocol {
        Protocol::Openai => openai_chat::read_error(text),
        Protocol::Anthropic => anthropic::read_error(text),
    }
}

/// A streamed answer on its way in.
#[derive(Debug)]
pub enum StreamReader {
    /// OpenAI Chat Completions.
    OpenAiChat(openai_chat::StreamReader),
    /// Anthropic Messages.
    Anthropic(anthropic::StreamReader),
}

impl StreamReader {
    /// Begins to read.
    pub fn new(protocol: Protocol) -> StreamReader {
        match protocol {
            Protocol::Openai => StreamReader::OpenAiChat(openai_chat::StreamReader::default()),
            Protocol::Anthropic => StreamReader::Anthropic(anthropic::StreamReader::default()),
        }
    }

    /// Reads the data of one event and hands over the steps it stands for.
    pub fn read<'a>(
        &mut self,
        data: &'a str,
        step: &mut dyn FnMut(Delta<'a>),
    ) -> Result<(), BadJson> {
        match self {
            StreamReader::OpenAiChat(reader) => reader.read(data, step),
            StreamReader::Anthropic(reader) => reader.read(data, step),
        }
    }

    /// The body is over. Hands over what the protocol lets a provider leave out; true if the answer
    /// was complete.
    pub fn finish(&mut self, step: &mut dyn FnMut(Delta<'static>)) -> bool {
        match self {
            StreamReader::OpenAiChat(reader) => reader.finish(step),
            StreamReader::Anthropic(reader) => reader.ended(),
        }
    }

    /// Whether the last event has come, or no more are taken.
    pub fn ended(&self) -> bool {
        match self {
            StreamReader::OpenAiChat(reader) => reader.ended(),
            StreamReader::Anthropic(reader) => reader.ended(),
        }
    }

    /// Takes no more: what follows an unreadable event makes no sense.
    pub fn stop(&mut self) {
        match self {
            StreamReader::OpenAiChat(reader) => reader.stop(),
            StreamReader::Anthropic(reader) => reader.stop(),
        }
    }

    /// The tokens reported so far.
    pub fn report(&self) -> &Report {
        match self {
            StreamReader::OpenAiChat(reader) => reader.report(),
            StreamReader::Anthropic(reader) => reader.report(),
        }
    }
}
