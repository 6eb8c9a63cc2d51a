//! The events of a streamed answer.

use super::{call_type, part, summary_text};
use crate::json::{Json, object};
use crate::stream::Event;
use crate::tokens;

/// The events of an answer, numbered.
#[derive(Default)]
pub(super) struct Events {
    /// All so far.
    pub(super) list: Vec<Event>,
    /// Place and name of the item that they are about.
    pub(super) item: (usize, String),
}

impl Events {
    pub(super) fn add(&mut self, kind: &'static str, fields: Json) {
        self.list.push(event(kind, self.list.len(), fields));
    }

    /// An event of the item; `delta` carries a token.
    fn of_item(&mut self, kind: &'static str, place: Option<&'static str>, rest: Json) {
        let (index, id) = (self.item.0, self.item.1.clone());
        let mut fields = object! { "item_id": id, "output_index": index };
        if let Some(place) = place {
            fields = fields.with(place, 0_u64);
        }
        if let (Json::Object(fields), Json::Object(rest)) = (&mut fields, rest) {
            fields.extend(rest);
        }
        let event = event(kind, self.list.len(), fields);
        let token = kind.rsplit('.').next() == Some("delta");
        self.list.push(if token { event.token() } else { event });
    }

    pub(super) fn thought(&mut self, text: &str) {
        let place = Some("summary_index");
        let empty = object! { "part": summary_text("") };
        self.of_item("response.reasoning_summary_part.added", place, empty);
        for piece in tokens::pieces(text) {
            let delta = object! { "delta": piece };
            self.of_item("response.reasoning_summary_text.delta", place, delta);
        }
        self.of_item("response.reasoning_summary_text.done", place, object! { "text": text });
        let whole = object! { "part": summary_text(text) };
        self.of_item("response.reasoning_summary_part.done", place, whole);
    }

    pub(super) fn message(&mut self, text: &str, refusal: bool) {
        let place = Some("content_index");
        let empty = object! { "part": part("", refusal) };
        self.of_item("response.content_part.added", place, empty);
        let none = || Json::Array(Vec::new());
        for piece in tokens::pieces(text) {
            if refusal {
                self.of_item("response.refusal.delta", place, object! { "delta": piece });
            } else {
                let delta = object! { "delta": piece, "logprobs": none() };
                self.of_item("response.output_text.delta", place, delta);
            }
        }
        if refusal {
            self.of_item("response.refusal.done", place, object! { "refusal": text });
        } else {
            let done = object! { "text": text, "logprobs": none() };
            self.of_item("response.output_text.done", place, done);
        }
        let whole = object! { "part": part(text, refusal) };
        self.of_item("response.content_part.done", place, whole);
    }

    pub(super) fn call(&mut self, arguments: &str, custom: bool) {
        let (delta, done) = if custom {
            ("response.custom_tool_call_input.delta", "response.custom_tool_call_input.done")
        } else {
            ("response.function_call_arguments.delta", "response.function_call_arguments.done")
        };
        for piece in tokens::pieces(arguments) {
            self.of_item(delta, None, object! { "delta": piece });
        }
        let (_, key) = call_type(custom);
        self.of_item(done, None, object! {}.with(key, arguments));
    }
}

/// An event, whose name is also its `type`.
pub(super) fn event(kind: &'static str, number: usize, fields: Json) -> Event {
    let mut all = vec![("type", Json::from(kind)), ("sequence_number", Json::from(number))];
    if let Json::Object(fields) = fields {
        all.extend(fields);
    }
    Event::named(kind, Json::Object(all).text())
}
