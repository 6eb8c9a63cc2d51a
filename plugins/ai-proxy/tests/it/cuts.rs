//! Every recorded stream, cut at every byte, gives every client the same bytes.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use ai_proxy::config::Protocol;
use ai_proxy::translate::client::{Client, Context};
use ai_proxy::translate::ir::Delta;
use ai_proxy::translate::lost::{self, Lost};
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

/// What a framer makes of a stream that comes in pieces.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Framed {
    frames: Vec<(Option<String>, Option<String>)>,
    broken: bool,
}

fn framed<'s>(stream: &Stream, pieces: impl IntoIterator<Item = &'s [u8]>) -> Framed {
    let mut framed = Framed::default();
    let mut framer = Framer::of(stream.kind);
    let mut note = |frame: Frame<'_>| {
        let data = frame.data.map(|data| data.into_owned());
        framed.frames.push((frame.name.map(str::to_owned), data));
    };
    let mut pieces = pieces.into_iter();
    let broken = pieces.any(|piece| framer.push(piece, &mut note).is_err());
    let _ = framer.finish(&mut note);
    Framed { broken, ..framed }
}

/// What each client gets of a stream, and whether it was complete. The provider's side is the same for
/// all of them, so it is read once.
fn translated(protocol: Protocol, framed: &Framed) -> Vec<Vec<u8>> {
    let context = Context { model: "m".into(), include_usage: true, ..Context::default() };
    let mut outs = Client::ALL.map(|client| (client, client.stream(context.clone()), Vec::new()));
    let mut lost = Client::ALL.map(|_| Lost::default());
    let mut reader = provider::stream(protocol);
    let mut step = |delta: Delta<'_>| {
        for ((client, writer, out), lost) in outs.iter_mut().zip(&mut lost) {
            let mut send = |name: Option<&str>, data: &str| sse::write_event(out, name, data);
            lost::pass(*client, lost, &delta, writer.as_mut(), &mut send);
        }
    };
    let mut fate = format!("broken: {}", framed.broken);
    for (name, data) in &framed.frames {
        let Some(data) = data else { continue };
        if !reader.progress().ended && reader.read(name.as_deref(), data, &mut step).is_err() {
            reader.progress().ended = true;
            fate.push_str(", unreadable");
        }
    }
    let complete = reader.progress().ended || reader.finish(&mut step);
    fate.push_str(if complete { ", complete" } else { ", cut off" });
    outs.into_iter().map(|(_, _, out)| [out.as_slice(), fate.as_bytes()].concat()).collect()
}

/// Translators are given frames, whatever pieces these came in, so each list of frames that comes out of
/// any cut is translated once.
#[test]
fn every_client_gets_the_same_bytes_wherever_the_stream_is_cut() {
    let streams = recorded();
    assert!(streams.len() > 40, "recorded streams are missing: {}", streams.len());
    for stream in &streams {
        let mut known = HashMap::new();
        let mut check = |framed: Framed, cut: &str| {
            let name = &stream.name;
            let outs = known.entry(framed);
            let outs =
                outs.or_insert_with_key(|framed| translated(stream.protocol, framed)).clone();
            assert_eq!(outs.len(), Client::ALL.len());
            assert!(known.values().all(|other| *other == outs), "{name}, {cut}");
        };
        check(framed(stream, [stream.bytes.as_slice()]), "in one piece");
        for at in 0..=stream.bytes.len() {
            let (one, other) = stream.bytes.split_at(at);
            check(framed(stream, [one, other]), &format!("cut at {at}"));
        }
        // Single bytes are all cuts at once.
        for size in [1, 7, 64] {
            check(framed(stream, stream.bytes.chunks(size)), &format!("in pieces of {size}"));
        }
    }
}
