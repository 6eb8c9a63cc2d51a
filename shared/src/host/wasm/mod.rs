//! The proxies: Envoy and Apache APISIX, through the proxy-wasm ABI 0.2.1.
//!
//! This folder is the only place of the suite that calls the proxy. What it knows about the hosts is
//! in docs/hosts.md.

mod context;
mod ffi;
mod logger;
mod waiting;

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use crate::allocator::Allocator;
use crate::exchange::CLUSTER_HEADER;
use crate::facts::CLUSTER;
pub use context::start;
#[doc(hidden)]
pub use proxy_wasm;

use super::memo::Known;
use super::{
    Body, Call, CallId, Capability, GRPC, GRPC_UPSTREAM, Host, HostError, Map, MetricId,
    MetricKind, Shared,
};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new();

/// `on_vm_start` has run. Only Envoy calls it, and always before the first configuration.
static VM_STARTED: AtomicBool = AtomicBool::new(false);

/// nginx variables of the body bridge on APISIX: a flag that says whether the other is set.
const REQUEST_BRIDGE: (&str, &str) = ("wasm_req_body", "wasm_req_body_set");
const RESPONSE_BRIDGE: (&str, &str) = ("wasm_resp_body", "wasm_resp_body_set");

/// The proxy that the module runs in.
#[derive(Debug, Default)]
pub(crate) struct WasmHost {
    /// Whether the route has the functions of the body bridge.
    route_bridges: bool,
    /// Whether this request's location declares the variables of the body bridge.
    bridge: Cell<Option<bool>>,
    phase: Cell<Phase>,
    released: Cell<Phase>,
    /// The headers of the phase, once they were asked for. While the phase lasts nobody else changes
    /// them: the proxy holds them, and other filters have had their turn or wait for it.
    known: RefCell<Option<Known>>,
    /// The time, once it was asked for; 0 before.
    now: Cell<u64>,
    /// A property was set that the route may depend on, and Envoy has not been told to look for it anew.
    route_stale: Cell<bool>,
}

/// Whose headers the proxy holds for this module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody's, or it is not known.
    #[default]
    None,
    /// The request's.
    Request,
    /// The response's.
    Response,
}

impl WasmHost {
    /// A callback begins. The headers of another phase than before are asked for anew.
    fn begin(&self, phase: Phase) {
        self.now.set(0);
        let phase = if self.released.get() == phase { Phase::None } else { phase };
        if self.phase.get() != phase {
            self.forget();
            self.phase.set(phase);
        }
    }

    /// What is known of the headers is of another message than the one at hand.
    fn asked_anew(&self) {
        self.known.replace(None);
    }

    /// The headers of the phase go on their way.
    fn release(&self) {
        if self.phase.get() != Phase::None {
            self.released.set(self.phase.get());
        }
        self.forget();
    }

    fn forget(&self) {
        self.find_route();
        self.known.replace(None);
        self.phase.set(Phase::None);
    }

    /// Envoy looks for the route anew when a request header is changed, not when a property is.
    fn find_route(&self) {
        let stale = self.route_stale.replace(false);
        if stale && self.envoy() && self.phase.get() == Phase::Request {
            let _ = ffi::remove_header(map_kind(Map::Request), CLUSTER_HEADER);
        }
    }

    /// Runs this on the headers of the phase, if they are of this map.
    fn with_known<T>(&self, map: Map, run: impl FnOnce(&mut Known) -> T) -> Option<T> {
        let held = matches!(
            (map, self.phase.get()),
            (Map::Request, Phase::Request) | (Map::Response, Phase::Response)
        );
        if !held || !self.envoy() {
            return None;
        }
        let mut known = self.known.borrow_mut();
        if known.is_none() {
            *known = Known::parse(ffi::headers(map_kind(map)).ok().flatten()?);
        }
        known.as_mut().map(run)
    }

    fn changed(&self, map: Map) {
        if map == Map::Request {
            self.route_stale.set(false);
        }
    }

    /// For an exchange of a route that has the body bridge, or not.
    fn of_route(route_bridges: bool) -> WasmHost {
        WasmHost { route_bridges, ..WasmHost::default() }
    }

    /// As [`Host::can`], where there is no request whose variables could be tried.
    fn able(&self, capability: Capability) -> bool {
        match capability {
            Capability::RewriteRequestBody | Capability::RewriteResponseBody => {
                self.envoy() || self.route_bridges
            }
            other => self.can(other),
        }
    }

    fn envoy(&self) -> bool {
        VM_STARTED.load(Ordering::Relaxed)
    }

    /// Whether a header callback knows if a body follows; APISIX always says that none does.
    fn tells_end(&self) -> bool {
        self.envoy()
    }

