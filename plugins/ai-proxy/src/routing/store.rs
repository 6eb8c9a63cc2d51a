//! Keeps canaries in a Redis behind Webdis, beyond restarts and for several gateways.
//!
//! <https://github.com/nicolasff/webdis>: `GET /GET/key` answers `{"GET": "value"}`, and a POST's body is
//! a command with its parts percent-encoded.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use shared::config::ConfigError;
use shared::config::Setting;
use shared::filter::CallReply;
use shared::host::{Call, CallId, Capability, Host};
use shared::percent;

use super::canary::{Account, Canary};
use super::config;
use crate::base_url::BaseUrl;

/// How long it may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Where canaries are kept.
#[derive(Debug)]
pub struct Store {
    url: BaseUrl,
    cluster: Option<String>,
    prefix: String,
    /// In nanoseconds.
    every: u64,
    next: Cell<u64>,
    /// Calls under way, and the canary that each asks for; none for one that writes.
    pending: RefCell<Vec<(CallId, Option<String>)>>,
}

#[derive(Setting)]
struct Got {
    #[serde(rename = "GET")]
    value: Option<String>,
}

impl Store {
    /// Checks its address.
    pub fn new(given: config::Store) -> Result<Store, ConfigError> {
        let url = BaseUrl::parse(&given.url);
        let url = url.map_err(|message| ConfigError::new("store.url", message))?;
        if !(100..=3_600_000).contains(&given.every_ms) {
            return Err(ConfigError::new("store.every_ms", "must be 100 to 3600000"));
        }
        Ok(Store {
            url,
            cluster: given.cluster,
            prefix: given.prefix,
            every: given.every_ms.saturating_mul(1_000_000),
            next: Cell::new(0),
            pending: RefCell::default(),
        })
    }

    /// Asks what is kept, if it is time.
    pub fn tick<'c>(&self, host: &dyn Host, canaries: impl Iterator<Item = &'c Canary>) {
        let now = host.now_nanos();
        if now < self.next.get() || !self.pending.borrow().is_empty() {
            return;
        }
        self.next.set(now.saturating_add(self.every));
        for canary in canaries {
            let path = format!("{}/GET/{}", self.url.path, self.key(canary.route()));
            self.call(host, "GET", path, Vec::new(), Some(canary.route()));
        }
    }

    /// An answer has come; false if it is not to this store's call.
    pub fn called<'c>(
        &self,
        host: &dyn Host,
        call: CallId,
        reply: &CallReply,
        mut canaries: impl Iterator<Item = &'c Canary>,
    ) -> bool {
        let mut pending = self.pending.borrow_mut();
        let Some(at) = pending.iter().position(|(id, _)| *id == call) else { return false };
        let (_, asked) = pending.swap_remove(at);
        drop(pending);
        if reply.status != Some(200) {
            log::warn!("the store {} does not answer: {:?}", self.url.authority, reply.status);
            return true;
        }
        let Some(route) = asked else { return true };
        let Some(canary) = canaries.find(|canary| canary.route() == route) else { return true };
        let Some(got) = shared::config::record::<Got>(&reply.body) else {
            log::warn!("the store {} answers in no form that is known", self.url.authority);
            return true;
        };
        let kept = got.value.and_then(|value| shared::config::record::<Account>(value.as_bytes()));
        if let Some(newer) = canary.meet(host, kept)
            && let Ok(json) = serde_json::to_string(&newer)
        {
            let command = format!("SET/{}/{}", self.key(&route), percent::encode(&json));
            let path = format!("{}/", self.url.path);
            self.call(host, "POST", path, command.into_bytes(), None);
        }
        true
    }

    fn key(&self, route: &str) -> String {
        percent::encode(&format!("{}canary:{route}", self.prefix))
    }

    fn call(&self, host: &dyn Host, method: &str, path: String, body: Vec<u8>, asks: Option<&str>) {
        let cluster = self.cluster.clone().filter(|_| host.can(Capability::Clusters));
        let call = Call {
            upstream: cluster.unwrap_or_else(|| self.url.address()),
            scheme: self.url.scheme.into(),
            authority: self.url.authority.clone(),
            method: method.into(),
            path,
            headers: Vec::new(),
            body,
            timeout: TIMEOUT,
        };
        match host.call(&call) {
            Ok(id) => self.pending.borrow_mut().push((id, asks.map(str::to_owned))),
            Err(error) => log::warn!("the store could not be asked: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::super::canary::Status;
    use super::*;

    #[test]
    fn what_is_newer_is_kept_and_what_was_kept_comes_back() {
        let host = ScriptHost::default();
        host.now_nanos.set(1_000_000_000);
        let config = shared::config::document(r#"{"url":"http://webdis:7379","cluster":"webdis"}"#);
        let store = Store::new(config.unwrap()).unwrap();
        let canary = shared::config::document(r#"{"target":1}"#).unwrap();
        let mut canary = Canary::new(canary, "r/1", 2, "c").unwrap();
        canary.wait();
        let one = || std::iter::once(&canary);
        store.tick(&host, one());
        assert_eq!(host.calls.borrow()[0].path, "/GET/ai-proxy%3Acanary%3Ar%2F1");
        let reply = |body: &str| CallReply {
            status: Some(200),
            body: body.as_bytes().to_vec(),
            ..CallReply::failed()
        };
        assert!(store.called(&host, CallId(1), &reply(r#"{"GET":null}"#), one()));
        canary.set(&host, Status::Aborted);
        host.now_nanos.set(9_000_000_000);
        store.tick(&host, one());
        assert!(store.called(&host, CallId(2), &reply(r#"{"GET":null}"#), one()));
        let body = String::from_utf8(host.calls.borrow()[2].body.clone()).unwrap();
        let json = percent::decode(body.rsplit('/').next().unwrap());
        assert!(json.contains(r#""status":"aborted""#), "{json}");
        assert!(store.called(&host, CallId(3), &reply(r#"{"SET":[true,"OK"]}"#), one()));
        let later = json.replace("aborted", "promoted").replace("1000000000", "8000000000");
        host.now_nanos.set(19_000_000_000);
        store.tick(&host, one());
        let kept = reply(&serde_json::json!({"GET": later}).to_string());
        assert!(store.called(&host, CallId(4), &kept, one()));
        assert_eq!(canary.account(&host).status, Status::Promoted);
    }
}
