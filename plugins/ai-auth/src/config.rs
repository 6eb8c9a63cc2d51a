//! What can be configured.

use shared::small_map::SmallMap;

use shared::config::{Mode, Secret, Setting};
use shared::hours::Time;

/// Configuration of ai-auth.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `off` lets all pass unknown; `dry_run` finds out who asks and logs what would be refused.
    pub mode: Mode,
    /// Paths of further AI services (`/v2/models/*`, `~^/ocr`) whose requests are treated as well; see
    /// `services` of ai-proxy. In the bundle ai-proxy's are enough.
    pub services: Vec<String>,
    /// What keys begin with, so that they are told from a provider's: `make key PREFIX=...`.
    pub key_prefix: String,
    /// If set, hashes of keys are HMACs under this secret, so that who steals the configuration cannot
    /// even check a guess.
    pub pepper: Option<Secret>,
    /// Who may ask.
    pub consumers: Vec<Consumer>,
    /// Rules that several consumers share.
    pub groups: Vec<Group>,
    /// Issuers whose tokens are taken.
    pub jwt: Vec<Jwt>,
    /// What the proxy itself has proved: a client certificate, a token, an APISIX consumer.
    pub host_identity: Option<HostIdentity>,
    /// Where keys are looked up that the configuration does not have.
    pub lookup: Option<Lookup>,
    /// The consumer (by name) that a request without any credentials is; refused unless set.
    pub anonymous: Option<String>,
    /// Takes keys from this query parameter, as Gemini's `key`. They are removed from the path before
    /// anybody else sees it; logs that the proxy writes of the client's own path may still have them.
    pub query_key: Option<String>,
    /// Leaves the client's credentials on the request, for a provider that gets the client's own key.
    pub keep_credentials: bool,
    /// Largest request body that is read, in bytes; a larger one is answered with 413.
    pub max_request_bytes: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            mode: Mode::default(),
            services: Vec::new(),
            key_prefix: "sk-aigw".into(),
            pepper: None,
            consumers: Vec::new(),
            groups: Vec::new(),
            jwt: Vec::new(),
            host_identity: None,
            lookup: None,
            anonymous: None,
            query_key: None,
            keep_credentials: false,
            max_request_bytes: 50 << 20,
        }
    }
}

/// Who may ask.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    /// Its name, in metrics, limits and logs.
    pub name: String,
    /// Its keys. Several are valid at the same time, so that one can be replaced without a gap.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// What it is called by tokens and by the proxy, if not by its name.
    #[serde(default)]
    pub identities: Vec<String>,
    /// Names of groups; their rules hold where it has none of its own.
    #[serde(default)]
    pub groups: Vec<String>,
    /// What it is accounted to: team, project, cost centre.
    #[serde(default)]
    pub tags: SmallMap<String, String>,
    /// What it may do.
    #[serde(default)]
    pub allow: Access,
}

/// Rules that several consumers share.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What its consumers may do.
    #[serde(default)]
    pub allow: Access,
}

/// A key, of which only a hash is known.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Names it, in logs and metrics; the part of the key after the prefix.
    pub id: String,
    /// `sha256:` and the SHA-256 of the whole key in hexadecimal, or `hmac-sha256:` and its HMAC under
    /// the pepper. `make key` prints it.
    pub hash: String,
    /// Valid from then on, RFC 3339.
    #[serde(default)]
    pub not_before: Option<String>,
    /// Valid until then, RFC 3339.
    #[serde(default)]
    pub expires: Option<String>,
}

/// What a consumer may do. What is left out is not limited.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Models it may ask for, by the names that it uses: `gpt-4o`, `claude-*` or `~regex`.
    pub models: Option<Vec<String>>,
    /// APIs it may use: `chat`, `responses`, `completions`, `embeddings`, `messages`, `gemini`, `models`,
    /// `images`, `speech`, `transcriptions`, `moderations`, `rerank`, `files`, `batches`,
    /// `cached_contents`, `generic` (what `services` names), `other`.
    pub endpoints: Option<Vec<String>>,
    /// Functions and built-in tools it may give to a model, by name or pattern.
    pub tools: Option<Vec<String>>,
    /// Addresses it may come from, `10.0.0.0/8`.
    pub ips: Option<Vec<String>>,
    /// When it may ask.
    pub hours: Option<Time>,
    /// Most tokens of an answer. More is refused; where none are asked for, this many are.
    pub max_tokens: Option<u64>,
    /// Regions its requests may go to; an empty list is none.
    pub allowed_regions: Option<Vec<String>>,
}

