//! What has no place on the other side, where many a translator loses the same: of requests, what
//! stands in parts or steers no more than a provider's own books; of answers, what a client's protocol
//! has no words for. All of it is named to the client.

use serde_json::value::RawValue;
use shared::json::JsonStr;
use shared::usage::Usage;
use shared::view::Unknown;

use super::client::{Client, Send, StreamWriter};
use super::ir::{Body, Delta, Field, Part, Request, Response, Source};
use super::provider::{Options, bedrock};
use super::signature::{self, Origin};
use crate::config::Protocol;

/// Sources that an answer names, and where they are cited.
pub const CITATIONS: &str = "answer.citations";
/// Parts of an answer of a kind that is not known here, as are those of tools that a provider runs.
pub const PARTS: &str = "answer.parts";
const CHOICES: &str = "answer.choices";
const LOGPROBS: &str = "answer.logprobs";
const MEDIA: &str = "answer.media";
const THOUGHTS: &str = "answer.thoughts";
const CALLS: &str = "answer.tool_calls";
const REASONING_TOKENS: &str = "answer.usage.reasoning_tokens";
const CACHE_CREATION_TOKENS: &str = "answer.usage.cache_creation_tokens";

/// What a provider has a place for.
struct Keeps {
    /// Marks for the prompt cache: on what is said, on tools, and within the results of tools.
    marks: [bool; 3],
    /// That arguments are bound to their schema: of some tools, and of all.
    strict: [bool; 2],
    /// That a function failed.
    failures: bool,
    /// Names of documents: of those that are sent, and of those on the web.
    titles: [bool; 2],
    /// Thoughts that are signed by this one.
    thoughts: Option<Origin>,
    /// What the request is filed under.
    cache_key: bool,
    store: bool,
    metadata: bool,
}

impl Keeps {
    fn of(protocol: Protocol, options: &Options<'_>) -> Keeps {
        let none = Keeps {
            marks: [false; 3],
            strict: [true; 2],
            failures: false,
            titles: [true; 2],
            thoughts: None,
            cache_key: false,
            store: false,
            metadata: false,
        };
        match protocol {
            // Where it has none of the last three the writer says so.
            Protocol::Openai => Keeps { cache_key: true, store: true, metadata: true, ..none },
            Protocol::OpenaiResponses => Keeps {
                titles: [true, false],
                thoughts: Some(Origin::OpenAi),
                cache_key: true,
                store: true,
                metadata: true,
                ..none
            },
            Protocol::Anthropic => Keeps {
                marks: [true; 3],
                failures: true,
                thoughts: Some(Origin::Anthropic),
                ..none
            },
            Protocol::Gemini => Keeps {
                strict: [false; 2],
                failures: true,
                titles: [false; 2],
                thoughts: Some(Origin::Gemini),
                ..none
            },
            Protocol::Bedrock => {
                let (marks, thinks, failures) = bedrock::keeps(options.model);
                let thoughts = thinks.then_some(Origin::Anthropic);
                Keeps { marks, failures, thoughts, metadata: true, ..none }
            }
            Protocol::Cohere => Keeps { strict: [false, true], titles: [false; 2], ..none },
        }
    }

