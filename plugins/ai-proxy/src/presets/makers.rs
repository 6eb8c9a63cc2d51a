//! Makers of models.

use super::{Auth, Paths, Preset, Quirks, Switch, told};
use crate::config::Protocol;

const OPENAI_QUIRKS: Quirks =
    Quirks { max_completion_tokens: true, safety_identifier: true, no_top_k: true, ..Quirks::NONE };

const OPENAI_PATHS: Paths = Paths {
    responses: Some("/responses"),
    input_tokens: Some("/responses/input_tokens"),
    rerank: None,
    ..Paths::OPENAI
};

pub(super) static TABLE: &[Preset] = &[
    Preset {
        name: "ai21",
        title: told("AI21"),
        docs: told("https://docs.ai21.com/reference/jamba-1-6-api-ref"),
        base_url: "https://api.ai21.com/studio/v1",
        // The reference names what there is, and that is little.
        quirks: Quirks {
            no_top_k: true,
            no_stream_options: true,
            no_json_schema: true,
            no_parallel_tool_calls: true,
            no_forced_tool: true,
            no_reasoning_effort: true,
            no_seed: true,
            no_penalties: true,
            no_logprobs: true,
            no_notes: true,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "anthropic",
        title: told("Anthropic"),
        docs: told("https://docs.anthropic.com/en/api/messages"),
        protocol: Protocol::Anthropic,
        base_url: "https://api.anthropic.com",
        auth: Auth::Header("x-api-key"),
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "cohere",
        title: told("Cohere"),
        docs: told("https://docs.cohere.com/reference/chat"),
        protocol: Protocol::Cohere,
        base_url: "https://api.cohere.com",
        paths: &Paths { rerank: Some("/v2/rerank"), ..Paths::CHAT },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "cohere-openai",
        title: told("Cohere, OpenAI's protocol"),
        docs: told("https://docs.cohere.com/docs/compatibility-api"),
        base_url: "https://api.cohere.ai/compatibility/v1",
        paths: &Paths { embeddings: Some("/embeddings"), ..Paths::CHAT },
        // <https://docs.cohere.com/docs/compatibility-api#unsupported-parameters>
        quirks: Quirks {
            no_top_k: true,
            no_parallel_tool_calls: true,
            no_logprobs: true,
            no_n: true,
            no_notes: true,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "gemini",
        title: told("Google Gemini"),
        docs: told("https://ai.google.dev/api/generate-content"),
        protocol: Protocol::Gemini,
        base_url: "https://generativelanguage.googleapis.com/v1beta",
        auth: Auth::Header("x-goog-api-key"),
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "gemini-openai",
        title: told("Google Gemini, OpenAI's protocol"),
        docs: told("https://ai.google.dev/gemini-api/docs/openai"),
        base_url: "https://generativelanguage.googleapis.com/v1beta/openai",
        paths: &Paths {
            embeddings: Some("/embeddings"),
            images: Some("/images"),
            files: Some("/files"),
            batches: Some("/batches"),
            ..Paths::CHAT
        },
        quirks: Quirks { no_top_k: true, no_penalties: true, no_notes: true, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "jina",
        title: told("Jina AI"),
        docs: told("https://api.jina.ai/redoc"),
        base_url: "https://api.jina.ai/v1",
        paths: &Paths::RETRIEVAL,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "mistral",
        title: told("Mistral AI"),
        docs: told("https://docs.mistral.ai/api"),
        base_url: "https://api.mistral.ai/v1",
        paths: &Paths {
            responses: Some("/responses"),
            embeddings: Some("/embeddings"),
            speech: Some("/audio/speech"),
            transcriptions: Some("/audio/transcriptions"),
            moderations: Some("/moderations"),
            files: Some("/files"),
            ..Paths::CHAT
        },
        // A field that it does not know is refused with 422. Token counts come without asking. Calls:
        // <https://github.com/mistralai/mistral-common/blob/main/src/mistral_common/protocol/instruct/validator.py>
        // Thinking: <https://docs.mistral.ai/capabilities/reasoning/adjustable>
        quirks: Quirks {
            random_seed: true,
            no_top_k: true,
            no_logprobs: true,
            thinking: Switch::HighOrNone,
            no_stream_options: true,
            no_notes: true,
            strict: true,
            strict_calls: true,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "openai",
        title: told("OpenAI"),
        docs: told("https://platform.openai.com/docs/api-reference"),
        base_url: "https://api.openai.com/v1",
        paths: &OPENAI_PATHS,
        quirks: OPENAI_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "openai-responses",
        title: told("OpenAI, Responses for every client"),
        docs: told("https://platform.openai.com/docs/api-reference/responses"),
        protocol: Protocol::OpenaiResponses,
        base_url: "https://api.openai.com/v1",
        paths: &OPENAI_PATHS,
        quirks: OPENAI_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "perplexity",
        title: told("Perplexity"),
        docs: told("https://docs.perplexity.ai/api-reference/chat-completions-post"),
        base_url: "https://api.perplexity.ai",
        paths: &Paths {
            responses: Some("/v1/responses"),
            embeddings: Some("/v1/embeddings"),
            files: Some("/v1/files"),
            batches: Some("/v1/batches"),
            ..Paths::CHAT
        },
        // Token counts come with every chunk.
        quirks: Quirks { no_stream_options: true, no_seed: true, no_notes: true, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "upstage",
        title: told("Upstage"),
        docs: told("https://console.upstage.ai/docs/getting-started"),
        base_url: "https://api.upstage.ai/v1",
        paths: &Paths { embeddings: Some("/embeddings"), ..Paths::CHAT },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "voyage",
        title: told("Voyage AI"),
        docs: told("https://docs.voyageai.com/reference/embeddings-api"),
        base_url: "https://api.voyageai.com/v1",
        paths: &Paths::RETRIEVAL,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "xai",
        title: told("xAI"),
        docs: told("https://docs.x.ai/docs/api-reference"),
        base_url: "https://api.x.ai/v1",
        paths: &Paths {
            responses: Some("/responses"),
            completions: Some("/completions"),
            images: Some("/images"),
            files: Some("/files"),
            ..Paths::CHAT
        },
        // Its reasoning models refuse penalties, and most of them the effort,
        // <https://docs.x.ai/docs/guides/reasoning>.
        quirks: Quirks {
            no_top_k: true,
            no_penalties: true,
            no_reasoning_effort: true,
            no_notes: true,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
];
