//! The policy file: what one wants, whatever the host.

use serde::Deserialize;

use crate::check::Endpoint;
use crate::yaml::{Map, Yaml};

/// A policy. `providers`, `routes`, `consumers`, `limits`, `guard`, `cache` and `metrics` are in the
/// plugins' own words: docs of ai-proxy, ai-auth, token-ratelimit, prompt-guard, semantic-cache-client
/// and ai-metrics.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Where the gateway stands.
    #[serde(default)]
    pub gateway: Gateway,
    /// Who answers.
    pub providers: Yaml,
    /// Which models there are.
    pub models: Option<Yaml>,
    /// Rules of routing.
    pub routes: Option<Yaml>,
    /// Further names of models.
    pub aliases: Option<Yaml>,
    /// Whatever else ai-proxy takes.
    pub proxy: Option<Map>,
    /// Who may ask.
    pub consumers: Option<Yaml>,
    /// Whatever else ai-auth takes.
    pub auth: Option<Map>,
    /// A list of rules, or all that token-ratelimit takes.
    pub limits: Option<Yaml>,
    /// What may pass.
    pub guard: Option<Yaml>,
    /// What is answered from memory.
    pub cache: Option<Yaml>,
    /// What is counted.
    pub metrics: Option<Yaml>,
    /// Services that plugins call, by the name under which their `upstream` has them:
    /// `webdis: http://10.0.0.7:7379`.
    #[serde(default)]
    pub services: Map,
}

/// Where the gateway stands. What a host does not need it does not look at.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Its name: of the listener, the Kubernetes resources, the node.
    pub name: String,
    /// Where clients connect.
    pub listen: String,
    /// Envoy's admin interface. Keep it on loopback: who reaches it can read and stop all.
    pub admin: String,
    /// The module's file, on Envoy and APISIX.
    pub module: String,
    /// The module's image, on Kubernetes: `oci://...`.
    pub image: String,
    /// The SHA-256 of the image, as registries name it, so that no other is run; on Kubernetes.
    pub sha256: Option<String>,
    /// On Kubernetes: `ai-gateway` unless said; for Higress its own, `higress-system`.
    pub namespace: Option<String>,
    /// On Kubernetes: the name of the Gateway, or of Istio's or Higress's gateway workload.
    pub gateway: String,
    /// The host name that clients use, on Kubernetes and APISIX; any if left out.
    pub hostname: Option<String>,
    /// Authorities that sign the providers' certificates, a file on the proxy's machine.
    pub authorities: String,
    /// Largest request, in bytes, that a connection may hold.
    pub buffer_bytes: i64,
    /// A whole answer may take so many seconds.
    pub timeout_seconds: i64,
    /// Between two parts of an answer, and before the first; an attempt gets half as many. Models that do not
    /// show what they think are silent for minutes.
    pub idle_seconds: i64,
}

impl Default for Gateway {
    fn default() -> Gateway {
        Gateway {
            name: "ai".into(),
            listen: "127.0.0.1:10000".into(),
            admin: "127.0.0.1:9901".into(),
            module: "dist/ai-gateway.wasm".into(),
            image: "oci://registry.example.com/wasm-ai-gateway:0.1.0".into(),
            sha256: None,
            namespace: None,
            gateway: "ai".into(),
            hostname: None,
            authorities: "/etc/ssl/certs/ca-certificates.crt".into(),
            buffer_bytes: 50 << 20,
            timeout_seconds: 600,
            idle_seconds: 600,
        }
    }
}

impl Gateway {
    /// Where the Kubernetes resources are.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("ai-gateway")
    }
}

/// Which section of the policy a plugin's configuration comes from, for the places of mistakes.
pub const SECTIONS: [(&str, &str); 6] = [
    ("ai-metrics", "metrics"),
    ("ai-auth", "auth"),
    ("prompt-guard", "guard"),
    ("semantic-cache-client", "cache"),
    ("token-ratelimit", "limits"),
    ("ai-proxy", "proxy"),
];

impl<'de> Deserialize<'de> for Map {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Map, D::Error> {
        match Yaml::deserialize(deserializer)? {
            Yaml::Map(map) => Ok(map),
            _ => Err(serde::de::Error::custom("expected a mapping")),
        }
    }
}

impl Policy {
    /// Reads a policy; the error says where.
    pub fn read(text: &str) -> Result<Policy, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    /// The bundle's configuration. Each provider without a cluster gets one of its name.
    pub fn bundle(&self) -> Map {
        let mut bundle = Map::new();
        if let Some(metrics) = &self.metrics {
            bundle.set("ai-metrics", metrics.clone());
        }
        if self.auth.is_some() || self.consumers.is_some() {
            let mut auth = self.auth.clone().unwrap_or_default();
            if let Some(consumers) = &self.consumers {
                auth.set("consumers", consumers.clone());
            }
            bundle.set("ai-auth", auth);
        }
        if let Some(guard) = &self.guard {
            bundle.set("prompt-guard", guard.clone());
        }
        if let Some(cache) = &self.cache {
            bundle.set("semantic-cache-client", cache.clone());
        }
        match &self.limits {
            Some(rules @ Yaml::List(_)) => {
                bundle.set("token-ratelimit", Map::new().with("rules", rules.clone()));
            }
            Some(limits) => bundle.set("token-ratelimit", limits.clone()),
            None => (),
        }
        bundle.set("ai-proxy", self.proxy());
        bundle
    }

