//! Requests: every client's reader, every provider's writer. What is read is refused or becomes JSON
//! that our own reader of that protocol, if there is one, takes again.
#![no_main]

use ai_proxy::config::Protocol;
use ai_proxy::overrides::apply;
use ai_proxy::presets;
use ai_proxy::provider::Cloud;
use ai_proxy::translate::client::Client;
use ai_proxy::translate::provider::openai_chat::same;
use ai_proxy::translate::provider::{Options, write};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

/// What our reader refuses because it must be told to another provider, and which the provider itself
/// can fetch, find out or refuse in its own words.
const FOR_THE_PROVIDER: [&str; 3] =
    ["belong to", "fileData.mimeType: is required", "answers no functionCall"];

fuzz_target!(|text: &str| {
    for client in Client::ALL {
        for protocol in Protocol::ALL {
            check(client, protocol, text);
        }
    }
    for preset in ["mistral", "deepseek", "groq", "openai"] {
        fit(preset, text);
    }
});

/// What another server of Chat Completions gets is JSON if what came was, and has nothing left to be changed.
fn fit(preset: &str, text: &str) {
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return;
    }
    let quirks = presets::find(preset).expect("a preset").quirks;
    let options = Options { model: "gpt-5", default_max_tokens: 4096, quirks, cloud: Cloud::Own };
    let fitted = |text: &str| {
        let Ok(fit) = same::fit(text.into(), &options, true) else { return text.to_owned() };
        let mut edits = fit.members.edits(text);
        edits.extend(fit.edits);
        edits.sort_by_key(|(range, _)| range.start);
        assert!(edits.is_sorted_by(|one, next| one.0.end <= next.0.start), "{edits:?}");
        apply(text, &edits)
    };
    let once = fitted(text);
    if let Err(error) = serde_json::from_str::<&RawValue>(&once) {
        panic!("{preset}: {error}: {once}");
    }
    assert_eq!(fitted(&once), once, "{preset}");
}

fn check(client: Client, protocol: Protocol, text: &str) {
    // Some writers change the hub's request, so each gets its own.
    let mut request = match client.read(text) {
        Ok(request) => request,
        Err(error) => {
            // A conversation that Anthropic keeps cannot go on elsewhere.
            let no_thread = error.code.as_deref() == Some("thread_not_found");
            assert_eq!(error.status, if no_thread { 404 } else { 400 }, "{client:?}: {error:?}");
            assert!(!error.message.is_empty(), "{client:?}");
            return;
        }
    };
    let quirks = presets::find("openai").expect("a preset").quirks;
    // The family of a model on Bedrock decides what its requests may hold.
    let models = ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0"];
    let model = models[text.len() % 2];
    let options = Options { model, default_max_tokens: 4096, quirks, cloud: Cloud::Own };
    let body = match write(protocol, &mut request, &options) {
        Ok(body) => body,
        Err(unsupported) => return assert!(!unsupported.0.is_empty()),
    };
    for field in &request.unsupported {
        assert!(!client.name_of(*field).is_empty());
    }
    // By its grammar: half a surrogate pair, which is passed on as it came, is no Rust string.
    if let Err(error) = serde_json::from_str::<&RawValue>(&body) {
        panic!("{client:?} to {protocol:?}: {error}: {body}");
    }
    if let Some(reader) = reader(protocol)
        && let Err(error) = reader.read(&body)
        && !FOR_THE_PROVIDER.iter().any(|words| error.message.contains(words))
    {
        panic!("{client:?} to {protocol:?}: {error:?}: {body}");
    }
}

/// The client of the same protocol.
fn reader(protocol: Protocol) -> Option<Client> {
    Client::ALL.into_iter().find(|client| protocol.is_that_of(*client))
}
