//! Reads a configuration, of a file or of what runs, and names what would hurt.

use crate::yaml::Yaml;

/// The order of the plugins, the one nearest to the client first.
const ORDER: [&str; 6] = [
    "ai-metrics",
    "ai-auth",
    "prompt-guard",
    "semantic-cache-client",
    "token-ratelimit",
    "ai-proxy",
];
/// Envoy's own limit, in bytes: too small for prompts with pictures.
const ENVOYS_BUFFER: i64 = 1 << 20;

/// What would hurt, each with its place and what to do.
pub fn envoy(config: &Yaml) -> Vec<String> {
    let mut found = Vec::new();
    admin(config, &mut found);
    let resources = config.get("static_resources");
    let list =
        |key: &str| resources.and_then(|all| all.get(key)).map(Yaml::items).unwrap_or_default();
    let mut modules = Vec::new();
    for listener in list("listeners") {
        let name = format!("listener `{}`", named(listener));
        let plugins = plugins(listener);
        if plugins.is_empty() {
            continue;
        }
        buffer(listener, &name, &mut found);
        early_mutation(listener, &name, &mut found);
        order(&plugins, &name, &mut found);
        timeouts(listener, &name, &mut found);
        modules.extend(plugins.into_iter().map(|plugin| (name.clone(), plugin)));
    }
    for extension in list("extensions") {
        let name = format!("extension `{}`", named(extension));
        modules.extend(self::plugins(extension).into_iter().map(|plugin| (name.clone(), plugin)));
    }
    for cluster in list("clusters") {
        let name = format!("cluster `{}`", named(cluster));
        tls(cluster, &name, &mut found);
        let plugins = plugins(cluster);
        if !plugins.is_empty() {
            buffer(cluster, &name, &mut found);
            called(cluster, &modules, &name, &mut found);
            retries(cluster, &name, &mut found);
        }
        modules.extend(plugins.into_iter().map(|plugin| (name.clone(), plugin)));
    }
    if modules.is_empty() {
        found.push("there is no Wasm plugin anywhere in it".into());
    }
    for (place, plugin) in &modules {
        settings(plugin, place, &mut found);
    }
    machines(&modules, &mut found);
    metrics(config, &modules, &mut found);
    found
}

fn named(value: &Yaml) -> &str {
    value.get("name").and_then(Yaml::text).unwrap_or("?")
}

/// Every plugin's `config` in a part of a configuration, in order.
fn plugins(part: &Yaml) -> Vec<&Yaml> {
    let mut found = Vec::new();
    part.walk(&mut |value| {
        let kind = value.get("@type").and_then(Yaml::text);
        if kind.is_some_and(|kind| kind.ends_with("filters.http.wasm.v3.Wasm")) {
            found.extend(value.get("config"));
        }
    });
    found
}

fn admin(config: &Yaml, found: &mut Vec<String>) {
    let address =
        config.at(&["admin", "address", "socket_address", "address"]).and_then(Yaml::text);
    if address.is_some_and(|address| !matches!(address, "127.0.0.1" | "::1" | "localhost")) {
        found.push(
            "admin: listens beyond loopback; who reaches it can read the configuration and stop Envoy: \
             bind it to 127.0.0.1"
                .into(),
        );
    }
}

fn buffer(part: &Yaml, place: &str, found: &mut Vec<String>) {
    let limit = part.get("per_connection_buffer_limit_bytes").and_then(Yaml::int);
    if limit.unwrap_or(ENVOYS_BUFFER) <= ENVOYS_BUFFER {
        found.push(format!(
            "{place}: per_connection_buffer_limit_bytes is {}: prompts with pictures get 413; set \
             52428800",
            limit.map_or_else(|| "not set, which is 1 MiB".into(), |limit| limit.to_string())
        ));
    }
}

/// Envoy lets three retries run at a time.
fn retries(cluster: &Yaml, place: &str, found: &mut Vec<String>) {
    let thresholds = cluster.at(&["circuit_breakers", "thresholds"]).map(Yaml::items);
    if !thresholds.unwrap_or_default().iter().any(|one| one.get("max_retries").is_some()) {
        found.push(format!(
            "{place}: circuit_breakers.thresholds has no max_retries, which is 3: with more at a time, \
             fail-over is not tried; set 1000"
        ));
    }
}

fn early_mutation(listener: &Yaml, place: &str, found: &mut Vec<String>) {
    let mut removed = false;
    let mut chosen = false;
    listener.walk(&mut |value| {
        removed |= value.get("remove").and_then(Yaml::text) == Some("x-ai-cluster");
        chosen |= value.get("cluster_header").and_then(Yaml::text) == Some("x-ai-cluster");
    });
    if chosen && !removed {
        found.push(format!(
            "{place}: routes by x-ai-cluster without removing it from what clients send: a client could \
             choose the cluster wherever the plugin does not run; add early_header_mutation_extensions"
        ));
    }
}

