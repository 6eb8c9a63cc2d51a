//! Checks a policy with the plugins' own code, and says what a host cannot do of it.

use ai_gateway::AiGateway;
use ai_proxy::provider::Provider;
use shared::config::{ConfigError, parse};
use shared::host::Capability;
use shared::plugin::Plugin;

use crate::hosts::Host;
use crate::policy::Policy;
use crate::yaml::{Map, Yaml};

/// A provider's address, as the host must reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The provider's or the service's name.
    pub name: String,
    /// The cluster's name on Envoy.
    pub cluster: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: i64,
    /// Whether it is reached over TLS.
    pub tls: bool,
    /// What is sent as `host`.
    pub authority: String,
    /// Whether it is called by gRPC, which is HTTP/2 only.
    pub grpc: bool,
}

impl Endpoint {
    /// Whether its host is an address and no name.
    pub fn is_address(&self) -> bool {
        self.host.parse::<std::net::IpAddr>().is_ok()
    }
}

/// A policy that the plugins take.
#[derive(Debug)]
pub struct Checked {
    /// As it was read.
    pub policy: Policy,
    /// Those of the providers, in their order.
    pub providers: Vec<Endpoint>,
    /// Those of the services.
    pub services: Vec<Endpoint>,
    /// What could not be checked here, for want of a secret.
    pub notes: Vec<String>,
}

/// What fetches tokens for a Google service account, where the policy names nothing.
const GOOGLE_TOKENS: &str = "google-tokens";

/// Reads and checks a policy; each mistake has its place.
pub fn check(text: &str) -> Result<Checked, String> {
    let mut policy = Policy::read(text)?;
    if policy.gateway.sha256.as_deref().is_some_and(|hash| !is_sha256(hash)) {
        return Err("gateway.sha256: must be the image's digest, 64 hexadecimal digits in small letters without `sha256:`".into());
    }
    let mut notes = Vec::new();
    let bundle = without_secrets(policy.bundle(), &mut notes);
    let located = |error: ConfigError| {
        let place = policy.place(&error.path);
        // What stands for a secret may lack its form, of a key in PEM for example.
        let stand_in = bundle.find(&error.path).and_then(Yaml::text).and_then(stands_for);
        let message = match stand_in {
            Some(name) => format!("set {name} here as well: its value has a form to be checked"),
            None => error.message,
        };
        ConfigError { path: place, message }.to_string()
    };
    let config = parse(bundle.json().as_bytes()).map_err(located)?;
    AiGateway::new(config, b"").map_err(located)?;
    let providers = endpoints(&bundle)?;
    let mut services = services(&policy.services, &bundle)?;
    policy.say_hosts(&services);
    reach_google(&mut policy, &mut services);
    let checked = Checked { providers, services, notes, policy };
    checked.upstreams_are_known()?;
    checked.clusters_are_known()?;
    checked.clusters_are_their_own()?;
    Ok(checked)
}

/// Whether it is a SHA-256 as `sha256sum` writes it.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Names what fetches Google's tokens, where the policy does not, and has it reached.
fn reach_google(policy: &mut Policy, services: &mut Vec<Endpoint>) {
    let given = services.iter().any(|service| service.name == GOOGLE_TOKENS);
    if policy.name_token_clusters(GOOGLE_TOKENS) && !given {
        services.push(Endpoint {
            name: GOOGLE_TOKENS.into(),
            cluster: GOOGLE_TOKENS.into(),
            host: "oauth2.googleapis.com".into(),
            port: 443,
            tls: true,
            authority: "oauth2.googleapis.com".into(),
            grpc: false,
        });
    }
}

/// Secrets that are not set here are taken to be well-formed: the machine that checks need not have them.
fn without_secrets(bundle: Map, notes: &mut Vec<String>) -> Yaml {
    let mut bundle = Yaml::from(bundle);
    let mut missing = Vec::new();
    bundle.walk(&mut |value| {
        if let Some(name) = value.text().and_then(|text| text.strip_prefix("$env://"))
            && std::env::var_os(name).is_none_or(|value| value.is_empty())
        {
            missing.push(name.to_owned());
        }
    });
    missing.sort();
    missing.dedup();
    for name in &missing {
        notes.push(format!("{name} is not set here: its value was not checked"));
    }
    bundle.change_texts(&|text| {
        if let Some(name) = text.strip_prefix("$env://")
            && missing.iter().any(|one| one == name)
        {
            *text = format!("{STAND_IN}{name}{STAND_IN_END}");
        }
    });
    bundle
}

