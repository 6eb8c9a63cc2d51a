//! Pinecone, <https://docs.pinecone.io/reference/api/2025-04/data-plane>. The index is made beforehand,
//! with the metric `cosine`; its host is the service.

use serde_json::{Value, json};

use super::{Near, Point, Query, Removal, VectorStore, field, fields, near};
use crate::key::Key;
use crate::remote::{KeyStyle, Request};

/// A namespace of an index.
#[derive(Debug)]
pub(super) struct Pinecone {
    pub(super) namespace: String,
}

fn request(path: &str, body: &Value) -> Request {
    Request::post(path, body).header("x-pinecone-api-version", "2025-04")
}

impl VectorStore for Pinecone {
    fn style(&self) -> KeyStyle {
        KeyStyle::Header("api-key")
    }

    fn prepare(&self, _dimensions: usize) -> Option<Request> {
        None
    }

    fn search(&self, query: &Query<'_>) -> Option<Request> {
        let body = json!({
            "namespace": self.namespace,
            "vector": query.vector,
            "topK": query.count,
            "filter": {
                "partition": { "$eq": query.partition.hex() },
                "until": { "$gt": query.now },
            },
            "includeValues": false,
            "includeMetadata": false,
        });
        Some(request("/query", &body))
    }

    fn found(&self, _: &Query<'_>, answer: &Value) -> Option<Vec<Near>> {
        near(answer.get("matches"), |found| {
            Some((Key::of_hex(found.get("id")?.as_str()?)?, found.get("score")?.as_f64()?))
        })
    }

    fn add(&self, point: &Point) -> Option<Request> {
        let vector =
            json!({ "id": point.key.hex(), "values": point.vector, "metadata": fields(point) });
        let body = json!({ "namespace": self.namespace, "vectors": [vector] });
        Some(request("/vectors/upsert", &body))
    }

    fn remove(&self, what: &Removal) -> Option<Request> {
        let condition = match what {
            Removal::Expired(now) => json!({ "until": { "$lte": now } }),
            Removal::Purged(purge) => match field(purge) {
                Some((name, value)) => json!({ name: { "$eq": value } }),
                None => {
                    let body = json!({ "namespace": self.namespace, "deleteAll": true });
                    return Some(request("/vectors/delete", &body));
                }
            },
        };
        let body = json!({ "namespace": self.namespace, "filter": condition });
        Some(request("/vectors/delete", &body))
    }
}
