//! Chat Completions and Completions: a chunk and a whole answer differ in one member's name.
//! Embeddings have the same counts.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use shared::protocol::openai_chat::Usage;

use super::{Finish, Watch};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<Usage<'a>>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<Message<'a>>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

pub(super) fn body(watch: &mut Watch, text: &str) {
    let Ok(body) = serde_json::from_str::<Body<'_>>(text) else { return };
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
