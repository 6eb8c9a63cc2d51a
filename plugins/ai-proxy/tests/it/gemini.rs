//! What must hold for Gemini as a client's and as a provider's protocol, whatever is said.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use ai_proxy::config::Protocol;
use ai_proxy::presets;
use ai_proxy::provider::Cloud;
use ai_proxy::translate::client::{Client, Context};
use ai_proxy::translate::provider::{self, Options};
use proptest::prelude::*;
use serde_json::{Value, json};

fn options(model: &str) -> Options<'_> {
    let quirks = presets::find("openai").unwrap().quirks;
    Options { model, default_max_tokens: 4096, quirks, cloud: Cloud::Own }
}

/// What a provider gets of a client's request.
fn translate(client: Client, protocol: Protocol, model: &str, body: &Value) -> Value {
    let text = body.to_string();
    let mut request = client.read(&text).unwrap();
    let body = provider::write(protocol, &mut request, &options(model)).unwrap();
    serde_json::from_str(&body).unwrap()
}

/// What a client gets of a streamed answer: the events' data.
fn streamed(client: Client, protocol: Protocol, events: &[Value]) -> Vec<Value> {
    let mut reader = provider::stream(protocol);
    let mut writer = client.stream(Context { include_usage: true, ..Context::default() });
    let texts: Vec<_> = events.iter().map(Value::to_string).collect();
    let mut out = Vec::new();
    let mut send = |_: Option<&str>, data: &str| out.push(data.to_owned());
    for text in &texts {
        reader.read(None, text, &mut |delta| writer.write(&delta, &mut send)).unwrap();
    }
    assert!(reader.finish(&mut |delta| writer.write(&delta, &mut send)));
    let data = out.iter().filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// All the values at a place of several documents, joined.
fn joined(all: &[Value], path: &str) -> String {
    all.iter().filter_map(|one| one.pointer(path)?.as_str()).collect()
}

/// The parts of several events.
fn parts(all: &[Value]) -> Vec<Value> {
    let parts = all.iter().filter_map(|one| one.pointer("/candidates/0/content/parts"));
    parts.flat_map(|parts| parts.as_array().unwrap()).cloned().collect()
}

fn chunk(parts: Value) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}],
           "modelVersion": "gemini-2.5-flash", "responseId": "r"})
}

