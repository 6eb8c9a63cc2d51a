//! A running module: instantiation, callbacks, roots.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use wasmtime::{Instance, Linker, Store, Trap, Val};

use super::exchange::Exchange;
use super::module::{LoadError, engine};
use super::options::Traps;
use super::shared::Metric;
use super::state::{
    CallResponse, Callback, Callout, Crash, HostCall, LogLine, Phase, Root, State, Status,
};
use super::stream::Stream;
use super::{Headers, Module, Options, Profile, abi, imports};

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
        imports::check_for(module, options.profile)
            .map_err(|wrong| LoadError(format!("{}: {}", module.name(), wrong.join("; "))))?;
        let (store, instance) = instantiate(module, State::new(options))?;
        let inner = Inner { module: module.clone(), store, instance, fuel: 0, dead: false };
        Ok(Self { inner: Rc::new(RefCell::new(inner)) })
    }

    /// Creates a root context and configures it. On APISIX that waits for the first request; see
    /// [`configure_now`](Self::configure_now).
    ///
    /// # Errors
    /// If the plugin says no. On APISIX, every request gets 503 then.
    pub fn configure(&self, configuration: impl Into<Vec<u8>>) -> Result<RootContext, ConfigRefused> {
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

/// What a callback came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It returned this, or the module has no such callback and this stands for it.
    Returned(u32),
    /// It trapped, or the VM was dead before.
    Dead,
}

pub(super) struct Inner {
    module: Module,
    pub(super) store: Store<State>,
    instance: Instance,
    fuel: u64,
    pub(super) dead: bool,
}

impl Inner {
    pub(super) fn state(&self) -> &State {
        self.store.data()
    }

    pub(super) fn state_mut(&mut self) -> &mut State {
        self.store.data_mut()
    }

    pub(super) fn stream(&mut self, id: u32) -> &mut Stream {
        self.store.data_mut().streams.get_mut(&id).expect("the exchange is not finished")
    }

    fn add_root(&mut self, configuration: Vec<u8>) -> RootContext {
        let state = self.state_mut();
        let id = state.free_context();
        state.roots.insert(id, Root { configuration, ..Root::default() });
        RootContext(id)
    }

    /// Creates the context in the module and configures it.
    fn start_root(&mut self, id: u32) -> Result<(), ConfigRefused> {
        let first = self.state().logs.len();
        let envoy = self.state().envoy();
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a configuration under 4 GiB");
        let vm_size = size(self.state().options.vm_configuration.as_bytes());
        let Some(root) = self.state_mut().roots.get_mut(&id) else {
            return Err(ConfigRefused { logs: vec!["no such root context".into()] });
        };
        let size = size(&root.configuration);
        root.created = true;
        // APISIX refuses an empty configuration itself.
        let mut accepted = envoy || size > 0;
        accepted = accepted && self.call("proxy_on_context_create", Phase::Idle, id, &[id, 0]).ok();
        accepted = accepted && self.call("proxy_on_vm_start", Phase::Idle, id, &[id, vm_size]).yes();
        accepted = accepted && self.call("proxy_on_configure", Phase::Configure, id, &[id, size]).yes();
        if accepted {
            self.root_mut(id).configured = true;
            return Ok(());
        }
        if !envoy && size > 0 {
            // The next request tries again, with a new context.
            self.call("proxy_on_done", Phase::Idle, id, &[id]);
            self.call("proxy_on_delete", Phase::Idle, id, &[id]);
            self.root_mut(id).created = false;
        }
        let logs = self.state().logs[first..].iter().map(|l| l.text.clone()).collect();
        Err(ConfigRefused { logs })
    }

    fn root_mut(&mut self, id: u32) -> &mut Root {
        self.state_mut().roots.get_mut(&id).expect("it was there before the call")
    }

    /// Creates a stream context. Without a working root the stream exists for its client only, who
    /// gets 503.
    fn add_stream(&mut self, root: u32) -> u32 {
        assert!(self.state().roots.contains_key(&root), "no such root context");
        if self.dead && self.state().options.traps == Traps::Reload {
            self.reload();
        }
        let lazy = !self.state().envoy() && !self.root_mut(root).configured;
        if lazy && !self.dead {
            // A refusal is in the logs; the client sees 503.
            let _ = self.start_root(root);
        }
        let configured = self.root_mut(root).configured;
        let state = self.state_mut();
        let id = state.free_context();
        let started_ns = state.clock_ns;
        let stream = Stream { root, started_ns, ..Stream::default() };
        state.streams.insert(id, stream);
        if configured {
            let created = self.call("proxy_on_context_create", Phase::Stream, id, &[id, root]).ok();
            self.stream(id).created = created;
        }
        id
    }

    /// A fresh instance with the same configurations.
    fn reload(&mut self) {
        let options = self.state().options.clone();
        let state = std::mem::replace(self.store.data_mut(), State::new(options));
        let (store, instance) =
            instantiate(&self.module, state).unwrap_or_else(|e| panic!("reload: {e}"));
        (self.store, self.instance, self.dead) = (store, instance, false);
        let state = self.state_mut();
        state.callouts.clear();
        state.actions.clear();
        state.streams.values_mut().for_each(|s| s.created = false);
        let roots: Vec<u32> = state.roots.keys().copied().collect();
        for id in roots {
            let root = self.root_mut(id);
            (root.created, root.configured, root.tick_period_ms) = (false, false, 0);
            // Whoever is refused answers 503 from now on.
            let _ = self.start_root(id);
        }
    }

