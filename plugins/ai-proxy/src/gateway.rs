//! The configuration, checked and made ready: who answers, and which model is whose.

use shared::small_map::SmallMap;
use std::rc::Rc;
use std::time::Duration;

use shared::config::{ConfigError, Mode, Secrets};
use shared::errors::{ApiError, ErrorKind};
use shared::exchange::{Limits, Settings};
use shared::host::{Capability, Host};
use shared::plugin::Need;
use shared::services::Services;

use crate::asked::{Asked, Operation, unknown_model};
use crate::auth::access::Access;
use crate::config::{Config, Inline, Key, Model, OnUnsupported, Role};
use crate::feedback::Feedback;
use crate::objects::{Objects, request::unknown};
use crate::overrides::Overrides;
use crate::provider::Provider;
use crate::routing::ask::Ask;
use crate::routing::config::Template;
use crate::routing::{self, Decision, Route, Routing};
use crate::service::{self, Service};
use crate::shadow::Shadows;
use crate::{messages, wire};

/// A checked configuration.
#[derive(Debug)]
pub struct Gateway {
    /// What the plugin does.
    pub mode: Mode,
    /// Which part of it.
    pub role: Role,
    /// How the `inline` role reaches providers.
    pub inline: Inline,
    /// The route has the functions of the body bridge (APISIX).
    bridge: bool,
    /// What happens to fields that a provider has nothing for.
    pub on_unsupported: OnUnsupported,
    /// Whether a streamed answer waits for its first event.
    pub hold_first_event: bool,
    /// Services that are no client API.
    pub services: Vec<Rc<service::Compiled>>,
    /// Seals the names of what providers keep.
    pub objects: Option<Rc<Objects>>,
    /// How long a call of the plugin's own may take.
    pub call_timeout: Duration,
    limits: Limits,
    providers: Vec<Provider>,
    service_paths: Services,
    routing: Routing,
    /// How many of the rules are `routes`; the others are entries of `models`.
    listed: usize,
    exact: SmallMap<String, usize>,
    /// Longest first.
    prefixes: Vec<(String, usize)>,
    aliases: SmallMap<String, String>,
    versions: SmallMap<String, SmallMap<String, String>>,
    templates: SmallMap<String, Template>,
    /// Whether clients are told why.
    pub debug: bool,
    /// Who may decide on canaries.
    pub admin_key: Secrets,
    /// Takes what users think of answers.
    pub feedback: Option<Feedback>,
    /// Copies of requests under way.
    pub shadows: Shadows,
}

