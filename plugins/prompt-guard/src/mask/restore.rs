//! Placeholders of an answer become values again, however the answer is cut.
//!
//! What may still become a placeholder is held back until the next piece shows, or the text ends. So any
//! cutting gives the same text, and no more than a placeholder's length is ever held.

use shared::small_map::SmallMap;
use std::rc::Rc;

use shared::json::JsonStr;
use shared::texts::{self, Kind, Text};

use super::rest::alone;
use super::{Masks, names};
use crate::answers::{Seen, Watch};
use crate::policy::Policy;
use crate::refusal::unfinished;

/// The text with values for placeholders; `None` if there are none. `nested`: it is a JSON document in
/// a string, in which values must be escaped.
pub fn whole(masks: &Masks, text: &str, nested: bool) -> Option<String> {
    let mut out = String::new();
    let mut done = 0;
    for (start, end) in names::find_all(text) {
        let Some(value) = text.get(start..end).and_then(|placeholder| masks.value(placeholder))
        else {
            continue;
        };
        out.push_str(text.get(done..start).unwrap_or_default());
        if nested {
            out.push_str(JsonStr::encode(value).escaped());
        } else {
            out.push_str(value);
        }
        done = end;
    }
    if done == 0 {
        return None;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Some(out)
}

/// Where something begins that may become a placeholder.
fn unfinished_placeholder(text: &str) -> usize {
    let from = (text.len().saturating_sub(names::MAX_LEN)..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len());
    let tail = text.as_bytes().get(from..).unwrap_or_default();
    match memchr::memrchr(b'[', tail) {
        Some(open) if names::may_begin(tail.get(open..).unwrap_or_default()) => from + open,
        _ => text.len(),
    }
}

/// A text of a stream: which answer, which part, of what kind, in which member.
type Place = (u32, u32, Kind, u32);

/// The texts of one streamed answer.
#[derive(Debug, Default)]
pub struct Stream {
    /// What the texts are looked at for, before anything comes back in them.
    policy: Option<Rc<Policy>>,
    seen: Seen,
    lines: SmallMap<Place, Line>,
    events: texts::Events,
    /// What the model has said, text by text, for who wants to hear it.
    heard: Option<SmallMap<Place, String>>,
}

/// What is known of a text, and the last event of it, to send it with if no other comes.
#[derive(Debug, Default)]
struct Line {
    watch: Watch,
    /// What may become a placeholder.
    text: String,
    before: String,
    after: String,
    name: Option<String>,
    /// Something is held back.
    holds: bool,
}

/// An event to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its name.
    pub name: Option<String>,
    /// Its data.
    pub data: String,
}

impl Stream {
    /// Texts that are looked at for what the policy says of answers.
    pub fn new(policy: Rc<Policy>) -> Stream {
        Stream { policy: Some(policy), ..Stream::default() }
    }

    /// Keeps what the model says, with placeholders as they are, until [`Stream::take_heard`].
    pub fn listen(&mut self) {
        self.heard = Some(SmallMap::new());
    }

    /// How much of it is there, in bytes.
    pub fn heard_length(&self) -> usize {
        self.heard.iter().flat_map(|heard| heard.values()).map(String::len).sum()
    }

