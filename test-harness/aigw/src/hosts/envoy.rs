//! Envoy: one file. The bundle chooses in the listener and translates in the clusters, once per attempt.

use std::net::IpAddr;

use super::File;
use crate::check::{Checked, Endpoint};
use crate::policy::Gateway;
use crate::yaml::{Map, Yaml};

const TYPE: &str = "type.googleapis.com/envoy";
/// Set by the plugin, looked up by the route.
const CLUSTER_STATE: &str = "wasm.ai.cluster";
/// What the plugins speak to each other by; no client may send it.
pub(super) const OWN_HEADERS: [&str; 2] = ["x-ai-cluster", "x-ai-facts"];

pub(super) fn render(checked: &Checked, patch: bool) -> Vec<File> {
    let gateway = &checked.policy.gateway;
    if patch {
        let about = "To be merged into an Envoy configuration: the filter before the router of the HTTP \
                     connection manager,\nthe route's action, the mutations before anything else, and the \
                     clusters.";
        let document = Map::new()
            .with("per_connection_buffer_limit_bytes", gateway.buffer_bytes)
            .with("early_header_mutation_extensions", early_mutation())
            .with("http_filters", vec![filter(checked)])
            .with("route", action(checked))
            .with("clusters", clusters(checked))
            .maybe("stats_config", stats(checked));
        return vec![File::new("envoy-patch.yaml", about, vec![document.into()])];
    }
    let about = format!(
        "Written by `aigw render --host envoy`. Start it with: envoy -c envoy.yaml{}",
        variables_hint(checked)
    );
    let document = Map::new()
        .with(
            "node",
            Map::new().with("id", gateway.name.as_str()).with("cluster", gateway.name.as_str()),
        )
        .with("admin", Map::new().with("address", socket(&gateway.admin)))
        .maybe("stats_config", stats(checked))
        .with(
            "static_resources",
            Map::new()
                .with("listeners", vec![listener(checked)])
                .with("clusters", clusters(checked)),
        );
    vec![File::new("envoy.yaml", about, vec![document.into()])]
}

fn variables_hint(checked: &Checked) -> String {
    let names = checked.policy.variables();
    if names.is_empty() { String::new() } else { format!("\nIt reads {}.", names.join(", ")) }
}

/// `@type` and what follows.
pub(super) fn typed(name: &str) -> Map {
    Map::new().with("@type", format!("{TYPE}.{name}"))
}

pub(super) fn text_value(text: &str) -> Map {
    Map::new().with("@type", "type.googleapis.com/google.protobuf.StringValue").with("value", text)
}

fn socket(address: &str) -> Map {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "0"));
    socket_address(host.trim_matches(['[', ']']), port.parse().unwrap_or(0))
}

pub(super) fn socket_address(host: &str, port: i64) -> Map {
    let address = Map::new().with("address", host).with("port_value", port);
    Map::new().with("socket_address", address)
}

fn listener(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let domains = match &gateway.hostname {
        Some(name) => vec![name.clone(), format!("{name}:*")],
        None => vec!["*".to_owned()],
    };
    let host = Map::new().with("name", gateway.name.as_str()).with("domains", domains).with(
        "routes",
        vec![
            Map::new().with("match", Map::new().with("prefix", "/")).with("route", action(checked)),
        ],
    );
    let router = Map::new()
        .with("name", "envoy.filters.http.router")
        .with("typed_config", typed("extensions.filters.http.router.v3.Router"));
    let manager =
        typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager")
            .with("stat_prefix", gateway.name.as_str())
            .why(
                "A client must not choose the cluster itself, whatever the plugins do.",
                "early_header_mutation_extensions",
                early_mutation(),
            )
            .with("route_config", Map::new().with("virtual_hosts", vec![host]))
            .with("http_filters", vec![filter(checked), router]);
    Map::new()
        .with("name", gateway.name.as_str())
        .with("address", socket(&gateway.listen))
        .why(
            "Prompts with pictures are larger than Envoy's 1 MiB: beyond this it answers 413.",
            "per_connection_buffer_limit_bytes",
            gateway.buffer_bytes,
        )
        .with(
            "filter_chains",
            vec![Map::new().with(
                "filters",
                vec![
            Map::new()
                .with("name", "envoy.filters.network.http_connection_manager")
                .with("typed_config", manager),
        ],
            )],
        )
}