const STAND_IN: &str = "not-set-here-";
const STAND_IN_END: &str = "-0123456789abcdef0123456789abcdef";

/// The variable that a text stands for.
fn stands_for(text: &str) -> Option<&str> {
    text.strip_prefix(STAND_IN)?.strip_suffix(STAND_IN_END)
}

fn endpoints(bundle: &Yaml) -> Result<Vec<Endpoint>, String> {
    let list = bundle.at(&["ai-proxy", "providers"]).map(Yaml::items).unwrap_or_default();
    let mut found = Vec::new();
    for (index, given) in list.iter().enumerate() {
        let path = format!("providers[{index}]");
        let config =
            parse(given.json().as_bytes()).map_err(|error| error.within(&path).to_string())?;
        let provider = Provider::new(config, &path).map_err(|error| error.to_string())?;
        let (host, port) = split(&provider.base_url.address(), &path)?;
        found.push(Endpoint {
            cluster: provider.cluster.clone().unwrap_or_else(|| provider.name.clone()),
            name: provider.name,
            host,
            port,
            tls: provider.base_url.scheme == "https",
            authority: provider.base_url.authority,
            grpc: false,
        });
    }
    Ok(found)
}

fn services(given: &Map, bundle: &Yaml) -> Result<Vec<Endpoint>, String> {
    let limiter = bundle.at(&["token-ratelimit", "store", "rls", "upstream"]).and_then(Yaml::text);
    given
        .iter()
        .map(|(name, value)| {
            let path = format!("services.{name}");
            let url = value.text().ok_or_else(|| format!("{path}: must be a URL"))?;
            let url = ai_proxy::base_url::BaseUrl::parse(url)
                .map_err(|message| format!("{path}: {message}"))?;
            if !url.path.is_empty() {
                return Err(format!(
                    "{path}: paths are the plugins' own; leave `{}` out",
                    url.path
                ));
            }
            let (host, port) = split(&url.address(), &path)?;
            Ok(Endpoint {
                name: name.to_owned(),
                cluster: name.to_owned(),
                host,
                port,
                tls: url.scheme == "https",
                authority: url.authority,
                grpc: limiter == Some(name),
            })
        })
        .collect()
}

fn split(address: &str, path: &str) -> Result<(String, i64), String> {
    let wrong = || format!("{path}: no address in {address}");
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port.parse().map_err(|_| wrong())?))
}

impl Checked {
    /// Every `upstream` that a plugin calls is one of the services.
    fn upstreams_are_known(&self) -> Result<(), String> {
        let mut unknown = None;
        let bundle = self.policy.bundle();
        for (plugin, config) in bundle.iter() {
            named_by(config, "upstream", plugin, &mut |path, name| {
                if !self.services.iter().any(|service| service.name == name) {
                    unknown.get_or_insert_with(|| {
                        let known: Vec<_> = self.services.iter().map(|s| s.name.as_str()).collect();
                        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                        let place = self.policy.place(path);
                        format!("{place}: no service `{name}` in `services`; there are: {known}")
                    });
                }
            });
        }
        unknown.map_or(Ok(()), Err)
    }

    /// Every `cluster` that ai-proxy names reaches a provider or is one of the services.
    fn clusters_are_known(&self) -> Result<(), String> {
        let all = || self.providers.iter().chain(&self.services);
        let bundle = Yaml::from(self.policy.bundle());
        let mut unknown = None;
        for member in ["cluster", "token_cluster"] {
            let Some(proxy) = bundle.get("ai-proxy") else { break };
            named_by(proxy, member, "ai-proxy", &mut |path, name| {
                if unknown.is_none() && !all().any(|endpoint| endpoint.cluster == name) {
                    let known: Vec<_> = all().map(|endpoint| endpoint.cluster.as_str()).collect();
                    unknown = Some(format!(
                        "{}: no provider and no service is reached by cluster `{name}`; there are: {}",
                        self.policy.place(path),
                        known.join(", ")
                    ));
                }
            });
        }
        unknown.map_or(Ok(()), Err)
    }

