//! The objects that an answer names: the client gets their names sealed.

use std::borrow::Cow;
use std::rc::Rc;

use memchr::memmem;
use serde_json::value::RawValue;
use shared::json::{JsonStr, fields};
use shared::protocol::Service;
use shared::protocol::anthropic::THREADS;

use super::{Objects, Place};
use crate::asked::{Asked, Operation};
use crate::overrides::{Edit, apply};
use crate::translate::client::Client;

/// Seals what one answer names.
#[derive(Clone, Debug)]
pub struct Sealing {
    objects: Rc<Objects>,
    place: Place,
    kind: Kind,
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An object of Files or Batches, of OpenAI's or Anthropic's.
    Object,
    /// An answer of the Responses API, or a stream of one.
    Response,
    /// An answer of Messages, or a stream of one, in a conversation that Anthropic keeps.
    Message,
    /// Cached contents of Gemini's.
    Cache,
}

impl Sealing {
    /// For the answer to this request, if it may name objects.
    pub fn new(objects: &Rc<Objects>, place: Place, asked: &Asked) -> Option<Sealing> {
        let kind = match asked.operation {
            // What is in a file is the client's own.
            Operation::Service(Service::Files) if asked.tail_ends_with("/content") => return None,
            Operation::AnthropicBatches if asked.tail_ends_with("/results") => return None,
            Operation::Service(Service::Files | Service::Batches) | Operation::AnthropicBatches => {
                Kind::Object
            }
            Operation::Service(Service::StoredResponses)
            | Operation::Chat(Client::OpenAiResponses) => Kind::Response,
            Operation::Chat(Client::Anthropic) if asked.versions.both().1.contains(THREADS) => {
                Kind::Message
            }
            Operation::GeminiCaches => Kind::Cache,
            _ => return None,
        };
        Some(Sealing { objects: Rc::clone(objects), place, kind })
    }

    /// A whole answer; `None` if nothing changes.
    pub fn body(&self, text: &str) -> Option<String> {
        let mut edits = Vec::new();
        for (name, value) in fields(text).ok()? {
            match (self.kind, &*name) {
                (Kind::Object, "file") => self.members(value, text, &["id"], &mut edits),
                (Kind::Object, "results_url") => {
                    edits.extend(self.address(value).and_then(|new| edit(value, text, &new)));
                }
                (kind, name) if kind.names().contains(&name) => {
                    edits.extend(self.sealed(value).and_then(|new| edit(value, text, &new)));
                }
                _ => {}
            }
        }
        (!edits.is_empty()).then(|| apply(text, &edits))
    }

    /// The data of an event; `None` if nothing changes.
    pub fn event(&self, data: &str) -> Option<String> {
        let whole = if self.kind == Kind::Message { "\"message\"" } else { "\"response\"" };
        // Those that repeat the whole answer are few.
        memmem::find(data.as_bytes(), whole.as_bytes())?;
        let mut edits = Vec::new();
        for (name, value) in fields(data).ok()? {
            if name == whole.trim_matches('"') {
                self.members(value, data, self.kind.names(), &mut edits);
            }
        }
        (!edits.is_empty()).then(|| apply(data, &edits))
    }

    fn members(&self, object: &RawValue, text: &str, names: &[&str], edits: &mut Vec<Edit>) {
        for (name, value) in fields(object.get()).unwrap_or_default() {
            if names.contains(&&*name) {
                edits.extend(self.sealed(value).and_then(|new| edit(value, text, &new)));
            }
        }
    }

    fn sealed(&self, value: &RawValue) -> Option<String> {
        let name = string(value).filter(|name| !name.is_empty())?;
        Some(self.objects.seal(&self.place, &name))
    }

    /// Anthropic's address of a batch's results (`https://api.anthropic.com/v1/messages/batches/{id}/results`)
    /// without its host, so that clients, Anthropic's own among them, ask the gateway.
    fn address(&self, value: &RawValue) -> Option<String> {
        let address = string(value)?;
        let id = address.split_once("/messages/batches/")?.1.strip_suffix("/results")?;
        let sealed = self.objects.seal(&self.place, id);
        Some(format!("/v1/messages/batches/{sealed}/results"))
    }
}

impl Kind {
    /// Members whose values are names of objects.
    fn names(self) -> &'static [&'static str] {
        match self {
            Kind::Object => {
                &["id", "input_file_id", "output_file_id", "error_file_id", "upload_id"]
            }
            Kind::Response => &["id", "previous_response_id"],
            Kind::Message => &["id"],
            Kind::Cache => &["name"],
        }
    }
}

fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let inner = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return Some(Cow::Owned(JsonStr::from_escaped(inner)?.decode().into_owned()));
    }
    Some(Cow::Borrowed(inner))
}

/// `value`, which was borrowed from `text`, becomes this string.
fn edit(value: &RawValue, text: &str, new: &str) -> Option<Edit> {
    let start = (value.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let range = start..start.checked_add(value.get().len())?;
    Some((range, JsonStr::encode(new).quoted().to_owned()))
}
