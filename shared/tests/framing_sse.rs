//! The framing of Server-Sent Events against a plain reading of the specification.
#![cfg(not(target_arch = "wasm32"))]
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use proptest::prelude::*;
use shared::sse::{Event, Framer, MAX_EVENT, TooLong, write_event};

/// What is compared of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    raw: Vec<u8>,
    name: Option<String>,
    /// `Err` if it is not UTF-8.
    data: Option<Result<String, ()>>,
    id: Option<String>,
    retry: Option<u64>,
}

impl Seen {
    fn of(event: &Event<'_>) -> Seen {
        assert_eq!(event.name_and_data(), (event.name(), event.data()));
        let data = match event.data() {
            Some(data) => Some(Ok(data.into_owned())),
            None if event.is_utf8() => None,
            None => Some(Err(())),
        };
        let raw = event.raw().to_vec();
        let name = event.name().map(str::to_owned);
        Seen { raw, name, data, id: event.id().map(str::to_owned), retry: event.retry() }
    }
}

/// The lines of a stream, each with its line end.
fn lines(stream: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut start = 0;
    for at in 0..stream.len() {
        let ends = match stream[at] {
            b'\n' => true,
            b'\r' => stream.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        if ends {
            lines.push(&stream[start..=at]);
            start = at + 1;
        }
    }
    if start < stream.len() {
        lines.push(&stream[start..]);
    }
    lines
}

/// The specification, read from a whole stream.
fn reference(stream: &[u8]) -> Vec<Seen> {
    let mut events = Vec::new();
    let mut event: Vec<&[u8]> = Vec::new();
    for (index, line) in lines(stream).into_iter().enumerate() {
        event.push(line);
        let ended = line.ends_with(b"\n") || line.ends_with(b"\r");
        if ended && content(line, index == 0).is_empty() {
            events.push(read(&event, events.is_empty()));
            event.clear();
        }
    }
    if !event.is_empty() {
        events.push(read(&event, events.is_empty()));
    }
    events
}

fn content(line: &[u8], first: bool) -> &[u8] {
    let line = line.strip_prefix("\u{FEFF}".as_bytes()).filter(|_| first).unwrap_or(line);
    let end = line.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    &line[..end.unwrap_or(line.len())]
}

fn read(event: &[&[u8]], first: bool) -> Seen {
    let mut seen = Seen { raw: event.concat(), name: None, data: None, id: None, retry: None };
    let mut data: Option<Vec<u8>> = None;
    for (index, line) in event.iter().enumerate() {
        let line = content(line, first && index == 0);
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = String::from_utf8(value.to_vec()).ok();
        match field {
            b"event" => seen.name = text.filter(|text| !text.is_empty()),
            b"data" => {
                let data = data.get_or_insert_default();
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            b"id" => seen.id = text.filter(|text| !text.contains('\0')).or(seen.id),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                seen.retry = text.and_then(|text| text.parse().ok()).or(seen.retry);
            }
            _ => {}
        }
    }
    seen.data = data.map(|mut data| {
        data.pop();
        String::from_utf8(data).map_err(|_| ())
    });
    seen
}

/// What a framer makes of the chunks. The LF of a blank line, where it came in a chunk after its
/// CR, is put back to the event that it belongs to.
fn frame<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut events: Vec<Seen> = Vec::new();
    let mut add = |event: Event<'_>| match events.last_mut() {
        Some(last) if event.raw() == b"\n" && last.raw.ends_with(b"\r") => last.raw.push(b'\n'),
        _ => events.push(Seen::of(&event)),
    };
    let mut framer = Framer::new();
    for chunk in chunks {
        framer.push(chunk, &mut add).unwrap();
    }
    framer.finish(&mut add);
    events
}

fn split<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.insert(0, 0);
    cuts.push(stream.len());
    cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect()
}

