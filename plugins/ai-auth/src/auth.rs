//! Who asks: from what a request shows, and what the proxy has proved.

use std::rc::Rc;

use serde_json::{Map as Object, Value};
use shared::config::{ConfigError, Mode};
use shared::exchange::{Limits, Settings};
use shared::filter::CallReply;
use shared::host::{Call, CallId, Host, Map};
use shared::services::Services;

use crate::access::Access;
use crate::config::{Config, HostIdentity, HostSource};
use crate::directory::{Consumer, Directory, Key};
use crate::jwt::{Checked, Issuer, Reason, Token};
use crate::key::MAX_KEY;
use crate::lookup::{Found, Lookup};

/// The configured plugin's state.
#[derive(Debug)]
pub struct Auth {
    /// What the plugin does.
    pub mode: Mode,
    /// Who is known.
    pub directory: Directory,
    /// The parameter that may hold a key.
    pub query_key: Option<String>,
    /// Whether credentials stay on the request.
    pub keep_credentials: bool,
    issuers: Vec<Issuer>,
    host_identity: Option<HostIdentity>,
    lookup: Option<Lookup>,
    anonymous: Option<Rc<Consumer>>,
    settings: Settings,
}

/// Somebody who is known.
#[derive(Clone, Debug)]
pub struct Who {
    /// Whose rules hold.
    pub consumer: Rc<Consumer>,
    /// What it is called, in metrics and limits.
    pub name: String,
    /// Its groups, separated by commas.
    pub groups: String,
    /// The key that was used.
    pub key_id: String,
    /// Its tags, a JSON object; empty if there are none.
    pub tags: String,
    /// Claims that are passed on, a JSON object; empty if there are none.
    pub claims: String,
}

/// What came of asking who it is.
#[derive(Debug)]
pub enum Identity {
    /// It is known.
    Known(Box<Who>),
    /// It is not; the reason is for the log.
    Unknown(Reason),
    /// It takes a call to know.
    Ask(Box<Call>, Pending),
    /// Nobody can tell now.
    Unavailable(Reason),
}

/// What a call is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// The keys of the issuer of this number.
    Keys(usize),
    /// A key that is kept elsewhere, with the number that the answer must repeat.
    Key(u64),
}

impl Auth {
    /// Checks a configuration.
    pub fn new(config: Config) -> Result<Auth, ConfigError> {
        let prefix_ok = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if config.key_prefix.is_empty() || !config.key_prefix.bytes().all(prefix_ok) {
            return Err(ConfigError::new("key_prefix", "may have letters, digits, `-` and `_`"));
        }
        let directory = Directory::new(&config)?;
        let named = |name: &Option<String>, path: String| match name {
            None => Ok(None),
            Some(name) => match directory.named(name) {
                Some(consumer) => Ok(Some(Rc::clone(consumer))),
                None => Err(ConfigError::new(path, "there is no such consumer")),
            },
        };
        let anonymous = named(&config.anonymous, "anonymous".into())?;
        let mut issuers: Vec<Issuer> = Vec::new();
        for (index, jwt) in config.jwt.into_iter().enumerate() {
            let path = format!("jwt[{index}]");
            named(&jwt.default_consumer, format!("{path}.default_consumer"))?;
            if issuers.iter().any(|issuer| issuer.config.issuer == jwt.issuer) {
                return Err(ConfigError::new(format!("{path}.issuer"), "is there twice"));
            }
            issuers.push(Issuer::new(jwt, &path)?);
        }
        if let Some(identity) = &config.host_identity {
            let path = "host_identity.default_consumer".to_owned();
            named(&identity.default_consumer, path)?;
            if identity.from == HostSource::JwtAuthn && identity.payload.is_none() {
                let message = "name the filter's `payload_in_metadata`";
                return Err(ConfigError::new("host_identity.payload", message));
            }
        }
        let lookup = config.lookup.map(Lookup::new).transpose()?;
        let limits = Limits { request: config.max_request_bytes, ..Limits::default() };
        Ok(Auth {
            mode: config.mode,
            directory,
            query_key: config.query_key,
            keep_credentials: config.keep_credentials,
            issuers,
            host_identity: config.host_identity,
            lookup,
            anonymous,
            settings: Settings {
                limits,
                services: Services::new(&config.services, "services")?,
                ..Settings::default()
            },
        })
    }

