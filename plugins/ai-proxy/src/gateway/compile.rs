//! Checks a configuration and makes it ready.

use std::rc::Rc;
use std::time::Duration;

use shared::config::ConfigError;
use shared::exchange::Limits;
use shared::services::Services;
use shared::small_map::SmallMap;

use super::{Gateway, timed};
use crate::config::{Config, Model, Role};
use crate::feedback::Feedback;
use crate::messages;
use crate::objects::Objects;
use crate::provider::Provider;
use crate::routing::{self, Routing};
use crate::service::{self, Service};
use crate::shadow::Shadows;

impl Gateway {
    /// Checks a configuration. `vm_config` is the role's name, or empty.
    pub fn new(config: Config, vm_config: &[u8]) -> Result<Gateway, ConfigError> {
        let role = role(config.role, vm_config)?;
        let timed = timed::needs(&config);
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
            bridge: config.bridge,
            on_unsupported: config.on_unsupported,
            hold_first_event: config.hold_first_event,
            services: Vec::new(),
            objects: Objects::new(&config.object_secret)?.map(Rc::new),
            call_timeout: Duration::from_millis(config.call_timeout_ms.clamp(1, 3_600_000)),
            timed,
            limits: Limits {
                request: config.max_request_bytes,
                response: config.max_response_bytes,
            },
            providers,
            service_paths: Services::default(),
            routing: Routing::new(&config.carbon, config.circuit, config.auto, config.currencies)?,
            listed: config.routes.len(),
            exact: SmallMap::new(),
            prefixes: Vec::new(),
            aliases: SmallMap::new(),
            versions: config.versions,
            templates: config.templates,
            debug: config.debug,
            admin_key: config.admin_key,
            feedback: config.feedback.map(Feedback::new).transpose()?,
            shadows: Shadows::default(),
        };
        messages::check(&gateway.templates)?;
        for (index, route) in config.routes.into_iter().enumerate() {
            gateway.add_route(route, &format!("routes[{index}]"))?;
        }
        if let Some((number, before)) = gateway.routing.unreached() {
            let message =
                format!("is never reached: `{before}` before it fits all of its requests");
            return Err(ConfigError::new(format!("routes[{number}]"), message));
        }
        if let Some(store) = config.store {
            gateway.routing.keep(store)?;
        }
        for (index, model) in config.models.into_iter().enumerate() {
            gateway.add_model(model, &format!("models[{index}]"))?;
        }
        for (index, service) in config.services.iter().enumerate() {
            gateway.add_service(service, &format!("services[{index}]"))?;
        }
        gateway.service_paths = Services::new(
            &config.services.iter().flat_map(|s| s.paths.iter().cloned()).collect::<Vec<_>>(),
            "services",
        )?;
        if gateway.routing.is_empty() {
            return Err(ConfigError::new("models", "give at least one model, `*` for all"));
        }
        gateway.add_aliases(config.aliases)?;
        gateway.check_versions()?;
        Ok(gateway)
    }

    fn add_route(
        &mut self,
        route: routing::config::Route,
        path: &str,
    ) -> Result<usize, ConfigError> {
        let providers = &self.providers;
        self.routing.add(route, path, &|provider, path| {
            let found = providers.iter().position(|known| known.name == provider);
            let found = found.and_then(|at| Some((at, Rc::clone(&providers.get(at)?.models))));
            found.ok_or_else(|| {
                let names: Vec<_> = providers.iter().map(|p| p.name.as_str()).collect();
                let message = format!("no provider `{provider}`; there are {}", names.join(", "));
                ConfigError::new(format!("{path}.provider"), message)
            })
        })
    }

    fn add_model(&mut self, model: Model, path: &str) -> Result<(), ConfigError> {
        let index = self.routing.len();
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
        let targets = model.targets.into_iter().map(Into::into).collect();
        let route = routing::config::Route::plain(model.name, targets, model.cluster, model.key);
        self.add_route(route, path).map(|_| ())
    }

    fn add_service(&mut self, service: &Service, path: &str) -> Result<(), ConfigError> {
        let rule = self.routing.len();
        let compiled = service::Compiled::new(service, rule, path)?;
        let targets = service.targets.iter().cloned().map(Into::into).collect();
        let name = service.name.clone();
        let route =
            routing::config::Route::plain(name, targets, service.cluster.clone(), service.key);
        self.add_route(route, path)?;
        self.services.push(Rc::new(compiled));
        Ok(())
    }

    /// Aliases of aliases are followed once and for all.
    fn add_aliases(&mut self, given: SmallMap<String, String>) -> Result<(), ConfigError> {
        for (alias, model) in &given {
            let path = format!("aliases.{alias}");
            if self.exact.contains_key(alias) {
                let message = "is the name of a model as well; an alias needs a name of its own";
                return Err(ConfigError::new(path, message));
            }
            let mut chain = vec![alias.as_str()];
            let mut real = model.as_str();
            while let Some(next) = given.get(real).filter(|_| !self.exact.contains_key(real)) {
                if chain.contains(&real) {
                    chain.push(real);
                    let message = format!("goes round in a circle: {}", chain.join(" -> "));
                    return Err(ConfigError::new(path, message));
                }
                chain.push(real);
                real = next;
            }
            if self.rule(real).is_none() && self.listed == 0 {
                let message = format!("no entry of `models` fits `{real}`");
                return Err(ConfigError::new(path, message));
            }
            self.aliases.insert(alias.clone(), real.to_owned());
        }
        Ok(())
    }

    fn check_versions(&self) -> Result<(), ConfigError> {
        for (name, versions) in &self.versions {
            for (version, model) in versions {
                if self.rule(model).is_none() && self.listed == 0 {
                    let message = format!("no entry of `models` fits `{model}`");
                    return Err(ConfigError::new(format!("versions.{name}.{version}"), message));
                }
            }
        }
        Ok(())
    }
}

fn role(configured: Role, vm_config: &[u8]) -> Result<Role, ConfigError> {
    match vm_config.trim_ascii() {
        b"" => Ok(configured),
        b"route" => Ok(Role::Route),
        b"prepare" => Ok(Role::Prepare),
        b"translate" => Ok(Role::Translate),
        b"inline" => Ok(Role::Inline),
        _ => {
            let message = "expected route, prepare, translate or inline";
            Err(ConfigError::new("vm_config.configuration", message))
        }
    }
}
