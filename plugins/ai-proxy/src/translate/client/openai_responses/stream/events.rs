//! The envelopes of events.

use shared::usage::Usage;
use shared::write::JsonWriter;

use super::{Open, StreamWriter};
use crate::translate::client::Send;
use crate::translate::client::openai_responses::object::Status;

impl StreamWriter {
    /// An event that has no more than its type and number, but for `body`.
    pub(super) fn event(&mut self, kind: &str, send: Send<'_>, body: impl FnOnce(&mut JsonWriter)) {
        let mut w = self.envelope(kind);
        body(&mut w);
        w.close('}');
        send(Some(kind), &w.finish());
    }

    /// An event with the whole answer so far.
    pub(super) fn whole(
        &mut self,
        kind: &str,
        status: Status<'_>,
        usage: Option<&Usage>,
        send: Send<'_>,
    ) {
        let mut w = self.envelope(kind);
        w.key("response");
        if let Some(head) = &self.head {
            head.write(&mut w, status, &self.output, usage, &self.context);
        } else {
            w.raw("null");
        }
        w.close('}');
        send(Some(kind), &w.finish());
    }

    /// The beginning or the end of an item, which `item` writes.
    pub(super) fn place_event(
        &mut self,
        kind: &str,
        send: Send<'_>,
        item: impl FnOnce(&mut JsonWriter),
    ) {
        let index = self.index;
        self.event(kind, send, |w| {
            w.key("output_index");
            w.value(index);
            w.key("item");
            item(w);
        });
    }

    /// An event of the open item.
    pub(super) fn item_event(
        &mut self,
        kind: &str,
        send: Send<'_>,
        body: impl FnOnce(&mut JsonWriter),
    ) {
        if matches!(self.open, Open::None) {
            return;
        }
        let mut w = self.envelope(kind);
        let (Open::Message { id, .. } | Open::Thought { id, .. } | Open::Call { id, .. }) =
            &self.open
        else {
            return;
        };
        w.field("item_id", id);
        w.key("output_index");
        w.value(self.index);
        body(&mut w);
        w.close('}');
        send(Some(kind), &w.finish());
    }

    /// An event of the open part of the open message.
    pub(super) fn part_event(
        &mut self,
        kind: &str,
        send: Send<'_>,
        body: impl FnOnce(&mut JsonWriter),
    ) {
        let Open::Message { index, .. } = &self.open else { return };
        let index = *index;
        self.item_event(kind, send, |w| {
            w.key("content_index");
            w.value(index);
            body(w);
        });
    }

    /// An event of the open thought.
    pub(super) fn summary_event(
        &mut self,
        kind: &str,
        send: Send<'_>,
        body: impl FnOnce(&mut JsonWriter),
    ) {
        self.item_event(kind, send, |w| {
            w.key("summary_index");
            w.raw("0");
            body(w);
        });
    }

    fn envelope(&mut self, kind: &str) -> JsonWriter {
        let mut w = JsonWriter::with_capacity(256);
        w.open('{');
        w.field("type", kind);
        w.key("sequence_number");
        w.value(self.sequence);
        self.sequence = self.sequence.saturating_add(1);
        w
    }
}
