//! Models of several makers on a cloud account.
//!
//! `{region}`, `{resource}`, `{project}`, `{account}` and `{host}` are the account's own and come from
//! the configuration's `params`.

use super::{Auth, Paths, Preset, Quirks, Switch, told};
use crate::config::Protocol;

/// The last dated version of Azure's API that is not a preview,
/// <https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle>.
const AZURE_VERSION: &[(&str, &str)] = &[("api-version", "2024-10-21")];

/// What a deployment on Azure has below its own path.
const AZURE_PATHS: Paths = Paths {
    completions: Some("/completions"),
    embeddings: Some("/embeddings"),
    images: Some("/images"),
    speech: Some("/audio/speech"),
    transcriptions: Some("/audio/transcriptions"),
    ..Paths::CHAT
};

/// OpenAI's models are as particular here as there.
const OPENAI_QUIRKS: Quirks =
    Quirks { max_completion_tokens: true, no_top_k: true, ..Quirks::NONE };

pub(super) static TABLE: &[Preset] = &[
    Preset {
        name: "azure",
        title: told("Azure OpenAI, deployments"),
        docs: told("https://learn.microsoft.com/azure/ai-foundry/openai/reference"),
        base_url: "https://{resource}.openai.azure.com/openai/deployments/{model}",
        auth: Auth::Header("api-key"),
        query: AZURE_VERSION,
        paths: &AZURE_PATHS,
        quirks: OPENAI_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "azure-china",
        title: told("Azure OpenAI in China (21Vianet)"),
        docs: told("https://learn.microsoft.com/azure/china/resources-developer-guide"),
        base_url: "https://{resource}.openai.azure.cn/openai/deployments/{model}",
        auth: Auth::Header("api-key"),
        query: AZURE_VERSION,
        paths: &AZURE_PATHS,
        quirks: OPENAI_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "azure-v1",
        title: told("Azure OpenAI, v1 API"),
        docs: told("https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle"),
        base_url: "https://{resource}.openai.azure.com/openai/v1",
        auth: Auth::Header("api-key"),
        paths: &Paths {
            responses: Some("/responses"),
            moderations: None,
            rerank: None,
            ..Paths::OPENAI
        },
        quirks: OPENAI_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "bedrock",
        title: told("Amazon Bedrock, Converse"),
        docs: told(
            "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
        ),
        protocol: Protocol::Bedrock,
        base_url: "https://bedrock-runtime.{region}.amazonaws.com",
        auth: Auth::SigV4,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "bedrock-anthropic",
        title: told("Amazon Bedrock, Anthropic's protocol"),
        docs: told(
            "https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html",
        ),
        protocol: Protocol::Anthropic,
        base_url: "https://bedrock-runtime.{region}.amazonaws.com",
        auth: Auth::SigV4,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "bedrock-china",
        title: told("Amazon Bedrock in AWS China"),
        docs: told("https://docs.amazonaws.cn/en_us/aws/latest/userguide/endpoints-arns.html"),
        protocol: Protocol::Bedrock,
        base_url: "https://bedrock-runtime.{region}.amazonaws.com.cn",
        auth: Auth::SigV4,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "bedrock-mantle",
        title: told("Amazon Bedrock, OpenAI's protocol, with a Bedrock API key"),
        docs: told("https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html"),
        base_url: "https://bedrock-mantle.{region}.api.aws/v1",
        paths: &Paths { responses: Some("/responses"), ..Paths::CHAT },
        quirks: Quirks { max_completion_tokens: true, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "bedrock-openai",
        title: told("Amazon Bedrock, OpenAI's protocol"),
        docs: told(
            "https://docs.aws.amazon.com/bedrock/latest/userguide/inference-chat-completions.html",
        ),
        base_url: "https://bedrock-runtime.{region}.amazonaws.com/openai/v1",
        auth: Auth::SigV4,
        paths: &Paths { responses: Some("/responses"), ..Paths::CHAT },
        quirks: Quirks { max_completion_tokens: true, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "cloudflare",
        title: told("Cloudflare Workers AI"),
        docs: told(
            "https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/",
        ),
        base_url: "https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
        paths: &Paths {
            responses: Some("/responses"),
            embeddings: Some("/embeddings"),
            ..Paths::CHAT
        },
        quirks: Quirks { no_notes: true, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "databricks",
        title: told("Databricks model serving"),
        docs: told(
            "https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference",
        ),
        base_url: "https://{host}/serving-endpoints",
        paths: &Paths {
            responses: Some("/responses"),
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            ..Paths::CHAT
        },
        quirks: Quirks { no_notes: true, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "github-models",
        title: told("GitHub Models"),
        docs: told("https://docs.github.com/en/rest/models/inference"),
        base_url: "https://models.github.ai/inference",
        paths: &Paths { embeddings: Some("/embeddings"), ..Paths::CHAT },
        quirks: Quirks { no_top_k: true, no_notes: true, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "nvidia",
        title: told("NVIDIA NIM"),
        docs: told("https://docs.api.nvidia.com/nim/reference/llm-apis"),
        base_url: "https://integrate.api.nvidia.com/v1",
        paths: &Paths {
            completions: Some("/completions"),
            embeddings: Some("/embeddings"),
            ..Paths::CHAT
        },
        quirks: Quirks {
            no_notes: true,
            no_reasoning_effort: true,
            thinking: Switch::Template,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "vertex",
        title: told("Google Vertex AI, Gemini"),
        docs: told(
            "https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
        ),
        protocol: Protocol::Gemini,
        base_url: "https://{region}-aiplatform.googleapis.com/v1/projects/{project}/locations/{region}/publishers/google",
        auth: Auth::GoogleServiceAccount,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "vertex-anthropic",
        title: told("Google Vertex AI, Claude"),
        docs: told(
            "https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude",
        ),
        protocol: Protocol::Anthropic,
        base_url: "https://{region}-aiplatform.googleapis.com/v1/projects/{project}/locations/{region}/publishers/anthropic",
        auth: Auth::GoogleServiceAccount,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "vertex-anthropic-global",
        title: told("Google Vertex AI, Claude, any region"),
        docs: told(
            "https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude",
        ),
        protocol: Protocol::Anthropic,
        base_url: "https://aiplatform.googleapis.com/v1/projects/{project}/locations/global/publishers/anthropic",
        auth: Auth::GoogleServiceAccount,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "vertex-global",
        title: told("Google Vertex AI, Gemini, any region"),
        docs: told("https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations"),
        protocol: Protocol::Gemini,
        base_url: "https://aiplatform.googleapis.com/v1/projects/{project}/locations/global/publishers/google",
        auth: Auth::GoogleServiceAccount,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "vertex-openai",
        title: told("Google Vertex AI, open models, OpenAI's protocol"),
        docs: told("https://cloud.google.com/vertex-ai/generative-ai/docs/start/openai"),
        base_url: "https://{region}-aiplatform.googleapis.com/v1/projects/{project}/locations/{region}/endpoints/openapi",
        auth: Auth::GoogleServiceAccount,
        quirks: Quirks { no_notes: true, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
];
