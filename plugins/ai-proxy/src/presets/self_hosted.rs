//! Servers for one's own machines, at the port that they listen on if not told otherwise. Those
//! that want no key are given none if the configuration has none.

use super::{Paths, Preset, Quirks, Switch, told};

pub(super) static TABLE: &[Preset] = &[
    Preset {
        name: "generic",
        title: told("Any HTTP server with a model behind it, for `services`"),
        docs: told(
            "https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol",
        ),
        base_url: "http://localhost:8000",
        paths: &Paths { chat: "", ..Paths::CHAT },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "llama-cpp",
        title: told("llama.cpp server"),
        docs: told("https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md"),
        base_url: "http://localhost:8080/v1",
        paths: &Paths {
            responses: Some("/responses"),
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            rerank: Some("/rerank"),
            ..Paths::CHAT
        },
        quirks: Quirks { thinking: Switch::Template, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "lmstudio",
        title: told("LM Studio"),
        docs: told("https://lmstudio.ai/docs/developer/openai-compat"),
        base_url: "http://localhost:1234/v1",
        paths: &Paths {
            responses: Some("/responses"),
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            ..Paths::CHAT
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "localai",
        title: told("LocalAI"),
        docs: told("https://localai.io/features/"),
        base_url: "http://localhost:8080/v1",
        paths: &Paths {
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            images: Some("/images"),
            speech: Some("/audio/speech"),
            transcriptions: Some("/audio/transcriptions"),
            rerank: Some("/rerank"),
            ..Paths::CHAT
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "ollama",
        title: told("Ollama"),
        docs: told("https://docs.ollama.com/api/openai-compatibility"),
        base_url: "http://localhost:11434/v1",
        paths: &Paths {
            responses: Some("/responses"),
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            images: Some("/images"),
            ..Paths::CHAT
        },
        // What it does not have it passes over in silence: better to say that it was left out.
        quirks: Quirks {
            no_top_k: true,
            no_parallel_tool_calls: true,
            no_forced_tool: true,
            no_n: true,
            no_notes: true,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "sglang",
        title: told("SGLang"),
        docs: told("https://docs.sglang.ai/basic_usage/openai_api_completions.html"),
        base_url: "http://localhost:30000/v1",
        paths: &Paths {
            responses: Some("/responses"),
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            rerank: Some("/rerank"),
            ..Paths::CHAT
        },
        quirks: Quirks { thinking: Switch::Template, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "text-embeddings-inference",
        title: told("Hugging Face Text Embeddings Inference"),
        docs: told("https://huggingface.co/docs/text-embeddings-inference/quick_tour"),
        base_url: "http://localhost:8080/v1",
        // Its `/rerank` has a form of its own, with `texts` for `documents`.
        paths: &Paths { rerank: None, ..Paths::RETRIEVAL },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "tgi",
        title: told("Hugging Face Text Generation Inference"),
        docs: told("https://huggingface.co/docs/text-generation-inference/messages_api"),
        base_url: "http://localhost:8080/v1",
        paths: &Paths { completions: Some("/completions"), ..Paths::CHAT },
        quirks: Quirks {
            no_top_k: true,
            no_parallel_tool_calls: true,
            no_reasoning_effort: true,
            no_n: true,
            no_notes: true,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "vllm",
        title: told("vLLM"),
        docs: told("https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html"),
        base_url: "http://localhost:8000/v1",
        paths: &Paths {
            responses: Some("/responses"),
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            transcriptions: Some("/audio/transcriptions"),
            rerank: Some("/rerank"),
            ..Paths::CHAT
        },
        quirks: Quirks { thinking: Switch::Template, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "xinference",
        title: told("Xinference"),
        docs: told(
            "https://inference.readthedocs.io/en/latest/getting_started/using_xinference.html",
        ),
        base_url: "http://localhost:9997/v1",
        paths: &Paths {
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            images: Some("/images"),
            speech: Some("/audio/speech"),
            transcriptions: Some("/audio/transcriptions"),
            rerank: Some("/rerank"),
            ..Paths::CHAT
        },
        quirks: Quirks { thinking: Switch::Template, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
];
