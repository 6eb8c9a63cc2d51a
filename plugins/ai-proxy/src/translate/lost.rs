//! What has no place on the other side, where many a translator loses the same: of requests, what
//! stands in parts or steers no more than a provider's own books; of answers, what a client's protocol
//! has no words for. All of it is named to the client.

use shared::usage::Usage;
use shared::view::Unknown;

use super::client::{Client, Send, StreamWriter};
use super::ir::{Body, Delta, Field, Format, Part, Request, Response, Source};
use super::provider::{Options, bedrock};
use super::signature::{self, Origin};
use crate::config::Protocol;

/// Things that an answer has lost, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost(u16);

impl Lost {
    /// Sources that an answer names, and where they are cited.
    pub const CITATIONS: Lost = Lost(1);
    /// Parts of a kind that is not known here, as are those of tools that a provider runs.
    pub const PARTS: Lost = Lost(2);
    const CHOICES: Lost = Lost(4);
    const LOGPROBS: Lost = Lost(8);
    const MEDIA: Lost = Lost(16);
    const THOUGHTS: Lost = Lost(32);
    const CALLS: Lost = Lost(64);
    const REASONING_TOKENS: Lost = Lost(128);
    const CACHE_CREATION_TOKENS: Lost = Lost(256);
    const AUDIO_TOKENS: Lost = Lost(512);

    /// The names, in the order of the bits.
    const NAMES: [&str; 10] = [
        "answer.citations",
        "answer.parts",
        "answer.choices",
        "answer.logprobs",
        "answer.media",
        "answer.thoughts",
        "answer.tool_calls",
        "answer.usage.reasoning_tokens",
        "answer.usage.cache_creation_tokens",
        "answer.usage.audio_tokens",
    ];

    /// This, if it was lost.
    pub fn when(self, lost: bool) -> Lost {
        if lost { self } else { Lost::default() }
    }

    /// Also this.
    pub fn add(&mut self, other: Lost) {
        self.0 |= other.0;
    }

    /// Nothing is lost.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What a client is told, by names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let bits = Lost::NAMES.iter().enumerate();
        bits.filter(move |(bit, _)| self.0 >> bit & 1 == 1).map(|(_, name)| *name)
    }
}

/// Marks for the prompt cache on what is said, on tools, and within the results of tools.
const MARKS: u32 = 1;
const TOOL_MARKS: u32 = 2;
const INNER_MARKS: u32 = 4;
/// That arguments are bound to their schema: of all tools, and of some of them.
const STRICT: u32 = 8;
const SOME_STRICT: u32 = 16;
/// That a function failed.
const FAILURES: u32 = 32;
/// Names of documents: of those that are sent, and of those on the web.
const TITLES: u32 = 64;
const URL_TITLES: u32 = 128;
/// Thoughts that another provider has signed.
const THOUGHTS: u32 = 256;
/// What a request is filed under.
const CACHE_KEY: u32 = 512;
const STORE: u32 = 1024;
const METADATA: u32 = 2048;
/// How closely pictures are to be looked at.
const DETAIL: u32 = 4096;
/// That thoughts are shown, and that they are not.
const SHOWN: u32 = 8192;
const HIDDEN: u32 = 16384;
/// What the form of the answer is for.
const DESCRIPTION: u32 = 32768;
/// OpenAI's marks for the prompt cache, and those within the results of tools.
const BREAKPOINTS: u32 = 65536;
const INNER_BREAKPOINTS: u32 = 131_072;

/// The field of each of these.
const FIELDS: [(u32, Field); 12] = [
    (MARKS | TOOL_MARKS | INNER_MARKS, Field::CacheControl),
    (STRICT | SOME_STRICT, Field::Strict),
    (FAILURES, Field::ToolFailure),
    (TITLES | URL_TITLES, Field::Title),
    (THOUGHTS, Field::Thoughts),
    (CACHE_KEY, Field::CacheKey),
    (STORE, Field::Store),
    (METADATA, Field::Metadata),
    (DETAIL, Field::Detail),
    (SHOWN | HIDDEN, Field::ShowThinking),
    (DESCRIPTION, Field::FormatDescription),
    (BREAKPOINTS | INNER_BREAKPOINTS, Field::Breakpoint),
];

