//! Envoy Gateway: Gateway API resources, an EnvoyExtensionPolicy for the module, and an EnvoyPatchPolicy
//! for what that cannot say.

use super::File;
use super::envoy::{OWN_HEADERS, action, oldest, seconds, text_value, upstream_filters};
use super::kubernetes::{dns, mount, mounted, resource, variables, volume, with_clusters};
use crate::check::{Checked, Endpoint};
use crate::yaml::{Map, Yaml};

const GATEWAY_API: &str = "gateway.networking.k8s.io/v1";
const OWN_API: &str = "gateway.envoyproxy.io/v1alpha1";
/// The plugin's filter, however Envoy Gateway names it.
const OUR_FILTER: &str = "..http_filters[?(@.typed_config.config.name==\"ai-gateway\")]";

pub(super) fn render(checked: &Checked, patch: bool) -> Vec<File> {
    let about = format!(
        "Written by `aigw render --host envoy-gateway`: kubectl apply -f envoy-gateway.yaml\n\
         Needs an Envoy Gateway whose proxy is Envoy {} or newer, with `extensionApis: {{enableBackend: \
         true, enableEnvoyPatchPolicy: true}}`.",
        oldest(checked)
    );
    let named = with_clusters(checked, &|endpoint| cluster(checked, endpoint));
    let mut documents: Vec<Yaml> = Vec::new();
    if !patch {
        documents.push(proxy(checked).into());
        documents.push(gateway(checked).into());
    }
    documents.push(route(checked).into());
    for endpoint in endpoints(checked) {
        documents.push(backend(checked, endpoint).into());
        if endpoint.tls {
            documents.push(backend_tls(checked, endpoint).into());
        }
    }
    documents.push(client_policy(checked).into());
    documents.push(backend_policy(checked).into());
    documents.push(extension(&named).into());
    documents.push(patches(&named).into());
    vec![File::new("envoy-gateway.yaml", about, documents)]
}

/// Envoy Gateway's name for the cluster of a rule.
fn cluster(checked: &Checked, endpoint: &Endpoint) -> String {
    let gateway = &checked.policy.gateway;
    let rule = endpoints(checked).position(|one| one.name == endpoint.name).unwrap_or_default();
    format!("httproute/{}/{}/rule/{rule}", gateway.namespace(), gateway.name)
}

/// All that there are clusters for, in the order of the rules.
fn endpoints(checked: &Checked) -> impl Iterator<Item = &Endpoint> {
    checked.providers.iter().chain(&checked.services)
}

/// The proxies themselves: the module's image mounted, secrets as variables.
fn proxy(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let container = Map::new().with("volumeMounts", vec![mount()]).with("env", variables(checked));
    let deployment = Map::new()
        .with("pod", Map::new().with("volumes", vec![volume(checked)]))
        .with("container", container);
    let provider = Map::new()
        .with("type", "Kubernetes")
        .with("kubernetes", Map::new().with("envoyDeployment", deployment));
    let mut spec = Map::new().with("provider", provider);
    if checked.policy.metrics.is_some() {
        spec = spec.why(
            "Labels and buckets of the metrics.",
            "bootstrap",
            Map::new().with("type", "Merge").with("value", ai_metrics::names::stats_config()),
        );
    }
    resource(checked, OWN_API, "EnvoyProxy", &gateway.name, spec)
}

fn gateway(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let listener = Map::new()
        .with("name", "http")
        .with("protocol", "HTTP")
        .with("port", 80)
        .maybe("hostname", gateway.hostname.clone());
    let parameters = Map::new()
        .with("group", "gateway.envoyproxy.io")
        .with("kind", "EnvoyProxy")
        .with("name", gateway.name.as_str());
    let spec = Map::new()
        .with("gatewayClassName", "eg")
        .with("infrastructure", Map::new().with("parametersRef", parameters))
        .with("listeners", vec![listener]);
    resource(checked, GATEWAY_API, "Gateway", &gateway.gateway, spec)
}

