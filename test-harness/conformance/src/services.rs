//! The cases of what is no chat: vectors and token counts.

use std::path::Path;

use ai_proxy::asked::Operation;
use ai_proxy::config::Protocol;
use ai_proxy::provider::Cloud;
use ai_proxy::translate::count;
use ai_proxy::translate::embed::{Client, Dialect};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::snap::{self, Recorded};
use crate::vectors::{Provider, Task, Work, read};

/// The service that a case is of, by the folder or the case.
pub(crate) fn of(folder: &str, case: &str) -> Option<&'static str> {
    match (folder, case) {
        ("embeddings", _) | (_, "embeddings") => Some("embeddings"),
        ("rerank", _) | (_, "rerank") => Some("rerank"),
        ("count-tokens", _) | (_, "count_tokens") => Some("count_tokens"),
        ("policies", _) => Some("policies"),
        _ => None,
    }
}

/// What is to be done with one; `other` is the provider, or the format of its answer.
pub(crate) fn work(service: &str, group: &Path, case: &str, other: &str) -> Result<Work, String> {
    let request = group.parent().is_some_and(|kind| kind.ends_with("requests"));
    let text = || read(&group.join(format!("{case}.json")));
    let snap = || read(&group.join(format!("{case}.{other}.snap")));
    match (service, request) {
        ("embeddings" | "count_tokens", true) => {
            let Recorded::Whole(expected) = snap::read(&snap()?, "request")? else {
                return Err("a request is no stream".into());
            };
            let body = text()?;
            let (operation, provider, model) = asked(service, other, &body)?;
            Ok(Work::Compare(Task::Asked { operation, provider, model, body, expected }))
        }
        ("embeddings", false) => {
            let Recorded::Whole(expected) = snap::read(&snap()?, "response")? else {
                return Err("vectors are no stream".into());
            };
            let model = model(other, "").ok_or("the model is not known")?;
            let dialect = match other {
                "bedrock-cohere" => Dialect::BedrockCohere,
                "bedrock-titan" => Dialect::Titan,
                _ => return Err("the format is not known".into()),
            };
            let model = model.to_owned();
            Ok(Work::Compare(Task::Vectors { dialect, model, body: text()?, expected }))
        }
        ("count_tokens", false) => Ok(Work::Unsupported("an answer that passes as it is".into())),
        ("rerank", _) => Ok(Work::Unsupported("reranking is not translated".into())),
        _ => Ok(Work::Unsupported("a policy's own prompts, no translation".into())),
    }
}

/// What is asked for, of whom and of which model.
fn asked(service: &str, other: &str, body: &str) -> Result<(Operation, Provider, String), String> {
    let count = service == "count_tokens";
    let (protocol, cloud) = match (other, count) {
        ("openai", false) => (Protocol::Openai, Cloud::Own),
        ("vertex", false) => (Protocol::Gemini, Cloud::Vertex),
        ("bedrock-titan" | "bedrock-nova" | "bedrock-cohere", false) => {
            (Protocol::Bedrock, Cloud::Own)
        }
        ("anthropic", true) => (Protocol::Anthropic, Cloud::Own),
        ("vertex", true) => (Protocol::Anthropic, Cloud::Vertex),
        ("bedrock", true) => (Protocol::Anthropic, Cloud::Bedrock),
        _ => return Err("the provider is not known".into()),
    };
    let operation = match count {
        true => Operation::Count(count::Client::Anthropic),
        false => Operation::Embed(Client::OpenAi),
    };
    let given: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let given = given.get("model").and_then(Value::as_str).unwrap_or_default();
    let model = model(other, given).unwrap_or(given).to_owned();
    Ok((operation, Provider { protocol, cloud, openai: other == "openai" }, model))
}

/// The model that the recordings' configuration has put in place of the client's.
fn model(other: &str, given: &str) -> Option<&'static str> {
    match other {
        "bedrock-titan" => Some("amazon.titan-embed-text-v2:0"),
        "bedrock-nova" => Some("amazon.nova-2-multimodal-embeddings-v1:0"),
        "vertex" if given.starts_with("claude") => Some("anthropic/claude-sonnet-4-5"),
        "bedrock-cohere" if !given.starts_with("cohere.") => Some("cohere.embed-english-v3"),
        _ => None,
    }
}

/// A request for as many vectors as an answer has.
pub(crate) fn request_for(answer: &Value) -> Value {
    let vectors = answer.get("embeddings").and_then(Value::as_array).map_or(1, Vec::len);
    json!({ "input": vec!["text"; vectors] })
}

/// The request within Bedrock's, which is in Base64, is compared as JSON.
pub(crate) fn open(document: &mut Value) {
    if let Some(body) = document.pointer_mut("/input/invokeModel/body")
        && let Some(bytes) = body.as_str().and_then(|text| BASE64.decode(text).ok())
        && let Ok(inner) = serde_json::from_slice(&bytes)
    {
        *body = inner;
    }
}

/// Google's task type where none is given.
/// <https://cloud.google.com/vertex-ai/generative-ai/docs/embeddings/task-types>
pub(crate) fn drop_usual_task(document: &mut Value) {
    let instances = document.get_mut("instances").and_then(Value::as_array_mut);
    for instance in instances.into_iter().flatten().filter_map(Value::as_object_mut) {
        if instance.get("task_type").is_some_and(|task| task == "RETRIEVAL_QUERY") {
            instance.remove("task_type");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_base64_is_compared() {
        let mut document = json!({ "input": { "invokeModel": { "body": "eyJhIjoxfQ==" } } });
        open(&mut document);
        assert_eq!(document, json!({ "input": { "invokeModel": { "body": { "a": 1 } } } }));
        let mut other = json!({ "input": { "invokeModel": { "body": "no" } } });
        open(&mut other);
        assert_eq!(other, json!({ "input": { "invokeModel": { "body": "no" } } }));
    }

    #[test]
    fn the_usual_task_is_none() {
        let mut document = json!({ "instances": [
            { "content": "a", "task_type": "RETRIEVAL_QUERY" },
            { "content": "b", "task_type": "CLUSTERING" },
        ] });
        drop_usual_task(&mut document);
        assert_eq!(
            document,
            json!({ "instances": [{ "content": "a" }, { "content": "b", "task_type": "CLUSTERING" }] })
        );
    }
}
