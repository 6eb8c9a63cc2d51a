//! The bytes of an answer: how they are framed, cut into writes, paced, and broken off.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use shared::eventstream::{self, Value};
use tokio::time::{Instant, Sleep};

use crate::record::Guard;
use crate::script::{Script, Split};

/// Long enough for everything written before to leave before the connection breaks.
const BEFORE_ABORT: Duration = Duration::from_millis(5);
const STALL: Duration = Duration::from_secs(3600);

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Event {
    /// The name on the `event:` line or in the `:event-type` header, if the protocol has one.
    pub(crate) name: Option<&'static str>,
    /// The text after `data: `, or with [`Framing::Raw`] the bytes as they are.
    pub(crate) data: Vec<u8>,
    /// Carries a token, so that pacing applies to it.
    pub(crate) token: bool,
    /// Says that the stream is complete.
    pub(crate) terminal: bool,
}

impl Event {
    /// An event without a name.
    pub(crate) fn data(data: impl Into<Vec<u8>>) -> Self {
        Event { data: data.into(), ..Event::default() }
    }

    /// An event with a name.
    pub(crate) fn named(name: &'static str, data: impl Into<Vec<u8>>) -> Self {
        Event { name: Some(name), ..Event::data(data) }
    }

    /// Marks the event as carrying a token.
    pub(crate) fn token(self) -> Self {
        Event { token: true, ..self }
    }

    /// Marks the event as the end of the stream.
    pub(crate) fn terminal(self) -> Self {
        Event { terminal: true, ..self }
    }
}

/// How events become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Sse,
    /// Amazon's event stream; an event whose name ends with `Exception` is one.
    EventStream,
    /// The data as it is: binary framings, and whole bodies.
    Raw,
    /// The members of a JSON array, as Google's APIs stream them unless asked for events.
    Array,
}

/// One thing to do while answering.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Wait until so much time has passed since the first step.
    Until(Duration),
    /// Let everything written so far leave.
    Flush,
    /// Write bytes that complete so many events.
    Write(Bytes, usize),
    /// Break the connection.
    Abort,
}

/// Plans a whole body, which cannot end early without breaking the connection.
pub(crate) fn plan_body(body: Vec<u8>, script: &Script) -> Vec<Step> {
    let mut script = script.clone();
    script.end_after_events = None;
    script.error_after_events = None;
    script.cut_after_events = script.cut_after_events.filter(|events| *events == 0);
    plan(vec![Event::data(body)], Framing::Raw, &script, Vec::new())
}

/// Plans a stream; `error` is what it says where the script wants an error.
pub(crate) fn plan(
    mut events: Vec<Event>,
    framing: Framing,
    script: &Script,
    error: Vec<Event>,
) -> Vec<Step> {
    spoil(&mut events, framing, script);
    if let Some(kept) = script.error_after_events {
        events.truncate(kept);
        events.extend(error);
    }
    if let Some(kept) = script.end_after_events {
        events.truncate(kept);
        events.retain(|event| !event.terminal);
    }
    let mut abort = false;
    if let Some(kept) = script.cut_after_events {
        events.truncate(kept);
        abort = true;
    }

    let times = schedule(&events, script);
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    if script.bom {
        bytes.extend_from_slice("\u{feff}".as_bytes());
    }
    for (number, event) in events.iter().enumerate() {
        if framing == Framing::Sse && script.comments {
            bytes.extend_from_slice(comment(number, script.crlf).as_bytes());
        }
        if framing == Framing::Array {
            bytes.extend_from_slice(if number == 0 { b"[" } else { b",\r\n" });
        }
        frame(event, framing, script.crlf, &mut bytes);
        ends.push(bytes.len());
    }
    if framing == Framing::Array && !abort && script.end_after_events.is_none() {
        bytes.extend_from_slice(b"\r\n]");
        if let Some(end) = ends.last_mut() {
            *end = bytes.len();
        }
    }
    if let Some(kept) = script.cut_after_bytes {
        bytes.truncate(kept);
        abort = true;
    }

    let bytes = Bytes::from(bytes);
    let mut steps = Vec::new();
    let (mut start, mut done, mut clock) = (0, 0, Duration::ZERO);
    for end in cuts(bytes.len(), &ends, &script.split) {
        let completed = ends.iter().skip(done).take_while(|event| **event <= end).count();
        // A write may go out once the event of its last byte is due.
        let last = done + ends.iter().skip(done).take_while(|event| **event < end).count();
        let mut due = times.get(last).copied().unwrap_or(clock);
        if start > 0 {
            due = due.max(clock + Duration::from_millis(script.split_ms));
        }
        if due > clock {
            clock = due;
            steps.push(Step::Until(due));
        } else if start > 0 {
            steps.push(Step::Flush);
        }
        steps.push(Step::Write(bytes.slice(start..end), completed));
        start = end;
        done += completed;
    }
    // A pause after the last event holds back the end.
    let end = times.last().copied().filter(|end| *end > clock);
    if let Some(end) = end {
        clock = end;
        steps.push(Step::Until(end));
    }
    if abort {
        steps.extend([Step::Flush, Step::Until(clock + BEFORE_ABORT), Step::Abort]);
    }
    steps
}

/// Makes the JSON of a stream wrong where the script wants it; whole bodies come here spoilt.
fn spoil(events: &mut [Event], framing: Framing, script: &Script) {
    if framing == Framing::Raw {
        return;
    }
    if script.garbage {
        let second = 1.min(events.len().saturating_sub(1));
        if let Some(event) = events.get_mut(second) {
            event.data = b"<not json>".to_vec();
        }
    }
    if script.truncate_json
        && let Some(event) = events.iter_mut().rev().find(|event| !event.terminal)
    {
        event.data.truncate(event.data.len() / 2);
    }
}

