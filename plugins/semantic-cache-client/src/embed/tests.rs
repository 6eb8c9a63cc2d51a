//! Requests and answers as the vendors' documentation shows them.

use serde_json::{Value, json};

use super::*;

fn embedding(kind: &str, model: &str) -> Embedding {
    let config = json!({
        "kind": kind, "model": model, "dimensions": 3, "service": { "upstream": "u", "api_key": "k" }
    });
    Embedding::new(&shared::config::document(&config.to_string()).unwrap()).unwrap()
}

fn check(kind: &str, model: &str, path: &str, body: &Value, answer: &Value) {
    let embedding = embedding(kind, model);
    let request = embedding.request("Hi \"you\"");
    assert_eq!((request.method, request.path.as_str()), ("POST", path));
    assert_eq!(&serde_json::from_slice::<Value>(&request.body).unwrap(), body);
    let vector = embedding.read(answer.to_string().as_bytes()).unwrap();
    assert_eq!(vector, [0.6, 0.0, -0.8], "of the length 1");
    for broken in ["", "{}", "[]", "null", r#"{"data":[{"embedding":["x"]}]}"#] {
        assert_eq!(embedding.read(broken.as_bytes()), None);
    }
}

#[test]
fn openai() {
    let body = json!({"model": "text-embedding-3-small", "input": "Hi \"you\"", "encoding_format": "float", "dimensions": 3});
    let answer = json!({
        "object": "list",
        "data": [{"object": "embedding", "embedding": [3.0, 0, -4.0], "index": 0}],
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 8, "total_tokens": 8}
    });
    check("openai", "text-embedding-3-small", "/v1/embeddings", &body, &answer);
}

#[test]
fn ollama() {
    let body = json!({"model": "all-minilm", "input": "Hi \"you\"", "dimensions": 3});
    let answer = json!({
        "model": "all-minilm", "embeddings": [[3.0, 0, -4.0]],
        "total_duration": 14143917, "load_duration": 1019500, "prompt_eval_count": 8
    });
    check("ollama", "all-minilm", "/api/embed", &body, &answer);
}

#[test]
fn tei() {
    let body = json!({"inputs": "Hi \"you\"", "normalize": true, "truncate": true});
    check("tei", "", "/embed", &body, &json!([[3.0, 0, -4.0]]));
}

#[test]
fn cohere() {
    let body = json!({
        "model": "embed-v4.0", "texts": ["Hi \"you\""], "input_type": "clustering",
        "embedding_types": ["float"], "output_dimension": 3
    });
    let answer = json!({
        "id": "da6e531f", "embeddings": {"float": [[3.0, 0, -4.0]]}, "texts": ["Hi"],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 1}}
    });
    check("cohere", "embed-v4.0", "/v2/embed", &body, &answer);
}

#[test]
fn gemini() {
    let body = json!({
        "model": "models/gemini-embedding-001", "content": {"parts": [{"text": "Hi \"you\""}]},
        "taskType": "SEMANTIC_SIMILARITY", "outputDimensionality": 3
    });
    let path = "/v1beta/models/gemini-embedding-001:embedContent";
    check(
        "gemini",
        "gemini-embedding-001",
        path,
        &body,
        &json!({"embedding": {"values": [3.0, 0, -4.0]}}),
    );
}

#[test]
fn dashscope() {
    let body = json!({
        "model": "text-embedding-v4", "input": {"texts": ["Hi \"you\""]},
        "parameters": {"text_type": "document", "dimension": 3}
    });
    let answer = json!({
        "output": {"embeddings": [{"embedding": [3.0, 0, -4.0], "text_index": 0}]},
        "usage": {"total_tokens": 26}, "request_id": "7d591b3d"
    });
    let path = "/api/v1/services/embeddings/text-embedding/text-embedding";
    check("dashscope", "text-embedding-v4", path, &body, &answer);
}

#[test]
fn a_vector_without_a_length_is_none() {
    assert_eq!(normal(vec![0.0; 3]), None);
    assert_eq!(normal(vec![f32::NAN]), None);
}
