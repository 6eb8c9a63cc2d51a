//! The configuration as it is written.

use shared::small_map::SmallMap;

use shared::config::{Mode, Secret, SecretText, Secrets, Setting};

use crate::overrides::Overrides;
use crate::routing::config as routing;
use crate::service::Service;
use crate::translate::client::Client;

/// Configuration of ai-proxy.
///
/// Envoy's two uses of the plugin, the listener's and the clusters', take the same configuration;
/// which of them it is says `vm_config.configuration`.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `off`: every request passes untouched. `dry_run`: the choice is made and logged, but nothing
    /// is changed.
    #[serde(default)]
    pub mode: Mode,
    /// Which part of the work is done here. On Envoy `vm_config.configuration` overrides it.
    #[serde(default)]
    pub role: Role,
    /// How the `inline` role reaches the provider.
    #[serde(default)]
    pub inline: Inline,
    /// On Apache APISIX: the route has the two functions of the body bridge (see apisix-examples), so
    /// that bodies can be changed. Without it they pass as they are. No matter on Envoy.
    #[serde(default)]
    pub bridge: bool,
    /// Who answers.
    pub providers: Vec<Provider>,
    /// Rules, in the order they are tried. What none of them fits is found in `models`.
    #[serde(default)]
    pub routes: Vec<routing::Route>,
    /// Which models there are and who has them. An exact name goes before an alias, an alias before
    /// a prefix, and the longest prefix before a shorter one.
    #[serde(default)]
    pub models: Vec<Model>,
    /// Services that are no client API (vision, Triton, any HTTP server with a model behind it), in the order
    /// that they are tried.
    #[serde(default)]
    pub services: Vec<Service>,
    /// Further names for models: what clients ask for, and what they get.
    #[serde(default)]
    pub aliases: SmallMap<String, String>,
    /// Versions of models: for each name, what `name@version` stands for.
    #[serde(default)]
    pub versions: SmallMap<String, SmallMap<String, String>>,
    /// Messages with variables, which clients fill.
    #[serde(default)]
    pub templates: SmallMap<String, routing::Template>,
    /// Whether clients are told why a request went where it did, in the answer's header `x-ai-decision`,
    /// if they send `x-ai-debug: 1`.
    #[serde(default = "yes")]
    pub debug: bool,
    /// Who may look at canaries and decide on them, at `/_ai/canaries`. Without a key nobody can.
    #[serde(default)]
    pub admin_key: Secrets,
    /// Where canaries are kept beyond restarts; only in the proxy's memory unless said.
    pub store: Option<routing::Store>,
    /// What users think of answers, `POST /v1/feedback`; not asked unless said.
    pub feedback: Option<Feedback>,
    /// When a target rests.
    #[serde(default)]
    pub circuit: routing::Circuit,
    /// How much carbon dioxide electricity makes, for the strategy `carbon`.
    #[serde(default)]
    pub carbon: routing::Carbon,
    /// What currencies of prices are worth, in US dollars: `{"EUR": 1.08}`.
    #[serde(default)]
    pub currencies: SmallMap<String, f64>,
    /// What makes a request demanding, for the strategy `auto`.
    #[serde(default)]
    pub auto: routing::AutoTiers,
    /// Seals the names of what providers keep for their clients (files, batches, stored answers, cached
    /// contents), so that each consumer reaches only its own, and later calls go back to the same
    /// provider and key. 16 bytes or more; of several, the first one seals. Without it, consumers that
    /// ai-auth knows cannot use such objects.
    #[serde(default)]
    pub object_secret: Secrets,
    /// What happens to fields that a provider has nothing for.
    #[serde(default)]
    pub on_unsupported: OnUnsupported,
    /// Whether a streamed answer is kept back until its first event that says something. Until then
    /// another target can still be asked (role `translate`). Signs of life that a provider sends before
    /// are kept back too.
    #[serde(default = "yes")]
    pub hold_first_event: bool,
    /// Largest request body, in bytes; a larger one is answered with 413. Envoy's
    /// `per_connection_buffer_limit_bytes` must be as large.
    #[serde(default = "fifty_mebibytes")]
    pub max_request_bytes: usize,
    /// Largest answer that is not streamed, in bytes; a larger one becomes a 502.
    #[serde(default = "fifty_mebibytes")]
    pub max_response_bytes: usize,
    /// How long a provider may take where the plugin makes the call itself (`inline: call`), in
    /// milliseconds.
    #[serde(default = "two_minutes")]
    pub call_timeout_ms: u64,
}

