//! Requests of every client's protocol, and the members that their objects may have besides.

/// A request and what may stand in it.
pub struct Asked {
    /// As the client sends it, all its objects known.
    pub request: &'static str,
    /// Members whose values are passed as they are.
    pub raw: &'static [&'static str],
    /// What may stand in it besides, by lines: the object's pointer (`/` is the request itself), the
    /// member's name and its value.
    pub members: &'static str,
}

/// <https://platform.openai.com/docs/api-reference/chat/create>
pub const CHAT: &[Asked] = &[
    Asked {
        request: r#"{"messages":[
            {"role":"developer","content":[{"type":"text","text":"s"}]},
            {"role":"user","content":[{"type":"text","text":"a"},
                {"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]},
            {"role":"assistant","content":"b","tool_calls":[
                {"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"r"}]}],
            "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}},
                {"type":"function","function":{"name":"g"}}],
            "response_format":{"type":"json_schema","json_schema":{"name":"n",
                "schema":{"type":"object"}}},
            "stream":true,"stream_options":{"include_usage":true}}"#,
        raw: &["parameters", "schema"],
        members: r#"
            / audio {"voice":"alloy","format":"mp3"}
            / frequency_penalty 0.5
            / function_call "auto"
            / functions [{"name":"h"}]
            / logit_bias {"50256":-100}
            / logprobs true
            / max_completion_tokens 77
            / max_tokens 78
            / metadata {"k":"v"}
            / modalities ["text","audio"]
            / moderation {"model":"omni-moderation-latest"}
            / n 2
            / parallel_tool_calls false
            / prediction {"type":"content","content":"x"}
            / presence_penalty 0.5
            / prompt_cache_key "key"
            / prompt_cache_options {"mode":"explicit"}
            / prompt_cache_retention "24h"
            / reasoning_effort "high"
            / safety_identifier "who"
            / seed 7
            / service_tier "flex"
            / stop ["x"]
            / store true
            / temperature 0.5
            / tool_choice "required"
            / tool_choice {"type":"function","function":{"name":"f"}}
            / tool_choice {"type":"custom","custom":{"name":"f"}}
            / tool_choice {"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}}]}}
            / top_k 5
            / top_p 0.5
            / user "who"
            / verbosity "low"
            / web_search_options {"search_context_size":"low"}
            /stream_options include_obfuscation true
            /messages/0 name "n"
            /messages/0 cache_control {"type":"ephemeral"}
            /messages/0/content/0 cache_control {"type":"ephemeral"}
            /messages/0/content/0 prompt_cache_breakpoint {"mode":"explicit"}
            /messages/1 name "n"
            /messages/1/content/1/image_url detail "low"
            /messages/1/content/1 prompt_cache_breakpoint {"mode":"explicit"}
            /messages/2 name "n"
            /messages/2 audio {"id":"audio_1"}
            /messages/2 refusal "no"
            /messages/2 function_call {"name":"f","arguments":"{}"}
            /messages/2 annotations [{"type":"url_citation","url_citation":{"url":"u"}}]
            /messages/2 reasoning_content "hm"
            /messages/2 reasoning_details [{"type":"reasoning.text","text":"hm"}]
            /messages/2 thinking_blocks [{"type":"thinking","thinking":"hm","signature":"s"}]
            /messages/2 prefix true
            /messages/2/tool_calls/0 extra_content {"google":{"thought_signature":"x"}}
            /messages/3 cache_control {"type":"ephemeral"}
            /tools/0 cache_control {"type":"ephemeral"}
            /tools/0/function strict true
            /tools/0/function description "d"
            /response_format/json_schema description "about"
        "#,
    },
    Asked {
        request: r#"{"messages":[{"role":"user","content":[
            {"type":"file","file":{"file_data":"data:application/pdf;base64,aGk="}}]}]}"#,
        raw: &[],
        members: r#"
            /messages/0/content/0/file filename "a.pdf"
            /messages/0/content/0/file file_id "file-1"
            /messages/0/content/0/file format "application/pdf"
        "#,
    },
    Asked {
        request: r#"{"messages":[{"role":"user","content":[
            {"type":"input_audio","input_audio":{"data":"aGk=","format":"wav"}},
            {"type":"video_url","video_url":{"url":"https://e.example/a.mp4"}}]}]}"#,
        raw: &[],
        members: r#"
            /messages/0/content/1/video_url detail "low"
            /messages/0/content/1 fps 2
        "#,
    },
];