fn last() -> Value {
    json!({"candidates": [{"finishReason": "STOP", "index": 0}],
           "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}})
}

const THREE: &str = "gemini-3-pro-preview";

/// A round of calls in an OpenAI client's words.
fn round(thoughts: &Value) -> Value {
    json!({"model": "m", "messages": [
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": "Let me see.", "thinking_blocks": thoughts, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "tool", "tool_call_id": "c1", "content": [
            {"type": "text", "text": "one"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
        {"role": "user", "content": "And?"},
    ]})
}

#[test]
fn calls_of_another_model_are_signed_as_such_for_gemini_3_only() {
    let body = round(&json!([]));
    let three = translate(Client::OpenAiChat, Protocol::Gemini, THREE, &body);
    let said = &three["contents"][1]["parts"];
    assert_eq!(said[1]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(said[2].get("thoughtSignature"), None);
    let two = translate(Client::OpenAiChat, Protocol::Gemini, "gemini-2.5-pro", &body);
    assert!(!two.to_string().contains("thoughtSignature"));
}

#[test]
fn a_signature_goes_back_to_the_first_call() {
    let signed = json!([{"type": "thinking", "thinking": "hm", "signature": "gemini#CiQB"}]);
    let out = translate(Client::OpenAiChat, Protocol::Gemini, THREE, &round(&signed));
    let said = &out["contents"][1]["parts"];
    assert_eq!(said[0], json!({"text": "Let me see."}));
    assert_eq!(said[1]["thoughtSignature"], "CiQB");
    assert_eq!(said[2].get("thoughtSignature"), None);
}

#[test]
fn results_stand_in_the_order_of_the_calls_and_alone() {
    let three = translate(Client::OpenAiChat, Protocol::Gemini, THREE, &round(&json!([])));
    let results = three["contents"][2]["parts"].as_array().unwrap();
    let names: Vec<_> = results.iter().map(|part| &part["functionResponse"]["name"]).collect();
    assert_eq!(names, ["f", "g"]);
    // Gemini 3 takes pictures in results, the models before it beside them.
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    assert_eq!(results[0]["functionResponse"]["parts"], json!([picture]));
    assert_eq!(three["contents"][3]["parts"], json!([{"text": "And?"}]));
    let two =
        translate(Client::OpenAiChat, Protocol::Gemini, "gemini-2.5-flash", &round(&json!([])));
    assert_eq!(two["contents"][2]["parts"][0]["functionResponse"].get("parts"), None);
    assert_eq!(two["contents"][3]["parts"], json!([picture, {"text": "And?"}]));
}

#[test]
fn a_schema_and_functions_do_not_go_together_before_gemini_3() {
    let text = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "response_format": {"type": "json_object"},
        "tools": [{"type": "function", "function": {"name": "f"}}]})
    .to_string();
    let mut request = Client::OpenAiChat.read(&text).unwrap();
    let body = provider::write(Protocol::Gemini, &mut request, &options("gemini-2.5-pro"));
    assert!(!body.unwrap().contains("responseMimeType"));
    assert_eq!(Client::OpenAiChat.name_of(request.unsupported[0]), "response_format");
    let mut request = Client::OpenAiChat.read(&text).unwrap();
    let body = provider::write(Protocol::Gemini, &mut request, &options(THREE));
    assert!(body.unwrap().contains("responseMimeType"));
}

#[test]
fn a_call_without_a_name_is_named_once_and_the_name_stays_with_the_client() {
    let answer = chunk(json!([{"functionCall": {"name": "f", "args": {}}},
                              {"functionCall": {"name": "f", "args": {"a": 1}}}]));
    let text = answer.to_string();
    let response = provider::read(Protocol::Gemini, &text).unwrap();
    let out: Value =
        serde_json::from_str(&Client::OpenAiChat.write(&response, &Context::default())).unwrap();
    let calls = &out["choices"][0]["message"]["tool_calls"];
    assert_eq!(calls[0]["id"], "gemini_r_0");
    assert_eq!(calls[1]["id"], "gemini_r_1");
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "gemini_r_1", "content": "1"},
        {"role": "tool", "tool_call_id": "gemini_r_0", "content": "0"}]});
    let back = translate(Client::OpenAiChat, Protocol::Gemini, "gemini-2.5-pro", &body);
    assert!(!back.to_string().contains("gemini_r"));
    let results = &back["contents"][2]["parts"];
    assert_eq!(results[0]["functionResponse"]["response"]["result"], "0");
    assert_eq!(results[1]["functionResponse"]["response"]["result"], "1");
}

