//! Who is known: consumers and groups by name, keys by id.

use std::collections::HashMap;
use std::rc::Rc;

use shared::config::{ConfigError, Secret};
use shared::time;

use crate::access::Access;
use crate::config;
use crate::key::{self, Digest};

/// A consumer, compiled.
#[derive(Debug, Default)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// Names of its groups, separated by commas.
    pub groups: String,
    /// Its tags as a JSON object; empty if it has none.
    pub tags: String,
    /// Its own rules.
    pub access: Access,
}

/// A key, compiled.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its id.
    pub id: String,
    digest: Digest,
    /// Seconds since the Unix epoch.
    not_before: Option<i64>,
    expires: Option<i64>,
    /// Whose it is.
    pub consumer: Rc<Consumer>,
}

impl Key {
    /// Compiles one; `path` is where it stands.
    pub fn new(
        config: &config::Key,
        peppered: bool,
        consumer: &Rc<Consumer>,
        path: &str,
    ) -> Result<Key, ConfigError> {
        let bad = |field: &str, message: &str| ConfigError::new(format!("{path}.{field}"), message);
        if !key::is_id(&config.id) {
            return Err(bad("id", "must have 1 to 64 letters, digits, `_` or `.`"));
        }
        let digest = key::read(peppered, &config.hash).map_err(|error| bad("hash", error))?;
        let moment = |field: &str, text: &Option<String>| {
            let read = text.as_ref().map(|text| {
                time::parse(text)
                    .ok_or_else(|| bad(field, "write a time as `2026-12-31T23:59:59Z`"))
            });
            read.transpose()
        };
        Ok(Key {
            id: config.id.clone(),
            digest,
            not_before: moment("not_before", &config.not_before)?,
            expires: moment("expires", &config.expires)?,
            consumer: Rc::clone(consumer),
        })
    }

    /// Whether a presented key is this one, and valid at this second.
    pub fn admits(&self, digest: &Digest, now: i64) -> bool {
        key::same(&self.digest, digest)
            && self.not_before.is_none_or(|from| from <= now)
            && self.expires.is_none_or(|until| now < until)
    }
}

/// All who are known by configuration.
#[derive(Debug)]
pub struct Directory {
    prefix: String,
    pepper: Option<Secret>,
    by_name: HashMap<String, Rc<Consumer>>,
    by_id: HashMap<String, Key>,
    /// The keys' ids, found by what only the key gives: some are of another form, brought along from elsewhere.
    by_digest: HashMap<Digest, String>,
    groups: HashMap<String, Access>,
}

impl Directory {
    /// Compiles who is configured.
    pub fn new(config: &config::Config) -> Result<Directory, ConfigError> {
        let mut directory = Directory {
            prefix: config.key_prefix.clone(),
            pepper: config.pepper.clone(),
            by_name: HashMap::new(),
            by_id: HashMap::new(),
            by_digest: HashMap::new(),
            groups: HashMap::new(),
        };
        for (index, group) in config.groups.iter().enumerate() {
            let path = format!("groups[{index}]");
            name(&group.name, &format!("{path}.name"))?;
            let access = Access::new(&group.allow, &format!("{path}.allow"))?;
            if directory.groups.insert(group.name.clone(), access).is_some() {
                return Err(ConfigError::new(format!("{path}.name"), "is there twice"));
            }
        }
        for (index, consumer) in config.consumers.iter().enumerate() {
            directory.add(consumer, &format!("consumers[{index}]"))?;
        }
        Ok(directory)
    }

    fn add(&mut self, config: &config::Consumer, path: &str) -> Result<(), ConfigError> {
        let consumer = Rc::new(self.consumer(config, path)?);
        let names = [&config.name].into_iter().chain(&config.identities);
        for name in names {
            if self.by_name.insert(name.clone(), Rc::clone(&consumer)).is_some() {
                let message = format!("`{}` is there twice", name.escape_debug());
                return Err(ConfigError::new(format!("{path}.name"), message));
            }
        }
        for (index, key) in config.keys.iter().enumerate() {
            let path = format!("{path}.keys[{index}]");
            let key = Key::new(key, self.pepper.is_some(), &consumer, &path)?;
            self.by_digest.insert(key.digest, key.id.clone());
            if self.by_id.insert(key.id.clone(), key).is_some() {
                return Err(ConfigError::new(format!("{path}.id"), "is there twice"));
            }
        }
        Ok(())
    }

    /// Compiles a consumer, of the configuration or of a look-up.
    pub fn consumer(&self, config: &config::Consumer, path: &str) -> Result<Consumer, ConfigError> {
        let at = |field: &str| format!("{path}{}{field}", if path.is_empty() { "" } else { "." });
        name(&config.name, &at("name"))?;
        for (index, group) in config.groups.iter().enumerate() {
            if !self.groups.contains_key(group) {
                let message = "there is no such group; add it to `groups`";
                return Err(ConfigError::new(format!("{}[{index}]", at("groups")), message));
            }
        }
        let tags = if config.tags.is_empty() {
            String::new()
        } else {
            serde_json::to_string(&config.tags).unwrap_or_default()
        };
        Ok(Consumer {
            name: config.name.clone(),
            groups: config.groups.join(","),
            tags,
            access: Access::new(&config.allow, &at("allow"))?,
        })
    }

    /// A consumer by its name or one of its identities.
    pub fn named(&self, name: &str) -> Option<&Rc<Consumer>> {
        self.by_name.get(name)
    }

    /// The rules for a consumer with these groups, in their order.
    pub fn rules<'a>(&'a self, consumer: &'a Consumer, groups: &str) -> Vec<&'a Access> {
        let groups = groups.split(',').filter_map(|group| self.groups.get(group));
        [&consumer.access].into_iter().chain(groups).collect()
    }

    /// The id of a presented key: written in it, or known of it.
    pub fn id_of<'a>(&'a self, key: &'a str, digest: &Digest) -> Option<&'a str> {
        // Of one that has the hash of this id's key nothing else need be checked.
        let written = key::written_id(&self.prefix, key);
        let known =
            |id: &&str| self.by_id.get(*id).is_some_and(|known| key::same(&known.digest, digest));
        written
            .filter(known)
            .or_else(|| key::id(&self.prefix, key))
            .or_else(|| self.by_digest.get(digest).map(String::as_str))
    }

    /// A key by its id.
    pub fn key(&self, id: &str) -> Option<&Key> {
        self.by_id.get(id)
    }

    /// What is compared of a key.
    pub fn digest(&self, key: &str) -> Digest {
        key::digest(self.pepper.as_ref(), key)
    }

    /// Whether hashes are HMACs.
    pub fn peppered(&self) -> bool {
        self.pepper.is_some()
    }
}

/// Names become labels and parts of lists.
fn name(name: &str, path: &str) -> Result<(), ConfigError> {
    let bad = |c: char| c.is_control() || c == ',';
    if name.is_empty() || name.len() > 128 || name.contains(bad) {
        return Err(ConfigError::new(path, "must have 1 to 128 characters, none of them a comma"));
    }
    Ok(())
}
