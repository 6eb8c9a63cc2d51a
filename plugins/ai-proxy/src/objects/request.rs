//! The objects that a request names: whether they are the client's own, and what the provider calls
//! them.

use memchr::{memchr_iter, memchr3_iter};
use serde_json::value::RawValue;
use shared::errors::{ApiError, ErrorKind};
use shared::json::JsonStr;
use shared::percent;
use shared::pick;
use shared::protocol::{Service, Vendor};

use super::walk::{Found, strings};
use super::{Objects, Opened};
use crate::asked::{Asked, Operation};
use crate::overrides::Edit;

/// The member of a request that names the answer which a conversation that Anthropic keeps goes on from.
/// <https://platform.claude.com/docs/en/build-with-claude/message-threads>
pub const THREAD: &str = "thread.previous_message_id";
/// Its name, which has another meaning elsewhere.
const ANSWER: &str = "previous_message_id";

/// The objects of one request.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Where all of them are kept.
    pub pin: Option<Opened>,
    /// The changes that give the body the provider's names, in order.
    pub edits: Vec<Edit>,
    /// The member of the request that named the first of them.
    pub param: String,
    /// Why they cannot be used.
    pub refusal: Option<ApiError>,
}

/// Looks for objects in a request of `owner`; the names in `asked.tail` become the provider's. Without
/// an owner, there is only one and nothing is looked for.
pub fn hold(
    objects: Option<&Objects>,
    owner: Option<&str>,
    asked: &mut Asked,
    text: &str,
) -> Result<(), ApiError> {
    let Some(owner) = owner else { return Ok(()) };
    let mut seen = Seen { objects, owner, held: Held::default() };
    if let Some(kept) = Kept::of(asked.operation) {
        seen.path(asked, kept)?;
    }
    seen.body(asked, text)?;
    asked.held = seen.held;
    Ok(())
}

/// A collection of objects in a path: `/files/{name}/content`.
struct Kept {
    /// What stands before the name.
    before: &'static str,
    /// What it is called in errors.
    what: &'static str,
    /// New ones are made by `POST`.
    listed: bool,
}

impl Kept {
    fn of(operation: Operation) -> Option<Kept> {
        let kept = |before, what, listed| Some(Kept { before, what, listed });
        match operation {
            Operation::Service(Service::Files) => kept("/files", "files", true),
            Operation::Service(Service::Batches) => kept("/batches", "batches", true),
            Operation::Service(Service::StoredResponses) => kept("/responses", "responses", false),
            Operation::AnthropicBatches => kept("/messages/batches", "batches", true),
            Operation::GeminiCaches => kept("/cachedContents", "cached contents", true),
            _ => None,
        }
    }
}

struct Seen<'a> {
    objects: Option<&'a Objects>,
    owner: &'a str,
    held: Held,
}

