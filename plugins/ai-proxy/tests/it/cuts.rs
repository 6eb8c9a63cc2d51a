//! Every recorded stream, cut at every byte, gives every client the same bytes.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::Path;

use ai_proxy::config::Protocol;
use ai_proxy::translate::client::{Client, Context};
use ai_proxy::translate::provider;
use shared::eventstream::{self, Value};
use shared::filter::BodyKind;
use shared::frames::{Frame, Framer};
use shared::sse;

/// A recorded stream, in its provider's own framing.
struct Stream {
    name: String,
    protocol: Protocol,
    kind: BodyKind,
    bytes: Vec<u8>,
}

fn recorded() -> Vec<Stream> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/answers");
    let mut streams = Vec::new();
    for (folder, protocol) in [
        ("openai", Protocol::Openai),
        ("openai_responses", Protocol::OpenaiResponses),
        ("anthropic", Protocol::Anthropic),
        ("gemini", Protocol::Gemini),
        ("bedrock", Protocol::Bedrock),
        ("cohere", Protocol::Cohere),
    ] {
        for case in fs::read_dir(root.join(folder)).unwrap() {
            let case = case.unwrap().path();
            let Ok(text) = fs::read(case.join("stream.sse")) else { continue };
            let name = case.display().to_string();
            let (kind, bytes) = match protocol {
                Protocol::Bedrock => (BodyKind::AwsEventStream, amazon(&text)),
                _ => (BodyKind::EventStream, text),
            };
            streams.push(Stream { name, protocol, kind, bytes });
        }
    }
    streams
}

/// Recorded events in Amazon's framing.
fn amazon(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut framer = sse::Framer::new();
    let mut encode = |event: &sse::Event<'_>| {
        let Some(data) = event.data() else { return };
        let name = event.name().unwrap_or("event");
        let kind = if name.ends_with("Exception") { ":exception-type" } else { ":event-type" };
        let headers = [(kind, Value::String(name))];
        eventstream::encode(headers, data.as_bytes(), &mut out).unwrap();
    };
    framer.push(text, |event| encode(&event)).unwrap();
    out
}

/// What the client gets, and whether the stream was complete.
fn translated(stream: &Stream, client: Client, size: usize) -> (String, bool) {
    let context = Context { model: "m".into(), include_usage: true, ..Context::default() };
    let mut writer = client.stream(context);
    let mut reader = provider::stream(stream.protocol);
    let mut out = Vec::new();
    let mut framer = Framer::of(stream.kind);
    let mut one = |frame: Frame<'_>| {
        let Some(data) = frame.data else { return };
        if reader.progress().ended {
            return;
        }
        let mut send = |name: Option<&str>, data: &str| sse::write_event(&mut out, name, data);
        if reader.read(frame.name, &data, &mut |delta| writer.write(&delta, &mut send)).is_err() {
            reader.progress().ended = true;
            sse::write_event(&mut out, None, "unreadable");
        }
    };
    for chunk in stream.bytes.chunks(size) {
        if framer.push(chunk, &mut one).is_err() {
            break;
        }
    }
    let _ = framer.finish(&mut one);
    let mut send = |name: Option<&str>, data: &str| sse::write_event(&mut out, name, data);
    let complete =
        reader.progress().ended || reader.finish(&mut |delta| writer.write(&delta, &mut send));
    (String::from_utf8(out).unwrap(), complete)
}

type Frames = Vec<(Option<String>, Option<String>)>;

fn frames(stream: &Stream, at: usize) -> Frames {
    let mut seen = Vec::new();
    let mut framer = Framer::of(stream.kind);
    let mut note = |frame: Frame<'_>| {
        seen.push((frame.name.map(str::to_owned), frame.data.map(|data| data.into_owned())));
    };
    let (one, other) = stream.bytes.split_at(at);
    let _ = framer.push(one, &mut note).and_then(|()| framer.push(other, &mut note));
    let _ = framer.finish(&mut note);
    seen
}

#[test]
fn every_client_gets_the_same_bytes_however_the_stream_is_cut() {
    let streams = recorded();
    assert!(streams.len() > 40, "recorded streams are missing: {}", streams.len());
    for stream in &streams {
        for client in Client::ALL {
            let whole = translated(stream, client, usize::MAX);
            // Single bytes are all cuts at once.
            for size in [1, 7, 64] {
                assert_eq!(translated(stream, client, size), whole, "{} {client:?}", stream.name);
            }
        }
    }
}

#[test]
fn no_cut_changes_what_the_translators_see() {
    for stream in recorded() {
        let whole = frames(&stream, 0);
        for at in 1..=stream.bytes.len() {
            assert_eq!(frames(&stream, at), whole, "{} at {at}", stream.name);
        }
    }
}
