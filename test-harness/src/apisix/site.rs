//! What `config.yaml` and `apisix.yaml` say.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{bridge, conf};

/// A configured gateway.
#[derive(Debug, Default)]
pub struct Site {
    /// The Wasm plugins that `config.yaml` registers.
    pub plugins: Vec<WasmPlugin>,
    /// nginx variables that its snippet declares.
    pub variables: Vec<String>,
    /// Environment variables that the workers see.
    pub env: Vec<String>,
    /// The routes of `apisix.yaml`.
    pub routes: Vec<Route>,
    /// Consumers' keys of key-auth, and whose each is.
    pub keys: BTreeMap<String, String>,
}

/// A registered Wasm plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasmPlugin {
    /// Its name in routes.
    pub name: String,
    /// Among the plugins of a route, the highest is first.
    pub priority: i64,
    /// Where `config.yaml` says the module is.
    pub file: PathBuf,
    /// It runs in the rewrite phase, not in the access phase.
    pub rewrite: bool,
}

/// A route.
#[derive(Debug, Default)]
pub struct Route {
    uris: Vec<String>,
    methods: Vec<String>,
    priority: i64,
    /// In the order of the request phases.
    pub plugins: Vec<Plugin>,
    /// The answer's pieces go through the bridge.
    pub bridges_answers: bool,
    /// Where requests go unless `traffic-split` says otherwise.
    pub upstream: Option<Upstream>,
}

/// A plugin of a route, as far as the request phases know it.
#[derive(Debug)]
pub enum Plugin {
    /// Asks for a consumer's key in this header.
    KeyAuth {
        /// The header.
        header: String,
        /// It is not sent on.
        hidden: bool,
    },
    /// A Wasm plugin, and its `conf` as the module gets it.
    Wasm(String, Vec<u8>),
    /// The bridge's function for requests.
    BridgesRequests,
    /// Upstreams by what a variable is.
    TrafficSplit(Vec<(String, String, Upstream)>),
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// `http` or `https`.
    pub scheme: String,
    /// `host:port` of the first node.
    pub node: String,
    /// The host name that is sent is the client's, or what a plugin has set.
    pub pass_host: bool,
    /// Milliseconds without a byte of the answer.
    pub read_timeout_ms: u64,
}

/// A file that APISIX would not take, or that has something which is not played here.
#[derive(Debug, PartialEq, Eq)]
pub struct SiteError(pub String);

impl fmt::Display for SiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SiteError {}

type Fields = Map<String, Value>;

impl Site {
    /// Reads both files, as JSON.
    ///
    /// # Errors
    /// If APISIX would not take them, or if they have something that is not played here.
    pub fn read(config: &Value, routes: &Value) -> Result<Site, SiteError> {
        let mut site = Site::default();
        site.read_config(map(Some(config)))?;
        site.read_routes(map(Some(routes)))?;
        Ok(site)
    }