/// <https://platform.openai.com/docs/api-reference/completions/create>
pub const COMPLETIONS: &[Asked] = &[Asked {
    request: r#"{"prompt":"a","stream":true,"stream_options":{"include_usage":true}}"#,
    raw: &[],
    members: r#"
        / best_of 3
        / echo true
        / frequency_penalty 0.5
        / logit_bias {"50256":-100}
        / logprobs 3
        / max_tokens 78
        / n 2
        / presence_penalty 0.5
        / seed 7
        / stop "x"
        / suffix "z"
        / temperature 0.5
        / top_p 0.5
        / user "who"
        /stream_options include_obfuscation true
    "#,
}];

/// <https://platform.openai.com/docs/api-reference/responses/create>
pub const RESPONSES: &[Asked] = &[
    Asked {
        request: r#"{"instructions":"s","input":[
            {"type":"message","role":"user","content":[{"type":"input_text","text":"a"},
                {"type":"input_image","image_url":"data:image/png;base64,aGk="}]},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"b"}]},
            {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
            {"type":"function_call_output","call_id":"c1","output":[
                {"type":"input_text","text":"r"}]},
            {"type":"custom_tool_call","call_id":"c2","name":"g","input":"x"},
            {"type":"custom_tool_call_output","call_id":"c2","output":"r"}],
            "tools":[{"type":"function","name":"f","parameters":{"type":"object"}},
                {"type":"custom","name":"g"},
                {"type":"namespace","name":"m","tools":[{"type":"function","name":"h",
                    "parameters":{"type":"object"}}]}],
            "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}},
            "reasoning":{"effort":"low"},"stream":true,"stream_options":{}}"#,
        raw: &["parameters", "schema"],
        members: r#"
            / background true
            / context_management [{"type":"compaction"}]
            / conversation "conv_1"
            / include ["web_search_call.action.sources"]
            / include ["message.output_text.logprobs"]
            / max_output_tokens 77
            / max_tool_calls 3
            / metadata {"k":"v"}
            / moderation {"model":"omni-moderation-latest"}
            / multi_agent {"enabled":true}
            / parallel_tool_calls false
            / previous_response_id "resp_1"
            / prompt {"id":"pmpt_1"}
            / prompt_cache_key "key"
            / prompt_cache_options {"mode":"explicit"}
            / prompt_cache_retention "24h"
            / safety_identifier "who"
            / service_tier "flex"
            / store true
            / temperature 0.5
            / tool_choice "required"
            / tool_choice {"type":"custom","name":"g"}
            / tool_choice {"type":"web_search"}
            / top_logprobs 3
            / top_p 0.5
            / truncation "auto"
            / user "who"
            / client_metadata {"k":"v"}
            /stream_options include_obfuscation true
            /reasoning context "all_turns"
            /reasoning mode "pro"
            /text verbosity "low"
            /input/0 phase "final_answer"
            /input/0/content/0 prompt_cache_breakpoint {"mode":"explicit"}
            /input/0/content/1 detail "low"
            /input/1 phase "commentary"
            /input/1/content/0 annotations [{"type":"url_citation","url":"u"}]
            /input/1/content/0 logprobs [{"token":"b","logprob":-1}]
            /input/2 namespace "m"
            /input/2 caller {"type":"program","caller_id":"x"}
            /input/3 caller {"type":"program","caller_id":"x"}
            /tools/0 strict true
            /tools/0 description "d"
            /tools/0 defer_loading true
            /tools/0 allowed_callers ["programmatic"]
            /tools/0 output_schema {"type":"object"}
            /tools/1 description "d"
            /tools/1 format {"type":"grammar","syntax":"lark","definition":"start: x"}
            /tools/1 defer_loading true
            /tools/2 description "about all"
        "#,
    },
    Asked {
        request: r#"{"input":[{"role":"user","content":[
            {"type":"input_file","file_data":"data:application/pdf;base64,aGk="}]}]}"#,
        raw: &[],
        members: r#"
            /input/0/content/0 filename "a.pdf"
            /input/0/content/0 file_url "https://e.example/a.pdf"
            /input/0/content/0 file_id "file-1"
            /input/0/content/0 detail "low"
        "#,
    },
    Asked {
        request: r#"{"input":"a","text":{"format":{"type":"json_schema","name":"n",
            "schema":{"type":"object"}}},"reasoning":{"effort":"low"}}"#,
        raw: &["schema"],
        members: r#"
            /reasoning summary "detailed"
            /text/format description "about"
        "#,
    },
];

