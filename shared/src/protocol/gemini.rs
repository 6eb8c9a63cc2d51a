//! Gemini generateContent, <https://ai.google.dev/api/generate-content>.
//!
//! Google reads every field in camelCase and in snake_case, and one object where a list is meant.

use serde_json::value::RawValue;

use crate::json::{BadJson, JsonStr, Read, Reader, Stop, parse};
use crate::view::view;

/// A list as written, which is read when asked for.
#[derive(Clone, Copy, Debug)]
pub struct List<'a>(&'a RawValue);

impl<'a> List<'a> {
    /// Reads it. A path in the error is relative to the list (`[2].text`).
    pub fn items<T: Read<'a>>(self) -> Result<Vec<T>, BadJson> {
        if self.0.get().starts_with('[') {
            parse(self.0.get())
        } else {
            Ok(vec![parse(self.0.get())?])
        }
    }
}

impl<'a> Read<'a> for List<'a> {
    fn read(from: &mut Reader<'a>) -> Result<Self, Stop> {
        from.raw_if(b"[{", "an array").map(List)
    }
}

view! {
    /// What a client asks for. The model, and whether the answer is to be a stream, stand in the path.
    pub struct Request<'a> {
        /// The conversation, of [`Content`].
        contents: List<'a>,
        /// A content, or from some clients a string.
        system_instruction = "systemInstruction" | "system_instruction": &'a RawValue,
        /// What the model may call, of [`Tool`].
        tools: List<'a>,
        /// Whether it must.
        tool_config = "toolConfig" | "tool_config": ToolConfig<'a>,
        /// Everything else about the answer.
        generation_config = "generationConfig" | "generation_config": GenerationConfig<'a>,
        /// The name of a part of the prompt that Google keeps.
        cached_content = "cachedContent" | "cached_content": &'a RawValue,
        /// Stands in the path as well.
        model: &'a RawValue,
    }
}

view! {
    /// What one side says.
    pub struct Content<'a> {
        /// `user` or `model`; with older clients `function`.
        role: JsonStr<'a>,
        /// Of [`Part`].
        parts: List<'a>,
    }
}

view! {
    /// One thing said; which fields it has tells what it is.
    pub struct Part<'a> {
        /// Text.
        text: JsonStr<'a>,
        /// The text is a thought.
        thought: bool,
        /// What the model's thoughts before this part were, in Base64 that only Google can read.
        thought_signature = "thoughtSignature" | "thought_signature": JsonStr<'a>,
        /// A picture, sound, film or document.
        inline_data = "inlineData" | "inline_data": Blob<'a>,
        /// The same by its address.
        file_data = "fileData" | "file_data": FileData<'a>,
        /// The model calls a function.
        function_call = "functionCall" | "function_call": FunctionCall<'a>,
        /// What the function returned.
        function_response = "functionResponse" | "function_response": FunctionResponse<'a>,
    }
}

view! {
    /// Bytes.
    pub struct Blob<'a> {
        /// What they are.
        mime_type = "mimeType" | "mime_type": JsonStr<'a>,
        /// In Base64, of either alphabet.
        data: JsonStr<'a>,
        /// What it is called.
        display_name = "displayName" | "display_name": JsonStr<'a>,
    }
}

view! {
    /// An address.
    pub struct FileData<'a> {
        /// What is there.
        mime_type = "mimeType" | "mime_type": JsonStr<'a>,
        /// Where.
        file_uri = "fileUri" | "file_uri": JsonStr<'a>,
        /// What it is called.
        display_name = "displayName" | "display_name": JsonStr<'a>,
    }
}

view! {
    /// A call of a function.
    pub struct FunctionCall<'a> {
        /// Names the call; older models give none.
        id: JsonStr<'a>,
        /// The function.
        name: JsonStr<'a>,
        /// The arguments, an object.
        args: &'a RawValue,
    }
}

view! {
    /// What a function returned.
    pub struct FunctionResponse<'a> {
        /// Which call it answers.
        id: JsonStr<'a>,
        /// Which function.
        name: JsonStr<'a>,
        /// An object, `{"output": ...}` or `{"error": ...}` by custom.
        response: &'a RawValue,
        /// Pictures and documents, of [`Part`].
        parts: List<'a>,
    }
}

view! {
    /// Things that the model may call.
    pub struct Tool<'a> {
        /// Functions of the client's, of [`FunctionDeclaration`].
        function_declarations = "functionDeclarations" | "function_declarations": List<'a>,
    }
}

