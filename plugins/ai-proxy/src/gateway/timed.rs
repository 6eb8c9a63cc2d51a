//! What a configuration asks for outside of requests, for which a proxy needs a timer.

use shared::host::Capability;
use shared::plugin::Need;

use crate::config::Config;

/// Each with its place, and what to write where there is no timer.
pub(super) fn needs(config: &Config) -> Vec<Need> {
    let mut needs = Vec::new();
    let mut add = |path: String, instead: &str| {
        let message =
            format!("this proxy has no timer for what is done outside of requests; {instead}");
        needs.push(Need::new(Capability::Tick, path, message));
    };
    for (index, provider) in config.providers.iter().enumerate() {
        if provider.google.is_some() {
            let instead = "leave it out, and give an access token as `api_key` or leave it to the proxy with \
                           `auth: host`";
            add(format!("providers[{index}].google"), instead);
        }
    }
    for (index, route) in config.routes.iter().enumerate() {
        if route.shadow.is_some() {
            add(format!("routes[{index}].shadow"), "leave it out");
        }
        for (number, target) in route.targets.iter().enumerate() {
            let polled = target.endpoints.iter().position(|endpoint| endpoint.metrics.is_some());
            if let Some(endpoint) = polled {
                let path =
                    format!("routes[{index}].targets[{number}].endpoints[{endpoint}].metrics");
                add(path, "leave it out: requests under way are counted here");
            }
        }
    }
    if config.store.is_some() {
        add("store".into(), "leave it out: each worker keeps its canaries in its memory");
    }
    if !config.carbon.sources.is_empty() {
        add("carbon.sources".into(), "leave it out, and write the numbers into `carbon.regions`");
    }
    needs
}
