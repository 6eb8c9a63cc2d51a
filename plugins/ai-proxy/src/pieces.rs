//! Events of a provider that carry a piece of text and nothing else are read once for all that are like it.

use shared::follow::{Follow, Said};
use shared::json::JsonStr;

use crate::translate::ir::Delta;

/// What a stream's events have been.
#[derive(Debug, Default)]
pub struct Pieces {
    like: Follow<()>,
}

impl Pieces {
    /// The text of an event that is like the one that was read, if it is not empty.
    pub fn next<'a>(&mut self, data: &'a str) -> Option<JsonStr<'a>> {
        self.like.next_value(data)?.1.map(JsonStr::Borrowed)
    }

    /// Whether an event is like the last that [passed](Pieces::passes).
    pub fn passed(&mut self, data: &str) -> bool {
        self.like.next(data).is_some()
    }

    /// An event has passed as it is; of those that differ in a piece of text only the same can be said.
    pub fn passes(&mut self, data: &str) {
        match piece(data) {
            Some(text) => self.like.learn(data, text, ()),
            None => self.like.forget(),
        }
    }

    /// An event has been read, and has said this.
    pub fn learn(&mut self, data: &str, said: Said<()>) {
        self.like.learn_said(data, said);
    }
}

/// An event says this too.
pub fn add(said: &mut Said<()>, delta: &Delta<'_>) {
    match delta {
        Delta::Text(text) => said.add(text.escaped(), ()),
        _ => *said = Said::More,
    }
}

/// The first member of an event that is a piece of what a model writes, in any client's API.
fn piece(data: &str) -> Option<&str> {
    const NAMES: [&str; 7] = [
        "\"content\"",
        "\"text\"",
        "\"delta\"",
        "\"thinking\"",
        "\"reasoning_content\"",
        "\"partial_json\"",
        "\"arguments\"",
    ];
    memchr::memchr_iter(b':', data.as_bytes()).find_map(|colon| {
        let value = data.get(colon + 1..)?.strip_prefix('"')?;
        let key = data.get(..colon)?;
        NAMES.iter().find(|name| key.ends_with(*name))?;
        value.get(..memchr::memchr(b'"', value.as_bytes())?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &mut Pieces, data: &str, delta: &Delta<'_>) {
        let mut said = Said::default();
        add(&mut said, delta);
        pieces.learn(data, said);
    }

    fn string(data: &str) -> JsonStr<'_> {
        shared::json::parse(data.get(5..data.len() - 1).unwrap()).unwrap()
    }

    #[test]
    fn an_event_like_the_last_gives_its_text_and_any_other_is_to_be_read() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces_next(&mut pieces, r#"{"a":"one"}"#), None);
        let data = r#"{"a":"one"}"#;
        read(&mut pieces, data, &Delta::Text(string(data)));
        assert_eq!(pieces_next(&mut pieces, r#"{"a":"two"}"#).as_deref(), Some("two"));
        for other in [r#"{"a":""}"#, r#"{"a":"\n"}"#, r#"{"b":"two"}"#, "[DONE]"] {
            assert_eq!(pieces_next(&mut pieces, other), None, "{other}");
        }
        read(&mut pieces, data, &Delta::Thinking(string(data)));
        assert_eq!(pieces_next(&mut pieces, r#"{"a":"two"}"#), None);
    }

    #[test]
    fn an_event_that_passes_stands_for_those_with_another_piece_of_text() {
        let mut pieces = Pieces::default();
        let data =
            |id: &str, text: &str| format!(r#"{{"id":"{id}","delta":{{"content":"{text}"}}}}"#);
        pieces.passes(&data("a", "one"));
        assert!(pieces.passed(&data("a", "two")) && pieces.passed(&data("a", "")));
        for other in [data("b", "two"), data("a", "x\\n"), data("a", "\",\"finish_reason\":\"stop")]
        {
            assert!(!pieces.passed(&other), "{other}");
        }
        // An id is no piece of text, and stays.
        pieces.passes(r#"{"id":"a","type":"ping"}"#);
        assert!(!pieces.passed(r#"{"id":"a","type":"done"}"#));
        assert!(!pieces.passed(r#"{"id":"b","type":"ping"}"#));
    }

    fn pieces_next(pieces: &mut Pieces, data: &str) -> Option<String> {
        pieces.next(data).map(|text| text.decode().into_owned())
    }
}
