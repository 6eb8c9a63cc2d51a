//! Reads a whole answer.

use shared::json::{BadJson, Document, JsonStr, parse};
use shared::protocol::cohere::{
    Delta, Error, Event, Logprob as ApiLogprob, Message, Part, Response as ApiResponse, ToolCall,
};
use shared::usage::Report;

use super::stop_reason;
use crate::translate::ir::{Arguments, Body, Choice, Logprob, Response};
use crate::translate::lost::{self, Lost};
use crate::translate::provider::has;

/// Reads the answer. Citations are left out.
pub fn read(answer: Document<'_>) -> Result<Response<'_>, BadJson> {
    let api: ApiResponse<'_> = answer.parse()?;
    let Some(message) = api.message else {
        return Err(BadJson { path: "message".into(), message: "is missing".into() });
    };
    let stop = api.finish_reason.as_ref().map(|reason| {
        let message = "says that the answer failed".to_owned();
        stop_reason(reason).map_err(|_| BadJson { path: "finish_reason".into(), message })
    });
    let mut report = Report::default();
    if let Some(usage) = &api.usage {
        report.cohere(usage);
    }
    let dropped = Lost::CITATIONS.when(lost::cites(&message.rest));
    let logprobs = api.logprobs.unwrap_or_default().into_iter();
    Ok(Response {
        id: api.id,
        model: None,
        dropped,
        choices: vec![Choice {
            parts: read_message(message).map(Into::into).collect(),
            stop: stop.transpose()?,
            logprobs: logprobs.filter_map(read_logprob).collect(),
        }],
        usage: report.usage(),
    })
}

fn read_message(message: Message<'_>) -> impl Iterator<Item = Body<'_>> {
    let said = message.content.into_iter().flatten().filter_map(read_part);
    let plan = message.tool_plan.filter(|plan| !plan.is_empty()).map(Body::Text);
    said.chain(plan).chain(message.tool_calls.into_iter().flatten().filter_map(read_call))
}

fn read_part(part: Part<'_>) -> Option<Body<'_>> {
    let thought = part.thinking.filter(|text| !text.is_empty());
    let thought = thought.map(|text| Body::Thinking { text, signature: None });
    thought.or_else(|| Some(Body::Text(part.text.filter(|text| !text.is_empty())?)))
}

fn read_call(call: ToolCall<'_>) -> Option<Body<'_>> {
    let function = call.function?;
    let arguments = function.arguments.filter(|arguments| !arguments.is_empty());
    Some(Body::ToolCall {
        id: call.id?,
        name: function.name?,
        arguments: Arguments::Text(arguments.unwrap_or_else(|| JsonStr::encode("{}"))),
    })
}

/// A piece of text can be several tokens, and is as likely as all of them together.
pub(super) fn read_logprob(logprob: ApiLogprob<'_>) -> Option<Logprob<'_>> {
    let sum = logprob.logprobs?.iter().sum();
    Some(Logprob { token: logprob.text?, logprob: sum, top: Vec::new() })
}

/// Reads the token counts, of a whole answer or of an event.
pub fn observe(said: Document<'_>, report: &mut Report) {
    // Most events have none, and are not looked into.
    if !has(said.text(), "\"usage\"") {
        return;
    }
    if let Ok(ApiResponse { usage: Some(usage), .. }) = said.parse() {
        report.cohere(&usage);
    } else if let Ok(Event { delta: Some(Delta { usage: Some(usage), .. }), .. }) = said.parse() {
        report.cohere(&usage);
    }
}

/// The name and the words of an error's body. Errors have no names here, only a status.
pub fn read_error(text: &str) -> Option<(String, String)> {
    let error: Error<'_> = parse(text).ok()?;
    Some(("cohere_error".into(), error.message?.decode().into_owned()))
}
