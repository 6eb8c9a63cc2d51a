//! Framing of Server-Sent Events (`text/event-stream`), the format in which the LLM providers
//! stream their answers.
//!
//! Source of the format: WHATWG HTML, section "Server-sent events", "Parsing an event stream" and
//! "Interpreting an event stream".
//!
//! The bytes of all [`Event::raw`] of a stream, one after the other, are the bytes of the stream,
//! however it was split into chunks. So whoever lets every event pass as it is has changed nothing.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr2};

/// The longest event, in bytes (1 MiB), from after one blank line to the end of the next. The
/// second byte of a CRLF that ends the event does not count, because it may come later.
pub const MAX_EVENT: usize = 1 << 20;

/// The most memory, in bytes, that a framer keeps between two events.
const KEPT_CAPACITY: usize = 64 * 1024;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// An event grew over [`MAX_EVENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event of the stream is longer than {MAX_EVENT} bytes")
    }
}

impl std::error::Error for TooLong {}

/// Cuts a stream, chunk by chunk, into events.
///
/// An event that lies whole within a chunk is borrowed from it. Only the beginning of an event that
/// goes on in the next chunk is copied. No byte is searched twice for a line end.
///
/// Lines end with LF, CRLF or CR, mixed at will. An event is handed over as soon as its blank line
/// is certain, for CRLF that is at the CR. If the chunk ends there, the LF that may begin the next
/// chunk is handed over as an event of its own, of this one byte and without data; nothing waits
/// for it, and it never stands between an ended stream and a clean [`Framer::finish`].
#[derive(Debug, Default)]
pub struct Framer {
    /// The beginning of the current event, from earlier chunks.
    carry: Vec<u8>,
    /// Where the current line begins, counted from the beginning of the current event.
    line: usize,
    /// The last byte was a CR: a LF that comes now belongs to the same line end.
    after_cr: bool,
    /// The first event has been handed over, so a BOM is no longer one.
    begun: bool,
    failed: bool,
}

impl Framer {
    /// A framer at the beginning of a stream.
    pub fn new() -> Framer {
        Framer::default()
    }