    /// All of it; each text in lines of its own.
    pub fn take_heard(&mut self) -> String {
        let heard = self.heard.as_mut().map(std::mem::take).unwrap_or_default();
        heard.values().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    fn hear(&mut self, place: Place, text: &str) {
        if let Some(heard) = &mut self.heard {
            heard.entry(place).or_default().push_str(text);
        }
    }

    /// What has been found.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// What becomes of an event: `None` if it goes on as it is; else what is sent in its place. Once
    /// [`Seen::end`] is there, that is the last.
    pub fn event(&mut self, masks: &Masks, name: Option<&str>, data: &str) -> Option<Vec<Sent>> {
        let (found, alike) = self.events.read(data);
        let over = if alike { None } else { finished(data) };
        let closes = !alike && closes(data, &found);
        if closes || over.is_some() {
            self.events.forget();
        }
        let mut out = if closes {
            self.flush(masks, over.as_deref())
        } else if self.thinks() && found.iter().any(answers) && over.is_none() && !calls(&found) {
            // The thoughts are over: their end stands before what follows them.
            let own = |place: &Place| found.iter().any(|text| place_of(text) == *place);
            let follows = |place: &Place| {
                let mut of = found.iter().filter(|text| answers(text));
                of.any(|text| text.message == place.0)
            };
            self.flush_where(masks, |place| {
                place.2 == Kind::Thinking && follows(place) && !own(place)
            })
        } else if over.is_some() || calls(&found) {
            // Its own texts end with it.
            let own = |place: &Place| found.iter().any(|text| place_of(text) == *place);
            let over = |place: &Place| over.as_ref().is_none_or(|over| over.contains(&place.0));
            self.flush_where(masks, |place| over(place) && !own(place))
        } else {
            Vec::new()
        };
        if self.seen.end.is_some() {
            return Some(out);
        }
        let mut changed = String::new();
        let mut done = 0;
        let mut says = false;
        for text in &found {
            let over = over.as_ref().is_some_and(|over| over.contains(&text.message));
            let over = over || calls(&found);
            let Some(new) = self.text(masks, name, data, text, over) else { continue };
            let Some(range) = range_of(data, text.raw.get()) else { continue };
            says |= !new.is_empty() && !text.again;
            changed.push_str(data.get(done..range.0).unwrap_or_default());
            changed.push_str(JsonStr::encode(&new).quoted());
            done = range.1;
        }
        if done == 0 && out.is_empty() {
            return None;
        }
        let ends = self.seen.end.is_some();
        if ends && !says {
            return Some(out);
        }
        let data = if done == 0 {
            data.to_owned()
        } else {
            changed.push_str(data.get(done..).unwrap_or_default());
            if ends { unfinished(&changed) } else { changed }
        };
        out.push(Sent { name: name.map(str::to_owned), data });
        Some(out)
    }

    /// Whether something is held back of what the model has thought.
    fn thinks(&self) -> bool {
        self.lines.iter().any(|(place, line)| place.2 == Kind::Thinking && line.holds)
    }

    /// What one of an event's texts becomes; `None` if it stays.
    fn text(
        &mut self,
        masks: &Masks,
        name: Option<&str>,
        data: &str,
        text: &Text<'_>,
        over: bool,
    ) -> Option<String> {
        let raw = JsonStr::Borrowed(text.raw);
        let string = raw.decode();
        let nested = text.kind == Kind::Arguments;
        if text.again {
            return self.treat(masks, &string, nested);
        }
        self.hear(place_of(text), &string);
        // It has no part in what other events go on with.
        if !text.piece {
            return self.treat(masks, &string, nested);
        }
        let line = self.lines.entry(place_of(text)).or_default();
        let waited = line.holds;
        let mut all = std::mem::take(&mut line.text);
        let watched = match &self.policy {
            Some(policy) => {
                let begun = all.len();
                all.push_str(&line.watch.push(policy, &string, nested, over, &mut self.seen));
                all.get(begun..) != Some(&*string)
            }
            None => {
                all.push_str(&string);
                false
            }
        };
        // What ends here ends for good.
        let cut =
            if over || self.seen.end.is_some() { all.len() } else { unfinished_placeholder(&all) };
        let (now, later) = all.split_at_checked(cut)?;
        line.holds = !later.is_empty() || line.watch.holds();
        if line.holds {
            let (start, end) = range_of(data, text.raw.get())?;
            line.text = later.to_owned();
            line.before = data.get(..start)?.to_owned();
            line.after = data.get(end..)?.to_owned();
            line.name = name.map(str::to_owned);
        }
        match whole(masks, now, nested) {
            Some(restored) => Some(restored),
            None if waited || watched || !later.is_empty() => Some(now.to_owned()),
            None => None,
        }
    }

    /// What a text becomes that is there as a whole, of an answer that is no stream.
    pub fn whole(&mut self, masks: &Masks, text: &str, nested: bool) -> Option<String> {
        let next = self.heard.as_ref().map_or(0, |heard| heard.len());
        self.hear((u32::try_from(next).unwrap_or(u32::MAX), 0, Kind::Text, 0), text);
        self.treat(masks, text, nested)
    }

    fn treat(&mut self, masks: &Masks, text: &str, nested: bool) -> Option<String> {
        let watched = self
            .policy
            .as_ref()
            .map(|policy| Watch::default().push(policy, text, nested, true, &mut self.seen));
        match watched.filter(|watched| watched != text) {
            Some(watched) => Some(whole(masks, &watched, nested).unwrap_or(watched)),
            None => whole(masks, text, nested),
        }
    }

    /// What is still held back of these answers' texts, or of all, whose end has come.
    pub fn flush(&mut self, masks: &Masks, answers: Option<&[u32]>) -> Vec<Sent> {
        self.flush_where(masks, |place| answers.is_none_or(|answers| answers.contains(&place.0)))
    }

    fn flush_where(&mut self, masks: &Masks, ended: impl Fn(&Place) -> bool) -> Vec<Sent> {
        let mut out = Vec::new();
        let places: Vec<Place> = self.lines.keys().copied().collect();
        for place in places.into_iter().filter(ended) {
            let Some(mut line) = self.lines.remove(&place) else { continue };
            if !line.holds || self.seen.end.is_some() {
                continue;
            }
            let nested = place.2 == Kind::Arguments;
            if let Some(policy) = &self.policy {
                line.text.push_str(&line.watch.push(policy, "", nested, true, &mut self.seen));
            }
            let text = whole(masks, &line.text, nested).unwrap_or(line.text);
            if text.is_empty() {
                continue;
            }
            let data = alone(&line.before, &line.after, &text);
            out.push(Sent { name: line.name, data });
        }
        out
    }
}

fn place_of(text: &Text<'_>) -> Place {
    (text.message, text.part, text.kind, text.line)
}

/// Whether this is a piece of what is said after thoughts.
fn answers(text: &Text<'_>) -> bool {
    text.piece && !text.again && !matches!(text.kind, Kind::Thinking | Kind::Signed)
}

/// Whether an event has arguments that are there as a whole, as Gemini's calls have: what was said before
/// them is over.
fn calls(found: &[Text<'_>]) -> bool {
    found.iter().any(|text| text.kind == Kind::Value && !text.piece && !text.again)
}

/// The answers that an event says are over; `None` if it says it of none by its number.
fn finished(data: &str) -> Option<Vec<u32>> {
    #[derive(serde::Deserialize)]
    struct Choices<'a> {
        #[serde(alias = "candidates", default, borrow)]
        choices: Vec<Choice<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Choice<'a> {
        #[serde(default)]
        index: u32,
        #[serde(alias = "finishReason", default, borrow)]
        finish_reason: Option<&'a serde_json::value::RawValue>,
    }
    if !data.contains("\"finish_reason\"") && !data.contains("\"finishReason\"") {
        return None;
    }
    let choices = serde_json::from_str::<Choices<'_>>(data).ok()?.choices;
    // Some servers write an empty one in the events before the last.
    let ends = |choice: &&Choice<'_>| choice.finish_reason.is_some_and(|why| why.get() != "\"\"");
    let over = choices.iter().filter(ends);
    let over: Vec<u32> = over.map(|choice| choice.index).collect();
    (!over.is_empty()).then_some(over)
}

/// Whether an event, which has these texts, says that those before it are over: it has whole texts again,
/// or none at all. Neither a stream's keep-alive nor an empty piece says anything of it.
pub fn closes(data: &str, found: &[Text<'_>]) -> bool {
    found.iter().all(|text| text.again) && !says_nothing(data)
}

/// Whether an event without texts leaves open what comes next.
fn says_nothing(data: &str) -> bool {
    if data.contains("\"ping\"") {
        return true;
    }
    let after = data.split_once("\"finish_reason\"").map_or("", |(_, after)| after);
    let reason = after.trim_start_matches([':', ' ']);
    let finished = reason.starts_with('"') && !reason.starts_with("\"\"");
    data.contains("\"\"") && !finished
}

/// Where a part that was borrowed from a text stands in it.
fn range_of(text: &str, part: &str) -> Option<(usize, usize)> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= text.len()).then_some((start, end))
}

