//! Translation by example, for every pair of a client's and a provider's protocol.
//!
//! - `golden/requests/<client>/<case>/request.json` is what a client sends, `<provider>.json` beside it
//!   what each provider gets, or the refusal.
//! - `golden/answers/<provider>/<case>/answer.json`, `error.json` or `stream.sse` is what a provider
//!   answers, `answer.<client>.json` (...) beside it what each client gets. A stream of Amazon's is
//!   written as server-sent events too: the event's type and its payload.
//!
//! To add a case, add its first file and run with `UPDATE=1`, which writes what comes out; read it
//! before you commit it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr)]

#[path = "support/cases.rs"]
mod cases;

use std::fs;
use std::path::{Path, PathBuf};

use ai_proxy::config::Protocol;
use ai_proxy::presets;
use ai_proxy::provider::Cloud;
use ai_proxy::translate::client::{Client, Context};
use ai_proxy::translate::ir::Unsupported;
use ai_proxy::translate::provider::{self, Options};
use cases::{ANSWERED, ASKED, CLIENTS, NO, PROVIDERS};
use serde_json::{Value, json};
use shared::sse;

const CREATED: u64 = 1_760_000_000;
const BEDROCK_MODEL: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn clients() -> impl Iterator<Item = (String, Client)> {
    Client::ALL.into_iter().map(|client| (snake(&format!("{client:?}")), client))
}

fn providers() -> impl Iterator<Item = (String, Protocol)> {
    Protocol::ALL.into_iter().map(|protocol| (snake(&format!("{protocol:?}")), protocol))
}

/// `OpenAiChat` is `openai_chat`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.replace("OpenAi", "Openai").chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn context() -> Context {
    Context {
        model: "the-model".into(),
        created: CREATED,
        id: 7,
        include_usage: true,
        ..Context::default()
    }
}

/// What the provider gets, or the refusal; what was dropped is added as `x-ai-dropped`.
fn request(client: Client, protocol: Protocol, text: &str) -> String {
    let mut request = match client.read(text) {
        Ok(request) => request,
        Err(error) => return pretty(&json!({ "status": error.status, "error": error.message })),
    };
    let options = Options {
        // What Converse carries depends on whose model it is, though the body does not name it.
        model: if protocol == Protocol::Bedrock { BEDROCK_MODEL } else { "the-model" },
        default_max_tokens: 4096,
        // OpenAI itself, where the protocol is OpenAI's.
        quirks: presets::find("openai").unwrap().quirks,
        cloud: Cloud::Own,
    };
    match provider::write(protocol, &mut request, &options) {
        Ok(body) => {
            let mut body: Value = serde_json::from_str(&body).unwrap();
            let mut dropped = request.dropped;
            dropped.extend(request.unsupported.iter().map(|f| client.name_of(*f).to_owned()));
            if !dropped.is_empty() {
                body["x-ai-dropped"] = json!(dropped);
            }
            pretty(&body)
        }
        Err(Unsupported(what)) => pretty(&json!({ "unsupported": what })),
    }
}

fn answer(client: Client, protocol: Protocol, text: &str) -> String {
    match provider::read(protocol, text) {
        Ok(response) => {
            pretty(&serde_json::from_str(&client.write(&response, &context())).unwrap())
        }
        Err(error) => pretty(&json!({ "unreadable": error.to_string() })),
    }
}

fn error(protocol: Protocol, text: &str) -> String {
    let told = provider::read_error(protocol, text);
    pretty(&told.map_or(Value::Null, |(code, message)| json!([code, message])))
}

