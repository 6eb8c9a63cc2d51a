//! Keys that are kept elsewhere: in Redis, through Webdis, or behind an HTTP service.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use shared::config::{ConfigError, parse};
use shared::filter::CallReply;
use shared::host::Call;

use crate::config::{self, LookupKind};
use crate::directory::{Directory, Key};

/// Largest answer that is read, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// Keys that were looked up, and what is known of them for a while.
#[derive(Debug)]
pub struct Lookup {
    config: config::Lookup,
    known: RefCell<Known>,
}

#[derive(Debug, Default)]
struct Known {
    entries: HashMap<String, Entry>,
    /// In the order in which they came, which is the one in which they expire.
    order: VecDeque<(String, u64)>,
}

#[derive(Clone, Debug)]
struct Entry {
    until: u64,
    /// `None`: there is no such key.
    key: Option<Rc<Key>>,
}

/// What a look-up answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    hash: String,
    #[serde(default)]
    not_before: Option<String>,
    #[serde(default)]
    expires: Option<String>,
    consumer: config::Consumer,
}

/// What came of a look-up.
#[derive(Debug)]
pub enum Found {
    /// This key.
    Key(Rc<Key>),
    /// There is none of this id.
    Nothing,
    /// Nobody knows: the service did not answer, or not as it should.
    Failed,
}

impl Lookup {
    /// Checks a configuration.
    pub fn new(config: config::Lookup) -> Result<Lookup, ConfigError> {
        let bad =
            |field: &str, message: &str| Err(ConfigError::new(format!("lookup.{field}"), message));
        if config.upstream.is_empty() {
            return bad("upstream", "name the service's cluster (on APISIX its `host:port`)");
        }
        let visible = config.prefix.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        if !visible || config.prefix.contains(['?', '#', '%']) {
            return bad("prefix", "may have visible characters only, and no `?`, `#` or `%`");
        }
        match config.kind {
            LookupKind::Http if !config.prefix.starts_with('/') => {
                return bad("prefix", "must be a path, as `/keys/`");
            }
            LookupKind::Webdis if config.prefix.contains('/') => {
                return bad("prefix", "must be the beginning of a Redis key, without `/`");
            }
            _ => {}
        }
        if config.max_entries == 0 || config.timeout_ms == 0 {
            return bad("max_entries", "`max_entries` and `timeout_ms` must be 1 or more");
        }
        Ok(Lookup { config, known: RefCell::default() })
    }

    /// What is known of a key, if anything is at this nanosecond.
    pub fn known(&self, id: &str, now: u64) -> Option<Option<Rc<Key>>> {
        let known = self.known.borrow();
        known.entries.get(id).filter(|entry| now < entry.until).map(|entry| entry.key.clone())
    }

    /// The call that looks a key up. An id is never anything that would have to be escaped.
    pub fn call(&self, id: &str) -> Call {
        let config = &self.config;
        let path = match config.kind {
            LookupKind::Webdis => format!("/GET/{}{id}", config.prefix),
            LookupKind::Http => format!("{}{id}", config.prefix),
        };
        let headers = config.headers.iter();
        Call {
            upstream: config.upstream.clone(),
            scheme: config.scheme.clone(),
            authority: config.authority.as_ref().unwrap_or(&config.upstream).clone(),
            method: "GET".into(),
            path,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.expose().to_owned()))
                .collect(),
            body: Vec::new(),
            timeout: Duration::from_millis(config.timeout_ms.into()),
        }
    }

    /// Reads what was answered and keeps it for a while. A failure is not kept.
    pub fn answered(&self, directory: &Directory, id: &str, now: u64, reply: &CallReply) -> Found {
        let found = self.read(directory, id, reply);
        let key = match &found {
            Found::Key(key) => Some(Rc::clone(key)),
            Found::Nothing => None,
            Found::Failed => return found,
        };
        let ttl = u64::from(self.config.ttl).saturating_mul(1_000_000_000);
        let until = now.saturating_add(ttl);
        self.known.borrow_mut().keep(id, Entry { until, key }, now, self.config.max_entries);
        found
    }

    fn read(&self, directory: &Directory, id: &str, reply: &CallReply) -> Found {
        let text = match (self.config.kind, reply.status) {
            (LookupKind::Http, Some(404)) => return Found::Nothing,
            (_, Some(200)) if reply.body.len() <= MAX_BYTES => reply.body.as_slice(),
            _ => return Found::Failed,
        };
        let unwrapped = match self.config.kind {
            LookupKind::Http => None,
            LookupKind::Webdis => match serde_json::from_slice::<Value>(text) {
                Ok(answer) => match answer.get("GET") {
                    Some(Value::Null) => return Found::Nothing,
                    Some(Value::String(text)) => Some(text.clone().into_bytes()),
                    _ => return Found::Failed,
                },
                Err(_) => return Found::Failed,
            },
        };
        let text = unwrapped.as_deref().unwrap_or(text);
        match compile(directory, id, text) {
            Ok(key) => Found::Key(Rc::new(key)),
            Err(error) => {
                log::error!("the entry of key {id} cannot be used: {error}");
                Found::Failed
            }
        }
    }
}

fn compile(directory: &Directory, id: &str, text: &[u8]) -> Result<Key, ConfigError> {
    let answer: Answer = parse(text)?;
    let consumer = Rc::new(directory.consumer(&answer.consumer, "consumer")?);
    let key = config::Key {
        id: id.to_owned(),
        hash: answer.hash,
        not_before: answer.not_before,
        expires: answer.expires,
    };
    Key::new(&key, directory.peppered(), &consumer, "key")
}

impl Known {
    fn keep(&mut self, id: &str, entry: Entry, now: u64, max: usize) {
        while let Some((oldest, until)) = self.order.front() {
            if *until > now && self.order.len() < max {
                break;
            }
            // It may have been looked up again since.
            if self.entries.get(oldest).is_some_and(|entry| entry.until == *until) {
                self.entries.remove(oldest);
            }
            self.order.pop_front();
        }
        self.order.push_back((id.to_owned(), entry.until));
        self.entries.insert(id.to_owned(), entry);
    }
}
