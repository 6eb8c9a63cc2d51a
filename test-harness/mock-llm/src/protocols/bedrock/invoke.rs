//! InvokeModel of the models that make vectors, and CountTokens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::input_tokens;
use super::validate::{conversation, invalid, only};
use crate::json::{Json, object};
use crate::protocols::openai::embeddings::vector;
use crate::protocols::{ApiError, Call, Endpoint};
use crate::tokens;

type Check = Result<(), ApiError>;

/// The models of a path that are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    TitanG1,
    Titan,
    Nova,
    CohereV3,
    CohereV4,
}

/// What a path of neither Converse nor ConverseStream wants.
pub(super) fn route(path: &str) -> Option<Endpoint> {
    let counted = path.strip_suffix("/count-tokens").map(|head| (head, Endpoint::CountTokens));
    let invoked = || Some((path.strip_suffix("/invoke")?, Endpoint::Embeddings));
    let (head, endpoint) = counted.or_else(invoked)?;
    let (before, model) = head.rsplit_once('/')?;
    let known = endpoint == Endpoint::CountTokens || model_of(path).is_some();
    (before.ends_with("/model") && !model.is_empty() && known).then_some(endpoint)
}

fn model_of(path: &str) -> Option<Model> {
    let is = |word: &str| path.contains(word);
    if is("amazon.titan-embed-text-v1") {
        Some(Model::TitanG1)
    } else if is("amazon.titan-embed-text-v2") {
        Some(Model::Titan)
    } else if is("amazon.nova-2-multimodal-embeddings") {
        Some(Model::Nova)
    } else if is("cohere.embed-v4") {
        Some(Model::CohereV4)
    } else if is("cohere.embed-") {
        Some(Model::CohereV3)
    } else {
        None
    }
}

/// Refuses what each model refuses.
pub(super) fn check(call: &Call<'_>, fields: &Map<String, Value>) -> Check {
    if call.endpoint == Endpoint::CountTokens {
        return counted(call, fields);
    }
    match model_of(call.path) {
        Some(Model::TitanG1) => titan(fields, &["inputText"]),
        Some(Model::Titan) => {
            titan(fields, &["dimensions", "embeddingTypes", "inputText", "normalize"])?;
            one_of(fields.get("dimensions"), &[256, 512, 1024], "dimensions")
        }
        Some(Model::Nova) => nova(fields),
        Some(model) => cohere(fields, model),
        None => invalid("The provided model identifier is invalid."),
    }
}

fn one_of(value: Option<&Value>, known: &[u64], name: &str) -> Check {
    match value {
        Some(value) if !value.as_u64().is_some_and(|number| known.contains(&number)) => {
            invalid(format!("Malformed input request: #/{name}: {value} is not a valid enum value"))
        }
        _ => Ok(()),
    }
}

fn titan(fields: &Map<String, Value>, known: &[&str]) -> Check {
    only(fields, known, "#")?;
    match fields.get("inputText") {
        Some(Value::String(text)) if !text.is_empty() => Ok(()),
        Some(Value::String(_)) => {
            invalid("Malformed input request: #/inputText: expected minLength: 1, actual: 0")
        }
        _ => invalid("Malformed input request: #: required key [inputText] not found"),
    }
}

fn nova(fields: &Map<String, Value>) -> Check {
    only(fields, &["schemaVersion", "singleEmbeddingParams", "taskType"], "#")?;
    if fields.get("taskType").is_none_or(|kind| kind != "SINGLE_EMBEDDING") {
        return invalid("Malformed input request: #/taskType: is not a valid enum value");
    }
    let Some(Value::Object(params)) = fields.get("singleEmbeddingParams") else {
        return invalid("Malformed input request: required key [singleEmbeddingParams] not found");
    };
    let known = ["audio", "embeddingDimension", "embeddingPurpose", "image", "text", "video"];
    only(params, &known, "#/singleEmbeddingParams")?;
    one_of(params.get("embeddingDimension"), &[256, 384, 1024, 3072], "embeddingDimension")?;
    let said = |object: Option<&Value>, field: &str, words: &[&str]| {
        let word = object.and_then(|object| object.get(field)?.as_str());
        word.is_some_and(|word| words.is_empty() || words.contains(&word))
    };
    let purposes = [
        "GENERIC_INDEX",
        "GENERIC_RETRIEVAL",
        "TEXT_RETRIEVAL",
        "IMAGE_RETRIEVAL",
        "VIDEO_RETRIEVAL",
        "DOCUMENT_RETRIEVAL",
        "AUDIO_RETRIEVAL",
        "CLASSIFICATION",
        "CLUSTERING",
    ];
    let text = params.get("text");
    if !said(fields.get("singleEmbeddingParams"), "embeddingPurpose", &purposes)
        || !said(text, "truncationMode", &["START", "END", "NONE"])
        || !said(text, "value", &[])
    {
        return invalid("Malformed input request: #/singleEmbeddingParams: required key not found");
    }
    Ok(())
}