#[test]
fn arguments_without_end_end_the_stream() {
    let piece = "x".repeat(1 << 20);
    let mut writer = Client::Gemini.stream(Context::default());
    let mut out = Vec::new();
    let mut send = |_: Option<&str>, data: &str| out.push(data.to_owned());
    let call = json!({"choices": [{"index": 0, "delta": {"tool_calls": [
        {"index": 0, "id": "c", "function": {"name": "f", "arguments": piece}}]}}]});
    let more = json!({"choices": [{"index": 0, "delta": {"tool_calls": [
        {"index": 0, "function": {"arguments": piece}}]}}]});
    let texts = [call.to_string(), more.to_string()];
    let mut reader = provider::stream(Protocol::Openai);
    for at in 0..9_usize {
        let text = &texts[at.min(1)];
        reader.read(None, text, &mut |delta| writer.write(&delta, &mut send)).unwrap();
    }
    assert_eq!(out.len(), 1);
    assert!(out[0].contains(r#""code":502"#), "{}", out[0]);
}

proptest! {
    #[test]
    fn a_clients_texts_arrive_as_they_were_written(
        system in any::<String>(),
        user in any::<String>(),
        argument in any::<String>(),
        result in any::<String>(),
    ) {
        let body = json!({
            "systemInstruction": {"parts": [{"text": system}]},
            "contents": [
                {"role": "user", "parts": [{"text": user}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": argument}}}]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "f", "response": {"output": result}}}]},
            ],
        });
        let out = translate(Client::Gemini, Protocol::Openai, "m", &body);
        let messages = out["messages"].as_array().unwrap();
        let of = |role: &str| messages.iter().find(|message| message["role"] == role);
        prop_assert_eq!(of("system").map_or("", |m| m["content"].as_str().unwrap()), system);
        prop_assert_eq!(of("user").map_or("", |m| m["content"].as_str().unwrap()), user);
        prop_assert_eq!(of("tool").unwrap()["content"].as_str().unwrap(), result);
        let call = &of("assistant").unwrap()["tool_calls"][0];
        prop_assert_eq!(&call["id"], &of("tool").unwrap()["tool_call_id"]);
        let arguments = call["function"]["arguments"].as_str().unwrap();
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        prop_assert_eq!(arguments, json!({"a": argument}));
    }

    #[test]
    fn a_providers_texts_arrive_as_they_were_written(
        system in any::<String>(),
        user in any::<String>(),
        arguments in any::<String>(),
        result in any::<String>(),
    ) {
        let body = json!({"model": "m", "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": user},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}]},
            {"role": "tool", "tool_call_id": "1", "content": result},
        ]});
        let out = translate(Client::OpenAiChat, Protocol::Gemini, THREE, &body);
        let told = out.pointer("/systemInstruction/parts/0/text").and_then(Value::as_str);
        prop_assert_eq!(told.unwrap_or_default(), system);
        let parts: Vec<&Value> = out["contents"].as_array().unwrap().iter()
            .flat_map(|content| content["parts"].as_array().unwrap()).collect();
        if !user.is_empty() {
            prop_assert_eq!(parts[0]["text"].as_str().unwrap(), user);
        }
        let call = parts.iter().find_map(|part| part.get("functionCall")).unwrap();
        match serde_json::from_str::<Value>(&arguments) {
            Ok(object) if object.is_object() => prop_assert_eq!(&call["args"], &object),
            _ if arguments.trim().is_empty() => prop_assert_eq!(&call["args"], &json!({})),
            _ => prop_assert_eq!(call["args"]["INVALID_JSON"].as_str().unwrap(), arguments.trim()),
        }
        let response = &parts.last().unwrap()["functionResponse"]["response"];
        if !serde_json::from_str::<Value>(&result).is_ok_and(|value| value.is_object()) {
            prop_assert_eq!(response["result"].as_str().unwrap(), result);
        }
    }

    #[test]
    fn a_stream_loses_no_text_on_its_way_from_gemini(
        texts in prop::collection::vec(any::<String>(), 1..5),
        thoughts in prop::collection::vec(any::<String>(), 1..5),
    ) {
        let mut events: Vec<_> =
            thoughts.iter().map(|t| chunk(json!([{"text": t, "thought": true}]))).collect();
        events.extend(texts.iter().map(|text| chunk(json!([{"text": text}]))));
        let args = json!({"a": texts.concat()});
        events.push(chunk(json!([{"functionCall": {"name": "f", "args": args}}])));
        events.push(last());
        let out = streamed(Client::OpenAiChat, Protocol::Gemini, &events);
        prop_assert_eq!(joined(&out, "/choices/0/delta/content"), texts.concat());
        prop_assert_eq!(joined(&out, "/choices/0/delta/reasoning_content"), thoughts.concat());
        let arguments = joined(&out, "/choices/0/delta/tool_calls/0/function/arguments");
        prop_assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), args);
        prop_assert_eq!(&out.last().unwrap()["usage"]["total_tokens"], 7);
    }

    #[test]
    fn a_stream_loses_no_text_on_its_way_to_a_gemini_client(
        texts in prop::collection::vec(any::<String>(), 0..6),
        argument in any::<String>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let delta = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]});
        let mut events: Vec<_> =
            texts.iter().map(|text| delta(json!({"content": text}))).collect();
        let arguments = json!({"a": argument}).to_string();
        let cuts: Vec<usize> =
            (0..=arguments.len()).filter(|at| arguments.is_char_boundary(*at)).collect();
        let (one, two) = arguments.split_at(cuts[cut.index(cuts.len())]);
        let call = |piece: &str| json!({"tool_calls": [
            {"index": 0, "id": "c", "function": {"name": "f", "arguments": piece}}]});
        events.push(delta(call(one)));
        events.push(delta(call(two)));
        events.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}));
        let out = streamed(Client::Gemini, Protocol::Openai, &events);
        let parts = parts(&out);
        let text: String = parts.iter().filter_map(|part| part["text"].as_str()).collect();
        prop_assert_eq!(text, texts.concat());
        // Google's SDKs forget an answer that has a part with nothing in it, or an event without one.
        prop_assert!(parts.iter().all(|part| part["text"] != ""));
        prop_assert!(out.iter().all(|event| event.pointer("/candidates/0/content").is_some()));
        let call = &parts.last().unwrap()["functionCall"];
        prop_assert_eq!(&call["args"], &json!({"a": argument}));
        prop_assert_eq!(&out.last().unwrap()["candidates"][0]["finishReason"], "STOP");
    }

    #[test]
    fn what_a_client_sends_is_read_or_refused_and_what_is_written_is_json(
        values in prop::collection::vec((0..FIELDS.len(), json_value()), 1..4),
        model in prop::sample::select(vec![THREE, "gemini-2.5-flash", "m"]),
    ) {
        let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}]});
        for (field, value) in values {
            body[FIELDS[field]] = value;
        }
        let text = body.to_string();
        match Client::Gemini.read(&text) {
            Ok(_) => {
                for protocol in [Protocol::Gemini, Protocol::Openai, Protocol::Anthropic] {
                    let mut request = Client::Gemini.read(&text).unwrap();
                    if let Ok(out) = provider::write(protocol, &mut request, &options(model)) {
                        prop_assert!(serde_json::from_str::<Value>(&out).is_ok(), "{}", out);
                    }
                }
            }
            // Two spellings of one field have no one place.
            Err(error) => prop_assert!(
                error.status == 400
                    && (error.param.is_some() || error.message.starts_with("duplicate field")),
                "{error:?}"
            ),
        }
    }

    #[test]
    fn what_a_provider_sends_is_survived_and_what_is_written_is_json(
        value in json_value(),
        parts in json_value(),
    ) {
        let mut answer = chunk(parts);
        answer["candidates"][0]["logprobsResult"] = value.clone();
        for text in [value.to_string(), answer.to_string(), chunk(value).to_string()] {
            for client in [Client::Gemini, Client::OpenAiChat, Client::Anthropic] {
                if let Ok(response) = provider::read(Protocol::Gemini, &text) {
                    let out = client.write(&response, &Context::default());
                    prop_assert!(serde_json::from_str::<Value>(&out).is_ok(), "{}", out);
                }
                let mut reader = provider::stream(Protocol::Gemini);
                let mut writer = client.stream(Context::default());
                let mut bad = Vec::new();
                let mut send = |_: Option<&str>, data: &str| {
                    if data != "[DONE]" && serde_json::from_str::<Value>(data).is_err() {
                        bad.push(data.to_owned());
                    }
                };
                let _ = reader.read(None, &text, &mut |delta| writer.write(&delta, &mut send));
                reader.finish(&mut |delta| writer.write(&delta, &mut send));
                prop_assert!(bad.is_empty(), "{:?}", bad);
            }
        }
    }
}

