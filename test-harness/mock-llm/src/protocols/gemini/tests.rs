use super::*;
use crate::protocols::testing::{body, data, events, headers};
use crate::script::Script;
use serde_json::json;

const PATH: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const THREE: &str = "/v1beta/models/gemini-3-pro-preview:generateContent";
const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent";

fn request(extra: Value) -> Value {
    let mut request = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

fn with<T>(path: &str, query: &str, body: &Value, script: Value, f: impl Fn(&Call<'_>) -> T) -> T {
    let method = Method::POST;
    let endpoint = Gemini.route(&method, path).unwrap();
    let script = Script::parse(script, "a").unwrap();
    let (headers, listener, number) = (&headers(), "a", 1);
    f(&Call { endpoint, listener, path, query, headers, body, script: &script, number })
}

fn answer(path: &str, query: &str, body: &Value, script: Value) -> Answer {
    with(path, query, body, script, |call| Gemini.answer(call, &mut Rng::new(1)))
}

fn whole(path: &str, extra: Value, script: Value) -> Value {
    body(answer(path, "", &request(extra), script))
}

fn stream(extra: Value, script: Value) -> Vec<Event> {
    events(answer(STREAM, "alt=sse", &request(extra), script))
}

fn refusal(path: &str, body: &Value) -> Option<String> {
    let check = with(path, "", body, json!({}), |call| Gemini.validate(call));
    check.err().map(|error| error.message.unwrap())
}

#[test]
fn paths_name_the_model_and_the_method() {
    let route = |method, path| Gemini.route(&method, path);
    assert_eq!(route(Method::POST, PATH), Some(Endpoint::Chat));
    assert_eq!(
        route(Method::POST, "/p/v1/publishers/google/models/g:streamGenerateContent"),
        Some(Endpoint::Chat)
    );
    assert_eq!(route(Method::POST, "/v1beta/models/g:countTokens"), Some(Endpoint::CountTokens));
    let batch = "/v1beta/models/g:batchEmbedContents";
    assert_eq!(route(Method::POST, batch), Some(Endpoint::Embeddings));
    assert_eq!(route(Method::GET, "/v1beta/models"), Some(Endpoint::Models));
    assert_eq!(route(Method::GET, "/v1beta/models/g"), Some(Endpoint::Model));
    assert_eq!(route(Method::POST, "/v1beta/models/g"), None);
    assert_eq!(route(Method::GET, PATH), None);
    assert_eq!(route(Method::POST, "/v1/models/org/model:free"), None);
}

#[test]
fn an_answer_has_every_field() {
    let mut answer = whole(PATH, json!({}), json!({"cached_tokens": 2}));
    assert_eq!(answer["responseId"].as_str().unwrap().len(), 22);
    answer.as_object_mut().unwrap().remove("responseId");
    assert_eq!(
        answer,
        json!({
            "candidates": [{"content": {"parts": [{"text": "Hello from a: hi"}], "role": "model"},
                            "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 5, "totalTokenCount": 7,
                "cachedContentTokenCount": 2,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}]},
            "modelVersion": "gemini-2.5-flash",
        })
    );
}

#[test]
fn a_streams_events_are_answers_that_add_up() {
    let config = json!({"generationConfig": {"thinkingConfig": {"includeThoughts": true}}});
    let script = json!({"thinking": "hm, well", "text": "Hello, world", "tool_calls": [
        {"name": "f", "arguments": {"city": "Paris"}}, {"name": "g"}]});
    let events = stream(config.clone(), script.clone());
    assert!(events.last().unwrap().terminal);
    let all: Vec<Value> = events.iter().map(data).collect();
    let parts = all.iter().filter_map(|event| event.pointer("/candidates/0/content/parts/0"));
    let text = |thought: bool| {
        let mine = parts.clone().filter(|p| p.get("thought").is_some() == thought);
        mine.filter_map(|part| part["text"].as_str()).collect::<String>()
    };
    assert_eq!((text(true).as_str(), text(false).as_str()), ("hm, well", "Hello, world"));
    let calls: Vec<_> = parts.clone().filter(|p| p.get("functionCall").is_some()).collect();
    assert_eq!(calls[0]["functionCall"], json!({"name": "f", "args": {"city": "Paris"}}));
    assert!(calls[0].get("thoughtSignature").is_some());
    assert!(calls[1].get("thoughtSignature").is_none());
    let last = all.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    let whole =
        whole(STREAM.replace(":stream", ":").replace("Gen", "gen").as_str(), config, script);
    assert_eq!(last["usageMetadata"], whole["usageMetadata"]);
    let parts = whole["candidates"][0]["content"]["parts"].as_array().unwrap();
    assert_eq!(parts[0], json!({"text": "hm, well", "thought": true}));
    assert_eq!(parts[1], json!({"text": "Hello, world"}));
    assert_eq!(parts.len(), 4);
}

#[test]
fn without_alt_sse_a_stream_is_an_array() {
    let answer = answer(STREAM, "key=x", &request(json!({})), json!({"text": "a b"}));
    let Answer::Stream { content_type, framing, events } = answer else { panic!("no stream") };
    assert!(content_type.starts_with("application/json"));
    let steps = crate::stream::plan(events, framing, &Script::default(), Vec::new());
    let written = steps.into_iter().filter_map(|step| match step {
        crate::stream::Step::Write(bytes, _) => Some(bytes.to_vec()),
        _ => None,
    });
    let all: Value = serde_json::from_slice(&written.flatten().collect::<Vec<u8>>()).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 2);
}

