//! The messages of a request, as another server of the same protocol takes them.

use serde_json::value::RawValue;
use shared::json::{Document, JsonStr};
use shared::pick;

use super::{Fit, says};
use crate::overrides::{Edit, Overrides, place};
use crate::presets::Quirks;
use crate::translate::provider::has;
use crate::translate::provider::openai_chat::messages::{AFTER_RESULTS, call_id};

/// What a message may have where nothing is taken that is not known.
const KNOWN: [&str; 4] = ["role", "content", "tool_calls", "tool_call_id"];

/// Marks in the parts of a message, which not everybody knows.
const MARKS: [&str; 2] = ["cache_control", "prompt_cache_breakpoint"];

/// Whether anything in them need change, as far as it is quick to see.
pub(super) fn may_change(messages: &str, quirks: &Quirks) -> bool {
    if quirks.are_openais() {
        return has(messages, "\"tool_call");
    }
    quirks.strict || quirks.wants_thoughts || has(messages, "\"developer\"")
}

/// Changes what has to be; `text` is the whole request.
pub(super) fn fit(messages: Document<'_>, text: &str, quirks: &Quirks, fit: &mut Fit) {
    let all: Vec<&RawValue> = messages.parse().unwrap_or_default();
    let mut walk = Walk { quirks, text, fit, after_results: false };
    for (index, message) in all.iter().enumerate() {
        walk.message(messages.value(message), index + 1 == all.len());
    }
}

struct Walk<'w> {
    quirks: &'w Quirks,
    text: &'w str,
    fit: &'w mut Fit,
    /// The last message is the result of a call.
    after_results: bool,
}

impl Walk<'_> {
    fn message(&mut self, message: Document<'_>, last: bool) {
        let (Ok(members), Some(at)) = (message.fields(), place(message.text(), self.text)) else {
            return;
        };
        let find = |name: &str| {
            let found = members.iter().find(|(other, _)| other == name).map(|(_, value)| *value);
            found.filter(|value| says(value.get()))
        };
        let role = find("role").and_then(|role| Document::from(role.get()).read::<JsonStr<'_>>());
        let role = role.as_ref().map(JsonStr::decode).unwrap_or_default();
        let assistant = role == "assistant";
        let mut edits: Vec<Edit> = Vec::new();
        let mut changes = Overrides::default();
        if self.quirks.strict_calls && role == "user" && self.after_results {
            edits.push((at.start..at.start, [AFTER_RESULTS, ","].concat()));
        }
        self.after_results = role == "tool";
        if role == "developer" && !self.quirks.are_openais() {
            changes.set.insert("role".into(), "system".into());
        }
        if assistant && self.quirks.wants_thoughts && find("tool_calls").is_some() {
            changes.default.insert("reasoning_content".into(), "".into());
        }
        if assistant && self.quirks.strict_calls && last {
            changes.default.insert("prefix".into(), true.into());
        }
        for (name, value) in members.iter().filter(|(name, _)| !takes(self.quirks, &role, name)) {
            changes.remove.push(name.to_string());
            if says(value.get()) {
                self.left_out(&["messages.", name].concat());
            }
        }
        if let Some(content) = find("content").filter(|_| self.quirks.strict) {
            for part in pick::items(Some(content)) {
                self.part(message.value(part), &mut edits);
            }
        }
        for call in pick::items(find("tool_calls")) {
            self.id(pick::at(message.value(call), &["id"]), &mut edits);
        }
        self.id(find("tool_call_id"), &mut edits);
        let whole = changes.edits(message.text()).into_iter();
        edits.extend(
            whole.map(|(range, with)| (at.start + range.start..at.start + range.end, with)),
        );
        self.fit.edits.extend(edits);
    }

    fn part(&mut self, part: Document<'_>, edits: &mut Vec<Edit>) {
        let marks = MARKS.iter().map(|name| name.to_string()).collect();
        let changes = Overrides { remove: marks, ..Overrides::default() };
        let Some(at) = place(part.text(), self.text) else { return };
        for (range, with) in changes.edits(part.text()) {
            self.left_out("messages.content.cache_control");
            edits.push((at.start + range.start..at.start + range.end, with));
        }
    }

    /// The name of a call, where it stands and where its result refers to it.
    fn id(&mut self, value: Option<&RawValue>, edits: &mut Vec<Edit>) {
        let Some(value) = value else { return };
        let id = Document::from(value.get()).read::<JsonStr<'_>>();
        if let Some(other) = id.and_then(|id| call_id(&id, self.quirks))
            && let Some(at) = place(value.get(), self.text)
        {
            edits.push((at, JsonStr::encode(&other).quoted().to_owned()));
        }
    }

    fn left_out(&mut self, name: &str) {
        if !self.fit.dropped.iter().any(|other| other == name) {
            self.fit.dropped.push(name.to_owned());
        }
    }
}

/// Whether the server takes such a member of a message.
fn takes(quirks: &Quirks, role: &str, name: &str) -> bool {
    let mistral = quirks.strict_calls;
    let known = match name {
        "name" => !mistral || role == "tool",
        "reasoning" => !mistral,
        "prefix" => mistral,
        name => KNOWN.contains(&name),
    };
    known || !quirks.strict
}
