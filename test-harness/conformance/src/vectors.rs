//! Which cases there are in the folder, and of which protocols each is.

use std::path::Path;

use ai_proxy::asked::Operation;
use ai_proxy::config::Protocol;
use ai_proxy::provider::Cloud;
use ai_proxy::translate::client::Client;
use ai_proxy::translate::embed::Dialect;
use serde_json::Value;
use shared::filter::BodyKind;

use crate::snap::{self, Recorded};
use crate::{files, framing, services};

/// One recorded pair.
#[derive(Debug)]
pub(crate) struct Case {
    /// `requests/completions/full.anthropic`
    pub(crate) name: String,
    /// The client's and the provider's protocol.
    pub(crate) pair: String,
    pub(crate) work: Result<Work, String>,
}

/// What is to be done with it.
#[derive(Debug)]
pub(crate) enum Work {
    Compare(Task),
    /// Nothing, and why.
    Unsupported(String),
}

#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// A client's request, and what the provider got.
    Request { client: Client, provider: Provider, body: String, expected: Value },
    /// A provider's whole answer, and what the client got.
    Answer { provider: Provider, client: Client, body: String, expected: Value },
    /// The same, streamed.
    Stream { provider: Provider, client: Client, kind: BodyKind, body: Vec<u8>, expected: String },
    /// A client's request for something else than chat, and what the provider got.
    Asked { operation: Operation, provider: Provider, model: String, body: String, expected: Value },
    /// A provider's answer with vectors, and what a client of OpenAI's got.
    Vectors { dialect: Dialect, model: String, body: String, expected: Value },
    /// A stream in pieces, and its events.
    Framing { kind: BodyKind, pieces: Vec<Vec<u8>>, expected: Value },
}

impl Task {
    /// The same without these places (`/messages/0/content`) of the request.
    pub(crate) fn without(mut self, places: &[&String]) -> Task {
        if let Task::Request { body, .. } = &mut self
            && let Ok(mut request) = serde_json::from_str(body)
        {
            places.iter().for_each(|place| remove(&mut request, place));
            *body = request.to_string();
        }
        self
    }
}

fn remove(document: &mut Value, place: &str) {
    let Some((parent, key)) = place.rsplit_once('/') else { return };
    match document.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.remove(key);
        }
        Some(Value::Array(list)) => {
            if let Some(at) = key.parse().ok().filter(|at: &usize| *at < list.len()) {
                list.remove(at);
            }
        }
        _ => {}
    }
}

/// What a provider's name stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Provider {
    pub(crate) protocol: Protocol,
    pub(crate) cloud: Cloud,
    /// It is OpenAI itself.
    pub(crate) openai: bool,
}

/// What these names stand for: in the names of requests the provider, in those of answers its format.
fn provider(name: &str) -> Option<Provider> {
    let (protocol, cloud) = match name {
        // `gemini` is Google's OpenAI-compatible endpoint.
        "openai" | "completions" | "gemini" => (Protocol::Openai, Cloud::Own),
        "anthropic" | "messages" => (Protocol::Anthropic, Cloud::Own),
        "vertex" => (Protocol::Anthropic, Cloud::Vertex),
        "responses" => (Protocol::OpenaiResponses, Cloud::Own),
        "vertex-gemini" => (Protocol::Gemini, Cloud::Vertex),
        "gemini-native" => (Protocol::Gemini, Cloud::Own),
        "bedrock" => (Protocol::Bedrock, Cloud::Own),
        "cohere" => (Protocol::Cohere, Cloud::Own),
        _ => return None,
    };
    Some(Provider {
        protocol,
        cloud,
        openai: matches!(name, "openai" | "completions" | "responses"),
    })
}

fn client(name: &str) -> Option<Client> {
    Some(match name {
        "completions" => Client::OpenAiChat,
        "messages" => Client::Anthropic,
        "responses" => Client::OpenAiResponses,
        "gemini" | "gemini-native" => Client::Gemini,
        _ => return None,
    })
}

/// All cases below the folder, in order.
pub(crate) fn all(folder: &Path) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    let agentgateway = folder.join("agentgateway");
    for group in files(&agentgateway.join("requests"))? {
        collect(&group, "requests", &mut cases)?;
    }
    for group in files(&agentgateway.join("response"))? {
        collect(&group, "response", &mut cases)?;
    }
    for folder in files(&folder.join("kong-framing"))? {
        let name = format!("kong-framing/{}", file_name(&folder));
        cases.push(Case { name, pair: "framing".into(), work: framing::case(&folder) });
    }
    Ok(cases)
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The cases of one client's requests or one provider's answers.
fn collect(group: &Path, kind: &str, cases: &mut Vec<Case>) -> Result<(), String> {
    let folder = file_name(group).to_owned();
    for path in files(group)? {
        let Some(name) = file_name(&path).strip_suffix(".snap") else { continue };
        let Some((case, other)) = name.split_once('.') else { continue };
        // That project's own bookkeeping.
        if other.contains("get-messages") || other.contains("detect") {
            continue;
        }
        let name = format!("{kind}/{folder}/{name}");
        let (pair, work) = if let Some(service) = services::of(&folder, case) {
            (service.to_owned(), services::work(service, group, case, other))
        } else if kind == "requests" {
            request(group, &folder, case, other)
        } else {
            answer(group, case, other)
        };
        cases.push(Case { name, pair, work });
    }
    Ok(())
}

