//! Which golden cases show which feature, and by what in the output it can be told that nothing was
//! lost. `golden.rs` demands that they exist, `features.rs` makes docs/features.md of what came out.
//!
//! A proof is a text that must stand in the output; of several, between ` | `, one. `#` at its end is
//! a digit above 0, and `!` at its beginning says that the text must not be there. [`NO`] is for what
//! a protocol has no words for.

#![allow(dead_code, reason = "one of the two tests looks at the proofs")]

/// The protocol has nothing of the kind.
pub(crate) const NO: &str = "";

/// Folders of the clients.
pub(crate) const CLIENTS: [&str; 4] = ["openai_chat", "openai_responses", "anthropic", "gemini"];

/// Folders and files of the providers.
pub(crate) const PROVIDERS: [&str; 6] =
    ["openai", "openai_responses", "anthropic", "gemini", "bedrock", "cohere"];

/// Something that a client asks for.
pub(crate) struct Asked {
    /// What, for the table.
    pub(crate) name: &'static str,
    /// The case of each client.
    pub(crate) cases: [&'static str; 4],
    /// By what it is known in each provider's request.
    pub(crate) proofs: [&'static str; 6],
}

/// Something that a provider answers.
pub(crate) struct Answered {
    /// What, for the table.
    pub(crate) name: &'static str,
    /// The case of each provider.
    pub(crate) cases: [&'static str; 6],
    /// By what it is known in each client's answer.
    pub(crate) proofs: [&'static str; 4],
}

const fn asked(name: &'static str, cases: [&'static str; 4], proofs: [&'static str; 6]) -> Asked {
    Asked { name, cases, proofs }
}

const fn answered(
    name: &'static str,
    cases: [&'static str; 6],
    proofs: [&'static str; 4],
) -> Answered {
    Answered { name, cases, proofs }
}

/// What clients ask for. Cases: chat, responses, messages, gemini. Proofs: as [`PROVIDERS`].
#[rustfmt::skip]
pub(crate) const ASKED: &[Asked] = &[
    asked("system prompt", ["one_system", "one_system", "system", "system"],
        [r#""role":"system""#, r#""instructions": | "role":"system""#, r#""system":"#, r#""systemInstruction":"#, r#""system":["#, r#""role":"system""#]),
    asked("system or developer prompt in the midst, moved to the beginning for others than OpenAI", ["system", "system", "system_in_the_midst", NO],
        ["Be kind."; 6]),
    asked("several turns", ["neighbours", "neighbours", "neighbours", "neighbours"],
        [r#""role":"assistant""#, r#""role":"assistant""#, r#""role":"assistant""#, r#""role":"model""#, r#""role":"assistant""#, r#""role":"assistant""#]),
    asked("tools", ["tools", "tools", "tools", "tools"], ["The weather"; 6]),
    asked("tools bound to their schema", ["strict_tools", "parallel_calls", "tools", NO],
        [r#""strict":true"#, r#""strict":true"#, r#""strict":true"#, NO, r#""strict":true"#, r#""strict_tools":true"#]),
    asked("tools that take any text", [NO, "custom_tool", NO, NO], [r#""name":"apply_patch""#; 6]),
    asked("several calls in one turn", ["parallel_calls", "parallel_calls", "parallel_calls", "parallel_calls"], ["Rome"; 6]),
    asked("one call at a time", ["one_call_at_a_time", "one_call_at_a_time", "one_call_at_a_time", NO],
        [r#""parallel_tool_calls":false"#, r#""parallel_tool_calls":false"#, r#""disable_parallel_tool_use":true"#, NO, NO, NO]),
    asked("tool choice: any", ["tool_choice_required", "tool_choice_required", "tool_choice_required", "tool_choice_required"],
        [r#""tool_choice":"required""#, r#""tool_choice":"required""#, r#""type":"any""#, r#""mode":"ANY""#, r#""any":{}"#, r#""tool_choice":"REQUIRED""#]),
    asked("tool choice: by name", ["tool_choice_named", "tool_choice_named", "tool_choice_named", "tool_choice_named"],
        [r#""tool_choice":{"function":{"name":"#, r#""tool_choice":{"name":"#, r#""tool_choice":{"name":"#, r#""allowedFunctionNames":["#, r#""tool":{"name":"#, r#""tool_choice":"REQUIRED""#]),
    asked("tool choice: none", ["tool_choice_none", "tool_choice_none", "tool_choice_none", "tool_choice_none"],
        [r#""tool_choice":"none""#, r#""tool_choice":"none""#, r#""tool_choice":{"type":"none""#, r#""mode":"NONE""#, r#"!"toolConfig""#, r#""tool_choice":"NONE""#]),
    asked("tool results", ["tool_results", "tool_results", "parallel_calls", "tool_results"],
        [r#""tool_call_id":"#, r#""function_call_output""#, r#""tool_result""#, r#""functionResponse":"#, r#""toolResult":"#, r#""tool_call_id":"#]),
    asked("tool results: failed", [NO, NO, "tool_results", "parallel_calls"],
        [NO, NO, r#""is_error":true"#, r#""error":"#, r#""status":"error""#, NO]),
    asked("tool results: pictures", ["tool_result_with_image", "tool_result_with_image", "tool_result_with_image", "tool_result_with_image"],
        ["iVBORw0KGgo="; 6]),
    asked("pictures, inline", ["images", "images", "images", "images"], ["iVBORw0KGgo= | +/+/AAAA"; 6]),
    asked("pictures by URL", ["images_by_url", "images_by_url", "images_by_url", "images_by_url"], ["https://example.com/a.png"; 6]),
    asked("PDF, inline", ["documents_alone", "documents", "documents", "documents_inline"], ["JVBERi0="; 6]),
    asked("PDF by URL", [NO, "documents_by_url", "documents_by_url", "documents"], ["https://example.com/paper.pdf"; 6]),
    asked("names of documents", ["documents", "documents", "documents", NO],
        ["Q3 report", "Q3 report", "Q3 report", NO, "Q3 report", "Q3 report"]),
    asked("sound", ["audio", "audio", NO, "audio"], ["UklG"; 6]),
    asked("film", ["video", NO, NO, "video"], ["AAAA | youtube"; 6]),
    asked("JSON of any shape", ["json_object", "json_object", NO, "json_object"],
        [r#""json_object""#, r#""json_object""#, NO, "application/json", NO, r#""json_object""#]),
    asked("JSON by a schema", ["json_schema", "json_schema", "json_schema", "json_schema_full"],
        [r#""json_schema""#, r#""json_schema""#, r#""output_config":{"format""#, r#""responseJsonSchema":"#, r#""outputConfig":"#, r#""json_schema":{"#]),
    asked("stop sequences", ["stop", NO, "stop", "stop"],
        [r#"["END","STOP"]"#, NO, r#"["END","STOP"]"#, r#"["END","STOP"]"#, r#"["END","STOP"]"#, r#"["END","STOP"]"#]),
    asked("seed", ["seed", NO, NO, "seed"], [r#""seed":42"#, NO, NO, r#""seed":42"#, NO, r#""seed":42"#]),
    asked("`temperature`, `top_p`", ["temperature", "temperature", "sampling", "temperature"], [r#""temperature":0.25"#; 6]),
    asked("`temperature` above 1", ["temperature_above_one", "temperature_above_one", NO, "temperature_above_one"],
        [r#""temperature":1.5"#, r#""temperature":1.5"#, r#""temperature":1"#, r#""temperature":1.5"#, r#""temperature":1"#, r#""temperature":1"#]),
    asked("`top_k`", ["top_k", NO, "top_k", "top_k"],
        [NO, NO, r#""top_k":40"#, r#""topK":40"#, r#""top_k":40"#, r#""k":40"#]),
    asked("penalties", ["frequency", NO, NO, "frequency"],
        [r#""presence_penalty":-0.5"#, NO, NO, r#""presencePenalty":-0.5"#, NO, r#""frequency_penalty":0.5"#]),
    asked("several answers", ["n", NO, NO, "n"], [r#""n":2"#, NO, NO, r#""candidateCount":2"#, NO, NO]),
    asked("log probabilities", ["logprobs", "logprobs", NO, "logprobs"],
        [r#""top_logprobs":#"#, r#""top_logprobs":#"#, NO, r#""logprobs":#"#, NO, r#""logprobs":true"#]),
    asked("limit of tokens", ["limit_of_tokens", "limits", "limits", "limits"],
        [r#""max_completion_tokens":777"#, r#""max_output_tokens":777"#, r#""max_tokens":777"#, r#""maxOutputTokens":777"#, r#""maxTokens":777"#, r#""max_tokens":777"#]),
    asked("no limit of tokens", ["plain", "plain", NO, "plain"],
        [r#"!"max_completion_tokens""#, r#"!"max_output_tokens""#, r#""max_tokens":4096"#, r#"!"maxOutputTokens""#, r#"!"maxTokens""#, r#"!"max_tokens""#]),
    asked("effort of reasoning", ["effort_high", "effort_high", "effort", "thinking_level_high"],
        [r#""reasoning_effort":"high""#, r#""effort":"high""#, r#""budget_tokens":16384 | "effort":"high""#, r#""thinkingBudget":16384"#, r#""budget_tokens":16384"#, r#""token_budget":16384"#]),
    asked("tokens of reasoning", [NO, NO, "thinking", "thinking"],
        [r#""reasoning_effort":"medium""#, r#""effort":"medium""#, r#""budget_tokens":8192"#, r#""thinkingBudget":8192"#, r#""budget_tokens":8192"#, r#""token_budget":8192"#]),
    asked("no reasoning", ["effort_none", "effort_none", "thinking_off", "thinking_off"],
        [r#""reasoning_effort":"none""#, r#""effort":"none""#, r#"!"enabled""#, r#""thinkingBudget":0"#, r#"!"enabled""#, r#""disabled""#]),
    asked("signed thoughts of Claude, sent back", ["thinking_round", "thinking_round", "thinking_round", "thinking_round_of_others"],
        [NO, NO, r#""signature":""#, NO, r#""signature":""#, NO]),
    asked("sealed thoughts of OpenAI, sent back", ["thinking_round_of_openai", "thinking_round", "thinking_round_of_openai", "thinking_round_of_others"],
        [NO, r#""encrypted_content":"gAAAA"#, NO, NO, NO, NO]),
    asked("OpenAI's marks for the prompt cache", ["breakpoints", "breakpoints", NO, NO],
        ["prompt_cache_breakpoint", "prompt_cache_breakpoint", "cache_control", NO, "cachePoint", NO]),
    asked("marks for the prompt cache", ["cache_control", NO, "cache_control", NO],
        [NO, NO, r#""cache_control":"#, NO, r#""cachePoint":"#, NO]),
    asked("who asks", ["user", "safety_identifier", "user", NO],
        [r#""user":"#, r#""safety_identifier":"#, r#""user_id":"#, NO, NO, NO]),
    asked("length of words (`verbosity`)", ["verbosity", "verbosity", NO, NO],
        [r#""verbosity":"low""#, r#""verbosity":"low""#, NO, NO, NO, NO]),
    asked("event stream", ["stream", "stream", "stream", NO],
        [r#""stream":true"#, r#""stream":true"#, r#""stream":true"#, r#"!"stream""#, r#"!"stream""#, r#""stream":true"#]),
    asked("tools that the provider runs", [NO, "provider_tools", "refused_provider_tool", "refused_google_search"], [NO; 6]),
    asked("objects that the provider keeps", ["refused_file_id", "refused_previous_response", "refused_file_id", "refused_cached_content"], [NO; 6]),
    asked("fields of the client's own vendor", ["dropped", "dropped", "dropped", "dropped"], [NO; 6]),
];

/// What providers answer. Cases: as [`PROVIDERS`]. Proofs: chat, responses, messages, gemini.
#[rustfmt::skip]
pub(crate) const ANSWERED: &[Answered] = &[
    answered("text", ["plain", "plain", "plain", "plain", "plain", "plain"],
        [r#""content":""#, r#""output_text""#, r#""text":""#, r#""parts":[{"text":"#]),
    answered("calls, their arguments as they come", ["calls", "calls", "calls", "calls", "calls", "calls"],
        [r#""tool_calls":["#, r#""function_call""#, r#""tool_use""#, r#""functionCall":"#]),
    answered("thoughts", ["thinking", "thinking", "thinking", "thinking", "thinking", "thinking"],
        [r#""reasoning_content":"#, r#""type":"reasoning""#, r#""type":"thinking""#, r#""thought":true"#]),
    answered("signatures of thoughts", [NO, "thinking", "thinking", "thinking_signed_call", "thinking", NO],
        [r#""signature":"s | "signature":"E | "signature":"o | "signature":"g | "signature":"C"#,
            r#""encrypted_content":""#,
            r#""signature":"s | "signature":"E | "signature":"o | "signature":"g | "signature":"C"#,
            r#""thoughtSignature":""#]),
    answered("refusals", ["refusal", "refusal", "refusal", "refusal", "refusal", NO],
        [r#""finish_reason":"content_filter""#, r#""type":"refusal" | "content_filter""#, r#""stop_reason":"refusal""#, r#""finishReason":"SAFETY" | "blockReason""#]),
    answered("stopped for safety", ["content_filter", "content_filter", "refusal", "blocked_prompt", "content_filtered", NO],
        [r#""finish_reason":"content_filter""#, r#""type":"refusal" | "content_filter""#, r#""stop_reason":"refusal""#, r#""finishReason":"SAFETY" | "blockReason""#]),
    answered("stopped at the limit", ["limit", "limit", "max_tokens", "length", "max_tokens", "max_tokens"],
        [r#""finish_reason":"length""#, r#""reason":"max_output_tokens""#, r#""stop_reason":"max_tokens""#, r#""finishReason":"MAX_TOKENS""#]),
    answered("stopped at a stop sequence", [NO, NO, "stop_sequence", NO, "stop_sequence", "stop_sequence"],
        [r#""finish_reason":"stop""#, r#""status":"completed""#, r#""stop_reason":"stop_sequence""#, r#""finishReason":"STOP""#]),
    answered("token counts", ["plain", "plain", "plain", "plain", "plain", "plain"],
        [r#""prompt_tokens":#"#, r#""input_tokens":#"#, r#""input_tokens":#"#, r#""promptTokenCount":#"#]),
    answered("tokens read from the cache", ["cache_usage", "cache_usage", "cache_usage", "cache_usage", "cache_usage", "plain"],
        [r#""cached_tokens":#"#, r#""cached_tokens":#"#, r#""cache_read_input_tokens":#"#, r#""cachedContentTokenCount":#"#]),
    answered("tokens written to the cache", [NO, "cache_usage", "cache_usage", NO, "cache_usage", NO],
        [r#""cache_creation_tokens":#"#, r#""cache_write_tokens":#"#, r#""cache_creation_input_tokens":#"#, NO]),
    answered("tokens of reasoning", ["cache_usage", "thinking", NO, "cache_usage", NO, NO],
        [r#""reasoning_tokens":#"#, r#""reasoning_tokens":#"#, NO, r#""thoughtsTokenCount":#"#]),
    answered("tokens of sound", ["sound_usage", NO, NO, "sound_usage", NO, NO],
        [r#""audio_tokens":#"#, NO, NO, r#""modality":"AUDIO""#]),
    answered("log probabilities", ["logprobs", "logprobs", NO, "logprobs", NO, "logprobs"],
        [r#""logprob":-"#, r#""logprob":-"#, NO, r#""logProbability":-"#]),
    answered("several answers", ["n", NO, NO, "n", NO, NO], [r#""index":1"#, NO, NO, r#""index":1"#]),
    answered("pictures", [NO, NO, NO, "image", "image", NO],
        [r#""images":["#, "image_generation_call", NO, r#""inlineData":"#]),
    answered("no token counts", ["no_usage", "no_usage", "no_usage", "no_usage", "no_usage", "no_usage"],
        [r#"!"usage":{"#, r#"!"usage":{"#, r#"!"input_tokens":#"#, r#"!"usageMetadata":{"#]),
    answered("errors in a stream", ["stream_error", "stream_error", "stream_error", "stream_error", "stream_error", "stream_error"],
        [r#""error":{"#, r#""response.failed""#, r#""type":"error""#, r#""error":{"#]),
    answered("streams that are cut off", ["stream_cut", "stream_cut", "stream_cut", "stream_cut", "stream_cut", "stream_cut"],
        [": broken off | : unreadable"; 4]),
];
