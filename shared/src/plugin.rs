//! A plugin: what is configured once and makes the filters of every exchange.

use std::rc::Rc;
use std::time::Duration;

use crate::config::ConfigError;
use crate::exchange::Settings;
use crate::filter::{CallReply, Filter};
use crate::host::{CallId, Capability, Host};

/// What a plugin is started with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// The plugin's configuration, JSON.
    pub config: &'a [u8],
    /// The VM's configuration (Envoy's `vm_config.configuration`); empty elsewhere. It tells two
    /// uses of one module apart that share a plugin configuration.
    pub vm_config: &'a [u8],
}

/// Something that a configuration asks of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// What the proxy has to be able to do.
    pub capability: Capability,
    /// Where the configuration asks for it, and what to write instead.
    pub otherwise: ConfigError,
}

impl Need {
    /// What is configured at `path` needs it.
    pub fn new(
        capability: Capability,
        path: impl Into<String>,
        otherwise: impl Into<String>,
    ) -> Need {
        Need { capability, otherwise: ConfigError::new(path, otherwise) }
    }
}

/// A configured plugin. A reload makes a new one, and exchanges under way keep the old.
pub trait Plugin {
    /// Settings of its exchanges.
    fn settings(&self) -> Settings;
    /// The filters of one exchange, the one nearest to the client first; empty lets it pass.
    fn filters(self: Rc<Self>) -> Vec<Box<dyn Filter>>;

    /// What the configuration cannot do without. A proxy that lacks one of them refuses it.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// It was configured, and no request has come. Envoy configures once before it starts its workers:
    /// what they share is made here, as two of them might make it at once.
    fn started(&self, host: &dyn Host) {
        let _ = host;
    }

    /// How often [`tick`](Plugin::tick) is wanted; never unless said. A host without
    /// [`Capability::Tick`] makes none: what cannot do without is among the [`needs`](Plugin::needs).
    fn tick_period(&self) -> Option<Duration> {
        None
    }

    /// What is to be done outside of requests: fetching, reporting. Also called once as soon as the
    /// plugin is configured, since a period may be long.
    fn tick(&self, host: &dyn Host) {
        let _ = host;
    }

    /// It has been replaced, its exchanges are over, and no tick comes any more: what waited for one is
    /// done now. Calls can no longer be made.
    fn ended(&self, host: &dyn Host) {
        let _ = host;
    }

    /// A call that a tick has made was answered.
    fn called(&self, host: &dyn Host, call: CallId, reply: CallReply) {
        let _ = (host, call, reply);
    }
}

/// Makes a plugin of its configuration.
pub type Configure = fn(Setup<'_>) -> Result<Rc<dyn Plugin>, ConfigError>;

/// Makes a `.wasm` of a plugin: `shared::register!(configure)`, where `configure` is a
/// [`Configure`](crate::plugin::Configure).
#[macro_export]
macro_rules! register {
    ($configure:ident) => {
        #[cfg(target_os = "wasi")]
        #[allow(unsafe_code, missing_docs, unreachable_pub)]
        mod entry {
            $crate::host::wasm::proxy_wasm::main! {{ $crate::host::wasm::start(super::$configure) }}
        }
    };
}
