//! A provider, checked and made ready.

use std::borrow::Cow;
use std::rc::Rc;

use shared::config::ConfigError;

use crate::asked::Operation;
use crate::auth::access::Access;
use crate::auth::google::ServiceAccount;
use crate::base_url::BaseUrl;
use crate::config::{self, KeyLimits, Protocol};
use crate::keys::KeyPool;
use crate::names::Names;
use crate::overrides::Overrides;
use crate::presets::{self, Auth, Paths, Preset, Quirks};
use crate::translate::client::Client;
use shared::percent;
use shared::sigv4::Signer;
use shared::small_map::SmallMap;
use shared::text;

/// Headers that the proxy or the protocol sets.
const RESERVED_HEADERS: [&str; 6] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "accept-encoding",
];

/// Who answers.
#[derive(Debug)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// Which API it speaks.
    pub protocol: Protocol,
    /// On whose cloud its models run, where that changes the protocol.
    pub cloud: Cloud,
    /// Where its API begins; `{model}` in its path stands for the model.
    pub base_url: BaseUrl,
    /// How it is shown who asks.
    pub auth: Auth,
    /// What is shown.
    pub keys: KeyPool,
    /// What each key may be used for.
    pub key_limits: KeyLimits,
    /// Signs with Amazon's credentials.
    pub signer: Option<Signer>,
    /// Google's credentials.
    pub google: Option<Access>,
    /// The Envoy cluster that reaches it.
    pub cluster: Option<String>,
    /// Further headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Further parameters of the query, encoded: `a=b&c=d`.
    pub query: String,
    /// Changes to its requests' bodies.
    pub body: Overrides,
    /// Headers to set on its answers, names in lower case.
    pub response_headers: Vec<(String, String)>,
    /// Its names of models.
    pub models: Rc<Names>,
    /// Which services it has, and where.
    pub paths: Paths,
    /// What it does in its own way.
    pub quirks: Quirks,
    /// These are known.
    known: bool,
    /// `max_tokens` where the client gives none.
    pub default_max_tokens: u64,
}

/// On whose cloud a provider's models run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// The protocol is that of the models' maker.
    Own,
    /// Vertex AI. Of Anthropic's models the model stands in the path and the version in the body;
    /// Gemini's calls have no ids.
    Vertex,
    /// Anthropic's models on Bedrock: the same, and streams come in Amazon's framing.
    Bedrock,
}

impl Provider {
    /// Checks a provider; `path` is where it stands in the configuration.
    pub fn new(given: config::Provider, path: &str) -> Result<Provider, ConfigError> {
        let at = |field: &str| format!("{path}.{field}");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if given.name.is_empty() || !given.name.chars().all(plain) {
            let message = "may have letters, digits, `-`, `_` and `.` only";
            return Err(ConfigError::new(at("name"), message));
        }
        let preset = given.preset.as_deref().map(|name| preset(name, &at("preset"))).transpose()?;
        let protocol = given.protocol.or(preset.map(|preset| preset.protocol));
        let Some(protocol) = protocol else {
            let message = "is required where there is no `preset`";
            return Err(ConfigError::new(at("protocol"), message));
        };
        let url = base_url(&given, preset, protocol, path)?;
        if given.default_max_tokens == 0 {
            return Err(ConfigError::new(at("default_max_tokens"), "must be 1 or more"));
        }
        let auth = match given.auth {
            config::Auth::Host => Auth::None,
            config::Auth::Key => preset.map_or(usual_auth(protocol), |preset| preset.auth),
        };
        let signer = signer(&given, auth, path)?;
        if signer.is_none() && auth == Auth::SigV4 && given.api_key.is_empty() {
            let message = "is required to sign requests; or give a Bedrock `api_key`, or leave it to \
                           the proxy with `auth: host`";
            return Err(ConfigError::new(at("aws"), message));
        }
        let google = google(&given, auth, path)?;
        if google.is_none() && auth == Auth::GoogleServiceAccount && given.api_key.is_empty() {
            let message = "is required; or leave the token to the proxy with `auth: host`";
            return Err(ConfigError::new(at("google"), message));
        }
        Ok(Provider {
            google,
            protocol,
            cloud: cloud(preset, protocol),
            keys: KeyPool::new(&given.api_key),
            key_limits: given.key_limits,
            auth,
            signer,
            headers: headers(given.headers, &at("headers"))?,
            response_headers: headers(given.response_headers, &at("response_headers"))?,
            query: query(given.query, preset),
            body: given.body,
            models: Rc::new(Names::new(given.models, &at("models"))?),
            paths: preset.map_or(usual_paths(protocol), |preset| *preset.paths),
            quirks: preset.map_or_else(|| usual_quirks(&url), |preset| preset.quirks),
            known: preset.is_some() || url.authority == OPENAI,
            base_url: url,
            cluster: given.cluster,
            default_max_tokens: given.default_max_tokens,
            name: given.name,
        })
    }

