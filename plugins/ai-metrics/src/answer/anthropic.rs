//! Anthropic Messages.

use serde_json::value::RawValue;
use shared::protocol::anthropic::Usage;

use super::{Finish, Watch};

shared::partial! {
    struct Event<'a> {
        kind = "type": &'a RawValue,
        message: Message<'a>,
        delta: Block<'a>,
        content_block: Block<'a>,
        usage: Usage<'a>,
    }
}

shared::partial! {
    struct Message<'a> {
        content: Vec<Block<'a>>,
        stop_reason: &'a RawValue,
        usage: Usage<'a>,
    }
}

shared::partial! {
    /// A block of a message, or a piece of one.
    struct Block<'a> {
        kind = "type": &'a RawValue,
        text: &'a RawValue,
        thinking: &'a RawValue,
        partial_json: &'a RawValue,
        input: &'a RawValue,
        stop_reason: &'a RawValue,
    }
}

pub(super) fn event(watch: &mut Watch, text: &str) {
    let Ok(event) = shared::json::parse::<Event<'_>>(text) else { return };
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
    if let Ok(message) = shared::json::parse::<Message<'_>>(text) {
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
