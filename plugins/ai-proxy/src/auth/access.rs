//! A Google access token, fetched and renewed outside of requests.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use shared::filter::CallReply;
use shared::host::{Call, CallId, Capability, Host};

use super::google::{ServiceAccount, Token, TokenError};
use crate::base_url::BaseUrl;

/// How often is looked whether a token is needed.
pub const PERIOD: Duration = Duration::from_secs(5);

/// How long the token service may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait after a failure, in seconds: doubled with every further one, up to the limit.
const FIRST_WAIT: u64 = 5;
const MAX_WAIT: u64 = 300;

/// A service account and its current token. Each worker has its own.
#[derive(Debug)]
pub struct Access {
    account: ServiceAccount,
    service: BaseUrl,
    cluster: Option<String>,
    token: RefCell<Option<Token>>,
    pending: Cell<Option<CallId>>,
    /// Not before, in seconds since the Unix epoch.
    next: Cell<u64>,
    wait: Cell<u64>,
}

impl Access {
    /// `service` is where the account's token service is, `cluster` the Envoy cluster that reaches it.
    pub fn new(account: ServiceAccount, service: BaseUrl, cluster: Option<String>) -> Access {
        Access {
            account,
            service,
            cluster,
            token: RefCell::new(None),
            pending: Cell::new(None),
            next: Cell::new(0),
            wait: Cell::new(FIRST_WAIT),
        }
    }

    /// What `authorization: Bearer` is followed by, if there is a token that is still good.
    pub fn token(&self, now_seconds: u64) -> Option<String> {
        let token = self.token.borrow();
        let usable = token.as_ref().filter(|token| token.usable(now_seconds));
        usable.map(|token| token.value.expose().to_owned())
    }

    /// Fetches a token if one is needed.
    pub fn tick(&self, host: &dyn Host) {
        let now = host.now_nanos() / 1_000_000_000;
        let fresh = self.token.borrow().as_ref().is_some_and(|token| token.fresh(now));
        if fresh || self.pending.get().is_some() || now < self.next.get() {
            return;
        }
        let Ok(body) = self.account.token_request(now) else {
            log::error!("the service account's key could not sign a request for a token");
            return self.failed(now);
        };
        let cluster = self.cluster.clone().filter(|_| host.can(Capability::Clusters));
        let call = Call {
            upstream: cluster.unwrap_or_else(|| self.service.address()),
            scheme: self.service.scheme.into(),
            authority: self.service.authority.clone(),
            method: "POST".into(),
            path: self.service.path.clone(),
            headers: vec![("content-type".into(), "application/x-www-form-urlencoded".into())],
            body: body.into_bytes(),
            timeout: TIMEOUT,
        };
        match host.call(&call) {
            Ok(id) => self.pending.set(Some(id)),
            Err(error) => {
                log::error!("Google's token service could not be called: {error}");
                self.failed(now);
            }
        }
    }

    /// An answer has come; false if it is not to this account's call.
    pub fn called(&self, host: &dyn Host, call: CallId, reply: &CallReply) -> bool {
        if self.pending.get() != Some(call) {
            return false;
        }
        self.pending.set(None);
        let now = host.now_nanos() / 1_000_000_000;
        let body = String::from_utf8_lossy(&reply.body);
        let read = match reply.status {
            Some(status) => Token::read(status, &body, now),
            None => Err(TokenError::Failed("no answer".into())),
        };
        match read {
            Ok(token) => {
                *self.token.borrow_mut() = Some(token);
                self.wait.set(FIRST_WAIT);
            }
            Err(error) => {
                log::error!("{error}");
                self.failed(now);
            }
        }
        true
    }

    fn failed(&self, now: u64) {
        self.next.set(now.saturating_add(self.wait.get()));
        self.wait.set(self.wait.get().saturating_mul(2).min(MAX_WAIT));
    }
}
