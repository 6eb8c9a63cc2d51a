//! Qdrant, <https://api.qdrant.tech/api-reference>.

use serde_json::{Value, json};

use super::{Near, Point, Query, Removal, VectorStore, field, fields, hex_at, near, uuid};
use crate::remote::{KeyStyle, Request};

/// A collection.
#[derive(Debug)]
pub(super) struct Qdrant {
    pub(super) collection: String,
}

impl Qdrant {
    fn path(&self, what: &str) -> String {
        format!("/collections/{}{what}", self.collection)
    }
}

impl VectorStore for Qdrant {
    fn style(&self) -> KeyStyle {
        KeyStyle::Header("api-key")
    }

    fn prepare(&self, dimensions: usize) -> Option<Request> {
        let body = json!({ "vectors": { "size": dimensions, "distance": "Cosine" } });
        Some(Request::post(self.path(""), &body).method("PUT"))
    }

    fn search(&self, query: &Query<'_>) -> Option<Request> {
        let body = json!({
            "query": query.vector,
            "limit": query.count,
            "filter": { "must": [
                { "key": "partition", "match": { "value": query.partition.hex() } },
                { "key": "until", "range": { "gt": query.now } },
            ] },
            "with_payload": ["key"],
        });
        Some(Request::post(self.path("/points/query"), &body))
    }

    fn found(&self, _: &Query<'_>, answer: &Value) -> Option<Vec<Near>> {
        near(answer.pointer("/result/points"), |point| {
            Some((hex_at(point, "/payload/key")?, point.get("score")?.as_f64()?))
        })
    }

    fn add(&self, point: &Point) -> Option<Request> {
        let body = json!({ "points": [
            { "id": uuid(&point.key), "vector": point.vector, "payload": fields(point) }
        ] });
        Some(Request::post(self.path("/points"), &body).method("PUT"))
    }

    fn remove(&self, what: &Removal) -> Option<Request> {
        let condition = match what {
            Removal::Expired(now) => json!({ "key": "until", "range": { "lte": now } }),
            Removal::Purged(purge) => match field(purge) {
                Some((name, value)) => json!({ "key": name, "match": { "value": value } }),
                None => json!({ "key": "until", "range": { "gt": 0 } }),
            },
        };
        let body = json!({ "filter": { "must": [condition] } });
        Some(Request::post(self.path("/points/delete"), &body))
    }
}
