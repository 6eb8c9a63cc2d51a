//! Apache APISIX: `config.yaml`, `apisix.yaml`. The bundle rewrites over the bridge where one provider
//! answers, and calls the providers itself where several may.

use super::File;
use crate::check::Checked;
use crate::yaml::{Map, Yaml};

/// Puts the plugin's request body in place of the client's; nginx counts its length anew.
const BRIDGE_REQUEST: &str = "return function(conf, ctx)
  if ngx.var.wasm_req_body_set == \"1\" then
    ngx.req.read_body()
    ngx.req.set_body_data(ngx.var.wasm_req_body)
  end
end
";
/// Puts what the plugin makes of each piece of the answer in place of it.
const BRIDGE_RESPONSE: &str = "return function(conf, ctx)
  if ngx.var.wasm_resp_body_set == \"1\" then
    ngx.arg[1] = ngx.var.wasm_resp_body
  end
end
";
pub(super) fn render(checked: &Checked, patch: bool) -> Vec<File> {
    if patch {
        let about = "To be merged: `plugins` into the route, `wasm` and `nginx_config` into conf/config.yaml.";
        let document = Map::new().with("plugins", plugins(checked));
        return vec![
            File::new("apisix-patch.yaml", about, vec![document.into()]),
            File::new(
                "config-patch.yaml",
                "Into conf/config.yaml.",
                vec![settings(checked).into()],
            ),
        ];
    }
    let deployment = Map::new()
        .with("role", "data_plane")
        .with("role_data_plane", Map::new().with("config_provider", "yaml"));
    let mut config = Map::new()
        .with("deployment", deployment)
        .with("apisix", Map::new().with("node_listen", port(&checked.policy.gateway.listen)));
    for (key, value) in settings(checked).iter() {
        config.set(key, value.clone());
    }
    let mut routes = File::new(
        "apisix.yaml",
        "conf/apisix.yaml, written by `aigw render --host apisix`.",
        vec![Map::new().with("routes", vec![route(checked)]).into()],
    );
    // APISIX ignores a file without it.
    routes.end = "#END\n";
    vec![
        File::new(
            "config.yaml",
            "conf/config.yaml, written by `aigw render --host apisix`.",
            vec![config.into()],
        ),
        routes,
    ]
}

fn port(listen: &str) -> i64 {
    listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(9080)
}

/// What `conf/config.yaml` needs for the plugin.
fn settings(checked: &Checked) -> Map {
    let plugin = Map::new()
        .with("name", "wasm-ai-gateway")
        .why(
            "Below the authentication plugins (key-auth is 2500), so that the consumer is known.",
            "priority",
            2000,
        )
        .with("file", checked.policy.gateway.module.as_str())
        .with("http_request_phase", "rewrite");
    let variables = checked.policy.variables();
    let mut nginx = Map::new().why(
        "The bridge: what the plugin writes here, two stock plugins of the route put in place.",
        "http_server_location_configuration_snippet",
        "set $wasm_req_body \"\"; set $wasm_req_body_set \"\";\n\
         set $wasm_resp_body \"\"; set $wasm_resp_body_set \"\";\n",
    );
    if !variables.is_empty() {
        nginx = nginx.why("Variables that nginx passes on to its workers.", "envs", variables);
    }
    Map::new().with("wasm", Map::new().with("plugins", vec![plugin])).with("nginx_config", nginx)
}

fn route(checked: &Checked) -> Map {
    let gateway = &checked.policy.gateway;
    let first = checked.providers.first();
    let upstream = match first {
        Some(one) if checked.providers.len() == 1 => Map::new()
            .with("nodes", Map::new().with(&format!("{}:{}", one.host, one.port), 1))
            .with("type", "roundrobin")
            .with("scheme", if one.tls { "https" } else { "http" })
            .why("The plugin sets the host name from `base_url`.", "pass_host", "pass")
            .with(
                "timeout",
                Map::new()
                    .with("connect", 5)
                    .with("send", 60)
                    .with("read", gateway.timeout_seconds),
            ),
        _ => Map::new()
            .why(
                "Never asked: the plugin makes the calls.",
                "nodes",
                Map::new().with("127.0.0.1:1", 1),
            )
            .with("type", "roundrobin"),
    };
    Map::new()
        .with("id", gateway.name.as_str())
        // What is served, by which API or by `services`, is the plugin's to say.
        .with("uri", "/*")
        .maybe("host", gateway.hostname.clone())
        .with("plugins", plugins(checked))
        .with("upstream", upstream)
}

/// The plugin's configuration.
pub(super) fn bundle(checked: &Checked) -> Map {
    let mut bundle = checked.bundle_with_addresses();
    let single = checked.providers.len() == 1;
    if let Some(Yaml::Map(proxy)) = bundle.get_mut("ai-proxy") {
        if proxy.get("inline").is_none() {
            proxy.set("inline", if single { "rewrite" } else { "call" });
        }
        if single {
            proxy.set("bridge", true);
        }
        if !single && proxy.get("call_timeout_ms").is_none() {
            proxy.set("call_timeout_ms", checked.policy.gateway.timeout_seconds * 1000);
        }
        // Clusters are Envoy's.
        proxy.values_mut().for_each(|(_, value)| without_clusters(value));
    }
    bundle
}

fn plugins(checked: &Checked) -> Map {
    let conf = Map::new().with("conf", bundle(checked));
    let mut plugins = Map::new().with("wasm-ai-gateway", conf);
    if checked.providers.len() == 1 {
        plugins = plugins
            .why(
                "Puts the plugin's request body in place of the client's.",
                "serverless-pre-function",
                Map::new().with("phase", "access").with("functions", vec![BRIDGE_REQUEST]),
            )
            .why(
                "Puts what the plugin makes of each piece of the answer in place of it.",
                "serverless-post-function",
                Map::new().with("phase", "body_filter").with("functions", vec![BRIDGE_RESPONSE]),
            );
    }
    plugins
}

fn without_clusters(value: &mut Yaml) {
    match value {
        Yaml::Map(map) => {
            map.remove("cluster");
            map.values_mut().for_each(|(_, value)| without_clusters(value));
        }
        Yaml::List(items) => items.iter_mut().for_each(without_clusters),
        _ => (),
    }
}