    /// Whether requests in its own protocol are fitted to what it takes, as far as that is known.
    pub fn fits(&self, operation: Operation) -> bool {
        self.known && operation == Operation::Chat(Client::OpenAiChat)
    }

    /// A path below the provider's own, with its query.
    pub fn url(&self, path: &str, model: &str) -> String {
        let own = &self.base_url.path;
        let base = match own.contains('{') {
            true => Cow::Owned(own.replace("{model}", &percent::encode(model))),
            false => Cow::Borrowed(own.as_str()),
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let both = [query, self.query.as_str()];
        let both: Vec<_> = both.into_iter().filter(|query| !query.is_empty()).collect();
        let mark = if both.is_empty() { "" } else { "?" };
        text!(&*base, path, mark, both.join("&"))
    }
}

fn preset(name: &str, path: &str) -> Result<&'static Preset, ConfigError> {
    presets::find(name).ok_or_else(|| {
        let names: Vec<_> = presets::names().collect();
        let message = format!("there is no `{name}`; there are {}", names.join(", "));
        ConfigError::new(path, message)
    })
}

fn base_url(
    given: &config::Provider,
    preset: Option<&Preset>,
    protocol: Protocol,
    path: &str,
) -> Result<BaseUrl, ConfigError> {
    let usual = || match protocol {
        Protocol::Openai | Protocol::OpenaiResponses => Some("https://api.openai.com/v1"),
        Protocol::Anthropic => Some("https://api.anthropic.com"),
        Protocol::Gemini => Some("https://generativelanguage.googleapis.com/v1beta"),
        Protocol::Cohere => Some("https://api.cohere.com"),
        Protocol::Bedrock => None,
    };
    let url = given.base_url.as_deref().or(preset.map(|preset| preset.base_url)).or_else(usual);
    let path_of_url = format!("{path}.base_url");
    let Some(url) = url else {
        let message = "is required: https://bedrock-runtime.<region>.amazonaws.com";
        return Err(ConfigError::new(path_of_url, message));
    };
    let mut url = url.to_owned();
    for (name, value) in &given.params {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if value.is_empty() || !value.chars().all(legal) {
            let message = "may have letters, digits, `-`, `_` and `.` only";
            return Err(ConfigError::new(format!("{path}.params.{name}"), message));
        }
        url = url.replace(&format!("{{{name}}}"), value);
    }
    let open = url.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    if let Some(name) = open.into_iter().find(|name| *name != "model") {
        let message = format!("is required by the preset's base_url, {url}");
        return Err(ConfigError::new(format!("{path}.params.{name}"), message));
    }
    BaseUrl::parse(&url).map_err(|message| ConfigError::new(path_of_url, message))
}

fn usual_auth(protocol: Protocol) -> Auth {
    match protocol {
        Protocol::Anthropic => Auth::Header("x-api-key"),
        Protocol::Gemini => Auth::Header("x-goog-api-key"),
        Protocol::Bedrock => Auth::SigV4,
        Protocol::Openai | Protocol::OpenaiResponses | Protocol::Cohere => Auth::Bearer,
    }
}

