//! Weaviate, <https://docs.weaviate.io/weaviate/api/rest> and
//! <https://docs.weaviate.io/weaviate/api/graphql/get>.

use serde_json::{Value, json};

use super::{Near, Point, Query, Removal, VectorStore, field, fields, hex_at, near, uuid};
use crate::remote::Request;

/// A class.
#[derive(Debug)]
pub(super) struct Weaviate {
    class: String,
}

impl Weaviate {
    /// Names of classes begin with a capital and have no `-`.
    pub(super) fn new(name: &str) -> Weaviate {
        let mut class = String::new();
        for part in name.split(['-', '_']) {
            let mut letters = part.chars();
            class.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            class.extend(letters);
        }
        if !class.starts_with(|first: char| first.is_ascii_uppercase()) {
            class.insert_str(0, "Ai");
        }
        Weaviate { class }
    }
}

impl VectorStore for Weaviate {
    fn prepare(&self, _dimensions: usize) -> Option<Request> {
        let text =
            |name: &str| json!({ "name": name, "dataType": ["text"], "tokenization": "field" });
        let body = json!({
            "class": self.class,
            "vectorizer": "none",
            "vectorIndexConfig": { "distance": "cosine" },
            "properties": [
                text("key"), text("partition"), text("tenant"), text("consumer"), text("user"),
                { "name": "until", "dataType": ["int"] },
            ],
        });
        Some(Request::post("/v1/schema", &body))
    }

    fn search(&self, query: &Query<'_>) -> Option<Request> {
        let vector = serde_json::to_string(query.vector).ok()?;
        let condition = format!(
            "{{operator:And,operands:[{{path:[\"partition\"],operator:Equal,valueText:\"{}\"}},\
             {{path:[\"until\"],operator:GreaterThan,valueInt:{}}}]}}",
            query.partition.hex(),
            query.now,
        );
        let graphql = format!(
            "{{Get{{{}(nearVector:{{vector:{vector}}},limit:{},where:{condition}){{key _additional{{distance}}}}}}}}",
            self.class, query.count,
        );
        Some(Request::post("/v1/graphql", &json!({ "query": graphql })))
    }

    fn found(&self, _: &Query<'_>, answer: &Value) -> Option<Vec<Near>> {
        near(answer.pointer(&format!("/data/Get/{}", self.class)), |point| {
            let distance = point.pointer("/_additional/distance")?.as_f64()?;
            Some((hex_at(point, "/key")?, 1.0 - distance))
        })
    }

    fn add(&self, point: &Point) -> Option<Request> {
        let object = json!({
            "class": self.class,
            "id": uuid(&point.key),
            "vector": point.vector,
            "properties": fields(point),
        });
        // One object by itself is refused if it is there already.
        Some(Request::post("/v1/batch/objects", &json!({ "objects": [object] })))
    }

    fn remove(&self, what: &Removal) -> Option<Request> {
        let condition = match what {
            Removal::Expired(now) => {
                json!({ "path": ["until"], "operator": "LessThanEqual", "valueInt": now })
            }
            Removal::Purged(purge) => match field(purge) {
                Some((name, value)) => {
                    json!({ "path": [name], "operator": "Equal", "valueText": value })
                }
                None => json!({ "path": ["until"], "operator": "GreaterThan", "valueInt": 0 }),
            },
        };
        let body = json!({ "match": { "class": self.class, "where": condition } });
        Some(Request::post("/v1/batch/objects", &body).method("DELETE"))
    }
}
