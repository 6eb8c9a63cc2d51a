//! What the hosts on Kubernetes have in common.

use super::envoy::typed;
use crate::check::{Checked, Endpoint};
use crate::yaml::{Map, Yaml};

/// A resource of this kind.
pub(super) fn resource(checked: &Checked, version: &str, kind: &str, name: &str, spec: Map) -> Map {
    Map::new()
        .with("apiVersion", version)
        .with("kind", kind)
        .with(
            "metadata",
            Map::new().with("name", name).with("namespace", checked.policy.gateway.namespace()),
        )
        .with("spec", spec)
}

/// A name as Kubernetes takes it: lower case, digits, `-`.
pub(super) fn dns(name: &str) -> String {
    let name: String = name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    name.trim_matches('-').to_owned()
}

/// Removes from what clients send the headers by which plugins speak to each other.
pub(super) fn connection_manager(checked: &Checked) -> Map {
    typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager")
        .with("early_header_mutation_extensions", super::envoy::early_mutation())
        .with("stream_idle_timeout", super::envoy::seconds(checked.policy.gateway.idle_seconds))
}

/// The module as a file: the gateway's pod mounts the image there (a volume of kind `image`). In clusters
/// there is no other way, since hosts fetch modules for listeners only.
pub(super) fn mounted() -> Map {
    Map::new().with("local", Map::new().with("filename", MOUNTED))
}

/// Where it is mounted.
pub(super) const MOUNT: &str = "/opt/wasm-ai-gateway";
pub(super) const MOUNTED: &str = "/opt/wasm-ai-gateway/ai-gateway.wasm";

/// The volume of the module's image.
pub(super) fn volume(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let mut image = gateway.image.trim_start_matches("oci://").to_owned();
    if let Some(sha256) = gateway.sha256.as_ref().filter(|_| !image.contains('@')) {
        image = format!("{image}@sha256:{sha256}");
    }
    Map::new()
        .with("name", "ai-gateway")
        .with("image", Map::new().with("reference", image).with("pullPolicy", "IfNotPresent"))
}

/// Where the container has it.
pub(super) fn mount() -> Map {
    Map::new().with("name", "ai-gateway").with("mountPath", MOUNT).with("readOnly", true)
}

/// The variables that the configuration reads, from a Secret.
pub(super) fn variables(checked: &Checked) -> Vec<Map> {
    let from_secret = |name: &String| {
        let key = Map::new().with("name", "ai-gateway-keys").with("key", name.as_str());
        Map::new()
            .with("name", name.as_str())
            .with("valueFrom", Map::new().with("secretKeyRef", key))
    };
    checked.policy.variables().iter().map(from_secret).collect()
}

/// The policy with the host's own names of the clusters, of providers and of services.
pub(super) fn with_clusters(checked: &Checked, cluster: &dyn Fn(&Endpoint) -> String) -> Checked {
    let mut policy = checked.policy.clone();
    if let Yaml::List(providers) = &mut policy.providers {
        for (provider, endpoint) in providers.iter_mut().zip(&checked.providers) {
            if let Yaml::Map(provider) = provider {
                provider.set("cluster", cluster(endpoint));
            }
        }
    }
    policy.rename_clusters(&|name| {
        let mut all = checked.providers.iter().chain(&checked.services);
        all.find(|endpoint| endpoint.cluster == name).map(cluster)
    });
    let named = |endpoint: &Endpoint| Endpoint { cluster: cluster(endpoint), ..endpoint.clone() };
    Checked {
        policy,
        providers: checked.providers.iter().map(named).collect(),
        services: checked.services.iter().map(named).collect(),
        notes: Vec::new(),
    }
}
