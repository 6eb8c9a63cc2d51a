//! Vector sets of Redis 8, <https://redis.io/docs/latest/develop/data-types/vector-sets/>, through Webdis.
//!
//! A vector set cannot remove by attribute, so beside it there are sets with the names of all vectors and of each
//! tenant's, consumer's and end user's, sorted by when they end.

use serde_json::Value;

use super::{Near, Point, Query, Removal, VectorStore, field};
use crate::key::{Key, KeyWriter};
use crate::remote::{KeyStyle, Request};
use crate::store::webdis::command;

/// A vector set.
#[derive(Debug)]
pub(super) struct VectorSet {
    pub(super) key: String,
}

/// Adds a vector and notes whose it is. `KEYS`: the set, the names of all, then those of its tenant's and the others.
/// `ARGV`: the name, its attributes, the second at which it ends, then the numbers. With each that comes ten go that
/// are over, which nothing else would remove.
const ADD: &str = "local v={'VADD',KEYS[1],'VALUES',tostring(#ARGV-3)} \
    for i=4,#ARGV do v[#v+1]=ARGV[i] end v[#v+1]=ARGV[1] v[#v+1]='SETATTR' v[#v+1]=ARGV[2] \
    redis.call(unpack(v)) local now=redis.call('TIME')[1] \
    for _,m in ipairs(redis.call('ZRANGEBYSCORE',KEYS[2],'-inf','('..now,'LIMIT',0,10)) do \
    redis.call('VREM',KEYS[1],m) redis.call('ZREM',KEYS[2],m) end \
    redis.call('ZADD',KEYS[2],ARGV[3],ARGV[1]) local left=math.max(1,ARGV[3]-now) \
    for i=3,#KEYS do redis.call('ZREMRANGEBYSCORE',KEYS[i],'-inf','('..now) \
    redis.call('ZADD',KEYS[i],ARGV[3],ARGV[1]) \
    if redis.call('TTL',KEYS[i])<left then redis.call('EXPIRE',KEYS[i],left) end end return 1";

/// Finds similar ones. `KEYS`: the set. `ARGV`: what the answer repeats, then what `VSIM` is told.
const SEARCH: &str = "local v={'VSIM',KEYS[1]} for i=2,#ARGV do v[#v+1]=ARGV[i] end \
    return {ARGV[1],redis.call(unpack(v))}";

/// Removes the vectors that a set names, and those of a set as releases before this had it.
const REMOVE: &str = "for k,all in ipairs({redis.call('ZRANGE',KEYS[2],0,-1),\
    redis.call('SMEMBERS',KEYS[3])}) do for _,m in ipairs(all) do redis.call('VREM',KEYS[1],m) end \
    redis.call('DEL',KEYS[k+1]) end return 1";

impl VectorSet {
    fn all(&self) -> String {
        format!("{}:of", self.key)
    }

    fn names(&self, name: &str, value: &str) -> String {
        format!("{}:of:{name}:{value}", self.key)
    }

    fn old_names(&self, name: &str, value: &str) -> String {
        format!("{}:{name}:{value}", self.key)
    }
}

/// A name of a query: what is found for another with the same name is found for this one too.
fn digest(query: &Query<'_>) -> String {
    let mut name = KeyWriter::default();
    name.add(&query.partition.0);
    for number in query.vector {
        name.add(&number.to_le_bytes());
    }
    name.finish(&[]).hex()
}

impl VectorStore for VectorSet {
    fn style(&self) -> KeyStyle {
        KeyStyle::Basic
    }

    fn prepare(&self, _dimensions: usize) -> Option<Request> {
        None
    }

    fn search(&self, query: &Query<'_>) -> Option<Request> {
        let filter =
            format!(".partition == \"{}\" and .until > {}", query.partition.hex(), query.now);
        let mut parts = vec!["EVAL".to_owned(), SEARCH.into(), "1".into(), self.key.clone()];
        parts.extend([digest(query), "VALUES".into(), query.vector.len().to_string()]);
        parts.extend(query.vector.iter().map(f32::to_string));
        let count = query.count.to_string();
        parts.extend(["WITHSCORES", "COUNT", &count, "FILTER", &filter].map(str::to_owned));
        Some(command(&parts))
    }

    fn found(&self, query: &Query<'_>, answer: &Value) -> Option<Vec<Near>> {
        let [repeated, list] = answer.get("EVAL")?.as_array()?.as_slice() else { return None };
        // Webdis 0.1.9 can give the answer of a client that has given up to the next one.
        if repeated.as_str() != Some(&digest(query)) {
            return None;
        }
        let list = list.as_array()?;
        let pairs = list.chunks_exact(2).filter_map(|pair| match pair {
            // The score is (1 + cosine) / 2.
            [name, score] => {
                let score: f64 = score.as_str()?.parse().ok()?;
                Some(Near { key: Key::of_hex(name.as_str()?)?, similarity: score * 2.0 - 1.0 })
            }
            _ => None,
        });
        Some(pairs.collect())
    }

    fn add(&self, point: &Point) -> Option<Request> {
        let attributes = serde_json::json!({
            "partition": point.partition.hex(), "until": point.until
        });
        let sets = [
            self.key.clone(),
            self.all(),
            self.names("tenant", &point.tenant.hex()),
            self.names("consumer", &point.consumer.hex()),
            self.names("user", &point.user.hex()),
        ];
        let mut parts = vec!["EVAL".to_owned(), ADD.into(), sets.len().to_string()];
        parts.extend(sets);
        let until = point.until.to_string();
        parts.extend([point.key.hex(), shared::json::text_of(&attributes), until]);
        parts.extend(point.vector.iter().map(f32::to_string));
        Some(command(&parts))
    }

    fn remove(&self, what: &Removal) -> Option<Request> {
        let parts = match what {
            // What is over is not found, and goes when another comes.
            Removal::Expired(_) => return None,
            Removal::Purged(purge) => match field(purge) {
                None => vec!["DEL".to_owned(), self.key.clone(), self.all()],
                Some(("key", value)) => vec!["VREM".into(), self.key.clone(), value],
                Some((name, value)) => {
                    vec![
                        "EVAL".into(),
                        REMOVE.into(),
                        "3".into(),
                        self.key.clone(),
                        self.names(name, &value),
                        self.old_names(name, &value),
                    ]
                }
            },
        };
        Some(command(&parts))
    }
}
