//! Reads a whole answer.

use shared::json::{BadJson, Document, JsonStr, parse};
use shared::protocol::content::Form;
use shared::protocol::openai_chat::{
    Choice as ApiChoice, Error, Logprobs, Message, Part as ApiPart, Response as ApiResponse,
    ToolCall, Usage,
};
use shared::usage::Report;

use super::stop_reason;
use crate::translate::ir::{Arguments, Body, Choice, Logprob, Part, Response, StopReason};
use crate::translate::lost::{self, Lost};

/// Reads the answer.
pub fn read(answer: Document<'_>) -> Result<Response<'_>, BadJson> {
    let api: ApiResponse<'_> = answer.parse()?;
    let mut report = Report::default();
    if let Some(usage) = &api.usage {
        report.openai_chat(usage);
    }
    let choices = api.choices.unwrap_or_default();
    let cited =
        |choice: &ApiChoice<'_>| choice.message.as_ref().is_some_and(|m| lost::cites(&m.rest));
    // Some search engines name their sources beside the answer.
    let cited = lost::cites(&api.rest) || choices.iter().any(cited);
    let choices = choices.into_iter();
    let choices = choices.map(read_choice).collect::<Result<Vec<_>, _>>()?;
    if choices.is_empty() {
        return Err(BadJson { path: "choices".into(), message: "is missing".into() });
    }
    Ok(Response {
        id: api.id,
        model: api.model,
        choices,
        usage: report.usage(),
        dropped: Lost::CITATIONS.when(cited),
    })
}

fn read_choice(choice: ApiChoice<'_>) -> Result<Choice<'_>, BadJson> {
    let Some(message) = choice.message else {
        return Err(BadJson { path: "choices[0].message".into(), message: "is missing".into() });
    };
    let refused = message.refusal.as_ref().is_some_and(|refusal| !refusal.is_empty());
    let parts = read_message(message)?;
    let called = parts.iter().any(|part| matches!(part.body, Body::ToolCall { .. }));
    let stop = choice.finish_reason.as_ref().map(|reason| stop_reason(reason, called));
    Ok(Choice {
        parts,
        stop: if refused { Some(StopReason::Filter) } else { stop },
        logprobs: choice.logprobs.map(read_logprobs).unwrap_or_default(),
    })
}

/// Those of the text; a refusal's are of no use to anybody.
pub(in crate::translate::provider) fn read_logprobs(logprobs: Logprobs<'_>) -> Vec<Logprob<'_>> {
    let tokens = logprobs.content.unwrap_or_default().into_iter();
    tokens
        .filter_map(|token| {
            let top = token.top_logprobs.unwrap_or_default();
            let top = top.into_iter().filter_map(|token| Some((token.token?, token.logprob?)));
            Some(Logprob { top: top.collect(), token: token.token?, logprob: token.logprob? })
        })
        .collect()
}

fn read_message(message: Message<'_>) -> Result<Vec<Part<'_>>, BadJson> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    if let Some(text) = message.thought() {
        parts.push(Body::Thinking { text, signature: None }.into());
    }
    match message.content.map(|content| content.form::<ApiPart<'_>>()).transpose()? {
        Some(Form::Text(text)) if !text.is_empty() => parts.push(Body::Text(text).into()),
        // Some servers answer in parts.
        Some(Form::Parts(list)) => {
            parts.extend(list.into_iter().filter_map(read_part));
        }
        Some(Form::Text(_)) | None => {}
    }
    if let Some(refusal) = message.refusal.filter(|refusal| !refusal.is_empty()) {
        parts.push(Body::Refusal(refusal).into());
    }
    let calls = message.tool_calls.into_iter().flatten().enumerate();
    parts.extend(calls.filter_map(|(index, call)| read_call(index, call)));
    Ok(parts)
}

fn read_part(part: ApiPart<'_>) -> Option<Part<'_>> {
    let thought = part.thought().map(|text| Body::Thinking { text, signature: None });
    thought.or_else(|| Some(Body::Text(part.text?))).map(Part::from)
}

/// Results name their calls, so one that has no id gets one that no other has.
fn read_call(index: usize, call: ToolCall<'_>) -> Option<Part<'_>> {
    let function = call.function?;
    let id = call.id.filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| JsonStr::encode(&format!("call_{index}")));
    // Clients parse the arguments, and nothing is no JSON.
    let arguments = function.arguments.filter(|arguments| !arguments.is_empty());
    let arguments = arguments.unwrap_or_else(|| JsonStr::encode("{}"));
    Some(Body::ToolCall { id, name: function.name?, arguments: Arguments::Text(arguments) }.into())
}

shared::partial! {
    /// What of an answer or an event is counted.
    struct Counted<'a> {
        /// The token counts.
        usage: Usage<'a>,
    }
}

/// Reads the token counts, of a whole answer or of an event.
pub fn observe(said: Document<'_>, report: &mut Report) {
    if let Ok(Counted { usage: Some(usage) }) = said.parse() {
        report.openai_chat(&usage);
    }
}

/// The type and the words of an error's body.
pub fn read_error(text: &str) -> Option<(String, String)> {
    let api: ApiResponse<'_> = parse(text).ok()?;
    match api.error {
        Some(error) => read_error_value(error.get()),
        // vLLM's older servers put nothing around it.
        None => read_error_value(text),
    }
}

/// The same of the value of `error`.
pub(super) fn read_error_value(text: &str) -> Option<(String, String)> {
    // Some servers send the words alone.
    if let Ok(message) = parse::<JsonStr<'_>>(text) {
        return Some(("server_error".into(), message.decode().into_owned()));
    }
    let error: Error<'_> = parse(text).ok()?;
    let kind = error.kind.map(|kind| kind.decode().into_owned());
    // Azure has a code alone.
    let kind = kind.or_else(|| {
        let code = error.code?.get();
        let text = parse::<JsonStr<'_>>(code).map(|code| code.decode().into_owned());
        Some(text.unwrap_or_else(|_| code.to_owned())).filter(|code| code != "null")
    });
    let kind = kind.unwrap_or_else(|| "server_error".into());
    Some((kind, error.message?.decode().into_owned()))
}