pub(super) fn early_mutation() -> Yaml {
    let removals: Vec<_> =
        OWN_HEADERS.iter().map(|name| Map::new().with("remove", *name)).collect();
    vec![
        Map::new().with("name", "envoy.http.early_header_mutation.header_mutation").with(
            "typed_config",
            typed("extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation")
                .with("mutations", removals),
        ),
    ]
    .into()
}

/// What the route does: the plugin chooses the cluster, for each attempt.
pub(super) fn action(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let mut clusters = Map::new();
    for endpoint in &checked.providers {
        let action = Map::new().with("name", endpoint.cluster.as_str()).with(
            "typed_config",
            typed("extensions.router.cluster_specifiers.matcher.v3.ClusterAction")
                .with("cluster", endpoint.cluster.as_str()),
        );
        clusters.set(&endpoint.cluster, Map::new().with("action", action));
    }
    let state = typed("extensions.matching.common_inputs.network.v3.FilterStateInput")
        .with("key", CLUSTER_STATE);
    let tree = Map::new()
        .with("input", Map::new().with("name", "cluster").with("typed_config", state))
        .with("exact_match_map", Map::new().with("map", clusters));
    let matcher = typed("extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier")
        .with("cluster_matcher", Map::new().with("matcher_tree", tree));
    let extension = Map::new()
        .with("name", "envoy.router.cluster_specifier_plugin.matcher")
        .with("typed_config", matcher);
    Map::new()
        .why(
            "Each attempt goes to the cluster that the plugin names; it is asked for anew before a retry.\n\
             No other cluster can be chosen.",
            "inline_cluster_specifier_plugin",
            Map::new().with("extension", extension),
        )
        .why("A long answer may stream for minutes.", "timeout", seconds(gateway.timeout_seconds))
        .with("idle_timeout", seconds(gateway.idle_seconds))
        .with("retry_policy", retry_policy(checked))
}

fn retry_policy(checked: &Checked) -> Map {
    let retries = retries(&checked.policy.gateway, checked.providers.len());
    if checked.providers.len() < 2 {
        return retries;
    }
    retries.why("To the next target's cluster.", "refresh_cluster_on_retry", true)
}

/// The oldest Envoy that does what the policy needs: holding headers for their body, and for several
/// providers another cluster for a retry.
pub(super) fn oldest(checked: &Checked) -> &'static str {
    if checked.providers.len() < 2 { "1.35" } else { "1.39" }
}

/// Failures that another provider may not have. A client's mistake is not tried again.
pub(super) fn retries(gateway: &Gateway, providers: usize) -> Map {
    Map::new()
        .with("retry_on", "connect-failure,reset,5xx,retriable-status-codes")
        .with("retriable_status_codes", vec![429])
        .with("num_retries", i64::try_from(providers.clamp(1, 5)).unwrap_or(1))
        .with("per_try_idle_timeout", seconds((gateway.idle_seconds / 2).max(1)))
}

pub(super) fn seconds(value: i64) -> String {
    format!("{value}s")
}

/// The plugin in the listener.
fn filter(checked: &Checked) -> Map {
    wasm_filter(checked, "route", local(&checked.policy.gateway))
}

fn local(gateway: &Gateway) -> Map {
    Map::new().with("local", Map::new().with("filename", gateway.module.as_str()))
}

/// The plugin in one of its two roles, its module from `code`.
pub(super) fn wasm_filter(checked: &Checked, role: &str, code: Map) -> Map {
    Map::new().with("name", "ai-gateway").with("typed_config", wasm(checked, role, code))
}

pub(super) fn wasm(checked: &Checked, role: &str, code: Map) -> Map {
    let variables = checked.policy.variables();
    let mut machine = Map::new()
        // One store of shared data for both roles, and a machine for each: a call from one cannot
        // re-enter it.
        .with("vm_id", "ai-gateway")
        .with("runtime", "envoy.wasm.runtime.v8")
        .with("code", code)
        .why(
            "What it does here. One vm_id, two configurations: shared data, but no re-entry.",
            "configuration",
            text_value(role),
        );
    if !variables.is_empty() {
        machine.set("environment_variables", Map::new().with("host_env_keys", variables));
    }
    let config = Map::new()
        .with("name", "ai-gateway")
        .with("root_id", "ai-gateway")
        .why(
            "Needed: the request's headers wait for its body, which names the model.",
            "allow_on_headers_stop_iteration",
            true,
        )
        .with("failure_policy", "FAIL_RELOAD")
        .with("vm_config", machine)
        .with(
            "configuration",
            text_value(&format!("{}\n", Yaml::from(checked.policy.bundle()).json())),
        );
    typed("extensions.filters.http.wasm.v3.Wasm").with("config", config)
}

