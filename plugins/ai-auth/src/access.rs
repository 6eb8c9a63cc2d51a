//! What a consumer may do, compiled.

use std::net::IpAddr;

use shared::client::Cidr;
use shared::config::ConfigError;
use shared::hours::Hours;
use shared::pattern::Pattern;
use shared::protocol::{Endpoint, Service};

use crate::config;

/// Rules of a consumer or a group. `None` does not limit.
#[derive(Debug, Default)]
pub struct Access {
    /// Patterns of models, as written; they travel as a fact.
    pub model_names: Option<String>,
    models: Option<Vec<Pattern>>,
    endpoints: Option<Vec<&'static str>>,
    tools: Option<Vec<Pattern>>,
    ips: Option<Vec<Cidr>>,
    hours: Option<Hours>,
    /// Most tokens of an answer.
    pub max_tokens: Option<u64>,
    /// Regions, separated by commas.
    pub regions: Option<String>,
}

/// Names of APIs in configurations.
const ENDPOINTS: [&str; 17] = [
    "chat",
    "responses",
    "completions",
    "embeddings",
    "messages",
    "gemini",
    "models",
    "images",
    "speech",
    "transcriptions",
    "moderations",
    "rerank",
    "files",
    "batches",
    "cached_contents",
    "generic",
    "other",
];

/// The name of an API.
pub fn endpoint(endpoint: Option<Endpoint>) -> &'static str {
    match endpoint {
        Some(Endpoint::OpenAiChat) => "chat",
        Some(Endpoint::OpenAiResponses | Endpoint::OpenAiInputTokens) => "responses",
        Some(Endpoint::OpenAiCompletions) => "completions",
        Some(Endpoint::OpenAiEmbeddings | Endpoint::GeminiEmbed) => "embeddings",
        Some(Endpoint::AnthropicMessages | Endpoint::AnthropicCountTokens) => "messages",
        Some(Endpoint::Gemini | Endpoint::GeminiCountTokens) => "gemini",
        Some(Endpoint::Models | Endpoint::GeminiModels) => "models",
        Some(Endpoint::AnthropicBatches) => "batches",
        Some(Endpoint::GeminiCaches) => "cached_contents",
        Some(Endpoint::Generic) => "generic",
        Some(Endpoint::Service(service)) => match service {
            Service::Images => "images",
            Service::Speech => "speech",
            Service::Transcriptions => "transcriptions",
            Service::Moderations => "moderations",
            Service::Rerank => "rerank",
            Service::Files => "files",
            Service::Batches => "batches",
            Service::StoredResponses => "responses",
        },
        Some(Endpoint::OpenAiOther) | None => "other",
    }
}

impl Access {
    /// Compiles rules; `path` is where they stand in the configuration.
    pub fn new(config: &config::Access, path: &str) -> Result<Access, ConfigError> {
        let at = |field: &str| format!("{path}.{field}");
        let patterns = |field: &str, texts: &Option<Vec<String>>| {
            texts.as_ref().map(|texts| Pattern::all(texts, &at(field))).transpose()
        };
        let endpoints = config.endpoints.as_ref().map(|names| {
            let known = names.iter().enumerate().map(|(index, name)| {
                ENDPOINTS.into_iter().find(|known| known == name).ok_or_else(|| {
                    let place = format!("{}[{index}]", at("endpoints"));
                    ConfigError::new(place, format!("expected one of {}", ENDPOINTS.join(", ")))
                })
            });
            known.collect::<Result<Vec<_>, _>>()
        });
        let ips = config.ips.as_ref().map(|ranges| {
            let ranges = ranges.iter().enumerate().map(|(index, range)| {
                Cidr::parse(range)
                    .map_err(|error| ConfigError::new(format!("{}[{index}]", at("ips")), error))
            });
            ranges.collect::<Result<Vec<_>, _>>()
        });
        if config.models.iter().flatten().any(|model| model.contains('\n')) {
            return Err(ConfigError::new(at("models"), "a pattern must be one line"));
        }
        if config.max_tokens == Some(0) {
            return Err(ConfigError::new(at("max_tokens"), "must be 1 or more"));
        }
        let hours = config.hours.as_ref();
        Ok(Access {
            model_names: config.models.as_ref().map(|models| models.join("\n")),
            models: patterns("models", &config.models)?,
            endpoints: endpoints.transpose()?,
            tools: patterns("tools", &config.tools)?,
            ips: ips.transpose()?,
            hours: hours.map(|hours| Hours::new(hours, &at("hours"))).transpose()?,
            max_tokens: config.max_tokens,
            regions: config.allowed_regions.as_ref().map(|regions| regions.join(",")),
        })
    }

    /// Whether the request's body is needed to decide.
    pub fn needs_body(&self) -> bool {
        self.models.is_some() || self.tools.is_some() || self.max_tokens.is_some()
    }
}

/// The rules of a consumer, its own first, then those of its groups: the first that speaks of a matter
/// decides it.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a>(pub &'a [&'a Access]);

impl<'a> Rules<'a> {
    fn first<T: 'a>(&self, of: impl Fn(&'a Access) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(|access| of(access))
    }

    /// Whether the body is needed to decide.
    pub fn need_body(&self) -> bool {
        self.0.iter().any(|access| access.needs_body())
    }

    /// Whether a model may be asked for.
    pub fn allow_model(&self, model: &str) -> bool {
        let patterns = self.first(|access| access.models.as_ref());
        patterns.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.fits(model)))
    }

    /// Whether models are limited at all.
    pub fn limit_models(&self) -> bool {
        self.first(|access| access.models.as_ref()).is_some()
    }

    /// Whether a tool may be given.
    pub fn allow_tool(&self, name: &str) -> bool {
        let patterns = self.first(|access| access.tools.as_ref());
        patterns.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.fits(name)))
    }

    /// Whether tools are limited at all.
    pub fn limit_tools(&self) -> bool {
        self.first(|access| access.tools.as_ref()).is_some()
    }

    /// Whether an API may be used.
    pub fn allow_endpoint(&self, name: &str) -> bool {
        self.first(|access| access.endpoints.as_ref()).is_none_or(|names| names.contains(&name))
    }

    /// Whether it may come from there. An address that is not known is none of those allowed.
    pub fn allow_address(&self, address: impl FnOnce() -> Option<IpAddr>) -> bool {
        let Some(ranges) = self.first(|access| access.ips.as_ref()) else { return true };
        let Some(address) = address() else { return false };
        ranges.iter().any(|range| range.contains(address))
    }

    /// Whether it may ask now, nanoseconds since the Unix epoch.
    pub fn allow_time(&self, now: u64) -> bool {
        self.first(|access| access.hours.as_ref()).is_none_or(|hours| hours.hold(now))
    }

    /// Most tokens of an answer.
    pub fn max_tokens(&self) -> Option<u64> {
        self.first(|access| access.max_tokens)
    }

    /// Patterns of models, a line each.
    pub fn model_names(&self) -> Option<&'a str> {
        self.first(|access| access.model_names.as_deref())
    }

    /// Regions, separated by commas.
    pub fn regions(&self) -> Option<&'a str> {
        self.first(|access| access.regions.as_deref())
    }
}
