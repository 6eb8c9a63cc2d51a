//! Placeholders of an answer become values again, however the answer is cut.
//!
//! What may still become a placeholder is held back until the next piece shows, or the text ends. So any
//! cutting gives the same text, and no more than a placeholder's length is ever held.

use shared::small_map::SmallMap;

use shared::json::JsonStr;
use shared::texts::{self, Kind, Text};

use super::{Masks, names};

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

/// How much of a text can go out: all but what may become a placeholder, and its last `hold` bytes.
fn ready(text: &str, hold: usize) -> usize {
    let most = text.len().saturating_sub(hold);
    let most = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    // A placeholder is not parted.
    let mut starts = names::find_all(text).take_while(|(start, _)| *start < most);
    let cut = starts.find(|(_, end)| *end > most).map_or(most, |(start, _)| start);
    cut.min(unfinished(text))
}

/// Where something begins that may become a placeholder.
fn unfinished(text: &str) -> usize {
    let from = (text.len().saturating_sub(names::MAX_LEN)..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len());
    let tail = text.as_bytes().get(from..).unwrap_or_default();
    match memchr::memrchr(b'[', tail) {
        Some(open) if names::may_begin(tail.get(open..).unwrap_or_default()) => from + open,
        _ => text.len(),
    }
}

/// A text of a stream: which answer, which part, of what kind.
type Place = (u32, u32, Kind);

/// The texts of one streamed answer.
#[derive(Debug, Default)]
pub struct Stream {
    /// Bytes of each text that are held back until more of it shows.
    hold: usize,
    held: SmallMap<Place, Held>,
}

/// What is held back of a text, and the last event of it, to send it with if no other comes.
#[derive(Debug)]
struct Held {
    text: String,
    before: String,
    after: String,
    name: Option<String>,
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
    /// Texts of which the last `hold` bytes are held back besides what may become a placeholder.
    pub fn new(hold: usize) -> Stream {
        Stream { hold, held: SmallMap::new() }
    }

    /// What becomes of an event: `None` if it goes on as it is; else what is sent in its place.
    pub fn event(&mut self, masks: &Masks, name: Option<&str>, data: &str) -> Option<Vec<Sent>> {
        let found = texts::event(data);
        let mut out = if closes(data, &found) { self.flush(masks) } else { Vec::new() };
        let mut changed = String::new();
        let mut done = 0;
        for text in &found {
            let Some(new) = self.text(masks, name, data, text) else { continue };
            let Some(range) = range_of(data, text.raw.get()) else { continue };
            changed.push_str(data.get(done..range.0).unwrap_or_default());
            changed.push_str(JsonStr::encode(&new).quoted());
            done = range.1;
        }
        if done == 0 && out.is_empty() {
            return None;
        }
        let data = if done == 0 {
            data.to_owned()
        } else {
            changed.push_str(data.get(done..).unwrap_or_default());
            changed
        };
        out.push(Sent { name: name.map(str::to_owned), data });
        Some(out)
    }

    /// What one of an event's texts becomes; `None` if it stays.
    fn text(
        &mut self,
        masks: &Masks,
        name: Option<&str>,
        data: &str,
        text: &Text<'_>,
    ) -> Option<String> {
        let string = serde_json::from_str::<String>(text.raw.get()).ok()?;
        let nested = text.kind == Kind::Arguments;
        if text.again {
            return whole(masks, &string, nested);
        }
        let place = (text.message, text.part, text.kind);
        let earlier = self.held.remove(&place);
        let waited = earlier.is_some();
        let mut all = earlier.map(|held| held.text).unwrap_or_default();
        all.push_str(&string);
        let cut = ready(&all, self.hold);
        let (now, later) = all.split_at_checked(cut)?;
        if !later.is_empty() {
            let (start, end) = range_of(data, text.raw.get())?;
            self.held.insert(
                place,
                Held {
                    text: later.to_owned(),
                    before: data.get(..start)?.to_owned(),
                    after: data.get(end..)?.to_owned(),
                    name: name.map(str::to_owned),
                },
            );
        }
        match whole(masks, now, nested) {
            Some(restored) => Some(restored),
            None if waited || !later.is_empty() => Some(now.to_owned()),
            None => None,
        }
    }

    /// What is still held back, at the end.
    pub fn flush(&mut self, masks: &Masks) -> Vec<Sent> {
        let held = std::mem::take(&mut self.held);
        held.into_iter()
            .map(|((_, _, kind), held)| {
                let text = whole(masks, &held.text, kind == Kind::Arguments).unwrap_or(held.text);
                let data = [&held.before, JsonStr::encode(&text).quoted(), &held.after].concat();
                Sent { name: held.name, data }
            })
            .collect()
    }
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
    let finished = after.trim_start_matches([':', ' ']).starts_with('"');
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
        assert!(stream.flush(&masks).is_empty());
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