/// The plugin in a cluster, once per attempt.
pub(super) fn upstream_filters(checked: &Checked, code: Map) -> Map {
    let codec = Map::new()
        .with("name", "envoy.filters.http.upstream_codec")
        .with("typed_config", typed("extensions.filters.http.upstream_codec.v3.UpstreamCodec"));
    let options = typed("extensions.upstreams.http.v3.HttpProtocolOptions")
        .with("explicit_http_config", Map::new().with("http_protocol_options", Map::new()))
        .with("http_filters", vec![wasm_filter(checked, "translate", code), codec]);
    Map::new().with("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", options)
}

fn clusters(checked: &Checked) -> Vec<Map> {
    let gateway = &checked.policy.gateway;
    let mut clusters = Vec::new();
    for endpoint in &checked.providers {
        // Two providers may share a cluster, if its endpoints tell whose they are.
        if clusters
            .iter()
            .any(|one: &Map| one.get("name") == Some(&endpoint.cluster.as_str().into()))
        {
            continue;
        }
        let owner = Map::new().with("provider", endpoint.name.as_str());
        let metadata = Map::new().with("filter_metadata", Map::new().with("ai-gateway", owner));
        clusters.push(cluster(gateway, endpoint).with("metadata", metadata).why(
            "Runs once per attempt, after the host has been picked.",
            "typed_extension_protocol_options",
            upstream_filters(checked, local(gateway)),
        ));
    }
    // What the plugins call has no filters of theirs.
    clusters.extend(checked.services.iter().map(|service| {
        let http2 = service.grpc.then(http2);
        cluster(gateway, service).maybe("typed_extension_protocol_options", http2)
    }));
    clusters
}

/// Without it Envoy speaks HTTP/1.1, and no call of gRPC comes through.
fn http2() -> Map {
    let options = typed("extensions.upstreams.http.v3.HttpProtocolOptions")
        .with("explicit_http_config", Map::new().with("http2_protocol_options", Map::new()));
    Map::new().with("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", options)
}

fn cluster(gateway: &Gateway, endpoint: &Endpoint) -> Map {
    let address = socket_address(&endpoint.host, endpoint.port);
    let host = Map::new().with("endpoint", Map::new().with("address", address));
    Map::new()
        .with("name", endpoint.cluster.as_str())
        .with("type", "STRICT_DNS")
        .with("connect_timeout", "5s")
        .why(
            "Envoy lets three retries run at a time, and 1,024 requests; with more of either, fail-over\n\
             would not be tried and requests refused.",
            "circuit_breakers",
            circuit_breakers(),
        )
        .with("per_connection_buffer_limit_bytes", gateway.buffer_bytes)
        .with(
            "load_assignment",
            Map::new()
                .with("cluster_name", endpoint.cluster.as_str())
                .with("endpoints", vec![Map::new().with("lb_endpoints", vec![host])]),
        )
        .maybe("transport_socket", endpoint.tls.then(|| tls(gateway, &endpoint.host)))
}

pub(super) fn circuit_breakers() -> Map {
    let many = ["max_connections", "max_pending_requests", "max_requests"];
    let limits = many.iter().fold(Map::new(), |limits, name| limits.with(name, 10_000));
    Map::new().with("thresholds", vec![limits.with("max_retries", 1_000)])
}

/// TLS to a host, its certificate checked.
fn tls(gateway: &Gateway, host: &str) -> Map {
    let san_type = if host.parse::<IpAddr>().is_ok() { "IP_ADDRESS" } else { "DNS" };
    let names =
        vec![Map::new().with("san_type", san_type).with("matcher", Map::new().with("exact", host))];
    let validation = Map::new()
        .with("trusted_ca", Map::new().with("filename", gateway.authorities.as_str()))
        .with("match_typed_subject_alt_names", names);
    let context = typed("extensions.transport_sockets.tls.v3.UpstreamTlsContext")
        .with("sni", host)
        .with("common_tls_context", Map::new().with("validation_context", validation));
    Map::new().with("name", "envoy.transport_sockets.tls").with("typed_config", context)
}

/// Labels and buckets of metrics.
fn stats(checked: &Checked) -> Option<Yaml> {
    checked.policy.metrics.as_ref()?;
    let text = ai_metrics::names::stats_config();
    let whole: Yaml = serde_saphyr::from_str(&text).ok()?;
    whole.get("stats_config").cloned()
}
