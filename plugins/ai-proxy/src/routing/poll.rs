//! Something that is fetched over and over, outside of requests.

use std::cell::Cell;
use std::time::Duration;

use shared::config::ConfigError;
use shared::filter::CallReply;
use shared::host::{Call, CallId, Capability, Host};

use crate::base_url::BaseUrl;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes of an answer that are read.
const MOST_BYTES: usize = 1 << 20;

/// One address and its rhythm. Each worker asks for itself.
#[derive(Debug)]
pub struct Poll {
    url: BaseUrl,
    query: String,
    cluster: Option<String>,
    headers: Vec<(String, String)>,
    /// In nanoseconds.
    every: u64,
    next: Cell<u64>,
    pending: Cell<Option<CallId>>,
}

impl Poll {
    /// Checks an address, its query included; `path` is where it stands in the configuration.
    pub fn new(
        url: &str,
        cluster: Option<String>,
        headers: Vec<(String, String)>,
        every: Duration,
        path: &str,
    ) -> Result<Poll, ConfigError> {
        let (base, query) = url.split_once('?').map_or((url, ""), |(base, query)| (base, query));
        if !query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(ConfigError::new(path, "has a query that is not encoded"));
        }
        let url = BaseUrl::parse(base).map_err(|message| ConfigError::new(path, message))?;
        let every = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
        if every < 50_000_000 {
            return Err(ConfigError::new(path, "is to be asked too often; every 50 ms at most"));
        }
        Ok(Poll {
            url,
            query: query.to_owned(),
            cluster,
            headers,
            every,
            next: Cell::new(0),
            pending: Cell::new(None),
        })
    }

    /// Asks, if it is time.
    pub fn tick(&self, host: &dyn Host) {
        let now = host.now_nanos();
        if now < self.next.get() || self.pending.get().is_some() {
            return;
        }
        self.next.set(now.saturating_add(self.every));
        let mark = if self.query.is_empty() { "" } else { "?" };
        let path = if self.url.path.is_empty() { "/" } else { &self.url.path };
        let cluster = self.cluster.clone().filter(|_| host.can(Capability::Clusters));
        let call = Call {
            upstream: cluster.unwrap_or_else(|| self.url.address()),
            scheme: self.url.scheme.into(),
            authority: self.url.authority.clone(),
            method: "GET".into(),
            path: format!("{path}{mark}{}", self.query),
            headers: self.headers.clone(),
            body: Vec::new(),
            timeout: TIMEOUT,
        };
        match host.call(&call) {
            Ok(id) => self.pending.set(Some(id)),
            Err(error) => log::warn!("{} could not be asked: {error}", self.url.authority),
        }
    }

    /// What came of it: `None` if this is not the answer to its call, `Some(None)` if there was none
    /// that can be used.
    pub fn called<'r>(&self, call: CallId, reply: &'r CallReply) -> Option<Option<&'r str>> {
        if self.pending.get() != Some(call) {
            return None;
        }
        self.pending.set(None);
        let good = reply.status == Some(200) && reply.body.len() <= MOST_BYTES;
        let text = std::str::from_utf8(&reply.body).ok().filter(|_| good);
        if text.is_none() {
            log::warn!("{} gave no usable answer: {:?}", self.url.authority, reply.status);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use shared::host::script::ScriptHost;

    use super::*;

    #[test]
    fn it_asks_in_its_rhythm_and_not_before_it_was_answered() {
        let host = ScriptHost::default();
        let every = Duration::from_secs(10);
        let poll = Poll::new("http://grid/now?zone=DE", Some("grid".into()), vec![], every, "p");
        let poll = poll.unwrap();
        poll.tick(&host);
        poll.tick(&host);
        assert_eq!(host.calls.borrow().len(), 1);
        assert_eq!(host.calls.borrow()[0].path, "/now?zone=DE");
        let reply =
            |status| CallReply { status: Some(status), body: b"7".to_vec(), ..CallReply::failed() };
        assert_eq!(poll.called(CallId(9), &reply(200)), None);
        assert_eq!(poll.called(CallId(1), &reply(200)), Some(Some("7")));
        poll.tick(&host);
        assert_eq!(host.calls.borrow().len(), 1, "too early");
        host.now_nanos.set(10_000_000_000);
        poll.tick(&host);
        assert_eq!(poll.called(CallId(2), &reply(503)), Some(None));
    }

    #[test]
    fn mistakes_are_named() {
        let every = Duration::from_secs(1);
        for url in ["grid", "http://grid/?a b"] {
            let error = Poll::new(url, None, vec![], every, "carbon.sources[0].url").unwrap_err();
            assert!(error.to_string().starts_with("carbon.sources[0].url: "));
        }
    }
}
