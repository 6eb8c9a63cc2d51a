//! Vendors in China, with the addresses that they have for other countries.

use super::{Auth, Paths, Preset, Quirks, Switch, told};
use crate::config::Protocol;

/// <https://docs.z.ai/api-reference/llm/chat-completion>: `tool_choice` is `auto` only, `stop` has one
/// entry, `temperature` ends at 1, the user is `user_id`.
const GLM_QUIRKS: Quirks = Quirks {
    no_top_k: true,
    no_json_schema: true,
    no_parallel_tool_calls: true,
    no_forced_tool: true,
    no_penalties: true,
    no_logprobs: true,
    temperature_to_one: true,
    one_stop: true,
    no_n: true,
    no_notes: true,
    thinking: Switch::Type,
    ..Quirks::NONE
};

/// <https://platform.minimax.io/docs/api-reference/text-openai-api>: `temperature` is above 0 and up
/// to 1, `n` is 1, `max_tokens` has become `max_completion_tokens`.
const MINIMAX_QUIRKS: Quirks = Quirks {
    max_completion_tokens: true,
    no_top_k: true,
    no_json_schema: true,
    no_reasoning_effort: true,
    no_penalties: true,
    temperature_to_one: true,
    no_zero_temperature: true,
    no_n: true,
    no_notes: true,
    ..Quirks::NONE
};

/// <https://platform.kimi.ai/docs/guide/migrating-from-openai-to-kimi>: no `tool_choice: required`,
/// `temperature` ends at 1. Thoughts: <https://platform.kimi.ai/docs/guide/kimi-k2-6-quickstart#tool-use-compatibility>.
const KIMI_QUIRKS: Quirks = Quirks {
    wants_thoughts: true,
    no_top_k: true,
    no_forced_tool: true,
    no_reasoning_effort: true,
    temperature_to_one: true,
    no_notes: true,
    thinking: Switch::Type,
    ..Quirks::NONE
};

/// Alibaba's, <https://help.aliyun.com/en/model-studio/compatibility-of-openai-with-dashscope>, and
/// SiliconFlow's, <https://docs.siliconflow.cn/docs/api/chat-completions-post>.
const QWEN_QUIRKS: Quirks =
    Quirks { no_reasoning_effort: true, no_notes: true, thinking: Switch::Enable, ..Quirks::NONE };

const QWEN_PATHS: Paths = Paths {
    completions: Some("/completions"),
    embeddings: Some("/embeddings"),
    files: Some("/files"),
    batches: Some("/batches"),
    ..Paths::CHAT
};

/// <https://www.volcengine.com/docs/82379/1494384>
const ARK_QUIRKS: Quirks =
    Quirks { no_top_k: true, no_n: true, no_notes: true, thinking: Switch::Type, ..Quirks::NONE };

const ARK_PATHS: Paths = Paths {
    responses: Some("/responses"),
    embeddings: Some("/embeddings"),
    images: Some("/images"),
    ..Paths::CHAT
};

const SILICONFLOW_PATHS: Paths = Paths {
    embeddings: Some("/embeddings"),
    images: Some("/images"),
    speech: Some("/audio/speech"),
    transcriptions: Some("/audio/transcriptions"),
    rerank: Some("/rerank"),
    ..Paths::CHAT
};

/// <https://platform.stepfun.com/docs/zh/api-reference/chat/chat-completion-create>
const STEP_QUIRKS: Quirks = Quirks {
    no_top_k: true,
    no_json_schema: true,
    no_parallel_tool_calls: true,
    no_forced_tool: true,
    no_seed: true,
    no_logprobs: true,
    no_notes: true,
    ..Quirks::NONE
};

const STEP_PATHS: Paths = Paths {
    responses: Some("/responses"),
    images: Some("/images"),
    speech: Some("/audio/speech"),
    transcriptions: Some("/audio/transcriptions"),
    files: Some("/files"),
    ..Paths::CHAT
};

