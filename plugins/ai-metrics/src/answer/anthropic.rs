//! Anthropic Messages.

use serde::Deserialize;
use serde_json::value::RawValue;
use shared::protocol::anthropic::Usage;

use super::{Finish, Watch};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    delta: Option<Block<'a>>,
    #[serde(borrow)]
    content_block: Option<Block<'a>>,
    #[serde(borrow)]
    usage: Option<Usage<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Vec<Block<'a>>>,
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<Usage<'a>>,
}

/// A block of a message, or a piece of one.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    partial_json: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
}

pub(super) fn event(watch: &mut Watch, text: &str) {
    let Ok(event) = serde_json::from_str::<Event<'_>>(text) else { return };
    match event.kind.map(RawValue::get) {
        Some("\"error\"") => watch.failed = true,
        Some("\"message_stop\"") => watch.ended = true,
        _ => {}
    }
    for block in [event.delta, event.content_block].into_iter().flatten() {
        read(watch, &block);
    }
    if let Some(message) = event.message {
        whole(watch, message);
    }
    if let Some(usage) = &event.usage {
        watch.report.anthropic(usage);
    }
}

pub(super) fn body(watch: &mut Watch, text: &str) {
    if let Ok(message) = serde_json::from_str::<Message<'_>>(text) {
        whole(watch, message);
    }
}

fn whole(watch: &mut Watch, message: Message<'_>) {
    for block in message.content.into_iter().flatten() {
        read(watch, &block);
    }
    if let Some(reason) = message.stop_reason {
        watch.finished(finish(reason));
    }
    if let Some(usage) = &message.usage {
        watch.report.anthropic(usage);
    }
}

fn read(watch: &mut Watch, block: &Block<'_>) {
    if let Some(text) = block.text {
        watch.wrote(text, true);
    }
    if let Some(thought) = block.thinking {
        watch.wrote(thought, false);
    }
    if block.kind.is_some_and(|kind| kind.get() == "\"tool_use\"") {
        // The block that starts a streamed call has an empty input.
        watch.called(block.input);
    }
    if let Some(piece) = block.partial_json {
        watch.called(Some(piece));
    }
    if let Some(reason) = block.stop_reason {
        watch.finished(finish(reason));
    }
}

fn finish(reason: &RawValue) -> Finish {
    match reason.get() {
        "\"end_turn\"" | "\"stop_sequence\"" => Finish::Stop,
        "\"max_tokens\"" | "\"model_context_window_exceeded\"" => Finish::Length,
        "\"tool_use\"" => Finish::ToolCalls,
        "\"refusal\"" => Finish::Refusal,
        _ => Finish::Other,
    }
}
