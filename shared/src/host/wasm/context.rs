//! The SDK's contexts: each callback goes to an [`Exchange`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action as SdkAction, ContextType};

use super::waiting::Waiting;
use super::{Phase, VM_STARTED, WasmHost, ffi, logger};
use crate::config::ConfigError;
use crate::exchange::{Action, Exchange, Settings, read_reply};
use crate::filter::CallReply;
use crate::host::{CallId, Capability, Host};
use crate::plugin::{Configure, Plugin, Setup};

/// Registers the plugin with the proxy; called once, when the module is loaded.
pub fn start(configure: Configure) {
    logger::install();
    let _ = CONFIGURE.set(configure);
    proxy_wasm::set_root_context(|id| Box::new(Root::new(id)));
}

/// The SDK takes no closure that could carry it.
static CONFIGURE: OnceLock<Configure> = OnceLock::new();

struct Root {
    id: u32,
    plugin: Option<Rc<dyn Plugin>>,
    waiting: Rc<Waiting>,
    /// When the plugin's own tick was, in nanoseconds since the Unix epoch.
    ticked: Cell<Option<u64>>,
}

impl Root {
    fn new(id: u32) -> Root {
        Root { id, plugin: None, waiting: Rc::default(), ticked: Cell::new(None) }
    }

    /// The timer runs faster than the plugin asked for while exchanges wait.
    fn tick_plugin(&self) {
        let Some(plugin) = &self.plugin else { return };
        let Some(period) = plugin.tick_period() else { return };
        let host = WasmHost::default();
        let now = host.now_nanos();
        let due = self.ticked.get().is_none_or(|last| {
            let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
            // A timer may come a little early by another clock.
            now.saturating_sub(last).saturating_add(1_000_000) >= period || now < last
        });
        if due || self.waiting.is_empty() {
            self.ticked.set(Some(now));
            plugin.tick(&host);
        }
    }

    const VM_CONFIGURATION: u32 = 6;
    const PLUGIN_CONFIGURATION: u32 = 7;
}

/// The message that a call of gRPC was answered with.
fn grpc_message(size: usize) -> Vec<u8> {
    const RECEIVED: u32 = 5;
    let message = || ffi::buffer(RECEIVED, 0, size).ok().flatten();
    if size == 0 { Vec::new() } else { message().unwrap_or_default() }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        if self.waiting.called(self.id, token, |host| read_reply(host, headers, body)) {
            return;
        }
        if let Some(plugin) = &self.plugin {
            let host = WasmHost::default();
            plugin.called(&host, CallId(token), read_reply(&host, headers, body));
        }
    }

    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        let reply = CallReply::of_grpc(status, grpc_message(size));
        if self.waiting.called(self.id, token, |_| reply.clone()) {
            return;
        }
        if let Some(plugin) = &self.plugin {
            plugin.called(&WasmHost::default(), CallId(token), reply);
        }
    }

    fn on_done(&mut self) -> bool {
        if let Some(plugin) = &self.plugin {
            plugin.ended(&WasmHost::default());
        }
        true
    }
}

impl RootContext for Root {
    fn on_vm_start(&mut self, _size: usize) -> bool {
        VM_STARTED.store(true, Ordering::Relaxed);
        true
    }

