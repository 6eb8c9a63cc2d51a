//! What differs between the two hosts, as data.

/// The host to behave like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Stock Envoy (1.40).
    Envoy,
    /// Apache APISIX 3.8 to 3.18, that is wasm-nginx-module 0.7.
    Apisix,
}

impl Profile {
    /// True if the host has this function only to answer 12 (unimplemented).
    pub(crate) fn unimplemented(self, function: &str) -> bool {
        GRPC.contains(&function)
            || self == Profile::Apisix && APISIX_UNIMPLEMENTED.contains(&function)
    }

    /// True if the host never makes this callback.
    pub(crate) fn never_calls(self, callback: &str) -> bool {
        self == Profile::Apisix && APISIX_NEVER_CALLS.contains(&callback)
    }
}

/// The emulator plays no gRPC service, on either host.
const GRPC: &[&str] = &[
    "proxy_grpc_call",
    "proxy_grpc_stream",
    "proxy_grpc_send",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
];

const APISIX_UNIMPLEMENTED: &[&str] = &[
    "proxy_set_buffer_bytes",
    "proxy_set_header_map_pairs",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
    "proxy_register_shared_queue",
    "proxy_resolve_shared_queue",
    "proxy_dequeue_shared_queue",
    "proxy_enqueue_shared_queue",
    "proxy_set_tick_period_milliseconds",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_status",
    "proxy_done",
    "proxy_call_foreign_function",
];

const APISIX_NEVER_CALLS: &[&str] = &[
    "proxy_on_vm_start",
    "proxy_on_tick",
    "proxy_on_log",
    "proxy_on_queue_ready",
    "proxy_on_request_trailers",
    "proxy_on_response_trailers",
];

/// nginx variables that APISIX declares, so that a plugin can set them.
pub(crate) const APISIX_WRITABLE: &[&str] = &[
    "wasm_process_req_body",
    "wasm_process_resp_body",
    "upstream_uri",
    "upstream_host",
    "upstream_scheme",
    "upstream_upgrade",
    "upstream_connection",
    "upstream_mirror_host",
    "upstream_mirror_uri",
    "upstream_cache_zone",
    "upstream_cache_key",
    "upstream_cache_bypass",
    "upstream_no_cache",
    "ctx_ref",
    "from_error_page",
    "request_type",
    "request_llm_model",
    "llm_model",
    "llm_prompt_tokens",
    "llm_completion_tokens",
    "llm_time_to_first_token",
    "apisix_upstream_response_time",
    "args",
];

/// What the configuration snippet of the bridge declares.
pub(crate) const BRIDGE_VARIABLES: &[&str] =
    &["wasm_req_body", "wasm_req_body_set", "wasm_resp_body", "wasm_resp_body_set"];

/// Variables of nginx that can be read but not set, and whose value the request gives.
pub(crate) const NGINX_READ_ONLY: &[&str] = &[
    "host",
    "uri",
    "document_uri",
    "request_uri",
    "query_string",
    "is_args",
    "request_method",
    "scheme",
    "https",
    "remote_addr",
    "remote_port",
    "server_addr",
    "server_port",
    "server_protocol",
    "server_name",
    "status",
    "content_type",
    "content_length",
    "request_id",
    "msec",
    "hostname",
    "pid",
];
