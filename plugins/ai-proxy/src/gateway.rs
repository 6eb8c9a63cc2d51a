//! The configuration, checked and made ready: who answers, and which model is whose.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use shared::config::{ConfigError, Mode};
use shared::errors::{ApiError, ErrorKind};
use shared::exchange::{Limits, Settings};

use crate::asked::{Asked, unknown_model};
use crate::auth::access::Access;
use crate::config::{Config, Inline, Key, Model, OnUnsupported, Role, Target};
use crate::provider::Provider;
use crate::wire;

/// A checked configuration.
#[derive(Debug)]
pub struct Gateway {
    /// What the plugin does.
    pub mode: Mode,
    /// Which part of it.
    pub role: Role,
    /// How the `inline` role reaches providers.
    pub inline: Inline,
    /// What happens to fields that a provider has nothing for.
    pub on_unsupported: OnUnsupported,
    /// How long a call of the plugin's own may take.
    pub call_timeout: Duration,
    limits: Limits,
    providers: Vec<Provider>,
    rules: Vec<Rule>,
    exact: BTreeMap<String, usize>,
    /// Longest first.
    prefixes: Vec<(String, usize)>,
    aliases: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Rule {
    targets: Vec<(usize, Option<String>)>,
    cluster: Option<String>,
    key: Key,
}

/// Where a request may go.
#[derive(Debug)]
pub struct Choice<'g> {
    /// In order of preference, never empty: the provider and its name of the model.
    pub targets: Vec<(&'g Provider, String)>,
    /// The Envoy cluster that reaches them.
    pub cluster: Option<&'g str>,
    /// Whose key they get.
    pub key: Key,
}

impl Gateway {
    /// Checks a configuration. `vm_config` is the role's name, or empty.
    pub fn new(config: Config, vm_config: &[u8]) -> Result<Gateway, ConfigError> {
        let role = role(config.role, vm_config)?;
        let mut providers = Vec::new();
        for (index, provider) in config.providers.into_iter().enumerate() {
            let path = format!("providers[{index}]");
            let provider = Provider::new(provider, &path)?;
            if providers.iter().any(|other: &Provider| other.name == provider.name) {
                let message = format!("`{}` is there already; names must differ", provider.name);
                return Err(ConfigError::new(format!("{path}.name"), message));
            }
            providers.push(provider);
        }
        if providers.is_empty() {
            return Err(ConfigError::new("providers", "give at least one provider"));
        }
        let mut gateway = Gateway {
            mode: config.mode,
            role,
            inline: config.inline,
            on_unsupported: config.on_unsupported,
            call_timeout: Duration::from_millis(config.call_timeout_ms.clamp(1, 3_600_000)),
            limits: Limits {
                request: config.max_request_bytes,
                response: config.max_response_bytes,
            },
            providers,
            rules: Vec::new(),
            exact: BTreeMap::new(),
            prefixes: Vec::new(),
            aliases: BTreeMap::new(),
        };
        for (index, model) in config.models.into_iter().enumerate() {
            gateway.add_model(model, &format!("models[{index}]"))?;
        }
        if gateway.rules.is_empty() {
            return Err(ConfigError::new("models", "give at least one model, `*` for all"));
        }
        for (alias, model) in config.aliases {
            gateway.add_alias(alias, model)?;
        }
        Ok(gateway)
    }

    fn add_model(&mut self, model: Model, path: &str) -> Result<(), ConfigError> {
        let targets = model.targets.iter().enumerate();
        let targets = targets
            .map(|(index, target)| self.target(target, &format!("{path}.targets[{index}]")))
            .collect::<Result<Vec<_>, _>>()?;
        if targets.is_empty() {
            return Err(ConfigError::new(format!("{path}.targets"), "give at least one target"));
        }
        let index = self.rules.len();
        let (prefix, wild) = match model.name.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (model.name.as_str(), false),
        };
        let name_path = format!("{path}.name");
        if prefix.contains('*') || (prefix.is_empty() && !wild) {
            let message = "must be a model's name, a prefix with `*` at its end, or `*`";
            return Err(ConfigError::new(name_path, message));
        }
        let taken = if wild {
            let taken = self.prefixes.iter().any(|(other, _)| other == prefix);
            let at = self.prefixes.partition_point(|(other, _)| other.len() >= prefix.len());
            self.prefixes.insert(at, (prefix.to_owned(), index));
            taken
        } else {
            self.exact.insert(model.name.clone(), index).is_some()
        };
        if taken {
            return Err(ConfigError::new(name_path, "is there already; names must differ"));
        }
        self.rules.push(Rule { targets, cluster: model.cluster, key: model.key });
        Ok(())
    }

    fn target(&self, target: &Target, path: &str) -> Result<(usize, Option<String>), ConfigError> {
        match self.providers.iter().position(|provider| provider.name == target.provider) {
            Some(provider) => Ok((provider, target.model.clone())),
            None => {
                let names: Vec<_> = self.providers.iter().map(|p| p.name.as_str()).collect();
                let message =
                    format!("no provider `{}`; there are {}", target.provider, names.join(", "));
                Err(ConfigError::new(format!("{path}.provider"), message))
            }
        }
    }

