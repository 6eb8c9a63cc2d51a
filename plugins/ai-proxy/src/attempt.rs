//! One attempt at one provider: the request in its form, and what is set around it.

use std::ops::Range;

use serde_json::{Map as Object, Value};
use shared::errors::{ApiError, ErrorKind};
use shared::facts;
use shared::host::{Capability, Host, HostError, Map};
use shared::json;
use shared::pick;
use shared::request::RequestBody;
use shared::sort;

use crate::asked::{Asked, ModelAt, Operation, Versions};
use crate::auth::{self, CLIENT_HEADERS, Unsigned};
use crate::config::{OnUnsupported, Protocol};
use crate::document::{self, Asking, Document};
use crate::gateway::Gateway;
use crate::objects::request::begins;
use crate::overrides::{Edit, Overrides, apply};
use crate::provider::{Cloud, Provider};
use crate::renamed;
use crate::translate::client::Client;
use crate::translate::ir::Unsupported;
use crate::translate::provider::openai_chat::same::{self, Fit};
use crate::translate::provider::{Options, betas, write};
use crate::wire::{Wanted, Wire};

/// The nginx variable that says which provider the request goes to: its `cluster`, else its name. A
/// route's `traffic-split` can match on it. No client can set it.
const TARGET_VARIABLE: &str = "wasm_ai_target";

/// Headers of the client, besides those with its key, that no provider gets, and those of a signature
/// that an attempt before this one has made.
const STRIPPED: [&str; 15] = [
    "x-amz-date",
    "x-amz-security-token",
    "cookie",
    "proxy-authorization",
    "openai-organization",
    "openai-project",
    "x-ai-provider",
    "x-ai-pin",
    "x-ai-debug",
    "x-gateway-destination-endpoint",
    facts::HEADER,
    shared::exchange::CLUSTER_HEADER,
    // Who APISIX's authentication plugins say it is.
    "x-consumer-username",
    "x-consumer-custom-id",
    "x-credential-identifier",
];

/// Headers by which clients of Anthropic choose its API's version and features.
const VERSION_HEADER: &str = "anthropic-version";
const BETA_HEADER: &str = "anthropic-beta";

/// The version of Anthropic's API that is spoken.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// A request as a provider takes it.
#[derive(Debug)]
pub struct Attempt {
    /// Where it goes.
    pub wire: Wire,
    /// What to do with the body.
    pub body: NewBody,
    /// Number of the provider's key.
    pub key: Option<usize>,
    /// The token counts were asked for although the client has not; it is not to see them.
    pub usage_added: bool,
    /// Fields that the provider has nothing for, under the client's names.
    pub dropped: Vec<String>,
    /// [`Request::echo`](crate::translate::ir::Request::echo).
    pub echo: String,
    /// Names of the tools that take any text.
    pub custom_tools: Vec<String>,
    /// What the answer is to become, if it is one document and no chat.
    pub document: Option<Document>,
    /// [`Asked::versions`].
    pub versions: Versions,
}

/// What an attempt is made in.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The configuration.
    pub gateway: &'a Gateway,
    /// Bodies of requests and answers can be changed on their way.
    pub rewrites: bool,
    /// Seconds since the Unix epoch.
    pub now: u64,
}

/// What to do with a request's body.
#[derive(Debug, PartialEq, Eq)]
pub enum NewBody {
    /// It stays.
    Same,
    /// Parts of it change.
    Edits(Vec<Edit>),
    /// All of it is new.
    Whole(String),
}

