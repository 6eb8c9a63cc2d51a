//! What is noticed of an answer while it passes: when, how much, and how it ended.

mod anthropic;
mod chat;
mod gemini;
mod responses;

use shared::follow::{Follow, Said};
use shared::json::{Document, JsonStr, Reader};
use shared::protocol::{Endpoint, Vendor};
use shared::usage::{Report, Usage};

use crate::scan::{self, Next, Piece};
use crate::tokens;

/// Most bytes of an answer that are kept to see whether it is JSON, where JSON was asked for.
const MAX_JSON: usize = 256 << 10;

/// Why an answer ended, in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model was done, or met a stop sequence.
    Stop,
    /// It was cut at the limit of tokens.
    Length,
    /// It calls tools.
    ToolCalls,
    /// It was stopped for safety.
    ContentFilter,
    /// It refused.
    Refusal,
    /// Anything else.
    Other,
}

impl Finish {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::ToolCalls => "tool_calls",
            Finish::ContentFilter => "content_filter",
            Finish::Refusal => "refusal",
            Finish::Other => "other",
        }
    }
}

/// What is known of an answer so far.
#[derive(Debug, Default)]
pub struct Watch {
    /// Nanoseconds at the first event of a stream.
    pub first_event: Option<u64>,
    /// At the latest one.
    pub last_event: u64,
    /// How many there were.
    pub events: u64,
    /// At the first piece of text, thought or call.
    pub first_token: Option<u64>,
    /// At the latest piece.
    pub last_token: u64,
    /// Why it ended.
    pub finish: Option<Finish>,
    /// It has a call of a tool.
    pub tool_call: bool,
    /// It refuses.
    pub refusal: bool,
    /// The provider or the gateway has told of an error in the midst of it.
    pub failed: bool,
    /// Its end was seen, as the protocol has one.
    pub ended: bool,
    report: Report,
    ascii: u64,
    other: u64,
    /// The text so far, while it is to be JSON.
    json: Option<String>,
    /// Events of nothing but a piece of text: whether it is the answer's.
    follow: Follow<bool>,
    said: Said<bool>,
}

impl Watch {
    /// `schema`: the answer is to be JSON.
    pub fn new(schema: bool) -> Watch {
        Watch { json: schema.then(String::new), ..Watch::default() }
    }

    /// One event of a stream has come. Events that cannot be read say nothing.
    pub fn event(&mut self, endpoint: Option<Endpoint>, data: &str, now: u64) {
        self.first_event.get_or_insert(now);
        self.last_event = now;
        self.events = self.events.saturating_add(1);
        let before = (self.ascii, self.other);
        match self.follow.next(data) {
            Some((answer, text)) => self.wrote(Piece::of(text), answer),
            None => self.read(endpoint, data),
        }
        if (self.ascii, self.other) != before {
            self.first_token.get_or_insert(now);
            self.last_token = now;
        }
    }

    /// An event that is not like the one before.
    fn read(&mut self, endpoint: Option<Endpoint>, data: &str) {
        self.said = Said::Nothing;
        match endpoint {
            Some(Endpoint::AnthropicMessages) => anthropic::event(self, data.into()),
            Some(Endpoint::OpenAiResponses) => responses::event(self, data.into()),
            Some(Endpoint::Gemini) => gemini::body(self, data.into()),
            _ if data == "[DONE]" => self.ended = true,
            _ => chat::body(self, data.into()),
        }
        // What else an event says, its counts or its end, is noted once: the next says the same.
        self.follow.learn_said(data, self.said);
    }

    /// The whole answer.
    pub fn body(&mut self, endpoint: Option<Endpoint>, body: Document<'_>) {
        match endpoint {
            Some(Endpoint::AnthropicMessages) => anthropic::body(self, body),
            Some(Endpoint::OpenAiResponses) => responses::body(self, body),
            Some(Endpoint::Gemini) => gemini::body(self, body),
            _ => chat::body(self, body),
        }
        self.ended = true;
    }

    /// The counts that the client was told.
    pub fn usage(&self) -> Option<Usage> {
        self.report.usage()
    }

    /// Tokens of what was seen, estimated.
    pub fn estimate(&self) -> u64 {
        tokens::of(self.ascii, self.other)
    }

