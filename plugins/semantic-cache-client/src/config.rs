//! What can be configured.

use shared::small_map::SmallMap;

use shared::config::{Mode, Secret, Secrets, Setting};
use shared::price::Price;

/// Configuration of semantic-cache-client. All of it has defaults: `{}` is an exact cache in the
/// proxy's own memory, apart for each consumer.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `off` does nothing; `dry_run` looks up, stores and counts, but answers nothing from the cache.
    pub mode: Mode,
    /// Who shares answers. A request of nobody in particular is not cached, except with `shared`.
    pub scope: Scope,
    /// Part of every entry's name: with another text all that was cached so far is as good as gone. To
    /// be changed with prompts or models that the gateway adds itself.
    pub generation: String,
    /// For how long an answer is used, in seconds.
    pub ttl: u32,
    /// By how much of it lives differ, from 0 to 0.5, so that not all end at once.
    pub jitter: f64,
    /// Seconds after its end for which an answer is kept to be served when the providers fail
    /// (statuses of 500 and above); 0 keeps none.
    pub stale_if_error: u32,
    /// The longest life that a client can ask for with `x-ai-cache-ttl`, in seconds.
    pub max_ttl: u32,
    /// What is cached besides plain questions.
    pub cache: Allow,
    /// Members of a request's body that do not tell requests apart, as they change nothing in the
    /// answer.
    pub ignore: Vec<String>,
    /// Headers that tell requests apart.
    pub vary: Vec<String>,
    /// Other lives for some requests; the first that fits.
    pub rules: Vec<Rule>,
    /// The cache in the proxy's memory.
    pub local: Local,
    /// Answers are kept in Redis too, through Webdis, where all gateways find them.
    pub redis: Option<Redis>,
    /// One of several equal requests at the same time is sent, and the others wait for its answer.
    pub stampede: Stampede,
    /// Questions that mean the same are answered the same.
    pub semantic: Option<Semantic>,
    /// Prices of models, before those that are commonly known, to say what was saved.
    pub prices: Vec<Price>,
    /// Who may purge at `/_ai/cache/purge`: `authorization: Bearer KEY`. Without a key there is no such
    /// endpoint.
    pub admin_key: Secrets,
    /// Largest request body that is read, in bytes; a larger one is answered with 413.
    pub max_request_bytes: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            mode: Mode::default(),
            scope: Scope::default(),
            generation: String::new(),
            ttl: 3_600,
            jitter: 0.1,
            stale_if_error: 0,
            max_ttl: 86_400,
            cache: Allow::default(),
            ignore: ["prompt_cache_key", "prompt_cache_retention", "service_tier"]
                .map(str::to_owned)
                .to_vec(),
            vary: Vec::new(),
            rules: Vec::new(),
            local: Local::default(),
            redis: None,
            stampede: Stampede::default(),
            semantic: None,
            prices: Vec::new(),
            admin_key: Secrets::default(),
            max_request_bytes: 50 << 20,
        }
    }
}

/// Who shares answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Nobody: each consumer has its own.
    #[default]
    Consumer,
    /// Consumers of the same groups.
    Group,
    /// Everybody.
    Shared,
}

/// What is cached besides plain questions.
#[derive(Clone, Copy, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// Requests with tools.
    pub tools: bool,
    /// Requests with images, sound or files.
    pub media: bool,
    /// Requests in which prompt-guard has found personal data.
    pub personal_data: bool,
    /// Requests that prompt-guard has flagged.
    pub flagged: bool,
    /// Requests up to this temperature; one that names none counts as 1.
    pub max_temperature: f64,
}

impl Default for Allow {
    fn default() -> Allow {
        Allow {
            tools: false,
            media: false,
            personal_data: false,
            flagged: false,
            max_temperature: 1.0,
        }
    }
}

/// Another life for some requests. All that is said must fit.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Models that the client asks for: `gpt-4o`, `claude-*`, `~regex`.
    #[serde(default)]
    pub models: Vec<String>,
    /// Consumers, as ai-auth names them.
    #[serde(default)]
    pub consumers: Vec<String>,
    /// Paths, without the query.
    #[serde(default)]
    pub paths: Vec<String>,
    /// For how long an answer is used, in seconds; 0 caches nothing.
    pub ttl: u32,
    /// Whether questions that mean the same count as equal.
    #[serde(default = "yes")]
    pub semantic: bool,
}

/// The cache in the proxy's memory: one for all workers of an Envoy, each worker's own on APISIX.
#[derive(Clone, Copy, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Local {
    /// Most answers.
    pub max_entries: u32,
    /// Most bytes of all answers together.
    pub max_bytes: usize,
    /// Largest answer that is kept, here or in Redis, in bytes.
    pub max_entry_bytes: usize,
    /// Where there is Redis too: seconds for which an answer is kept here, and so for which one that
    /// was purged through another gateway may still be given.
    pub front_ttl: u32,
}

impl Default for Local {
    fn default() -> Local {
        Local { max_entries: 4_096, max_bytes: 64 << 20, max_entry_bytes: 256 << 10, front_ttl: 30 }
    }
}

/// Something that is asked over HTTP.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The cluster on Envoy, `host:port` on APISIX.
    pub upstream: String,
    /// `http` or `https`; on Envoy the cluster decides.
    #[serde(default = "http")]
    pub scheme: String,
    /// The host name sent; the upstream's name unless said.
    #[serde(default)]
    pub authority: Option<String>,
    /// Goes before the paths of the service's API.
    #[serde(default)]
    pub path: String,
    /// The service's key, sent as the service wants it.
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// Further headers.
    #[serde(default)]
    pub headers: SmallMap<String, Secret>,
    /// When to give up, in milliseconds.
    #[serde(default = "timeout")]
    pub timeout_ms: u32,
}

