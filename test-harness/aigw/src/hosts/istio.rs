//! Istio's ingress gateway: ServiceEntry and DestinationRule per provider, one VirtualService, and the
//! EnvoyFilter that does what a WasmPlugin cannot.

use super::File;
use super::envoy::{action, circuit_breakers, oldest, seconds, upstream_filters, wasm_filter};
use super::kubernetes::{MOUNT, connection_manager, dns, mounted, resource, with_clusters};
use crate::check::{Checked, Endpoint};
use crate::yaml::{Map, Yaml};

const NETWORKING: &str = "networking.istio.io/v1";
/// The route whose action is replaced.
const ROUTE: &str = "ai-gateway";

pub(super) fn render(checked: &Checked, patch: bool) -> Vec<File> {
    let about = format!(
        "Written by `aigw render --host istio`: kubectl apply -f istio.yaml\n\
         Needs an Istio whose proxy is Envoy {} or newer, and the module's image mounted at {MOUNT}.",
        oldest(checked)
    );
    let mut documents: Vec<Yaml> = Vec::new();
    if !patch {
        documents.push(gateway(checked).into());
        documents.push(virtual_service(checked).into());
    }
    for endpoint in checked.providers.iter().chain(&checked.services) {
        documents.push(service_entry(checked, endpoint).into());
        documents.push(destination_rule(checked, endpoint).into());
    }
    documents.push(envoy_filter(checked).into());
    vec![File::new("istio.yaml", about, documents)]
}

/// A host of its own for each provider: two of them may have one address, and the clusters of their hosts
/// would be one, which could not say whose it is.
fn host(endpoint: &Endpoint) -> String {
    format!("{}.ai-gateway.internal", dns(&endpoint.name))
}

/// Istio's name for the cluster that reaches a ServiceEntry.
fn cluster(endpoint: &Endpoint) -> String {
    format!("outbound|{}||{}", endpoint.port, host(endpoint))
}

fn gateway(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let server = Map::new()
        .with("port", Map::new().with("number", 80).with("name", "http").with("protocol", "HTTP"))
        .with("hosts", vec![gateway.hostname.clone().unwrap_or_else(|| "*".into())]);
    let spec = Map::new()
        .with("selector", Map::new().with("istio", gateway.gateway.as_str()))
        .with("servers", vec![server]);
    resource(checked, NETWORKING, "Gateway", &gateway.name, spec)
}

fn virtual_service(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let first = checked.providers.first();
    let destination = Map::new()
        .with("host", first.map(host).unwrap_or_default())
        .with("port", Map::new().with("number", first.map_or(443, |endpoint| endpoint.port)));
    let route = Map::new()
        .with("name", ROUTE)
        .with("route", vec![Map::new().with("destination", destination)])
        .with("timeout", seconds(gateway.timeout_seconds));
    let spec = Map::new()
        .with("hosts", vec![gateway.hostname.clone().unwrap_or_else(|| "*".into())])
        .with("gateways", vec![gateway.name.clone()])
        .why(
            "The EnvoyFilter below has its action replaced: the plugin chooses.",
            "http",
            vec![route],
        );
    resource(checked, NETWORKING, "VirtualService", &gateway.name, spec)
}

fn service_entry(checked: &Checked, endpoint: &Endpoint) -> Map {
    let port = Map::new()
        .with("number", endpoint.port)
        .with("name", if endpoint.tls { "https" } else { "http" })
        // TLS begins at the gateway (DestinationRule), so that it reads and writes HTTP.
        .with("protocol", if endpoint.grpc { "GRPC" } else { "HTTP" });
    let address = Map::new().with("address", endpoint.host.as_str());
    let resolution = if endpoint.is_address() { "STATIC" } else { "DNS" };
    let spec = Map::new()
        .with("hosts", vec![host(endpoint)])
        .with("location", "MESH_EXTERNAL")
        .with("resolution", resolution)
        .with("endpoints", vec![address])
        .with("ports", vec![port]);
    resource(checked, NETWORKING, "ServiceEntry", &dns(&endpoint.name), spec)
}

fn destination_rule(checked: &Checked, endpoint: &Endpoint) -> Map {
    let tls = if endpoint.tls {
        Map::new()
            .with("mode", "SIMPLE")
            .with("sni", endpoint.host.as_str())
            .why(
                "The certificate must be for this name.",
                "subjectAltNames",
                vec![endpoint.host.as_str()],
            )
            .with("caCertificates", "system")
    } else {
        Map::new().with("mode", "DISABLE")
    };
    let connect = Map::new().with("tcp", Map::new().with("connectTimeout", "5s"));
    let policy = Map::new().with("connectionPool", connect).with("tls", tls);
    let spec = Map::new().with("host", host(endpoint)).with("trafficPolicy", policy);
    resource(checked, NETWORKING, "DestinationRule", &dns(&endpoint.name), spec)
}

fn envoy_filter(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let named = with_clusters(checked, &cluster);
    let manager = "envoy.filters.network.http_connection_manager";
    let chain = |inner: Map| {
        let filter = Map::new().with("filter", inner);
        Map::new().with("listener", Map::new().with("filterChain", filter))
    };
    let before = Map::new()
        .with("name", manager)
        .with("subFilter", Map::new().with("name", "envoy.filters.http.router"));
    let to_manager =
        Map::new().with("name", manager).with("typed_config", connection_manager(checked));
    let limit = Map::new().with("per_connection_buffer_limit_bytes", gateway.buffer_bytes);
    let named_route =
        Map::new().with("vhost", Map::new().with("route", Map::new().with("name", ROUTE)));
    let mut patches = vec![
        change(
            "HTTP_FILTER",
            chain(before),
            "INSERT_BEFORE",
            wasm_filter(&named, "route", mounted()),
        ),
        change("NETWORK_FILTER", chain(Map::new().with("name", manager)), "MERGE", to_manager),
        change("LISTENER", Map::new(), "MERGE", limit.clone()),
        change(
            "HTTP_ROUTE",
            Map::new().with("routeConfiguration", named_route),
            "MERGE",
            Map::new().with("route", action(&named)),
        ),
    ];
    for endpoint in &named.providers {
        let owner = Map::new().with("provider", endpoint.name.as_str());
        let metadata = Map::new().with("filter_metadata", Map::new().with("ai-gateway", owner));
        let value = limit
            .clone()
            .with("circuit_breakers", circuit_breakers())
            .with("metadata", metadata)
            .with("typed_extension_protocol_options", upstream_filters(&named, mounted()));
        let place = Map::new().with("cluster", Map::new().with("name", endpoint.cluster.as_str()));
        patches.push(change("CLUSTER", place, "MERGE", value));
    }
    let labels = Map::new().with("istio", gateway.gateway.as_str());
    let spec = Map::new()
        .with("workloadSelector", Map::new().with("labels", labels))
        .with("configPatches", patches);
    resource(checked, "networking.istio.io/v1alpha3", "EnvoyFilter", "ai-gateway", spec)
}

/// One patch, of the gateway alone.
fn change(what: &str, place: Map, operation: &str, value: Map) -> Map {
    let mut at = Map::new().with("context", "GATEWAY");
    for (key, value) in place.iter() {
        at.set(key, value.clone());
    }
    Map::new()
        .with("applyTo", what)
        .with("match", at)
        .with("patch", Map::new().with("operation", operation).with("value", value))
}