    /// Takes the next bytes of the stream, and hands over every event that is complete with them.
    ///
    /// A blank line with nothing before it is an event too, one without data.
    ///
    /// # Errors
    ///
    /// [`TooLong`] if an event is longer than [`MAX_EVENT`], after the events before it have been
    /// handed over. Where an event ends cannot be told from then on: every further push is an error
    /// and keeps nothing of its chunk. What was pushed and not handed over is in
    /// [`Framer::take_rest`].
    pub fn push(
        &mut self,
        chunk: &[u8],
        mut on_event: impl FnMut(Event<'_>),
    ) -> Result<(), TooLong> {
        if self.failed {
            return Err(TooLong);
        }
        // The part of the chunk that is not handed over yet, and how much of it is searched.
        let mut rest = chunk;
        let mut searched = 0;
        if self.after_cr && !chunk.is_empty() {
            self.after_cr = false;
            if let Some((b"\n", tail)) = chunk.split_at_checked(1) {
                if self.carry.is_empty() {
                    on_event(Event { raw: b"\n", first: false });
                    rest = tail;
                } else {
                    self.line += 1;
                    searched = 1;
                }
            }
        }
        while let Some(at) = find_line_end(rest, searched) {
            let blank = self.is_blank(rest, at);
            let is_cr = rest.get(at) == Some(&b'\r');
            let is_crlf = is_cr && rest.get(at + 1) == Some(&b'\n');
            let after = if is_crlf { at + 2 } else { at + 1 };
            self.after_cr = is_cr && at + 1 == rest.len();
            if !blank {
                self.line = self.carry.len() + after;
                searched = after;
                continue;
            }
            if self.carry.len() + at >= MAX_EVENT {
                return self.fail(rest);
            }
            let (event, tail) = rest.split_at_checked(after).unwrap_or((rest, &[]));
            self.hand_over(event, &mut on_event);
            rest = tail;
            searched = 0;
        }
        if self.carry.len() + rest.len() > MAX_EVENT {
            return self.fail(rest);
        }
        self.carry.extend_from_slice(rest);
        Ok(())
    }

    /// The stream has ended: hands over what is left after the last blank line, if anything.
    ///
    /// A client following the specification drops such an event. It is handed over nonetheless, so
    /// that no byte is lost. After an error nothing is handed over, see [`Framer::take_rest`].
    pub fn finish(self, on_event: impl FnOnce(Event<'_>)) {
        if !self.failed && !self.carry.is_empty() {
            on_event(Event { raw: &self.carry, first: !self.begun });
        }
    }

    /// After an error of [`Framer::push`], the bytes that were pushed up to and with the failed
    /// chunk and were not handed over in an event. Whoever wants to let the stream pass sends them
    /// first, and then every further chunk as it is.
    ///
    /// Empty when called again, and as long as there was no error.
    pub fn take_rest(&mut self) -> Vec<u8> {
        if self.failed { std::mem::take(&mut self.carry) } else { Vec::new() }
    }

    /// Whether the line that ends at `end` of `rest` is blank.
    fn is_blank(&self, rest: &[u8], end: usize) -> bool {
        let end = self.carry.len() + end;
        if end == self.line {
            return true;
        }
        // The BOM is no part of the first line.
        !self.begun
            && self.line == 0
            && end == BOM.len()
            && self.carry.iter().chain(rest).take(end).eq(BOM)
    }

    /// Hands over the event that ends with `end`.
    fn hand_over(&mut self, end: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        let first = !self.begun;
        self.begun = true;
        self.line = 0;
        if self.carry.is_empty() {
            on_event(Event { raw: end, first });
            return;
        }
        self.carry.extend_from_slice(end);
        on_event(Event { raw: &self.carry, first });
        self.carry.clear();
        self.carry.shrink_to(KEPT_CAPACITY);
    }

    fn fail(&mut self, rest: &[u8]) -> Result<(), TooLong> {
        self.failed = true;
        self.carry.extend_from_slice(rest);
        Err(TooLong)
    }
}

/// The index of the first CR or LF of `bytes` at or after `from`.
fn find_line_end(bytes: &[u8], from: usize) -> Option<usize> {
    let found = memchr2(b'\n', b'\r', bytes.get(from..)?);
    #[cfg(test)]
    tests::count(found.map_or(bytes.len() - from, |at| at + 1));
    found.map(|at| from + at)
}

/// One event of a stream. Its fields are read anew at every call.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    raw: &'a [u8],
    first: bool,
}

impl<'a> Event<'a> {
    /// The exact bytes: the lines, comments among them, with the blank line that ends them, and
    /// the BOM if this is the first event of the stream.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The values of all `data` fields, joined with LF; borrowed if there is only one.
    ///
    /// `None` if there is no such field (a comment, the usual keep-alive), or one is not UTF-8;
    /// [`Event::is_utf8`] tells which.
    pub fn data(&self) -> Option<Cow<'a, str>> {
        let mut values = self.values(b"data");
        let mut data = Cow::Borrowed(std::str::from_utf8(values.next()?).ok()?);
        for value in values {
            let value = std::str::from_utf8(value).ok()?;
            let joined = data.to_mut();
            joined.push('\n');
            joined.push_str(value);
        }
        Some(data)
    }