fn order(plugins: &[&Yaml], place: &str, found: &mut Vec<String>) {
    let names: Vec<&str> = plugins.iter().map(|plugin| named(plugin)).collect();
    let ours: Vec<(usize, &str)> = names
        .iter()
        .filter_map(|name| ORDER.iter().position(|one| one == name).map(|at| (at, *name)))
        .collect();
    for pair in ours.windows(2) {
        if let [(first, before), (second, after)] = pair
            && first > second
        {
            found.push(format!("{place}: `{after}` must stand before `{before}`"));
        }
    }
    if names.contains(&"ai-gateway") && !ours.is_empty() {
        found.push(format!(
            "{place}: has the bundle and single plugins: each request is counted twice"
        ));
    }
}

/// Envoy's own fifteen seconds cut long answers.
fn timeouts(listener: &Yaml, place: &str, found: &mut Vec<String>) {
    listener.walk(&mut |value| {
        let Some(action) = value.get("route").filter(|_| value.get("match").is_some()) else {
            return;
        };
        if action.get("timeout").is_none() {
            found.push(format!(
                "{place}: a route has no timeout, which is 15 s: longer answers are cut; set 600s"
            ));
        }
        if action.get("retry_policy").is_some_and(|retry| {
            retry.get("refresh_cluster_on_retry").is_none() && retry.get("retry_priority").is_none()
        }) {
            found.push(format!(
                "{place}: retries stay with the provider that failed; set refresh_cluster_on_retry, or \
                 retry_priority where a cluster has priorities"
            ));
        }
    });
}

fn tls(cluster: &Yaml, place: &str, found: &mut Vec<String>) {
    cluster.walk(&mut |value| {
        let kind = value.get("@type").and_then(Yaml::text);
        if !kind.is_some_and(|kind| kind.ends_with("UpstreamTlsContext")) {
            return;
        }
        let yes = |name: &str| value.get(name) == Some(&Yaml::Bool(true));
        if value.get("sni").is_none() && !yes("auto_host_sni") {
            found.push(format!("{place}: TLS without `sni`: most providers refuse it"));
        }
        let context = value.at(&["common_tls_context", "validation_context"]);
        if context.is_none_or(|context| context.get("trusted_ca").is_none()) {
            found.push(format!(
                "{place}: the provider's certificate is not checked: anybody between could read keys and \
                 prompts; set validation_context.trusted_ca"
            ));
        } else if !yes("auto_sni_san_validation")
            && context.is_some_and(|context| context.get("match_typed_subject_alt_names").is_none())
        {
            found.push(format!(
                "{place}: any certificate of a trusted authority is taken; set auto_sni_san_validation, or \
                 match_typed_subject_alt_names"
            ));
        }
    });
}

fn settings(plugin: &Yaml, place: &str, found: &mut Vec<String>) {
    let name = named(plugin);
    if plugin.get("allow_on_headers_stop_iteration") != Some(&Yaml::Bool(true)) {
        found.push(format!(
            "{place}: `{name}` lacks `allow_on_headers_stop_iteration: true`: requests with a body hang"
        ));
    }
    if plugin.get("failure_policy").and_then(Yaml::text) != Some("FAIL_RELOAD") {
        found.push(format!(
            "{place}: `{name}` has no `failure_policy: FAIL_RELOAD`: should it ever fail, its worker \
             answers 503 from then on"
        ));
    }
}

/// A call to a cluster whose filter is in the caller's own machine would enter it a second time.
fn machines(modules: &[(String, &Yaml)], found: &mut Vec<String>) {
    let id = |plugin: &Yaml| {
        plugin.at(&["vm_config", "vm_id"]).and_then(Yaml::text).unwrap_or_default().to_owned()
    };
    let role = |plugin: &Yaml| plugin.at(&["vm_config", "configuration"]).map(Yaml::json);
    let code = |plugin: &Yaml| plugin.at(&["vm_config", "code"]).map(Yaml::json);
    for (at, (place, plugin)) in modules.iter().enumerate() {
        for (other_place, other) in modules.iter().skip(at + 1) {
            let same_id = id(plugin) == id(other);
            if same_id && named(plugin) != named(other) && code(plugin) != code(other) {
                found.push(format!(
                    "{place}, {other_place}: `{}` and `{}` are different modules with one vm_id (`{}`): \
                     give each its own",
                    named(plugin),
                    named(other),
                    id(plugin)
                ));
            }
            let sides = place.starts_with("cluster") != other_place.starts_with("cluster");
            if same_id && sides && code(plugin) == code(other) && role(plugin) == role(other) {
                found.push(format!(
                    "{place}, {other_place}: `{}` has the same vm_id and vm_config.configuration in both: \
                     a call would enter its machine a second time and end it; give the two roles \
                     different vm_config.configuration",
                    named(plugin)
                ));
            }
        }
    }
}

