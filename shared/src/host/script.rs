//! A host for native tests: maps and buffers that a test fills and looks into.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};

use super::{Body, Call, CallId, Capability, Host, HostError, Map};

/// What a [`LocalReply`](Capability::LocalReply) was.
pub type Sent = (u16, Vec<(String, String)>, Vec<u8>);

/// A scripted host. Fields are public: a test sets what the filter finds and reads what it did.
#[derive(Debug, Default)]
pub struct ScriptHost {
    /// What [`Host::can`] denies.
    pub cannot: HashSet<Capability>,
    /// The header maps, pseudo headers included.
    pub headers: RefCell<BTreeMap<(u8, String), Vec<u8>>>,
    /// The bodies.
    pub bodies: RefCell<BTreeMap<u8, Vec<u8>>>,
    /// The properties, path segments joined by a dot.
    pub properties: RefCell<BTreeMap<String, Vec<u8>>>,
    /// The local reply, if one was sent.
    pub sent: RefCell<Option<Sent>>,
    /// The calls that were started.
    pub calls: RefCell<Vec<Call>>,
    /// How often the request was resumed.
    pub resumed: Cell<u32>,
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
        self.properties.borrow().get(&path.join(".")).cloned()
    }

    fn set_property(&self, path: &[&str], value: &[u8]) -> Result<(), HostError> {
        self.properties.borrow_mut().insert(path.join("."), value.to_vec());
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

    fn now_nanos(&self) -> u64 {
        self.now_nanos.get()
    }

    fn random(&self) -> u64 {
        let next = self.random.get();
        self.random.set(next.wrapping_add(1));
        next
    }
}
