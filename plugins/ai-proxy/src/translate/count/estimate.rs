//! An estimate of a request's tokens, where nobody can be asked.

use shared::tokens;

use crate::translate::ir::{Arguments, Body, Part, Request, Tool};

/// What the form of a conversation adds to each turn.
const TURN: u64 = 4;
/// What the declaration of a function adds to its words.
const TOOL: u64 = 8;
/// A picture of a million dots, by OpenAI's and Anthropic's rules a thousand and less; of its size
/// nothing is known here.
const IMAGE: u64 = 1000;
/// A page or two of a document, half a minute of sound, some seconds of film.
const MEDIA: u64 = 2000;

/// About so many tokens has the request.
pub fn estimate(request: &Request<'_>) -> u64 {
    let turns = request.turns.iter().map(|turn| parts(&turn.parts).saturating_add(TURN));
    let tools = request.tools.iter().map(tool);
    let system = parts(&request.system);
    turns.chain(tools).fold(system, u64::saturating_add)
}

fn parts(parts: &[Part<'_>]) -> u64 {
    parts.iter().map(|part| body(&part.body)).fold(0, u64::saturating_add)
}

fn body(body: &Body<'_>) -> u64 {
    match body {
        Body::Text(text) | Body::Refusal(text) | Body::Thinking { text, .. } => {
            tokens::estimate(&text.decode())
        }
        Body::Image(_) => IMAGE,
        Body::Audio(_) | Body::Video(_) | Body::Document { .. } => MEDIA,
        Body::ToolCall { name, arguments, .. } => {
            let arguments = match arguments {
                Arguments::Text(text) => tokens::estimate(&text.decode()),
                Arguments::Json(json) => tokens::estimate(json.get()),
            };
            tokens::estimate(&name.decode()).saturating_add(arguments).saturating_add(TURN)
        }
        Body::ToolResult { parts: of, .. } => parts(of).saturating_add(TURN),
        // Only its vendor can read it, and does not count it as this.
        Body::RedactedThinking(_) => 0,
    }
}

fn tool(tool: &Tool<'_>) -> u64 {
    let description = tool.description.as_ref();
    let words = [
        tokens::estimate(&tool.name.decode()),
        description.map_or(0, |text| tokens::estimate(&text.decode())),
        tokens::estimate(tool.schema()),
    ];
    words.into_iter().fold(TOOL, u64::saturating_add)
}
