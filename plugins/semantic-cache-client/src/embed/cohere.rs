//! Cohere's, <https://docs.cohere.com/reference/embed>.

use serde_json::json;

use super::Model;
use crate::remote::Request;

/// Where the vector stands in an answer.
pub(super) const PLACE: &str = "/embeddings/float/0";

pub(super) fn request(model: &Model, question: &str) -> Request {
    // Both what is looked for and what is found are questions, so they are embedded alike.
    let mut body = json!({
        "model": model.name,
        "texts": [question],
        "input_type": "clustering",
        "embedding_types": ["float"],
    });
    if let (Some(dimensions), Some(body)) = (model.dimensions, body.as_object_mut()) {
        body.insert("output_dimension".into(), dimensions.into());
    }
    Request::post("/v2/embed", &body)
}
