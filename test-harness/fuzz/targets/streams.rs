//! Streamed answers: every provider's reader, every client's writer, in whatever pieces. Each event
//! that a client gets is valid JSON, and how the stream is cut makes no difference.
#![no_main]

use ai_proxy::config::Protocol;
use ai_proxy::translate::client::{Client, Context};
use ai_proxy::translate::ir::Delta;
use ai_proxy::translate::provider;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use shared::filter::BodyKind;
use shared::frames::{Frame, Framer};

fuzz_target!(|input: &[u8]| {
    for protocol in Protocol::ALL {
        let whole = translate(protocol, input, input.len().max(1));
        for size in [1, input.len() % 29 + 2] {
            assert_eq!(translate(protocol, input, size), whole, "{protocol:?}");
        }
    }
});

/// What every client gets, and whether the stream was complete.
fn translate(protocol: Protocol, input: &[u8], size: usize) -> (Vec<String>, bool) {
    let mut reader = provider::stream(protocol);
    let context = Context { model: "m".into(), include_usage: true, id: 7, ..Context::default() };
    let mut writers = Client::ALL.map(|client| client.stream(context.clone()));
    let mut out = vec![String::new(); writers.len()];
    let mut write = |delta: &Delta<'_>| {
        for ((writer, out), client) in writers.iter_mut().zip(&mut out).zip(Client::ALL) {
            writer.write(delta, &mut |name, data| {
                let valid = data == "[DONE]" || serde_json::from_str::<&RawValue>(data).is_ok();
                assert!(valid, "{protocol:?} to {client:?}: {data}");
                out.push_str(name.unwrap_or_default());
                out.push_str(data);
                out.push('\n');
            });
        }
    };
    // Bedrock's frames are binary; its events are written as server-sent ones here, so that there is
    // something to mutate. The target `eventstream` looks at the frames.
    let mut framer = Framer::of(BodyKind::EventStream);
    let mut bad = false;
    let mut one = |frame: Frame<'_>| {
        let Some(data) = frame.data else { return };
        if !bad && !reader.progress().ended {
            bad = reader.read(frame.name, &data, &mut |delta| write(&delta)).is_err();
        }
    };
    for chunk in input.chunks(size) {
        if framer.push(chunk, &mut one).is_err() {
            break;
        }
    }
    let _ = framer.finish(&mut one);
    let complete = !bad && (reader.progress().ended || reader.finish(&mut |delta| write(&delta)));
    (out, complete)
}