fn request(group: &Path, folder: &str, case: &str, other: &str) -> (String, Result<Work, String>) {
    let (Some(client), Some(provider)) = (client(folder), provider(other)) else {
        return ("?".into(), Err("the protocols are not known".into()));
    };
    let work = || {
        let snap = read(&group.join(format!("{case}.{other}.snap")))?;
        let Recorded::Whole(expected) = snap::read(&snap, "request")? else {
            return Err("a request is no stream".into());
        };
        let body = read(&group.join(format!("{case}.json")))?;
        Ok(Work::Compare(Task::Request { client, provider, body, expected }))
    };
    (pair(client, provider), work())
}

fn answer(group: &Path, case: &str, other: &str) -> (String, Result<Work, String>) {
    let format = other.strip_suffix("-streaming").unwrap_or(other);
    // What passes in Gemini's own form has one name only.
    let (from, to) = match format {
        "gemini-native" => (format, format),
        _ => format.rsplit_once('-').unwrap_or((format, "")),
    };
    let (Some(provider), Some(client)) = (provider(from), client(to)) else {
        return ("?".into(), Err("the protocols are not known".into()));
    };
    let work = || {
        let snap = read(&group.join(format!("{case}.{other}.snap")))?;
        let json = group.join(format!("{case}.json"));
        match snap::read(&snap, "response")? {
            Recorded::Whole(expected) => {
                Ok(Task::Answer { provider, client, body: read(&json)?, expected })
            }
            Recorded::Stream(expected) => {
                let aws = group.join(format!("{case}.bin"));
                let (kind, path) = match aws.exists() {
                    true => (BodyKind::AwsEventStream, aws),
                    false => (BodyKind::EventStream, json),
                };
                let body = std::fs::read(path).map_err(|error| error.to_string())?;
                Ok(Task::Stream { provider, client, kind, body, expected })
            }
        }
    };
    (pair(client, provider), work().map(Work::Compare))
}

pub(crate) fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", file_name(path)))
}

fn pair(client: Client, provider: Provider) -> String {
    format!("{} - {}", client_word(client), provider_word(provider))
}

fn client_word(client: Client) -> &'static str {
    match client {
        Client::OpenAiChat => "openai_chat",
        Client::OpenAiCompletions => "openai_completions",
        Client::OpenAiResponses => "openai_responses",
        Client::Anthropic => "anthropic",
        Client::Gemini => "gemini",
    }
}

fn provider_word(provider: Provider) -> &'static str {
    match (provider.protocol, provider.cloud) {
        (Protocol::Openai, _) => "openai_chat",
        (Protocol::OpenaiResponses, _) => "openai_responses",
        (Protocol::Anthropic, Cloud::Own) => "anthropic",
        (Protocol::Anthropic, _) => "anthropic (Vertex)",
        (Protocol::Gemini, Cloud::Own) => "gemini",
        (Protocol::Gemini, _) => "gemini (Vertex)",
        (Protocol::Bedrock, _) => "bedrock",
        (Protocol::Cohere, _) => "cohere",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_files_tell_the_protocols() {
        let pair = |from: &str, to: &str| Some(pair(client(from)?, provider(to)?));
        assert_eq!(pair("completions", "gemini").unwrap(), "openai_chat - openai_chat");
        assert_eq!(pair("messages", "vertex").unwrap(), "anthropic - anthropic (Vertex)");
        assert_eq!(
            pair("responses", "vertex-gemini").unwrap(),
            "openai_responses - gemini (Vertex)"
        );
        assert_eq!(pair("completions", "bedrock-titan"), None);
    }

    #[test]
    fn a_place_is_taken_out_of_a_request() {
        let mut document = json!({ "a": [{ "b": 1, "c": 2 }, 3], "d": 4 });
        ["/a/0/b", "/a/1", "/d", "/x/y", "/a/7"].iter().for_each(|p| remove(&mut document, p));
        assert_eq!(document, json!({ "a": [{ "c": 2 }] }));
    }
}