/// What a provider has a place for, and whose thoughts it takes.
fn kept(protocol: Protocol, options: &Options<'_>) -> (u32, Option<Origin>) {
    let plain = STRICT | SOME_STRICT | TITLES | URL_TITLES;
    let filed = CACHE_KEY | STORE | METADATA;
    match protocol {
        // Where a server has none of the last three the writer says so.
        Protocol::Openai => {
            // OpenAI itself shows none here; other servers show all.
            let shown = if options.quirks.are_openais() { HIDDEN } else { SHOWN };
            let more = DETAIL | DESCRIPTION | BREAKPOINTS | INNER_BREAKPOINTS;
            let thoughts = if options.quirks.wants_thoughts { THOUGHTS } else { 0 };
            (plain | filed | more | shown | thoughts, None)
        }
        Protocol::OpenaiResponses => {
            let marks = BREAKPOINTS | INNER_BREAKPOINTS;
            let more = DETAIL | DESCRIPTION | SHOWN | HIDDEN | marks;
            (STRICT | SOME_STRICT | TITLES | filed | more, Some(Origin::OpenAi))
        }
        Protocol::Anthropic => {
            let marks = MARKS | TOOL_MARKS | INNER_MARKS | BREAKPOINTS | INNER_BREAKPOINTS;
            (plain | marks | FAILURES | SHOWN, Some(Origin::Anthropic))
        }
        Protocol::Gemini => (FAILURES | SHOWN | HIDDEN, Some(Origin::Gemini)),
        Protocol::Bedrock => {
            let (claude, nova) = bedrock::is_claude_or_nova(options.model);
            let claudes = if claude { TOOL_MARKS } else { 0 };
            let both = if claude || nova { MARKS | FAILURES | BREAKPOINTS } else { 0 };
            let more = METADATA | DESCRIPTION | SHOWN;
            (plain | more | claudes | both, claude.then_some(Origin::Anthropic))
        }
        Protocol::Cohere => (STRICT | DETAIL | SHOWN, None),
    }
}

