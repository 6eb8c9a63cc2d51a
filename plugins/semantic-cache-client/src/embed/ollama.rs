//! Ollama's, <https://github.com/ollama/ollama/blob/main/docs/api.md#generate-embeddings>.

use serde_json::json;

use super::Model;
use crate::remote::Request;

/// Where the vector stands in an answer.
pub(super) const PLACE: &str = "/embeddings/0";

pub(super) fn request(model: &Model, question: &str) -> Request {
    let mut body = json!({ "model": model.name, "input": question });
    if let (Some(dimensions), Some(body)) = (model.dimensions, body.as_object_mut()) {
        body.insert("dimensions".into(), dimensions.into());
    }
    Request::post("/api/embed", &body)
}