    /// An undeclared nginx variable cannot be set, so trying tells.
    fn bridge(&self) -> bool {
        if !self.route_bridges {
            return false;
        }
        if let Some(known) = self.bridge.get() {
            return known;
        }
        let declared = |(value, flag): (&str, &str)| {
            ffi::set_property(&[value], b"").is_ok() && ffi::set_property(&[flag], b"").is_ok()
        };
        let known = declared(REQUEST_BRIDGE) && declared(RESPONSE_BRIDGE);
        self.bridge.set(Some(known));
        known
    }

    /// Through the SDK, as `dispatch_http_call` is. It panics on a status that Envoy does not answer with
    /// when the service is well formed; APISIX answers that it cannot, and is not asked.
    fn call_grpc(&self, call: &Call) -> Result<CallId, HostError> {
        let (service, method) =
            call.path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let name = call.upstream.len();
        if !self.envoy() || name > GRPC_UPSTREAM {
            return Err(HostError::UNIMPLEMENTED);
        }
        // Envoy's `GrpcService { envoy_grpc: { cluster_name } }`. It also takes a bare name, unless that happens
        // to be a message of Protocol Buffers. Both sizes are below 128, a byte each.
        let size = |size: usize| u8::try_from(size).map(char::from).unwrap_or_default();
        let cluster = format!("\n{}\n{}{}", size(name + 2), size(name), call.upstream);
        let metadata =
            call.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        proxy_wasm::hostcalls::dispatch_grpc_call(
            &cluster,
            service,
            method,
            metadata,
            Some(&call.body),
            call.timeout,
        )
        .map(CallId)
        .map_err(|status| HostError(status as u32))
    }

    fn own_property(&self, name: &str) -> Option<String> {
        self.property(&[name]).and_then(|value| String::from_utf8(value).ok())
    }
}

fn map_kind(map: Map) -> u32 {
    match map {
        Map::Request => 0,
        Map::Response => 2,
        Map::CallReply => 6,
    }
}

fn body_kind(body: Body) -> u32 {
    match body {
        Body::Request => 0,
        Body::Response => 1,
        Body::CallReply => 4,
    }
}

impl Host for WasmHost {
    fn can(&self, capability: Capability) -> bool {
        match capability {
            Capability::LocalReply => true,
            Capability::RewriteRequestBody | Capability::RewriteResponseBody => {
                self.envoy() || self.bridge()
            }
            Capability::HoldRequest
            | Capability::HoldResponse
            | Capability::ReplacePrefix
            | Capability::SetContentLength
            | Capability::SharedProperties
            | Capability::Clusters
            | Capability::Tick
            | Capability::SharedData
            | Capability::Metrics => self.envoy(),
        }
    }

    fn header(&self, map: Map, name: &str) -> Option<Vec<u8>> {
        match self.with_known(map, |known| known.get(name).map(<[u8]>::to_vec)) {
            Some(value) => value,
            None => ffi::header(map_kind(map), name).ok().flatten(),
        }
    }

    fn only_header(&self, map: Map, name: &str) -> Option<Vec<u8>> {
        if self.known.borrow().is_some() {
            return self.header(map, name);
        }
        ffi::header(map_kind(map), name).ok().flatten()
    }

    fn set_header(&self, map: Map, name: &str, value: &str) -> Result<(), HostError> {
        // The length is set for the body's sake, whatever the proxy has made of the header.
        let same = |known: &mut Known| known.is_just(name, value.as_bytes());
        if name != "content-length" && self.with_known(map, same) == Some(true) {
            return Ok(());
        }
        ffi::set_header(map_kind(map), name, value)?;
        self.changed(map);
        self.with_known(map, |known| known.set(name, value.as_bytes()));
        Ok(())
    }

    fn remove_header(&self, map: Map, name: &str) -> Result<(), HostError> {
        if self.with_known(map, |known| known.get(name).is_none()) == Some(true) {
            return Ok(());
        }
        ffi::remove_header(map_kind(map), name)?;
        self.changed(map);
        self.with_known(map, |known| known.remove(name));
        Ok(())
    }

    fn method(&self) -> Option<String> {
        self.header(Map::Request, ":method").and_then(|value| String::from_utf8(value).ok())
    }

    fn path(&self) -> Option<String> {
        if self.envoy() {
            self.header(Map::Request, ":path").and_then(|value| String::from_utf8(value).ok())
        } else {
            self.own_property("request_uri")
        }
    }

    fn set_path(&self, path: &str) -> Result<(), HostError> {
        if self.envoy() {
            self.set_header(Map::Request, ":path", path)
        } else {
            // `:path` cannot take a query there.
            ffi::set_property(&["upstream_uri"], path.as_bytes())
        }
    }

    fn set_authority(&self, authority: &str) -> Result<(), HostError> {
        if self.envoy() {
            self.set_header(Map::Request, ":authority", authority)
        } else {
            // Setting `:authority` would overwrite the method.
            ffi::set_property(&["upstream_host"], authority.as_bytes())
        }
    }

