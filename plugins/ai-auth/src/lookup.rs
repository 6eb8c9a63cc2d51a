//! Keys that are kept elsewhere: in Redis, through Webdis, or behind an HTTP service.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use shared::config::{ConfigError, Setting, parse};
use shared::filter::CallReply;
use shared::host::{Call, Host};

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

/// What Webdis is asked to run. Webdis 0.1.9 can give the answer of a client that has given up to the
/// next one, so an answer counts only if it repeats what it was sent: not one of another key, nor one of
/// this key from before it was revoked.
const SCRIPT: &str = "return {ARGV[1], redis.call('GET', KEYS[1])}";

/// What Webdis answers: the number, and the value if there is one.
#[derive(Deserialize)]
struct Said {
    #[serde(rename = "EVAL")]
    eval: (String, Option<String>),
}

/// What a look-up answers.
#[derive(Setting)]
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

    /// The call that looks a key up, and the number that its answer must repeat.
    pub fn call(&self, host: &dyn Host, id: &str) -> (Call, u64) {
        let config = &self.config;
        let nonce = host.random();
        let (method, path, body) = match config.kind {
            LookupKind::Webdis => {
                let key = escaped(&format!("{}{id}", config.prefix));
                ("POST", "/".to_owned(), format!("EVAL/{}/1/{key}/{nonce:x}", escaped(SCRIPT)))
            }
            // An id is never anything that would have to be escaped.
            LookupKind::Http => ("GET", format!("{}{id}", config.prefix), String::new()),
        };
        let headers = config.headers.iter();
        let form = (!body.is_empty())
            .then(|| ("content-type".into(), "application/x-www-form-urlencoded".into()));
        let call = Call {
            upstream: config.upstream.clone(),
            scheme: config.scheme.clone(),
            authority: config.authority.as_ref().unwrap_or(&config.upstream).clone(),
            method: method.into(),
            path,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.expose().to_owned()))
                .chain(form)
                .collect(),
            body: body.into_bytes(),
            timeout: Duration::from_millis(config.timeout_ms.into()),
        };
        (call, nonce)
    }

    /// Reads what was answered and keeps it for a while. A failure is not kept.
    pub fn answered(
        &self,
        directory: &Directory,
        id: &str,
        now: u64,
        nonce: u64,
        reply: &CallReply,
    ) -> Found {
        let found = self.read(directory, id, nonce, reply);
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

    fn read(&self, directory: &Directory, id: &str, nonce: u64, reply: &CallReply) -> Found {
        let text = match (self.config.kind, reply.status) {
            (LookupKind::Http, Some(404)) => return Found::Nothing,
            (_, Some(200)) if reply.body.len() <= MAX_BYTES => reply.body.as_slice(),
            _ => return Found::Failed,
        };
        let unwrapped = match self.config.kind {
            LookupKind::Http => None,
            LookupKind::Webdis => match shared::json::from_bytes::<Said>(text) {
                Ok(Said { eval: (told, _) }) if told != format!("{nonce:x}") => {
                    return Found::Failed;
                }
                Ok(Said { eval: (_, None) }) => return Found::Nothing,
                Ok(Said { eval: (_, Some(text)) }) => Some(text.into_bytes()),
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

/// A word of Webdis's path: all but letters, digits and a few signs are percent-encoded, the dot too, as
/// what follows one is taken for a format.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
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
