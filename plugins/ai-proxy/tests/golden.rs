//! Translation by example. Each folder below `golden/openai_chat-anthropic` is a case: what the client
//! sends and what the provider gets (`request.json`, `request.out.json`), what the provider answers and
//! what the client gets (`answer.json`, `answer.out.json`), the same for streams (`stream.sse`,
//! `stream.out.sse`). A file that is missing is no part of the case. `UPDATE=1` writes what comes out.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr)]

mod support;

use std::fs;
use std::path::Path;

use ai_proxy::translate::client::openai_chat;
use ai_proxy::translate::provider::anthropic;
use serde_json::{Value, json};
use support::{CONFIG, ask, chat_host, exchange, send, stream};

/// From a file's text to what is expected of it.
type Translate = fn(&str) -> String;

fn expect(path: &Path, found: &str) -> bool {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, found).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected != found {
        eprintln!("{}: expected\n{expected}\nfound\n{found}", path.display());
    }
    expected == found
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

/// What the provider gets, or the refusal; what was dropped is added as `x-ai-dropped`.
fn request(text: &str) -> String {
    match openai_chat::read(text) {
        Ok(mut request) => {
            let body = anthropic::write(&mut request, "claude", 4096);
            let mut body: Value = serde_json::from_str(&body).unwrap();
            if !request.dropped.is_empty() {
                body["x-ai-dropped"] = json!(request.dropped);
            }
            pretty(&body)
        }
        Err(error) => pretty(&json!({ "status": error.status, "error": error.message })),
    }
}

fn answer(text: &str) -> String {
    let response = anthropic::read(text).unwrap();
    let body = openai_chat::write(&response, "claude", 1_760_000_000);
    pretty(&serde_json::from_str(&body).unwrap())
}

fn streamed(text: &str) -> String {
    let mut gateway = exchange(CONFIG, "translate");
    let host = chat_host();
    let more = r#","stream":true,"stream_options":{"include_usage":true}"#;
    assert!(send(&mut gateway, &host, &ask("claude-x", more)));
    stream(&mut gateway, &host, &[text.as_bytes()]).concat()
}

#[test]
fn every_case_comes_out_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/openai_chat-anthropic");
    let mut cases: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let (mut compared, mut failed) = (0, Vec::new());
    for case in cases {
        let kinds: [(&str, &str, Translate); 3] = [
            ("request.json", "request.out.json", request),
            ("answer.json", "answer.out.json", answer),
            ("stream.sse", "stream.out.sse", streamed),
        ];
        for (input, output, translate) in kinds {
            let Ok(text) = fs::read_to_string(case.join(input)) else { continue };
            compared += 1;
            if !expect(&case.join(output), &translate(&text)) {
                failed.push(case.join(output));
            }
        }
    }
    assert!(compared > 20, "the cases are missing");
    assert!(failed.is_empty(), "{failed:#?}");
}