fn yes() -> bool {
    true
}

fn fifty_mebibytes() -> usize {
    50 << 20
}

fn two_minutes() -> u64 {
    120_000
}

/// What users think of answers.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// Signs the tokens that come with answers in `x-ai-feedback`; 16 characters or more.
    pub secret: Secret,
    /// How old an answer may be, in seconds.
    #[serde(default = "one_week")]
    pub max_age_seconds: u64,
}

fn one_week() -> u64 {
    7 * 24 * 3600
}

/// Which part of the work is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// In Envoy's listener: reads the model and chooses the cluster.
    Route,
    /// In Envoy's listener, after ai-auth and before prompt-guard and the cache: adds the rules'
    /// `messages` and fills `templates`, so that these see them. Optional: without it the role `route`
    /// does it.
    Prepare,
    /// In an Envoy cluster, once per attempt: puts the request into the form of the provider that
    /// this attempt goes to, and the answer into the client's.
    Translate,
    /// Both in one place, for proxies without upstream filters.
    #[default]
    Inline,
}

/// How the `inline` role reaches the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Inline {
    /// On Apache APISIX `call` if there are several targets and the answer is not streamed; else `pass` if
    /// nothing in the body has to change, `call` if the proxy cannot change bodies, and `rewrite` if it can.
    #[default]
    Auto,
    /// The proxy sends the changed request to the route's upstream.
    Rewrite,
    /// The plugin calls the provider itself, and the next one if that fails. The answer comes as a
    /// whole.
    Call,
    /// Only requests whose body needs no change are let through.
    Pass,
}

/// What happens to fields that a provider has nothing for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnUnsupported {
    /// They are left out and named in the response header `x-ai-dropped`.
    #[default]
    Drop,
    /// The request is refused with 400.
    Error,
}

/// Who answers.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name here; letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// A vendor of the table in docs/providers.md, which then gives what is left out below.
    pub preset: Option<String>,
    /// What stands for the `{...}` in the preset's `base_url`: `{"region": "eu-central-1"}`.
    #[serde(default)]
    pub params: SmallMap<String, String>,
    /// Which API it speaks; may be left out where there is a preset.
    pub protocol: Option<Protocol>,
    /// Where its API begins, as its own SDKs take it. Gives the host name and the path that are sent;
    /// on Envoy the address is the cluster's. `{model}` in its path stands for the model.
    pub base_url: Option<String>,
    /// Its key, or several that are sent in turn: one that is refused (401, 402, 403) or over its
    /// limit (429) rests for as long as `retry-after` says. Leave it out for a server that needs none.
    #[serde(default)]
    pub api_key: Secrets,
    /// What each of its keys may be used for. One that has reached it rests until the next minute, and
    /// where all rest so does the provider: other targets are asked before it answers 429.
    #[serde(default)]
    pub key_limits: KeyLimits,
    /// Who brings the credentials.
    #[serde(default)]
    pub auth: Auth,
    /// Amazon's credentials, for presets that sign (`bedrock`).
    pub aws: Option<Aws>,
    /// Google's credentials, for presets on Vertex AI.
    pub google: Option<Google>,
    /// On Envoy, the cluster that reaches it.
    pub cluster: Option<String>,
    /// Further headers to send.
    #[serde(default)]
    pub headers: SmallMap<String, String>,
    /// Further parameters of the query (`api-version`).
    #[serde(default)]
    pub query: SmallMap<String, String>,
    /// Changes to the bodies of its requests, in the provider's own form.
    #[serde(default)]
    pub body: Overrides,
    /// Headers to set on its answers.
    #[serde(default)]
    pub response_headers: SmallMap<String, String>,
    /// What it calls the models that clients ask for: by exact name, by prefix (`gpt-*`), by regular
    /// expression (`~^(.*)-latest$`), in this order. A target's own `model` goes before.
    #[serde(default)]
    pub models: SmallMap<String, String>,
    /// `max_tokens` for providers that demand it, where the client gives none.
    #[serde(default = "four_kibi")]
    pub default_max_tokens: u64,
}

