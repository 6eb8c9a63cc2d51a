//! A host for native tests: maps and buffers that a test fills and looks into.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};

use crate::facts;

use super::{Body, Call, CallId, Capability, Host, HostError, Map, MetricId, MetricKind, Shared};

/// What the properties begin with that are facts.
const FACT: &str = "ai.";

/// The name of the fact that a property is here.
fn fact(property: &str) -> Option<&str> {
    let name = property.strip_prefix(FACT)?;
    facts::Fact::ALL.iter().any(|fact| fact.name() == name).then_some(name)
}

/// What a [`LocalReply`](Capability::LocalReply) was.
pub type Sent = (u16, Vec<(String, String)>, Vec<u8>);

/// A metric that a plugin has declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptMetric {
    /// What it does.
    pub kind: MetricKind,
    /// Its name.
    pub name: String,
    /// Of a counter or gauge: where it stands.
    pub value: i64,
    /// Of a histogram: what it was given.
    pub samples: Vec<u64>,
}

/// A scripted host. Fields are public: a test sets what the filter finds and reads what it did.
#[derive(Debug, Default)]
pub struct ScriptHost {
    /// What [`Host::can`] denies.
    pub cannot: HashSet<Capability>,
    /// The header maps, pseudo headers included.
    pub headers: RefCell<BTreeMap<(u8, String), Vec<u8>>>,
    /// The bodies.
    pub bodies: RefCell<BTreeMap<u8, Vec<u8>>>,
    /// The properties, path segments joined by a dot. Each fact is one of its own here, `ai.<name>`.
    pub properties: RefCell<BTreeMap<String, Vec<u8>>>,
    /// The local reply, if one was sent.
    pub sent: RefCell<Option<Sent>>,
    /// The calls that were started.
    pub calls: RefCell<Vec<Call>>,
    /// How often the request was resumed.
    pub resumed: Cell<u32>,
    /// How often the answer was resumed.
    pub resumed_response: Cell<u32>,
    /// The values that all workers see.
    pub shared: RefCell<BTreeMap<String, Shared>>,
    /// The metrics by name; a [`MetricId`] is a place in this list.
    pub metrics: RefCell<Vec<ScriptMetric>>,
    /// The clock.
    pub now_nanos: Cell<u64>,
    /// The next random number.
    pub random: Cell<u64>,
}

impl ScriptHost {
    /// A host that can do everything, with a request for this path.
    pub fn post(path: &str) -> ScriptHost {
        let host = ScriptHost::default();
        host.put(Map::Request, ":method", "POST");
        host.put(Map::Request, ":path", path);
        host
    }

    /// Sets a header as the other side would have sent it.
    pub fn put(&self, map: Map, name: &str, value: &str) {
        self.headers.borrow_mut().insert((map as u8, name.into()), value.into());
    }

    /// A header as text.
    pub fn text(&self, map: Map, name: &str) -> Option<String> {
        self.header(map, name).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    /// Sets a body.
    pub fn put_body(&self, body: Body, bytes: &[u8]) {
        self.bodies.borrow_mut().insert(body as u8, bytes.to_vec());
    }

    /// A body as text.
    pub fn body_text(&self, body: Body) -> String {
        let bodies = self.bodies.borrow();
        bodies.get(&(body as u8)).map_or(String::new(), |b| String::from_utf8_lossy(b).into())
    }

    /// Where a counter or gauge stands; 0 if there is none of this name.
    pub fn metric_value(&self, name: &str) -> i64 {
        self.metrics.borrow().iter().find(|m| m.name == name).map_or(0, |m| m.value)
    }

    fn change_metric(
        &self,
        metric: MetricId,
        change: impl FnOnce(&mut ScriptMetric),
    ) -> Result<(), HostError> {
        let mut metrics = self.metrics.borrow_mut();
        let index = usize::try_from(metric.0).unwrap_or(usize::MAX);
        metrics.get_mut(index).map(change).ok_or(HostError::BAD_ARGUMENT)
    }

    fn able(&self, capability: Capability) -> Result<(), HostError> {
        if self.can(capability) { Ok(()) } else { Err(HostError::UNIMPLEMENTED) }
    }
}

impl Host for ScriptHost {
    fn can(&self, capability: Capability) -> bool {
        !self.cannot.contains(&capability)
    }

    fn header(&self, map: Map, name: &str) -> Option<Vec<u8>> {
        self.headers.borrow().get(&(map as u8, name.into())).cloned()
    }

    fn set_header(&self, map: Map, name: &str, value: &str) -> Result<(), HostError> {
        self.put(map, name, value);
        Ok(())
    }

    fn remove_header(&self, map: Map, name: &str) -> Result<(), HostError> {
        self.headers.borrow_mut().remove(&(map as u8, name.into()));
        Ok(())
    }

    fn method(&self) -> Option<String> {
        self.text(Map::Request, ":method")
    }

