//! Reads a whole answer.

use shared::json::{BadJson, Document, JsonStr, parse};
use shared::protocol::gemini::{
    Blob, Candidate, Error, FileData, LogprobsResult, Part as ApiPart, Response as ApiResponse,
};
use shared::usage::Report;

use super::{OWN_ID, stop_reason};
use crate::translate::ir::{Arguments, Body, Choice, Logprob, Response, Source, StopReason};
use crate::translate::lost::{self, Lost};
use crate::translate::provider::has;
use crate::translate::signature::{self, Origin};

/// So much of an answer's name goes into the ids of its calls; OpenAI allows forty characters.
const MAX_ID: usize = 24;

/// Reads the answer. Parts of tools that Google runs itself are left out.
pub fn read(answer: Document<'_>) -> Result<Response<'_>, BadJson> {
    let api: ApiResponse<'_> = answer.parse()?;
    let mut report = Report::default();
    if let Some(usage) = &api.usage_metadata {
        report.gemini(usage);
    }
    let mut ids = Ids::new(api.response_id.as_ref(), answer.text());
    let mut choices = Vec::new();
    let mut dropped = Lost::default();
    for (index, candidate) in api.candidates.into_iter().flatten().enumerate() {
        dropped.add(Lost::CITATIONS.when(lost::cites(&candidate.rest)));
        choices.push(read_candidate(candidate, index, &mut ids, &mut dropped)?);
    }
    if choices.is_empty() {
        if api.prompt_feedback.is_none_or(|feedback| feedback.block_reason.is_none()) {
            return Err(BadJson { path: "candidates".into(), message: "is missing".into() });
        }
        choices.push(Choice { stop: Some(StopReason::Filter), ..Choice::default() });
    }
    let usage = report.usage();
    Ok(Response { id: api.response_id, model: api.model_version, choices, usage, dropped })
}

fn read_candidate<'a>(
    candidate: Candidate<'a>,
    index: usize,
    ids: &mut Ids,
    dropped: &mut Lost,
) -> Result<Choice<'a>, BadJson> {
    let path = format!("candidates[{index}]");
    let parts = candidate.content.and_then(|content| content.parts);
    let parts: Vec<ApiPart<'a>> = match parts.map(|parts| parts.items()).transpose() {
        Ok(parts) => parts.unwrap_or_default(),
        Err(error) => {
            let path = format!("{path}.content.parts{}", error.path);
            return Err(BadJson { path, ..error });
        }
    };
    let mut bodies: Vec<Body<'a>> = Vec::new();
    for part in parts {
        dropped.add(Lost::PARTS.when(is_foreign(&part)));
        let Read { thought, signature, body } = Read::of(part, ids);
        if let Some(text) = thought.filter(|text| !text.is_empty()) {
            bodies.push(Body::Thinking { text, signature: None });
        }
        if let Some(marked) = signature {
            match bodies.last_mut() {
                // The thought is shown right before what came of it.
                Some(Body::Thinking { signature: signature @ None, .. }) => {
                    *signature = Some(marked);
                }
                _ => {
                    let text = JsonStr::encode("");
                    bodies.push(Body::Thinking { text, signature: Some(marked) });
                }
            }
        }
        bodies.extend(body);
    }
    let called = bodies.iter().any(|body| matches!(body, Body::ToolCall { .. }));
    let stop = candidate.finish_reason.map(|reason| stop_reason(&reason, called)).transpose();
    let stop = match stop {
        Ok(stop) => stop,
        // Nothing that a client could use.
        Err(message) if bodies.is_empty() => {
            return Err(BadJson { path: format!("{path}.finishReason"), message });
        }
        Err(_) => Some(StopReason::End),
    };
    Ok(Choice {
        parts: bodies.into_iter().map(Into::into).collect(),
        stop,
        logprobs: candidate.logprobs_result.map(read_logprobs).unwrap_or_default(),
    })
}

/// Whether it is one of a tool that Google runs itself.
pub(super) fn is_foreign(part: &ApiPart<'_>) -> bool {
    part.rest.iter().any(|(key, _)| matches!(&**key, "executableCode" | "codeExecutionResult"))
}

/// A part: a thought, what came of it, and the signature that stands between the two.
#[derive(Debug, Default)]
pub(super) struct Read<'a> {
    pub(super) thought: Option<JsonStr<'a>>,
    pub(super) signature: Option<JsonStr<'static>>,
    pub(super) body: Option<Body<'a>>,
}