fn four_kibi() -> u64 {
    4096
}

/// What each key of a provider may be used for.
#[derive(Clone, Copy, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyLimits {
    /// Requests in a minute of the clock.
    pub requests_per_minute: Option<u64>,
    /// Tokens in a minute of the clock: prompts as estimated when they are sent, answers when they
    /// have come.
    pub tokens_per_minute: Option<u64>,
}

/// Who brings a provider's credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// The plugin, from this configuration.
    #[default]
    Key,
    /// The proxy, after the plugin: Envoy's AWS request signing or credential injection filter.
    Host,
}

/// Amazon's credentials.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Aws {
    /// `AKIA...`
    pub access_key_id: Secret,
    /// Its secret.
    pub secret_access_key: Secret,
    /// Of temporary credentials.
    pub session_token: Option<Secret>,
}

/// Google's credentials.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Google {
    /// The JSON key file of a service account, as text.
    pub service_account: SecretText,
    /// On Envoy, the cluster that reaches the key's `token_uri` (`oauth2.googleapis.com`).
    pub token_cluster: Option<String>,
}

/// An API that providers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// OpenAI Chat Completions, as many others speak it too.
    Openai,
    /// OpenAI Responses.
    OpenaiResponses,
    /// Anthropic Messages.
    Anthropic,
    /// Gemini generateContent.
    Gemini,
    /// Amazon Bedrock Converse.
    Bedrock,
    /// Cohere v2 Chat.
    Cohere,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 6] = [
        Protocol::Openai,
        Protocol::OpenaiResponses,
        Protocol::Anthropic,
        Protocol::Gemini,
        Protocol::Bedrock,
        Protocol::Cohere,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Openai => "openai",
            Protocol::OpenaiResponses => "openai_responses",
            Protocol::Anthropic => "anthropic",
            Protocol::Gemini => "gemini",
            Protocol::Bedrock => "bedrock",
            Protocol::Cohere => "cohere",
        }
    }

    /// Whether a client of this protocol needs no translation.
    pub fn is_that_of(self, client: Client) -> bool {
        match self {
            Protocol::Openai => client == Client::OpenAiChat,
            Protocol::OpenaiResponses => client == Client::OpenAiResponses,
            Protocol::Anthropic => client == Client::Anthropic,
            Protocol::Gemini => client == Client::Gemini,
            Protocol::Bedrock | Protocol::Cohere => false,
        }
    }
}

/// A model or a family of models.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The name that clients give, or a prefix of it that ends with `*`.
    pub name: String,
    /// Who has it, in order of preference.
    pub targets: Vec<Target>,
    /// On Envoy, the cluster that reaches all targets; that of the first target's provider if left
    /// out.
    pub cluster: Option<String>,
    /// Whose key the providers get.
    #[serde(default)]
    pub key: Key,
}

/// Whose key a model's providers get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// The configured one.
    #[default]
    Provider,
    /// The client's own, passed on.
    Passthrough,
}

/// A provider's model.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The provider's name.
    pub provider: String,
    /// What the provider calls the model; by the provider's `models` if left out.
    pub model: Option<String>,
}