pub(super) static TABLE: &[Preset] = &[
    Preset {
        name: "baichuan",
        title: told("Baichuan"),
        docs: told("https://platform.baichuan-ai.com/docs/api"),
        base_url: "https://api.baichuan-ai.com/v1",
        paths: &Paths { embeddings: Some("/embeddings"), files: Some("/files"), ..Paths::CHAT },
        quirks: Quirks {
            no_json_schema: true,
            no_parallel_tool_calls: true,
            no_reasoning_effort: true,
            no_seed: true,
            no_penalties: true,
            no_logprobs: true,
            temperature_to_one: true,
            no_n: true,
            no_notes: true,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "byteplus",
        title: told("BytePlus ModelArk"),
        docs: told("https://docs.byteplus.com/en/docs/ModelArk/1399009"),
        base_url: "https://ark.ap-southeast.bytepluses.com/api/v3",
        paths: &ARK_PATHS,
        quirks: ARK_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "deepseek",
        title: told("DeepSeek"),
        docs: told("https://api-docs.deepseek.com/api/create-chat-completion"),
        base_url: "https://api.deepseek.com",
        paths: &Paths { completions: Some("/beta/completions"), ..Paths::CHAT },
        // <https://api-docs.deepseek.com/guides/thinking_mode>, `response_format` is text or
        // json_object, the user is `user_id`.
        quirks: Quirks {
            no_top_k: true,
            no_json_schema: true,
            no_parallel_tool_calls: true,
            no_seed: true,
            no_n: true,
            no_notes: true,
            thinking: Switch::Type,
            wants_thoughts: true,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "deepseek-anthropic",
        title: told("DeepSeek, Anthropic's protocol"),
        docs: told("https://api-docs.deepseek.com/guides/anthropic_api"),
        protocol: Protocol::Anthropic,
        base_url: "https://api.deepseek.com/anthropic",
        auth: Auth::Header("x-api-key"),
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "doubao",
        title: told("Doubao, Volcengine Ark"),
        docs: told("https://www.volcengine.com/docs/82379/1494384"),
        base_url: "https://ark.cn-beijing.volces.com/api/v3",
        paths: &ARK_PATHS,
        quirks: ARK_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "hunyuan",
        title: told("Tencent Hunyuan"),
        docs: told("https://cloud.tencent.com/document/product/1729/111007"),
        base_url: "https://api.hunyuan.cloud.tencent.com/v1",
        paths: &Paths { embeddings: Some("/embeddings"), ..Paths::CHAT },
        quirks: Quirks {
            no_json_schema: true,
            no_reasoning_effort: true,
            no_notes: true,
            thinking: Switch::Enable,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "infini",
        title: told("Infinigence GenStudio"),
        docs: told("https://docs.infini-ai.com/gen-studio/api"),
        base_url: "https://cloud.infini-ai.com/maas/v1",
        paths: &Paths { embeddings: Some("/embeddings"), rerank: Some("/rerank"), ..Paths::CHAT },
        quirks: Quirks { no_notes: true, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "minimax",
        title: told("MiniMax, international"),
        docs: told("https://platform.minimax.io/docs/api-reference/text-openai-api"),
        base_url: "https://api.minimax.io/v1",
        paths: &Paths { responses: Some("/responses"), ..Paths::CHAT },
        quirks: MINIMAX_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "minimax-anthropic",
        title: told("MiniMax, international, Anthropic's protocol"),
        docs: told("https://platform.minimax.io/docs/api-reference/text-anthropic-api"),
        protocol: Protocol::Anthropic,
        base_url: "https://api.minimax.io/anthropic",
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "minimax-cn",
        title: told("MiniMax"),
        docs: told("https://platform.minimaxi.com/docs/api-reference/text-openai-api"),
        base_url: "https://api.minimaxi.com/v1",
        paths: &Paths { responses: Some("/responses"), ..Paths::CHAT },
        quirks: MINIMAX_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "minimax-cn-anthropic",
        title: told("MiniMax, Anthropic's protocol"),
        docs: told("https://platform.minimaxi.com/docs/api-reference/text-anthropic-api"),
        protocol: Protocol::Anthropic,
        base_url: "https://api.minimaxi.com/anthropic",
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "modelscope",
        title: told("ModelScope"),
        docs: told("https://modelscope.cn/docs/model-service/API-Inference/intro"),
        base_url: "https://api-inference.modelscope.cn/v1",
        quirks: QWEN_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "moonshot",
        title: told("Moonshot AI (Kimi), international"),
        docs: told("https://platform.kimi.ai/docs/api/chat"),
        base_url: "https://api.moonshot.ai/v1",
        paths: &Paths { files: Some("/files"), ..Paths::CHAT },
        quirks: KIMI_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "moonshot-cn",
        title: told("Moonshot AI (Kimi)"),
        docs: told("https://platform.kimi.com/docs/api/chat"),
        base_url: "https://api.moonshot.cn/v1",
        paths: &Paths { files: Some("/files"), ..Paths::CHAT },
        quirks: KIMI_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "qianfan",
        title: told("Baidu Qianfan (ERNIE)"),
        docs: told("https://cloud.baidu.com/doc/WENXINWORKSHOP/s/2m3fihw8s"),
        base_url: "https://qianfan.baidubce.com/v2",
        paths: &Paths {
            embeddings: Some("/embeddings"),
            images: Some("/images"),
            rerank: Some("/rerank"),
            ..Paths::CHAT
        },
        quirks: Quirks {
            no_top_k: true,
            no_reasoning_effort: true,
            no_n: true,
            no_notes: true,
            thinking: Switch::Enable,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "qwen",
        title: told("Qwen, Alibaba Model Studio, Beijing"),
        docs: told(
            "https://help.aliyun.com/en/model-studio/compatibility-of-openai-with-dashscope",
        ),
        base_url: "https://dashscope.aliyuncs.com/compatible-mode/v1",
        paths: &QWEN_PATHS,
        quirks: QWEN_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "qwen-intl",
        title: told("Qwen, Alibaba Model Studio, Singapore"),
        docs: told(
            "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        ),
        base_url: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        paths: &QWEN_PATHS,
        quirks: QWEN_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "qwen-us",
        title: told("Qwen, Alibaba Model Studio, Virginia"),
        docs: told(
            "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        ),
        base_url: "https://dashscope-us.aliyuncs.com/compatible-mode/v1",
        paths: &QWEN_PATHS,
        quirks: QWEN_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "qwen-workspace",
        title: told("Qwen, Alibaba Model Studio, a workspace's own address"),
        docs: told(
            "https://help.aliyun.com/en/model-studio/compatibility-of-openai-with-dashscope",
        ),
        base_url: "https://{workspace}.{region}.maas.aliyuncs.com/compatible-mode/v1",
        paths: &QWEN_PATHS,
        quirks: QWEN_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "siliconflow",
        title: told("SiliconFlow, international"),
        docs: told(
            "https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
        ),
        base_url: "https://api.siliconflow.com/v1",
        paths: &SILICONFLOW_PATHS,
        quirks: QWEN_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "siliconflow-cn",
        title: told("SiliconFlow"),
        docs: told("https://docs.siliconflow.cn/docs/api/chat-completions-post"),
        base_url: "https://api.siliconflow.cn/v1",
        paths: &SILICONFLOW_PATHS,
        quirks: QWEN_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "spark",
        title: told("iFlytek Spark"),
        docs: told("https://www.xfyun.cn/doc/spark/HTTP%E8%B0%83%E7%94%A8%E6%96%87%E6%A1%A3.html"),
        // The key is the `APIPassword` of the console.
        base_url: "https://spark-api-open.xf-yun.com/v1",
        quirks: Quirks {
            no_stream_options: true,
            no_json_schema: true,
            no_parallel_tool_calls: true,
            no_reasoning_effort: true,
            no_seed: true,
            no_logprobs: true,
            temperature_to_one: true,
            no_zero_temperature: true,
            no_n: true,
            no_notes: true,
            ..Quirks::NONE
        },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "stepfun",
        title: told("StepFun"),
        docs: told(
            "https://platform.stepfun.com/docs/zh/api-reference/chat/chat-completion-create",
        ),
        base_url: "https://api.stepfun.com/v1",
        paths: &STEP_PATHS,
        quirks: STEP_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "stepfun-intl",
        title: told("StepFun, international"),
        docs: told("https://platform.stepfun.ai/docs/en/api-reference/chat/chat-completion-create"),
        base_url: "https://api.stepfun.ai/v1",
        paths: &STEP_PATHS,
        quirks: STEP_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "yi",
        title: told("01.AI (Yi)"),
        docs: told("https://platform.lingyiwanwu.com/docs/api-reference"),
        base_url: "https://api.lingyiwanwu.com/v1",
        quirks: Quirks { no_reasoning_effort: true, no_notes: true, ..Quirks::NONE },
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "zai",
        title: told("Z.AI (GLM), international"),
        docs: told("https://docs.z.ai/api-reference/llm/chat-completion"),
        base_url: "https://api.z.ai/api/paas/v4",
        paths: &Paths {
            images: Some("/images"),
            transcriptions: Some("/audio/transcriptions"),
            ..Paths::CHAT
        },
        quirks: GLM_QUIRKS,
        ..Preset::COMPATIBLE
    },
    Preset {
        name: "zhipu",
        title: told("Zhipu (GLM)"),
        docs: told("https://docs.bigmodel.cn/api-reference"),
        base_url: "https://open.bigmodel.cn/api/paas/v4",
        paths: &Paths { responses: None, completions: None, ..Paths::OPENAI },
        quirks: GLM_QUIRKS,
        ..Preset::COMPATIBLE
    },
];