    /// [`Event::name`] and [`Event::data`], found in one pass.
    pub fn name_and_data(&self) -> (Option<&'a str>, Option<Cow<'a, str>>) {
        let (mut name, mut data, mut broken) = (None, None::<Cow<'a, str>>, false);
        for line in self.lines() {
            match line.first() {
                Some(b'd') => {
                    let Some(value) = field(line, b"data") else { continue };
                    let Ok(value) = std::str::from_utf8(value) else {
                        broken = true;
                        continue;
                    };
                    data = Some(match data.take() {
                        None => Cow::Borrowed(value),
                        Some(mut data) => {
                            let joined = data.to_mut();
                            joined.push('\n');
                            joined.push_str(value);
                            data
                        }
                    });
                }
                Some(b'e') => name = field(line, b"event").or(name),
                _ => {}
            }
        }
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        (name.filter(|name| !name.is_empty()), data.filter(|_| !broken))
    }

    /// False if a `data` field is not UTF-8. Then [`Event::data`] is `None` although there is data.
    pub fn is_utf8(&self) -> bool {
        self.values(b"data").all(|value| std::str::from_utf8(value).is_ok())
    }

    /// The value of the last `event` field. An empty one counts as none, as in the specification;
    /// so does one that is not UTF-8.
    pub fn name(&self) -> Option<&'a str> {
        let value = std::str::from_utf8(self.values(b"event").last()?).ok()?;
        Some(value).filter(|value| !value.is_empty())
    }

    /// The value of the last `id` field that has no NUL and is UTF-8. An empty one is a value: it
    /// resets the id of the stream.
    pub fn id(&self) -> Option<&'a str> {
        let valid = self.values(b"id").filter(|value| memchr(0, value).is_none());
        valid.filter_map(|value| std::str::from_utf8(value).ok()).last()
    }

    /// The time to wait before reconnecting, in milliseconds: the last `retry` field that is a
    /// number of ASCII digits and fits.
    pub fn retry(&self) -> Option<u64> {
        let digits = self.values(b"retry").filter(|value| value.iter().all(u8::is_ascii_digit));
        digits.filter_map(|value| std::str::from_utf8(value).ok()?.parse().ok()).last()
    }

    /// The values of the fields of this name, in their order.
    fn values(&self, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.lines().filter_map(move |line| field(line, name))
    }

    fn lines(&self) -> Lines<'a> {
        let bom = if self.first { self.raw.strip_prefix(BOM) } else { None };
        Lines { rest: bom.unwrap_or(self.raw) }
    }
}

/// The value of a line that is a field of this name.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// The lines of an event. There is an empty one more within every CRLF, which has no fields either.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr2(b'\n', b'\r', self.rest).unwrap_or(self.rest.len());
        let (line, tail) = self.rest.split_at_checked(end)?;
        self.rest = tail.get(1..).unwrap_or_default();
        Some(line)
    }
}

