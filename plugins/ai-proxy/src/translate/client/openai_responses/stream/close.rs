//! The ends of items, whose events repeat all of them.

use shared::json::JsonStr;
use shared::write::JsonWriter;

use super::{MAX_KEPT, Open, StreamWriter};
use crate::translate::client::Send;
use crate::translate::client::openai_responses::items;

/// The most that all items may take, with their names and signatures, in bytes. [`MAX_KEPT`] is for
/// their texts.
const MAX_OUTPUT: usize = 2 * MAX_KEPT;

impl StreamWriter {
    /// Ends the open item, if there is one. `sealed` is what a thought is sent back with.
    pub(super) fn close(&mut self, status: &str, sealed: Option<&str>, send: Send<'_>) {
        self.close_part(send);
        self.close_summary(send);
        let input = self.close_arguments(send);
        let mut w = JsonWriter::with_capacity(512);
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => return,
            Open::Message { id, content, .. } => items::message(&mut w, &id, status, &content),
            Open::Thought { id, text, .. } => items::reasoning(&mut w, &id, &text, sealed),
            Open::Call { id, call_id, called, arguments, .. } => {
                let arguments = input.as_deref().unwrap_or(&arguments);
                let name = self.names.of(&called);
                let call = items::Call { id: &id, call_id: &call_id, name, arguments };
                items::call(&mut w, status, &call);
            }
        }
        let item = w.finish();
        self.finish_item(&item, true, send);
    }

    /// The item is over, and kept if it fits.
    fn finish_item(&mut self, item: &str, fits: bool, send: Send<'_>) {
        self.place_event("response.output_item.done", send, |w| w.raw(item));
        if fits && self.output.len().saturating_add(item.len()) <= MAX_OUTPUT {
            items::add(&mut self.output, item);
        } else {
            self.kept.cut = true;
        }
        self.index = self.index.saturating_add(1);
    }

    /// Only the text of the open message; the message itself stays open.
    pub(super) fn close_part(&mut self, send: Send<'_>) {
        let Open::Message { content, refusal, text, logprobs, .. } = &mut self.open else {
            return;
        };
        let (refusal, text) = (*refusal, std::mem::take(text));
        let logprobs = std::mem::take(logprobs);
        let mut w = JsonWriter::with_capacity(text.len() + logprobs.len() + 96);
        items::part(&mut w, refusal, &text, &logprobs);
        let part = w.finish();
        items::add(content, &part);
        let kind = if refusal { "response.refusal.done" } else { "response.output_text.done" };
        self.part_event(kind, send, |w| {
            if refusal {
                w.field("refusal", &text);
            } else {
                w.field("text", &text);
                w.key("logprobs");
                w.open('[');
                w.raw_tail(&logprobs);
                w.close(']');
            }
        });
        self.part_event("response.content_part.done", send, |w| {
            w.key("part");
            w.raw(&part);
        });
    }

    fn close_summary(&mut self, send: Send<'_>) {
        let Open::Thought { shown: true, text, .. } = &mut self.open else { return };
        let text = std::mem::take(text);
        self.summary_event("response.reasoning_summary_text.done", send, |w| {
            w.field("text", &text);
        });
        self.summary_event("response.reasoning_summary_part.done", send, |w| {
            w.key("part");
            items::summary(w, &text);
        });
        if let Open::Thought { text: all, .. } = &mut self.open {
            *all = text;
        }
    }

    /// What a custom tool takes, between quotes, if that is what is called.
    fn close_arguments(&mut self, send: Send<'_>) -> Option<String> {
        let Open::Call { custom, arguments, called, .. } = &mut self.open else { return None };
        let custom = *custom;
        let all = std::mem::take(arguments);
        let called = called.clone();
        let input = custom.then(|| {
            let document = JsonStr::from_escaped(&all);
            document.map_or_else(String::new, |all| items::custom_input(&all.decode()))
        });
        if let Some(input) = &input {
            self.item_event("response.custom_tool_call_input.delta", send, |w| {
                w.field("delta", input);
            });
            self.item_event("response.custom_tool_call_input.done", send, |w| {
                w.field("input", input);
            });
        } else {
            let name = JsonStr::encode(self.names.of(&called).name);
            self.item_event("response.function_call_arguments.done", send, |w| {
                w.key("name");
                w.string(&name);
                w.field("arguments", &all);
            });
        }
        if let Open::Call { arguments, .. } = &mut self.open {
            *arguments = all;
        }
        input
    }

    /// A picture comes as a whole.
    pub(super) fn image(&mut self, data: &str, send: Send<'_>) {
        self.close("completed", None, send);
        let id = items::id("ig", self.index, &self.context);
        self.place_event("response.output_item.added", send, |w| {
            items::image(w, &id, "in_progress", None);
        });
        let mut kept = String::new();
        self.kept.add(&mut kept, data);
        let mut w = JsonWriter::with_capacity(data.len().saturating_add(128));
        items::image(&mut w, &id, "completed", Some(data));
        self.finish_item(&w.finish(), !kept.is_empty(), send);
    }
}