fn cohere(fields: &Map<String, Value>, model: Model) -> Check {
    let known = ["embedding_types", "images", "input_type", "texts", "truncate"];
    let newer = ["inputs", "max_tokens", "output_dimension"];
    let newer = newer.iter().filter(|_| model == Model::CohereV4);
    let known: Vec<&str> = known.iter().chain(newer).copied().collect();
    only(fields, &known, "#")?;
    one_of(fields.get("output_dimension"), &[256, 512, 1024, 1536], "output_dimension")?;
    let purposes = ["search_document", "search_query", "classification", "clustering", "image"];
    let purpose = fields.get("input_type").and_then(Value::as_str).unwrap_or_default();
    let cuts = if model == Model::CohereV4 { ["LEFT", "RIGHT"] } else { ["START", "END"] };
    let cut = fields.get("truncate").and_then(Value::as_str).unwrap_or("NONE");
    if !purposes.contains(&purpose) || cut != "NONE" && !cuts.contains(&cut) {
        return invalid("Malformed input request: #: is not a valid enum value");
    }
    match fields.get("texts").and_then(Value::as_array) {
        Some(texts) if (1..=96).contains(&texts.len()) && texts.iter().all(Value::is_string) => {
            Ok(())
        }
        _ => invalid("Malformed input request: #/texts: expected 1 to 96 strings"),
    }
}

/// Only Claude's tokens are counted, and not under the name of a profile.
fn counted(call: &Call<'_>, fields: &Map<String, Value>) -> Check {
    if !call.path.contains("/model/anthropic.") {
        return invalid("The provided model doesn't support counting tokens.");
    }
    only(fields, &["input"], "#")?;
    match fields.get("input").and_then(Value::as_object) {
        Some(input) if input.len() == 1 => {
            match (input.get("converse"), input.get("invokeModel")) {
                (Some(Value::Object(converse)), _) => {
                    let known =
                        ["additionalModelRequestFields", "messages", "system", "toolConfig"];
                    only(converse, &known, "input.converse")?;
                    let messages = converse.get("messages").and_then(Value::as_array);
                    let tools = converse.contains_key("toolConfig");
                    conversation(messages.map_or(&[][..], Vec::as_slice), tools)
                }
                (_, Some(invoked)) if invoked_body(invoked).is_some() => Ok(()),
                _ => invalid("1 validation error detected: Value at 'input' is not valid"),
            }
        }
        _ => invalid("1 validation error detected: Value at 'input' must have one member"),
    }
}

/// A Messages request in Base64, with what InvokeModel demands of one.
fn invoked_body(invoked: &Value) -> Option<Value> {
    let bytes = STANDARD.decode(invoked.get("body")?.as_str()?).ok()?;
    let body: Value = serde_json::from_slice(&bytes).ok()?;
    let complete = body.get("anthropic_version")? == "bedrock-2023-05-31"
        && body.get("max_tokens")?.is_u64()
        && body.get("messages")?.is_array()
        && body.get("model").is_none();
    complete.then_some(body)
}