fn a_stream() -> impl Strategy<Value = Vec<u8>> {
    const PARTS: &[&str] = &[
        "\n",
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "\r\n\r\n",
        ":",
        " ",
        "data",
        "data: ",
        "data:{\"a\":1}",
        "event",
        "event: delta",
        "id: 7",
        "id:\0",
        "retry: 15",
        "retry: +1",
        ": ping",
        "é",
        "\u{FEFF}",
    ];
    let part = prop_oneof![
        12 => prop::sample::select(PARTS).prop_map(|part| part.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    let bom = prop_oneof![Just(""), Just("\u{FEFF}")];
    (bom, prop::collection::vec(part, 0..40))
        .prop_map(|(bom, parts)| [bom.as_bytes(), &parts.concat()].concat())
}

proptest! {
    #[test]
    fn reads_as_the_specification_says_however_split(
        stream in a_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let expected = reference(&stream);
        prop_assert_eq!(frame([&stream[..]]), expected.clone());
        prop_assert_eq!(frame(split(&stream, &cuts)), expected.clone());
        prop_assert_eq!(frame(stream.chunks(1)), expected.clone());
        for at in 0..=stream.len() {
            prop_assert_eq!(frame([&stream[..at]]), reference(&stream[..at]));
            prop_assert_eq!(&frame(<[&[u8]; 2]>::from(stream.split_at(at))), &expected);
        }
    }

    #[test]
    fn gives_back_every_byte_in_order(
        stream in a_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let mut raw = Vec::new();
        let mut framer = Framer::new();
        for chunk in split(&stream, &cuts) {
            framer.push(chunk, |event| raw.extend_from_slice(event.raw())).unwrap();
        }
        framer.finish(|event| raw.extend_from_slice(event.raw()));
        prop_assert_eq!(raw, stream);
    }

    #[test]
    fn reads_what_it_writes(
        events in prop::collection::vec((prop::option::of("[a-z._]{1,9}"), "([ -~é:]|\r|\n){0,30}"), 0..5),
    ) {
        let mut stream = Vec::new();
        for (name, data) in &events {
            write_event(&mut stream, name.as_deref(), data);
        }
        let expected = events.into_iter().map(|(name, data)| {
            (name, Some(Ok(data.replace("\r\n", "\n").replace('\r', "\n"))))
        });
        let seen = frame([&stream[..]]).into_iter().map(|event| (event.name, event.data));
        prop_assert!(seen.eq(expected));
    }
}

#[test]
fn borrows_what_lies_whole_within_a_chunk() {
    let chunk = b"lo\n\ndata: a\n\n: ping\r\n\r\ndata: b\n\nda";
    let mut framer = Framer::new();
    framer.push(b"data: hel", |_| panic!("not complete")).unwrap();
    let mut borrowed = Vec::new();
    let add =
        |event: Event<'_>| borrowed.push(chunk.as_ptr_range().contains(&event.raw().as_ptr()));
    framer.push(chunk, add).unwrap();
    assert_eq!(borrowed, [false, true, true, true]);
}

#[test]
fn hands_over_at_once_and_leaves_nothing_for_the_end() {
    for blank in ["\n\n", "\r\r", "\r\n\r", "\n\r"] {
        let mut framer = Framer::new();
        let mut data = None;
        let stream = ["data: [DONE]", blank].concat();
        framer.push(stream.as_bytes(), |event| data = Some(event.data().is_some())).unwrap();
        assert_eq!(data, Some(true), "{blank:?}");
        if blank.ends_with('\r') {
            framer.push(b"\n", |event| data = Some(event.data().is_some())).unwrap();
            assert_eq!(data, Some(false), "{blank:?}");
        }
        framer.finish(|_| panic!("the stream ended well"));
    }
}

/// Pushes a short event and then one of `size` bytes that ends with `end`; whether that failed.
fn fails(size: usize, piece: usize, end: &[u8]) -> bool {
    let mut stream = b"data: a\n\n:".to_vec();
    stream.resize(9 + size - end.len(), b'x');
    stream.extend_from_slice(end);
    let mut framer = Framer::new();
    let mut seen = Vec::new();
    let mut chunks = stream.chunks(piece);
    let failed = chunks
        .by_ref()
        .any(|chunk| framer.push(chunk, |event| seen.extend_from_slice(event.raw())).is_err());
    assert!(seen.starts_with(b"data: a\n\n"));
    if failed {
        assert_eq!(framer.push(b"data: b\n\n", |_| panic!("failed for good")), Err(TooLong));
        seen.extend_from_slice(&framer.take_rest());
        chunks.for_each(|chunk| seen.extend_from_slice(chunk));
    }
    assert!(framer.take_rest().is_empty());
    framer.finish(|event| seen.extend_from_slice(event.raw()));
    assert_eq!(seen.len(), stream.len());
    assert!(seen == stream, "bytes were lost");
    failed
}

#[test]
fn the_limit_is_the_same_however_split() {
    for piece in [2 * MAX_EVENT, MAX_EVENT + 10, MAX_EVENT, 1000, 1] {
        assert!(!fails(MAX_EVENT, piece, b"\n\n"));
        assert!(!fails(MAX_EVENT, piece, b"xx"));
        // The LF after the CR does not count, it may come later.
        assert!(!fails(MAX_EVENT + 1, piece, b"\n\r\n"));
        assert!(fails(MAX_EVENT + 1, piece, b"\n\n"));
        assert!(fails(MAX_EVENT + 1, piece, b"xx"));
        assert!(fails(2 * MAX_EVENT, piece, b"xx"));
    }
}
