//! Higress: a WasmPlugin with the bundle, McpBridge for the providers' addresses, an Ingress.

use super::File;
use super::kubernetes::{dns, resource, with_clusters};
use crate::check::{Checked, Endpoint};
use crate::yaml::{Map, Yaml};

pub(super) fn render(checked: &Checked, patch: bool) -> Vec<File> {
    let about = "Written by `aigw render --host higress`: kubectl apply -f higress.yaml\n\
                 Higress looks for WasmPlugin and McpBridge in its own namespace only, and for one McpBridge, `default`: where\n\
                 there is one, add these registries to it, since applying this takes its own away.";
    // Elsewhere it would not see them.
    let mut policy = checked.policy.clone();
    policy.gateway.namespace.get_or_insert_with(|| "higress-system".into());
    let (providers, services) = (checked.providers.clone(), checked.services.clone());
    let checked = &Checked { policy, providers, services, notes: Vec::new() };
    let mut documents: Vec<Yaml> = Vec::new();
    if !patch {
        documents.push(bridge(checked).into());
        documents.push(ingress(checked).into());
    }
    documents.push(plugin(checked).into());
    vec![File::new("higress.yaml", about, documents)]
}

/// Higress's name for the cluster of an address of the bridge.
fn cluster(endpoint: &Endpoint) -> String {
    format!("outbound|{}||{}", port(endpoint), service(endpoint))
}

/// Its name for the service. An address without a name is of kind `static`, which always has port 80.
fn service(endpoint: &Endpoint) -> String {
    format!("{}.{}", dns(&endpoint.name), kind(endpoint))
}

fn kind(endpoint: &Endpoint) -> &'static str {
    if endpoint.is_address() { "static" } else { "dns" }
}

fn port(endpoint: &Endpoint) -> i64 {
    if endpoint.is_address() { 80 } else { endpoint.port }
}

fn protocol(endpoint: &Endpoint) -> &'static str {
    match (endpoint.grpc, endpoint.tls) {
        (false, false) => "http",
        (false, true) => "https",
        (true, false) => "grpc",
        (true, true) => "grpcs",
    }
}

fn bridge(checked: &Checked) -> Map {
    let registries: Vec<Map> = checked
        .providers
        .iter()
        .chain(&checked.services)
        .map(|endpoint| {
            let domain = if endpoint.is_address() {
                format!("{}:{}", endpoint.host, endpoint.port)
            } else {
                endpoint.host.clone()
            };
            Map::new()
                .with("name", dns(&endpoint.name))
                .with("type", kind(endpoint))
                .with("domain", domain)
                .with("port", port(endpoint))
                .with("protocol", protocol(endpoint))
                .maybe("sni", endpoint.tls.then(|| endpoint.host.clone()))
        })
        .collect();
    let spec = Map::new().with("registries", registries);
    resource(checked, "networking.higress.io/v1", "McpBridge", "default", spec)
}

fn ingress(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let first = checked.providers.first();
    let destination = first
        .map(|endpoint| format!("{}:{}", service(endpoint), port(endpoint)))
        .unwrap_or_default();
    let mut annotations = Map::new().with("higress.io/destination", destination);
    if let Some(one) = first.filter(|endpoint| endpoint.tls) {
        annotations = annotations
            .with("higress.io/backend-protocol", "HTTPS")
            .with("higress.io/proxy-ssl-name", one.host.as_str())
            .with("higress.io/proxy-ssl-server-name", "on");
    }
    annotations.set("higress.io/timeout", gateway.timeout_seconds.to_string());
    let reference = Map::new()
        .with("apiGroup", "networking.higress.io")
        .with("kind", "McpBridge")
        .with("name", "default");
    let path = Map::new()
        .with("path", "/")
        .with("pathType", "Prefix")
        .with("backend", Map::new().with("resource", reference));
    let rule = Map::new()
        .maybe("host", gateway.hostname.clone())
        .with("http", Map::new().with("paths", vec![path]));
    let spec = Map::new().with("ingressClassName", "higress").with("rules", vec![rule]);
    let mut made = resource(checked, "networking.k8s.io/v1", "Ingress", &gateway.name, spec);
    if let Some(Yaml::Map(metadata)) = made.get_mut("metadata") {
        metadata.set("annotations", annotations);
    }
    made
}

fn plugin(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let mut bundle = with_clusters(checked, &cluster).policy.bundle();
    if let Some(Yaml::Map(proxy)) = bundle.get_mut("ai-proxy")
        && proxy.get("inline").is_none()
    {
        proxy.set("inline", if checked.providers.len() == 1 { "rewrite" } else { "call" });
    }
    let mut spec = Map::new()
        .with("defaultConfig", bundle)
        .with("defaultConfigDisable", false)
        .why(
            "A module that cannot run must not let everything through.",
            "failStrategy",
            "FAIL_CLOSE",
        )
        .with("imagePullPolicy", "IfNotPresent")
        .why(
            "After Higress's own authentication, before what acts on the answer.",
            "phase",
            "AUTHZ",
        )
        .with("priority", 100)
        .with("url", gateway.image.as_str());
    if let Some(sha256) = &gateway.sha256 {
        spec.set("sha256", sha256.as_str());
    }
    let variables: Vec<Map> = checked
        .policy
        .variables()
        .iter()
        .map(|name| Map::new().with("name", name.as_str()).with("valueFrom", "HOST"))
        .collect();
    if !variables.is_empty() {
        spec = spec.why(
            "From the gateway's pod, where they come from a Secret.",
            "vmConfig",
            Map::new().with("env", variables),
        );
    }
    resource(checked, "extensions.higress.io/v1alpha1", "WasmPlugin", "ai-gateway", spec)
}
