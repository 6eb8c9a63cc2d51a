//! Hosts of others' models, and routers between them.

use super::{Paths, Preset, Quirks, Switch, told};

pub(super) static TABLE: &[Preset] = &[
    Preset {
        name: "cerebras",
        title: told("Cerebras"),
        docs: told("https://inference-docs.cerebras.ai/api-reference/chat-completions"),
        base_url: "https://api.cerebras.ai/v1",
        paths: &Paths { completions: Some("/completions"), ..Paths::CHAT },
        quirks: Quirks {
            max_completion_tokens: true,
            no_top_k: true,
            no_notes: true,
            strict: true,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "deepinfra",
        title: told("DeepInfra"),
        docs: told("https://deepinfra.com/docs/openai_api"),
        base_url: "https://api.deepinfra.com/v1/openai",
        paths: &Paths {
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            images: Some("/images"),
            speech: Some("/audio/speech"),
            transcriptions: Some("/audio/transcriptions"),
            ..Paths::CHAT
        },
        // <https://deepinfra.com/docs/advanced/function_calling>: `tool_choice` is auto or none.
        quirks: Quirks { no_forced_tool: true, no_notes: true, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "fireworks",
        title: told("Fireworks AI"),
        docs: told("https://docs.fireworks.ai/api-reference/post-chatcompletions"),
        base_url: "https://api.fireworks.ai/inference/v1",
        paths: &Paths {
            responses: Some("/responses"),
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            rerank: Some("/rerank"),
            ..Paths::CHAT
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "groq",
        title: told("Groq"),
        docs: told("https://console.groq.com/docs/openai"),
        base_url: "https://api.groq.com/openai/v1",
        paths: &Paths {
            responses: Some("/responses"),
            embeddings: Some("/embeddings"),
            speech: Some("/audio/speech"),
            transcriptions: Some("/audio/transcriptions"),
            files: Some("/files"),
            batches: Some("/batches"),
            ..Paths::CHAT
        },
        // <https://console.groq.com/docs/openai#currently-unsupported-openai-features>
        quirks: Quirks {
            max_completion_tokens: true,
            no_top_k: true,
            no_penalties: true,
            no_logprobs: true,
            no_n: true,
            no_notes: true,
            strict: true,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "huggingface",
        title: told("Hugging Face Inference Providers"),
        docs: told("https://huggingface.co/docs/inference-providers/index"),
        base_url: "https://router.huggingface.co/v1",
        paths: &Paths { responses: Some("/responses"), ..Paths::CHAT },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "hyperbolic",
        title: told("Hyperbolic"),
        docs: told("https://docs.hyperbolic.xyz/docs/rest-api"),
        base_url: "https://api.hyperbolic.xyz/v1",
        paths: &Paths { completions: Some("/completions"), ..Paths::CHAT },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "nebius",
        title: told("Nebius Token Factory"),
        docs: told("https://docs.tokenfactory.nebius.com/api-reference/introduction"),
        base_url: "https://api.tokenfactory.nebius.com/v1",
        paths: &Paths {
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            images: Some("/images"),
            files: Some("/files"),
            batches: Some("/batches"),
            ..Paths::CHAT
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "novita",
        title: told("Novita AI"),
        docs: told("https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion"),
        base_url: "https://api.novita.ai/openai/v1",
        paths: &Paths {
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            rerank: Some("/rerank"),
            ..Paths::CHAT
        },
        quirks: Quirks {
            no_reasoning_effort: true,
            no_notes: true,
            thinking: Switch::Enable,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "openrouter",
        title: told("OpenRouter"),
        docs: told("https://openrouter.ai/docs/api-reference/overview"),
        base_url: "https://openrouter.ai/api/v1",
        paths: &Paths {
            responses: Some("/responses"),
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            ..Paths::CHAT
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "sambanova",
        title: told("SambaNova"),
        docs: told("https://docs.sambanova.ai/docs/en/api-reference/overview"),
        base_url: "https://api.sambanova.ai/v1",
        paths: &Paths {
            responses: Some("/responses"),
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            transcriptions: Some("/audio/transcriptions"),
            ..Paths::CHAT
        },
        quirks: Quirks { no_notes: true, thinking: Switch::Template, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "together",
        title: told("Together AI"),
        docs: told("https://docs.together.ai/reference/chat-completions"),
        base_url: "https://api.together.ai/v1",
        paths: &Paths {
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            images: Some("/images"),
            speech: Some("/audio/speech"),
            transcriptions: Some("/audio/transcriptions"),
            rerank: Some("/rerank"),
            files: Some("/files"),
            batches: Some("/batches"),
            ..Paths::CHAT
        },
        // Its `logprobs` is a number, not a boolean.
        quirks: Quirks {
            no_logprobs: true,
            no_parallel_tool_calls: true,
            no_notes: true,
            thinking: Switch::Reasoning,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
];