impl Attempt {
    /// Puts a request into the provider's form; `changes` are made to it besides the provider's own.
    pub fn new(
        circumstances: &Circumstances<'_>,
        provider: &Provider,
        changes: Option<&Overrides>,
        model: &str,
        asked: &Asked,
        body: json::Document<'_>,
    ) -> Result<Attempt, ApiError> {
        let text = body.text();
        let gateway = circumstances.gateway;
        let wire = Wire::of(provider, model, asked)?;
        let mut attempt = Attempt {
            body: NewBody::Same,
            key: key(circumstances, provider, asked),
            usage_added: false,
            dropped: Vec::new(),
            echo: String::new(),
            custom_tools: Vec::new(),
            document: None,
            versions: asked.versions.clone(),
            wire,
        };
        let options = Options {
            model,
            default_max_tokens: provider.default_max_tokens,
            quirks: provider.quirks,
            cloud: provider.cloud,
        };
        let (taken, unknown) =
            betas::sort(attempt.wire.protocol, provider.cloud, model, asked.versions.both().1);
        match (asked.operation, attempt.wire.service) {
            (Operation::Chat(client), _) if !attempt.wire.same => {
                let mut request = client.read(body)?;
                request.betas = taken;
                // Gemini's clients say it in the path.
                request.stream |= asked.stream;
                let body = write(attempt.wire.protocol, &mut request, &options)
                    .map_err(|Unsupported(what)| unsupported(what, &provider.name))?;
                attempt.body = NewBody::Whole(overridden(provider, changes, body));
                attempt.dropped = request.dropped;
                let fields = request.unsupported.iter();
                attempt.dropped.extend(fields.map(|f| client.name_of(*f).to_owned()));
                attempt.echo = request.echo;
                let custom = request.tools.iter().filter(|tool| tool.custom);
                attempt.custom_tools = custom.map(|t| t.name.decode().into_owned()).collect();
            }
            (Operation::Embed(client), Wanted::Vectors(dialect)) if !attempt.wire.same => {
                let asked = document::vectors(provider, changes, model, client, dialect, text)?;
                attempt.ask(asked);
            }
            (Operation::Count(client), Wanted::Count(counter)) if !attempt.wire.same => {
                let asked = document::count(provider, client, counter, text, &options)?;
                attempt.ask(asked);
            }
            _ => {
                let mut fit = Fit::default();
                if circumstances.rewrites && provider.fits(asked.operation) {
                    let renamed = asked.model != model;
                    fit = same::fit(body, &options, renamed)
                        .map_err(|Unsupported(what)| unsupported(what, &provider.name))?;
                    attempt.dropped = std::mem::take(&mut fit.dropped);
                }
                if on_another_cloud(provider, asked)
                    && let Some(thread) = pick::at(body, &["thread"])
                {
                    begins(thread)?;
                    attempt.dropped.push("thread".into());
                }
                attempt.usage_added = circumstances.rewrites && lacks_usage(provider, asked);
                let added = Added { fit, betas: &taken, usage: attempt.usage_added };
                let edits = edits(provider, changes, model, asked, added, text);
                if !edits.is_empty() {
                    attempt.body = NewBody::Edits(edits);
                }
            }
        }
        if let (OnUnsupported::Error, Some(field)) =
            (gateway.on_unsupported, attempt.dropped.first())
        {
            let message =
                format!("{field}: provider `{}` has nothing for it; leave it out", provider.name);
            return Err(ApiError::new(ErrorKind::InvalidRequest, message).param(field));
        }
        // Agents send the same to all; no request is refused for these.
        attempt.dropped.extend(unknown.iter().map(|name| ["anthropic-beta.", name].concat()));
        Ok(attempt)
    }

    /// Asks for one document.
    fn ask(&mut self, asked: Asking) {
        self.body = NewBody::Whole(asked.body);
        self.dropped = asked.dropped;
        self.document = Some(asked.document);
    }

    /// Applies the body's change.
    pub fn change(&mut self, body: &mut RequestBody) -> Result<(), ApiError> {
        match std::mem::replace(&mut self.body, NewBody::Same) {
            NewBody::Same => Ok(()),
            NewBody::Whole(text) => {
                body.replace(text);
                Ok(())
            }
            NewBody::Edits(edits) => {
                let edits: Vec<(Range<usize>, &str)> =
                    edits.iter().map(|(range, with)| (range.clone(), with.as_str())).collect();
                body.edit(&edits).map_err(|_| {
                    ApiError::new(ErrorKind::Internal, "the request could not be changed")
                })
            }
        }
    }

    /// The body for a call of the plugin's own.
    pub fn take_body(&mut self, original: &[u8]) -> Vec<u8> {
        match std::mem::replace(&mut self.body, NewBody::Same) {
            NewBody::Whole(text) => text.into_bytes(),
            NewBody::Same => original.to_vec(),
            NewBody::Edits(edits) => {
                let mut out = Vec::with_capacity(original.len());
                let mut done = 0;
                for (range, with) in edits {
                    out.extend_from_slice(original.get(done..range.start).unwrap_or_default());
                    out.extend_from_slice(with.as_bytes());
                    done = range.end;
                }
                out.extend_from_slice(original.get(done..).unwrap_or_default());
                out
            }
        }
    }
}

