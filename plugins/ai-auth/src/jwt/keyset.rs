//! Key sets that are fetched, and fetched again.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use shared::filter::CallReply;
use shared::host::{Call, CallId, Capability, Host};

use super::verify::{MAX_KEYS, Named};
use crate::config::{Fetch, Jwks};

/// Least time between two fetches, in nanoseconds: tokens with made-up key ids do not become a load on
/// the issuer.
const LEAST: u64 = 10_000_000_000;

/// Largest key set that is read, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct KeySet {
    fetch: Option<Fetch>,
    /// Those of the configuration, which no fetch takes away.
    fixed: Vec<Named>,
    keys: RefCell<Vec<Named>>,
    pending: Cell<Option<CallId>>,
    /// When it was last asked for, nanoseconds.
    asked: Cell<u64>,
    /// Whether that was answered.
    answered: Cell<bool>,
    /// When it is to be fetched next.
    next: Cell<u64>,
}

impl KeySet {
    pub(super) fn new(fixed: Vec<Named>, fetch: Option<Fetch>) -> KeySet {
        KeySet {
            fetch,
            fixed,
            keys: RefCell::default(),
            pending: Cell::new(None),
            asked: Cell::new(0),
            answered: Cell::new(false),
            next: Cell::new(0),
        }
    }

    pub(super) fn is_fetched(&self) -> bool {
        self.fetch.is_some()
    }

    /// Whether a key of this name was fetched; without a name, whether any key was.
    pub(super) fn has(&self, kid: Option<&str>) -> bool {
        let keys = self.keys.borrow();
        match kid {
            None => !keys.is_empty(),
            Some(_) => keys.iter().any(|key| key.kid.as_deref() == kid),
        }
    }

    /// Asks the keys that may have signed: those of this name, or all if none is named.
    pub(super) fn any(&self, kid: Option<&str>, ask: impl Fn(&Named) -> bool) -> bool {
        let keys = self.keys.borrow();
        let mut keys = self
            .fixed
            .iter()
            .chain(keys.iter())
            .filter(|key| kid.is_none() || key.kid.is_none() || key.kid.as_deref() == kid);
        keys.any(ask)
    }

    /// A fetch that a request may wait for, if the last one is not too near.
    pub(super) fn wanted(&self, host: &dyn Host) -> Option<Call> {
        let fetch = self.fetch.as_ref()?;
        let now = host.now_nanos();
        if self.asked.get() != 0 && now.saturating_sub(self.asked.get()) < LEAST {
            return None;
        }
        self.is_asked(now);
        Some(call(fetch))
    }

    fn is_asked(&self, now: u64) {
        self.asked.set(now);
        self.answered.set(false);
    }

    /// Whether nobody can tell yet if a key that is not there is one of the issuer's: none has ever come, or they
    /// are being fetched for another request.
    pub(super) fn is_missing(&self) -> bool {
        self.keys.borrow().is_empty() || !self.answered.get()
    }

    /// Whether it is time to fetch it, which no timer will do.
    pub(super) fn is_due(&self, host: &dyn Host) -> bool {
        !host.can(Capability::Tick) && host.now_nanos() >= self.next.get()
    }

    /// Fetches it if it is time.
    pub(super) fn tick(&self, host: &dyn Host) {
        let Some(fetch) = &self.fetch else { return };
        let now = host.now_nanos();
        if self.pending.get().is_some() || now < self.next.get() {
            return;
        }
        self.is_asked(now);
        match host.call(&call(fetch)) {
            Ok(id) => self.pending.set(Some(id)),
            Err(error) => {
                log::error!("the key set of a token's issuer could not be asked for: {error}");
                self.next.set(now.saturating_add(LEAST));
            }
        }
    }

    /// A fetch of the tick's was answered; false if it was another's.
    pub(super) fn called(&self, host: &dyn Host, id: CallId, reply: &CallReply) -> bool {
        if self.pending.get() != Some(id) {
            return false;
        }
        self.pending.set(None);
        self.fetched(host, reply);
        true
    }

    /// Takes a key set that was fetched. One that cannot be read leaves the keys as they are.
    pub(super) fn fetched(&self, host: &dyn Host, reply: &CallReply) {
        let now = host.now_nanos();
        self.answered.set(true);
        let set = (reply.status == Some(200) && reply.body.len() <= MAX_BYTES)
            .then(|| shared::config::record::<Jwks>(&reply.body))
            .flatten();
        let keys: Option<Vec<Named>> = set.map(|set| read(&set));
        match keys.filter(|keys| !keys.is_empty()) {
            Some(keys) => {
                *self.keys.borrow_mut() = keys;
                let refresh = self.fetch.as_ref().map_or(0, |fetch| u64::from(fetch.refresh));
                self.next.set(now.saturating_add(refresh.saturating_mul(1_000_000_000)));
            }
            None => {
                let status = reply.status.unwrap_or(0);
                log::error!("a key set could not be fetched or has no key to use: status {status}");
                self.next.set(now.saturating_add(LEAST));
            }
        }
    }
}

/// The keys of a set that can be used.
pub(super) fn read(set: &Jwks) -> Vec<Named> {
    set.keys.iter().filter_map(Named::of).take(MAX_KEYS).collect()
}

fn call(fetch: &Fetch) -> Call {
    Call {
        upstream: fetch.upstream.clone(),
        scheme: fetch.scheme.clone(),
        authority: fetch.authority.as_ref().unwrap_or(&fetch.upstream).clone(),
        method: "GET".into(),
        path: fetch.path.clone(),
        headers: vec![("accept".into(), "application/json".into())],
        body: Vec::new(),
        timeout: Duration::from_millis(fetch.timeout_ms.into()),
    }
}
