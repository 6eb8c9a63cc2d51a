//! Where vectors of questions are, and how similar ones are found. One file for each store's API: the
//! requests, and what is read of the answers.

mod chroma;
mod elastic;
pub mod local;
mod milvus;
mod pinecone;
mod qdrant;
mod redis;
mod weaviate;

use std::fmt::Debug;

use serde_json::Value;
use shared::config::ConfigError;

use crate::config::{VectorKind, VectorStore as Config};
use crate::key::Key;
use crate::remote::{KeyStyle, Remote, Request};
use crate::store::local::Purge;

/// A question's vector, and what is known of its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The name of the answer.
    pub key: Key,
    /// The name of all but the question.
    pub partition: Key,
    /// Whose the answer is.
    pub tenant: Key,
    /// The consumer that asked.
    pub consumer: Key,
    /// Its end user.
    pub user: Key,
    /// Until which second the answer is used.
    pub until: u64,
    /// Of the length 1.
    pub vector: Vec<f32>,
}

/// What similar questions are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Of the length 1.
    pub vector: &'a [f32],
    /// Only there.
    pub partition: Key,
    /// Most that are found.
    pub count: u32,
    /// In seconds since the Unix epoch.
    pub now: u64,
}

/// A similar question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// The name of its answer.
    pub key: Key,
    /// The cosine of both vectors.
    pub similarity: f64,
}

/// Which vectors are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Of answers that are purged.
    Purged(Purge),
    /// Of answers that were used until this second at most.
    Expired(u64),
}

/// A vector store's API.
pub trait VectorStore: Debug {
    /// How its key is sent.
    fn style(&self) -> KeyStyle {
        KeyStyle::Bearer
    }

    /// Whether it has to be prepared before anything is looked for.
    fn eager(&self) -> bool {
        false
    }

    /// The request that makes the collection for vectors of so many numbers; `None` if there is nothing
    /// to make.
    fn prepare(&self, dimensions: usize) -> Option<Request>;

    /// Reads the answer to it; whether the collection is there now.
    fn prepared(&self, status: u16, body: &[u8]) -> bool {
        let _ = body;
        // One that is there already is refused, with a status that differs from store to store.
        (200..300).contains(&status) || matches!(status, 400 | 409 | 422)
    }

    /// The request for similar questions, the most similar first; `None` before it is prepared.
    fn search(&self, query: &Query<'_>) -> Option<Request>;

    /// Reads the answer to it; `None` if it is none.
    fn found(&self, query: &Query<'_>, answer: &Value) -> Option<Vec<Near>>;

    /// The request that adds a vector, or replaces the one of the same answer.
    fn add(&self, point: &Point) -> Option<Request>;

    /// Whether the answer to either of these, of a status that is none of an error, says so.
    fn done(&self, body: &[u8]) -> bool {
        let _ = body;
        true
    }

    /// The request that removes vectors; `None` if they go by themselves.
    fn remove(&self, what: &Removal) -> Option<Request>;
}

/// A store that is asked over HTTP.
#[derive(Debug)]
pub struct RemoteVectors {
    /// Its API.
    pub api: Box<dyn VectorStore>,
    /// Where it is.
    pub remote: Remote,
}

impl RemoteVectors {
    /// Checks a configuration; `None` is the proxy's own memory.
    pub fn new(config: &Config) -> Result<Option<RemoteVectors>, ConfigError> {
        let bad = |field: &str, message: &str| {
            Err(ConfigError::new(format!("semantic.store.{field}"), message))
        };
        if config.kind == VectorKind::Local {
            return match &config.service {
                Some(_) => {
                    bad("service", "is not asked for by `local`; name the `kind` of the store")
                }
                None => Ok(None),
            };
        }
        let Some(service) = &config.service else {
            return bad("service", "name the store's service");
        };
        let plain = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        let name = config.collection.0.clone();
        for (field, name) in [
            ("collection", Some(&name)),
            ("tenant", config.tenant.as_ref()),
            ("database", config.database.as_ref()),
        ] {
            if name.is_some_and(|name| !plain(name)) {
                return bad(field, "may have letters, digits, `_` and `-` only");
            }
        }
        let database = config.database.clone();
        let api: Box<dyn VectorStore> = match config.kind {
            VectorKind::Local => return Ok(None),
            VectorKind::Chroma => {
                Box::new(chroma::Chroma::new(name, config.tenant.clone(), database))
            }
            VectorKind::Qdrant => Box::new(qdrant::Qdrant { collection: name }),
            VectorKind::Milvus => Box::new(milvus::Milvus { collection: name, database }),
            VectorKind::Redis => Box::new(redis::VectorSet { key: name }),
            VectorKind::Weaviate => Box::new(weaviate::Weaviate::new(&name)),
            VectorKind::Elasticsearch => Box::new(elastic::Elastic { index: name, open: false }),
            VectorKind::Opensearch => Box::new(elastic::Elastic { index: name, open: true }),
            VectorKind::Pinecone => Box::new(pinecone::Pinecone { namespace: name }),
        };
        let remote = Remote::new(service.clone(), api.style(), "semantic.store.service")?;
        Ok(Some(RemoteVectors { api, remote }))
    }
}

/// What a removal is about, as the field of a point and its value; `None` is everything.
pub(crate) fn field(purge: &Purge) -> Option<(&'static str, String)> {
    match purge {
        Purge::All => None,
        Purge::Key(key) => Some(("key", key.hex())),
        Purge::Tenant(key) => Some(("tenant", key.hex())),
        Purge::Consumer(key) => Some(("consumer", key.hex())),
        Purge::User(key) => Some(("user", key.hex())),
    }
}

/// A point's fields besides its vector.
pub(crate) fn fields(point: &Point) -> Value {
    serde_json::json!({
        "key": point.key.hex(),
        "partition": point.partition.hex(),
        "tenant": point.tenant.hex(),
        "consumer": point.consumer.hex(),
        "user": point.user.hex(),
        "until": point.until,
    })
}

/// A name in the form of a UUID, for stores that take no other.
pub(crate) fn uuid(key: &Key) -> String {
    let hex = key.hex();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// The items of a list that are read, each with a name and a number.
pub(crate) fn near(
    list: Option<&Value>,
    read: impl Fn(&Value) -> Option<(Key, f64)>,
) -> Option<Vec<Near>> {
    let list = list?.as_array()?;
    Some(list.iter().filter_map(read).map(|(key, similarity)| Near { key, similarity }).collect())
}

pub(crate) fn hex_at(value: &Value, pointer: &str) -> Option<Key> {
    Key::of_hex(value.pointer(pointer)?.as_str()?)
}

#[cfg(test)]
mod tests;