    fn proxy(&self) -> Map {
        let mut providers = self.providers.clone();
        if let Yaml::List(providers) = &mut providers {
            for provider in providers {
                if let Yaml::Map(provider) = provider
                    && let Some(name) = provider.get("name").and_then(Yaml::text).map(str::to_owned)
                    && provider.get("cluster").is_none()
                {
                    provider.set("cluster", name);
                }
            }
        }
        let mut proxy = self.proxy.clone().unwrap_or_default();
        proxy.set("providers", providers);
        for (key, value) in
            [("routes", &self.routes), ("models", &self.models), ("aliases", &self.aliases)]
        {
            if let Some(value) = value {
                proxy.set(key, value.clone());
            }
        }
        proxy
    }

    /// Says which host name is sent to the services, where the policy does not: a cluster's name is none, and
    /// servers refuse it.
    pub fn say_hosts(&mut self, services: &[Endpoint]) {
        let sections = [&mut self.limits, &mut self.guard, &mut self.cache, &mut self.metrics];
        for section in sections.into_iter().flatten() {
            say_host(section, services);
        }
        if let Some(auth) = &mut self.auth {
            auth.values_mut().for_each(|(_, value)| say_host(value, services));
        }
    }

    /// Names the cluster of Google's tokens where the policy does not; false if no provider needs any.
    pub fn name_token_clusters(&mut self, cluster: &str) -> bool {
        let Yaml::List(providers) = &mut self.providers else { return false };
        let mut named = false;
        for provider in providers {
            let Yaml::Map(provider) = provider else { continue };
            if let Some(Yaml::Map(google)) = provider.get_mut("google")
                && google.get("token_cluster").is_none()
            {
                google.set("token_cluster", cluster);
                named = true;
            }
        }
        named
    }

    /// Gives the clusters that the plugins name other names: in `upstream`, which all plugins call, and in
    /// `cluster`, ai-proxy's.
    pub fn rename_clusters(&mut self, name: &dyn Fn(&str) -> Option<String>) {
        let sections =
            [&mut self.limits, &mut self.guard, &mut self.cache, &mut self.metrics].into_iter();
        for section in sections.flatten() {
            rename(section, "upstream", name);
        }
        if let Some(auth) = &mut self.auth {
            auth.values_mut().for_each(|(_, value)| rename(value, "upstream", name));
        }
        rename(&mut self.providers, "token_cluster", name);
        if let Some(proxy) = &mut self.proxy {
            proxy.values_mut().for_each(|(_, value)| rename(value, "cluster", name));
        }
        for section in [&mut self.routes, &mut self.models].into_iter().flatten() {
            rename(section, "cluster", name);
        }
    }

    /// The environment variables that the configuration reads, sorted.
    pub fn variables(&self) -> Vec<String> {
        let mut names = Vec::new();
        Yaml::from(self.bundle()).walk(&mut |value| {
            if let Some(name) = value.text().and_then(|text| text.strip_prefix("$env://")) {
                names.push(name.to_owned());
            }
        });
        names.sort();
        names.dedup();
        names
    }

    /// Where a place in the bundle's configuration stands in the policy.
    pub fn place(&self, path: &str) -> String {
        let Some((plugin, rest)) = path.split_once('.') else {
            return SECTIONS
                .iter()
                .find(|(plugin, _)| *plugin == path)
                .map_or_else(|| path.to_owned(), |(_, section)| (*section).to_owned());
        };
        let Some((_, section)) = SECTIONS.iter().find(|(name, _)| *name == plugin) else {
            return path.to_owned();
        };
        let top = rest.split(['.', '[']).next().unwrap_or_default();
        match (*section, top) {
            ("proxy", "providers" | "routes" | "models" | "aliases") | ("auth", "consumers") => {
                rest.to_owned()
            }
            // The short form is the list itself.
            ("limits", "rules") if matches!(self.limits, Some(Yaml::List(_))) => {
                rest.replacen("rules", "limits", 1)
            }
            _ => format!("{section}.{rest}"),
        }
    }
}

fn say_host(value: &mut Yaml, services: &[Endpoint]) {
    match value {
        Yaml::Map(map) => {
            let named = map.get("upstream").and_then(Yaml::text);
            let service = named.and_then(|name| services.iter().find(|one| one.name == name));
            // A service that is known has a name of its own, and gRPC sends what it likes.
            let known = map.get("service").and_then(Yaml::text).is_some_and(|kind| kind != "http");
            if let Some(service) = service.filter(|service| !known && !service.grpc)
                && map.get("authority").is_none()
            {
                map.set("authority", service.authority.as_str());
            }
            map.values_mut().for_each(|(_, value)| say_host(value, services));
        }
        Yaml::List(items) => items.iter_mut().for_each(|item| say_host(item, services)),
        _ => (),
    }
}

fn rename(value: &mut Yaml, member: &str, name: &dyn Fn(&str) -> Option<String>) {
    match value {
        Yaml::Map(map) => {
            let renamed = map.get(member).and_then(Yaml::text).and_then(name);
            if let Some(renamed) = renamed {
                map.set(member, renamed);
            }
            map.values_mut().for_each(|(_, value)| rename(value, member, name));
        }
        Yaml::List(items) => items.iter_mut().for_each(|item| rename(item, member, name)),
        _ => (),
    }
}