    /// Makes a callback for the context `current`, then does what it deferred.
    ///
    /// # Panics
    /// If the worker would crash, if the callback never ends, and after a trap, unless
    /// [`Options::traps`](Options) says otherwise.
    pub(super) fn call(
        &mut self,
        name: &'static str,
        phase: Phase,
        current: u32,
        args: &[u32],
    ) -> Outcome {
        if self.dead {
            return Outcome::Dead;
        }
        let bool_like = ["proxy_on_vm_start", "proxy_on_configure", "proxy_on_done"];
        let default = Outcome::Returned(u32::from(bool_like.contains(&name)));
        if self.state().options.profile.never_calls(name) {
            return default;
        }
        let Some(function) = self.instance.get_func(&mut self.store, name) else {
            return default;
        };
        let before = (self.state().phase, self.state().current, self.state().effective);
        let state = self.state_mut();
        (state.phase, state.current, state.effective) = (phase, current, 0);
        let at = state.callbacks.len();
        state.callbacks.push(Callback {
            context: current,
            name,
            args: args.get(1..).unwrap_or_default().to_vec(),
            result: None,
        });
        let budget = state.options.fuel_per_callback;
        self.store.set_fuel(budget).expect("the engine counts fuel");
        let arguments: Vec<Val> = args.iter().map(|a| Val::I32(a.cast_signed())).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let outcome = function.call(&mut self.store, &arguments, &mut results);
        let used = budget - self.store.get_fuel().unwrap_or(0);
        self.fuel += used;
        let state = self.store.data_mut();
        (state.phase, state.current, state.effective) = before;
        if let Some(stream) = state.streams.get_mut(&current) {
            stream.fuel += used;
        }
        if let Err(error) = outcome {
            return self.trapped(name, &error);
        }
        let result = match results.first() {
            Some(Val::I32(value)) => Some(value.cast_unsigned()),
            _ => None,
        };
        if let Some(callback) = state.callbacks.get_mut(at) {
            callback.result = result;
        }
        self.run_actions();
        Outcome::Returned(result.unwrap_or(0))
    }

    fn trapped(&mut self, callback: &str, error: &wasmtime::Error) -> Outcome {
        self.dead = true;
        self.state_mut().actions.clear();
        if let Some(crash) = error.downcast_ref::<Crash>() {
            panic!("{crash} (in {callback})");
        }
        let endless = error.downcast_ref::<Trap>() == Some(&Trap::OutOfFuel);
        let traps = self.state().options.traps;
        if !endless && traps != Traps::FailTheTest {
            return Outcome::Dead;
        }
        let why = if endless { "ran out of fuel: endless loop?" } else { "trapped" };
        let logs: Vec<&str> =
            self.state().logs.iter().rev().take(10).rev().map(|l| l.text.as_str()).collect();
        panic!("{callback} {why}\n{error:?}\nits last log lines:\n{}", logs.join("\n"));
    }

    fn answer(&mut self, id: u32, response: Option<CallResponse>) -> bool {
        let Some(callout) = self.state_mut().callouts.remove(&id) else { return false };
        let context = callout.context;
        let (headers, body) =
            response.as_ref().map_or((0, 0), |r| (r.headers.len(), r.body.len()));
        let word = |n: usize| u32::try_from(n).expect("an answer under 4 GiB");
        let state = self.state_mut();
        let lost = (11, "reset".to_string());
        state.call_status = if response.is_some() { (0, String::new()) } else { lost };
        state.call_response = response;
        // APISIX names the root context here; the module knows its own by the token.
        let first = if state.envoy() { context } else { state.streams[&context].root };
        let args = [first, id, word(headers), word(body), 0];
        let outcome = self.call("proxy_on_http_call_response", Phase::CallResponse, context, &args);
        self.state_mut().call_response = None;
        self.after_call_response(context, outcome);
        true
    }
}

impl Outcome {
    /// Not dead.
    pub(super) fn ok(self) -> bool {
        self != Outcome::Dead
    }

    /// Returned true.
    pub(super) fn yes(self) -> bool {
        matches!(self, Outcome::Returned(value) if value != 0)
    }
}

fn instantiate(module: &Module, state: State) -> Result<(Store<State>, Instance), LoadError> {
    let failed = |what: &str, e: wasmtime::Error| {
        LoadError(format!("{} {what}: {e:?}", module.name()))
    };
    let mut linker = Linker::new(engine());
    abi::link(&mut linker).map_err(|e| failed("cannot be linked", e))?;
    let fuel = state.options.fuel_per_callback;
    let mut store = Store::new(engine(), state);
    store.set_fuel(fuel).expect("the engine counts fuel");
    let instance = linker
        .instantiate(&mut store, &module.compiled)
        .map_err(|e| failed("cannot be instantiated", e))?;
    let memory = instance
        .get_memory(&mut store, "memory")
        .ok_or_else(|| LoadError(format!("{} exports no memory", module.name())))?;
    let allocate = ["proxy_on_memory_allocate", "malloc"]
        .iter()
        .find_map(|name| instance.get_typed_func::<u32, u32>(&mut store, name).ok())
        .ok_or_else(|| LoadError(format!("{} exports no allocation function", module.name())))?;
    store.data_mut().memory = Some(memory);
    store.data_mut().allocate = Some(allocate);
    let start = ["_initialize", "_start"].iter().find_map(|name| instance.get_func(&mut store, name));
    if let Some(start) = start {
        start.call(&mut store, &[], &mut []).map_err(|e| failed("traps at the start", e))?;
    }
    Ok((store, instance))
}