/// What plugins call must have no filter of theirs.
fn called(cluster: &Yaml, modules: &[(String, &Yaml)], place: &str, found: &mut Vec<String>) {
    let name = named(cluster);
    for (_, plugin) in modules {
        let Some(text) = plugin.at(&["configuration", "value"]).and_then(Yaml::text) else {
            continue;
        };
        let Ok(config) = serde_json::from_str::<Yaml>(text) else { continue };
        let mut calls = false;
        config.walk(&mut |value| {
            calls |= value.get("upstream").and_then(Yaml::text) == Some(name);
        });
        if calls {
            found.push(format!(
                "{place}: `{}` calls it, and it has a plugin itself; make a cluster without filters",
                named(plugin)
            ));
        }
    }
}

fn metrics(config: &Yaml, modules: &[(String, &Yaml)], found: &mut Vec<String>) {
    let counts = modules.iter().any(|(_, plugin)| {
        let value = plugin.at(&["configuration", "value"]).and_then(Yaml::text).unwrap_or_default();
        named(plugin) == "ai-metrics" || value.contains("\"ai-metrics\"")
    });
    let tags = config.at(&["stats_config", "stats_tags"]).map(Yaml::items).unwrap_or_default();
    if counts && tags.is_empty() {
        found.push(
            "stats_config: has no stats_tags: labels stay part of the metrics' names; copy them from \
             envoy-examples/bundle/envoy.yaml"
                .into(),
        );
    }
}

/// The same for the routes of an APISIX.
pub fn apisix(config: &Yaml) -> Vec<String> {
    let mut found = Vec::new();
    let mut any = false;
    for route in config.get("routes").map(Yaml::items).unwrap_or_default() {
        let name = ["id", "name", "uri"].iter().find_map(|key| route.get(key).and_then(Yaml::text));
        let place = format!("route `{}`", name.unwrap_or("?"));
        let Some(plugins) = route.get("plugins") else { continue };
        let Some(conf) = plugins.at(&["wasm-ai-gateway", "conf"]) else {
            let single: Vec<_> = ORDER
                .iter()
                .filter(|name| plugins.get(&format!("wasm-{name}")).is_some())
                .collect();
            if single.len() > 1 {
                found.push(format!(
                    "{place}: {} single plugins: on APISIX they cannot change each other's bodies; use \
                     the bundle, wasm-ai-gateway",
                    single.len()
                ));
            }
            continue;
        };
        any = true;
        let text = conf.text().map(serde_json::from_str::<Yaml>);
        let conf = match &text {
            Some(Ok(read)) => read,
            Some(Err(_)) => {
                found.push(format!("{place}: `conf` is a text, but no JSON"));
                continue;
            }
            None => conf,
        };
        let inline = conf.at(&["ai-proxy", "inline"]).and_then(Yaml::text).unwrap_or("auto");
        let bridge = plugins.get("serverless-pre-function").is_some()
            && plugins.get("serverless-post-function").is_some();
        if inline == "rewrite" && !bridge {
            found.push(format!(
                "{place}: `inline: rewrite` without the bridge: add serverless-pre-function and \
                 serverless-post-function, or nothing is translated"
            ));
        }
        if bridge && conf.at(&["ai-proxy", "bridge"]) != Some(&Yaml::Bool(true)) {
            found.push(format!(
                "{place}: has the functions of the bridge, but ai-proxy lacks `bridge: true`: bodies pass \
                 as they are"
            ));
        }
        let providers = conf.at(&["ai-proxy", "providers"]).map(Yaml::items).unwrap_or_default();
        if inline == "rewrite" && providers.len() > 1 {
            found.push(format!(
                "{place}: `inline: rewrite` with {} providers: all requests go to the route's one \
                 upstream; use `inline: call`, or a route for each",
                providers.len()
            ));
        }
        let host = route.at(&["upstream", "pass_host"]).and_then(Yaml::text);
        // `pass` unless said.
        if bridge && host.is_some_and(|host| host != "pass") {
            found.push(format!(
                "{place}: upstream.pass_host must be `pass`: the plugin sets the host name"
            ));
        }
        if plugins.get("proxy-buffering").is_some() {
            found.push(format!(
                "{place}: proxy-buffering drops the module's context: answers are not seen; take it out"
            ));
        }
        if plugins.get("ai-proxy").is_some() || plugins.get("ai-proxy-multi").is_some() {
            found.push(format!(
                "{place}: APISIX's own ai-proxy runs as well; one of the two must go"
            ));
        }
    }
    if !any && found.is_empty() {
        found.push("no route has wasm-ai-gateway".into());
    }
    found
}
