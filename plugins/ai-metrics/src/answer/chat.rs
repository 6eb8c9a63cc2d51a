//! Chat Completions and Completions: a chunk and a whole answer differ in one member's name.
//! Embeddings have the same counts.

use serde_json::value::RawValue;
use shared::protocol::openai_chat::Usage;

use super::{Finish, Watch};

shared::partial! {
    struct Body<'a> {
        choices: Vec<Choice<'a>>,
        usage: Usage<'a>,
        error: &'a RawValue,
    }
}

shared::partial! {
    struct Choice<'a> {
        delta: Message<'a>,
        message: Message<'a>,
        text: &'a RawValue,
        finish_reason: &'a RawValue,
    }
}

shared::partial! {
    struct Message<'a> {
        content: &'a RawValue,
        reasoning_content: &'a RawValue,
        reasoning: &'a RawValue,
        refusal: &'a RawValue,
        tool_calls: Vec<Call<'a>>,
    }
}

shared::partial! {
    struct Call<'a> {
        function: Function<'a>,
    }
}

shared::partial! {
    struct Function<'a> {
        arguments: &'a RawValue,
    }
}

pub(super) fn body(watch: &mut Watch, text: &str) {
    let Ok(body) = shared::json::parse::<Body<'_>>(text) else { return };
    watch.failed |= body.error.is_some();
    if let Some(usage) = &body.usage {
        watch.report.openai_chat(usage);
    }
    for choice in body.choices.into_iter().flatten() {
        if let Some(text) = choice.text {
            watch.wrote(text, true);
        }
        for message in [choice.delta, choice.message].into_iter().flatten() {
            if let Some(content) = message.content {
                watch.wrote(content, true);
            }
            let thought = message.reasoning_content.or(message.reasoning);
            if let Some(thought) = thought {
                watch.wrote(thought, false);
            }
            if let Some(refusal) = message.refusal {
                watch.refusal = true;
                watch.wrote(refusal, false);
            }
            for call in message.tool_calls.into_iter().flatten() {
                watch.called(call.function.and_then(|function| function.arguments));
            }
        }
        if let Some(reason) = choice.finish_reason {
            watch.finished(match reason.get() {
                "\"stop\"" => Finish::Stop,
                "\"length\"" => Finish::Length,
                "\"tool_calls\"" | "\"function_call\"" => Finish::ToolCalls,
                "\"content_filter\"" => Finish::ContentFilter,
                _ => Finish::Other,
            });
            watch.ended = true;
        }
    }
}
