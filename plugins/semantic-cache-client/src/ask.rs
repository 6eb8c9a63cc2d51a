//! What a request asks: its name in the cache, and what decides whether it may be cached.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use serde_json::value::RawValue;
use shared::facts::Fact;
use shared::filter::Cx;
use shared::host::Map;
use shared::json::{Document, JsonStr};
use shared::protocol::{Endpoint, GooglePath};
use shared::request::RequestBody;
use shared::texts::{Kind, Role};

use crate::answer::Wanted;
use crate::bypass::{Bypass, cacheable, refuse_by_facts};
use crate::canonical::Canonical;
use crate::config::Scope;
use crate::control::Control;
use crate::key::{Key, KeyWriter};
use crate::plain::Plain;
use crate::policy::Policy;
use crate::recent::{LONGEST, Recent};
use crate::record::Entry;
use crate::store::local::State;
use crate::told;

/// Members that ask for tools.
const TOOLS: [&str; 6] =
    ["tools", "functions", "mcp_servers", "web_search_options", "toolConfig", "tool_config"];

/// Members by which a request goes on from something that the provider keeps.
const STATE: [&str; 5] =
    ["previous_response_id", "conversation", "container", "background", "thread"];

/// Headers of a client API that change answers.
const VERSIONS: [&str; 2] = ["anthropic-version", "anthropic-beta"];

/// A request that can be looked up.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The client's API.
    pub endpoint: Endpoint,
    /// The model that it asks for.
    pub model: String,
    /// It wants a stream.
    pub stream: bool,
    /// Of Chat Completions and Completions: it wants the tokens at the end of the stream.
    pub include_usage: bool,
    /// Calls of tools are answers too.
    pub tools: bool,
    /// The name of its answer.
    pub key: Key,
    /// That in hexadecimal digits.
    pub hex: String,
    /// Whose answers these are.
    pub tenant: String,
    /// The consumer.
    pub consumer: String,
    /// Its end user, as the request names one.
    pub user: String,
    /// The last question, if it can be compared with others.
    pub question: Option<Question>,
    /// The name is that of equal requests to every API.
    pub plain: bool,
    /// It is served with answers of its own API only: those of others do not say all that is asked for.
    pub precise: bool,
    /// Of Responses: what an answer repeats of its request.
    pub echo: String,
    /// A short answer that was there for it, and when.
    pub(crate) served: RefCell<Option<(State, Entry)>>,
}

/// A question that can be compared.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its text.
    pub text: String,
    /// The name of all else: only questions of the same are compared.
    pub partition: Key,
}

/// A member of a body.
pub(crate) type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// What is read of a body before its name.
#[derive(Default)]
struct Body<'a> {
    members: Vec<Member<'a>>,
    model: String,
    stream: bool,
    include_usage: bool,
    tools: bool,
    state: bool,
    temperature: Option<f64>,
    user: String,
}

