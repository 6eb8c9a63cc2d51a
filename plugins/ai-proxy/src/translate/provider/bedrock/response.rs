//! Reads a whole answer.

use shared::json::{BadJson, Document, JsonStr, parse};
use shared::protocol::bedrock::{Block, Error, Event, Image, Response as ApiResponse};
use shared::usage::Report;

use super::stop_reason;
use crate::translate::ir::{Arguments, Body, Choice, Response, Source};
use crate::translate::lost::Lost;
use crate::translate::provider::has;

/// Reads the answer. Calls of tools that the provider runs itself, and their results, are left out.
pub fn read(answer: Document<'_>) -> Result<Response<'_>, BadJson> {
    let api: ApiResponse<'_> = answer.parse()?;
    let message = api.output.and_then(|output| output.message);
    let Some(content) = message.and_then(|message| message.content) else {
        let path = "output.message.content".into();
        return Err(BadJson { path, message: "is missing".into() });
    };
    let stop = api.stop_reason.as_ref().map(|reason| {
        let message = "the model's output was malformed".to_owned();
        stop_reason(reason).ok_or(BadJson { path: "stopReason".into(), message })
    });
    let mut report = Report::default();
    if let Some(usage) = &api.usage {
        report.bedrock(usage);
    }
    let mut dropped = Lost::CITATIONS.when(content.iter().any(|block| block.citations.is_some()));
    // Calls of tools that the provider runs itself, and their results.
    let foreign = |block: &Block<'_>| {
        !block.rest.is_empty() || block.tool_use.as_ref().is_some_and(|call| call.kind.is_some())
    };
    dropped.add(Lost::PARTS.when(content.iter().any(foreign)));
    Ok(Response {
        choices: vec![Choice {
            parts: content.into_iter().flat_map(read_block).map(Into::into).collect(),
            stop: stop.transpose()?,
            ..Choice::default()
        }],
        usage: report.usage(),
        dropped,
        ..Response::default()
    })
}

fn read_block(block: Block<'_>) -> Vec<Body<'_>> {
    if let Some(citations) = block.citations {
        let cited = citations.content.unwrap_or_default().into_iter();
        return cited.filter_map(|cited| Some(Body::Text(cited.text?))).collect();
    }
    let text = block.text.filter(|text| !text.is_empty()).map(Body::Text);
    text.or_else(|| {
        let reasoning = block.reasoning?;
        match (reasoning.whole, reasoning.redacted) {
            (Some(whole), _) => Some(Body::Thinking {
                text: whole.text?,
                signature: whole.signature.filter(|signature| !signature.is_empty()),
            }),
            (None, redacted) => Some(Body::RedactedThinking(redacted?)),
        }
    })
    .or_else(|| {
        let call = block.tool_use.filter(|call| call.kind.is_none())?;
        Some(Body::ToolCall {
            id: call.id?,
            name: call.name?,
            arguments: match call.input {
                Some(input) => Arguments::Json(input),
                None => Arguments::Text(JsonStr::encode("{}")),
            },
        })
    })
    .or_else(|| read_image(block.image?))
    .into_iter()
    .collect()
}

fn read_image(image: Image<'_>) -> Option<Body<'_>> {
    let media_type = match &*image.format?.decode() {
        "png" => "image/png",
        "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        _ => return None,
    };
    let JsonStr::Borrowed(bytes) = image.source?.bytes? else { return None };
    let data = bytes.get().strip_prefix('"')?.strip_suffix('"')?;
    Some(Body::Image(Source::Base64 { media_type, data: data.into() }))
}

/// Reads the token counts, of a whole answer or of an event.
pub fn observe(said: Document<'_>, report: &mut Report) {
    // Most events have none, and are not looked into.
    if has(said.text(), "\"usage\"")
        && let Ok(Event { usage: Some(usage), .. }) = said.parse()
    {
        report.bedrock(&usage);
    }
}

/// The name and the words of an error's body. The name most often stands in a header instead.
pub fn read_error(text: &str) -> Option<(String, String)> {
    let error: Error<'_> = parse(text).ok()?;
    let name = error.kind.or(error.code).map(|name| name.decode().into_owned());
    // `com.amazon.coral.service#ValidationException:http://...`
    let name = name.as_deref().map(|name| name.split(':').next().unwrap_or_default());
    let name = name.map(|name| name.rsplit('#').next().unwrap_or_default());
    let message = error.message.or(error.capital_message)?.decode().into_owned();
    Some((name.unwrap_or("bedrock_error").to_owned(), message))
}