    /// The route for a request: an exact path goes before a prefix, a longer prefix before a shorter.
    pub fn route(&self, method: &str, path: &str) -> Option<usize> {
        let fit = |route: &Route| {
            let by_method = route.methods.is_empty() || route.methods.iter().any(|m| m == method);
            let fits = |uri: &String| match uri.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix).then_some((false, prefix.len())),
                None => (uri == path).then_some((true, uri.len())),
            };
            route.uris.iter().filter(|_| by_method).filter_map(fits).max()
        };
        let fits = |(index, route): (usize, &Route)| {
            Some(((fit(route)?, route.priority, std::cmp::Reverse(index)), index))
        };
        self.routes.iter().enumerate().filter_map(fits).max().map(|(_, index)| index)
    }

    fn read_config(&mut self, config: &Fields) -> Result<(), SiteError> {
        only(
            config,
            "config.yaml",
            &["deployment", "apisix", "wasm", "nginx_config", "plugins", "plugin_attr"],
        )?;
        let nginx = map(config.get("nginx_config"));
        only(nginx, "nginx_config", &["http_server_location_configuration_snippet", "envs"])?;
        let snippet = text(nginx, "http_server_location_configuration_snippet").unwrap_or_default();
        for statement in snippet.split(';').map(str::trim).filter(|s| !s.is_empty()) {
            let name = statement.strip_prefix("set $").and_then(|rest| rest.strip_suffix(" \"\""));
            let name = name.ok_or_else(|| SiteError(format!("not played here: {statement}")))?;
            self.variables.push(name.to_owned());
        }
        self.env = strings(nginx.get("envs"));
        for plugin in list(map(config.get("wasm")).get("plugins")) {
            let plugin = map(Some(plugin));
            only(plugin, "wasm.plugins", &["name", "priority", "file", "http_request_phase"])?;
            let missing = || SiteError("wasm.plugins: name, priority and file are needed".into());
            let phase = text(plugin, "http_request_phase").unwrap_or("access");
            if !["access", "rewrite"].contains(&phase) {
                return Err(SiteError(format!("http_request_phase: {phase}")));
            }
            self.plugins.push(WasmPlugin {
                name: text(plugin, "name").ok_or_else(missing)?.into(),
                priority: plugin.get("priority").and_then(Value::as_i64).ok_or_else(missing)?,
                file: text(plugin, "file").ok_or_else(missing)?.into(),
                rewrite: phase == "rewrite",
            });
        }
        Ok(())
    }

    fn read_routes(&mut self, all: &Fields) -> Result<(), SiteError> {
        only(all, "apisix.yaml", &["routes", "upstreams", "consumers", "plugin_configs"])?;
        for consumer in list(all.get("consumers")) {
            let consumer = map(Some(consumer));
            only(consumer, "consumers", &["username", "desc", "plugins"])?;
            let name = text(consumer, "username").unwrap_or_default();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(SiteError(format!("consumers: username `{name}`")));
            }
            let key = map(map(consumer.get("plugins")).get("key-auth"));
            if let Some(key) = text(key, "key") {
                self.keys.insert(key.into(), name.into());
            }
        }
        for route in list(all.get("routes")) {
            let route = self.read_route(map(Some(route)), all)?;
            self.routes.push(route);
        }
        if self.routes.is_empty() {
            return Err(SiteError("apisix.yaml has no routes".into()));
        }
        Ok(())
    }

    fn read_route(&self, route: &Fields, all: &Fields) -> Result<Route, SiteError> {
        only(
            route,
            "routes",
            &[
                "id",
                "name",
                "desc",
                "uri",
                "uris",
                "methods",
                "priority",
                "plugins",
                "plugin_config_id",
                "upstream",
                "upstream_id",
            ],
        )?;
        let mut uris = strings(route.get("uris"));
        uris.extend(text(route, "uri").map(Into::into));
        if uris.is_empty() || uris.iter().any(|uri| !uri.starts_with('/')) {
            return Err(SiteError("routes: `uri` or `uris`, beginning with /".into()));
        }
        let mut plugins = map(by_id(all, "plugin_configs", route.get("plugin_config_id"))?
            .and_then(|found| found.get("plugins")))
        .clone();
        plugins.extend(map(route.get("plugins")).clone());
        let upstream = match by_id(all, "upstreams", route.get("upstream_id"))? {
            Some(found) => Some(read_upstream(found)?),
            None => match route.get("upstream") {
                Some(inline) => Some(read_upstream(map(Some(inline)))?),
                None => None,
            },
        };
        let mut ordered = Vec::new();
        let mut bridges_answers = false;
        for (name, conf) in &plugins {
            let fields = map(Some(conf));
            match name.as_str() {
                // They do nothing to a request.
                "prometheus" => {}
                "key-auth" => {
                    only(fields, name, &["header", "hide_credentials"])?;
                    let header = text(fields, "header").unwrap_or("apikey").to_owned();
                    let hidden = fields.get("hide_credentials") == Some(&Value::Bool(true));
                    ordered.push((false, 2500, Plugin::KeyAuth { header, hidden }));
                }
                "traffic-split" => {
                    ordered.push((true, 966, Plugin::TrafficSplit(read_split(fields, all)?)));
                }
                "serverless-pre-function" => {
                    function(fields, name, "access", bridge::is_request)?;
                    ordered.push((true, 10_000, Plugin::BridgesRequests));
                }
                "serverless-post-function" => {
                    function(fields, name, "body_filter", bridge::is_response)?;
                    bridges_answers = true;
                }
                bridge::PLUGIN => {
                    ordered.push((true, -2000, Plugin::BridgesRequests));
                    bridges_answers = true;
                }
                name => {
                    let plugin = self.plugins.iter().find(|plugin| plugin.name == name);
                    let plugin = plugin.ok_or_else(|| {
                        SiteError(format!("unknown plugin {name}: APISIX drops the route"))
                    })?;
                    only(fields, name, &["conf", "_meta"])?;
                    let conf = fields.get("conf").unwrap_or(&Value::Null);
                    let conf = conf::bytes(conf).map_err(|e| SiteError(format!("{name}: {e}")))?;
                    let wasm = Plugin::Wasm(name.to_owned(), conf);
                    ordered.push((!plugin.rewrite, plugin.priority, wasm));
                }
            }
        }
        ordered.sort_by_key(|(access, priority, _)| (*access, std::cmp::Reverse(*priority)));
        Ok(Route {
            uris,
            methods: strings(route.get("methods")),
            priority: route.get("priority").and_then(Value::as_i64).unwrap_or(0),
            plugins: ordered.into_iter().map(|(_, _, plugin)| plugin).collect(),
            bridges_answers,
            upstream,
        })
    }
}