fn streamed(client: Client, protocol: Protocol, text: &str) -> String {
    let mut reader = provider::stream(protocol);
    let mut writer = client.stream(context());
    let mut out = Vec::new();
    let mut framer = sse::Framer::new();
    let mut bad = String::new();
    framer
        .push(text.as_bytes(), |event| {
            let Some(data) = event.data() else { return };
            if reader.progress().ended {
                return;
            }
            let mut send = |name: Option<&str>, data: &str| sse::write_event(&mut out, name, data);
            let read = reader.read(event.name(), &data, &mut |d| writer.write(&d, &mut send));
            if let Err(error) = read {
                reader.progress().ended = true;
                bad = format!(": unreadable: {error}\n\n");
            }
        })
        .unwrap();
    if !reader.progress().ended {
        let mut send = |name: Option<&str>, data: &str| sse::write_event(&mut out, name, data);
        if !reader.finish(&mut |delta| writer.write(&delta, &mut send)) {
            bad = ": broken off\n\n".into();
        }
    }
    String::from_utf8(out).unwrap() + &bad
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

/// The cases below a folder, and which protocol they are of.
fn cases(folder: &str, protocol: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let Ok(entries) = fs::read_dir(root.join(folder).join(protocol)) else { return Vec::new() };
    let mut cases: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

#[derive(Default)]
struct Outcome {
    compared: usize,
    failed: Vec<PathBuf>,
}

impl Outcome {
    fn expect(&mut self, path: PathBuf, found: &str) {
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, found).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        self.compared += 1;
        if expected != found {
            eprintln!("{}: expected\n{expected}\nfound\n{found}", path.display());
            self.failed.push(path);
        }
    }

    fn check(self, least: usize) {
        assert!(self.compared > least, "cases are missing: {}", self.compared);
        assert!(self.failed.is_empty(), "{:#?}", self.failed);
    }
}

/// What a client or provider whose list is empty would pass without.
#[test]
fn every_client_and_every_provider_has_all_cases_of_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut missing = Vec::new();
    for feature in ASKED {
        for (client, case) in CLIENTS.iter().zip(feature.cases).filter(|(_, case)| *case != NO) {
            let path = root.join("requests").join(client).join(case);
            let files = PROVIDERS.iter().map(|provider| format!("{provider}.json"));
            let files = files.chain(["request.json".to_owned()]);
            missing.extend(files.map(|file| path.join(file)).filter(|path| !path.exists()));
        }
    }
    for feature in ANSWERED {
        for (provider, case) in PROVIDERS.iter().zip(feature.cases).filter(|(_, case)| *case != NO)
        {
            let path = root.join("answers").join(provider).join(case);
            if !path.join("answer.json").exists() && !path.join("stream.sse").exists() {
                missing.push(path);
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    // A feature that no client has is no feature, and a provider has most of them.
    assert!(ASKED.iter().all(|feature| feature.cases.iter().any(|case| *case != NO)));
    for (index, provider) in PROVIDERS.iter().enumerate() {
        let has = ANSWERED.iter().filter(|feature| feature.cases[index] != NO).count();
        assert!(2 * has > ANSWERED.len(), "{provider}: {has} of {}", ANSWERED.len());
    }
    for (index, client) in CLIENTS.iter().enumerate() {
        let has = ASKED.iter().filter(|feature| feature.cases[index] != NO).count();
        assert!(2 * has > ASKED.len(), "{client}: {has} of {}", ASKED.len());
    }
}

/// Errors of every provider, which answer in no client's protocol yet.
#[test]
fn every_provider_has_an_error_and_a_stream_that_ends_too_early() {
    for (name, _) in providers() {
        let cases = cases("answers", &name);
        assert!(cases.iter().any(|case| case.join("error.json").exists()), "{name}");
        assert!(cases.iter().any(|case| case.ends_with("empty_stream")), "{name}");
    }
}

#[test]
fn every_request_reaches_every_provider_as_written_down() {
    let mut outcome = Outcome::default();
    for (name, client) in clients() {
        let cases = cases("requests", &name);
        for case in cases {
            let text = fs::read_to_string(case.join("request.json")).unwrap();
            for (name, protocol) in providers() {
                outcome.expect(case.join(name + ".json"), &request(client, protocol, &text));
            }
        }
    }
    outcome.check(1200);
}

#[test]
fn every_answer_reaches_every_client_as_written_down() {
    let mut outcome = Outcome::default();
    for (name, protocol) in providers() {
        let cases = cases("answers", &name);
        for case in cases {
            for (name, client) in clients() {
                if let Ok(text) = fs::read_to_string(case.join("answer.json")) {
                    let found = answer(client, protocol, &text);
                    outcome.expect(case.join(format!("answer.{name}.json")), &found);
                }
                if let Ok(text) = fs::read_to_string(case.join("stream.sse")) {
                    let found = streamed(client, protocol, &text);
                    outcome.expect(case.join(format!("stream.{name}.sse")), &found);
                }
            }
            if let Ok(text) = fs::read_to_string(case.join("error.json")) {
                outcome.expect(case.join("error.out.json"), &error(protocol, &text));
            }
        }
    }
    outcome.check(800);
}