    /// Settings of its exchanges.
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// The rules for somebody: its own first, then its groups'.
    pub fn rules<'a>(&'a self, who: &'a Who) -> Vec<&'a Access> {
        self.directory.rules(&who.consumer, &who.groups)
    }

    /// Who shows this credential. `asked`: a call has been made for it already, which is not made
    /// again.
    pub fn identify(&self, host: &dyn Host, credential: Option<&str>, asked: bool) -> Identity {
        let Some(credential) = credential else {
            return self.without(host, "no credentials");
        };
        let found = match Token::looks_like_one(credential) {
            true if !self.issuers.is_empty() => self.by_token(host, credential, asked),
            _ => self.by_key(host, credential, asked),
        };
        match found {
            // The provider's own key, which is none of ours: the proxy may still know who it is.
            Identity::Unknown(reason) if self.keep_credentials => self.without(host, reason),
            found => found,
        }
    }

    /// Who it is without any credential of ours.
    fn without(&self, host: &dyn Host, reason: Reason) -> Identity {
        if let Some(who) = self.host_identity.as_ref().and_then(|from| self.proved(host, from)) {
            return Identity::Known(Box::new(who));
        }
        match &self.anonymous {
            Some(consumer) => Identity::Known(Box::new(Who::is(consumer))),
            None => Identity::Unknown(reason),
        }
    }

    fn by_key(&self, host: &dyn Host, text: &str, asked: bool) -> Identity {
        if text.len() > MAX_KEY {
            return Identity::Unknown("the key is too long");
        }
        let digest = self.directory.digest(text);
        let Some(id) = self.directory.id_of(text, &digest) else {
            return Identity::Unknown("no key of ours");
        };
        let now = host.now_nanos();
        let admit = |key: &Key| {
            if key.admits(&digest, seconds(now)) {
                let mut who = Who::is(&key.consumer);
                who.key_id = key.id.clone();
                Identity::Known(Box::new(who))
            } else {
                Identity::Unknown("wrong, expired or not valid yet")
            }
        };
        if let Some(key) = self.directory.key(id) {
            return admit(key);
        }
        let Some(lookup) = &self.lookup else { return Identity::Unknown("no such key") };
        match lookup.known(id, now) {
            Some(Some(key)) => admit(&key),
            Some(None) => Identity::Unknown("no such key"),
            None if asked => Identity::Unavailable("the keys cannot be looked up"),
            None => {
                let (call, nonce) = lookup.call(host, id);
                Identity::Ask(Box::new(call), Pending::Key(nonce))
            }
        }
    }

    fn by_token(&self, host: &dyn Host, text: &str, asked: bool) -> Identity {
        let token = match Token::read(text) {
            Ok(token) => token,
            Err(reason) => return Identity::Unknown(reason),
        };
        let claimed = token.claims.get("iss").and_then(Value::as_str);
        let issuer = self.issuers.iter().enumerate();
        let mut issuer = issuer.filter(|(_, one)| Some(one.config.issuer.as_str()) == claimed);
        let Some((index, issuer)) = issuer.next() else {
            return Identity::Unknown("no issuer of ours");
        };
        match issuer.check(host, &token, seconds(host.now_nanos())) {
            Checked::Valid => self.of_token(issuer, &token),
            Checked::Invalid(reason) => Identity::Unknown(reason),
            Checked::NeedsKeys(call) if !asked => Identity::Ask(call, Pending::Keys(index)),
            Checked::NeedsKeys(_) | Checked::LacksKeys => {
                Identity::Unavailable("the issuer's keys are missing")
            }
        }
    }

    fn of_token(&self, issuer: &Issuer, token: &Token<'_>) -> Identity {
        let config = &issuer.config;
        let Some(subject) = token.claim(&config.consumer_claim).and_then(text) else {
            return Identity::Unknown("the claim that names the consumer is missing");
        };
        let Some(mut who) = self.named(&subject, config.default_consumer.as_deref()) else {
            return Identity::Unknown("its subject is no consumer");
        };
        if let Some(claim) = config.groups_claim.as_ref().and_then(|name| token.claim(name)) {
            who.groups = words(claim).join(",");
        }
        let pick = |name: &String, claim: &String| {
            Some((name.clone(), Value::String(token.claim(claim).and_then(text)?)))
        };
        let tags: Object<String, Value> =
            config.tags.iter().filter_map(|(tag, claim)| pick(tag, claim)).collect();
        if !tags.is_empty() {
            who.tags = shared::json::text_of(&Value::Object(tags));
        }
        let claims: Object<String, Value> =
            config.claims.iter().filter_map(|claim| pick(claim, claim)).collect();
        if !claims.is_empty() {
            who.claims = shared::json::text_of(&Value::Object(claims));
        }
        Identity::Known(Box::new(who))
    }