/// Where a request may go.
#[derive(Debug)]
pub struct Choice<'g> {
    /// In order of preference, never empty: the provider and its name of the model. Behind the
    /// decision's `targets` come its `spare` ones.
    pub targets: Vec<(&'g Provider, String)>,
    /// The Envoy cluster that reaches the first of them, or all.
    pub cluster: Option<&'g str>,
    /// Whose key they get.
    pub key: Key,
    /// The rule that it was found by.
    pub decision: Option<Decision<'g>>,
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
            bridge: config.bridge,
            on_unsupported: config.on_unsupported,
            hold_first_event: config.hold_first_event,
            services: Vec::new(),
            objects: Objects::new(&config.object_secret)?.map(Rc::new),
            call_timeout: Duration::from_millis(config.call_timeout_ms.clamp(1, 3_600_000)),
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
            let message = format!("is never reached: `{before}` before it fits every request");
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
        let names: Vec<_> = self.providers.iter().map(|p| p.name.as_str()).collect();
        self.routing.add(route, path, &|provider, path| {
            names.iter().position(|name| *name == provider).ok_or_else(|| {
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

    /// The service that is asked for, if it is one of the configuration's.
    pub fn service(&self, asked: &Asked) -> Option<Rc<service::Compiled>> {
        match asked.operation {
            Operation::Generic(index) => self.services.get(index).cloned(),
            _ => None,
        }
    }

    /// Which service is asked for, and of which of its models.
    pub fn read_service(&self, asked: &mut Asked, path: &str, body: &str) -> Result<(), ApiError> {
        let found = self.services.iter().enumerate().find(|(_, service)| service.has(path));
        let (index, service) = found.ok_or_else(|| {
            ApiError::new(ErrorKind::NotFound, "this path is not served here").code("unknown_path")
        })?;
        asked.operation = Operation::Generic(index);
        asked.model = service.model(body).ok_or_else(|| {
            let pointer = service.model_pointer();
            let message = format!("{pointer}: the request must name its model here");
            ApiError::new(ErrorKind::InvalidRequest, message).param(pointer)
        })?;
        service.tail(path).clone_into(&mut asked.tail);
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

    /// Settings of the exchanges.
    pub fn settings(&self) -> Settings {
        let upstream = self.role == Role::Translate;
        let services = self.service_paths.clone();
        Settings {
            limits: self.limits,
            upstream,
            bridge: self.bridge,
            services,
            ..Settings::default()
        }
    }

    /// What the proxy has to be able to do for this.
    pub fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        if self.mode == Mode::Off {
            return needs;
        }
        if self.role != Role::Inline {
            let message = "this proxy has no upstream filters; leave `role` out";
            let otherwise = ConfigError::new("role", message);
            needs.push(Need { capability: Capability::Clusters, otherwise });
        }
        if self.inline == Inline::Rewrite {
            let message = "on this proxy bodies can only be changed by the body bridge: give the route \
                           its two functions and set `bridge: true`, or write `call`";
            let otherwise = ConfigError::new("inline", message);
            needs.push(Need { capability: Capability::RewriteRequestBody, otherwise });
        }
        needs
    }

    /// Who does what is asked for; `wanted` is the provider that the client names for what names no
    /// model.
    pub fn choose(
        &self,
        asked: &Asked,
        wanted: Option<&str>,
        ask: &mut Ask<'_, '_>,
        host: &dyn Host,
    ) -> Result<Choice<'_>, ApiError> {
        if asked.model.is_empty() {
            return self.choose_service(asked, wanted);
        }
        let choice = self.choose_model(asked, ask, host)?;
        self.keep_to_holder(asked, choice)
    }

    fn choose_model(
        &self,
        asked: &Asked,
        ask: &mut Ask<'_, '_>,
        host: &dyn Host,
    ) -> Result<Choice<'_>, ApiError> {
        let model = self.real_name(&asked.model);
        let number = self.rule_of(model, ask, asked.operation);
        let number = number.ok_or_else(|| unknown_model(&asked.model, &self.model_names()))?;
        let decision = self.routing.decide(number, ask, host)?;
        let spare = decision.spare.iter().map(|(index, _)| index);
        let targets = decision.targets.iter().chain(spare).filter_map(|index| {
            let target = decision.route.target(*index)?;
            let provider = self.providers.get(target.provider)?;
            let name = target.model.clone().unwrap_or_else(|| provider.models.of(model));
            Some((provider, name))
        });
        let targets: Vec<_> = targets.collect();
        let first = decision.targets.first();
        Ok(Choice {
            targets,
            cluster: first.and_then(|first| self.cluster(number, *first)),
            key: decision.route.key,
            decision: Some(decision),
        })
    }

    /// Of the targets, those where the objects are that the request names.
    fn keep_to_holder<'g>(
        &'g self,
        asked: &Asked,
        mut choice: Choice<'g>,
    ) -> Result<Choice<'g>, ApiError> {
        let held = &asked.held;
        let (Some(pin), Some(objects)) = (&held.pin, &self.objects) else { return Ok(choice) };
        let holds: Vec<bool> =
            choice.targets.iter().map(|(p, _)| objects.is_mark(&pin.provider, &p.name)).collect();
        let mut kept = holds.iter();
        choice.targets.retain(|_| kept.next().copied().unwrap_or(false));
        if let Some(decision) = &mut choice.decision {
            let mut kept = holds.iter();
            decision.targets.retain(|_| kept.next().copied().unwrap_or(false));
            decision.spare.retain(|_| kept.next().copied().unwrap_or(false));
            let first = decision.targets.first();
            choice.cluster = first.and_then(|first| self.cluster(decision.number, *first));
        }
        if choice.targets.is_empty() {
            let message = format!(
                "{}: is kept by a provider that does not serve this model now; ask the model that it \
                 was made with",
                held.param
            );
            return Err(ApiError::new(ErrorKind::InvalidRequest, message).param(&held.param));
        }
        Ok(choice)
    }

    /// What an alias or a `name@version` stands for.
    pub fn real_name<'a>(&'a self, model: &'a str) -> &'a str {
        if self.exact.contains_key(model) {
            return model;
        }
        let version = || {
            let (name, version) = model.rsplit_once('@')?;
            self.versions.get(name)?.get(version)
        };
        self.aliases.get(model).or_else(version).map_or(model, String::as_str)
    }

    /// The rule for a request; `model` is its real name.
    pub fn rule_of(
        &self,
        model: &str,
        ask: &mut Ask<'_, '_>,
        operation: Operation,
    ) -> Option<usize> {
        let listed = (self.listed > 0).then(|| self.routing.find(self.listed, ask)).flatten();
        let service = match operation {
            Operation::Generic(index) => self.services.get(index).map(|service| service.rule),
            _ => None,
        };
        listed.or(service).or_else(|| self.rule(model))
    }

    /// A user has given an answer of this provider and model a score, 0 to 1.
    pub fn rate(&self, host: &dyn Host, provider: &str, model: &str, score: f64) {
        if let Some(number) = self.providers.iter().position(|known| known.name == provider) {
            self.routing.rate(host, number, model, score);
        }
    }

    /// Messages with variables.
    pub fn templates(&self) -> &SmallMap<String, Template> {
        &self.templates
    }

    /// Whether requests are changed before other plugins look at them.
    pub fn prepares(&self) -> bool {
        !self.templates.is_empty() || self.routing.prepares()
    }

    /// The Envoy cluster that reaches a rule's target.
    pub fn cluster(&self, rule: usize, target: usize) -> Option<&str> {
        let route = self.routing.route(rule)?;
        let target = route.target(target)?;
        let own = || self.providers.get(target.provider)?.cluster.as_deref();
        route.cluster.as_deref().or(target.cluster.as_deref()).or_else(own)
    }

    /// The changes that a rule's target makes to a request's body.
    pub fn changes(&self, rule: usize, target: usize) -> Option<&Overrides> {
        let target = self.routing.route(rule)?.target(target)?;
        Some(&target.body).filter(|body| !body.is_empty())
    }

    /// The region of a rule's target, if it has one.
    pub fn region(&self, rule: usize, target: usize) -> Option<&str> {
        self.routing.route(rule)?.target(target)?.region.as_deref()
    }

    /// The rules.
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// The provider that is wanted, or the first that has the service.
    fn choose_service(&self, asked: &Asked, wanted: Option<&str>) -> Result<Choice<'_>, ApiError> {
        let able = |provider: &&Provider| wire::has(provider, asked.operation);
        let holder = match (&asked.held.pin, &self.objects) {
            (Some(pin), Some(objects)) => {
                let holds = |p: &&Provider| objects.is_mark(&pin.provider, &p.name);
                Some(self.providers.iter().find(holds).ok_or_else(|| unknown(&asked.held.param))?)
            }
            _ => None,
        };
        let provider = match wanted {
            _ if holder.is_some() => holder.filter(able),
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
            decision: None,
        })
    }

    /// The entry of `models` for this name.
    fn rule(&self, model: &str) -> Option<usize> {
        let by_prefix = || {
            let found = self.prefixes.iter().find(|(prefix, _)| model.starts_with(prefix.as_str()));
            found.map(|(_, index)| *index)
        };
        self.exact.get(model).copied().or_else(by_prefix)
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
        let owner = |route: &Route| {
            let target = route.targets.first()?;
            Some(self.providers.get(target.provider)?.name.as_str())
        };
        let mut names: SmallMap<&str, &str> = SmallMap::new();
        for name in self.exact.keys().chain(self.aliases.keys()) {
            let number = self.rule(self.real_name(name));
            let route = number.and_then(|number| self.routing.route(number));
            if let Some(owner) = route.and_then(owner) {
                names.insert(name, owner);
            }
        }
        for (name, route) in self.routing.model_names() {
            if let Some(owner) = owner(route) {
                names.insert(name, owner);
            }
        }
        names.into_iter().collect()
    }

    /// The provider that is asked first for a model, if nothing else about the request matters.
    pub fn owner(&self, model: &str) -> Option<&str> {
        let named = self.routing.model_names().find(|(name, _)| *name == model);
        let entry = || self.routing.route(self.rule(self.real_name(model))?);
        let route = named.map(|(_, route)| route).or_else(entry)?;
        Some(self.providers.get(route.targets.first()?.provider)?.name.as_str())
    }

    /// A few of the names that clients can ask for, for error messages.
    pub fn model_names(&self) -> Vec<&str> {
        let mut names = self.all_names();
        names.truncate(10);
        names.into_iter().map(|(name, _)| name).collect()
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