/// When each event is due, and at last when the stream ends.
fn schedule(events: &[Event], script: &Script) -> Vec<Duration> {
    let ttft = Duration::from_millis(script.ttft_ms);
    let gap = script
        .tokens_per_second
        .map_or(Duration::ZERO, |pace| Duration::try_from_secs_f64(1.0 / pace).unwrap_or(STALL));
    let first = events.iter().position(|event| event.token).unwrap_or(0);
    let mut times = Vec::with_capacity(events.len() + 1);
    let (mut clock, mut tokens) = (Duration::ZERO, 0u32);
    for number in 0..=events.len() {
        if script.stall_after_events == Some(number) {
            clock += script.stall_ms.map_or(STALL, Duration::from_millis);
        }
        if number == first && number < events.len() {
            clock += ttft;
        }
        if events.get(number).is_some_and(|event| event.token) {
            if tokens > 0 {
                clock += gap;
            }
            tokens += 1;
        }
        times.push(clock);
    }
    times
}

fn frame(event: &Event, framing: Framing, crlf: bool, bytes: &mut Vec<u8>) {
    match framing {
        Framing::Sse => {}
        Framing::EventStream => return frame_message(event, bytes),
        Framing::Raw | Framing::Array => return bytes.extend_from_slice(&event.data),
    }
    let line = if crlf { "\r\n" } else { "\n" };
    if let Some(name) = event.name {
        bytes.extend_from_slice(format!("event: {name}{line}").as_bytes());
    }
    bytes.extend_from_slice(b"data: ");
    bytes.extend_from_slice(&event.data);
    bytes.extend_from_slice(line.repeat(2).as_bytes());
}

fn frame_message(event: &Event, bytes: &mut Vec<u8>) {
    let name = event.name.unwrap_or_default();
    let (key, kind) = match name.ends_with("Exception") {
        true => (":exception-type", "exception"),
        false => (":event-type", "event"),
    };
    let headers = [(key, name), (":content-type", "application/json"), (":message-type", kind)];
    let headers = headers.map(|(name, value)| (name, Value::String(value)));
    // Only what is longer than 16 MB cannot be written.
    let _ = eventstream::encode(headers, &event.data, bytes);
}

/// Comments both as a block of their own and right before an event's first line.
fn comment(number: usize, crlf: bool) -> &'static str {
    match (number.is_multiple_of(2), crlf) {
        (true, false) => ": keep-alive\n\n",
        (true, true) => ": keep-alive\r\n\r\n",
        (false, false) => ":\n",
        (false, true) => ":\r\n",
    }
}

/// The ends of the writes of a body of `length` bytes whose events end at `ends`.
fn cuts(length: usize, ends: &[usize], split: &Split) -> Vec<usize> {
    let mut cuts: Vec<usize> = match split {
        Split::Event => ends.to_vec(),
        Split::Whole => Vec::new(),
        Split::Every(step) => (0..length).step_by(step.get()).collect(),
        Split::At(offsets) => offsets.clone(),
    };
    cuts.retain(|cut| *cut > 0 && *cut < length);
    if length > 0 {
        cuts.push(length);
    }
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// The reason of a broken connection.
#[derive(Debug)]
pub(crate) struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the script breaks the connection")
    }
}

impl std::error::Error for Aborted {}

/// A response body that plays its steps.
#[derive(Debug)]
pub(crate) struct Playback {
    steps: VecDeque<Step>,
    start: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    length: Option<u64>,
    guard: Option<Guard>,
}

impl Playback {
    /// A body of known or unknown length; the guard learns what becomes of it.
    pub(crate) fn new(steps: Vec<Step>, length: Option<u64>, guard: Option<Guard>) -> Self {
        let playback = Playback { steps: steps.into(), start: None, sleep: None, length, guard };
        playback.note_end();
        playback
    }

    /// Notes the status of the response this is the body of.
    pub(crate) fn note_status(&self, status: u16) {
        if let Some(guard) = &self.guard {
            guard.status(status);
        }
    }

    /// To be called when a step is over, so that leaving during a last pause still counts.
    fn note_end(&self) {
        if let (true, Some(guard)) = (self.steps.is_empty(), &self.guard) {
            guard.finish();
        }
    }
}

impl From<String> for Playback {
    fn from(body: String) -> Self {
        let length = body.len() as u64;
        let steps = if body.is_empty() { vec![] } else { vec![Step::Write(body.into(), 0)] };
        Playback::new(steps, Some(length), None)
    }
}

impl Body for Playback {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let this = self.get_mut();
        loop {
            if let Some(sleep) = &mut this.sleep {
                match sleep.as_mut().poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => this.sleep = None,
                }
            }
            let Some(step) = this.steps.pop_front() else {
                this.note_end();
                return Poll::Ready(None);
            };
            match step {
                Step::Until(time) => {
                    let start = *this.start.get_or_insert_with(Instant::now);
                    this.sleep = Some(Box::pin(tokio::time::sleep_until(start + time)));
                }
                Step::Flush => {
                    // The server writes out what it has whenever the body is not ready.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Step::Write(bytes, events) => {
                    if let Some(guard) = &this.guard {
                        guard.sent(events);
                    }
                    // A body of known length is not asked for more.
                    this.note_end();
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Step::Abort => {
                    this.note_end();
                    return Poll::Ready(Some(Err(Aborted)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.sleep.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests;
