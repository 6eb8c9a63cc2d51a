//! Gemini's, <https://ai.google.dev/api/embeddings>.

use serde_json::json;

use super::Model;
use crate::remote::Request;

/// Where the vector stands in an answer.
pub(super) const PLACE: &str = "/embedding/values";

pub(super) fn request(model: &Model, question: &str) -> Request {
    let name = model.name.strip_prefix("models/").unwrap_or(&model.name);
    let mut body = json!({
        "model": format!("models/{name}"),
        "content": { "parts": [{ "text": question }] },
        "taskType": "SEMANTIC_SIMILARITY",
    });
    if let (Some(dimensions), Some(body)) = (model.dimensions, body.as_object_mut()) {
        body.insert("outputDimensionality".into(), dimensions.into());
    }
    Request::post(format!("/v1beta/models/{name}:embedContent"), &body)
}