    fn body_follows(&self, end: bool) -> bool {
        if self.envoy() {
            return !end;
        }
        if self.header(Map::Request, "transfer-encoding").is_some() {
            return true;
        }
        match self.header(Map::Request, "content-length") {
            Some(length) => length != b"0",
            // HTTP/2 needs no length.
            None => {
                self.own_property("server_protocol").is_some_and(|p| p.starts_with("HTTP/2"))
                    && !matches!(self.method().as_deref(), Some("GET" | "HEAD" | "OPTIONS"))
            }
        }
    }

    fn want_body(&self, body: Body) -> Result<(), HostError> {
        match body {
            _ if self.envoy() => Ok(()),
            Body::Request => ffi::set_property(&["wasm_process_req_body"], b"1"),
            Body::Response => ffi::set_property(&["wasm_process_resp_body"], b"1"),
            Body::CallReply => Ok(()),
        }
    }

    fn body(&self, body: Body, start: usize, len: usize) -> Option<Vec<u8>> {
        ffi::buffer(body_kind(body), start, len).ok().flatten()
    }

    fn replace_body(
        &self,
        body: Body,
        replaced: usize,
        total: usize,
        with: &[u8],
    ) -> Result<(), HostError> {
        if self.envoy() {
            if replaced == 0 && with.is_empty() {
                return Ok(());
            }
            return ffi::set_buffer(body_kind(body), 0, replaced, with);
        }
        let (value, flag) = match body {
            _ if replaced != total || !self.bridge() => return Err(HostError::UNIMPLEMENTED),
            Body::Request => REQUEST_BRIDGE,
            Body::Response => RESPONSE_BRIDGE,
            Body::CallReply => return Err(HostError::BAD_ARGUMENT),
        };
        ffi::set_property(&[value], with)?;
        ffi::set_property(&[flag], b"1")
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        ffi::property(path).ok().flatten()
    }

    fn set_property(&self, path: &[&str], value: &[u8]) -> Result<(), HostError> {
        ffi::set_property(path, value)?;
        // The only one that routes are chosen by.
        if path == [CLUSTER] {
            self.route_stale.set(true);
        }
        Ok(())
    }

    fn respond(
        &self,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<(), HostError> {
        ffi::send_local_response(u32::from(status), headers, body)
    }

    fn call(&self, call: &Call) -> Result<CallId, HostError> {
        if call.scheme == GRPC {
            return self.call_grpc(call);
        }
        let mut headers = vec![
            (":method", call.method.as_str()),
            (":scheme", call.scheme.as_str()),
            (":path", call.path.as_str()),
            (":authority", call.authority.as_str()),
        ];
        headers.extend(call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let body = (!call.body.is_empty()).then_some(call.body.as_slice());
        // The SDK's dispatcher must know whom the answer belongs to, so this one goes through it.
        proxy_wasm::hostcalls::dispatch_http_call(
            &call.upstream,
            headers,
            body,
            Vec::new(),
            call.timeout,
        )
        .map(CallId)
        .map_err(|status| HostError(status as u32))
    }

    fn resume_request(&self) -> Result<(), HostError> {
        self.release();
        ffi::continue_stream(0)
    }

    fn resume_response(&self) -> Result<(), HostError> {
        self.release();
        ffi::continue_stream(1)
    }

    fn shared(&self, key: &str) -> Option<Shared> {
        if !self.envoy() {
            return None;
        }
        let (value, version) = ffi::shared(key).ok()?;
        Some(Shared { value: value?, version })
    }

    fn set_shared(&self, key: &str, value: &[u8], version: u32) -> Result<(), HostError> {
        if self.envoy() {
            ffi::set_shared(key, value, version)
        } else {
            Err(HostError::UNIMPLEMENTED)
        }
    }

    fn metric(&self, kind: MetricKind, name: &str) -> Result<MetricId, HostError> {
        let kind = match kind {
            MetricKind::Counter => 0,
            MetricKind::Gauge => 1,
            MetricKind::Histogram => 2,
        };
        ffi::define_metric(kind, name).map(MetricId)
    }

    fn add_metric(&self, metric: MetricId, by: i64) -> Result<(), HostError> {
        ffi::increment_metric(metric.0, by)
    }

    fn record_metric(&self, metric: MetricId, value: u64) -> Result<(), HostError> {
        ffi::record_metric(metric.0, value)
    }

    fn now_nanos(&self) -> u64 {
        match self.now.get() {
            0 => self.clock_nanos(),
            now => now,
        }
    }

    fn clock_nanos(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // Until the year 2554.
        let now = since.map_or(0, |d| d.as_secs() * 1_000_000_000 + u64::from(d.subsec_nanos()));
        self.now.set(now);
        now
    }

    fn random(&self) -> u64 {
        // The standard library seeds these from WASI's `random_get`.
        std::hash::RandomState::new().build_hasher().finish()
    }
}