    /// No two are reached by one cluster: it has one address, and says to one of them that it is asked.
    fn clusters_are_their_own(&self) -> Result<(), String> {
        for (index, provider) in self.providers.iter().enumerate() {
            let same = |other: &Endpoint| other.cluster == provider.cluster;
            let cluster = &provider.cluster;
            if let Some(other) = self.providers.iter().take(index).find(|other| same(other)) {
                return Err(format!(
                    "providers[{index}].cluster: provider `{}` is reached by `{cluster}`; each needs one of its own",
                    other.name
                ));
            }
            if self.services.iter().any(same) {
                return Err(format!(
                    "services.{cluster}: provider `{}` is reached by a cluster of this name; give the service another",
                    provider.name
                ));
            }
        }
        Ok(())
    }

    /// The bundle's configuration where calls go to `host:port` rather than to clusters.
    pub fn bundle_with_addresses(&self) -> Map {
        let mut bundle = self.policy.bundle();
        for (_, config) in bundle.values_mut() {
            with_addresses(config, &self.services);
        }
        bundle
    }

    /// What makes the host refuse the whole configuration, so that it answers 503 to everything: what its Wasm
    /// lacks and the policy cannot do without.
    pub fn refused(&self, host: Host) -> Vec<String> {
        // The others are Envoys, which lack nothing.
        if host != Host::Apisix {
            return Vec::new();
        }
        let bundle = without_secrets(crate::hosts::apisix_bundle(self), &mut Vec::new());
        let made = parse(bundle.json().as_bytes()).and_then(|config| AiGateway::new(config, b""));
        let placed = |error: ConfigError| {
            ConfigError { path: self.policy.place(&error.path), message: error.message }.to_string()
        };
        let gateway = match made {
            Ok(gateway) => gateway,
            Err(error) => return vec![placed(error)],
        };
        let bridge = gateway.settings().bridge;
        let lacks = |capability| match capability {
            Capability::RewriteRequestBody | Capability::RewriteResponseBody => !bridge,
            _ => true,
        };
        let lacking = gateway.needs().into_iter().filter(|need| lacks(need.capability));
        lacking.map(|need| placed(need.otherwise)).collect()
    }