impl Route {
    /// The `conf` of a Wasm plugin, as the module gets it.
    pub fn conf(&self, name: &str) -> Option<Vec<u8>> {
        self.wasm().find(|(plugin, _)| *plugin == name).map(|(_, conf)| conf.to_vec())
    }

    /// Its Wasm plugins in order, each with its `conf`.
    pub fn wasm(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.plugins.iter().filter_map(|plugin| match plugin {
            Plugin::Wasm(name, conf) => Some((name.as_str(), conf.as_slice())),
            _ => None,
        })
    }
}

fn read_upstream(fields: &Fields) -> Result<Upstream, SiteError> {
    only(
        fields,
        "upstream",
        &[
            "id",
            "name",
            "desc",
            "type",
            "nodes",
            "scheme",
            "pass_host",
            "timeout",
            "retries",
            "upstream_host",
        ],
    )?;
    let nodes = match fields.get("nodes") {
        Some(Value::Object(nodes)) => nodes.keys().next().cloned(),
        Some(Value::Array(nodes)) => nodes.first().map(|node| {
            let node = map(Some(node));
            let port = node.get("port").and_then(Value::as_u64).unwrap_or(80);
            format!("{}:{port}", text(node, "host").unwrap_or_default())
        }),
        _ => None,
    };
    let node = nodes.ok_or_else(|| SiteError("upstream: no nodes".into()))?;
    let scheme = text(fields, "scheme").unwrap_or("http").to_owned();
    let pass_host = match text(fields, "pass_host").unwrap_or("pass") {
        "pass" => true,
        "node" => false,
        other => return Err(SiteError(format!("pass_host: {other} is not played here"))),
    };
    let timeout = map(fields.get("timeout"));
    let seconds = timeout.get("read").and_then(Value::as_f64).unwrap_or(60.0);
    Ok(Upstream { scheme, node, pass_host, read_timeout_ms: (seconds * 1000.0) as u64 })
}

fn read_split(fields: &Fields, all: &Fields) -> Result<Vec<(String, String, Upstream)>, SiteError> {
    let mut targets = Vec::new();
    for rule in list(fields.get("rules")) {
        let rule = map(Some(rule));
        only(rule, "traffic-split.rules", &["match", "weighted_upstreams"])?;
        let [to] = list(rule.get("weighted_upstreams")) else {
            return Err(SiteError("traffic-split: one upstream a rule is played here".into()));
        };
        let to = map(Some(to));
        let upstream = match by_id(all, "upstreams", to.get("upstream_id"))? {
            Some(found) => read_upstream(found)?,
            None => read_upstream(map(to.get("upstream")))?,
        };
        for condition in list(rule.get("match")) {
            for vars in list(map(Some(condition)).get("vars")) {
                let [Value::String(name), Value::String(operator), Value::String(value)] =
                    list(Some(vars))
                else {
                    return Err(SiteError("traffic-split: vars of three strings".into()));
                };
                if operator != "==" {
                    return Err(SiteError(format!("traffic-split: {operator} is not played here")));
                }
                targets.push((name.clone(), value.clone(), upstream.clone()));
            }
        }
    }
    Ok(targets)
}

/// Checks a serverless plugin: one function, which is one of the bridge's.
fn function(
    fields: &Fields,
    name: &str,
    phase: &str,
    known: impl Fn(&str) -> bool,
) -> Result<(), SiteError> {
    only(fields, name, &["phase", "functions"])?;
    let functions = strings(fields.get("functions"));
    let one = matches!(functions.as_slice(), [source] if known(source));
    if text(fields, "phase") != Some(phase) || !one {
        return Err(SiteError(format!(
            "{name}: only the bridge's function is played here, in {phase}"
        )));
    }
    Ok(())
}

fn by_id<'a>(
    all: &'a Fields,
    kind: &str,
    id: Option<&Value>,
) -> Result<Option<&'a Fields>, SiteError> {
    let Some(id) = id else { return Ok(None) };
    let same = |item: &&Value| map(Some(item)).get("id") == Some(id);
    let found = list(all.get(kind)).iter().find(same);
    let found = found.ok_or_else(|| SiteError(format!("{kind}: there is no {id}")))?;
    Ok(Some(map(Some(found))))
}

fn only(fields: &Fields, place: &str, known: &[&str]) -> Result<(), SiteError> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(SiteError(format!("{place}: `{key}` is not known here"))),
    }
}

fn map(value: Option<&Value>) -> &Fields {
    static EMPTY: std::sync::LazyLock<Fields> = std::sync::LazyLock::new(Map::new);
    value.and_then(Value::as_object).unwrap_or(&EMPTY)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    list(value).iter().filter_map(Value::as_str).map(Into::into).collect()
}