impl Ask {
    /// What is expected of its answer.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted { tools: self.tools }
    }

    /// Reads a request, unless the same came before.
    pub fn read(
        policy: &Policy,
        recent: &Recent,
        cx: &mut Cx<'_>,
        control: &Control,
        request: &RequestBody,
    ) -> Result<Rc<Ask>, Bypass> {
        let text = request.text();
        let endpoint = cacheable(cx.endpoint).ok_or(Bypass::Endpoint)?;
        if control.no_store {
            return Err(Bypass::NoStore);
        }
        let consumer = cx.facts.get(cx.host, Fact::Consumer).unwrap_or_default();
        let tenant = tenant(policy, cx, &consumer).ok_or(Bypass::NoConsumer)?;
        refuse_by_facts(policy, cx)?;
        let mut name = KeyWriter::default();
        name.add(policy.generation.as_bytes());
        name.add(tenant.as_bytes());
        name.add(control.key.as_bytes());
        for fact in [Fact::AllowedModels, Fact::AllowedRegions] {
            // Not of a consumer only: a route has regions too.
            name.add_option(cx.facts.get(cx.host, fact).as_deref().map(str::as_bytes));
        }
        for header in &policy.vary {
            name.add_option(cx.host.header(Map::Request, header).as_deref());
        }
        let common = name.bytes().len();
        name.add(api(endpoint));
        let version = match endpoint {
            Endpoint::AnthropicMessages => Version::read(cx, &mut name),
            _ => Version::Usual,
        };
        let path = match endpoint {
            Endpoint::Gemini => cx.host.path().unwrap_or_default(),
            _ => String::new(),
        };
        let mut given = name.clone();
        given.add(consumer.as_bytes());
        given.add(path.as_bytes());
        given.add(&[u8::from(control.exact)]);
        if let Some(known) = recent.get(given.bytes(), text.as_bytes()) {
            return Ok(known);
        }
        let document = request.document();
        let mut body = Body::read(document).ok_or(Bypass::Unreadable)?;
        if endpoint == Endpoint::Gemini {
            let google = GooglePath::of(&path).ok_or(Bypass::Unreadable)?;
            body.model = google.model.to_owned();
            body.stream = google.streams();
            // Without it the stream is one JSON array.
            if body.stream && !path.contains("alt=sse") {
                return Err(Bypass::Endpoint);
            }
        }
        refuse(policy, &body)?;
        let members = body.relevant(policy);
        let plain = Plain::read(endpoint, document, &members).filter(|plain| version.fits(plain));
        if plain.is_some() {
            name.truncate(common);
            name.add(b"any");
        }
        name.add(body.model.as_bytes());
        let mut form = Canonical::of(text.len());
        write(plain.as_ref(), &members, &mut form).ok_or(Bypass::Unreadable)?;
        if form.media && !policy.allow.media {
            return Err(Bypass::Media);
        }
        let question = match &policy.semantic {
            Some(semantic)
                if !control.exact
                    && !form.media
                    && cx.facts.allow_region(cx.host, &semantic.region) =>
            {
                question(request, &semantic.languages, semantic.max_question)
            }
            _ => None,
        };
        let question = question.and_then(|(text, raw)| {
            let mut rest = Canonical::without(raw);
            write(plain.as_ref(), &members, &mut rest)?;
            Some(Question { text, partition: name.finish(&[b"question", &rest.out]) })
        });
        let key = name.finish(&[b"request", &form.out]);
        let echo = match endpoint {
            Endpoint::OpenAiResponses if plain.is_some() => told::echo(&members),
            _ => String::new(),
        };
        let ask = Rc::new(Ask {
            endpoint,
            model: body.model,
            stream: body.stream,
            include_usage: body.include_usage,
            tools: body.tools,
            hex: key.hex(),
            key,
            tenant,
            consumer,
            user: body.user,
            question,
            precise: endpoint == Endpoint::AnthropicMessages
                && plain.as_ref().is_some_and(Plain::stops),
            echo,
            plain: plain.is_some(),
            served: RefCell::default(),
        });
        recent.add(given.bytes(), text.as_bytes(), &ask);
        Ok(ask)
    }

    /// The same by a name of its API's own, for where what other APIs were answered cannot be told in it.
    pub(crate) fn apart(&self) -> Option<Ask> {
        if !self.plain {
            return None;
        }
        let key = KeyWriter::default().finish(&[b"apart", api(self.endpoint), &self.key.0]);
        let served = RefCell::default();
        Some(Ask { key, hex: key.hex(), plain: false, served, ..self.clone() })
    }

    /// This answer is there for it.
    pub(crate) fn serves(&self, state: State, entry: &Entry) {
        let mut served = self.served.borrow_mut();
        if served.as_ref().is_none_or(|(known, _)| *known != state) {
            *served = Some((state, entry.clone())).filter(|_| entry.body.len() <= LONGEST);
        }
    }
}

/// What is known of a version of Anthropic's API.
#[derive(Clone, Copy, PartialEq)]
enum Version {
    /// Its questions and answers of text alone are those that other APIs have.
    Usual,
    /// So are they here, but what says how words are chosen is refused.
    Choosing,
    /// Nothing.
    Other,
}

impl Version {
    /// Reads it, and adds it to a name.
    fn read(cx: &mut Cx<'_>, name: &mut KeyWriter) -> Version {
        let [version, beta] = VERSIONS.map(|header| {
            let value = cx.host.header(Map::Request, header);
            name.add_option(value.as_deref());
            value
        });
        match version.as_deref() {
            _ if beta.is_some() => Version::Other,
            None | Some(b"2023-06-01") => Version::Usual,
            Some(b"2026-10-21") => Version::Choosing,
            Some(_) => Version::Other,
        }
    }

    fn fits(self, plain: &Plain<'_>) -> bool {
        match self {
            Version::Usual => true,
            Version::Choosing => !plain.samples(),
            Version::Other => false,
        }
    }
}

/// Whose answers a request may get.
fn tenant(policy: &Policy, cx: &mut Cx<'_>, consumer: &str) -> Option<String> {
    Some(match policy.scope {
        Scope::Shared => "shared".to_owned(),
        _ if consumer.is_empty() => return None,
        Scope::Consumer => format!("consumer {consumer}"),
        Scope::Group => {
            let groups = cx.facts.get(cx.host, Fact::Groups).unwrap_or_default();
            if groups.is_empty() {
                format!("consumer {consumer}")
            } else {
                let mut groups: Vec<&str> = groups.split(',').collect();
                shared::sort::few(&mut groups, |a, b| a < b);
                format!("group {}", groups.join(","))
            }
        }
    })
}

