//! OpenAI Responses.

use serde_json::value::RawValue;
use shared::protocol::openai_responses::Usage;

use super::{Finish, Watch};

shared::partial! {
    struct Event<'a> {
        kind = "type": &'a RawValue,
        delta: &'a RawValue,
        item: Kind<'a>,
        response: &'a RawValue,
    }
}

shared::partial! {
    struct Kind<'a> {
        kind = "type": &'a RawValue,
    }
}

shared::partial! {
    struct Response<'a> {
        status: &'a RawValue,
        incomplete_details: Incomplete<'a>,
        output: Vec<Item<'a>>,
        usage: Usage<'a>,
    }
}

shared::partial! {
    struct Incomplete<'a> {
        reason: &'a RawValue,
    }
}

shared::partial! {
    struct Item<'a> {
        kind = "type": &'a RawValue,
        content: Vec<Part<'a>>,
        summary: Vec<Part<'a>>,
        arguments: &'a RawValue,
        input: &'a RawValue,
    }
}

shared::partial! {
    struct Part<'a> {
        text: &'a RawValue,
        refusal: &'a RawValue,
    }
}

pub(super) fn event(watch: &mut Watch, text: &str) {
    let Ok(event) = shared::json::parse::<Event<'_>>(text) else { return };
    let kind = event.kind.map_or("", RawValue::get).trim_matches('"');
    match (kind, event.delta) {
        ("error", _) => watch.failed = true,
        ("response.output_text.delta", Some(delta)) => watch.wrote(delta, true),
        ("response.refusal.delta", Some(delta)) => {
            watch.refusal = true;
            watch.wrote(delta, false);
        }
        (
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta",
            delta,
        ) => {
            watch.called(delta);
        }
        (_, Some(delta)) if kind.starts_with("response.reasoning") => watch.wrote(delta, false),
        ("response.completed" | "response.incomplete" | "response.failed", _) => {
            watch.ended = true;
            // Its output has been seen piece by piece.
            if let Some(response) = event.response {
                whole(watch, response.get(), false);
            }
        }
        _ => {}
    }
    if event.item.and_then(|item| item.kind).is_some_and(|kind| is_call(kind.get())) {
        watch.called(None);
    }
}

pub(super) fn body(watch: &mut Watch, text: &str) {
    whole(watch, text, true);
}

fn whole(watch: &mut Watch, text: &str, count: bool) {
    let Ok(response) = shared::json::parse::<Response<'_>>(text) else { return };
    if let Some(usage) = &response.usage {
        watch.report.openai_responses(usage);
    }
    for item in response.output.into_iter().flatten() {
        let call = item.kind.is_some_and(|kind| is_call(kind.get()));
        if call {
            watch.called(item.arguments.or(item.input).filter(|_| count));
        }
        let answers = item.content.into_iter().flatten().map(|part| (part, true));
        let thoughts = item.summary.into_iter().flatten().map(|part| (part, false));
        for (part, answer) in answers.chain(thoughts) {
            watch.refusal |= part.refusal.is_some();
            if let (Some(text), true) = (part.text.or(part.refusal), count) {
                watch.wrote(text, answer);
            }
        }
    }
    let reason = response.incomplete_details.and_then(|details| details.reason);
    match (response.status.map(RawValue::get), reason.map(RawValue::get)) {
        (Some("\"failed\""), _) => watch.failed = true,
        (_, Some("\"max_output_tokens\"")) => watch.finished(Finish::Length),
        (_, Some("\"content_filter\"")) => watch.finished(Finish::ContentFilter),
        (_, Some(_)) => watch.finished(Finish::Other),
        (Some("\"completed\""), None) => {
            let finish = if watch.tool_call { Finish::ToolCalls } else { Finish::Stop };
            watch.finished(finish);
        }
        _ => {}
    }
}

fn is_call(kind: &str) -> bool {
    matches!(kind, "\"function_call\"" | "\"custom_tool_call\"")
}