/// An issuer of tokens.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// The claim `iss`, exactly.
    pub issuer: String,
    /// One of them must be in the claim `aud`.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// `HS256`, `RS256`, `ES256`, `EdDSA`: those that are taken. A key is only used for its own kind.
    pub algorithms: Vec<Algorithm>,
    /// The key of `HS256`, 32 bytes or more.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// A key set, as it is: `{"keys": [...]}`.
    #[serde(default)]
    pub jwks: Option<Jwks>,
    /// Where a key set is fetched, and fetched again.
    #[serde(default)]
    pub jwks_url: Option<Fetch>,
    /// Seconds that clocks may differ.
    #[serde(default = "skew")]
    pub clock_skew: u32,
    /// The claim that names the consumer; a path with dots goes into objects.
    #[serde(default = "subject")]
    pub consumer_claim: String,
    /// A claim with names of groups, a list or words with spaces between.
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// Claims that become tags: tag to claim.
    #[serde(default)]
    pub tags: SmallMap<String, String>,
    /// Claims that limits and routes may look at, by name.
    #[serde(default)]
    pub claims: Vec<String>,
    /// The consumer whose rules hold for subjects that are no consumer's; such are refused unless set.
    #[serde(default)]
    pub default_consumer: Option<String>,
}

fn skew() -> u32 {
    60
}
fn subject() -> String {
    "sub".into()
}

/// How a token is signed, RFC 7518 and RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Algorithm {
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// A key set, RFC 7517.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// A key of a key set. Fields that are not known are allowed, as the standard demands.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Jwk {
    /// `RSA`, `EC` or `OKP`.
    pub kty: String,
    /// Which one it is.
    pub kid: Option<String>,
    /// What it is for; `sig` or nothing.
    #[serde(rename = "use")]
    pub use_: Option<String>,
    /// The one algorithm it is for, if it says.
    pub alg: Option<String>,
    /// `P-256` or `Ed25519`.
    pub crv: Option<String>,
    /// Modulus of RSA.
    pub n: Option<String>,
    /// Exponent of RSA.
    pub e: Option<String>,
    /// Coordinate of EC and OKP.
    pub x: Option<String>,
    /// Coordinate of EC.
    pub y: Option<String>,
}

/// Something fetched over HTTP.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// The cluster on Envoy, `host:port` on APISIX.
    pub upstream: String,
    /// `http` or `https`; on Envoy the cluster decides.
    #[serde(default = "https")]
    pub scheme: String,
    /// The host name sent; the upstream's name unless said.
    #[serde(default)]
    pub authority: Option<String>,
    /// Path and query.
    pub path: String,
    /// Seconds between two fetches.
    #[serde(default = "refresh")]
    pub refresh: u32,
    /// When to give up, in milliseconds.
    #[serde(default = "fetch_timeout")]
    pub timeout_ms: u32,
}

fn https() -> String {
    "https".into()
}
fn refresh() -> u32 {
    300
}
fn fetch_timeout() -> u32 {
    5_000
}

/// What the proxy has proved of a client. Only what it removes from, or sets over, what a client sends
/// may be trusted.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HostIdentity {
    /// Where it stands.
    pub from: HostSource,
    /// Of `jwt_authn`: the key under which Envoy's filter stores the payload
    /// (`payload_in_metadata`).
    #[serde(default)]
    pub payload: Option<String>,
    /// Of `jwt_authn`: the claim that names the consumer.
    #[serde(default = "subject")]
    pub claim: String,
    /// The consumer whose rules hold for identities that are no consumer's; such are refused unless
    /// set.
    #[serde(default)]
    pub default_consumer: Option<String>,
}

/// Where an identity stands that the proxy has proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HostSource {
    /// The first URI (SPIFFE id) of the client's certificate.
    MtlsUri,
    /// The first DNS name of the client's certificate.
    MtlsDns,
    /// The subject of the client's certificate.
    MtlsSubject,
    /// The payload of Envoy's `jwt_authn` filter.
    JwtAuthn,
    /// APISIX's consumer, from the header `x-consumer-username` that its authentication plugins set.
    /// Only on routes that have one: elsewhere a client can send the header.
    ApisixConsumer,
}

/// Where keys are looked up that the configuration does not have. An answer is a JSON object as an
/// entry of `consumers`, with `hash`, `expires` and `not_before` of the key beside it.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// How it is asked.
    pub kind: LookupKind,
    /// The cluster on Envoy, `host:port` on APISIX.
    pub upstream: String,
    /// `http` or `https`; on Envoy the cluster decides.
    #[serde(default = "plain")]
    pub scheme: String,
    /// The host name sent; the upstream's name unless said.
    #[serde(default)]
    pub authority: Option<String>,
    /// What stands before the key's id: of `webdis` the Redis key (`ai:key:`), of `http` the path
    /// (`/keys/`).
    pub prefix: String,
    /// Sent along, as the service's own key.
    #[serde(default)]
    pub headers: SmallMap<String, Secret>,
    /// Seconds for which an answer is used again; within them a key that was revoked still works.
    #[serde(default = "ttl")]
    pub ttl: u32,
    /// Most answers that are kept, by each worker.
    #[serde(default = "entries")]
    pub max_entries: usize,
    /// When to give up, in milliseconds.
    #[serde(default = "lookup_timeout")]
    pub timeout_ms: u32,
}

fn plain() -> String {
    "http".into()
}
fn ttl() -> u32 {
    5
}
fn entries() -> usize {
    10_000
}
fn lookup_timeout() -> u32 {
    1_000
}

/// How keys are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LookupKind {
    /// `GET` of a string in Redis, through Webdis.
    Webdis,
    /// `GET` of a path; 404 is no such key.
    Http,
}