/// The number of the key to send: that which objects were made with, as long as it is there, else the
/// next in turn.
fn key(circumstances: &Circumstances<'_>, provider: &Provider, asked: &Asked) -> Option<usize> {
    let holder = match (&asked.held.pin, &circumstances.gateway.objects) {
        (Some(pin), Some(objects)) => {
            provider.keys.position(|secret| objects.is_mark(&pin.key, secret.expose()))
        }
        _ => None,
    };
    holder.or_else(|| provider.keys.take(circumstances.now))
}

/// Whether a stream of Chat Completions, or of Completions before it, would end without its token counts, which
/// limits and budgets live by.
fn lacks_usage(provider: &Provider, asked: &Asked) -> bool {
    let openai =
        matches!(asked.operation, Operation::Chat(Client::OpenAiChat | Client::OpenAiCompletions));
    openai && asked.stream && !asked.include_usage && !provider.quirks.no_stream_options
}

/// What changes besides what the configuration says.
struct Added<'a> {
    /// What the provider takes in another way.
    fit: Fit,
    /// Names of Anthropic's features.
    betas: &'a [&'a str],
    /// The token counts are asked for.
    usage: bool,
}

/// Whether this is Anthropic's Messages on a cloud that is another's.
fn on_another_cloud(provider: &Provider, asked: &Asked) -> bool {
    let chat = matches!(asked.operation, Operation::Chat(_));
    chat && provider.protocol == Protocol::Anthropic && provider.cloud != Cloud::Own
}

/// What changes in a body that is in the provider's protocol already.
fn edits(
    provider: &Provider,
    changes: Option<&Overrides>,
    model: &str,
    asked: &Asked,
    added: Added<'_>,
    text: &str,
) -> Vec<Edit> {
    let mut overrides = match changes {
        Some(changes) => provider.body.and(changes),
        None => provider.body.clone(),
    };
    if !added.fit.members.is_empty() {
        overrides = added.fit.members.and(&overrides);
    }
    if matches!(asked.operation, Operation::Count(_)) {
        // What is said of answers no counter knows.
        overrides = Overrides::default();
    }
    if added.usage {
        // The client's other options stay.
        let given = pick::at(text, &["stream_options"]).and_then(|it| json::tree(it.get()).ok());
        let mut options = given.unwrap_or_else(|| Value::Object(Object::new()));
        if let Some(options) = options.as_object_mut() {
            options.insert("include_usage".into(), true.into());
        }
        overrides.set.insert("stream_options".into(), options);
    }
    if on_another_cloud(provider, asked) {
        overrides = cloud_overrides(provider.cloud, added.betas).and(&overrides);
    }
    let mut edits = match &asked.model_at {
        Some(ModelAt::Form(range)) if asked.model != model => {
            return vec![(range.clone(), model.to_owned())];
        }
        Some(ModelAt::Form(_)) => return Vec::new(),
        _ if overrides.is_empty() => Vec::new(),
        _ => overrides.edits(text),
    };
    let members = edits.len();
    let renamed = renamed::edits(asked, model, text);
    let held = asked.held.edits.iter().cloned();
    for (range, name) in renamed.into_iter().chain(held).chain(added.fit.edits) {
        let whole = edits.iter().take(members);
        if !whole.into_iter().any(|(edit, _)| edit.start < range.end && range.start < edit.end) {
            edits.push((range, name));
        }
    }
    sort::by_key(&mut edits, |(range, _)| range.start);
    edits
}

/// On other clouds the model and whether to stream stand in Anthropic's path, the version in the body. So
/// do, on Amazon's, the names of its API's features; Google's takes them in the header. Neither keeps
/// threads.
/// <https://docs.anthropic.com/en/api/claude-on-vertex-ai>,
/// <https://docs.anthropic.com/en/api/claude-on-amazon-bedrock>
fn cloud_overrides(cloud: Cloud, betas: &[&str]) -> Overrides {
    let mut overrides = Overrides::default();
    if let Some(version) = cloud.anthropic_version() {
        overrides.default.insert("anthropic_version".into(), version.into());
        overrides.remove.extend(["model".into(), "thread".into()]);
    }
    if cloud == Cloud::Bedrock {
        overrides.remove.push("stream".into());
        if !betas.is_empty() {
            overrides.default.insert("anthropic_beta".into(), betas.into());
        }
    }
    overrides
}