fn usual_paths(protocol: Protocol) -> Paths {
    match protocol {
        Protocol::Openai => Paths::OPENAI,
        Protocol::OpenaiResponses => Paths { responses: Some("/responses"), ..Paths::OPENAI },
        Protocol::Cohere => Paths { rerank: Some("/v2/rerank"), ..Paths::CHAT },
        Protocol::Anthropic | Protocol::Gemini | Protocol::Bedrock => Paths::CHAT,
    }
}

/// OpenAI's own host.
const OPENAI: &str = "api.openai.com";

/// OpenAI itself refuses what other servers take.
fn usual_quirks(url: &BaseUrl) -> Quirks {
    match presets::find("openai") {
        Some(openai) if url.authority == OPENAI => openai.quirks,
        _ => Quirks::NONE,
    }
}

fn cloud(preset: Option<&Preset>, protocol: Protocol) -> Cloud {
    match (preset.map(|preset| preset.auth), protocol) {
        (Some(Auth::GoogleServiceAccount), Protocol::Anthropic | Protocol::Gemini) => Cloud::Vertex,
        (Some(Auth::SigV4), Protocol::Anthropic) => Cloud::Bedrock,
        _ => Cloud::Own,
    }
}

/// The service in Amazon's signatures of requests to models.
const SERVICE: &str = "bedrock";

fn signer(given: &config::Provider, auth: Auth, path: &str) -> Result<Option<Signer>, ConfigError> {
    let Some(aws) = &given.aws else { return Ok(None) };
    if auth != Auth::SigV4 {
        let message = "is for providers that want signed requests; leave it out";
        return Err(ConfigError::new(format!("{path}.aws"), message));
    }
    let region = given.params.get("region").ok_or_else(|| {
        let message = "is required to sign requests: `eu-central-1` ...";
        ConfigError::new(format!("{path}.params.region"), message)
    })?;
    Ok(Some(Signer::new(
        aws.access_key_id.clone(),
        aws.secret_access_key.clone(),
        aws.session_token.clone(),
        region,
        SERVICE,
    )))
}

fn google(given: &config::Provider, auth: Auth, path: &str) -> Result<Option<Access>, ConfigError> {
    let Some(google) = &given.google else { return Ok(None) };
    if auth != Auth::GoogleServiceAccount {
        let message = "is for providers on Vertex AI; leave it out";
        return Err(ConfigError::new(format!("{path}.google"), message));
    }
    let at = format!("{path}.google.service_account");
    let account = ServiceAccount::parse(google.service_account.expose())
        .map_err(|error| error.within(&at))?;
    let service = BaseUrl::parse(account.token_uri())
        .map_err(|message| ConfigError::new(format!("{at}.token_uri"), message))?;
    Ok(Some(Access::new(account, service, google.token_cluster.clone())))
}

fn headers(
    given: SmallMap<String, String>,
    path: &str,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut headers = Vec::new();
    for (name, value) in given {
        let path = format!("{path}.{name}");
        let name = name.to_ascii_lowercase();
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(ConfigError::new(path, "is not the name of a header"));
        }
        if RESERVED_HEADERS.contains(&name.as_str()) || name.starts_with("x-ai-") {
            return Err(ConfigError::new(path, "is set by the gateway itself; leave it out"));
        }
        if !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(ConfigError::new(path, "may have visible ASCII characters only"));
        }
        headers.push((name, value));
    }
    Ok(headers)
}

fn query(given: SmallMap<String, String>, preset: Option<&Preset>) -> String {
    let usual = preset.map(|preset| preset.query).unwrap_or_default();
    let usual = usual.iter().filter(|(name, _)| !given.contains_key(*name));
    let usual = usual.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let all: Vec<(String, String)> = usual.chain(given.clone()).collect();
    let pairs = all.iter().map(|(k, v)| format!("{}={}", percent::encode(k), percent::encode(v)));
    pairs.collect::<Vec<_>>().join("&")
}

impl Cloud {
    /// What Anthropic's bodies there say in place of the header `anthropic-version`.
    pub fn anthropic_version(self) -> Option<&'static str> {
        match self {
            Cloud::Own => None,
            Cloud::Vertex => Some("vertex-2023-10-16"),
            Cloud::Bedrock => Some("bedrock-2023-05-31"),
        }
    }
}
