//! Configuration: read once, with the exact place of a mistake.
//!
//! Plugins get JSON: from Envoy's `StringValue`, from APISIX's `conf` as an object or a
//! string. APISIX re-encodes objects, which turns empty lists into `{}`; a list is read from both.

mod node;
mod secret;
mod setting;

use std::fmt;

pub use config_derive::Setting;
use serde_json::value::RawValue;

pub use node::{Mistake, Node};
pub use secret::{Secret, SecretText, Secrets};
pub use setting::{Choice, Setting, Shape};

use crate::json;
use setting::value;

/// Why a configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The place, as `providers[2].api_key`; empty if it is the whole.
    pub path: String,
    /// What is wrong and what to do. Never a secret.
    pub message: String,
}

impl ConfigError {
    /// A mistake at this place.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> ConfigError {
        ConfigError { path: path.into(), message: message.into() }
    }

    /// The same mistake, seen from outside of this section.
    #[must_use]
    pub fn within(self, section: &str) -> ConfigError {
        let dot = if self.path.is_empty() { "" } else { "." };
        ConfigError { path: format!("{section}{dot}{}", self.path), message: self.message }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for ConfigError {}

/// What a plugin does with its findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing at all: every request passes as if the plugin were not there.
    Off,
    /// Decides and reports, but changes and refuses nothing.
    DryRun,
    /// Does what it is configured to.
    #[default]
    Enforce,
}

/// Reads a configuration.
pub fn parse<T: Setting>(bytes: &[u8]) -> Result<T, ConfigError> {
    let text = std::str::from_utf8(bytes).map_err(|_| {
        let message = "the configuration is not text; on Envoy give it as a \
                       google.protobuf.StringValue, since a Struct arrives in binary form";
        ConfigError::new("", message)
    })?;
    if text.trim().is_empty() {
        return Err(ConfigError::new("", "the configuration is empty; give a JSON object"));
    }
    let whole: &RawValue = json::parse(text).map_err(|error| {
        ConfigError::new(
            error.path,
            format!("the configuration is not valid JSON: {}", error.message),
        )
    })?;
    Ok(value(&Node::new(whole))?)
}

/// Reads another document as configurations are read, such as what somebody sends.
pub fn document<T: Setting>(text: &str) -> Result<T, ConfigError> {
    let whole: &RawValue =
        json::parse(text).map_err(|error| ConfigError::new(error.path, error.message))?;
    Ok(value(&Node::new(whole))?)
}

/// The same of bytes, of what the plugins keep for each other or ask of services.
pub fn record<T: Setting>(bytes: &[u8]) -> Option<T> {
    document(std::str::from_utf8(bytes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[derive(Setting, Debug)]
    #[serde(deny_unknown_fields)]
    struct Provider {
        #[allow(dead_code)]
        name: String,
        #[serde(default)]
        api_key: Secrets,
    }

    #[derive(Setting, Debug)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(default)]
        mode: Mode,
        #[serde(default)]
        providers: Vec<Provider>,
    }

    fn error(text: &str) -> String {
        parse::<Config>(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_is_named_with_its_exact_place() {
        let unknown = error(r#"{"providers":[{"name":"a"},{"name":"b","api_kye":"x"}]}"#);
        assert!(unknown.starts_with("providers[1].api_kye: unknown field `api_kye`"), "{unknown}");
        let wrong = error(r#"{"providers":[{"name":["sk-very-secret"]}]}"#);
        assert!(wrong.starts_with("providers[0].name: invalid type"), "{wrong}");
        let mode = error(r#"{"mode":"enforced"}"#);
        assert!(mode.starts_with("mode: unknown variant `enforced`"), "{mode}");
        assert!(error("").contains("is empty"));
        assert!(error("{} {}").contains("trailing"));
    }

    #[test]
    fn a_mistake_never_quotes_a_value() {
        let wrong = error(r#"{"providers":"sk-very-\"secret\""}"#);
        assert!(wrong.starts_with("providers: invalid type: a string, expected"), "{wrong}");
        assert!(!wrong.contains("secret"), "{wrong}");
    }

    #[test]
    fn an_empty_object_is_an_empty_list() {
        let config: Config = parse(br#"{"providers":{}}"#).unwrap();
        assert!(config.providers.is_empty());
        assert_eq!(config.mode, Mode::Enforce);
        assert!(error(r#"{"providers":{"name":"a"}}"#).starts_with("providers"));
    }

    #[test]
    fn a_secret_that_is_not_set_is_named_but_never_shown() {
        let missing = error(r#"{"providers":[{"name":"a","api_key":"$env://NO_SUCH_KEY"}]}"#);
        assert!(missing.starts_with("providers[0].api_key: "), "{missing}");
        assert!(missing.contains("NO_SUCH_KEY"), "{missing}");
        let text = br#"{"providers":[{"name":"a","api_key":["old","new"]}]}"#;
        let config: Config = parse(text).unwrap();
        assert!(!format!("{config:?}").contains("old"));
        let keys: Vec<_> =
            config.providers[0].api_key.iter().map(|key| key.expose().to_owned()).collect();
        assert_eq!(keys, ["old", "new"]);
    }
}