/// A rule for each provider and service, which makes its cluster, and one for what no plugin has seen yet:
/// Envoy Gateway runs the plugin on routes only. The header is the plugin's; no client can send it.
fn route(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let backend = |endpoint: &Endpoint| {
        vec![
            Map::new()
                .with("group", "gateway.envoyproxy.io")
                .with("kind", "Backend")
                .with("name", dns(&endpoint.name)),
        ]
    };
    let path = || Map::new().with("path", Map::new().with("type", "PathPrefix").with("value", "/"));
    let mut rules: Vec<Map> = Vec::new();
    for endpoint in endpoints(checked) {
        let header =
            Map::new().with("name", "x-ai-cluster").with("value", cluster(checked, endpoint));
        rules.push(
            Map::new()
                .with("matches", vec![path().with("headers", vec![header])])
                .with("backendRefs", backend(endpoint)),
        );
    }
    if let Some(first) = checked.providers.first() {
        rules.push(Map::new().with("matches", vec![path()]).with("backendRefs", backend(first)));
    }
    let spec = Map::new()
        .with("parentRefs", vec![Map::new().with("name", gateway.gateway.as_str())])
        .maybe("hostnames", gateway.hostname.clone().map(|name| vec![name]))
        .with("rules", rules);
    resource(checked, GATEWAY_API, "HTTPRoute", &gateway.name, spec)
}

fn backend(checked: &Checked, endpoint: &Endpoint) -> Map {
    let (kind, member) =
        if endpoint.is_address() { ("ip", "address") } else { ("fqdn", "hostname") };
    let address = Map::new().with(member, endpoint.host.as_str()).with("port", endpoint.port);
    let http2 = endpoint.grpc.then(|| vec!["gateway.envoyproxy.io/h2c"]);
    let spec = Map::new()
        .with("endpoints", vec![Map::new().with(kind, address)])
        .maybe("appProtocols", http2);
    resource(checked, OWN_API, "Backend", &dns(&endpoint.name), spec)
}

fn backend_tls(checked: &Checked, endpoint: &Endpoint) -> Map {
    let target = Map::new()
        .with("group", "gateway.envoyproxy.io")
        .with("kind", "Backend")
        .with("name", dns(&endpoint.name));
    let validation = Map::new()
        .with("wellKnownCACertificates", "System")
        .with("hostname", endpoint.host.as_str());
    let spec = Map::new().with("targetRefs", vec![target]).with("validation", validation);
    resource(
        checked,
        "gateway.networking.k8s.io/v1",
        "BackendTLSPolicy",
        &dns(&endpoint.name),
        spec,
    )
}

fn target(kind: &str, name: &str) -> Vec<Map> {
    vec![
        Map::new().with("group", "gateway.networking.k8s.io").with("kind", kind).with("name", name),
    ]
}

fn client_policy(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let spec = Map::new()
        .with("targetRefs", target("Gateway", &gateway.gateway))
        .why(
            "Prompts with pictures are larger than what is usual.",
            "connection",
            Map::new().with("bufferLimit", gateway.buffer_bytes),
        )
        .why(
            "A client must not choose the cluster itself.",
            "headers",
            Map::new().with("earlyRequestHeaders", Map::new().with("remove", OWN_HEADERS.to_vec())),
        )
        .with(
            "timeout",
            Map::new()
                .with("http", Map::new().with("streamIdleTimeout", seconds(gateway.idle_seconds))),
        );
    resource(checked, OWN_API, "ClientTrafficPolicy", &gateway.name, spec)
}

fn backend_policy(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let timeouts = Map::new()
        .with("tcp", Map::new().with("connectTimeout", "5s"))
        .with("http", Map::new().with("requestTimeout", seconds(gateway.timeout_seconds)));
    let retry = Map::new()
        .with("numRetries", i64::try_from(checked.providers.len().clamp(1, 5)).unwrap_or(1))
        .with(
            "retryOn",
            Map::new()
                .with("triggers", vec!["connect-failure", "reset", "5xx", "retriable-status-codes"])
                .with("httpStatusCodes", vec![429]),
        );
    let spec = Map::new()
        .with("targetRefs", target("HTTPRoute", &gateway.name))
        .with("connection", Map::new().with("bufferLimit", gateway.buffer_bytes))
        .why(
            "Envoy lets three retries run at a time: with more, fail-over would not be tried.",
            "circuitBreaker",
            Map::new()
                .with("maxConnections", 10_000)
                .with("maxPendingRequests", 10_000)
                .with("maxParallelRequests", 10_000)
                .with("maxParallelRetries", 1_000),
        )
        .with("timeout", timeouts)
        .with("retry", retry);
    resource(checked, OWN_API, "BackendTrafficPolicy", &gateway.name, spec)
}