/// What is given in these parts.
fn given(parts: &[Part<'_>], within: bool, takes: Option<Origin>) -> u32 {
    let mut given = 0;
    for part in parts {
        given |= match (part.breakpoint, part.cache_control, within) {
            (Some(_), _, false) => BREAKPOINTS,
            (Some(_), _, true) => INNER_BREAKPOINTS,
            (None, Some(_), false) => MARKS,
            (None, Some(_), true) => INNER_MARKS,
            (None, None, _) => 0,
        };
        let looked_at = part.detail.as_ref().is_some_and(|detail| *detail != *"auto");
        given |= if looked_at { DETAIL } else { 0 };
        let thought = match &part.body {
            Body::ToolResult { parts, is_error, .. } => {
                given |= if *is_error { FAILURES } else { 0 } | self::given(parts, true, takes);
                false
            }
            Body::Document { source, title: Some(_) } => {
                given |= if matches!(source, Source::Url(_)) { URL_TITLES } else { TITLES };
                false
            }
            Body::Thinking { signature, .. } => {
                let own = |origin| signature.as_ref().and_then(|s| signature::of(origin, s));
                takes.and_then(own).is_none()
            }
            Body::RedactedThinking(_) => takes != Some(Origin::Anthropic),
            _ => false,
        };
        given |= if thought { THOUGHTS } else { 0 };
    }
    given
}

/// Names what a provider has no place for, of what no writer looks after.
pub(super) fn note(protocol: Protocol, request: &mut Request<'_>, options: &Options<'_>) {
    let (kept, takes) = kept(protocol, options);
    let mut wanted = given(&request.system, false, takes);
    for turn in &request.turns {
        wanted |= given(&turn.parts, false, takes);
    }
    let mut loose = false;
    for tool in &request.tools {
        wanted |= if tool.cache_control.is_some() { TOOL_MARKS } else { 0 };
        wanted |= if tool.strict == Some(true) { STRICT } else { 0 };
        loose |= tool.strict != Some(true);
    }
    if loose && wanted & STRICT != 0 {
        wanted = wanted & !STRICT | SOME_STRICT;
    }
    wanted |= if request.cache_key.is_some() { CACHE_KEY } else { 0 };
    wanted |= if request.store == Some(true) { STORE } else { 0 };
    wanted |= if request.metadata.is_some_and(|notes| notes.get() != "{}") { METADATA } else { 0 };
    wanted |= match request.thinking.show {
        Some(true) => SHOWN,
        Some(false) => HIDDEN,
        None => 0,
    };
    if matches!(request.format, Some(Format::Schema { description: Some(_), .. })) {
        wanted |= DESCRIPTION;
    }
    let openai = matches!(protocol, Protocol::Openai | Protocol::OpenaiResponses);
    if !openai || options.quirks.no_notes {
        request.dropped.extend(request.openai.iter().map(|(key, _)| (*key).to_owned()));
    }
    for (bits, field) in FIELDS {
        if wanted & !kept & bits != 0 && !request.unsupported.contains(&field) {
            request.unsupported.push(field);
        }
    }
}

/// What of a whole answer its client gets nothing of.
pub fn answer(client: Client, response: &Response<'_>) -> Lost {
    let mut lost = response.dropped;
    let one = matches!(client, Client::Anthropic | Client::OpenAiResponses);
    lost.add(Lost::CHOICES.when(one && response.choices.len() > 1));
    let shown = if one { 1 } else { usize::MAX };
    for choice in response.choices.iter().take(shown) {
        lost.add(Lost::LOGPROBS.when(!choice.logprobs.is_empty() && !has_logprobs(client)));
        choice.parts.iter().for_each(|part| lost.add(body(client, &part.body)));
    }
    if let Some(usage) = &response.usage {
        lost.add(counts(client, usage));
    }
    lost
}

fn body(client: Client, body: &Body<'_>) -> Lost {
    let plain = client == Client::OpenAiCompletions;
    match body {
        Body::Thinking { .. } | Body::RedactedThinking(_) => Lost::THOUGHTS.when(plain),
        Body::ToolCall { .. } => Lost::CALLS.when(plain),
        Body::Image(source) => image(client, source),
        Body::Audio(_) | Body::Video(_) | Body::Document { .. } => Lost::MEDIA,
        Body::Text(_) | Body::Refusal(_) | Body::ToolResult { .. } => Lost::default(),
    }
}

fn has_logprobs(client: Client) -> bool {
    !matches!(client, Client::Anthropic | Client::OpenAiCompletions)
}

fn image(client: Client, source: &Source<'_>) -> Lost {
    Lost::MEDIA.when(match client {
        Client::Anthropic | Client::OpenAiCompletions => true,
        Client::OpenAiResponses => matches!(source, Source::Url(_)),
        Client::OpenAiChat | Client::Gemini => false,
    })
}

fn counts(client: Client, usage: &Usage) -> Lost {
    let sound = usage.prompt_audio_tokens > 0 || usage.completion_audio_tokens > 0;
    let mut lost = Lost::default();
    match client {
        Client::Anthropic => lost.add(Lost::REASONING_TOKENS.when(usage.reasoning_tokens > 0)),
        Client::Gemini => {
            lost.add(Lost::CACHE_CREATION_TOKENS.when(usage.cache_creation_tokens > 0));
        }
        _ => {}
    }
    let without = matches!(client, Client::Anthropic | Client::OpenAiResponses);
    lost.add(Lost::AUDIO_TOKENS.when(sound && without));
    lost
}

/// What of a step of a streamed answer its client gets nothing of.
fn step(client: Client, delta: &Delta<'_>) -> Lost {
    let plain = client == Client::OpenAiCompletions;
    match delta {
        Delta::Lost(lost) => *lost,
        Delta::Logprobs(_) => Lost::LOGPROBS.when(!has_logprobs(client)),
        Delta::Image(source) => image(client, source),
        Delta::Thinking(_) | Delta::ThoughtEnd { .. } | Delta::RedactedThinking(_) => {
            Lost::THOUGHTS.when(plain)
        }
        Delta::ToolStart { .. } => Lost::CALLS.when(plain),
        Delta::End(Some(usage)) => counts(client, usage),
        _ => Lost::default(),
    }
}

/// Hands a step on to its client's writer, and notes what of it the client gets nothing of.
pub fn pass(
    client: Client,
    lost: &mut Lost,
    delta: &Delta<'_>,
    writer: &mut dyn StreamWriter,
    send: Send<'_>,
) {
    lost.add(step(client, delta));
    if !matches!(delta, Delta::Lost(_)) {
        writer.write(delta, send);
    }
}

/// The comment at the end of a stream that names what its client got nothing of, `None` for nothing.
/// Google's own clients take every line of a stream for a piece of an answer, so theirs get none.
pub fn comment(client: Client, lost: Lost) -> Option<String> {
    if client == Client::Gemini || lost.is_empty() {
        return None;
    }
    let names: Vec<_> = lost.names().collect();
    Some([": x-ai-dropped: ", &names.join(","), "\n\n"].concat())
}

/// Whether one of the members that a view does not know names sources.
pub(super) fn cites(rest: &[Unknown<'_>]) -> bool {
    rest.iter().any(|(key, value)| {
        let cites = matches!(
            &**key,
            "citations" | "annotations" | "groundingMetadata" | "citationMetadata"
        );
        cites && !matches!(value.get(), "null" | "[]" | "{}")
    })
}