    /// What the host cannot do of this policy, or does otherwise.
    pub fn limits(&self, host: Host) -> Vec<String> {
        let mut said = Vec::new();
        let bundle = Yaml::from(self.policy.bundle());
        let has = |path: &[&str]| bundle.at(path).is_some_and(|value| *value != Yaml::Null);
        let mut say = |when: bool, text: &str| {
            if when {
                said.push(text.to_owned());
            }
        };
        let many = self.providers.len() > 1;
        say(
            self.policy.gateway.sha256.is_some()
                && matches!(host, Host::Envoy | Host::Apisix | Host::Istio),
            "gateway.sha256: the image's; a module that comes as a file is not checked here: compare it before you \
             put it in its place",
        );
        match host {
            Host::Apisix => {
                say(
                    many,
                    "providers: APISIX's route has one upstream, so that with several providers \
                    the plugin makes the call itself (`inline: call`): answers come whole, a stream \
                    in one piece",
                );
                say(
                    has(&["token-ratelimit"]),
                    "limits: workers share nothing with Wasm; each counts \
                    for itself, so divide limits by `worker_processes`, or set it to 1, unless the \
                    counts are kept in a service",
                );
                say(
                    has(&["ai-metrics"]),
                    "metrics: Prometheus has what APISIX counts itself \
                    (apisix_llm_*); the plugin's own series go out by OTLP",
                );
                say(
                    self.policy.variables().iter().any(|_| true),
                    "secrets: `$env://` needs APISIX \
                    3.17 or newer, and the variables under `nginx_config.envs`",
                );
                let from = bundle.at(&["ai-auth", "host_identity", "from"]).and_then(Yaml::text);
                say(
                    from.is_some_and(|from| from != "apisix_consumer"),
                    "auth.host_identity: APISIX \
                    knows `apisix_consumer` only",
                );
                say(
                    has(&["prompt-guard"]),
                    "guard: what a provider has begun to send cannot be \
                    replaced by a refusal, only ended",
                );
            }
            Host::Istio => {
                say(
                    true,
                    "the module: WasmPlugin cannot set `allow_on_headers_stop_iteration`, without \
                    which requests hang; an EnvoyFilter loads the module instead, from a volume. The \
                    proxy must be Envoy 1.35 or newer, 1.39 with several providers",
                );
                say(
                    has(&["ai-metrics"]),
                    "metrics: labels need `stats_config` in the bootstrap, which \
                    only a custom bootstrap (`sidecar.istio.io/bootstrapOverride`) can give; without \
                    it they stay part of the names",
                );
                say(
                    !self.policy.variables().is_empty(),
                    "secrets: the variables must be in the \
                    gateway's pod, from a Secret (`env` of its Deployment)",
                );
            }
            Host::EnvoyGateway => {
                say(
                    true,
                    "the module: EnvoyExtensionPolicy can set neither \
                    `allow_on_headers_stop_iteration` nor filters in clusters; an EnvoyPatchPolicy does, \
                    which must be enabled (`extensionApis.enableEnvoyPatchPolicy: true`). The proxy must \
                    be Envoy 1.35 or newer, 1.39 with several providers",
                );
                say(
                    has(&["ai-metrics"]),
                    "metrics: labels need `stats_config`: see `bootstrap` of the \
                    EnvoyProxy below",
                );
                say(
                    !self.policy.variables().is_empty(),
                    "secrets: the variables must be in the proxy's \
                    container, from a Secret in its namespace (envoy-gateway-system, if proxies do not run in \
                    their Gateway's): see the EnvoyProxy below",
                );
            }
            Host::Higress => {
                say(
                    many,
                    "providers: Higress's Wasm cannot run in clusters, so the plugin makes the \
                    calls itself where there are several providers: answers come whole",
                );
                say(has(&["ai-metrics"]), "metrics: labels stay part of the names; export by OTLP");
                say(
                    !self.policy.variables().is_empty(),
                    "secrets: the variables must be in the gateway's pod, from a Secret (`env` of \
                     Deployment higress-gateway)",
                );
            }
            Host::Kubernetes => say(
                !self.policy.variables().is_empty(),
                "secrets: the variables come from Secret `ai-gateway-keys`, which is yours to make; the \
                 module comes by a volume of kind `image`: Kubernetes 1.35 or newer, 1.33 with the feature gate `ImageVolume`",
            ),
            Host::Envoy => say(
                self.policy.gateway.admin.starts_with("0.0.0.0"),
                "gateway.admin: who \
                reaches the admin interface can read the configuration and stop Envoy; keep it on \
                loopback",
            ),
        }
        said
    }
}

/// Calls `see` with the place and the value of every member of this name that is a text.
fn named_by(value: &Yaml, member: &str, path: &str, see: &mut dyn FnMut(&str, &str)) {
    match value {
        Yaml::Map(map) => {
            for (key, value) in map.iter() {
                let path = format!("{path}.{key}");
                match value.text() {
                    Some(name) if key == member => see(&path, name),
                    _ => named_by(value, member, &path, see),
                }
            }
        }
        Yaml::List(items) => {
            for (index, item) in items.iter().enumerate() {
                named_by(item, member, &format!("{path}[{index}]"), see);
            }
        }
        _ => (),
    }
}

fn with_addresses(value: &mut Yaml, services: &[Endpoint]) {
    match value {
        Yaml::Map(map) => {
            let service = map
                .get("upstream")
                .and_then(Yaml::text)
                .and_then(|name| services.iter().find(|service| service.name == name));
            // There are no calls of gRPC there.
            if let Some(service) = service.filter(|service| !service.grpc) {
                map.set("upstream", format!("{}:{}", service.host, service.port));
                map.set("scheme", if service.tls { "https" } else { "http" });
            }
            map.values_mut().for_each(|(_, value)| with_addresses(value, services));
        }
        Yaml::List(items) => items.iter_mut().for_each(|item| with_addresses(item, services)),
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_tokens_are_fetched_once_and_by_the_policys_own_service_if_it_has_one() {
        let read = || Policy::read("providers: [{ name: v, google: {} }]").unwrap();
        let (mut policy, mut services) = (read(), Vec::new());
        reach_google(&mut policy, &mut services);
        reach_google(&mut policy, &mut services);
        assert_eq!(services.len(), 1);
        reach_google(&mut read(), &mut services);
        assert_eq!(services.len(), 1);
    }
}
