//! The work that is measured. Built twice: into the program, which runs it natively, and as a Wasm
//! module, in which the program counts instructions.

use ai_proxy::config::Protocol;
use ai_proxy::presets::Quirks;
use ai_proxy::provider::Cloud;
use ai_proxy::translate::client::{Client, Context};
use ai_proxy::translate::provider::{self, Options};
use serde_json::Value;
use shared::sse;

/// A request to OpenAI Chat Completions and an answer of Anthropic's, as they come over the wire.
#[derive(Clone, Copy, Debug)]
pub struct Bodies {
    /// What they are.
    pub name: &'static str,
    /// Some 2 KB.
    pub request: &'static str,
    /// Some 1 KB.
    pub answer: &'static str,
}

/// Turns of text, and functions with a call of one.
pub const BODIES: [Bodies; 2] = [
    Bodies {
        name: "chat",
        request: include_str!("bodies/chat.request.json"),
        answer: include_str!("bodies/chat.answer.json"),
    },
    Bodies {
        name: "tools",
        request: include_str!("bodies/tools.request.json"),
        answer: include_str!("bodies/tools.answer.json"),
    },
];

/// One event of the stream: four characters, about a token.
pub const EVENT: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\
    \"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" and\"}}\n\n";

/// What comes before the events.
pub const BEGIN: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\
    \"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\
    \"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":8,\"output_tokens\":1}}}\n\n\
    event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
    \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";

/// The sides of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// OpenAI's request becomes Anthropic's.
    TranslateRequest,
    /// Anthropic's answer becomes OpenAI's.
    TranslateAnswer,
    /// The request becomes a [`Value`] and JSON again.
    ValueRequest,
    /// The same of the answer.
    ValueAnswer,
}

impl Side {
    /// All of them, in the order of their declaration.
    pub const ALL: [Side; 4] =
        [Side::TranslateRequest, Side::TranslateAnswer, Side::ValueRequest, Side::ValueAnswer];
}

/// Does the work once. Returns the length of what came out, or 0 if something is wrong.
pub fn once(bodies: &Bodies, side: Side) -> usize {
    let length = match side {
        Side::TranslateRequest => translate_request(bodies.request).map(|body| body.len()),
        Side::TranslateAnswer => translate_answer(bodies.answer).map(|body| body.len()),
        Side::ValueRequest => round_trip(bodies.request).map(|body| body.len()),
        Side::ValueAnswer => round_trip(bodies.answer).map(|body| body.len()),
    };
    length.unwrap_or(0)
}

fn translate_request(text: &str) -> Option<String> {
    let mut request = Client::OpenAiChat.read(text).ok()?;
    let options = Options {
        model: "claude-sonnet-4-5",
        default_max_tokens: 4096,
        quirks: Quirks::NONE,
        cloud: Cloud::Own,
    };
    provider::write(Protocol::Anthropic, &mut request, &options).ok()
}

fn translate_answer(text: &str) -> Option<String> {
    let response = provider::read(Protocol::Anthropic, text).ok()?;
    let context = Context { created: 1_760_000_000, id: 7, ..Context::default() };
    Some(Client::OpenAiChat.write(&response, &context))
}

fn round_trip(text: &str) -> Option<String> {
    serde_json::to_string(&serde_json::from_str::<Value>(text).ok()?).ok()
}

/// Translates a stream of so many events, each in a chunk of its own. Returns the length of what
/// came out, or 0 if something is wrong.
pub fn stream(events: usize) -> usize {
    let mut reader = provider::stream(Protocol::Anthropic);
    let mut writer = Client::OpenAiChat.stream(Context { id: 7, ..Context::default() });
    let mut framer = sse::Framer::new();
    let mut length = 0;
    for chunk in std::iter::once(BEGIN).chain(std::iter::repeat_n(EVENT, events)) {
        let mut out = Vec::new();
        let mut good = true;
        let framed = framer.push(chunk.as_bytes(), |event| {
            let Some(data) = event.data() else { return };
            let mut send = |name: Option<&str>, data: &str| sse::write_event(&mut out, name, data);
            let read = reader.read(event.name(), &data, &mut |d| writer.write(&d, &mut send));
            good &= read.is_ok();
        });
        if framed.is_err() || !good {
            return 0;
        }
        length += out.len();
    }
    length
}

/// [`once`] for the module: the bodies and the side by their number.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
pub extern "C" fn bench_once(bodies: usize, side: usize) -> usize {
    match (BODIES.get(bodies), Side::ALL.get(side)) {
        (Some(bodies), Some(side)) => once(bodies, *side),
        _ => 0,
    }
}

/// [`stream`] for the module.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
pub extern "C" fn bench_stream(events: usize) -> usize {
    stream(events)
}