/// The module before the router. Its role stands in its configuration: the policy cannot configure the VM.
fn extension(named: &Checked) -> Map {
    let gateway = &named.policy.gateway;
    let mut bundle = named.policy.bundle();
    if let Some(Yaml::Map(proxy)) = bundle.get_mut("ai-proxy") {
        proxy.set("role", "route");
    }
    let image = Map::new()
        .with("url", gateway.image.trim_start_matches("oci://"))
        .maybe("sha256", gateway.sha256.clone());
    let mut plugin = Map::new()
        .with("name", "ai-gateway")
        .with("rootID", "ai-gateway")
        .with("code", Map::new().with("type", "Image").with("image", image))
        .why("A module that cannot run must not let everything through.", "failOpen", false)
        .with("config", bundle);
    let variables = named.policy.variables();
    if !variables.is_empty() {
        plugin.set("env", Map::new().with("hostKeys", variables));
    }
    let spec = Map::new()
        .with("targetRefs", target("HTTPRoute", &gateway.name))
        .with("wasm", vec![plugin]);
    resource(named, OWN_API, "EnvoyExtensionPolicy", &gateway.name, spec)
}

fn patches(named: &Checked) -> Map {
    let gateway = &named.policy.gateway;
    let listener = format!("{}/{}/http", gateway.namespace(), gateway.gateway);
    let patch = |kind: &str, name: &str, operation: Map| {
        Map::new()
            .with("type", format!("type.googleapis.com/envoy.config.{kind}"))
            .with("name", name)
            .with("operation", operation)
    };
    let add = |path: &str, value: Yaml| {
        Map::new().with("op", "add").with("path", path).with("value", value)
    };
    let in_filter = |path: &str, value: Yaml| {
        Map::new()
            .with("op", "add")
            .with("jsonPath", OUR_FILTER)
            .with("path", path)
            .with("value", value)
    };
    let mut all = vec![
        patch(
            "listener.v3.Listener",
            &listener,
            in_filter("typed_config/config/allow_on_headers_stop_iteration", true.into()),
        ),
        patch(
            "listener.v3.Listener",
            &listener,
            in_filter("typed_config/config/failure_policy", "FAIL_RELOAD".into()),
        ),
        // Shared data with the clusters' copy, but not its machine.
        patch(
            "listener.v3.Listener",
            &listener,
            in_filter("typed_config/config/vm_config/vm_id", "ai-gateway".into()),
        ),
        patch(
            "listener.v3.Listener",
            &listener,
            in_filter("typed_config/config/vm_config/configuration", text_value("route").into()),
        ),
    ];
    for rule in 0..=endpoints(named).count() {
        all.push(patch(
            "route.v3.RouteConfiguration",
            &listener,
            Map::new()
                .with("op", "replace")
                .with("path", format!("/virtual_hosts/0/routes/{rule}/route"))
                .with("value", action(named)),
        ));
    }
    for endpoint in &named.providers {
        let owner = Map::new().with("provider", endpoint.name.as_str());
        let metadata = Map::new().with("filter_metadata", Map::new().with("ai-gateway", owner));
        all.push(patch("cluster.v3.Cluster", &endpoint.cluster, add("/metadata", metadata.into())));
        all.push(patch(
            "cluster.v3.Cluster",
            &endpoint.cluster,
            add("/typed_extension_protocol_options", upstream_filters(named, mounted()).into()),
        ));
    }
    let reference = Map::new()
        .with("group", "gateway.networking.k8s.io")
        .with("kind", "Gateway")
        .with("name", gateway.gateway.as_str());
    let spec =
        Map::new().with("targetRef", reference).with("type", "JSONPatch").with("jsonPatches", all);
    resource(named, OWN_API, "EnvoyPatchPolicy", &gateway.name, spec)
}
