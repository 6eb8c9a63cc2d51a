//! The SDK's contexts: each callback goes to an [`Exchange`].

use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action as SdkAction, ContextType};

use super::{VM_STARTED, WasmHost, ffi, logger};
use crate::config::ConfigError;
use crate::exchange::{Action, Exchange, Settings, read_reply};
use crate::host::{CallId, Capability, Host};
use crate::plugin::{Configure, Plugin, Setup};

/// Registers the plugin with the proxy; called once, when the module is loaded.
pub fn start(configure: Configure) {
    logger::install();
    let _ = CONFIGURE.set(configure);
    proxy_wasm::set_root_context(|_| Box::new(Root { plugin: None }));
}

/// The SDK takes no closure that could carry it.
static CONFIGURE: OnceLock<Configure> = OnceLock::new();

struct Root {
    plugin: Option<Rc<dyn Plugin>>,
}

impl Root {
    const VM_CONFIGURATION: u32 = 6;
    const PLUGIN_CONFIGURATION: u32 = 7;
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        if let Some(plugin) = &self.plugin {
            let host = WasmHost::default();
            plugin.called(&host, CallId(token), read_reply(&host, headers, body));
        }
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
        if let Some(plugin) = &self.plugin {
            // The first comes at once, see `begin_to_tick`.
            if let Some(period) = plugin.tick_period() {
                let _ = ffi::set_tick_period(millis(period));
            }
            plugin.tick(&WasmHost::default());
        }
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let (filters, settings) = match &self.plugin {
            Some(plugin) => (Rc::clone(plugin).filters(), plugin.settings()),
            None => (Vec::new(), Settings::default()),
        };
        let host = WasmHost::of_route(settings.bridge);
        Some(Box::new(Http { exchange: Exchange::new(filters, settings), host }))
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
    if plugin.tick_period().is_none() {
        return Ok(());
    }
    let host = WasmHost::default();
    if !host.can(Capability::Tick) {
        return Err("something in it works outside of requests, for which this proxy has no timer");
    }
    ffi::set_tick_period(millis(FIRST_TICK)).map_err(|_| "the proxy's timer could not be set")
}

fn millis(period: Duration) -> u32 {
    u32::try_from(period.as_millis()).unwrap_or(u32::MAX).max(1)
}

struct Http {
    exchange: Exchange,
    host: WasmHost,
}

fn sdk(action: Action) -> SdkAction {
    match action {
        Action::Continue => SdkAction::Continue,
        Action::Pause => SdkAction::Pause,
    }
}

impl Context for Http {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        self.exchange.call_response(&self.host, CallId(token), headers, body);
    }

    // Envoy calls `on_log` before; APISIX only this.
    fn on_done(&mut self) -> bool {
        self.exchange.done(&self.host);
        true
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> SdkAction {
        sdk(self.exchange.request_headers(&self.host, end))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> SdkAction {
        sdk(self.exchange.request_body(&self.host, size, end))
    }

    fn on_http_request_trailers(&mut self, _: usize) -> SdkAction {
        sdk(self.exchange.request_trailers(&self.host))
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> SdkAction {
        sdk(self.exchange.response_headers(&self.host, end && self.host.tells_end()))
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> SdkAction {
        sdk(self.exchange.response_body(&self.host, size, end))
    }

    fn on_http_response_trailers(&mut self, _: usize) -> SdkAction {
        sdk(self.exchange.response_trailers(&self.host))
    }

    fn on_log(&mut self) {
        self.exchange.done(&self.host);
    }
}
