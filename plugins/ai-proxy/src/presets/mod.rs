//! What is known of vendors: data, no code. docs/providers.md is made of it.

mod china;
mod clouds;
mod hosts;
mod makers;
mod self_hosted;

use shared::sort;

use crate::config::Protocol;

/// All presets: what a group has in common, and its members by name.
pub static GROUPS: [(&str, &[Preset]); 5] = [
    ("Makers of models", makers::TABLE),
    ("Clouds", clouds::TABLE),
    ("Vendors in China", china::TABLE),
    ("Hosts of others' models", hosts::TABLE),
    ("Self-hosted", self_hosted::TABLE),
];

/// A vendor's API.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name in configurations.
    pub name: &'static str,
    /// Its name for people, natively.
    pub title: &'static str,
    /// Where its API is documented, natively.
    pub docs: &'static str,
    /// Which API it speaks.
    pub protocol: Protocol,
    /// Where that begins. `{model}` stands for the model, other names in braces for the
    /// configuration's `params`.
    pub base_url: &'static str,
    /// How it is shown who asks.
    pub auth: Auth,
    /// Parameters of the query that it demands; the configuration's `query` overrides them.
    pub query: &'static [(&'static str, &'static str)],
    /// Which services it has, and where.
    pub paths: &'static Paths,
    /// What it does in its own way.
    pub quirks: Quirks,
}

impl Preset {
    /// A server that has chat where OpenAI has it, and takes a bearer key.
    const COMPATIBLE: Preset = Preset {
        name: "",
        title: "",
        docs: "",
        protocol: Protocol::Openai,
        base_url: "",
        auth: Auth::Bearer,
        query: &[],
        paths: &Paths::CHAT,
        quirks: Quirks::NONE,
    };
}

/// A text for the documentation, which is made natively; modules are without it.
const fn told(text: &'static str) -> &'static str {
    if cfg!(target_family = "wasm") { "" } else { text }
}

/// How a provider is shown who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `authorization: Bearer <key>`.
    Bearer,
    /// The key alone in this header.
    Header(&'static str),
    /// Amazon's Signature Version 4 for the service `bedrock`; or `Bearer` with a Bedrock API key.
    SigV4,
    /// A Google service account's access token, as `Bearer`.
    GoogleServiceAccount,
    /// Not at all, or by the proxy.
    None,
}

/// Which services a provider has besides its own protocol's, below its base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paths {
    /// OpenAI's Chat Completions; empty where there is none.
    pub chat: &'static str,
    /// OpenAI's Responses.
    pub responses: Option<&'static str>,
    /// OpenAI's count of a Responses request's tokens.
    pub input_tokens: Option<&'static str>,
    /// OpenAI's older Completions.
    pub completions: Option<&'static str>,
    /// OpenAI's embeddings.
    pub embeddings: Option<&'static str>,
    /// Pictures: `/generations`, `/edits` and `/variations` below it.
    pub images: Option<&'static str>,
    /// Text to speech.
    pub speech: Option<&'static str>,
    /// Speech to text; `/audio/translations` stands beside it.
    pub transcriptions: Option<&'static str>,
    /// Moderation.
    pub moderations: Option<&'static str>,
    /// Reranking.
    pub rerank: Option<&'static str>,
    /// Files.
    pub files: Option<&'static str>,
    /// Batches.
    pub batches: Option<&'static str>,
}

impl Paths {
    /// Chat only, where OpenAI has it.
    pub const CHAT: Paths = Paths {
        chat: "/chat/completions",
        responses: None,
        input_tokens: None,
        completions: None,
        embeddings: None,
        images: None,
        speech: None,
        transcriptions: None,
        moderations: None,
        rerank: None,
        files: None,
        batches: None,
    };

    /// Embeddings and reranking, no chat.
    const RETRIEVAL: Paths =
        Paths { chat: "", embeddings: Some("/embeddings"), rerank: Some("/rerank"), ..Paths::CHAT };

    /// All that OpenAI has but Responses: what a server without a preset is believed to have, which
    /// then answers itself with what it has not.
    pub const OPENAI: Paths = Paths {
        completions: Some("/completions"),
        embeddings: Some("/embeddings"),
        images: Some("/images"),
        speech: Some("/audio/speech"),
        transcriptions: Some("/audio/transcriptions"),
        moderations: Some("/moderations"),
        rerank: Some("/rerank"),
        files: Some("/files"),
        batches: Some("/batches"),
        ..Paths::CHAT
    };
}