/// Redis through Webdis.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Where Webdis is.
    pub service: Service,
    /// What the names of its keys begin with.
    #[serde(default = "prefix")]
    pub prefix: String,
}

/// Equal requests at the same time.
#[derive(Clone, Copy, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Stampede {
    /// Longest wait for another's answer, in milliseconds; 0 sends every request.
    pub max_wait_ms: u32,
    /// Most requests that wait, of each worker; more are sent.
    pub max_waiting: u32,
}

impl Default for Stampede {
    fn default() -> Stampede {
        Stampede { max_wait_ms: 30_000, max_waiting: 1_000 }
    }
}

/// Questions that mean the same.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Semantic {
    /// What makes vectors of questions.
    pub embedder: Embedder,
    /// Where the vectors are; in the proxy's memory unless said.
    #[serde(default)]
    pub store: VectorStore,
    /// How similar two questions must be at least: the cosine of their vectors.
    #[serde(default = "threshold")]
    pub threshold: f64,
    /// Whether two similar questions are compared word by word for what makes a difference in spite of
    /// it: numbers, negation, opposites, direction, names. Without it a cache gives wrong answers.
    #[serde(default = "yes")]
    pub veto: bool,
    /// Languages that the embedder knows, of `en`, `zh` and `other`. Questions in others are not
    /// compared.
    #[serde(default = "english")]
    pub languages: Vec<Language>,
    /// Longest question that is compared, in characters.
    #[serde(default = "max_question")]
    pub max_question: usize,
    /// How many similar questions are looked at.
    #[serde(default = "candidates")]
    pub candidates: u32,
    /// A second look at what passed: whether the one question's answer serves the other.
    #[serde(default)]
    pub judge: Option<Judge>,
    /// Where the embedder, the store and the judge are. Questions of requests that are bound to other
    /// regions are not sent there, and compared exactly only.
    #[serde(default)]
    pub region: String,
}

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English, and what else is written in Latin letters alone.
    En,
    /// Chinese.
    Zh,
    /// Any other.
    Other,
}

/// What makes vectors of questions.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Embedder {
    /// Its API.
    pub kind: EmbedderKind,
    /// Where it is.
    pub service: Service,
    /// The model; not of `tei`.
    #[serde(default)]
    pub model: String,
    /// How many numbers a vector has, where the API lets one choose.
    #[serde(default)]
    pub dimensions: Option<u32>,
}

/// An embedder's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EmbedderKind {
    /// `POST /v1/embeddings`, OpenAI's and everybody's.
    Openai,
    /// `POST /api/embed`.
    Ollama,
    /// Text Embeddings Inference: `POST /embed`.
    Tei,
    /// `POST /v2/embed`.
    Cohere,
    /// `POST /v1beta/models/{model}:embedContent`.
    Gemini,
    /// `POST /api/v1/services/embeddings/text-embedding/text-embedding`.
    Dashscope,
}

/// Where vectors are.
#[derive(Clone, Debug, Default, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct VectorStore {
    /// Its API.
    pub kind: VectorKind,
    /// Where it is; not of `local`.
    pub service: Option<Service>,
    /// The collection, index or key.
    pub collection: Name,
    /// Of `chroma`: tenant and database.
    pub tenant: Option<String>,
    /// Of `chroma` and `milvus`.
    pub database: Option<String>,
    /// Of `local`: most vectors.
    pub max_vectors: Count,
}

/// A collection's name; `ai-cache` unless said.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transparent))]
pub struct Name(pub String);

impl Default for Name {
    fn default() -> Name {
        Name("ai_cache".into())
    }
}

/// How many; 2048 unless said.
#[derive(Clone, Copy, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transparent))]
pub struct Count(pub u32);

impl Default for Count {
    fn default() -> Count {
        Count(2_048)
    }
}

/// A vector store's API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum VectorKind {
    /// None: the proxy's memory.
    #[default]
    Local,
    /// Chroma, API v2.
    Chroma,
    /// Qdrant.
    Qdrant,
    /// Milvus and Zilliz, RESTful API v2.
    Milvus,
    /// Vector sets of Redis 8, through Webdis.
    Redis,
    /// Weaviate.
    Weaviate,
    /// Elasticsearch 8 and later.
    Elasticsearch,
    /// OpenSearch with its k-NN plugin.
    Opensearch,
    /// Pinecone.
    Pinecone,
}

/// A second look.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Judge {
    /// Its API.
    pub kind: JudgeKind,
    /// Where it is.
    pub service: Service,
    /// The model; not of TEI.
    #[serde(default)]
    pub model: String,
    /// Of `rerank`: the least score.
    #[serde(default = "half")]
    pub threshold: f64,
}

/// A judge's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JudgeKind {
    /// `POST /v2/rerank`, as Cohere, Jina and others have it.
    Rerank,
    /// Text Embeddings Inference: `POST /rerank`.
    Tei,
    /// A model that is asked, at `POST /v1/chat/completions`.
    Chat,
}

fn yes() -> bool {
    true
}
fn http() -> String {
    "http".into()
}
fn timeout() -> u32 {
    500
}
fn prefix() -> String {
    "ai-cache:".into()
}
fn threshold() -> f64 {
    0.92
}
fn english() -> Vec<Language> {
    vec![Language::En]
}
fn max_question() -> usize {
    2_000
}
fn candidates() -> u32 {
    4
}
fn half() -> f64 {
    0.5
}