    fn proved(&self, host: &dyn Host, from: &HostIdentity) -> Option<Who> {
        let property = |path: &[&str]| {
            let text = String::from_utf8(host.property(path)?).ok()?;
            (!text.is_empty()).then_some(text)
        };
        let name = match from.from {
            HostSource::MtlsUri => property(&["connection", "uri_san_peer_certificate"]),
            HostSource::MtlsDns => property(&["connection", "dns_san_peer_certificate"]),
            HostSource::MtlsSubject => property(&["connection", "subject_peer_certificate"]),
            HostSource::JwtAuthn => {
                let payload = from.payload.as_deref().unwrap_or_default();
                let filter = "envoy.filters.http.jwt_authn";
                property(&["metadata", "filter_metadata", filter, payload, &from.claim])
            }
            HostSource::ApisixConsumer => {
                let header = host.header(Map::Request, "x-consumer-username")?;
                String::from_utf8(header).ok().filter(|name| !name.is_empty())
            }
        }?;
        self.named(&name, from.default_consumer.as_deref())
    }

    /// The consumer of this name, or with this name and the rules of another.
    fn named(&self, name: &str, default: Option<&str>) -> Option<Who> {
        if let Some(consumer) = self.directory.named(name) {
            return Some(Who::is(consumer));
        }
        let clean = name.len() <= 128 && !name.contains(|c: char| c.is_control() || c == ',');
        let consumer = self.directory.named(default.filter(|_| clean)?)?;
        Some(Who { name: name.to_owned(), ..Who::is(consumer) })
    }

    /// A call that a request has waited for was answered.
    pub fn answered(
        &self,
        host: &dyn Host,
        pending: Pending,
        credential: &str,
        reply: &CallReply,
    ) -> Identity {
        match pending {
            Pending::Keys(index) => {
                if let Some(issuer) = self.issuers.get(index) {
                    issuer.fetched(host, reply);
                }
                self.identify(host, Some(credential), true)
            }
            Pending::Key(nonce) => {
                let digest = self.directory.digest(credential);
                let (Some(lookup), Some(id)) =
                    (&self.lookup, self.directory.id_of(credential, &digest))
                else {
                    return Identity::Unknown("no key of ours");
                };
                let now = host.now_nanos();
                match lookup.answered(&self.directory, id, now, nonce, reply) {
                    Found::Failed => Identity::Unavailable("the keys cannot be looked up"),
                    Found::Nothing => self.identify(host, Some(credential), true),
                    // Even if it is not kept any longer than this.
                    Found::Key(key) if key.admits(&digest, seconds(now)) => {
                        let mut who = Who::is(&key.consumer);
                        who.key_id = key.id.clone();
                        Identity::Known(Box::new(who))
                    }
                    Found::Key(_) => Identity::Unknown("wrong, expired or not valid yet"),
                }
            }
        }
    }

    /// Whether key sets are fetched.
    pub fn fetches(&self) -> bool {
        self.issuers.iter().any(Issuer::fetches)
    }

    /// Fetches what is due.
    pub fn tick(&self, host: &dyn Host) {
        self.issuers.iter().for_each(|issuer| issuer.tick(host));
    }

    /// A fetch was answered.
    pub fn called(&self, host: &dyn Host, id: CallId, reply: &CallReply) {
        let _ = self.issuers.iter().any(|issuer| issuer.called(host, id, reply));
    }
}

impl Who {
    fn is(consumer: &Rc<Consumer>) -> Who {
        Who {
            name: consumer.name.clone(),
            groups: consumer.groups.clone(),
            key_id: String::new(),
            tags: consumer.tags.clone(),
            claims: String::new(),
            consumer: Rc::clone(consumer),
        }
    }
}

fn seconds(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX)
}

/// A claim as text; lists and objects are none.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// A claim as a list of names; those that cannot be groups are left out.
fn words(value: &Value) -> Vec<String> {
    let words: Vec<String> = match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    words.into_iter().filter(|word| !word.contains(',') && key_like(word)).take(64).collect()
}

fn key_like(word: &str) -> bool {
    !word.is_empty() && word.len() <= 128 && !word.contains(char::is_control)
}
