//! How a VM is to be run.

use super::{Profile, SharedStore};

/// How a [`Vm`](super::Vm) is to be run. Every field has a default; write
/// `Options { seed: 7, ..Options::envoy() }`.
#[derive(Clone)]
pub struct Options {
    /// The host to behave like.
    pub profile: Profile,
    /// `vm_config.configuration` (Envoy).
    pub vm_configuration: String,
    /// `vm_config.vm_id` (Envoy): VMs of one id and one [`SharedStore`] share their data.
    pub vm_id: String,
    /// The name of the plugin, in property `plugin_name` on Envoy and `plugin_root_id` on APISIX.
    pub plugin_name: String,
    /// Environment variables the module sees.
    pub env: Vec<(String, String)>,
    /// Seeds the randomness the module gets.
    pub seed: u64,
    /// The time at the start, in ns since 1970. It stands still but for
    /// [`Vm::advance`](super::Vm::advance).
    pub clock_ns: u64,
    /// What the VM shares with others.
    pub shared: SharedStore,
    /// Properties that every context sees (`listener_metadata`, `node`...): path and value.
    pub properties: Vec<(Vec<String>, Vec<u8>)>,
    /// What a trap, that is a panic of the plugin, means to the test.
    pub traps: Traps,
    /// Instructions a callback may use before it counts as an endless loop.
    pub fuel_per_callback: u64,
    /// Panics when a message ends whose `content-length` is not the size of its body.
    pub check_content_length: bool,
    /// Envoy: `allow_on_headers_stop_iteration` of the plugin's configuration.
    pub allow_on_headers_stop_iteration: bool,
    /// Envoy: `per_connection_buffer_limit_bytes`, for either direction.
    pub buffer_limit: usize,
    /// Envoy: the names `dispatch_http_call` knows; `None` for any.
    pub clusters: Option<Vec<String>>,
    /// APISIX: further nginx variables that the configuration declares (`set $name "";`).
    pub nginx_variables: Vec<String>,
    /// APISIX: plays the two serverless functions of the body bridge, and declares its variables
    /// `wasm_req_body`, `wasm_req_body_set`, `wasm_resp_body` and `wasm_resp_body_set`.
    pub bridge: bool,
    /// APISIX: nginx splits what the upstream sends into buffers of at most this size.
    pub response_buffer: usize,
    /// APISIX: every request is HTTP/1.1 with a `Host`, so that reading the whole map of request
    /// headers, or `:authority`, does not crash the worker. Off by default: one client that speaks
    /// HTTP/2 or HTTP/1.0 is enough to bring a worker down.
    pub only_http1_with_host: bool,
}

/// What a trap means to the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traps {
    /// The test panics, with the module's backtrace and last log lines. The VM is dead after it.
    FailTheTest,
    /// As on the real hosts by default: the client gets 503, and so does every later request.
    KillTheVm,
    /// As on Envoy with `failure_policy: FAIL_RELOAD`: this request gets 503, the next one a fresh
    /// VM.
    Reload,
}

impl Options {
    /// Envoy, as the examples configure it.
    pub fn envoy() -> Self {
        Self {
            profile: Profile::Envoy,
            vm_configuration: String::new(),
            vm_id: String::new(),
            plugin_name: "plugin".into(),
            env: Vec::new(),
            seed: 1,
            clock_ns: 1_750_000_000_000_000_000,
            shared: SharedStore::new(),
            properties: Vec::new(),
            traps: Traps::FailTheTest,
            fuel_per_callback: 5_000_000_000,
            check_content_length: true,
            allow_on_headers_stop_iteration: true,
            buffer_limit: 50 << 20,
            clusters: None,
            nginx_variables: Vec::new(),
            bridge: false,
            response_buffer: 8 << 10,
            only_http1_with_host: false,
        }
    }

    /// APISIX without the bridge.
    pub fn apisix() -> Self {
        Self { profile: Profile::Apisix, ..Self::envoy() }
    }

    /// APISIX with the body bridge.
    pub fn apisix_bridge() -> Self {
        Self { bridge: true, ..Self::apisix() }
    }

    /// The default of a profile.
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Envoy => Self::envoy(),
            Profile::Apisix => Self::apisix(),
        }
    }
}
