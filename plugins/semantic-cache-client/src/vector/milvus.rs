//! Milvus and Zilliz Cloud, RESTful API v2, <https://milvus.io/api-reference/restful/v2.5.x/About.md>.

use serde_json::{Value, json};

use super::{Near, Point, Query, Removal, VectorStore, field, fields, hex_at, near};
use crate::remote::Request;

/// A collection.
#[derive(Debug)]
pub(super) struct Milvus {
    pub(super) collection: String,
    pub(super) database: Option<String>,
}

impl Milvus {
    fn request(&self, path: &str, mut body: Value) -> Request {
        if let Some(body) = body.as_object_mut() {
            body.insert("collectionName".into(), self.collection.clone().into());
            if let Some(database) = &self.database {
                body.insert("dbName".into(), database.clone().into());
            }
        }
        Request::post(format!("/v2/vectordb{path}"), &body)
    }
}

impl VectorStore for Milvus {
    fn prepare(&self, dimensions: usize) -> Option<Request> {
        let body = json!({
            "dimension": dimensions,
            "metricType": "COSINE",
            "idType": "VarChar",
            "autoID": false,
            "primaryFieldName": "key",
            "vectorFieldName": "vector",
            "params": { "max_length": "64" },
        });
        Some(self.request("/collections/create", body))
    }

    fn prepared(&self, status: u16, body: &[u8]) -> bool {
        // One that is there with the same schema is no mistake.
        status == 200 && self.done(body)
    }

    fn done(&self, body: &[u8]) -> bool {
        // Of a mistake the status is 200 and the code is not 0.
        let answer = shared::json::tree_of(body).unwrap_or_default();
        answer.get("code").and_then(Value::as_i64) == Some(0)
    }

    fn search(&self, query: &Query<'_>) -> Option<Request> {
        let filter =
            format!("partition == \"{}\" and until > {}", query.partition.hex(), query.now);
        let body = json!({
            "data": [query.vector],
            "annsField": "vector",
            "limit": query.count,
            "filter": filter,
            "outputFields": ["key"],
        });
        Some(self.request("/entities/search", body))
    }

    fn found(&self, _: &Query<'_>, answer: &Value) -> Option<Vec<Near>> {
        // With COSINE the `distance` is the similarity.
        near(answer.get("data"), |point| {
            Some((hex_at(point, "/key")?, point.get("distance")?.as_f64()?))
        })
    }

    fn add(&self, point: &Point) -> Option<Request> {
        let mut data = fields(point);
        data.as_object_mut()?.insert("vector".into(), json!(point.vector));
        Some(self.request("/entities/upsert", json!({ "data": [data] })))
    }

    fn remove(&self, what: &Removal) -> Option<Request> {
        let filter = match what {
            Removal::Expired(now) => format!("until <= {now}"),
            Removal::Purged(purge) => match field(purge) {
                Some((name, value)) => format!("{name} == \"{value}\""),
                None => "until > 0".into(),
            },
        };
        Some(self.request("/entities/delete", json!({ "filter": filter })))
    }
}