#[test]
fn gemini_3_names_and_signs_calls() {
    let script = json!({"tool_calls": [{"name": "f"}, {"name": "g", "id": "mine"}]});
    let parts = &whole(THREE, json!({}), script.clone())["candidates"][0]["content"]["parts"];
    assert!(parts[0]["functionCall"]["id"].is_string() && parts[0]["thoughtSignature"].is_string());
    assert_eq!(parts[1]["functionCall"]["id"], "mine");
    let parts = &whole(PATH, json!({}), script)["candidates"][0]["content"]["parts"];
    assert_eq!(parts[0], json!({"functionCall": {"name": "f", "args": {}}}));
    assert_eq!(parts[1]["functionCall"]["id"], "mine");
}

#[test]
fn stops_are_told_apart() {
    let reason =
        |extra, script| whole(PATH, extra, script)["candidates"][0]["finishReason"].clone();
    let config = |config: Value| json!({ "generationConfig": config });
    assert_eq!(reason(config(json!({"maxOutputTokens": 1})), json!({"tokens": 5})), "MAX_TOKENS");
    assert_eq!(reason(config(json!({"stop_sequences": ["b"]})), json!({"text": "a b"})), "STOP");
    assert_eq!(reason(json!({}), json!({"refusal": "no"})), "SAFETY");
    assert_eq!(reason(json!({}), json!({"finish_reason": "RECITATION"})), "RECITATION");
    let bad = json!({"tool_calls": [{"name": "f", "arguments": "{bad"}]});
    assert_eq!(reason(json!({}), bad), "MALFORMED_FUNCTION_CALL");
}

#[test]
fn several_candidates() {
    let answer = whole(PATH, json!({"generationConfig": {"candidateCount": 2}}), json!({}));
    assert_eq!(answer["candidates"][1]["index"], 1);
}

#[test]
fn tokens_vectors_and_models() {
    let path = "/v1beta/models/gemini-2.5-flash:countTokens";
    assert_eq!(whole(path, json!({}), json!({}))["totalTokens"], 2);
    let inner = json!({"generateContentRequest": request(json!({}))});
    assert_eq!(body(answer(path, "", &inner, json!({})))["totalTokens"], 2);
    let one = json!({"model": "models/e", "content": {"parts": [{"text": "a"}]},
                     "outputDimensionality": 8});
    let embed = "/v1beta/models/e:embedContent";
    let single = body(answer(embed, "", &one, json!({})));
    assert_eq!(single["embedding"]["values"].as_array().unwrap().len(), 8);
    let batch = "/v1beta/models/e:batchEmbedContents";
    let all = json!({"requests": [one, one]});
    assert_eq!(refusal(batch, &all), None);
    let all = body(answer(batch, "", &all, json!({})));
    assert_eq!(all["embeddings"][1], single["embedding"]);
}