impl Seen<'_> {
    fn path(&mut self, asked: &mut Asked, kept: Kept) -> Result<(), ApiError> {
        if self.objects.is_none() {
            log::error!(
                "{} are kept by the provider for all consumers together: set `object_secret` of \
                 ai-proxy, so that each can reach only its own",
                kept.what
            );
            let message = format!("{} are not set up on this gateway", kept.what);
            return Err(ApiError::new(ErrorKind::Permission, message).code("objects_not_set_up"));
        }
        let uploads = "/uploads";
        let before = if asked.tail.starts_with(uploads) { uploads } else { kept.before };
        let Some(rest) = asked.tail.strip_prefix(before) else { return Ok(()) };
        let end = rest.find('?').unwrap_or(rest.len());
        let (path, query) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let path = path.trim_start_matches('/');
        if kept.before == "/responses" && path == "compact" {
            return Ok(());
        }
        if path.is_empty() {
            if asked.get && kept.listed {
                let message = format!(
                    "{} are not listed here, as the list would be that of all consumers; ask for one by \
                     its id",
                    kept.what
                );
                return Err(ApiError::new(ErrorKind::Permission, message).code("lists_not_served"));
            }
            return Ok(());
        }
        let (name, more) = match path.split_once('/') {
            Some((name, more)) => (name, format!("/{more}")),
            None => (path, String::new()),
        };
        let prefix = kept.before.trim_start_matches('/');
        // Gemini's names begin with their collection.
        let google = asked.operation == Operation::GeminiCaches;
        let name = percent::decode(name);
        let full = if google { format!("{prefix}/{name}") } else { name };
        let opened = self.open(&full, "id")?;
        let plain = opened.strip_prefix(&format!("{prefix}/")).unwrap_or(&opened);
        asked.tail = format!("{before}/{}{more}{query}", percent::encode(plain));
        Ok(())
    }

    fn body(&mut self, asked: &Asked, text: &str) -> Result<(), ApiError> {
        let places = Places::of(asked.vendor);
        if !places.may_be_in(text) {
            return Ok(());
        }
        let mut result = Ok(());
        strings(text, places.own, &mut |Found { name, parent, range }| {
            let value = text.get(range.clone()).unwrap_or_default();
            if result.is_err() {
                return;
            }
            if name == ANSWER && parent != "thread" {
                // What is asked about the prompt cache. It does not bind the request to where that answer came from.
                let opened = self.objects.and_then(|it| it.open(self.owner, &decoded(value)));
                self.held.edits.extend(opened.map(|opened| (range, quoted(&opened.name))));
            } else if places.named.contains(&name) {
                let param = if name == ANSWER { THREAD } else { name };
                result = self.member(param, value).map(|new| self.held.edits.push((range, new)));
            } else if let Some(param) = places.foreign(name, parent, value) {
                let message = format!("{param}: {}", places.instead);
                result = Err(ApiError::new(ErrorKind::InvalidRequest, message).param(param));
            }
        });
        result
    }

    /// The new value of a member that names an object.
    fn member(&mut self, name: &str, value: &str) -> Result<String, ApiError> {
        Ok(quoted(&self.open(&decoded(value), name)?))
    }

    /// The provider's name of an object.
    fn open(&mut self, sealed: &str, param: &str) -> Result<String, ApiError> {
        let opened = self.objects.and_then(|objects| objects.open(self.owner, sealed));
        // Whether it is another's or nobody's is not told.
        let opened = opened.ok_or_else(|| unknown(param))?;
        match &self.held.pin {
            Some(pin) if (pin.provider, pin.key) != (opened.provider, opened.key) => {
                if param == THREAD {
                    return Err(ApiError::no_thread());
                }
                let message = format!(
                    "{param}: is kept by another provider, or under another key, than {}; make both \
                     through the same model",
                    self.held.param
                );
                return Err(ApiError::new(ErrorKind::InvalidRequest, message).param(param));
            }
            Some(_) => {}
            None => {
                param.clone_into(&mut self.held.param);
                self.held.pin = Some(opened.clone());
            }
        }
        Ok(opened.name)
    }
}

/// Checks the `thread` of a conversation that is not kept. Where it begins all of it is in the request, and nothing is
/// lost; what goes on from an answer before has not, and clients send all of it upon this error.
pub fn begins(thread: &RawValue) -> Result<(), ApiError> {
    match pick::at(thread.get(), &[ANSWER]) {
        Some(_) => Err(ApiError::no_thread()),
        None => Ok(()),
    }
}

/// Whether a sign stands in a text, the letter at this place being the first such one of it.
fn is_in(sign: &str, text: &[u8], at: usize) -> bool {
    let letter = text.get(at).copied().unwrap_or_default();
    let before = sign.bytes().position(|byte| byte == letter);
    let rest = before.and_then(|before| text.get(at.checked_sub(before)?..));
    rest.is_some_and(|rest| rest.starts_with(sign.as_bytes()))
}

fn decoded(value: &str) -> String {
    let inner = value.get(1..value.len().saturating_sub(1)).unwrap_or_default();
    JsonStr::from_escaped(inner).map(|s| s.decode().into_owned()).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    JsonStr::encode(text).quoted().to_owned()
}

