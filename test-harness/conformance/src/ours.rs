//! What our gateway makes of a request or an answer.

use ai_proxy::asked::{Asked, Operation};
use ai_proxy::attempt::{Attempt, Circumstances};
use ai_proxy::gateway::Gateway;
use ai_proxy::objects::request::Held;
use ai_proxy::presets;
use ai_proxy::provider::Provider as Configured;
use ai_proxy::translate::client::{Client, Context};
use ai_proxy::translate::embed::{self, Dialect, Pending};
use ai_proxy::translate::provider;
use serde_json::{Value, json};
use shared::filter::BodyKind;
use shared::frames::Framer;
use shared::protocol::Vendor;

use crate::gather::Event;
use crate::services;
use crate::vectors::Provider;

/// Seconds since the Unix epoch, as recorded.
const NOW: u64 = 123;

/// The model that was asked for, as recorded, where the provider names none.
const MODEL: &str = "input-model";

/// The request as the provider gets it, or our gateway's refusal. `target` is the provider's name of the
/// model, if the configuration has one.
pub(crate) fn request(
    (gateway, configured): &(Gateway, Configured),
    operation: Operation,
    text: &str,
    target: Option<&str>,
) -> Result<Value, String> {
    let circumstances = Circumstances { gateway, rewrites: true, now: NOW };
    let body: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let given = body.get("model").and_then(Value::as_str).unwrap_or(MODEL);
    let model = target.unwrap_or(given);
    let flag = |name: &str| body.get(name).and_then(Value::as_bool).unwrap_or(false);
    let asked = Asked {
        operation,
        model: model.into(),
        max_tokens: None,
        // It is not renamed.
        model_at: None,
        stream: flag("stream"),
        array: false,
        include_usage: false,
        vendor: Vendor::OpenAi,
        tail: String::new(),
        get: false,
        held: Held::default(),
        versions: Default::default(),
    };
    let attempt = Attempt::new(&circumstances, configured, None, model, &asked, text.into());
    let mut attempt = attempt.map_err(|error| error.message)?;
    let sent = attempt.take_body(text.as_bytes());
    serde_json::from_slice(&sent).map_err(|error| format!("no JSON was written: {error}"))
}

/// A gateway with this provider.
pub(crate) fn configure(provider: Provider) -> Result<(Gateway, Configured), String> {
    let given = json!({
        "name": "provider",
        "protocol": provider.protocol.name(),
        "base_url": "https://provider.example",
        "auth": "host",
    });
    let config = json!({
        "providers": [given],
        "models": [{ "name": "*", "targets": [{ "provider": "provider" }] }],
    });
    let config =
        shared::config::document(&config.to_string()).map_err(|error| error.to_string())?;
    let gateway = Gateway::new(config, b"").map_err(|error| error.to_string())?;
    let given = shared::config::document(&given.to_string()).map_err(|error| error.to_string())?;
    let mut configured = Configured::new(given, "provider").map_err(|error| error.to_string())?;
    configured.cloud = provider.cloud;
    if let Some(openai) = presets::find("openai").filter(|_| provider.openai) {
        configured.quirks = openai.quirks;
    }
    Ok((gateway, configured))
}

/// The answer as the client gets it.
pub(crate) fn answer(provider: Provider, client: Client, text: &str) -> Result<Value, String> {
    if provider.protocol.is_that_of(client) {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    let response = provider::read(provider.protocol, text).map_err(|error| error.to_string())?;
    let written = client.write(&response, &context());
    serde_json::from_str(&written).map_err(|error| format!("no JSON was written: {error}"))
}

/// Vectors as a client of OpenAI's gets them.
pub(crate) fn vectors(dialect: Dialect, model: &str, text: &str) -> Result<Value, String> {
    let told: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let asked = services::request_for(&told).to_string();
    let client = embed::Client::OpenAi;
    let request = client.read(&asked).map_err(|error| error.message)?;
    let pending = Pending::new(client, dialect, model, &request);
    let (written, _) = pending.answer(text).map_err(|error| error.to_string())?;
    serde_json::from_str(&written).map_err(|error| format!("no JSON was written: {error}"))
}

/// The events that the client gets.
pub(crate) fn stream(
    provider: Provider,
    client: Client,
    kind: BodyKind,
    body: &[u8],
) -> Result<Vec<Event>, String> {
    let mut events: Vec<Event> = Vec::new();
    let mut send = |name: Option<&str>, data: &str| {
        events.push(Event { name: name.map(str::to_owned), data: data.to_owned() });
    };
    let mut framer = Framer::of(kind);
    let mut bad = None;
    let mut reader = provider::stream(provider.protocol);
    let mut writer = client.stream(context());
    let same = provider.protocol.is_that_of(client);
    let mut on_frame = |frame: shared::frames::Frame<'_>| {
        let Some(data) = frame.data else { return };
        if same {
            return send(frame.name, &data);
        }
        if reader.progress().ended || bad.is_some() {
            return;
        }
        let read = reader.read(frame.name, &data, &mut |delta| writer.write(&delta, &mut send));
        bad = read.err().map(|error| error.to_string());
    };
    let whole = framer.push(body, &mut on_frame).and_then(|()| framer.finish(&mut on_frame));
    if let Some(bad) = bad {
        return Err(bad);
    }
    whole.map_err(|_| "the framing is damaged".to_owned())?;
    if !same && !reader.progress().ended && !reader.finish(&mut |d| writer.write(&d, &mut send)) {
        return Err("the stream breaks off".into());
    }
    Ok(events)
}

fn context() -> Context {
    Context { model: MODEL.into(), created: NOW, id: 7, include_usage: true, ..Context::default() }
}
