//! Vectors, and the order of documents: any text has its own, always the same.

use serde_json::Value;

use crate::json::{Json, object};
use crate::protocols::Call;
use crate::protocols::openai::embeddings::vector;
use crate::tokens;

const SIZE: u64 = 1536;

/// The answer to a request for embeddings.
pub(super) fn embed(call: &Call<'_>, id: &str) -> Json {
    let size = call.body.get("output_dimension").and_then(Value::as_u64).unwrap_or(SIZE);
    let size = usize::try_from(size).unwrap_or(0).min(1 << 16);
    let list = |field: &str| call.body.get(field).and_then(Value::as_array).into_iter().flatten();
    let inputs: Vec<&Value> = list("texts").chain(list("images")).chain(list("inputs")).collect();
    let vectors = inputs
        .iter()
        .map(|input| Json::Array(vector(input, size).into_iter().map(Json::Float).collect()));
    let texts: Vec<Json> = list("texts").cloned().map(Json::from).collect();
    let count: u64 = inputs.iter().map(|input| tokens::count(&input.to_string())).sum();
    object! {
        "id": id,
        "embeddings": object! { "float": vectors.collect::<Vec<_>>() },
        "texts": texts,
        "meta": meta(object! { "input_tokens": count }),
        "response_type": "embeddings_by_type",
    }
}

/// The answer to a request for an order: the more of the query's words, the better.
pub(super) fn rerank(call: &Call<'_>, id: &str) -> Json {
    let text = |field: &str| call.body.get(field).and_then(Value::as_str).unwrap_or_default();
    let query: Vec<String> = text("query").split_whitespace().map(str::to_lowercase).collect();
    let documents = call.body.get("documents").and_then(Value::as_array);
    let mut scores: Vec<(usize, f32)> = documents
        .into_iter()
        .flatten()
        .map(|document| document.as_str().unwrap_or_default().to_lowercase())
        .map(|document| query.iter().filter(|word| document.contains(word.as_str())).count())
        .map(|found| found as f32 / query.len().max(1) as f32)
        .enumerate()
        .collect();
    scores.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let most = call.body.get("top_n").and_then(Value::as_u64);
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let results: Vec<Json> = scores
        .into_iter()
        .take(most)
        .map(|(index, score)| object! { "index": index, "relevance_score": Json::Float(score) })
        .collect();
    object! { "id": id, "results": results, "meta": meta(object! { "search_units": 1 }) }
}

fn meta(units: Json) -> Json {
    object! { "api_version": object! { "version": "2" }, "billed_units": units }
}
