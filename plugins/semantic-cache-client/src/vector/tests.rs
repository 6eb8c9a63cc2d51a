//! Requests and answers of each store as its documentation shows them.

use serde_json::{Value, json};
use shared::host::script::ScriptHost;

use super::*;

const NOW: u64 = 1_760_000_000;

fn store(kind: &str) -> RemoteVectors {
    let config = json!({ "kind": kind, "service": { "upstream": "u", "api_key": "k" } });
    RemoteVectors::new(&shared::config::document(&config.to_string()).unwrap()).unwrap().unwrap()
}

fn point() -> Point {
    Point {
        key: Key::of("key"),
        partition: Key::of("partition"),
        tenant: Key::of("tenant"),
        consumer: Key::of("consumer"),
        user: Key::of("user"),
        until: NOW + 60,
        vector: vec![0.6, 0.0, -0.8],
    }
}

fn query() -> Query<'static> {
    Query { vector: &[0.5, 0.0, -0.5], partition: Key::of("partition"), count: 4, now: NOW }
}

fn search(store: &RemoteVectors) -> Option<Request> {
    store.api.search(&query())
}

/// Method, path and body.
fn parts(request: &Request) -> (&'static str, String, Value) {
    let body = serde_json::from_slice(&request.body)
        .unwrap_or_else(|_| String::from_utf8_lossy(&request.body).into());
    (request.method, request.path.clone(), body)
}

fn hex(text: &str) -> String {
    Key::of(text).hex()
}

/// What is said of a point besides its vector.
fn metadata() -> Value {
    json!({
        "key": hex("key"), "partition": hex("partition"), "tenant": hex("tenant"),
        "consumer": hex("consumer"), "user": hex("user"), "until": NOW + 60
    })
}

fn finds(store: &RemoteVectors, answer: &Value) {
    let near = store.api.found(&query(), answer).unwrap();
    assert_eq!(near.len(), 1, "{answer}");
    assert_eq!(near[0].key, Key::of("key"));
    assert!((near[0].similarity - 0.9).abs() < 1e-6, "{near:?}");
    for other in [json!({}), json!([]), json!({"error": "x"}), Value::Null] {
        assert_eq!(store.api.found(&query(), &other).unwrap_or_default(), []);
    }
}

fn sends(store: &RemoteVectors, header: (&str, &str)) {
    let call = store.remote.call(&ScriptHost::default(), Request::post("/", &Value::Null)).unwrap();
    assert!(call.headers.contains(&(header.0.into(), header.1.into())), "{:?}", call.headers);
}

const USER: Removal = Removal::Purged(Purge::User(Key([0; 32])));

fn zeros() -> String {
    "0".repeat(64)
}

