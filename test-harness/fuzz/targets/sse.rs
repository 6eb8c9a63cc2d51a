//! Server-Sent Events: no byte is lost, and how the stream is split makes no difference.
//!
//! The first byte of the input, modulo 8, is the number of chunk sizes that follow in a byte each;
//! the rest is the stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::sse::{Event, Framer, write_event};

/// Raw bytes, name, data.
type Seen = (Vec<u8>, Option<String>, Option<String>);

fuzz_target!(|input: &[u8]| {
    let Some((count, rest)) = input.split_first() else { return };
    let (sizes, stream) = rest.split_at(usize::from(count % 8).min(rest.len()));
    let whole = frame(stream, &[]);
    assert_eq!(frame(stream, sizes), whole);
    let raw: Vec<u8> = whole.iter().flat_map(|event| event.0.iter().copied()).collect();
    assert_eq!(raw, stream);
    for (_, name, data) in whole {
        let Some(data) = data else { continue };
        let mut written = Vec::new();
        write_event(&mut written, name.as_deref(), &data);
        assert_eq!(frame(&written, sizes), [(written, name, Some(data))]);
    }
});

/// The events of a stream that comes in chunks of these sizes again and again, or in one.
fn frame(stream: &[u8], sizes: &[u8]) -> Vec<Seen> {
    let mut events: Vec<Seen> = Vec::new();
    let mut add = |event: Event<'_>| match events.last_mut() {
        // The second half of a CRLF, which came in another chunk than the first.
        Some((raw, ..)) if event.raw() == b"\n" && raw.ends_with(b"\r") => raw.push(b'\n'),
        _ => {
            let data = event.data().map(|data| data.into_owned());
            assert!(data.is_none() || event.is_utf8());
            let _ = (event.id(), event.retry());
            events.push((event.raw().to_vec(), event.name().map(str::to_owned), data));
        }
    };
    let mut framer = Framer::new();
    let mut rest = stream;
    let mut sizes = sizes.iter().map(|size| usize::from(*size)).cycle();
    while !rest.is_empty() {
        // An empty chunk is of interest too, but only now and then, so that the loop ends.
        let size = sizes.next().unwrap_or(rest.len());
        if size == 0 {
            framer.push(&[], &mut add).expect("an empty chunk");
        }
        let (chunk, tail) = rest.split_at(size.clamp(1, rest.len()));
        framer.push(chunk, &mut add).expect("inputs are smaller than the limit");
        rest = tail;
    }
    framer.finish(&mut add);
    events
}
