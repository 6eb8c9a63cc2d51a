//! OpenAI's, <https://platform.openai.com/docs/api-reference/embeddings/create>.

use serde_json::json;

use super::Model;
use crate::remote::Request;

/// Where the vector stands in an answer.
pub(super) const PLACE: &str = "/data/0/embedding";

pub(super) fn request(model: &Model, question: &str) -> Request {
    let mut body = json!({ "model": model.name, "input": question, "encoding_format": "float" });
    if let (Some(dimensions), Some(body)) = (model.dimensions, body.as_object_mut()) {
        body.insert("dimensions".into(), dimensions.into());
    }
    Request::post("/v1/embeddings", &body)
}