/// The word for an API in names.
fn api(endpoint: Endpoint) -> &'static [u8] {
    match endpoint {
        Endpoint::OpenAiChat => b"chat",
        Endpoint::OpenAiCompletions => b"completions",
        Endpoint::OpenAiResponses => b"responses",
        Endpoint::AnthropicMessages => b"messages",
        _ => b"gemini",
    }
}

fn refuse(policy: &Policy, body: &Body<'_>) -> Result<(), Bypass> {
    if body.state {
        return Err(Bypass::State);
    }
    if body.tools && !policy.allow.tools {
        return Err(Bypass::Tools);
    }
    if body.temperature.unwrap_or(1.0) > policy.allow.max_temperature {
        return Err(Bypass::Temperature);
    }
    Ok(())
}

impl<'a> Body<'a> {
    fn read(document: Document<'a>) -> Option<Body<'a>> {
        let mut body = Body { members: document.fields().ok()?, ..Body::default() };
        for (key, value) in &body.members {
            let value = value.get();
            let some = !matches!(value, "null" | "false" | "[]" | "{}" | "\"\"");
            match &**key {
                "model" => body.model = plain(value),
                "stream" => body.stream = value == "true",
                "stream_options" => {
                    let asked = shared::pick::at(value, &["include_usage"]);
                    body.include_usage = asked.is_some_and(|asked| asked.get() == "true");
                }
                "temperature" => body.temperature = value.parse().ok(),
                "generationConfig" | "generation_config" => {
                    let asked = shared::pick::at(value, &["temperature"]);
                    body.temperature = asked.and_then(|asked| asked.get().parse().ok());
                }
                "user" | "safety_identifier" => body.user = user(value).unwrap_or(body.user),
                "metadata" => {
                    let named = shared::pick::at(value, &["user_id"]);
                    let named = named.and_then(|named| user(named.get()));
                    body.user = named.unwrap_or(body.user);
                }
                key if TOOLS.contains(&key) => body.tools |= some,
                key if STATE.contains(&key) => body.state |= some,
                _ => {}
            }
        }
        Some(body)
    }

    /// All that may change the answer, by name.
    fn relevant(&self, policy: &Policy) -> Vec<&Member<'a>> {
        let relevant = |key: &str| {
            key != "stream" && key != "stream_options" && !policy.ignore.iter().any(|i| i == key)
        };
        let mut members: Vec<_> = self
            .members
            .iter()
            .filter(|(key, value)| relevant(key) && value.get() != "null")
            .collect();
        shared::sort::by(&mut members, |a, b| a.0 < b.0);
        members
    }
}

/// Writes the form of a request.
fn write(plain: Option<&Plain<'_>>, members: &[&Member<'_>], form: &mut Canonical) -> Option<()> {
    if let Some(plain) = plain {
        plain.write(form);
        return Some(());
    }
    for (key, value) in members {
        match key {
            // It stands so in the document, without an escape.
            Cow::Borrowed(key) => {
                form.out.push(b'"');
                form.out.extend_from_slice(key.as_bytes());
                form.out.push(b'"');
            }
            Cow::Owned(key) => {
                form.out.extend_from_slice(JsonStr::encode(key).quoted().as_bytes());
            }
        }
        form.out.push(b':');
        form.value(value.get())?;
        form.out.push(b',');
    }
    Some(())
}

/// An end user; `None` if nobody is named: what is `null` or empty takes no other member's place.
fn user(json: &str) -> Option<String> {
    let number = json.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let named = if number { json.to_owned() } else { plain(json) };
    Some(named).filter(|named| !named.is_empty())
}

/// A string's value; nothing of anything else.
fn plain(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_default()
}

/// The question that a request ends with, and where it stands: the only text of the last message, said
/// by the user, in a language that the embedder knows.
fn question<'t>(
    request: &'t RequestBody,
    languages: &[crate::config::Language],
    longest: usize,
) -> Option<(String, &'t str)> {
    let found = request.said().ok()?.texts;
    let conversation =
        || found.iter().filter(|t| matches!(t.role, Role::User | Role::Assistant | Role::Tool));
    let last = conversation().map(|text| text.message).max()?;
    let mut of_last = conversation().filter(|text| text.message == last);
    let only = of_last.next()?;
    if of_last.next().is_some() || only.role != Role::User || only.kind != Kind::Text {
        return None;
    }
    let raw = only.raw.get();
    let string: String = serde_json::from_str(raw).ok()?;
    let fits = string.chars().count() <= longest && !string.trim().is_empty();
    (fits && languages.contains(&crate::veto::language(&string))).then_some((string, raw))
}