impl<'a> Read<'a> {
    /// Reads a part.
    pub(super) fn of(part: ApiPart<'a>, ids: &mut Ids) -> Read<'a> {
        let signature = part.thought_signature.as_ref().filter(|signature| !signature.is_empty());
        let signature = signature.and_then(|s| signature::mark(Origin::Gemini, s.escaped()));
        let mut read = Read { signature, ..Read::default() };
        if let Some(text) = part.text {
            if part.thought == Some(true) {
                read.thought = Some(text);
            } else if !text.is_empty() {
                read.body = Some(Body::Text(text));
            }
        } else if let Some(call) = part.function_call {
            let Some(name) = call.name else { return read };
            let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(|| ids.next());
            let arguments = match call.args {
                Some(args) => Arguments::Json(args),
                None => Arguments::Text(JsonStr::encode("{}")),
            };
            read.body = Some(Body::ToolCall { id, name, arguments });
        // Sketches made while thinking are not the answer.
        } else if part.thought != Some(true) {
            let inline = part.inline_data.and_then(read_blob);
            read.body = inline.or_else(|| part.file_data.and_then(read_file));
        }
        read
    }
}

fn read_blob(blob: Blob<'_>) -> Option<Body<'_>> {
    let media_type = borrowed(blob.mime_type?)?;
    let source = Source::Base64 { media_type, data: borrowed(blob.data?)?.into() };
    Some(match media_type.split('/').next() {
        Some("image") => Body::Image(source),
        Some("audio") => Body::Audio(source),
        Some("video") => Body::Video(source),
        _ => Body::Document { source, title: None },
    })
}

fn read_file(file: FileData<'_>) -> Option<Body<'_>> {
    let image = file.mime_type?.decode().starts_with("image/");
    let uri = file.file_uri.filter(|_| image)?;
    Some(Body::Image(Source::Url(uri)))
}

/// What stands between the quotes, in the document itself.
fn borrowed(string: JsonStr<'_>) -> Option<&str> {
    match string {
        JsonStr::Borrowed(raw) => raw.get().strip_prefix('"').and_then(|s| s.strip_suffix('"')),
        JsonStr::Owned(_) => None,
    }
}

/// Reads the probabilities.
pub(super) fn read_logprobs(result: LogprobsResult<'_>) -> Vec<Logprob<'_>> {
    let chosen = result.chosen_candidates.unwrap_or_default().into_iter();
    let tops = result.top_candidates.unwrap_or_default().into_iter();
    let tops = tops.map(|top| top.candidates.unwrap_or_default()).chain(std::iter::repeat(vec![]));
    chosen
        .zip(tops)
        .filter_map(|(chosen, top)| {
            let top = top.into_iter().filter_map(|top| Some((top.token?, top.log_probability?)));
            let (token, logprob) = (chosen.token?, chosen.log_probability?);
            Some(Logprob { token, logprob, top: top.collect() })
        })
        .collect()
}

/// Names calls that the model gives no name. The names go back with the results and stand in the
/// conversation from then on, so they must differ from those of other answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    prefix: String,
    next: u32,
}

impl Ids {
    /// For the answer of this name; `text` is a part of it that tells it from others if it has none.
    pub(super) fn new(answer: Option<&JsonStr<'_>>, text: &str) -> Ids {
        let legal = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let name = answer.map(JsonStr::decode).unwrap_or_default();
        let mut prefix: String = name.chars().filter(legal).take(MAX_ID).collect();
        if prefix.is_empty() {
            prefix = format!("{:016x}", hash(text));
        }
        Ids { prefix, next: 0 }
    }

    fn next(&mut self) -> JsonStr<'static> {
        let id = JsonStr::encode(&format!("{OWN_ID}{}_{}", self.prefix, self.next));
        self.next = self.next.saturating_add(1);
        id
    }
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Reads the token counts, of a whole answer or of an event.
pub fn observe(said: Document<'_>, report: &mut Report) {
    if has(said.text(), "\"usageMetadata\"")
        && let Ok(ApiResponse { usage_metadata: Some(usage), .. }) = said.parse()
    {
        report.gemini(&usage);
    }
}

/// The status and the words of an error's body, which is an object or, where a stream was asked for, an
/// array of one.
pub fn read_error(text: &str) -> Option<(String, String)> {
    let error = error_in(text)?;
    Some((status_of(&error), error.message?.decode().into_owned()))
}

/// The error, if it is one.
pub(super) fn error_in(text: &str) -> Option<Error<'_>> {
    if text.trim_start().starts_with('[') {
        let all: Vec<ApiResponse<'_>> = parse(text).ok()?;
        return all.into_iter().find_map(|one| one.error);
    }
    parse::<ApiResponse<'_>>(text).ok()?.error
}

/// The name of the error.
pub(super) fn status_of(error: &Error<'_>) -> String {
    let status = error.status.as_ref().map(|status| status.decode().into_owned());
    status.unwrap_or_else(|| "INTERNAL".into())
}