/// <https://platform.claude.com/docs/en/api/messages/create>
pub const ANTHROPIC: &[Asked] = &[
    Asked {
        request: r#"{"max_tokens":9000,"system":[{"type":"text","text":"s"}],"messages":[
            {"role":"user","content":[{"type":"text","text":"a"},
                {"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}},
                {"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}}]},
            {"role":"assistant","content":[{"type":"text","text":"b"},
                {"type":"tool_use","id":"c1","name":"f","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":[
                {"type":"text","text":"r"}]}]}],
            "tools":[{"name":"f","input_schema":{"type":"object"}},
                {"name":"g","input_schema":{"type":"object"}}],
            "tool_choice":{"type":"auto"},"metadata":{},
            "output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}}"#,
        raw: &["input_schema", "schema", "input"],
        members: r#"
            / cache_control {"type":"ephemeral"}
            / container "container_1"
            / container {"id":"container_1","skills":[]}
            / context_management {"edits":[{"type":"clear_tool_uses_20250919"}]}
            / diagnostics {"previous_message_id":"msg_1"}
            / fallbacks [{"model":"claude-x"}]
            / inference_geo "us"
            / mcp_servers [{"type":"url","url":"https://m.example","name":"m"}]
            / service_tier "standard_only"
            / speed "fast"
            / stop_sequences ["x"]
            / temperature 0.5
            / top_k 5
            / top_p 0.95
            / user_profile_id "up_1"
            /metadata user_id "who"
            / thinking {"type":"enabled","budget_tokens":2048}
            /output_config task_budget {"type":"tokens","total":9000}
            /tool_choice disable_parallel_tool_use true
            /system/0 cache_control {"type":"ephemeral"}
            /system/0 citations [{"type":"char_location","cited_text":"x"}]
            /messages/0/content/0 cache_control {"type":"ephemeral"}
            /messages/0/content/1 cache_control {"type":"ephemeral"}
            /messages/0/content/2 title "t"
            /messages/0/content/2 context "about"
            /messages/0/content/2 citations {"enabled":true}
            /messages/1/content/0 citations [{"type":"char_location","cited_text":"x"}]
            /messages/1/content/1 cache_control {"type":"ephemeral"}
            /messages/1/content/1 caller {"type":"code_execution_20250825","tool_id":"x"}
            /messages/2/content/0 is_error true
            /messages/2/content/0 cache_control {"type":"ephemeral"}
            /messages/2/content/0/content/0 cache_control {"type":"ephemeral"}
            /tools/0 allowed_callers ["code_execution_20250825"]
            /tools/0 cache_control {"type":"ephemeral"}
            /tools/0 defer_loading true
            /tools/0 description "d"
            /tools/0 eager_input_streaming true
            /tools/0 input_examples [{"a":1}]
            /tools/0 strict true
            /tools/0 type "web_search_20250305"
        "#,
    },
    Asked {
        request: r#"{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"document",
            "source":{"type":"base64","media_type":"application/pdf","data":"aGk="}}]}]}"#,
        raw: &[],
        members: r#"
            / output_format {"type":"json_schema","schema":{"type":"object"}}
            /messages/0/content/0 title "t"
            /messages/0/content/0 context "about"
            /messages/0/content/0 citations {"enabled":true}
        "#,
    },
    Asked {
        request: r#"{"max_tokens":9000,"thinking":{"type":"adaptive"},"messages":[
            {"role":"user","content":"a"},{"role":"assistant","content":[
            {"type":"thinking","thinking":"hm","signature":"s"},
            {"type":"redacted_thinking","data":"x"},{"type":"text","text":"b"}]},
            {"role":"user","content":"c"}],"output_config":{}}"#,
        raw: &[],
        members: r#"
            /output_config effort "high"
            /thinking display "omitted"
        "#,
    },
];

