//! The framings of streamed answers, behind one face.

use std::borrow::Cow;

use crate::eventstream::{self, Value};
use crate::filter::BodyKind;
use crate::sse;

/// One frame of a stream.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// The event's name; of Amazon's framing, the type of the event or exception.
    pub name: Option<&'a str>,
    /// Its data; `None` if it has none that is text (comments, keep-alives).
    pub data: Option<Cow<'a, str>>,
    /// The bytes it came as.
    pub raw: &'a [u8],
}

/// The stream cannot be followed any further: a frame is too long or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFrame;

/// Cuts a stream, chunk by chunk, into frames.
#[derive(Debug)]
pub enum Framer {
    /// Server-sent events.
    Sse(sse::Framer),
    /// Amazon's binary event stream.
    Aws(eventstream::Decoder),
}

impl Framer {
    /// For a body of this kind.
    pub fn of(kind: BodyKind) -> Framer {
        match kind {
            BodyKind::AwsEventStream => Framer::Aws(eventstream::Decoder::new()),
            _ => Framer::Sse(sse::Framer::new()),
        }
    }

    /// Takes the next bytes and hands over every frame that is complete with them.
    ///
    /// # Errors
    ///
    /// [`BadFrame`], after the frames before the bad one have been handed over.
    pub fn push(
        &mut self,
        chunk: &[u8],
        mut on_frame: impl FnMut(Frame<'_>),
    ) -> Result<(), BadFrame> {
        match self {
            Framer::Sse(framer) => {
                framer.push(chunk, |event| on_frame(of_sse(&event))).map_err(|_| BadFrame)
            }
            Framer::Aws(decoder) => {
                decoder.push(chunk, |message| on_frame(of_aws(&message))).map_err(|_| BadFrame)
            }
        }
    }

    /// The stream has ended. Hands over what was left unfinished, if the framing allows that.
    ///
    /// # Errors
    ///
    /// [`BadFrame`] if it ended within a frame of a framing that tells lengths.
    pub fn finish(self, on_frame: impl FnOnce(Frame<'_>)) -> Result<(), BadFrame> {
        match self {
            Framer::Sse(framer) => {
                framer.finish(|event| on_frame(of_sse(&event)));
                Ok(())
            }
            Framer::Aws(decoder) => decoder.finish().map_err(|_| BadFrame),
        }
    }
}

fn of_sse<'a>(event: &sse::Event<'a>) -> Frame<'a> {
    let (name, data) = event.name_and_data();
    Frame { name, data, raw: event.raw() }
}

fn of_aws<'a>(message: &eventstream::Message<'a>) -> Frame<'a> {
    let header = |name| message.header(name).as_ref().and_then(Value::as_str);
    let name = header(":event-type")
        .or_else(|| header(":exception-type"))
        .or_else(|| header(":error-code"));
    let payload = String::from_utf8_lossy(message.payload());
    // An error of the transport tells its words in a header.
    let data = match header(":error-message") {
        Some(words) if payload.is_empty() => {
            Cow::Owned(crate::json::text_of(&serde_json::json!({ "message": words })))
        }
        _ => payload,
    };
    Frame { name, data: Some(data), raw: message.raw() }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    type Seen = Vec<(Option<String>, Option<String>)>;

    fn frames(kind: BodyKind, bytes: &[u8], at: usize) -> (Seen, Result<(), BadFrame>) {
        let mut seen = Vec::new();
        let mut framer = Framer::of(kind);
        let mut note = |frame: Frame<'_>| {
            seen.push((frame.name.map(str::to_owned), frame.data.map(Cow::into_owned)));
        };
        let (one, other) = bytes.split_at(at);
        let pushed = framer.push(one, &mut note).and_then(|()| framer.push(other, &mut note));
        let ended = pushed.and_then(|()| framer.finish(&mut note));
        (seen, ended)
    }

    #[test]
    fn both_framings_look_the_same() {
        let sse = b"event: a\ndata: {}\n\n: ping\n\ndata: x\n\n".to_vec();
        let mut aws = Vec::new();
        let event =
            [(":message-type", Value::String("event")), (":event-type", Value::String("a"))];
        eventstream::encode(event, b"{}", &mut aws).unwrap();
        let exception = [
            (":message-type", Value::String("exception")),
            (":exception-type", Value::String("throttlingException")),
        ];
        eventstream::encode(exception, b"{\"message\":\"slow\"}", &mut aws).unwrap();
        let error = [
            (":message-type", Value::String("error")),
            (":error-code", Value::String("Internal")),
            (":error-message", Value::String("oh")),
        ];
        eventstream::encode(error, b"", &mut aws).unwrap();
        let text = |text: &str| Some(text.to_owned());
        for at in 0..sse.len() {
            let (seen, ended) = frames(BodyKind::EventStream, &sse, at);
            assert_eq!(seen, [(text("a"), text("{}")), (None, None), (None, text("x"))]);
            assert_eq!(ended, Ok(()));
        }
        for at in 0..aws.len() {
            let (seen, ended) = frames(BodyKind::AwsEventStream, &aws, at);
            let expected = [
                (text("a"), text("{}")),
                (text("throttlingException"), text("{\"message\":\"slow\"}")),
                (text("Internal"), text("{\"message\":\"oh\"}")),
            ];
            assert_eq!(seen, expected);
            assert_eq!(ended, Ok(()));
            let cut = aws.get(..aws.len() - 1).unwrap();
            assert_eq!(frames(BodyKind::AwsEventStream, cut, at.min(cut.len())).1, Err(BadFrame));
        }
    }
}
