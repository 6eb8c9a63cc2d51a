//! Services that are asked over HTTP, and left alone for a while when they do not answer.

use std::cell::Cell;
use std::time::Duration;

use serde_json::Value;
use shared::config::ConfigError;
use shared::filter::CallReply;
use shared::host::{Call, Host};

use crate::config::Service;

/// Failures in a row after which a service is left alone.
const FAILURES: u32 = 5;

/// For how long, in nanoseconds; then one call tries again.
const PAUSE: u64 = 10_000_000_000;

/// A request of a service's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST` ...
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Headers that this API wants.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A `POST` of JSON.
    pub fn post(path: impl Into<String>, body: &Value) -> Request {
        Request {
            method: "POST",
            path: path.into(),
            headers: vec![("content-type", "application/json".into())],
            body: shared::json::text_of(body).into_bytes(),
        }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Request {
        self.headers.push((name, value.into()));
        self
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: &'static str) -> Request {
        self.method = method;
        self
    }
}

/// How a service's key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStyle {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// `authorization: ApiKey KEY`.
    ApiKey,
    /// In a header of this name.
    Header(&'static str),
    /// `authorization: Basic KEY`, user and password encoded already.
    Basic,
}

/// A service.
#[derive(Debug)]
pub struct Remote {
    service: Service,
    style: KeyStyle,
    failures: Cell<u32>,
    closed_from: Cell<u64>,
}

impl Remote {
    /// Checks a configuration; `path` is where it stands.
    pub fn new(service: Service, style: KeyStyle, path: &str) -> Result<Remote, ConfigError> {
        let bad =
            |field: &str, message: &str| Err(ConfigError::new(format!("{path}.{field}"), message));
        if service.upstream.is_empty() {
            return bad("upstream", "name the service's cluster (on APISIX its `host:port`)");
        }
        if service.timeout_ms == 0 {
            return bad("timeout_ms", "must be 1 or more");
        }
        let visible = service.path.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        if !visible
            || (!service.path.is_empty() && !service.path.starts_with('/'))
            || service.path.ends_with('/')
        {
            return bad("path", "must be empty or a path without a slash at its end, as `/api`");
        }
        Ok(Remote { service, style, failures: Cell::new(0), closed_from: Cell::new(0) })
    }

    /// Where it is.
    pub fn upstream(&self) -> &str {
        &self.service.upstream
    }

    /// The call for a request; `None` while the service is left alone.
    pub fn call(&self, host: &dyn Host, request: Request) -> Option<Call> {
        if self.failures.get() >= FAILURES {
            let now = host.now_nanos();
            if now < self.closed_from.get().saturating_add(PAUSE) {
                return None;
            }
            // One may try; the others wait for another pause.
            self.closed_from.set(now);
        }
        let service = &self.service;
        let mut headers: Vec<(String, String)> =
            request.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if let Some(key) = &service.api_key {
            let key = key.expose();
            headers.push(match self.style {
                KeyStyle::Bearer => ("authorization".into(), format!("Bearer {key}")),
                KeyStyle::ApiKey => ("authorization".into(), format!("ApiKey {key}")),
                KeyStyle::Basic => ("authorization".into(), format!("Basic {key}")),
                KeyStyle::Header(name) => (name.into(), key.into()),
            });
        }
        headers.extend(
            service
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.expose().into())),
        );
        Some(Call {
            upstream: service.upstream.clone(),
            scheme: service.scheme.clone(),
            authority: service.authority.as_ref().unwrap_or(&service.upstream).clone(),
            method: request.method.into(),
            path: format!("{}{}", service.path, request.path),
            headers,
            body: request.body,
            timeout: Duration::from_millis(service.timeout_ms.into()),
        })
    }

    /// What came of a call: the body of an answer that is one.
    pub fn heard<'r>(&self, host: &dyn Host, reply: &'r CallReply) -> Option<&'r [u8]> {
        let status = reply.status.unwrap_or(0);
        // Who says that a request makes no sense is there.
        if status == 0 || status == 429 || status >= 500 {
            self.failures.set(self.failures.get().saturating_add(1));
            if self.failures.get() >= FAILURES {
                self.closed_from.set(host.now_nanos());
            }
            return None;
        }
        self.failures.set(0);
        (200..300).contains(&status).then_some(reply.body.as_slice())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use shared::host::script::ScriptHost;

    use super::*;

    pub(crate) fn service() -> Service {
        shared::config::document(r#"{"upstream":"u","path":"/api","api_key":"k"}"#).unwrap()
    }

    fn reply(status: Option<u16>) -> CallReply {
        CallReply { status, content_type: String::new(), retry_after: None, body: b"x".to_vec() }
    }

    #[test]
    fn a_service_that_fails_is_left_alone_for_a_while() {
        let host = ScriptHost::default();
        let remote = Remote::new(service(), KeyStyle::Bearer, "s").unwrap();
        let call = || remote.call(&host, Request::post("/v1", &Value::Null));
        for failure in [None, Some(500), Some(429), Some(503), None] {
            assert!(call().is_some());
            assert_eq!(remote.heard(&host, &reply(failure)), None);
        }
        assert!(call().is_none());
        host.now_nanos.set(PAUSE);
        assert!(call().is_some(), "one tries");
        assert!(call().is_none(), "and only one");
        remote.heard(&host, &reply(Some(200)));
        assert!(call().is_some() && call().is_some());
        assert_eq!(remote.heard(&host, &reply(Some(404))), None);
        assert!(call().is_some(), "a refusal is no failure");
    }

    #[test]
    fn a_call_has_what_the_service_wants() {
        let host = ScriptHost::default();
        let remote = Remote::new(service(), KeyStyle::Header("api-key"), "s").unwrap();
        let call = remote.call(&host, Request::post("/v1", &Value::Null)).unwrap();
        assert_eq!((call.path.as_str(), call.authority.as_str()), ("/api/v1", "u"));
        assert!(call.headers.contains(&("api-key".into(), "k".into())));
        let wrong = Service { path: "api/".into(), ..service() };
        let error = Remote::new(wrong, KeyStyle::Bearer, "s.service").unwrap_err();
        assert_eq!(error.path, "s.service.path");
    }
}