/// <https://ai.google.dev/api/generate-content>
pub const GEMINI: &[Asked] = &[
    Asked {
        request: r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[
            {"role":"user","parts":[{"text":"a"},
                {"inlineData":{"mimeType":"image/png","data":"aGk="}}]},
            {"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},
            {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"r"}}}]}],
            "tools":[{"functionDeclarations":[
                {"name":"f","parametersJsonSchema":{"type":"object"}},{"name":"g"}]}],
            "toolConfig":{"functionCallingConfig":{"mode":"AUTO"}},
            "generationConfig":{}}"#,
        raw: &["parametersJsonSchema", "args", "response"],
        members: r#"
            / cachedContent "cachedContents/1"
            / labels {"k":"v"}
            / safetySettings [{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}]
            / serviceTier "flex"
            / store true
            /contents/0/parts/0 partMetadata {"k":"v"}
            /contents/0/parts/1 mediaResolution {"level":"MEDIA_RESOLUTION_LOW"}
            /contents/0/parts/1 videoMetadata {"fps":1}
            /contents/0/parts/1/inlineData displayName "a.png"
            /contents/1/parts/0/functionCall id "c1"
            /contents/1/parts/0/functionCall partialArgs [{"jsonPath":"$.x"}]
            /contents/1/parts/0/functionCall willContinue true
            /contents/2/parts/0/functionResponse scheduling "SILENT"
            /contents/2/parts/0/functionResponse willContinue true
            /contents/2/parts/0/functionResponse parts [{"inlineData":{"mimeType":"image/png","data":"aGk="}}]
            /tools/0 googleSearch {"timeRangeFilter":{}}
            /tools/0 codeExecution {"x":1}
            /tools/0/functionDeclarations/0 behavior "NON_BLOCKING"
            /tools/0/functionDeclarations/0 description "d"
            /tools/0/functionDeclarations/0 response {"type":"OBJECT"}
            /tools/0/functionDeclarations/0 responseJsonSchema {"type":"object"}
            /toolConfig retrievalConfig {"languageCode":"en"}
            /toolConfig includeServerSideToolInvocations true
            /toolConfig/functionCallingConfig mode "ANY"
            /toolConfig/functionCallingConfig mode "VALIDATED"
            /toolConfig/functionCallingConfig allowedFunctionNames ["f"]
            /toolConfig/functionCallingConfig streamFunctionCallArguments true
            /generationConfig audioTimestamp true
            /generationConfig candidateCount 2
            /generationConfig enableEnhancedCivicAnswers true
            /generationConfig frequencyPenalty 0.5
            /generationConfig imageConfig {"aspectRatio":"1:1"}
            /generationConfig maxOutputTokens 77
            /generationConfig mediaResolution "MEDIA_RESOLUTION_LOW"
            /generationConfig presencePenalty 0.5
            /generationConfig responseLogprobs true
            /generationConfig responseModalities ["TEXT","IMAGE"]
            /generationConfig routingConfig {"autoMode":{}}
            /generationConfig seed 7
            /generationConfig speechConfig {"languageCode":"en"}
            /generationConfig stopSequences ["x"]
            /generationConfig temperature 0.5
            /generationConfig topK 5
            /generationConfig topP 0.5
        "#,
    },
    Asked {
        request: r#"{"contents":[{"role":"user","parts":[{"text":"a"}]}],"generationConfig":{
            "responseMimeType":"application/json","thinkingConfig":{}}}"#,
        raw: &[],
        members: r#"
            /generationConfig responseJsonSchema {"type":"object"}
            /generationConfig _responseJsonSchema {"type":"object"}
            /generationConfig responseSchema {"type":"OBJECT"}
            /generationConfig/thinkingConfig includeThoughts true
            /generationConfig/thinkingConfig thinkingBudget 2048
            /generationConfig/thinkingConfig thinkingLevel "HIGH"
        "#,
    },
    Asked {
        request: r#"{"contents":[{"role":"user","parts":[
            {"inlineData":{"mimeType":"application/pdf","data":"aGk="}}]}]}"#,
        raw: &[],
        members: r#"
            /contents/0/parts/0/inlineData displayName "a.pdf"
        "#,
    },
    Asked {
        request: r#"{"contents":[{"role":"user","parts":[
            {"fileData":{"mimeType":"image/png","fileUri":"https://e.example/a.png"}}]},
            {"role":"model","parts":[{"text":"b"}]},{"role":"user","parts":[{"text":"c"}]}]}"#,
        raw: &[],
        members: r#"
            /contents/0/parts/0/fileData displayName "a.png"
            /contents/1/parts/0 thought true
        "#,
    },
];
