//! The bundle: all plugins in one `.wasm`, which fetches each body once.
//!
//! Its configuration has one section per plugin, each as the plugin by itself takes it.

mod config;

use std::rc::Rc;
use std::time::Duration;

use shared::config::{ConfigError, parse};
use shared::exchange::Settings;
use shared::facts::Stater;
use shared::filter::{CallReply, Filter};
use shared::host::{CallId, Capability, Host};
use shared::plugin::{Need, Plugin, Setup};

pub use config::Config;

/// The configured bundle.
pub struct AiGateway {
    /// The one nearest to the client first, ai-proxy last.
    plugins: Vec<Rc<dyn Plugin>>,
    settings: Settings,
    needs: Vec<Need>,
}

/// Reads the configuration.
pub fn configure(setup: Setup<'_>) -> Result<Rc<dyn Plugin>, ConfigError> {
    Ok(Rc::new(AiGateway::new(parse(setup.config)?, setup.vm_config)?))
}

impl AiGateway {
    /// Checks a configuration; `vm_config` is the role's name, or empty.
    pub fn new(config: Config, vm_config: &[u8]) -> Result<AiGateway, ConfigError> {
        let all = config.has_all();
        let ai_proxy = ai_proxy::AiProxy::new(config.ai_proxy, vm_config).map_err(|error| {
            // The role stands beside the configuration, not in it.
            let beside = error.path.starts_with("vm_config");
            if beside { error } else { error.within("ai-proxy") }
        })?;
        // Bodies are read once, and ai-proxy is the one that cannot do without.
        let mut settings = ai_proxy.settings();
        let mut needs = within("ai-proxy", ai_proxy.needs());
        // Where the proxy cannot change a body, ai-proxy makes the call with a body of its own.
        let calls = !ai_proxy.only_passes();
        settings.calls = calls;
        let mut plugins: Vec<Rc<dyn Plugin>> = Vec::new();
        macro_rules! add {
            ($section:expr, $name:literal, $plugin:path $(, $stater:ident)?) => {
                if let Some(section) = $section {
                    let plugin = <$plugin>::new(section).map_err(|error| error.within($name))?;
                    let of_plugin =
                        plugin.needs().into_iter().filter(|need| !(calls && is_body(need)));
                    needs.extend(within($name, of_plugin.collect()));
                    // Close to the provider there is nothing to be done but to translate.
                    if !settings.upstream {
                        plugins.push(Rc::new(plugin));
                        $(settings.here.add(Stater::$stater);)?
                    }
                }
            };
        }
        add!(config.ai_metrics, "ai-metrics", ai_metrics::AiMetrics);
        add!(config.ai_auth, "ai-auth", ai_auth::AiAuth, Auth);
        // What it adds to requests is looked at by those that follow.
        if !settings.upstream {
            plugins.push(ai_proxy.preparing());
        }
        add!(config.prompt_guard, "prompt-guard", prompt_guard::PromptGuard, Guard);
        add!(
            config.semantic_cache,
            "semantic-cache-client",
            semantic_cache_client::SemanticCache,
            Cache
        );
        add!(config.token_ratelimit, "token-ratelimit", token_ratelimit::TokenRatelimit, Limits);
        // All sections, and no second role: what others would be told stays here.
        settings.alone = ai_proxy.is_inline() && all;
        plugins.push(Rc::new(ai_proxy));
        Ok(AiGateway { plugins, settings, needs })
    }
}

fn within(section: &str, needs: Vec<Need>) -> Vec<Need> {
    let placed = |need: Need| Need { otherwise: need.otherwise.within(section), ..need };
    needs.into_iter().map(placed).collect()
}

fn is_body(need: &Need) -> bool {
    matches!(need.capability, Capability::RewriteRequestBody | Capability::RewriteResponseBody)
}

impl Plugin for AiGateway {
    fn settings(&self) -> Settings {
        self.settings.clone()
    }

    fn filters(self: Rc<Self>) -> Vec<Box<dyn Filter>> {
        self.plugins.iter().flat_map(|plugin| Rc::clone(plugin).filters()).collect()
    }

    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }

    fn started(&self, host: &dyn Host) {
        for plugin in &self.plugins {
            plugin.started(host);
        }
    }

    /// The shortest of theirs. Each looks for itself whether something is due.
    fn tick_period(&self) -> Option<Duration> {
        self.plugins.iter().filter_map(|plugin| plugin.tick_period()).min()
    }

    fn tick(&self, host: &dyn Host) {
        for plugin in self.plugins.iter().filter(|plugin| plugin.tick_period().is_some()) {
            plugin.tick(host);
        }
    }

    fn ended(&self, host: &dyn Host) {
        for plugin in &self.plugins {
            plugin.ended(host);
        }
    }

    /// A plugin knows its own calls by their numbers.
    fn called(&self, host: &dyn Host, call: CallId, reply: CallReply) {
        for plugin in &self.plugins {
            plugin.called(host, call, reply.clone());
        }
    }
}

#[cfg(feature = "entry")]
shared::register!(configure);
