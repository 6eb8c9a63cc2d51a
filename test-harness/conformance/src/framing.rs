//! Streams cut at awkward places, and the events that must come out of them.

use std::path::Path;

use serde_json::{Value, json};
use shared::filter::BodyKind;
use shared::frames::Framer;

use crate::files;
use crate::vectors::{Task, Work};

/// What is to be done with one folder: `input.bin`, or its pieces `input-1.bin` and so on, and
/// `expected-output.json`.
pub(crate) fn case(folder: &Path) -> Result<Work, String> {
    let mut pieces = Vec::new();
    for path in files(folder)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("input") {
            pieces.push(std::fs::read(&path).map_err(|error| error.to_string())?);
        }
    }
    let first = pieces.first().and_then(|piece| piece.first()).copied();
    let kind = match first {
        Some(b'd' | b'e' | b':') => BodyKind::EventStream,
        Some(0) => BodyKind::AwsEventStream,
        Some(b'[' | b',') => {
            let why = "a JSON array, which Gemini sends only if it is not asked for `alt=sse`; it \
                       always is";
            return Ok(Work::Unsupported(why.into()));
        }
        Some(b'{') => {
            let why = "a document a line, as Cohere's older API streamed; its v2 streams events";
            return Ok(Work::Unsupported(why.into()));
        }
        _ => return Err("the kind of stream is not known".into()),
    };
    let expected = folder.join("expected-output.json");
    let expected = std::fs::read_to_string(expected).map_err(|error| error.to_string())?;
    let expected = serde_json::from_str(&expected).map_err(|error| error.to_string())?;
    Ok(Work::Compare(Task::Framing { kind, pieces, expected: theirs(expected) }))
}

/// The events' data; of Amazon's events the type and the payload, which stand in JSON in it.
fn theirs(events: Value) -> Value {
    let Value::Array(events) = events else { return Value::Null };
    events
        .into_iter()
        .map(|event| {
            let data = event.get("data").and_then(Value::as_str).unwrap_or_default();
            let wrapped: Value = serde_json::from_str(data).unwrap_or_default();
            match (wrapped.get("headers"), wrapped.get("body").and_then(Value::as_str)) {
                (Some(headers), Some(body)) => {
                    json!({ "name": headers.get(":event-type"), "data": body })
                }
                _ => json!({ "data": data }),
            }
        })
        .collect()
}

/// What our framers make of the pieces; and the same if it comes byte by byte, or the difference.
pub(crate) fn ours(kind: BodyKind, pieces: &[Vec<u8>]) -> Value {
    let given = framed(kind, pieces.iter().map(Vec::as_slice));
    let bytes = pieces.concat();
    let single = framed(kind, bytes.chunks(1));
    if given == single {
        return given;
    }
    json!({ "as cut": given, "byte by byte": single })
}

fn framed<'p>(kind: BodyKind, pieces: impl Iterator<Item = &'p [u8]>) -> Value {
    let mut events = Vec::new();
    let mut framer = Framer::of(kind);
    let mut note = |frame: shared::frames::Frame<'_>| {
        if let Some(data) = frame.data {
            events.push(match frame.name {
                Some(name) => json!({ "name": name, "data": data }),
                None => json!({ "data": data }),
            });
        }
    };
    let mut whole = true;
    for piece in pieces {
        whole &= framer.push(piece, &mut note).is_ok();
    }
    whole &= framer.finish(&mut note).is_ok();
    if !whole {
        events.push(json!("damaged"));
    }
    events.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_framings_give_their_events() {
        let pieces = [b"data: a\n\nda".to_vec(), b"ta: b\n\n".to_vec()];
        assert_eq!(ours(BodyKind::EventStream, &pieces), json!([{ "data": "a" }, { "data": "b" }]));
        let broken = [vec![0, 0, 0, 99, 0, 0]];
        assert_eq!(ours(BodyKind::AwsEventStream, &broken), json!(["damaged"]));
    }

    #[test]
    fn an_event_of_amazons_is_unwrapped() {
        let data = r#"{"headers":{":event-type":"messageStop"},"body":"{}"}"#;
        let events = theirs(json!([{ "data": data }, { "data": "{\"a\":1}" }]));
        assert_eq!(
            events,
            json!([{ "name": "messageStop", "data": "{}" }, { "data": "{\"a\":1}" }])
        );
    }
}
