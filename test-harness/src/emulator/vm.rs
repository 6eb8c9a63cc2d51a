//! A running plugin, as tests see it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::exchange::Exchange;
use super::instance::Inner;
use super::module::LoadError;
use super::shared::Metric;
use super::state::{CallResponse, Callback, Callout, HostCall, LogLine, Phase, Status};
use super::{Headers, Module, Options, Profile};

/// A started plugin, as on one worker thread of the host. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Vm {
    pub(super) inner: Rc<RefCell<Inner>>,
}

/// A root context: the plugin with one configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootContext(pub(super) u32);

/// `on_vm_start` or `on_configure` returned false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRefused {
    /// What the plugin logged meanwhile.
    pub logs: Vec<String>,
}

impl std::fmt::Display for ConfigRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the plugin refused its configuration: {}", self.logs.join("; "))
    }
}

impl std::error::Error for ConfigRefused {}

impl Vm {
    /// Starts a module.
    ///
    /// # Errors
    /// If the host would not load it: an import it lacks or has with another signature, no memory,
    /// no allocation function, a trap in `_initialize`.
    pub fn start(module: &Module, options: Options) -> Result<Self, LoadError> {
        let inner = Inner::start(module, options)?;
        Ok(Self { inner: Rc::new(RefCell::new(inner)) })
    }

    /// Creates a root context and configures it. On APISIX that waits for the first request; see
    /// [`configure_now`](Self::configure_now).
    ///
    /// # Errors
    /// If the plugin says no. On APISIX, every request gets 503 then.
    pub fn configure(
        &self,
        configuration: impl Into<Vec<u8>>,
    ) -> Result<RootContext, ConfigRefused> {
        let mut inner = self.inner.borrow_mut();
        let root = inner.add_root(configuration.into());
        let lazy = inner.state().options.profile == Profile::Apisix;
        if lazy {
            return Ok(root);
        }
        inner.start_root(root.0).map(|()| root)
    }

    /// As [`configure`](Self::configure), at once on APISIX too.
    ///
    /// # Errors
    /// If the plugin says no.
    pub fn configure_now(
        &self,
        configuration: impl Into<Vec<u8>>,
    ) -> Result<RootContext, ConfigRefused> {
        let mut inner = self.inner.borrow_mut();
        let root = inner.add_root(configuration.into());
        inner.start_root(root.0).map(|()| root)
    }

    /// Removes a root context, as a configuration reload does once its last stream has ended:
    /// `on_done`, then `on_delete`.
    pub fn remove(&self, root: RootContext) {
        let mut inner = self.inner.borrow_mut();
        inner.call("proxy_on_done", Phase::Idle, root.0, &[root.0]);
        inner.call("proxy_on_delete", Phase::Idle, root.0, &[root.0]);
        let state = inner.state_mut();
        state.roots.remove(&root.0);
        state.callouts.retain(|_, c| c.context != root.0);
    }

    /// Begins an HTTP exchange. On APISIX the first one configures the root.
    pub fn exchange(&self, root: RootContext) -> Exchange {
        let id = self.inner.borrow_mut().add_stream(root.0);
        Exchange::new(self.clone(), id)
    }

    /// Makes the tick callback. False if no tick is set, and always on APISIX.
    pub fn tick(&self, root: RootContext) -> bool {
        let mut inner = self.inner.borrow_mut();
        let set = inner.state().roots.get(&root.0).is_some_and(|r| r.tick_period_ms > 0);
        if set {
            inner.call("proxy_on_tick", Phase::Idle, root.0, &[root.0]);
        }
        set
    }

    /// The tick period that a root context set, in ms; 0 for none.
    pub fn tick_period_ms(&self, root: RootContext) -> u32 {
        self.inner.borrow().state().roots.get(&root.0).map_or(0, |r| r.tick_period_ms)
    }

    /// Tells a root context that a queue has something in it; never on APISIX.
    pub fn queue_ready(&self, root: RootContext, queue: u32) {
        self.inner.borrow_mut().call("proxy_on_queue_ready", Phase::Idle, root.0, &[root.0, queue]);
    }