/// What a provider of OpenAI's protocol does in its own way; false is OpenAI's older way, which all
/// compatible servers have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// Takes `max_completion_tokens` in place of `max_tokens`.
    pub max_completion_tokens: bool,
    /// Takes `safety_identifier` in place of `user`.
    pub safety_identifier: bool,
    /// Refuses `top_k`.
    pub no_top_k: bool,
    /// Refuses `stream_options`.
    pub no_stream_options: bool,
    /// Has `response_format` `json_object` but not `json_schema`.
    pub no_json_schema: bool,
    /// Refuses `parallel_tool_calls`.
    pub no_parallel_tool_calls: bool,
    /// Refuses `tool_choice: required` and a named one.
    pub no_forced_tool: bool,
    /// Refuses `reasoning_effort`.
    pub no_reasoning_effort: bool,
    /// Refuses `seed`.
    pub no_seed: bool,
    /// Refuses `frequency_penalty` and `presence_penalty`.
    pub no_penalties: bool,
    /// Refuses `logprobs`.
    pub no_logprobs: bool,
    /// Takes a `temperature` of up to 1.
    pub temperature_to_one: bool,
    /// Refuses a `temperature` of 0.
    pub no_zero_temperature: bool,
    /// Calls `seed` `random_seed`.
    pub random_seed: bool,
    /// Takes one `stop` only.
    pub one_stop: bool,
    /// Gives one answer only, whatever `n` says.
    pub no_n: bool,
    /// By what else than `reasoning_effort` thinking is switched on and off.
    pub thinking: Switch,
    /// Refuses `user`, `store`, `metadata`, `prompt_cache_key` and `verbosity`.
    pub no_notes: bool,
    /// Refuses members of requests and of messages that it does not know.
    pub strict: bool,
    /// Takes names of calls of nine letters and digits only, after results only what the model says, and at the end what
    /// the model has begun to say only if that is said to be so.
    pub strict_calls: bool,
    /// Refuses calls in the conversation without what was thought before them, `reasoning_content`.
    pub wants_thoughts: bool,
}

impl Quirks {
    /// Whether these are OpenAI's own, be it on Azure.
    pub fn are_openais(&self) -> bool {
        let openais = Quirks { max_completion_tokens: true, no_top_k: true, ..Quirks::NONE };
        Quirks { safety_identifier: false, ..*self } == openais
    }

    /// None of them.
    pub const NONE: Quirks = Quirks {
        max_completion_tokens: false,
        safety_identifier: false,
        no_top_k: false,
        no_stream_options: false,
        no_json_schema: false,
        no_parallel_tool_calls: false,
        no_forced_tool: false,
        no_reasoning_effort: false,
        no_seed: false,
        no_penalties: false,
        no_logprobs: false,
        temperature_to_one: false,
        no_zero_temperature: false,
        random_seed: false,
        one_stop: false,
        no_n: false,
        thinking: Switch::None,
        no_notes: false,
        strict: false,
        strict_calls: false,
        wants_thoughts: false,
    };
}

/// By what thinking is switched on and off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// By `reasoning_effort` alone.
    None,
    /// `"thinking": {"type": "enabled"}` or `disabled`; DeepSeek, GLM, Kimi, Doubao.
    Type,
    /// `"enable_thinking": true`; Qwen, and hosts that took it over.
    Enable,
    /// `"reasoning": {"enabled": true}`; Together.
    Reasoning,
    /// By `reasoning_effort`, which is `high` or `none`; Mistral.
    HighOrNone,
    /// `"chat_template_kwargs": {"enable_thinking": true}`; vLLM, SGLang and what is built on them.
    Template,
}

/// The preset of this name.
pub fn find(name: &str) -> Option<&'static Preset> {
    all().find(|preset| preset.name == name)
}

/// The names of all, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    let mut names: Vec<_> = all().map(|preset| preset.name).collect();
    sort::few(&mut names, |a, b| a < b);
    names.into_iter()
}

fn all() -> impl Iterator<Item = &'static Preset> {
    GROUPS.iter().flat_map(|(_, presets)| presets.iter())
}
