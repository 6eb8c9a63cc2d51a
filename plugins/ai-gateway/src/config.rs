//! What can be configured.

use shared::config::Setting;

/// Configuration of the bundle. A plugin without a section does not run.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What every request uses, costs and how it fares.
    #[serde(rename = "ai-metrics", default)]
    pub ai_metrics: Option<ai_metrics::config::Config>,
    /// Who may ask, and for what.
    #[serde(rename = "ai-auth", default)]
    pub ai_auth: Option<ai_auth::config::Config>,
    /// What may pass.
    #[serde(rename = "prompt-guard", default)]
    pub prompt_guard: Option<prompt_guard::config::Config>,
    /// Answers that were given before.
    #[serde(rename = "semantic-cache-client", default)]
    pub semantic_cache: Option<semantic_cache_client::config::Config>,
    /// Limits and budgets.
    #[serde(rename = "token-ratelimit", default)]
    pub token_ratelimit: Option<token_ratelimit::config::Config>,
    /// One API over all providers.
    #[serde(rename = "ai-proxy")]
    pub ai_proxy: ai_proxy::config::Config,
}

impl Config {
    /// Whether every plugin runs here, so that none can be elsewhere in the chain.
    pub(crate) fn has_all(&self) -> bool {
        self.ai_metrics.is_some()
            && self.ai_auth.is_some()
            && self.prompt_guard.is_some()
            && self.semantic_cache.is_some()
            && self.token_ratelimit.is_some()
    }
}
