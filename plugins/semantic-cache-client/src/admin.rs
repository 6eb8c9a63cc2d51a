//! The plugin's own endpoint, for who has the admin key.
//!
//! `POST /_ai/cache/purge` with one of these removes answers:
//!
//! | Query | What |
//! | --- | --- |
//! | `id=HEX` | one answer, by its `x-ai-cache-id` |
//! | `consumer=NAME` | what a consumer has asked for |
//! | `user=ID` | what an end user has asked for (`user`, `safety_identifier`, `metadata.user_id`) |
//! | `group=A,B` | what is shared by these groups |
//! | `all=true` | everything |

use serde_json::json;
use shared::admin::{bearer, parameters, reply};
use shared::audit;
use shared::filter::Reply;
use shared::host::Host;

use crate::cache::Cache;
use crate::key::Key;
use crate::store::local::Purge;

/// A request for the endpoint.
#[derive(Clone, Debug)]
pub struct Asked {
    query: String,
}

impl Asked {
    /// Reads the path; `None` if it is another.
    pub fn of(host: &dyn Host) -> Option<Asked> {
        let path = host.path()?;
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        (path == "/_ai/cache/purge").then(|| Asked { query: query.to_owned() })
    }

    /// What is meant; the error says what is expected.
    fn purge(&self) -> Result<Purge, &'static str> {
        const EXPECTED: &str = "give one of `id`, `consumer`, `user`, `group` and `all=true`";
        let parameters: Vec<_> = parameters(&self.query).collect();
        let [(name, value)] = parameters.as_slice() else { return Err(EXPECTED) };
        if value.is_empty() {
            return Err(EXPECTED);
        }
        match *name {
            "id" => {
                Key::of_hex(value).map(Purge::Key).ok_or("`id` must have 64 hexadecimal digits")
            }
            "consumer" => Ok(Purge::Consumer(Key::of(value))),
            "user" => Ok(Purge::User(Key::of(value))),
            "group" => {
                let mut groups: Vec<&str> = value.split(',').collect();
                groups.truncate(64);
                shared::sort::few(&mut groups, |a, b| a < b);
                Ok(Purge::Tenant(Key::of(&format!("group {}", groups.join(",")))))
            }
            "all" if value == "true" => Ok(Purge::All),
            _ => Err(EXPECTED),
        }
    }
}

/// Answers a request for the endpoint.
pub fn answer(cache: &Cache, host: &dyn Host, asked: &Asked) -> Reply {
    if cache.policy.admin.is_empty() {
        return reply(404, &json!({"error": {"message": "there is no such endpoint"}}));
    }
    if !cache.policy.admin.any_matches(&bearer(host)) {
        return reply(401, &json!({"error": {"message": "send the admin key as a bearer token"}}));
    }
    if host.method().as_deref() != Some("POST") {
        return reply(405, &json!({"error": {"message": "use POST"}}));
    }
    let purge = match asked.purge() {
        Ok(purge) => purge,
        Err(message) => return reply(400, &json!({"error": {"message": message}})),
    };
    let removed = cache.purge(host, &purge);
    let what = match purge {
        Purge::All => "all",
        Purge::Key(_) => "id",
        Purge::Tenant(_) => "group",
        Purge::Consumer(_) => "consumer",
        Purge::User(_) => "user",
    };
    let more = json!({"what": what, "removed": removed});
    log::warn!("{}", audit::line(host.now_nanos(), "cache_purge", "erase", None, more));
    reply(200, &json!({ "removed": removed }))
}
