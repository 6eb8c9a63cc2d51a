//! Every member that a client's protocol is known to have, and one that it is not, in every object of a
//! request: whoever the provider, it reaches it, or it is named, or the request is refused for it.
//!
//! The members are those of the API references of November 2026; a line is `pointer key value`, and the
//! member is added to (or changed in) the object there. A provider that refuses the request without it
//! is passed over.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use ai_proxy::config::Protocol;
use ai_proxy::presets;
use ai_proxy::provider::Cloud;
use ai_proxy::translate::client::Client;
use ai_proxy::translate::ir::Unsupported;
use ai_proxy::translate::provider::{self, Options};
use serde_json::Value;

use crate::support::members::{ANTHROPIC, Asked, CHAT, COMPLETIONS, GEMINI, RESPONSES};

const CLIENTS: [(Client, &[Asked]); 5] = [
    (Client::OpenAiChat, CHAT),
    (Client::OpenAiCompletions, COMPLETIONS),
    (Client::OpenAiResponses, RESPONSES),
    (Client::Anthropic, ANTHROPIC),
    (Client::Gemini, GEMINI),
];

/// What becomes of a request: what the provider gets and what is named, or why it is refused.
type Outcome = Result<(String, Vec<String>), String>;

fn outcome(client: Client, protocol: Protocol, text: &str) -> Outcome {
    let mut request = client.read(text).map_err(|error| error.message)?;
    let options = Options {
        model: match protocol {
            Protocol::Bedrock => "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            Protocol::Anthropic => "claude-sonnet-4-5",
            Protocol::Gemini => "gemini-2.5-flash",
            _ => "the-model",
        },
        default_max_tokens: 4096,
        quirks: presets::find("openai").unwrap().quirks,
        cloud: Cloud::Own,
    };
    let body = provider::write(protocol, &mut request, &options)
        .map_err(|Unsupported(what)| what.to_owned())?;
    let mut named = request.dropped;
    named.extend(request.unsupported.iter().map(|f| client.name_of(*f).to_owned()));
    Ok((body, named))
}

/// Why a member is lost without a word, `None` if it is not.
fn silence(without: &Outcome, with: &Outcome, key: &str) -> Option<String> {
    let (Ok((before, named)), Ok((after, names))) = (without, with) else {
        return match with {
            Err(why) if without.is_ok() && !why.contains(key) => Some(format!("refused: {why}")),
            _ => None,
        };
    };
    let told = names.iter().any(|name| !named.contains(name));
    (before == after && !told).then(|| format!("lost, told {names:?}"))
}

/// What a provider does by itself, so that nothing need be written: Claude and Cohere show their thoughts,
/// OpenAI's chat never does, and Gemini's models think about as much at this level.
fn always(protocol: Protocol, key: &str, value: &str) -> bool {
    match key {
        "summary" | "includeThoughts" => {
            matches!(protocol, Protocol::Anthropic | Protocol::Bedrock | Protocol::Cohere)
        }
        "display" => matches!(protocol, Protocol::Openai | Protocol::OpenaiResponses),
        _ => value.is_empty(),
    }
}

/// The request with a member more.
fn put(request: &Value, pointer: &str, key: &str, value: &str) -> String {
    let mut request = request.clone();
    let value = serde_json::from_str(value).unwrap_or_else(|e| panic!("{key} {value}: {e}"));
    let at = request.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} {key}"));
    at.as_object_mut().unwrap().insert(key.into(), value);
    request.to_string()
}

fn providers(client: Client) -> impl Iterator<Item = Protocol> {
    Protocol::ALL.into_iter().filter(move |protocol| !protocol.is_that_of(client))
}

#[test]
fn every_known_member_of_a_request_is_translated_or_named_or_refused() {
    let (mut silent, mut compared) = (Vec::new(), 0);
    for (client, asked) in CLIENTS {
        for Asked { request, members, .. } in asked {
            let request: Value = serde_json::from_str(request).unwrap();
            let text = request.to_string();
            let mut whole = 0;
            for protocol in providers(client) {
                let without = outcome(client, protocol, &text);
                whole += usize::from(without.is_ok());
                for line in members.lines().map(str::trim).filter(|line| !line.is_empty()) {
                    let (pointer, line) = line.split_once(' ').unwrap();
                    let (key, value) = line.split_once(' ').unwrap();
                    let pointer = pointer.trim_end_matches('/');
                    let with = outcome(client, protocol, &put(&request, pointer, key, value));
                    compared += usize::from(without.is_ok());
                    if always(protocol, key, value) {
                        continue;
                    }
                    if let Some(why) = silence(&without, &with, key) {
                        silent.push(format!("{client:?} {protocol:?} {pointer}/{key}: {why}"));
                    }
                }
            }
            assert!(whole > 0, "{client:?}: no provider takes {text}");
        }
    }
    assert!(compared > 900, "{compared}");
    assert!(silent.is_empty(), "{}\n{}", silent.len(), silent.join("\n"));
}

/// The pointers of all objects, but for those that are passed as they are, as schemas and arguments.
fn objects(value: &Value, pointer: &str, raw: &[&str], out: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            out.push(pointer.to_owned());
            for (key, value) in members.iter().filter(|(key, _)| !raw.contains(&key.as_str())) {
                objects(value, &format!("{pointer}/{key}"), raw, out);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                objects(value, &format!("{pointer}/{index}"), raw, out);
            }
        }
        _ => {}
    }
}

#[test]
fn a_member_that_nobody_knows_is_named_wherever_it_stands() {
    let (mut silent, mut compared) = (Vec::new(), 0);
    for (client, asked) in CLIENTS {
        for Asked { request, raw, .. } in asked {
            let request: Value = serde_json::from_str(request).unwrap();
            let mut pointers = Vec::new();
            objects(&request, "", raw, &mut pointers);
            for protocol in providers(client) {
                let without = outcome(client, protocol, &request.to_string());
                if without.is_err() {
                    continue;
                }
                for pointer in &pointers {
                    let with = outcome(client, protocol, &put(&request, pointer, "x_new", "1"));
                    compared += 1;
                    let names = match &with {
                        Ok((_, names)) => names.clone(),
                        Err(why) => vec![why.clone()],
                    };
                    if !names.iter().any(|name| name.contains("x_new")) {
                        silent.push(format!("{client:?} {protocol:?} {pointer}: {names:?}"));
                    }
                }
            }
        }
    }
    assert!(compared > 500, "{compared}");
    assert!(silent.is_empty(), "{}\n{}", silent.len(), silent.join("\n"));
}
