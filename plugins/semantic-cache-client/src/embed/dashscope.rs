//! Alibaba Cloud's DashScope,
//! <https://help.aliyun.com/zh/model-studio/text-embedding-synchronous-api>.

use serde_json::json;

use super::Model;
use crate::remote::Request;

/// Where the vector stands in an answer.
pub(super) const PLACE: &str = "/output/embeddings/0/embedding";

pub(super) fn request(model: &Model, question: &str) -> Request {
    let mut body = json!({
        "model": model.name,
        "input": { "texts": [question] },
        "parameters": { "text_type": "document" },
    });
    let parameters = body.get_mut("parameters").and_then(|value| value.as_object_mut());
    if let (Some(dimensions), Some(parameters)) = (model.dimensions, parameters) {
        parameters.insert("dimension".into(), dimensions.into());
    }
    Request::post("/api/v1/services/embeddings/text-embedding/text-embedding", &body)
}