    fn parts(&self, parts: &[Part<'_>], within: bool, lost: &mut dyn FnMut(Field)) {
        let [marks, _, inner_marks] = self.marks;
        for part in parts {
            if part.cache_control.is_some() && !(if within { inner_marks } else { marks }) {
                lost(Field::CacheControl);
            }
            match &part.body {
                Body::ToolResult { parts, is_error, .. } => {
                    if *is_error && !self.failures {
                        lost(Field::ToolFailure);
                    }
                    self.parts(parts, true, lost);
                }
                Body::Document { source, title: Some(_) } => {
                    let [sent, by_url] = self.titles;
                    if !(if matches!(source, Source::Url(_)) { by_url } else { sent }) {
                        lost(Field::Title);
                    }
                }
                Body::Thinking { signature, .. } if !self.takes(signature.as_ref()) => {
                    lost(Field::Thoughts);
                }
                Body::RedactedThinking(_) if self.thoughts != Some(Origin::Anthropic) => {
                    lost(Field::Thoughts);
                }
                _ => {}
            }
        }
    }

    fn takes(&self, signature: Option<&JsonStr<'_>>) -> bool {
        let of = |origin| signature.and_then(|signature| signature::of(origin, signature));
        self.thoughts.and_then(of).is_some()
    }
}

/// Names what a provider has no place for, of what no writer looks after.
pub(super) fn note(protocol: Protocol, request: &mut Request<'_>, options: &Options<'_>) {
    let keeps = Keeps::of(protocol, options);
    let mut found = std::mem::take(&mut request.unsupported);
    let mut lost = |field| {
        if !found.contains(&field) {
            found.push(field);
        }
    };
    keeps.parts(&request.system, false, &mut lost);
    request.turns.iter().for_each(|turn| keeps.parts(&turn.parts, false, &mut lost));
    let [_, on_tools, _] = keeps.marks;
    if !on_tools && request.tools.iter().any(|tool| tool.cache_control.is_some()) {
        lost(Field::CacheControl);
    }
    let strict = request.tools.iter().filter(|tool| tool.strict == Some(true)).count();
    let [some, all] = keeps.strict;
    if strict > 0 && !(if strict < request.tools.len() { some } else { all }) {
        lost(Field::Strict);
    }
    let given = |value: Option<&RawValue>| value.is_some_and(|value| value.get() != "{}");
    for (given, kept, field) in [
        (request.cache_key.is_some(), keeps.cache_key, Field::CacheKey),
        (request.store == Some(true), keeps.store, Field::Store),
        (given(request.metadata), keeps.metadata, Field::Metadata),
    ] {
        if given && !kept {
            lost(field);
        }
    }
    request.unsupported = found;
}

/// Names, each once, what of a whole answer its client gets nothing of.
pub fn answer(client: Client, response: &Response<'_>) -> Vec<&'static str> {
    let mut lost = response.dropped.clone();
    let one = matches!(client, Client::Anthropic | Client::OpenAiResponses);
    if one && response.choices.len() > 1 {
        lost.push(CHOICES);
    }
    let shown = if one { 1 } else { usize::MAX };
    for choice in response.choices.iter().take(shown) {
        if !choice.logprobs.is_empty() {
            lost.extend(step(client, &Delta::Logprobs(Vec::new())));
        }
        lost.extend(choice.parts.iter().filter_map(|part| body(client, &part.body)));
    }
    lost.extend(response.usage.as_ref().and_then(|usage| counts(client, usage)));
    let mut named = Vec::new();
    lost.into_iter().for_each(|name| once(&mut named, name));
    named
}

/// Adds a name that is not there yet.
pub fn once(names: &mut Vec<&'static str>, name: &'static str) {
    if !names.contains(&name) {
        names.push(name);
    }
}

fn body(client: Client, body: &Body<'_>) -> Option<&'static str> {
    let plain = client == Client::OpenAiCompletions;
    match body {
        Body::Thinking { .. } | Body::RedactedThinking(_) if plain => Some(THOUGHTS),
        Body::ToolCall { .. } if plain => Some(CALLS),
        Body::Image(source) => image(client, source),
        Body::Audio(_) | Body::Video(_) | Body::Document { .. } => Some(MEDIA),
        _ => None,
    }
}

fn image(client: Client, source: &Source<'_>) -> Option<&'static str> {
    match (client, source) {
        (Client::Anthropic | Client::OpenAiCompletions, _)
        | (Client::OpenAiResponses, Source::Url(_)) => Some(MEDIA),
        _ => None,
    }
}

fn counts(client: Client, usage: &Usage) -> Option<&'static str> {
    match client {
        Client::Anthropic if usage.reasoning_tokens > 0 => Some(REASONING_TOKENS),
        Client::Gemini if usage.cache_creation_tokens > 0 => Some(CACHE_CREATION_TOKENS),
        _ => None,
    }
}

/// Names what of a step of a streamed answer its client gets nothing of.
pub fn step(client: Client, delta: &Delta<'_>) -> Option<&'static str> {
    let plain = client == Client::OpenAiCompletions;
    match delta {
        Delta::Lost(name) => Some(name),
        Delta::Logprobs(_) if plain || client == Client::Anthropic => Some(LOGPROBS),
        Delta::Image(source) => image(client, source),
        Delta::Thinking(_) | Delta::ThoughtEnd { .. } | Delta::RedactedThinking(_) if plain => {
            Some(THOUGHTS)
        }
        Delta::ToolStart { .. } if plain => Some(CALLS),
        Delta::End(Some(usage)) => counts(client, usage),
        _ => None,
    }
}

/// Hands a step on to its client's writer, and notes in `names` what of it the client gets nothing of.
pub fn pass(
    client: Client,
    names: &mut Vec<&'static str>,
    delta: &Delta<'_>,
    writer: &mut dyn StreamWriter,
    send: Send<'_>,
) {
    if let Some(name) = step(client, delta) {
        once(names, name);
    }
    if !matches!(delta, Delta::Lost(_)) {
        writer.write(delta, send);
    }
}

/// The comment at the end of a stream that names what its client got nothing of, `None` for nothing.
/// Google's own clients take every line of a stream for a piece of an answer, so theirs get none.
pub fn comment(client: Client, names: &[&str]) -> Option<String> {
    let told = client != Client::Gemini && !names.is_empty();
    told.then(|| format!(": x-ai-dropped: {}\n\n", names.join(",")))
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