    fn add_alias(&mut self, alias: String, model: String) -> Result<(), ConfigError> {
        let path = format!("aliases.{alias}");
        if self.exact.contains_key(&alias) {
            let message = "is the name of a model as well; an alias needs a name of its own";
            return Err(ConfigError::new(path, message));
        }
        if self.rule(&model).is_none() {
            let message = format!("no entry of `models` fits `{model}`; aliases do not chain");
            return Err(ConfigError::new(path, message));
        }
        self.aliases.insert(alias, model);
        Ok(())
    }

    /// Settings of the exchanges.
    pub fn settings(&self) -> Settings {
        let upstream = self.role == Role::Translate;
        Settings { limits: self.limits, upstream, trust_facts: false }
    }

    /// Who does what is asked for; `wanted` is the provider that the client names for what names no
    /// model.
    pub fn choose(&self, asked: &Asked, wanted: Option<&str>) -> Result<Choice<'_>, ApiError> {
        if asked.model.is_empty() {
            return self.choose_service(asked, wanted);
        }
        self.choose_model(&asked.model)
            .ok_or_else(|| unknown_model(&asked.model, &self.model_names()))
    }

    /// The provider that is wanted, or the first that has the service.
    fn choose_service(&self, asked: &Asked, wanted: Option<&str>) -> Result<Choice<'_>, ApiError> {
        let able = |provider: &&Provider| wire::has(provider, asked.operation);
        let provider = match wanted {
            Some(name) => self.provider(name).filter(able),
            None => self.providers.iter().find(able),
        };
        let provider = provider.ok_or_else(|| {
            let message = "no provider of this gateway has this service";
            ApiError::new(ErrorKind::NotFound, message).code("unsupported_by_provider")
        })?;
        Ok(Choice {
            targets: vec![(provider, String::new())],
            cluster: provider.cluster.as_deref(),
            key: Key::Provider,
        })
    }

    /// Who has this model.
    pub fn choose_model(&self, model: &str) -> Option<Choice<'_>> {
        let model = match self.aliases.get(model) {
            Some(real) if !self.exact.contains_key(model) => real.as_str(),
            _ => model,
        };
        let rule = self.rule(model)?;
        let targets: Vec<_> = rule
            .targets
            .iter()
            .filter_map(|(index, name)| {
                let provider = self.providers.get(*index)?;
                let name = name.clone().unwrap_or_else(|| provider.models.of(model));
                Some((provider, name))
            })
            .collect();
        let own = targets.first().and_then(|(provider, _)| provider.cluster.as_deref());
        Some(Choice { targets, cluster: rule.cluster.as_deref().or(own), key: rule.key })
    }

    fn rule(&self, model: &str) -> Option<&Rule> {
        let by_prefix = || {
            let found = self.prefixes.iter().find(|(prefix, _)| model.starts_with(prefix.as_str()));
            found.map(|(_, index)| *index)
        };
        let index = self.exact.get(model).copied().or_else(by_prefix)?;
        self.rules.get(index)
    }

    /// The provider of this name.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// Names of all headers that some provider gets. On a retry those of the provider before must
    /// go.
    pub fn provider_headers(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().flat_map(|p| p.headers.iter().map(|(name, _)| name.as_str()))
    }

    /// The tokens of Google's that are to be kept fresh.
    pub fn accesses(&self) -> impl Iterator<Item = &Access> {
        self.providers.iter().filter_map(|provider| provider.google.as_ref())
    }

    /// All names that clients can ask for, but for families of them, and who has each.
    pub fn all_names(&self) -> Vec<(&str, &str)> {
        let names: BTreeSet<_> = self.exact.keys().chain(self.aliases.keys()).collect();
        let owner = |name: &str| {
            let choice = self.choose_model(name);
            choice.and_then(|choice| Some(choice.targets.first()?.0.name.as_str()))
        };
        names.into_iter().filter_map(|name| Some((name.as_str(), owner(name)?))).collect()
    }

    /// A few of the names that clients can ask for, for error messages.
    pub fn model_names(&self) -> Vec<&str> {
        let names: BTreeSet<_> = self.exact.keys().chain(self.aliases.keys()).collect();
        names.into_iter().map(String::as_str).take(10).collect()
    }
}

fn role(configured: Role, vm_config: &[u8]) -> Result<Role, ConfigError> {
    match vm_config.trim_ascii() {
        b"" => Ok(configured),
        b"route" => Ok(Role::Route),
        b"translate" => Ok(Role::Translate),
        b"inline" => Ok(Role::Inline),
        _ => {
            let message = "expected route, translate or inline";
            Err(ConfigError::new("vm_config.configuration", message))
        }
    }
}