#[test]
fn errors_have_the_words_of_the_provider() {
    let error = |status| Gemini.error(&ApiError::status(status), "").text();
    assert_eq!(
        error(503),
        r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#
    );
    for (status, name) in [
        (400, "INVALID_ARGUMENT"),
        (403, "PERMISSION_DENIED"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
    ] {
        assert!(error(status).contains(name), "{status}");
    }
    assert_eq!(data(&Gemini.error_event(&ApiError::status(429))[0])["error"]["code"], 429);
}

fn call_of(name: &str) -> Value {
    json!({"functionCall": {"name": name, "args": {}}})
}

fn result_of(name: &str) -> Value {
    json!({"functionResponse": {"name": name, "response": {"result": 1}}})
}

#[test]
fn good_requests_pass_in_either_spelling() {
    let tools = json!([{"functionDeclarations": [
        {"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}},
        {"name": "g", "parametersJsonSchema": {"type": "object", "additionalProperties": false}}]}]);
    let good = json!({
        "system_instruction": {"parts": {"text": "x"}},
        "contents": [
            {"parts": [{"text": "a"}, {"inline_data": {"mime_type": "image/png", "data": "-_-_"}}]},
            {"role": "model", "parts": [
                {"functionCall": {"name": "f", "args": {}, "id": "1"},
                 "thoughtSignature": "skip_thought_signature_validator"}, call_of("g")]},
            {"role": "user", "parts": [result_of("f"), result_of("g")]},
            {"role": "user", "parts": [{"text": "and?"}]},
        ],
        "tools": tools,
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"temperature": 1, "topP": 0.5, "maxOutputTokens": 9,
            "stopSequences": ["a"], "thinkingConfig": {"thinkingLevel": "low"}},
    });
    assert_eq!(refusal(THREE, &good), None);
}

#[test]
fn what_google_refuses_is_refused() {
    let contents = |contents: Value| json!({ "contents": contents });
    let config = |config: Value| request(json!({ "generationConfig": config }));
    let tools = |function: Value| request(json!({"tools": [{"functionDeclarations": [function]}]}));
    let user = |parts: Value| json!({"role": "user", "parts": parts});
    let model = |parts: Value| json!({"role": "model", "parts": parts});
    let hi = user(json!([{"text": "hi"}]));
    for (body, part) in [
        (json!({}), "contents is not specified"),
        (contents(json!([{"role": "assistant", "parts": [{"text": ""}]}])), "valid role"),
        (contents(json!([user(json!([]))])), "parts must not be empty"),
        (contents(json!([user(json!([{}]))])), "required oneof field 'data'"),
        (contents(json!([user(json!([{"text": "a", "cache_control": 1}]))])), "\"cache_control\""),
        (
            contents(json!([user(
                json!([{"inlineData": {"mimeType": "image/png", "data": "#"}}])
            )])),
            "Base64 decoding failed",
        ),
        (
            contents(json!([hi, model(json!([{"text": "a", "thoughtSignature": "openai#x"}]))])),
            "thought_signature",
        ),
        (contents(json!([hi, user(json!([result_of("f")]))])), "immediately after a function call"),
        (contents(json!([hi, model(json!([call_of("f")])), hi])), "is equal to the number"),
        (
            contents(json!([
                hi,
                model(json!([call_of("f"), call_of("f")])),
                user(json!([result_of("f")]))
            ])),
            "is equal to the number",
        ),
        (contents(json!([model(json!([call_of("f")]))])), "after a user turn"),
        (
            contents(json!([hi, model(json!([{"functionCall": {"name": "f", "args": "{}"}}]))])),
            "protobuf.Struct",
        ),
        (request(json!({"messages": []})), "Unknown name \"messages\": Cannot find field."),
        (request(json!({"systemInstruction": "x"})), "system_instruction"),
        (config(json!({"max_tokens": 1})), "\"max_tokens\" at 'generation_config'"),
        (config(json!({"stopSequences": ["1", "2", "3", "4", "5", "6"]})), "at most 5"),
        (config(json!({"candidateCount": 9})), "between 1 and 8"),
        (config(json!({"thinkingConfig": {"thinkingLevel": "low"}})), "not supported"),
        (
            config(json!({"thinkingConfig": {"thinkingLevel": "low", "thinkingBudget": 1}})),
            "only one of",
        ),
        (config(json!({"thinkingConfig": {"thinkingBudget": 30000}})), "between 0 and 24576"),
        (config(json!({"responseJsonSchema": {}})), "mime type"),
        (
            config(json!({"responseMimeType": "application/json",
                          "responseSchema": {"type": "object", "additionalProperties": false}})),
            "additionalProperties",
        ),
        (tools(json!({"name": "1f"})), "Invalid function name"),
        (tools(json!({"name": "f", "input_schema": {}})), "input_schema"),
        (
            tools(json!({"name": "f", "parameters": {"type": ["string", "null"]}})),
            "cannot start list",
        ),
        (request(json!({"tools": [{"type": "function"}]})), "\"type\" at 'tools[0]'"),
        (
            request(json!({"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}})),
            "without function_declarations",
        ),
    ] {
        let told = refusal(PATH, &body).unwrap_or_else(|| panic!("accepted: {body}"));
        assert!(told.contains(part), "{body}: {told}");
    }
}

#[test]
fn gemini_3_wants_calls_of_the_current_turn_signed() {
    let body = |unsigned: &Value, more: &[Value]| {
        let mut contents = vec![
            json!({"role": "user", "parts": [{"text": "hi"}]}),
            json!({"role": "model", "parts": [unsigned]}),
            json!({"role": "user", "parts": [result_of("f")]}),
        ];
        contents.extend_from_slice(more);
        json!({ "contents": contents })
    };
    let unsigned = call_of("f");
    assert!(refusal(THREE, &body(&unsigned, &[])).unwrap().contains("missing a thought_signature"));
    assert_eq!(refusal(PATH, &body(&unsigned, &[])), None);
    let mut signed = unsigned.clone();
    signed["thoughtSignature"] = "CiQB".into();
    assert_eq!(refusal(THREE, &body(&signed, &[])), None);
    // What is over is not looked into.
    let next = json!({"role": "user", "parts": [{"text": "next"}]});
    assert_eq!(refusal(THREE, &body(&unsigned, &[next])), None);
}

#[test]
fn a_key_is_demanded_in_one_of_three_places() {
    let script = Script::default();
    let body = request(json!({}));
    let check = |headers: &hyper::HeaderMap, query: &str| {
        let (endpoint, listener, path) = (Endpoint::Chat, "a", PATH);
        let (body, script, number) = (&body, &script, 0);
        let call = Call { endpoint, listener, path, query, headers, body, script, number };
        Gemini.validate(&call).err().map(|error| error.status)
    };
    let mut headers = headers();
    assert_eq!(check(&headers, ""), None);
    headers.remove("authorization");
    assert_eq!(check(&headers, "alt=sse"), Some(403));
    assert_eq!(check(&headers, "alt=sse&key=k"), None);
    headers.insert("x-goog-api-key", "k".parse().unwrap());
    assert_eq!(check(&headers, ""), None);
}

#[test]
fn vertex_predicts_and_has_no_batches() {
    let on = |method: &str| format!("/v1/projects/p/locations/l/publishers/google/models/{method}");
    let predict = on("text-embedding-005:predict");
    let asked = json!({"instances": [{"content": "a", "task_type": "RETRIEVAL_QUERY"}, {"content": "b"}],
                       "parameters": {"outputDimensionality": 8}});
    assert_eq!(refusal(&predict, &asked), None);
    let told = body(answer(&predict, "", &asked, json!({})));
    let first = &told["predictions"][0]["embeddings"];
    assert_eq!(first["values"].as_array().unwrap().len(), 8);
    assert_eq!(first["statistics"], json!({"truncated": false, "token_count": 1}));
    assert!(refusal(&on("gemini-embedding-001:predict"), &asked).is_some());
    assert!(refusal(&predict, &json!({"instances": [{"content": ["a"]}]})).is_some());
    assert!(refusal(&predict, &json!({"instances": [{"text": "a"}]})).is_some());
    let route = |path: &str| Gemini.route(&Method::POST, path);
    assert_eq!(route(&on("m:batchEmbedContents")), None);
    assert_eq!(route("/v1beta/models/m:predict"), None);
    let count = on("gemini-2.5-flash:countTokens");
    let inner = json!({"generateContentRequest": request(json!({}))});
    assert!(refusal(&count, &inner).is_some());
    assert_eq!(refusal(&count, &request(json!({}))), None);
}

#[test]
fn a_batch_names_the_paths_model_and_is_not_endless() {
    let path = "/v1beta/models/e:batchEmbedContents";
    let one = |model: &str| json!({"model": model, "content": {"parts": [{"text": "a"}]}});
    assert!(refusal(path, &json!({"requests": [one("models/f")]})).is_some());
    assert!(refusal(path, &json!({"requests": vec![one("models/e"); 101]})).is_some());
    assert_eq!(refusal(path, &json!({"requests": vec![one("models/e"); 100]})), None);
}