#[test]
fn chroma() {
    let store = store("chroma");
    sends(&store, ("x-chroma-token", "k"));
    let base = "/api/v2/tenants/default_tenant/databases/default_database/collections";
    assert!(search(&store).is_none() && store.api.add(&point()).is_none(), "its id is not known");
    let made = parts(&store.api.prepare(3).unwrap());
    let body = json!({"name": "ai_cache", "get_or_create": true, "configuration": {"hnsw": {"space": "cosine"}}});
    assert_eq!(made, ("POST", base.into(), body));
    assert!(!store.api.prepared(200, br#"{"id":"../x"}"#));
    assert!(
        store
            .api
            .prepared(200, br#"{"id":"8a0f1c1e-7d1c-4b6e-9f0a-2c8d2f6f2a11","name":"ai_cache"}"#)
    );
    let base = format!("{base}/8a0f1c1e-7d1c-4b6e-9f0a-2c8d2f6f2a11");
    let body = json!({
        "query_embeddings": [[0.5, 0.0, -0.5]], "n_results": 4, "include": ["distances"],
        "where": {"$and": [{"partition": {"$eq": hex("partition")}}, {"until": {"$gt": NOW}}]}
    });
    assert_eq!(parts(&search(&store).unwrap()), ("POST", format!("{base}/query"), body));
    let added = parts(&store.api.add(&point()).unwrap());
    assert_eq!((added.0, added.1), ("POST", format!("{base}/upsert")));
    assert_eq!(added.2["ids"], json!([hex("key")]));
    assert_eq!(added.2["metadatas"], json!([metadata()]));
    let removed = parts(&store.api.remove(&USER).unwrap());
    assert_eq!(
        removed,
        ("POST", format!("{base}/delete"), json!({"where": {"user": {"$eq": zeros()}}}))
    );
    finds(
        &store,
        &json!({"ids": [[hex("key"), "other"]], "distances": [[0.1, 0.2]], "documents": null}),
    );
}

#[test]
fn qdrant() {
    let store = store("qdrant");
    sends(&store, ("api-key", "k"));
    let body = json!({"vectors": {"size": 3, "distance": "Cosine"}});
    assert_eq!(
        parts(&store.api.prepare(3).unwrap()),
        ("PUT", "/collections/ai_cache".into(), body)
    );
    assert!(store.api.prepared(409, b"{}") && !store.api.prepared(500, b"{}"));
    let body = json!({
        "query": [0.5, 0.0, -0.5], "limit": 4, "with_payload": ["key"],
        "filter": {"must": [{"key": "partition", "match": {"value": hex("partition")}},
                            {"key": "until", "range": {"gt": NOW}}]}
    });
    assert_eq!(
        parts(&search(&store).unwrap()),
        ("POST", "/collections/ai_cache/points/query".into(), body)
    );
    let added = parts(&store.api.add(&point()).unwrap());
    assert_eq!((added.0, added.1.as_str()), ("PUT", "/collections/ai_cache/points"));
    assert_eq!(added.2["points"][0]["payload"], metadata());
    assert_eq!(added.2["points"][0]["id"].as_str().unwrap().len(), 36);
    let body = json!({"filter": {"must": [{"key": "user", "match": {"value": zeros()}}]}});
    let removed = parts(&store.api.remove(&USER).unwrap());
    assert_eq!(removed, ("POST", "/collections/ai_cache/points/delete".into(), body));
    finds(
        &store,
        &json!({"result": {"points": [{"id": "x", "version": 1, "score": 0.9, "payload": {"key": hex("key")}}]},
                          "status": "ok", "time": 0.001}),
    );
}

#[test]
fn milvus() {
    let store = store("milvus");
    sends(&store, ("authorization", "Bearer k"));
    let made = parts(&store.api.prepare(3).unwrap());
    assert_eq!(made.1, "/v2/vectordb/collections/create");
    assert_eq!((&made.2["dimension"], &made.2["metricType"]), (&json!(3), &json!("COSINE")));
    assert!(store.api.prepared(200, br#"{"code":0,"data":{}}"#));
    let refused =
        br#"{"code":100,"message":"can't find collection[database=default][collection=ai_cache]"}"#;
    assert!(!store.api.prepared(200, refused) && !store.api.done(refused) && !store.api.done(b""));
    assert!(store.api.done(br#"{"code":0,"cost":0,"data":{"upsertCount":1,"upsertIds":["x"]}}"#));
    assert_eq!(
        (&made.2["idType"], &made.2["params"]["max_length"], &made.2["primaryFieldName"]),
        (&json!("VarChar"), &json!("64"), &json!("key"))
    );
    let body = json!({
        "collectionName": "ai_cache", "data": [[0.5, 0.0, -0.5]], "annsField": "vector", "limit": 4,
        "filter": format!("partition == \"{}\" and until > {NOW}", hex("partition")), "outputFields": ["key"]
    });
    assert_eq!(
        parts(&search(&store).unwrap()),
        ("POST", "/v2/vectordb/entities/search".into(), body)
    );
    let added = parts(&store.api.add(&point()).unwrap());
    assert_eq!(added.1, "/v2/vectordb/entities/upsert");
    assert_eq!(added.2["data"][0]["key"], hex("key"));
    let removed = parts(&store.api.remove(&USER).unwrap());
    let body = json!({"collectionName": "ai_cache", "filter": format!("user == \"{}\"", zeros())});
    assert_eq!(removed, ("POST", "/v2/vectordb/entities/delete".into(), body));
    finds(&store, &json!({"code": 0, "cost": 0, "data": [{"distance": 0.9, "key": hex("key")}]}));
}

#[test]
fn redis() {
    let store = store("redis");
    assert!(store.api.prepare(3).is_none());
    let (method, path, body) = parts(&search(&store).unwrap());
    let filter = format!(
        "%2Epartition%20%3D%3D%20%22{}%22%20and%20%2Euntil%20%3E%20{NOW}",
        hex("partition")
    );
    let words = body.as_str().unwrap().splitn(3, '/').collect::<Vec<_>>();
    assert_eq!((method, path.as_str(), words[0]), ("POST", "/", "EVAL"));
    let digest = words[2].split('/').nth(2).unwrap();
    let expected =
        format!("1/ai_cache/{digest}/VALUES/3/0%2E5/0/-0%2E5/WITHSCORES/COUNT/4/FILTER/{filter}");
    assert_eq!(words[2], expected);
    let (_, _, body) = parts(&store.api.add(&point()).unwrap());
    let body = body.as_str().unwrap().to_owned();
    assert!(body.starts_with("EVAL/") && body.ends_with("/0%2E6/0/-0%2E8"), "{body}");
    // What is over goes with what comes, by a set of all names.
    assert!(body.contains("VREM") && body.contains("/5/ai_cache/ai_cache:of/ai_cache:of:tenant:"));
    let (_, _, body) = parts(&store.api.remove(&USER).unwrap());
    let sets = format!("/3/ai_cache/ai_cache:of:user:{0}/ai_cache:user:{0}", zeros());
    assert!(body.as_str().unwrap().ends_with(&sets), "{body}");
    let removal = Removal::Purged(Purge::Key(Key::of("key")));
    let (_, _, body) = parts(&store.api.remove(&removal).unwrap());
    assert_eq!(body, json!(format!("VREM/ai_cache/{}", hex("key"))));
    assert!(store.api.remove(&Removal::Expired(NOW)).is_none());
    let answer = json!({"EVAL": [digest, [hex("key"), "0.95"]]});
    finds(&store, &answer);
    // What another has asked says nothing of this question, even if its answer comes here.
    let other = Query { vector: &[0.5, 0.0, -0.6], ..query() };
    assert_eq!(store.api.found(&other, &answer), None);
    let other = Query { partition: Key::of("other"), ..query() };
    assert_eq!(store.api.found(&other, &answer), None);
}

#[test]
fn weaviate() {
    let store = store("weaviate");
    sends(&store, ("authorization", "Bearer k"));
    let made = parts(&store.api.prepare(3).unwrap());
    assert_eq!((made.1.as_str(), &made.2["class"]), ("/v1/schema", &json!("AiCache")));
    assert!(store.api.prepared(422, b"{}"));
    let (_, path, body) = parts(&search(&store).unwrap());
    let query = format!(
        "{{Get{{AiCache(nearVector:{{vector:[0.5,0.0,-0.5]}},limit:4,where:{{operator:And,operands:[{{path:[\"partition\"],\
         operator:Equal,valueText:\"{}\"}},{{path:[\"until\"],operator:GreaterThan,valueInt:{NOW}}}]}}){{key _additional{{distance}}}}}}}}",
        hex("partition")
    );
    assert_eq!((path.as_str(), body), ("/v1/graphql", json!({"query": query})));
    let added = parts(&store.api.add(&point()).unwrap());
    assert_eq!(added.1, "/v1/batch/objects");
    assert_eq!(added.2["objects"][0]["properties"], metadata());
    let body = json!({"match": {"class": "AiCache", "where": {"path": ["user"], "operator": "Equal", "valueText": zeros()}}});
    let removed = parts(&store.api.remove(&USER).unwrap());
    assert_eq!(removed, ("DELETE", "/v1/batch/objects".into(), body));
    finds(
        &store,
        &json!({"data": {"Get": {"AiCache": [{"key": hex("key"), "_additional": {"distance": 0.1}}]}}}),
    );
}

#[test]
fn elasticsearch_and_opensearch() {
    for (kind, header) in [("elasticsearch", "ApiKey k"), ("opensearch", "Basic k")] {
        let store = store(kind);
        sends(&store, ("authorization", header));
        let made = parts(&store.api.prepare(3).unwrap());
        assert_eq!((made.0, made.1.as_str()), ("PUT", "/ai_cache"));
        let vector = if kind == "opensearch" {
            json!({"type": "knn_vector", "dimension": 3,
                   "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}})
        } else {
            json!({"type": "dense_vector", "dims": 3, "index": true, "similarity": "cosine"})
        };
        assert_eq!(made.2["mappings"]["properties"]["vector"], vector);
        assert!(
            store.api.prepared(400, br#"{"error":{"type":"resource_already_exists_exception"}}"#)
        );
        let filter = json!({"bool": {"filter": [{"term": {"partition": hex("partition")}}, {"range": {"until": {"gt": NOW}}}]}});
        let (_, path, body) = parts(&search(&store).unwrap());
        assert_eq!(path, "/ai_cache/_search");
        let expected = if kind == "opensearch" {
            json!({"size": 4, "_source": ["key"],
                   "query": {"knn": {"vector": {"vector": [0.5, 0.0, -0.5], "k": 4, "filter": filter}}}})
        } else {
            json!({"size": 4, "_source": ["key"], "knn": {"field": "vector", "query_vector": [0.5, 0.0, -0.5],
                   "k": 4, "num_candidates": 100, "filter": filter}})
        };
        assert_eq!(body, expected);
        let added = parts(&store.api.add(&point()).unwrap());
        assert_eq!((added.0, added.1), ("PUT", format!("/ai_cache/_doc/{}", hex("key"))));
        let removed = parts(&store.api.remove(&USER).unwrap());
        assert_eq!(removed.2, json!({"query": {"term": {"user": zeros()}}}));
        finds(
            &store,
            &json!({"hits": {"hits": [{"_id": "x", "_score": 0.95, "_source": {"key": hex("key")}}]}}),
        );
    }
}

#[test]
fn pinecone() {
    let store = store("pinecone");
    sends(&store, ("api-key", "k"));
    assert!(store.api.prepare(3).is_none());
    let request = search(&store).unwrap();
    assert!(request.headers.contains(&("x-pinecone-api-version", "2025-04".into())));
    let body = json!({
        "namespace": "ai_cache", "vector": [0.5, 0.0, -0.5], "topK": 4, "includeValues": false, "includeMetadata": false,
        "filter": {"partition": {"$eq": hex("partition")}, "until": {"$gt": NOW}}
    });
    assert_eq!(parts(&request), ("POST", "/query".into(), body));
    let added = parts(&store.api.add(&point()).unwrap());
    assert_eq!(
        (added.1.as_str(), &added.2["vectors"][0]["metadata"]),
        ("/vectors/upsert", &metadata())
    );
    let body = json!({"namespace": "ai_cache", "filter": {"user": {"$eq": zeros()}}});
    assert_eq!(parts(&store.api.remove(&USER).unwrap()), ("POST", "/vectors/delete".into(), body));
    let all = Removal::Purged(Purge::All);
    assert_eq!(parts(&store.api.remove(&all).unwrap()).2["deleteAll"], json!(true));
    finds(
        &store,
        &json!({"matches": [{"id": hex("key"), "score": 0.9, "values": []}], "namespace": "ai_cache"}),
    );
}

#[test]
fn names_that_would_change_a_path_are_refused() {
    let config = json!({ "kind": "qdrant", "collection": "../x", "service": { "upstream": "u" } });
    let error =
        RemoteVectors::new(&shared::config::document(&config.to_string()).unwrap()).unwrap_err();
    assert_eq!(error.path, "semantic.store.collection");
    let error = RemoteVectors::new(&shared::config::document(r#"{"kind": "qdrant"}"#).unwrap())
        .unwrap_err();
    assert_eq!(error.path, "semantic.store.service");
}
