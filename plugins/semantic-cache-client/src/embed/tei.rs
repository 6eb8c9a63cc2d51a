//! Text Embeddings Inference, <https://huggingface.github.io/text-embeddings-inference/>.

use serde_json::json;

use crate::remote::Request;

/// Where the vector stands in an answer.
pub(super) const PLACE: &str = "/0";

pub(super) fn request(question: &str) -> Request {
    let body = json!({ "inputs": question, "normalize": true, "truncate": true });
    Request::post("/embed", &body)
}