/// With the configuration's changes.
pub fn overridden(provider: &Provider, changes: Option<&Overrides>, body: String) -> String {
    let edits = match changes {
        Some(changes) => provider.body.and(changes).edits(&body),
        None => provider.body.edits(&body),
    };
    if edits.is_empty() { body } else { apply(&body, &edits) }
}

/// What a client is told of something that the provider does not take.
pub fn unsupported(what: &str, provider: &str) -> ApiError {
    let message =
        format!("provider `{provider}` does not take {what}; leave it out or ask another model");
    ApiError::new(ErrorKind::InvalidRequest, message).code("unsupported_by_provider")
}

/// The headers that a provider wants, those of the content apart.
pub fn headers(
    provider: &Provider,
    attempt: &Attempt,
    client_key: Option<&str>,
    request: Unsigned<'_>,
) -> Result<Vec<(String, String)>, ApiError> {
    let mut headers = provider.headers.clone();
    if attempt.wire.protocol == Protocol::Anthropic && provider.cloud != Cloud::Bedrock {
        let (version, beta) = attempt.versions.both();
        let version = if version.is_empty() { ANTHROPIC_VERSION } else { version };
        // On Google's cloud it stands in the body.
        let version = if provider.cloud == Cloud::Own { version } else { "" };
        for (name, value) in [(VERSION_HEADER, version), (BETA_HEADER, beta)] {
            if !value.is_empty() && !headers.iter().any(|(given, _)| given == name) {
                headers.push((name.into(), value.to_owned()));
            }
        }
    }
    headers.extend(auth::headers(provider, attempt.key, client_key, request)?);
    Ok(headers)
}

/// Takes away what is the client's own, and what an attempt before this one has set; not what is to be kept or is
/// set now.
pub fn strip(gateway: &Gateway, host: &dyn Host, keep: impl Fn(&str) -> bool) {
    let all = STRIPPED.into_iter().chain(CLIENT_HEADERS).chain(gateway.provider_headers());
    for name in all.filter(|name| !keep(name)) {
        let _ = host.remove_header(Map::Request, name);
    }
}

/// Points the request, whose body is `body` by now, at a provider.
pub fn address(
    gateway: &Gateway,
    provider: &Provider,
    attempt: &Attempt,
    passthrough: bool,
    body: &[u8],
    host: &dyn Host,
) -> Result<(), ApiError> {
    let client_key = passthrough.then(|| auth::client_key(host)).flatten();
    if passthrough && client_key.is_none() {
        return Err(auth::no_client_key());
    }
    let request = Unsigned { host, method: None, path: &attempt.wire.path, body };
    let headers = headers(provider, attempt, client_key.as_deref(), request)?;
    let is_set = |name: &str| headers.iter().any(|(set, _)| set.eq_ignore_ascii_case(name));
    strip(gateway, host, is_set);
    // Those of the client, or of an attempt before this one.
    for name in [VERSION_HEADER, BETA_HEADER].into_iter().filter(|name| !is_set(name)) {
        let _ = host.remove_header(Map::Request, name);
    }
    if !host.can(Capability::Clusters) {
        // Where the configuration does not declare it, the route has one upstream.
        let target = provider.cluster.as_deref().unwrap_or(&provider.name);
        let _ = host.set_property(&[TARGET_VARIABLE], target.as_bytes());
    }
    set(provider, &attempt.wire.path, headers, host).map_err(|error| {
        log::error!("the request could not be pointed at {}: {error}", provider.name);
        ApiError::new(ErrorKind::Internal, "the gateway could not address the provider")
    })
}

fn set(
    provider: &Provider,
    path: &str,
    headers: Vec<(String, String)>,
    host: &dyn Host,
) -> Result<(), HostError> {
    // Answers are looked into.
    host.set_header(Map::Request, "accept-encoding", "identity")?;
    for (name, value) in headers {
        host.set_header(Map::Request, &name, &value)?;
    }
    host.set_path(path)?;
    host.set_authority(&provider.base_url.authority)
}