    fn path(&self) -> Option<String> {
        self.text(Map::Request, ":path")
    }

    fn set_path(&self, path: &str) -> Result<(), HostError> {
        self.set_header(Map::Request, ":path", path)
    }

    fn set_authority(&self, authority: &str) -> Result<(), HostError> {
        self.set_header(Map::Request, ":authority", authority)
    }

    fn want_body(&self, _body: Body) -> Result<(), HostError> {
        Ok(())
    }

    fn body(&self, body: Body, start: usize, len: usize) -> Option<Vec<u8>> {
        let bodies = self.bodies.borrow();
        let bytes = bodies.get(&(body as u8))?;
        let end = start.saturating_add(len).min(bytes.len());
        bytes.get(start..end).map(<[u8]>::to_vec)
    }

    fn replace_body(
        &self,
        body: Body,
        replaced: usize,
        total: usize,
        with: &[u8],
    ) -> Result<(), HostError> {
        self.able(match body {
            Body::Request => Capability::RewriteRequestBody,
            Body::Response => Capability::RewriteResponseBody,
            Body::CallReply => return Err(HostError::BAD_ARGUMENT),
        })?;
        if replaced != total {
            self.able(Capability::ReplacePrefix)?;
        }
        let mut bodies = self.bodies.borrow_mut();
        let bytes = bodies.entry(body as u8).or_default();
        let rest = bytes.get(replaced..).ok_or(HostError::BAD_ARGUMENT)?.to_vec();
        *bytes = [with, &rest].concat();
        Ok(())
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        if path == [facts::PROPERTY] {
            let mut text = String::new();
            for (name, value) in self.properties.borrow().iter() {
                if let Some(name) = fact(name) {
                    facts::state(&mut text, name, &String::from_utf8_lossy(value));
                }
            }
            return Some(text.into_bytes());
        }
        self.properties.borrow().get(&path.join(".")).cloned()
    }

    fn set_property(&self, path: &[&str], value: &[u8]) -> Result<(), HostError> {
        let mut properties = self.properties.borrow_mut();
        if path == [facts::PROPERTY] {
            properties.retain(|name, _| fact(name).is_none());
            for (name, value) in facts::all(&String::from_utf8_lossy(value)) {
                // As it is read: the first.
                properties.entry(format!("{FACT}{name}")).or_insert_with(|| value.into());
            }
        } else {
            properties.insert(path.join("."), value.to_vec());
        }
        Ok(())
    }

    fn respond(
        &self,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<(), HostError> {
        *self.sent.borrow_mut() = Some((status, headers.to_vec(), body.to_vec()));
        Ok(())
    }

    fn call(&self, call: &Call) -> Result<CallId, HostError> {
        let mut calls = self.calls.borrow_mut();
        calls.push(call.clone());
        Ok(CallId(u32::try_from(calls.len()).unwrap_or(u32::MAX)))
    }

    fn resume_request(&self) -> Result<(), HostError> {
        self.resumed.set(self.resumed.get() + 1);
        Ok(())
    }

    fn resume_response(&self) -> Result<(), HostError> {
        self.resumed_response.set(self.resumed_response.get() + 1);
        Ok(())
    }

    fn shared(&self, key: &str) -> Option<Shared> {
        self.able(Capability::SharedData).ok()?;
        self.shared.borrow().get(key).cloned()
    }

    fn set_shared(&self, key: &str, value: &[u8], version: u32) -> Result<(), HostError> {
        self.able(Capability::SharedData)?;
        let mut shared = self.shared.borrow_mut();
        let now = shared.get(key).map_or(0, |shared| shared.version);
        if version != 0 && version != now {
            return Err(HostError::CAS_MISMATCH);
        }
        let value = value.to_vec();
        shared.insert(key.to_owned(), Shared { value, version: now + 1 });
        Ok(())
    }

    fn metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError> {
        let mut metrics = self.metrics.borrow_mut();
        let known = metrics.iter().position(|metric| metric.name == name);
        let index = known.unwrap_or_else(|| {
            let name = name.to_owned();
            metrics.push(ScriptMetric { kind, name, value: 0, samples: Vec::new() });
            metrics.len() - 1
        });
        u32::try_from(index).map(MetricId).map_err(|_| HostError::BAD_ARGUMENT)
    }

    fn add_metric(&self, metric: MetricId, by: i64) -> Result<(), HostError> {
        self.change_metric(metric, |metric| metric.value += by)
    }

    fn record_metric(&self, metric: MetricId, value: u64) -> Result<(), HostError> {
        self.change_metric(metric, |metric| match metric.kind {
            MetricKind::Histogram => metric.samples.push(value),
            _ => metric.value = i64::try_from(value).unwrap_or(i64::MAX),
        })
    }

    fn now_nanos(&self) -> u64 {
        self.now_nanos.get()
    }

    fn random(&self) -> u64 {
        let next = self.random.get();
        self.random.set(next.wrapping_add(1));
        next
    }
}
