//! Reads a whole answer.

use shared::json::{BadJson, Document, JsonStr, parse};
use shared::protocol::anthropic::{Block, Event, Response as ApiResponse, Usage};
use shared::usage::Report;

use super::stop_reason;
use crate::translate::ir::{Arguments, Body, Choice, Response};
use crate::translate::lost::{self, Lost};

/// Reads the answer. Blocks of tools that the provider runs itself are left out.
pub fn read(answer: Document<'_>) -> Result<Response<'_>, BadJson> {
    let api: ApiResponse<'_> = answer.parse()?;
    let Some(content) = api.content else {
        return Err(BadJson { path: "content".into(), message: "is missing".into() });
    };
    let mut report = Report::default();
    if let Some(usage) = &api.usage {
        report.anthropic(usage);
    }
    let cited = content.iter().any(|block| lost::cites(&block.rest));
    let mut dropped = Lost::CITATIONS.when(cited);
    let blocks = content.len();
    let parts: Vec<_> = content.into_iter().filter_map(read_block).map(Into::into).collect();
    dropped.add(Lost::PARTS.when(parts.len() < blocks));
    Ok(Response {
        id: api.id,
        model: api.model,
        dropped,
        choices: vec![Choice {
            parts,
            stop: api.stop_reason.as_ref().map(stop_reason),
            ..Choice::default()
        }],
        usage: report.usage(),
    })
}

fn read_block(block: Block<'_>) -> Option<Body<'_>> {
    match &*block.kind.as_ref()?.decode() {
        "text" => Some(Body::Text(block.text?)),
        "thinking" => Some(Body::Thinking { text: block.thinking?, signature: block.signature }),
        "redacted_thinking" => Some(Body::RedactedThinking(block.data?)),
        "tool_use" => Some(Body::ToolCall {
            id: block.id?,
            name: block.name?,
            arguments: match block.input {
                Some(input) => Arguments::Json(input),
                None => Arguments::Text(JsonStr::encode("{}")),
            },
        }),
        _ => None,
    }
}

shared::partial! {
    /// What of an answer or an event is counted.
    struct Counted<'a> {
        /// Of `message_start`: the answer that begins.
        message: Began<'a>,
        /// Of an answer and of `message_delta`.
        usage: Usage<'a>,
    }
}

shared::partial! {
    /// An answer that begins.
    struct Began<'a> {
        /// The counts so far.
        usage: Usage<'a>,
    }
}

/// Reads the token counts, of a whole answer or of an event.
pub fn observe(said: Document<'_>, report: &mut Report) {
    let Ok(Counted { message, usage }) = said.parse() else { return };
    let started = message.and_then(|message| message.usage);
    [started, usage].iter().flatten().for_each(|usage| report.anthropic(usage));
}

/// The type and the words of an error's body, which looks like a stream's `error` event.
pub fn read_error(text: &str) -> Option<(String, String)> {
    let error = parse::<Event<'_>>(text).ok()?.error?;
    let kind = error.kind.map_or_else(|| "api_error".into(), |kind| kind.decode().into_owned());
    Some((kind, error.message?.decode().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_wherever_an_answer_says_them() {
        let whole = r#"{"content":[{"type":7}],"usage":{"input_tokens":9,"output_tokens":4}}"#;
        let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":9}}}"#;
        let delta = r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":4}}"#;
        for said in [&[whole][..], &[start, delta]] {
            let mut report = Report::default();
            said.iter().for_each(|text| observe((*text).into(), &mut report));
            let usage = report.usage().map(|usage| (usage.prompt_tokens, usage.completion_tokens));
            assert_eq!(usage, Some((9, 4)), "{said:?}");
        }
    }
}