view! {
    /// A function.
    pub struct FunctionDeclaration<'a> {
        /// Its name.
        name: JsonStr<'a>,
        /// What it is for.
        description: JsonStr<'a>,
        /// Its arguments, as an OpenAPI schema.
        parameters: &'a RawValue,
        /// Its arguments, as a JSON Schema.
        parameters_json_schema = "parametersJsonSchema" | "parameters_json_schema": &'a RawValue,
    }
}

view! {
    /// An OpenAPI schema, as far as it is written otherwise than JSON Schema. The other members stand
    /// in `rest`, in their order.
    pub struct Schema<'a> {
        /// `STRING`, `OBJECT` ... or JSON Schema's own.
        kind = "type": &'a RawValue,
        /// It may be `null` too.
        nullable: bool,
        /// All the values that are allowed.
        values = "enum": Vec<&'a RawValue>,
        /// Schemas one of which is to fit.
        any_of = "anyOf" | "any_of": Vec<&'a RawValue>,
        /// Those of an object's members.
        properties: Members<'a>,
        /// In which order the model writes them.
        property_ordering = "propertyOrdering" | "property_ordering": Vec<JsonStr<'a>>,
    }
}

view! {
    /// Any object: all its members stand in `rest`.
    pub struct Members<'a> {
    }
}

view! {
    /// Whether a function must be called.
    pub struct ToolConfig<'a> {
        /// The only member of interest.
        function_calling_config =
            "functionCallingConfig" | "function_calling_config": FunctionCallingConfig<'a>,
    }
}

view! {
    /// Whether a function must be called.
    pub struct FunctionCallingConfig<'a> {
        /// `AUTO`, `ANY`, `NONE` or `VALIDATED`.
        mode: JsonStr<'a>,
        /// Of `ANY`: which.
        allowed_function_names =
            "allowedFunctionNames" | "allowed_function_names": Vec<JsonStr<'a>>,
    }
}

view! {
    /// Everything about the answer that is neither tools nor instructions.
    pub struct GenerationConfig<'a> {
        /// Most tokens of the answer, thinking included.
        max_output_tokens = "maxOutputTokens" | "max_output_tokens": u64,
        /// 0 to 2.
        temperature: f64,
        /// 0 to 1.
        top_p = "topP" | "top_p": f64,
        /// How many of the likeliest tokens to choose from; Python's SDK sends `40.0`.
        top_k = "topK" | "top_k": f64,
        /// Makes the answer repeatable, as far as it can be.
        seed: i64,
        /// -2 to 2.
        presence_penalty = "presencePenalty" | "presence_penalty": f64,
        /// -2 to 2.
        frequency_penalty = "frequencyPenalty" | "frequency_penalty": f64,
        /// How many answers.
        candidate_count = "candidateCount" | "candidate_count": u32,
        /// Whether the answer has the probabilities of its tokens.
        response_logprobs = "responseLogprobs" | "response_logprobs": bool,
        /// And of how many others in their places.
        logprobs: u32,
        /// What ends the answer.
        stop_sequences = "stopSequences" | "stop_sequences": Vec<JsonStr<'a>>,
        /// `text/plain`, `application/json` or `text/x.enum`.
        response_mime_type = "responseMimeType" | "response_mime_type": JsonStr<'a>,
        /// What the answer must fit, as an OpenAPI schema.
        response_schema = "responseSchema" | "response_schema": &'a RawValue,
        /// What the answer must fit, as a JSON Schema.
        response_json_schema =
            "responseJsonSchema" | "response_json_schema" | "_responseJsonSchema": &'a RawValue,
        /// `TEXT`, `IMAGE` or `AUDIO`.
        response_modalities = "responseModalities" | "response_modalities": Vec<JsonStr<'a>>,
        /// How much to think.
        thinking_config = "thinkingConfig" | "thinking_config": ThinkingConfig<'a>,
    }
}

view! {
    /// How much to think; newer models have levels, older ones a budget.
    pub struct ThinkingConfig<'a> {
        /// Whether the client wants to read it.
        include_thoughts = "includeThoughts" | "include_thoughts": bool,
        /// Most tokens of it; -1 is as the model likes.
        thinking_budget = "thinkingBudget" | "thinking_budget": i64,
        /// `MINIMAL`, `LOW`, `MEDIUM` or `HIGH`.
        thinking_level = "thinkingLevel" | "thinking_level": JsonStr<'a>,
    }
}

