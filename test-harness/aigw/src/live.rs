//! What runs: Envoy's `/config_dump`, APISIX's routes by its Admin API.

use crate::yaml::{Map, Yaml};

/// Longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// What an Envoy runs, as its file would be. Resources of xDS stand beside those of the file.
pub fn envoy(admin: &str) -> Result<Yaml, String> {
    from_dump(&get(&format!("{}/config_dump", admin.trim_end_matches('/')), None)?)
}

/// The routes of an APISIX; `key` is the Admin API's.
pub fn apisix(admin: &str, key: Option<&str>) -> Result<Yaml, String> {
    let url = format!("{}/apisix/admin/routes", admin.trim_end_matches('/'));
    let answer = get(&url, key)?;
    let routes: Vec<Yaml> = answer
        .get("list")
        .map(Yaml::items)
        .unwrap_or_default()
        .iter()
        .filter_map(|entry| entry.get("value").cloned())
        .collect();
    Ok(comparable(Map::new().with("routes", routes).into()))
}

/// A resource as a file has it: its place says its type.
fn untyped(mut resource: Yaml) -> Yaml {
    if let Yaml::Map(members) = &mut resource {
        members.remove("@type");
    }
    resource
}

/// APISIX's routes without what its Admin API adds: times, and defaults of its schema.
pub fn comparable(mut routes: Yaml) -> Yaml {
    if let Yaml::Map(whole) = &mut routes
        && let Some(Yaml::List(routes)) = whole.get_mut("routes")
    {
        let taken = std::mem::take(routes);
        routes.extend(taken.into_iter().map(as_written));
    }
    routes
}

fn as_written(mut route: Yaml) -> Yaml {
    if let Yaml::Map(route) = &mut route {
        route.remove("create_time");
        route.remove("update_time");
        for (key, default) in [("status", 1), ("priority", 0)] {
            if route.get(key) == Some(&Yaml::Int(default)) {
                route.remove(key);
            }
        }
        if let Some(Yaml::Map(upstream)) = route.get_mut("upstream") {
            for (key, default) in [("hash_on", "vars"), ("scheme", "http"), ("pass_host", "pass")] {
                if upstream.get(key).and_then(Yaml::text) == Some(default) {
                    upstream.remove(key);
                }
            }
        }
    }
    route
}

fn get(url: &str, key: Option<&str>) -> Result<Yaml, String> {
    let mut request = ureq::get(url);
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    let mut answer = request.call().map_err(|error| format!("{url}: {error}"))?;
    let text = answer
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .read_to_string()
        .map_err(|error| format!("{url}: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("{url}: not JSON: {error}"))
}

/// Puts the parts of a dump together.
pub fn from_dump(dump: &Yaml) -> Result<Yaml, String> {
    let configs = dump.get("configs").map(Yaml::items).ok_or("the dump has no `configs`")?;
    let part = |kind: &'static str| {
        configs.iter().filter(move |config| {
            config.get("@type").and_then(Yaml::text).is_some_and(|name| name.ends_with(kind))
        })
    };
    let mut whole = Map::new();
    for bootstrap in part(".BootstrapConfigDump") {
        // Of the node Envoy tells much more than was written.
        let mut node = Map::new();
        for key in ["id", "cluster"] {
            node = node.maybe(key, bootstrap.at(&["bootstrap", "node", key]).cloned());
        }
        if !node.is_empty() {
            whole.set("node", node);
        }
        for key in ["admin", "stats_config"] {
            if let Some(value) = bootstrap.at(&["bootstrap", key]) {
                whole.set(key, value.clone());
            }
        }
    }
    let collect = |kind: &'static str, lists: &[(&str, &[&str])]| {
        let mut found: Vec<Yaml> = Vec::new();
        for config in part(kind) {
            for (list, path) in lists {
                let items = config.get(list).map(Yaml::items).unwrap_or_default();
                found.extend(items.iter().filter_map(|item| item.at(path).cloned()).map(untyped));
            }
        }
        found
    };
    let listeners = collect(
        ".ListenersConfigDump",
        &[
            ("static_listeners", &["listener"]),
            ("dynamic_listeners", &["active_state", "listener"]),
        ],
    );
    let clusters = collect(
        ".ClustersConfigDump",
        &[("static_clusters", &["cluster"]), ("dynamic_active_clusters", &["cluster"])],
    );
    let extensions = collect(".EcdsConfigDump", &[("ecds_filters", &["ecds_filter"])]);
    let mut resources = Map::new().with("listeners", listeners).with("clusters", clusters);
    if !extensions.is_empty() {
        resources.set("extensions", extensions);
    }
    let routes = collect(".RoutesConfigDump", &[("dynamic_route_configs", &["route_config"])]);
    if !routes.is_empty() {
        resources.set("routes", routes);
    }
    whole.set("static_resources", resources);
    Ok(whole.into())
}