/// The answer.
pub(super) fn answer(call: &Call<'_>) -> Json {
    if call.endpoint == Endpoint::CountTokens {
        let asked = call.body.pointer("/input/converse").cloned();
        let invoked = || invoked_body(call.body.pointer("/input/invokeModel")?);
        let asked = asked.or_else(invoked).unwrap_or_default();
        return object! { "inputTokens": input_tokens(&asked) };
    }
    let number = |at: &str, usual: usize| {
        let given = call.body.pointer(at).and_then(Value::as_u64);
        given.and_then(|given| usize::try_from(given).ok()).unwrap_or(usual).min(1 << 16)
    };
    let numbers = |text: &Value, size: usize| {
        Json::Array(vector(text, size).into_iter().map(Json::Float).collect())
    };
    let text = |at: &str| call.body.pointer(at).cloned().unwrap_or_default();
    match model_of(call.path) {
        Some(Model::Nova) => {
            let size = number("/singleEmbeddingParams/embeddingDimension", 3072);
            let values = numbers(&text("/singleEmbeddingParams/text/value"), size);
            object! {
                "embeddings": vec![object! { "embeddingType": "TEXT", "embedding": values }],
            }
        }
        Some(Model::CohereV3 | Model::CohereV4) => {
            let texts = call.strings("texts");
            let size = number("/output_dimension", 1024);
            let all: Vec<Json> =
                texts.iter().map(|text| numbers(&text.as_str().into(), size)).collect();
            let texts: Vec<Json> = texts.into_iter().map(Json::from).collect();
            object! { "embeddings": all, "id": "1", "response_type": "embeddings_floats",
            "texts": texts }
        }
        found => {
            let usual = if found == Some(Model::TitanG1) { 1536 } else { 1024 };
            let input = text("/inputText");
            let count = tokens::count(input.as_str().unwrap_or_default());
            let size = number("/dimensions", usual);
            let answer = object! {
                "embedding": numbers(&input, size), "inputTextTokenCount": count,
            };
            let typed = found == Some(Model::Titan);
            let by_type = object! { "float": numbers(&input, size) };
            answer.with_some("embeddingsByType", typed.then_some(by_type))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protocols::bedrock::Bedrock;
    use crate::protocols::testing::{answer_at, body, headers};
    use crate::protocols::{Protocol, find};
    use crate::script::Script;
    use hyper::Method;

    const TITAN: &str = "/model/amazon.titan-embed-text-v2%3A0/invoke";
    const COUNT: &str = "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/count-tokens";

    /// The answer, or the refusal's words.
    fn ask(path: &str, asked: &Value) -> Result<Value, String> {
        let (_, endpoint) = find(&Method::POST, path).unwrap();
        let (headers, script) = (headers(), Script::default());
        let (listener, query, number) = ("a", "", 0);
        let (headers, script) = (&headers, &script);
        let call = Call { endpoint, listener, path, query, headers, body: asked, script, number };
        Bedrock.validate(&call).map_err(|error| error.message.unwrap_or_default())?;
        Ok(body(answer_at(&Bedrock, endpoint, path, asked, json!({}))))
    }

    #[test]
    fn titan_takes_one_text_and_some_lengths() {
        let answer = ask(TITAN, &json!({"inputText": "hello", "dimensions": 256})).unwrap();
        assert_eq!(answer["embedding"].as_array().unwrap().len(), 256);
        assert_eq!(answer["embedding"], answer["embeddingsByType"]["float"]);
        assert_eq!(answer["inputTextTokenCount"], 1);
        for asked in [
            json!({"inputText": "hello", "dimensions": 255}),
            json!({"inputText": ["hello"]}),
            json!({"inputText": ""}),
            json!({"input": "hello"}),
        ] {
            assert!(ask(TITAN, &asked).unwrap_err().contains("Malformed"), "{asked}");
        }
        let first = "/model/amazon.titan-embed-text-v1/invoke";
        assert!(ask(first, &json!({"inputText": "a", "dimensions": 256})).is_err());
        let answer = ask(first, &json!({"inputText": "a"})).unwrap();
        assert_eq!(answer["embedding"].as_array().unwrap().len(), 1536);
    }

    #[test]
    fn cohere_takes_many_texts_and_wants_their_purpose() {
        let path = "/model/cohere.embed-english-v3/invoke";
        let asked = json!({"texts": ["a", "b"], "input_type": "search_query"});
        assert_eq!(ask(path, &asked).unwrap()["embeddings"].as_array().unwrap().len(), 2);
        for (field, value) in [
            ("input_type", json!("query")),
            ("texts", json!([])),
            ("texts", json!(vec!["a"; 97])),
            ("output_dimension", json!(256)),
            ("truncate", json!("LEFT")),
        ] {
            let mut asked = asked.clone();
            asked[field] = value;
            assert!(ask(path, &asked).is_err(), "{asked}");
        }
    }

    #[test]
    fn nova_wants_to_know_all() {
        let path = "/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke";
        let asked = json!({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {
            "embeddingPurpose": "GENERIC_INDEX", "embeddingDimension": 256,
            "text": {"truncationMode": "END", "value": "a"}}});
        let answer = ask(path, &asked).unwrap();
        assert_eq!(answer["embeddings"][0]["embedding"].as_array().unwrap().len(), 256);
        for at in ["/embeddingPurpose", "/text/truncationMode", "/text/value"] {
            let mut asked = asked.clone();
            *asked.pointer_mut(&format!("/singleEmbeddingParams{at}")).unwrap() = Value::Null;
            assert!(ask(path, &asked).is_err(), "{at}");
        }
    }

    #[test]
    fn claudes_tokens_are_counted_in_either_form() {
        let messages = json!([{"role": "user", "content": [{"text": "hi there"}]}]);
        let converse = json!({"input": {"converse": {"messages": messages}}});
        assert!(ask(COUNT, &converse).unwrap()["inputTokens"].as_u64().unwrap() > 0);
        let invoked = json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 1,
                             "messages": [{"role": "user", "content": "hi"}]});
        let body = STANDARD.encode(invoked.to_string());
        assert!(ask(COUNT, &json!({"input": {"invokeModel": {"body": body}}})).is_ok());
        for (path, asked) in [
            ("/model/us.anthropic.claude-x/count-tokens", converse.clone()),
            ("/model/amazon.nova-pro-v1%3A0/count-tokens", converse.clone()),
            (COUNT, json!({"input": {"converse": {"messages": messages, "inferenceConfig": {}}}})),
            (COUNT, json!({"input": {"invokeModel": {"body": "e30="}}})),
            (COUNT, json!({"input": {}})),
            (COUNT, json!({"messages": messages})),
        ] {
            assert!(ask(path, &asked).is_err(), "{path} {asked}");
        }
    }
}
