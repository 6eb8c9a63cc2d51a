//! Answers in Redis, through Webdis: one string each, and for each tenant, consumer and end user a set of
//! the names of theirs, by which they can be removed.

use shared::config::ConfigError;
use shared::filter::CallReply;
use shared::host::{Call, Host};

use super::local::Purge;
use super::webdis::{command, value};
use crate::config;
use crate::key::Key;
use crate::record::Entry;
use crate::remote::{KeyStyle, Remote, Request};
use crate::vector::field;

/// Keeps an answer. `KEYS`: its name, then the sets. `ARGV`: the answer, seconds until it ends. A set is sorted by
/// when its answers end: a busy one never ends itself, and those that are over would be there for ever.
const PUT: &str = "redis.call('SET',KEYS[1],ARGV[1],'EX',ARGV[2]) local now=redis.call('TIME')[1] \
    for i=2,#KEYS do redis.call('ZREMRANGEBYSCORE',KEYS[i],'-inf','('..now) \
    redis.call('ZADD',KEYS[i],now+ARGV[2],KEYS[1]) if redis.call('TTL',KEYS[i])<tonumber(ARGV[2]) then \
    redis.call('EXPIRE',KEYS[i],ARGV[2]) end end return 1";

/// Removes the answers that a set names, and those of a set as releases before this had it.
const REMOVE: &str = "local n=0 for k,all in ipairs({redis.call('ZRANGE',KEYS[1],0,-1),\
    redis.call('SMEMBERS',KEYS[2])}) do for _,m in ipairs(all) do n=n+redis.call('DEL',m) end \
    redis.call('DEL',KEYS[k]) end return n";

/// Removes all that begins with a prefix.
const REMOVE_ALL: &str = "local c='0' repeat local r=redis.call('SCAN',c,'MATCH',ARGV[1],'COUNT',1000) \
    c=r[1] for _,m in ipairs(r[2]) do redis.call('DEL',m) end until c=='0' return 1";

/// The answers.
#[derive(Debug)]
pub struct Redis {
    prefix: String,
    /// Where Webdis is.
    pub remote: Remote,
}

impl Redis {
    /// Checks a configuration.
    pub fn new(config: &config::Redis) -> Result<Redis, ConfigError> {
        let plain =
            config.prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:.".contains(&b));
        if config.prefix.is_empty() || !plain {
            let message = "may have letters, digits, `-`, `_`, `.` and `:` only, and must have one";
            return Err(ConfigError::new("redis.prefix", message));
        }
        let remote = Remote::new(config.service.clone(), KeyStyle::Basic, "redis.service")?;
        Ok(Redis { prefix: config.prefix.clone(), remote })
    }

    fn name(&self, key: &Key) -> String {
        format!("{}a:{}", self.prefix, key.hex())
    }

    fn set(&self, field: &str, hex: &str) -> String {
        format!("{}of:{field}:{hex}", self.prefix)
    }

    fn old_set(&self, field: &str, hex: &str) -> String {
        format!("{}{field}:{hex}", self.prefix)
    }

    /// The call that asks for an answer; `None` while Redis does not answer.
    pub fn get(&self, host: &dyn Host, key: &Key) -> Option<Call> {
        self.remote.call(host, command(&["GET", &self.name(key)]))
    }

    /// What came of it.
    pub fn got(&self, host: &dyn Host, key: &Key, reply: &CallReply) -> Option<Entry> {
        let text = value(self.remote.heard(host, reply)?)?;
        let entry = Entry::read(text.as_str()?.as_bytes().to_vec())?;
        entry.is(key).then_some(entry)
    }

    /// The request that keeps an answer, whose tenant, consumer and end user these are.
    pub fn put(&self, key: &Key, entry: &Entry, owners: &[Key; 3], now: u64) -> Option<Request> {
        let text = String::from_utf8(entry.write()).ok()?;
        let seconds = entry.head.stale_until.saturating_sub(now).max(1).to_string();
        let [tenant, consumer, user] = owners.map(|owner| owner.hex());
        let sets = [
            self.name(key),
            self.set("tenant", &tenant),
            self.set("consumer", &consumer),
            self.set("user", &user),
        ];
        let mut words = vec!["EVAL".to_owned(), PUT.into(), sets.len().to_string()];
        words.extend(sets);
        words.extend([text, seconds]);
        Some(command(&words))
    }

    /// The request that removes answers.
    pub fn remove(&self, purge: &Purge) -> Request {
        match (purge, field(purge)) {
            (Purge::Key(key), _) => command(&["DEL", &self.name(key)]),
            (_, Some((name, value))) => {
                let (set, old) = (self.set(name, &value), self.old_set(name, &value));
                command(&["EVAL", REMOVE, "2", &set, &old])
            }
            (_, None) => command(&["EVAL", REMOVE_ALL, "0", &format!("{}*", self.prefix)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Head;

    #[test]
    fn a_set_of_names_loses_those_that_are_over_and_a_purge_knows_older_sets() {
        let config = shared::config::document(r#"{"service":{"upstream":"w"}}"#).unwrap();
        let redis = Redis::new(&config).unwrap();
        let text = |request: Request| String::from_utf8(request.body).unwrap();
        let owners = ["t", "c", "u"].map(Key::of);
        let entry = Entry::new(&Key::of("x"), Head::default(), b"{}".to_vec());
        let put = text(redis.put(&Key::of("x"), &entry, &owners, 0).unwrap());
        assert!(put.contains("ZREMRANGEBYSCORE") && put.contains("ZADD"), "{put}");
        let user = Key::of("u").hex();
        assert!(put.contains(&format!("/ai-cache:of:user:{user}/")), "{put}");
        let removed = text(redis.remove(&Purge::User(Key::of("u"))));
        let sets = format!("/2/ai-cache:of:user:{user}/ai-cache:user:{user}");
        assert!(removed.ends_with(&sets), "{removed}");
    }
}
