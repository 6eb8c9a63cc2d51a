//! Chroma, API v2, <https://docs.trychroma.com/docs/overview/introduction>; shapes from the server's own
//! OpenAPI document (`/openapi.json`).

use std::cell::RefCell;

use serde_json::{Value, json};

use super::{Near, Point, Query, Removal, VectorStore, field, fields};
use crate::key::Key;
use crate::remote::{KeyStyle, Request};

/// A collection.
#[derive(Debug)]
pub(super) struct Chroma {
    collection: String,
    base: String,
    /// Its id, once it is known.
    id: RefCell<Option<String>>,
}

impl Chroma {
    pub(super) fn new(
        collection: String,
        tenant: Option<String>,
        database: Option<String>,
    ) -> Chroma {
        let tenant = tenant.unwrap_or_else(|| "default_tenant".into());
        let database = database.unwrap_or_else(|| "default_database".into());
        let base = format!("/api/v2/tenants/{tenant}/databases/{database}/collections");
        Chroma { collection, base, id: RefCell::default() }
    }

    fn path(&self, what: &str) -> Option<String> {
        let id = self.id.borrow();
        Some(format!("{}/{}/{what}", self.base, id.as_ref()?))
    }
}

impl VectorStore for Chroma {
    fn style(&self) -> KeyStyle {
        KeyStyle::Header("x-chroma-token")
    }

    fn eager(&self) -> bool {
        true
    }

    fn prepare(&self, _dimensions: usize) -> Option<Request> {
        let body = json!({
            "name": self.collection,
            "get_or_create": true,
            "configuration": { "hnsw": { "space": "cosine" } },
        });
        Some(Request::post(self.base.clone(), &body))
    }

    fn prepared(&self, _status: u16, body: &[u8]) -> bool {
        let answer = shared::json::tree_of(body).unwrap_or_default();
        let id = answer.get("id").and_then(Value::as_str);
        // It goes into paths.
        let id = id.filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        *self.id.borrow_mut() = id.map(str::to_owned);
        id.is_some()
    }

    fn search(&self, query: &Query<'_>) -> Option<Request> {
        let body = json!({
            "query_embeddings": [query.vector],
            "n_results": query.count,
            "where": { "$and": [
                { "partition": { "$eq": query.partition.hex() } },
                { "until": { "$gt": query.now } },
            ] },
            "include": ["distances"],
        });
        Some(Request::post(self.path("query")?, &body))
    }

    fn found(&self, _: &Query<'_>, answer: &Value) -> Option<Vec<Near>> {
        let names = answer.pointer("/ids/0")?.as_array()?;
        let distances = answer.pointer("/distances/0")?.as_array()?;
        let near = names.iter().zip(distances).filter_map(|(name, distance)| {
            let key = Key::of_hex(name.as_str()?)?;
            Some(Near { key, similarity: 1.0 - distance.as_f64()? })
        });
        Some(near.collect())
    }

    fn add(&self, point: &Point) -> Option<Request> {
        let body = json!({
            "ids": [point.key.hex()],
            "embeddings": [point.vector],
            "metadatas": [fields(point)],
        });
        Some(Request::post(self.path("upsert")?, &body))
    }

    fn remove(&self, what: &Removal) -> Option<Request> {
        let condition = match what {
            Removal::Expired(now) => json!({ "until": { "$lte": now } }),
            Removal::Purged(purge) => match field(purge) {
                Some((name, value)) => json!({ name: { "$eq": value } }),
                None => json!({ "until": { "$gt": 0 } }),
            },
        };
        Some(Request::post(self.path("delete")?, &json!({ "where": condition })))
    }
}
