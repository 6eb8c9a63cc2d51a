//! Reads a whole answer.

use serde_json::value::RawValue;
use shared::json::{BadJson, Document, JsonStr, parse};
use shared::protocol::openai_chat::{Logprob as ApiLogprob, Logprobs};
use shared::protocol::openai_responses::{Error, Event, Item, Part as ApiPart, Response as Api};
use shared::usage::Report;

use super::stop_reason;
use crate::translate::ir::{Arguments, Body, Choice, Logprob, Part, Response, StopReason};
use crate::translate::lost::{self, Lost};
use crate::translate::provider::has;
use crate::translate::provider::openai_chat;
use crate::translate::signature::{self, Origin};

/// Reads the answer. Items of tools that the provider runs itself are left out.
pub fn read(answer: Document<'_>) -> Result<Response<'_>, BadJson> {
    let mut api: Api<'_> = answer.parse()?;
    if !matches!(
        api.status.as_ref().map(JsonStr::decode).as_deref(),
        None | Some("completed" | "incomplete")
    ) {
        return Err(BadJson { path: "status".into(), message: "is that of no answer".into() });
    }
    let Some(output) = api.output.take() else {
        return Err(BadJson { path: "output".into(), message: "is missing".into() });
    };
    let mut choice = Choice::default();
    let mut dropped = Lost::default();
    for item in output {
        read_item(item, &mut choice, &mut dropped);
    }
    let called = choice.parts.iter().any(|part| matches!(part.body, Body::ToolCall { .. }));
    let refused = choice.parts.iter().any(|part| matches!(part.body, Body::Refusal(_)));
    choice.stop = Some(stop(&api, called, refused));
    let mut report = Report::default();
    if let Some(usage) = &api.usage {
        report.openai_responses(usage);
    }
    Ok(Response {
        id: api.id,
        model: api.model,
        choices: vec![choice],
        usage: report.usage(),
        dropped,
    })
}

/// Why an answer ended, that called functions or holds a refusal.
pub(super) fn stop(api: &Api<'_>, called: bool, refused: bool) -> StopReason {
    let incomplete = api.status.as_ref().is_some_and(|status| *status == *"incomplete");
    match &api.incomplete_details {
        details if incomplete || details.is_some() => {
            stop_reason(details.as_ref().and_then(|details| details.reason.as_ref()))
        }
        _ if called => StopReason::ToolCalls,
        _ if refused => StopReason::Filter,
        _ => StopReason::End,
    }
}

fn read_item<'a>(item: Item<'a>, choice: &mut Choice<'a>, dropped: &mut Lost) {
    let Some(kind) = &item.kind else { return };
    match &*kind.decode() {
        "message" => read_message(&item, choice, dropped),
        "reasoning" => choice.parts.extend(read_thought(&item).map(Part::from)),
        "function_call" | "custom_tool_call" => choice.parts.extend(read_call(item)),
        _ => dropped.add(Lost::PARTS),
    }
}

fn read_message<'a>(item: &Item<'a>, choice: &mut Choice<'a>, dropped: &mut Lost) {
    for mut part in parts(item.content) {
        let logprobs = part.logprobs.take().map(read_logprobs).unwrap_or_default();
        choice.logprobs.extend(logprobs);
        dropped.add(Lost::CITATIONS.when(lost::cites(&part.rest)));
        if let Some(body) = said(part) {
            choice.parts.push(body.into());
        }
    }
}

/// The parts of an item; none where they cannot be read.
pub(super) fn parts(list: Option<&RawValue>) -> Vec<ApiPart<'_>> {
    list.and_then(|list| parse(list.get()).ok()).unwrap_or_default()
}

/// What a part of a message says.
pub(super) fn said(part: ApiPart<'_>) -> Option<Body<'_>> {
    let text = part.text.filter(|text| !text.is_empty()).map(Body::Text);
    text.or(part.refusal.filter(|text| !text.is_empty()).map(Body::Refusal))
}

/// Those of a text.
pub(super) fn read_logprobs(logprobs: Vec<ApiLogprob<'_>>) -> Vec<Logprob<'_>> {
    openai_chat::read_logprobs(Logprobs { content: Some(logprobs), ..Logprobs::default() })
}

/// A thought, if it says anything or can be sent back.
pub(super) fn read_thought<'a>(item: &Item<'a>) -> Option<Body<'a>> {
    let text = thought(item);
    let signature = seal(item);
    if text.is_empty() && signature.is_none() {
        return None;
    }
    Some(Body::Thinking { text, signature })
}

/// What was thought, in short; the thought itself from servers that show it.
pub(super) fn thought<'a>(item: &Item<'a>) -> JsonStr<'a> {
    let of = |list: Option<&'a RawValue>| -> Vec<JsonStr<'a>> {
        parts(list).into_iter().filter_map(|part| part.text).collect()
    };
    let mut texts = of(item.summary);
    if texts.is_empty() {
        texts = of(item.content);
    }
    match <[JsonStr<'a>; 1]>::try_from(texts) {
        Ok([one]) => one,
        Err(several) => {
            let several: Vec<_> = several.iter().map(JsonStr::escaped).collect();
            JsonStr::from_escaped(&several.join(PARAGRAPH)).unwrap_or_else(|| JsonStr::encode(""))
        }
    }
}

/// What stands between the parts of a summary, escaped.
pub(super) const PARAGRAPH: &str = "\\n\\n";

/// The item's name and its encrypted content, marked as OpenAI's.
pub(super) fn seal(item: &Item<'_>) -> Option<JsonStr<'static>> {
    let content = item.encrypted_content.as_ref().filter(|content| !content.is_empty())?;
    let id = item.id.as_ref().map_or("", JsonStr::escaped);
    signature::mark(Origin::OpenAi, &[id, "#", content.escaped()].concat())
}

fn read_call(item: Item<'_>) -> Option<Part<'_>> {
    let arguments = match string(item.input) {
        Some(input) => JsonStr::encode(&format!(r#"{{"input":{}}}"#, input.quoted())),
        None => string(item.arguments)
            .filter(|arguments| !arguments.is_empty())
            .unwrap_or_else(|| JsonStr::encode("{}")),
    };
    let id = item.call_id.or(item.id)?;
    Some(Body::ToolCall { id, name: item.name?, arguments: Arguments::Text(arguments) }.into())
}

/// A field that is a string.
pub(super) fn string(raw: Option<&RawValue>) -> Option<JsonStr<'_>> {
    raw.filter(|raw| raw.get().starts_with('"')).map(JsonStr::Borrowed)
}

/// Reads the token counts, of a whole answer or of an event.
pub fn observe(said: Document<'_>, report: &mut Report) {
    // Most events have none, and are not looked into.
    if !has(said.text(), "\"usage\"") {
        return;
    }
    let Ok(event) = said.parse::<Event<'_>>() else { return };
    let response = event.response.and_then(|response| response.usage);
    [response, event.usage].iter().flatten().for_each(|usage| report.openai_responses(usage));
}

/// The code (or else the type) and the words of an error's body.
pub fn read_error(text: &str) -> Option<(String, String)> {
    let event = parse::<Event<'_>>(text).ok();
    let told = event.and_then(|event| read_error_value(event.error?.get()));
    told.or_else(|| openai_chat::read_error(text))
}

/// The same of the value of `error`.
pub(super) fn read_error_value(text: &str) -> Option<(String, String)> {
    let error: Error<'_> = parse(text).ok()?;
    let code = error.code.or(error.kind);
    let code = code.map_or_else(|| "server_error".into(), |code| code.decode().into_owned());
    Some((code, error.message?.decode().into_owned()))
}