#[cfg(test)]
#[allow(clippy::string_slice)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn masks() -> Masks {
        let mut masks = Masks::default();
        assert_eq!(masks.placeholder("EMAIL", "a\"b@c.de"), "[EMAIL_1]");
        assert_eq!(masks.placeholder("CN_ID", "11010519491231002X"), "[CN_ID_1]");
        masks
    }

    fn chunk(text: &str) -> String {
        json!({"choices": [{"index": 0, "delta": {"content": text}}]}).to_string()
    }

    fn run(pieces: &[&str]) -> String {
        let (masks, mut stream, mut out) = (masks(), Stream::default(), String::new());
        let mut take = |sent: Vec<Sent>| {
            for sent in sent {
                let value: Value = serde_json::from_str(&sent.data).unwrap_or_default();
                out.push_str(value["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
            }
        };
        for piece in pieces {
            let data = chunk(piece);
            let same = vec![Sent { name: None, data: data.clone() }];
            take(stream.event(&masks, None, &data).unwrap_or(same));
        }
        let last = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
        take(stream.event(&masks, None, last).unwrap_or_default());
        assert!(stream.flush(&masks, None).is_empty());
        out
    }

    #[test]
    fn a_placeholder_comes_back_wherever_it_is_cut() {
        let text = "Write to [EMAIL_1], or [EMAIL_2]; [CN_ID_1]![";
        let expected = "Write to a\"b@c.de, or [EMAIL_2]; 11010519491231002X![";
        for at in 0..text.len() {
            let (one, two) = text.split_at(at);
            assert_eq!(run(&[one, two]), expected, "at {at}");
        }
        let single: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(run(&single.iter().map(String::as_str).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn arguments_of_calls_stay_json() {
        let text = whole(&masks(), r#"{"to":"[EMAIL_1]"}"#, true).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["to"], "a\"b@c.de");
    }

    /// Gemini may say that it is over in each of its events.
    #[test]
    fn what_each_of_events_that_are_alike_ends_is_not_held_back() {
        let (masks, mut stream) = (masks(), Stream::default());
        for text in ["one [EMA", "two [EMA", "three [EMAIL_1]"] {
            let part = json!({"content": {"parts": [{"text": text}]}, "finishReason": "STOP"});
            let data = json!({ "candidates": [part] }).to_string();
            let sent = stream.event(&masks, None, &data);
            let shown = sent.map_or(data, |sent| sent.into_iter().map(|sent| sent.data).collect());
            let whole = text.replace("[EMAIL_1]", r#"a\"b@c.de"#);
            assert!(shown.contains(&whole), "{shown}");
        }
    }

    /// Some servers write an empty reason in the events before the last.
    #[test]
    fn an_empty_reason_ends_nothing() {
        let (masks, mut stream, mut shown) = (masks(), Stream::default(), String::new());
        for (text, reason) in [("to [EMA", ""), ("IL_", ""), ("1]", ""), ("", "stop")] {
            let data = json!({"choices": [{"index": 0, "delta": {"content": text},
                "finish_reason": reason}]})
            .to_string();
            let same = vec![Sent { name: None, data: data.clone() }];
            for sent in stream.event(&masks, None, &data).unwrap_or(same) {
                let value: Value = serde_json::from_str(&sent.data).unwrap();
                shown += value["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
            }
        }
        assert_eq!(shown, "to a\"b@c.de");
    }

    #[test]
    fn an_empty_piece_does_not_tear_a_placeholder() {
        assert_eq!(run(&["[EMAIL_1", "", "]"]), "a\"b@c.de");
    }

    #[test]
    fn a_keep_alive_does_not_tear_a_placeholder() {
        let (masks, mut stream) = (masks(), Stream::default());
        let delta = |text: &str| {
            json!({"type": "content_block_delta", "index": 0,
                   "delta": {"type": "text_delta", "text": text}})
            .to_string()
        };
        let first = stream.event(&masks, Some("content_block_delta"), &delta("[EMA")).unwrap();
        assert!(first[0].data.contains("\"text\":\"\""), "{first:?}");
        assert_eq!(stream.event(&masks, Some("ping"), r#"{"type": "ping"}"#), None);
        let second = stream.event(&masks, Some("content_block_delta"), &delta("IL_1]")).unwrap();
        assert!(second[0].data.contains(r#"a\"b@c.de"#), "{second:?}");
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_text(
            parts in proptest::collection::vec(
                prop_oneof![Just("[EMAIL_1]"), Just("[CN_ID_1]"), Just("["), Just("[A"), Just("é😀"), Just("x ")],
                0..12),
            cuts in proptest::collection::vec(0_usize..100, 0..8),
        ) {
            let text = parts.concat();
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|at| text.is_char_boundary(*at)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&text[from..cut]);
                from = cut;
            }
            pieces.push(&text[from..]);
            let expected = whole(&masks(), &text, false).unwrap_or(text.clone());
            prop_assert_eq!(run(&pieces), expected);
        }
    }
}
