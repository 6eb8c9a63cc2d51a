//! The instance behind a [`Vm`](super::Vm): instantiation, contexts, callbacks.

use wasmtime::{Instance, Linker, Store, Trap, Val};

use super::module::{LoadError, engine};
use super::options::Traps;
use super::state::{CallResponse, Callback, Crash, Phase, Root, State};
use super::stream::Stream;
use super::vm::{ConfigRefused, RootContext};
use super::{Module, Options, abi, imports};

/// What a callback came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It returned this, or the module has no such callback and this stands for it.
    Returned(u32),
    /// It trapped, or the VM was dead before.
    Dead,
}

pub(crate) struct Inner {
    module: Module,
    pub(crate) store: Store<State>,
    instance: Instance,
    pub(crate) fuel: u64,
    pub(crate) dead: bool,
}

impl Inner {
    pub(crate) fn start(module: &Module, options: Options) -> Result<Self, LoadError> {
        imports::check_for(module, options.profile)
            .map_err(|wrong| LoadError(format!("{}: {}", module.name(), wrong.join("; "))))?;
        let (store, instance) = instantiate(module, State::new(options))?;
        Ok(Self { module: module.clone(), store, instance, fuel: 0, dead: false })
    }

    pub(crate) fn state(&self) -> &State {
        self.store.data()
    }

    pub(crate) fn state_mut(&mut self) -> &mut State {
        self.store.data_mut()
    }

    pub(crate) fn stream(&mut self, id: u32) -> &mut Stream {
        self.store.data_mut().streams.get_mut(&id).expect("the exchange is not finished")
    }

    pub(crate) fn memory(&mut self, name: &str) -> Option<&mut [u8]> {
        let memory = self.instance.get_memory(&mut self.store, name)?;
        Some(memory.data_mut(&mut self.store))
    }

    pub(crate) fn add_root(&mut self, configuration: Vec<u8>) -> RootContext {
        let state = self.state_mut();
        let id = state.free_context();
        state.roots.insert(id, Root { configuration, ..Root::default() });
        RootContext(id)
    }

    /// Creates the context in the module and configures it.
    pub(crate) fn start_root(&mut self, id: u32) -> Result<(), ConfigRefused> {
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
        accepted =
            accepted && self.call("proxy_on_vm_start", Phase::Idle, id, &[id, vm_size]).yes();
        accepted =
            accepted && self.call("proxy_on_configure", Phase::Configure, id, &[id, size]).yes();
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
    pub(crate) fn add_stream(&mut self, root: u32) -> u32 {
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
    pub(crate) fn call(
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

    pub(crate) fn answer(&mut self, id: u32, response: Option<CallResponse>) -> bool {
        let Some(callout) = self.state_mut().callouts.remove(&id) else { return false };
        let context = callout.context;
        let (headers, body) = response.as_ref().map_or((0, 0), |r| (r.headers.len(), r.body.len()));
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
    pub(crate) fn ok(self) -> bool {
        self != Outcome::Dead
    }

    /// Returned true.
    pub(crate) fn yes(self) -> bool {
        matches!(self, Outcome::Returned(value) if value != 0)
    }
}

fn instantiate(module: &Module, state: State) -> Result<(Store<State>, Instance), LoadError> {
    let failed =
        |what: &str, e: wasmtime::Error| LoadError(format!("{} {what}: {e:?}", module.name()));
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
    let start =
        ["_initialize", "_start"].iter().find_map(|name| instance.get_func(&mut store, name));
    if let Some(start) = start {
        start.call(&mut store, &[], &mut []).map_err(|e| failed("traps at the start", e))?;
    }
    Ok((store, instance))
}
