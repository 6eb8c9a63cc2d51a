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

/// Keeps an answer. `KEYS`: its name, then the sets. `ARGV`: the answer, seconds until it ends.
const PUT: &str = "redis.call('SET',KEYS[1],ARGV[1],'EX',ARGV[2]) for i=2,#KEYS do \
    redis.call('SADD',KEYS[i],KEYS[1]) if redis.call('TTL',KEYS[i])<tonumber(ARGV[2]) then \
    redis.call('EXPIRE',KEYS[i],ARGV[2]) end end return 1";

/// Removes the answers that a set names.
const REMOVE: &str = "local n=0 for _,m in ipairs(redis.call('SMEMBERS',KEYS[1])) do \
    n=n+redis.call('DEL',m) end redis.call('DEL',KEYS[1]) return n";

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
            (_, Some((name, value))) => command(&["EVAL", REMOVE, "1", &self.set(name, &value)]),
            (_, None) => command(&["EVAL", REMOVE_ALL, "0", &format!("{}*", self.prefix)]),
        }
    }
}