view! {
    /// An answer, or one event of a streamed answer.
    pub struct Response<'a> {
        /// The answers, or what is added to them.
        candidates: Vec<Candidate<'a>>,
        /// Why there is none.
        prompt_feedback = "promptFeedback" | "prompt_feedback": PromptFeedback<'a>,
        /// The token counts so far.
        usage_metadata = "usageMetadata" | "usage_metadata": Usage<'a>,
        /// The model that answered.
        model_version = "modelVersion" | "model_version": JsonStr<'a>,
        /// Its name.
        response_id = "responseId" | "response_id": JsonStr<'a>,
        /// Instead of all that.
        error: Error<'a>,
    }
}

view! {
    /// One of the answers.
    pub struct Candidate<'a> {
        /// What it says.
        content: Content<'a>,
        /// `STOP`, `MAX_TOKENS`, `SAFETY` ...
        finish_reason = "finishReason" | "finish_reason": JsonStr<'a>,
        /// That in words.
        finish_message = "finishMessage" | "finish_message": JsonStr<'a>,
        /// Which one, 0 if left out.
        index: u32,
        /// The probabilities of its tokens.
        logprobs_result = "logprobsResult" | "logprobs_result": LogprobsResult<'a>,
    }
}

view! {
    /// Why there is no answer.
    pub struct PromptFeedback<'a> {
        /// `SAFETY`, `PROHIBITED_CONTENT` ...
        block_reason = "blockReason" | "block_reason": JsonStr<'a>,
    }
}

view! {
    /// The probabilities of an answer's tokens.
    pub struct LogprobsResult<'a> {
        /// The tokens.
        chosen_candidates = "chosenCandidates" | "chosen_candidates": Vec<Logprob<'a>>,
        /// For each, the likeliest in its place.
        top_candidates = "topCandidates" | "top_candidates": Vec<TopCandidates<'a>>,
    }
}

view! {
    /// The likeliest tokens in one place.
    pub struct TopCandidates<'a> {
        /// The likeliest first.
        candidates: Vec<Logprob<'a>>,
    }
}

view! {
    /// A token and how likely it was.
    pub struct Logprob<'a> {
        /// Its text.
        token: JsonStr<'a>,
        /// Natural logarithm of its probability.
        log_probability = "logProbability" | "log_probability": f64,
    }
}

view! {
    /// The token counts.
    pub struct Usage<'a> {
        /// Of the request, those of a cached content included.
        prompt_token_count = "promptTokenCount" | "prompt_token_count": u64,
        /// Of those, what was cached.
        cached_content_token_count =
            "cachedContentTokenCount" | "cached_content_token_count": u64,
        /// Of what Google's own tools returned, which counts as request too.
        tool_use_prompt_token_count =
            "toolUsePromptTokenCount" | "tool_use_prompt_token_count": u64,
        /// Of the answer without its thoughts.
        candidates_token_count = "candidatesTokenCount" | "candidates_token_count": u64,
        /// Of its thoughts.
        thoughts_token_count = "thoughtsTokenCount" | "thoughts_token_count": u64,
        /// The request's tokens by kind.
        prompt_tokens_details =
            "promptTokensDetails" | "prompt_tokens_details": Vec<ModalityCount<'a>>,
        /// The answer's tokens by kind.
        candidates_tokens_details =
            "candidatesTokensDetails" | "candidates_tokens_details": Vec<ModalityCount<'a>>,
    }
}

view! {
    /// Tokens of one kind.
    pub struct ModalityCount<'a> {
        /// `TEXT`, `IMAGE`, `AUDIO`, `VIDEO` or `DOCUMENT`.
        modality: JsonStr<'a>,
        /// How many.
        token_count = "tokenCount" | "token_count": u64,
    }
}

view! {
    /// An error, <https://google.aip.dev/193>.
    pub struct Error<'a> {
        /// The HTTP status.
        code: u16,
        /// In words.
        message: JsonStr<'a>,
        /// `INVALID_ARGUMENT`, `RESOURCE_EXHAUSTED` ...
        status: JsonStr<'a>,
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn one_object_is_a_list_of_one() {
        for text in [r#"{"parts":{"text":"x"}}"#, r#"{"parts":[{"text":"x"}]}"#] {
            let content: Content<'_> = parse(text).unwrap();
            let parts: Vec<Part<'_>> = content.parts.unwrap().items().unwrap();
            assert_eq!(parts.first().unwrap().text.as_ref().unwrap().decode(), "x");
        }
        assert!(parse::<Content<'_>>(r#"{"parts":"x"}"#).is_err());
    }
}