/// Appends an event: `event` if there is a name, a `data` field for each line of `data`, and the
/// blank line. Reading it gives `data` again, with LF for each CRLF and CR.
///
/// A line end within the name would begin another field, so it is left out.
pub fn write_event(out: &mut Vec<u8>, name: Option<&str>, data: &str) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend(name.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
        out.push(b'\n');
    }
    let mut rest = data.as_bytes();
    loop {
        let end = memchr2(b'\n', b'\r', rest);
        let (line, tail) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = match tail {
            [b'\r', b'\n', tail @ ..] | [_, tail @ ..] => tail,
            [] => break,
        };
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    thread_local! {
        static SEARCHED: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count(bytes: usize) {
        SEARCHED.with(|sum| sum.set(sum.get() + bytes));
    }

    /// The raw bytes and the data of every event.
    fn frame(chunks: &[&[u8]]) -> Vec<(String, Option<String>)> {
        let mut events = Vec::new();
        let mut framer = Framer::new();
        let mut add = |event: Event<'_>| {
            let raw = String::from_utf8(event.raw().to_vec()).unwrap();
            events.push((raw, event.data().map(Cow::into_owned)));
        };
        for chunk in chunks {
            framer.push(chunk, &mut add).unwrap();
        }
        framer.finish(&mut add);
        events
    }

    fn event(raw: &str, data: Option<&str>) -> (String, Option<String>) {
        (raw.to_owned(), data.map(str::to_owned))
    }

    #[test]
    fn every_line_end_ends_a_line() {
        for ends in ["\n\n", "\r\n\r\n", "\r\r", "\n\r\n", "\n\r"] {
            let raw = &["data: a", ends].concat();
            let stream = [raw, "data: b\n\n"].concat();
            let expected = [event(raw, Some("a")), event("data: b\n\n", Some("b"))];
            assert_eq!(frame(&[stream.as_bytes()]), expected, "{raw:?}");
        }
    }

    #[test]
    fn does_not_wait_for_the_last_lf() {
        let a = [event("data: a\r\n\r", Some("a")), event("\n", None)];
        let b = [event("data: b\r\n\r", Some("b")), event("\n", None)];
        assert_eq!(frame(&[b"data: a\r\n\r", b"\ndata: b\r", b"\n\r", b"\n"]), [a, b].concat());
        // An empty chunk does not part a CR from its LF.
        let events = frame(&[b"data: a\r", b"", b"\ndata: b\n\n"]);
        assert_eq!(events, [event("data: a\r\ndata: b\n\n", Some("a\nb"))]);
    }

    #[test]
    fn the_bom_is_no_part_of_the_first_line() {
        for (stream, data) in [("\u{FEFF}data: a\n\n", Some("a")), ("\u{FEFF}\n", None)] {
            assert_eq!(frame(&[stream.as_bytes()]), [event(stream, data)]);
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            assert_eq!(frame(&bytes), [event(stream, data)]);
        }
        let later = frame(&["\n\u{FEFF}data: a\n\n".as_bytes()]);
        assert_eq!(later.last().unwrap().1, None);
    }

    #[test]
    fn reads_the_fields() {
        let read = |raw| Event { raw, first: true };
        let event = read(b"event: x\nevent:y\nid: 1\nid: \0\nretry: 10\nretry: -1\ndata: {}\n\n");
        assert_eq!((event.name(), event.id(), event.retry()), (Some("y"), Some("1"), Some(10)));
        assert!(matches!(event.data(), Some(Cow::Borrowed("{}"))));
        let event = read(b"event\ndata\ndata:  a\r\ndatax: b\ndata:b: c\nid\nretry");
        assert_eq!((event.name(), event.id(), event.retry()), (None, Some(""), None));
        assert_eq!(event.name_and_data(), (None, event.data()));
        assert_eq!(event.data().as_deref(), Some("\n a\nb: c"));
        let event = read(b"event: x\ndata: \xFF\n\n");
        assert_eq!((event.data(), event.is_utf8(), event.name()), (None, false, Some("x")));
        assert_eq!(event.name_and_data(), (Some("x"), None));
        let event = read(b": \xFF\n\n");
        assert_eq!((event.data(), event.is_utf8(), event.name()), (None, true, None));
    }

    #[test]
    fn no_byte_is_searched_twice() {
        let mut stream = b"\xEF\xBB\xBF: a\r\n\r\n".to_vec();
        stream.extend_from_slice(&b"data: 0123456789\r\n".repeat(500));
        stream.extend_from_slice(b"\r\ndata: x");
        for piece in [1, 2, 7, stream.len()] {
            SEARCHED.with(|sum| sum.set(0));
            let mut framer = Framer::new();
            stream.chunks(piece).for_each(|chunk| framer.push(chunk, |_| {}).unwrap());
            assert!(SEARCHED.with(Cell::get) <= stream.len());
        }
    }

    #[test]
    fn writes_a_data_field_for_each_line() {
        let mut out = Vec::new();
        write_event(&mut out, None, "a\r\nb\rc\n");
        write_event(&mut out, Some("x\ndata: y"), "");
        assert_eq!(out, b"data: a\ndata: b\ndata: c\ndata: \n\nevent: xdata: y\ndata: \n\n");
    }
}