const FIELDS: [&str; 10] = [
    "contents",
    "contents",
    "systemInstruction",
    "system_instruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "generation_config",
    "safetySettings",
    "whatever",
];

/// JSON made of the words that mean something here.
fn json_value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "user",
        "model",
        "f",
        "ANY",
        "AUTO",
        "OBJECT",
        "string",
        "application/json",
        "application/pdf",
        "image/png",
        "https://example.com/a.png",
        "-_8=",
        "YWktcHJveHk6b3BlbmFpOng=",
        "STOP",
        "HIGH",
        "",
    ]);
    let key = prop::sample::select(vec![
        "role",
        "parts",
        "text",
        "thought",
        "thoughtSignature",
        "thought_signature",
        "inlineData",
        "fileData",
        "mimeType",
        "fileUri",
        "data",
        "functionCall",
        "functionResponse",
        "id",
        "name",
        "args",
        "response",
        "output",
        "error",
        "functionDeclarations",
        "parameters",
        "parametersJsonSchema",
        "type",
        "properties",
        "items",
        "anyOf",
        "nullable",
        "enum",
        "propertyOrdering",
        "functionCallingConfig",
        "mode",
        "allowedFunctionNames",
        "responseSchema",
        "responseMimeType",
        "thinkingConfig",
        "thinkingBudget",
        "topK",
        "stopSequences",
        "candidates",
        "content",
        "finishReason",
        "chosenCandidates",
        "token",
        "logProbability",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}