    fn on_configure(&mut self, size: usize) -> bool {
        let read = |kind, size| ffi::buffer(kind, 0, size).ok().flatten().unwrap_or_default();
        let config = if size == 0 { Vec::new() } else { read(Self::PLUGIN_CONFIGURATION, size) };
        let vm_config = if VM_STARTED.load(Ordering::Relaxed) {
            read(Self::VM_CONFIGURATION, usize::MAX)
        } else {
            Vec::new()
        };
        let Some(configure) = CONFIGURE.get() else { return false };
        match configure(Setup { config: &config, vm_config: &vm_config }) {
            Ok(plugin) => {
                if let Err(error) = check_needs(plugin.as_ref()) {
                    log::error!("configuration refused: {error}");
                    return false;
                }
                if let Err(error) = begin_to_tick(plugin.as_ref()) {
                    log::error!("configuration refused: {error}");
                    return false;
                }
                plugin.started(&WasmHost::default());
                self.plugin = Some(plugin);
                true
            }
            Err(error) => {
                log::error!("configuration refused: {error}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.waiting.tick(self.id);
        // The first comes at once, see `begin_to_tick`.
        let own = self.plugin.as_ref().and_then(|plugin| plugin.tick_period());
        let period = self.waiting.period(own);
        let _ = ffi::set_tick_period(u32::try_from(period.as_millis()).unwrap_or(u32::MAX));
        self.tick_plugin();
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let (filters, settings) = match &self.plugin {
            Some(plugin) => (Rc::clone(plugin).filters(), plugin.settings()),
            None => (Vec::new(), Settings::default()),
        };
        let host = WasmHost::of_route(settings.bridge);
        let exchange = Exchange::new(filters, settings);
        let stream = Rc::new(RefCell::new(Stream { exchange, host }));
        Some(Box::new(Http { id, stream, waiting: Rc::clone(&self.waiting) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// What the configuration asks for and this proxy cannot do is told before the first request.
fn check_needs(plugin: &dyn Plugin) -> Result<(), ConfigError> {
    let host = WasmHost::of_route(plugin.settings().bridge);
    let needs = plugin.needs().into_iter();
    needs.filter(|need| !host.able(need.capability)).map(|need| need.otherwise).try_for_each(Err)
}

/// The first tick comes as soon as the proxy can make calls; while it configures it cannot.
const FIRST_TICK: Duration = Duration::from_millis(10);

fn begin_to_tick(plugin: &dyn Plugin) -> Result<(), &'static str> {
    if plugin.tick_period().is_none() || !WasmHost::default().can(Capability::Tick) {
        return Ok(());
    }
    ffi::set_tick_period(millis(FIRST_TICK)).map_err(|_| "the proxy's timer could not be set")
}

pub(super) fn millis(period: Duration) -> u32 {
    u32::try_from(period.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// An exchange and the proxy it is in.
pub(super) struct Stream {
    pub(super) exchange: Exchange,
    host: WasmHost,
}

impl Stream {
    pub(super) fn tick(&mut self) {
        self.host.begin(Phase::Request);
        self.exchange.tick(&self.host);
    }

    pub(super) fn called(&mut self, call: u32, reply: impl FnOnce(&WasmHost) -> CallReply) {
        self.host.begin(Phase::Request);
        let reply = reply(&self.host);
        self.exchange.call_ended(&self.host, CallId(call), reply);
    }
}

struct Http {
    id: u32,
    stream: Rc<RefCell<Stream>>,
    waiting: Rc<Waiting>,
}

impl Http {
    fn with<T>(&self, otherwise: T, work: impl FnOnce(&mut Exchange, &WasmHost) -> T) -> T {
        match self.stream.try_borrow_mut() {
            Ok(mut stream) => {
                let Stream { exchange, host } = &mut *stream;
                work(exchange, host)
            }
            Err(_) => otherwise,
        }
    }

    /// In the request's phases, in which it may have to wait.
    fn request(&self, work: impl FnOnce(&mut Exchange, &WasmHost) -> Action) -> SdkAction {
        let action = self.run(Phase::Request, work);
        self.waiting.note(self.id, &self.stream);
        action
    }

    fn response(&self, work: impl FnOnce(&mut Exchange, &WasmHost) -> Action) -> SdkAction {
        self.run(Phase::Response, work)
    }

    /// Runs a callback of this phase, in which the proxy holds the headers until it is told to go on.
    fn run(
        &self,
        phase: Phase,
        work: impl FnOnce(&mut Exchange, &WasmHost) -> Action,
    ) -> SdkAction {
        self.with(SdkAction::Continue, |exchange, host| {
            host.begin(phase);
            match work(exchange, host) {
                Action::Continue => {
                    host.release();
                    SdkAction::Continue
                }
                Action::Pause => SdkAction::Pause,
            }
        })
    }

    fn done(&self) {
        self.with((), |exchange, host| {
            host.begin(Phase::None);
            exchange.done(host);
        });
        self.waiting.forget(self.id);
    }
}

impl Context for Http {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        self.with((), |exchange, host| {
            host.begin(if exchange.answers() { Phase::Response } else { Phase::Request });
            exchange.call_response(host, CallId(token), headers, body);
        });
        self.waiting.note(self.id, &self.stream);
    }

    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        let reply = CallReply::of_grpc(status, grpc_message(size));
        self.with((), |exchange, host| {
            host.begin(Phase::Request);
            exchange.call_ended(host, CallId(token), reply);
        });
        self.waiting.note(self.id, &self.stream);
    }

    // Envoy calls `on_log` before; APISIX only this.
    fn on_done(&mut self) -> bool {
        self.done();
        true
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> SdkAction {
        self.request(|exchange, host| exchange.request_headers(host, end))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> SdkAction {
        self.request(|exchange, host| exchange.request_body(host, size, end))
    }

    fn on_http_request_trailers(&mut self, _: usize) -> SdkAction {
        self.request(|exchange, host| exchange.request_trailers(host))
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> SdkAction {
        self.response(|exchange, host| {
            host.asked_anew();
            exchange.response_headers(host, end && host.tells_end())
        })
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> SdkAction {
        self.response(|exchange, host| exchange.response_body(host, size, end))
    }

    fn on_http_response_trailers(&mut self, _: usize) -> SdkAction {
        self.response(|exchange, host| exchange.response_trailers(host))
    }

    fn on_log(&mut self) {
        self.done();
    }
}