/// What a client is told of an object that is not its own.
pub fn unknown(param: &str) -> ApiError {
    if param == THREAD {
        return ApiError::no_thread();
    }
    let message = format!(
        "{param}: no such object; send an id as this gateway has given it to you, with the same consumer"
    );
    ApiError::new(ErrorKind::NotFound, message).param(param).code("object_not_found")
}

/// Where an API's requests name objects.
struct Places {
    /// Members that name one, or a list of them.
    named: &'static [&'static str],
    /// Members that name what the gateway cannot tell the owner of, with the value that they must have
    /// to do so.
    foreign: &'static [(&'static str, Option<&'static str>)],
    /// What to send instead.
    instead: &'static str,
    /// Members in which everything is the client's own.
    own: &'static [&'static str],
    /// One of these is in every text that names an object, unless with escapes.
    signs: &'static [&'static str],
    /// Each sign has one of these letters, which few texts have.
    letters: [u8; 3],
}

const OPENAI: Places = Places {
    named: &["file_id", "file_ids", "input_file_id", "part_ids", "previous_response_id"],
    foreign: &[("conversation", None), ("type", Some("\"item_reference\""))],
    instead: "what the provider keeps without an owner cannot be reached here; send the items \
              themselves, as SDKs do with `store` false",
    own: &["parameters", "schema", "metadata", "arguments"],
    signs: &["file_id", "part_ids", "previous_response_id", "conversation", "item_reference"],
    letters: *b"_v_",
};

const ANTHROPIC: Places = Places {
    named: &["file_id", ANSWER],
    foreign: &[],
    instead: "",
    own: &["input", "input_schema", "schema", "metadata"],
    signs: &["file_id", ANSWER],
    letters: *b"___",
};

const GOOGLE: Places = Places {
    named: &["cachedContent", "cached_content"],
    foreign: &[("fileUri", Some(GOOGLE_FILES)), ("file_uri", Some(GOOGLE_FILES))],
    instead: "files of the provider's own store cannot be reached here; send the data itself",
    own: &["args", "response", "parameters", "parametersJsonSchema", "schema", "responseSchema"],
    signs: &["achedContent", "ached_content", GOOGLE_FILES],
    letters: *b"C_v",
};

/// Stands in the address of a file that Gemini's API keeps.
const GOOGLE_FILES: &str = "generativelanguage.googleapis.com";

impl Places {
    fn of(vendor: Vendor) -> &'static Places {
        match vendor {
            Vendor::OpenAi => &OPENAI,
            Vendor::Anthropic => &ANTHROPIC,
            Vendor::Google => &GOOGLE,
        }
    }

    /// Whether the text is worth a walk. A name may be hidden by escapes.
    fn may_be_in(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let [a, b, c] = self.letters;
        memchr3_iter(a, b, c, text).any(|at| self.signs.iter().any(|sign| is_in(sign, text, at)))
            || memchr_iter(b'\\', text).any(|at| text.get(at + 1) == Some(&b'u'))
    }

    /// The member that names what has no known owner, if this string does.
    fn foreign(&self, name: &str, parent: &str, value: &str) -> Option<&'static str> {
        let found = self.foreign.iter().find(|(foreign, must)| {
            (*foreign == name || *foreign == parent) && must.is_none_or(|must| value.contains(must))
        });
        // An item of `input` is told by its type.
        found.map(|(foreign, _)| if *foreign == "type" { "input" } else { foreign })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_worth_a_walk_just_if_a_sign_stands_in_it() {
        for places in [&OPENAI, &ANTHROPIC, &GOOGLE] {
            let signs = places.signs.iter().copied().chain(["\\u"]);
            for (sign, blanks) in signs.flat_map(|sign| (0..20).map(move |blanks| (sign, blanks))) {
                let before = "_Cv\\".repeat(blanks % 4) + &"x".repeat(blanks);
                assert!(places.may_be_in(&format!("{before}{sign}")), "{before}{sign}");
                let cut = sign.get(..sign.len() - 1).unwrap();
                assert!(!places.may_be_in(&format!("{before}{cut}.")), "{before}{cut}");
            }
        }
    }
}