    /// Characters of what was seen.
    pub fn length(&self) -> u64 {
        self.ascii.saturating_add(self.other)
    }

    /// Whether the answer is the JSON that was asked for; `None` if none was, or it does not say.
    pub fn is_json(&self) -> Option<bool> {
        let text = self.json.as_ref().filter(|_| self.ended && !self.tool_call && !self.refusal)?;
        let text = text.trim();
        // Cut at the limit of tokens it cannot be, and one longer than is kept is not known.
        if text.len() >= MAX_JSON || self.finish == Some(Finish::ContentFilter) {
            return None;
        }
        Some(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
    }

    /// A piece of what the model wrote, if one comes next.
    fn write(&mut self, reader: &mut Reader<'_>, answer: bool) -> Next {
        if let Some(piece) = scan::piece(reader)? {
            self.wrote(piece, answer);
        }
        Ok(())
    }

    /// A piece of what the model wrote.
    fn wrote(&mut self, piece: Piece<'_>, answer: bool) {
        self.said.add(piece.escaped, answer);
        self.ascii = self.ascii.saturating_add(piece.ascii);
        self.other = self.other.saturating_add(piece.other);
        if let (Some(json), true) = (&mut self.json, answer)
            && json.len() < MAX_JSON
            && let Some(text) = JsonStr::from_escaped(piece.escaped)
        {
            let text = text.decode();
            let room = MAX_JSON.saturating_sub(json.len()).min(text.len());
            json.push_str(text.get(..room).unwrap_or(&text));
        }
    }

    /// Arguments of a call, as an object or text.
    fn called(&mut self, arguments: Option<&str>) {
        self.tool_call = true;
        self.said = Said::More;
        if let Some(arguments) = arguments {
            let length = u64::try_from(arguments.len()).unwrap_or(u64::MAX);
            self.ascii = self.ascii.saturating_add(length.saturating_sub(2));
        }
    }

    fn stopped(&mut self, finish: Option<Finish>) {
        if let Some(finish) = finish {
            self.finished(finish);
        }
    }

    fn finished(&mut self, finish: Finish) {
        self.finish = Some(finish);
        self.refusal |= matches!(finish, Finish::Refusal | Finish::ContentFilter);
        self.tool_call |= finish == Finish::ToolCalls;
    }
}

/// The name of a client's API, as a label.
pub fn protocol(endpoint: Option<Endpoint>) -> &'static str {
    match endpoint {
        Some(Endpoint::OpenAiResponses) => "openai_responses",
        Some(endpoint) => match endpoint.vendor() {
            Vendor::OpenAi => "openai",
            Vendor::Anthropic => "anthropic",
            Vendor::Google => "gemini",
        },
        None => "none",
    }
}

/// What a request asks for, in the words of OpenTelemetry's `gen_ai.operation.name` where it has one.
pub fn operation(endpoint: Option<Endpoint>) -> &'static str {
    use shared::protocol::Service;
    match endpoint {
        Some(Endpoint::OpenAiChat | Endpoint::OpenAiResponses | Endpoint::AnthropicMessages) => {
            "chat"
        }
        Some(Endpoint::OpenAiCompletions) => "text_completion",
        Some(Endpoint::Gemini) => "generate_content",
        Some(Endpoint::OpenAiEmbeddings | Endpoint::GeminiEmbed) => "embeddings",
        Some(
            Endpoint::AnthropicCountTokens
            | Endpoint::GeminiCountTokens
            | Endpoint::OpenAiInputTokens,
        ) => "count_tokens",
        Some(Endpoint::Models | Endpoint::GeminiModels) => "models",
        Some(Endpoint::AnthropicBatches) => "batches",
        Some(Endpoint::GeminiCaches) => "cached_contents",
        Some(Endpoint::Generic) => "generic",
        Some(Endpoint::Service(service)) => match service {
            Service::Images => "images",
            Service::Speech => "speech",
            Service::Transcriptions => "transcriptions",
            Service::Moderations => "moderations",
            Service::Rerank => "rerank",
            Service::Files => "files",
            Service::Batches => "batches",
            Service::StoredResponses => "responses",
        },
        Some(Endpoint::OpenAiOther) | None => "other",
    }
}

#[cfg(test)]
mod tests;
