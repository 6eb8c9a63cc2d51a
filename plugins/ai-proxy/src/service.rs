//! AI services that are no client API: their bodies pass as they are, and JSON pointers say where in them
//! the model and the counts stand.

use shared::small_map::SmallMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use shared::config::{ConfigError, Setting};
use shared::json::{Document, deserialize};
use shared::pick::pointed;
use shared::services::Services;
use shared::usage::Usage;

use crate::config::{Key, Target};

/// A service that is no client API: vision, KServe, Triton, Hugging Face's inference, any HTTP server with
/// a model behind it. Its requests are routed, authenticated and counted; their bodies pass as they are.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name, as in `x-ai-route` and in metrics.
    pub name: String,
    /// Its paths: exact, with `*` at the end, or a regular expression after `~`.
    pub paths: Vec<String>,
    /// What is taken off the front of the path before the provider's own is put there.
    pub strip_prefix: Option<String>,
    /// JSON pointer (RFC 6901) to the model's name in the request; without it the service has one model,
    /// named as it is.
    pub model: Option<String>,
    /// Who has it, in order of preference.
    pub targets: Vec<Target>,
    /// On Envoy, the cluster that reaches all targets; that of the first target's provider if left out.
    pub cluster: Option<String>,
    /// Whose key the providers get.
    #[serde(default)]
    pub key: Key,
    /// JSON pointers to what an answer says was used. A pointer to a list or object counts its members.
    #[serde(default)]
    pub usage: SmallMap<Count, String>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// Tokens that went in.
    PromptTokens,
    /// Tokens that came out.
    CompletionTokens,
    /// Pictures.
    Images,
    /// Seconds of sound or film; begun ones in full.
    Seconds,
    /// Pages.
    Pages,
}

/// A compiled service.
#[derive(Debug)]
pub struct Compiled {
    /// Its name.
    pub name: String,
    /// The number of its rule.
    pub rule: usize,
    paths: Services,
    strip_prefix: String,
    model: Option<String>,
    usage: Vec<(Count, String)>,
}

impl Compiled {
    /// Checks a service whose rule has this number; `path` is where it stands in the configuration.
    pub fn new(service: &Service, rule: usize, path: &str) -> Result<Compiled, ConfigError> {
        if service.paths.is_empty() {
            return Err(ConfigError::new(format!("{path}.paths"), "name at least one path"));
        }
        let pointers = service.usage.iter().map(|(count, pointer)| (*count, pointer.clone()));
        let compiled = Compiled {
            name: service.name.clone(),
            rule,
            paths: Services::new(&service.paths, &format!("{path}.paths"))?,
            strip_prefix: service.strip_prefix.clone().unwrap_or_default(),
            model: service.model.clone(),
            usage: pointers.collect(),
        };
        let named = compiled.model.iter().map(|pointer| ("model".to_owned(), pointer));
        let counts =
            compiled.usage.iter().map(|(c, pointer)| (format!("usage.{}", c.name()), pointer));
        for (field, pointer) in named.chain(counts) {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                let message = "must be a JSON pointer, as `/outputs/0/data`";
                return Err(ConfigError::new(format!("{path}.{field}"), message));
            }
        }
        Ok(compiled)
    }

    /// Whether a path (its query may follow) is the service's.
    pub fn has(&self, path: &str) -> bool {
        self.paths.has(path)
    }

    /// The model that a request names.
    pub fn model<'a>(&self, body: impl Into<Document<'a>>) -> Option<String> {
        let Some(pointer) = &self.model else { return Some(self.name.clone()) };
        let model: String = deserialize(pointed(body, pointer)?.get()).ok()?;
        (!model.is_empty()).then_some(model)
    }

    /// The pointer to the model, for error messages.
    pub fn model_pointer(&self) -> &str {
        self.model.as_deref().unwrap_or_default()
    }

    /// The path that a provider gets, before its own is put to the front.
    pub fn tail<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix(self.strip_prefix.as_str()).unwrap_or(path)
    }

    /// What an answer, or an event of a streamed one, says was used; none if it says nothing.
    pub fn usage<'a>(&self, answer: impl Into<Document<'a>>) -> Option<Usage> {
        let answer = answer.into();
        let mut usage = Usage::default();
        let mut any = false;
        for (count, pointer) in &self.usage {
            if let Some(number) = pointed(answer, pointer).and_then(number) {
                *count.of(&mut usage) = number;
                any = true;
            }
        }
        any.then_some(usage)
    }
}

impl Count {
    fn name(self) -> &'static str {
        match self {
            Count::PromptTokens => "prompt_tokens",
            Count::CompletionTokens => "completion_tokens",
            Count::Images => "images",
            Count::Seconds => "seconds",
            Count::Pages => "pages",
        }
    }

    fn of(self, usage: &mut Usage) -> &mut u64 {
        match self {
            Count::PromptTokens => &mut usage.prompt_tokens,
            Count::CompletionTokens => &mut usage.completion_tokens,
            Count::Images => &mut usage.images,
            Count::Seconds => &mut usage.seconds,
            Count::Pages => &mut usage.pages,
        }
    }
}

fn number(value: &RawValue) -> Option<u64> {
    match deserialize(value.get()).ok()? {
        Value::Number(number) => number.as_u64().or_else(|| {
            // Saturates.
            let number = number.as_f64().filter(|number| *number >= 0.0)?;
            Some(number.ceil() as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        Value::Array(items) => u64::try_from(items.len()).ok(),
        Value::Object(members) => u64::try_from(members.len()).ok(),
        Value::Null | Value::Bool(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(json: &str) -> Result<Compiled, ConfigError> {
        Compiled::new(&shared::config::document(json).unwrap(), 0, "services[0]")
    }

    #[test]
    fn counts_are_numbers_or_lengths() {
        let service = service(
            r#"{"name": "ocr", "paths": ["/ocr"], "targets": [],
                "usage": {"pages": "/pages", "seconds": "/t", "images": "/n", "prompt_tokens": "/x"}}"#,
        )
        .unwrap();
        let usage = service.usage(r#"{"pages": [{}, {}], "t": 1.2, "n": "3"}"#).unwrap();
        assert_eq!((usage.pages, usage.seconds, usage.images, usage.prompt_tokens), (2, 2, 3, 0));
        assert_eq!(service.usage(r#"{"t": -1, "n": null}"#), None);
        assert_eq!(service.usage("no JSON"), None);
    }

    #[test]
    fn the_model_is_where_the_pointer_says() {
        let with =
            service(r#"{"name": "s", "paths": ["/a"], "model": "/a/0/m", "targets": []}"#).unwrap();
        assert_eq!(with.model(r#"{"a": [{"m": "resnet"}]}"#).as_deref(), Some("resnet"));
        assert_eq!(with.model(r#"{"a": []}"#), None);
        let without = service(r#"{"name": "s", "paths": ["/a"], "targets": []}"#).unwrap();
        assert_eq!(without.model("").as_deref(), Some("s"));
    }

    #[test]
    fn mistakes_have_their_places() {
        for (json, path) in [
            (r#"{"name": "s", "paths": [], "targets": []}"#, "services[0].paths"),
            (r#"{"name": "s", "paths": ["~("], "targets": []}"#, "services[0].paths[0]"),
            (r#"{"name": "s", "paths": ["/"], "model": "m", "targets": []}"#, "services[0].model"),
            (
                r#"{"name": "s", "paths": ["/"], "usage": {"pages": "p"}, "targets": []}"#,
                "services[0].usage.pages",
            ),
        ] {
            assert_eq!(service(json).unwrap_err().path, path);
        }
    }
}
