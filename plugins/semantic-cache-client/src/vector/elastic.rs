//! Elasticsearch, <https://www.elastic.co/docs/solutions/search/vector/knn>, and OpenSearch,
//! <https://docs.opensearch.org/latest/vector-search/>.

use serde_json::{Value, json};

use super::{Near, Point, Query, Removal, VectorStore, field, fields, hex_at, near};
use crate::remote::{KeyStyle, Request};

/// An index.
#[derive(Debug)]
pub(super) struct Elastic {
    pub(super) index: String,
    /// OpenSearch.
    pub(super) open: bool,
}

impl VectorStore for Elastic {
    fn style(&self) -> KeyStyle {
        if self.open { KeyStyle::Basic } else { KeyStyle::ApiKey }
    }

    fn prepare(&self, dimensions: usize) -> Option<Request> {
        let keyword = json!({ "type": "keyword" });
        let vector = if self.open {
            json!({
                "type": "knn_vector",
                "dimension": dimensions,
                // In `method` for the sake of OpenSearch before 2.19.
                "method": { "name": "hnsw", "engine": "lucene", "space_type": "cosinesimil" },
            })
        } else {
            json!({ "type": "dense_vector", "dims": dimensions, "index": true, "similarity": "cosine" })
        };
        let mut body = json!({ "mappings": { "properties": {
            "vector": vector,
            "key": keyword, "partition": keyword, "tenant": keyword, "consumer": keyword, "user": keyword,
            "until": { "type": "long" },
        } } });
        if let (true, Some(body)) = (self.open, body.as_object_mut()) {
            body.insert("settings".into(), json!({ "index": { "knn": true } }));
        }
        Some(Request::post(format!("/{}", self.index), &body).method("PUT"))
    }

    fn search(&self, query: &Query<'_>) -> Option<Request> {
        let filter = json!({ "bool": { "filter": [
            { "term": { "partition": query.partition.hex() } },
            { "range": { "until": { "gt": query.now } } },
        ] } });
        let mut body = json!({ "size": query.count, "_source": ["key"] });
        let (name, knn) = if self.open {
            let knn = json!({ "vector": query.vector, "k": query.count, "filter": filter });
            ("query", json!({ "knn": { "vector": knn } }))
        } else {
            let candidates = query.count.saturating_mul(25);
            let knn = json!({
                "field": "vector", "query_vector": query.vector, "k": query.count,
                "num_candidates": candidates, "filter": filter,
            });
            ("knn", knn)
        };
        body.as_object_mut()?.insert(name.into(), knn);
        Some(Request::post(format!("/{}/_search", self.index), &body))
    }

    fn found(&self, _: &Query<'_>, answer: &Value) -> Option<Vec<Near>> {
        // Both score (1 + cosine) / 2.
        near(answer.pointer("/hits/hits"), |hit| {
            Some((hex_at(hit, "/_source/key")?, hit.get("_score")?.as_f64()? * 2.0 - 1.0))
        })
    }

    fn add(&self, point: &Point) -> Option<Request> {
        let mut document = fields(point);
        document.as_object_mut()?.insert("vector".into(), json!(point.vector));
        let path = format!("/{}/_doc/{}", self.index, point.key.hex());
        Some(Request::post(path, &document).method("PUT"))
    }

    fn remove(&self, what: &Removal) -> Option<Request> {
        let query = match what {
            Removal::Expired(now) => json!({ "range": { "until": { "lte": now } } }),
            Removal::Purged(purge) => match field(purge) {
                Some((name, value)) => json!({ "term": { name: value } }),
                None => json!({ "match_all": {} }),
            },
        };
        let path = format!("/{}/_delete_by_query?conflicts=proceed", self.index);
        Some(Request::post(path, &json!({ "query": query })))
    }
}