    /// Moves the clock on.
    pub fn advance(&self, ns: u64) {
        self.inner.borrow_mut().state_mut().clock_ns += ns;
    }

    /// The time the module sees.
    pub fn clock_ns(&self) -> u64 {
        self.inner.borrow().state().clock_ns
    }

    /// Every pending HTTP call, of streams and root contexts.
    pub fn callouts(&self) -> Vec<Callout> {
        self.inner.borrow().state().callouts.values().cloned().collect()
    }

    /// Answers an HTTP call. False if it was cancelled meanwhile, so that no callback is made.
    pub fn answer_callout(
        &self,
        id: u32,
        headers: impl Into<Headers>,
        body: impl AsRef<[u8]>,
    ) -> bool {
        let response = CallResponse { headers: headers.into(), body: body.as_ref().to_vec() };
        self.inner.borrow_mut().answer(id, Some(response))
    }

    /// Lets an HTTP call fail: no connection, a timeout, a reset.
    pub fn fail_callout(&self, id: u32) -> bool {
        self.inner.borrow_mut().answer(id, None)
    }

    /// Every line logged so far.
    pub fn logs(&self) -> Vec<LogLine> {
        self.inner.borrow().state().logs.clone()
    }

    /// True if a logged line contains `text`.
    pub fn logged(&self, text: &str) -> bool {
        self.inner.borrow().state().logs.iter().any(|l| l.text.contains(text))
    }

    /// Every host function the module has called.
    pub fn host_calls(&self) -> Vec<HostCall> {
        self.inner.borrow().state().host_calls.clone()
    }

    /// What the host answered to each call of one function: the status, and what it gave.
    pub fn answers(&self, function: &str) -> Vec<(Status, Option<Vec<u8>>)> {
        let inner = self.inner.borrow();
        let calls = inner.state().host_calls.iter().filter(|c| c.name == function);
        calls.map(|c| (c.status, c.value.clone())).collect()
    }

    /// Every callback the host has made.
    pub fn callbacks(&self) -> Vec<Callback> {
        self.inner.borrow().state().callbacks.clone()
    }

    /// Forgets logs, host calls and callbacks.
    pub fn clear_trace(&self) {
        let mut inner = self.inner.borrow_mut();
        let state = inner.state_mut();
        state.logs.clear();
        state.host_calls.clear();
        state.callbacks.clear();
    }

    /// The instructions used so far, all callbacks together.
    pub fn fuel(&self) -> u64 {
        self.inner.borrow().fuel
    }

    /// The size of the module's memory.
    pub fn memory_bytes(&self) -> usize {
        let inner = self.inner.borrow();
        inner.state().memory.map_or(0, |m| m.data_size(&inner.store))
    }

    /// What an exported memory has in it.
    pub fn memory(&self, name: &str) -> Option<Vec<u8>> {
        self.inner.borrow_mut().memory(name).map(|bytes| bytes.to_vec())
    }

    /// Sets all of an exported memory to 0.
    pub fn clear_memory(&self, name: &str) {
        if let Some(bytes) = self.inner.borrow_mut().memory(name) {
            bytes.fill(0);
        }
    }

    /// True after a trap.
    pub fn is_dead(&self) -> bool {
        self.inner.borrow().dead
    }

    /// Shared data of this VM's `vm_id`: value and CAS number by key.
    pub fn shared_data(&self) -> BTreeMap<Vec<u8>, (Vec<u8>, u32)> {
        let inner = self.inner.borrow();
        let options = &inner.state().options;
        options.shared.data(&options.vm_id)
    }

    /// Metrics by name.
    pub fn metrics(&self) -> BTreeMap<String, Metric> {
        self.inner.borrow().state().options.shared.metrics()
    }

    /// The profile it runs on.
    pub fn profile(&self) -> Profile {
        self.inner.borrow().state().options.profile
    }
}
