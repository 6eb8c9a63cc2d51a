//! The configuration, checked and made ready: who answers, and which model is whose.

use shared::small_map::SmallMap;
use std::rc::Rc;
use std::time::Duration;

use shared::config::{Mode, Secrets};
use shared::errors::{ApiError, ErrorKind};
use shared::exchange::{Limits, Settings};
use shared::host::{Capability, Host};
use shared::plugin::Need;
use shared::services::Services;

use crate::asked::{Asked, Operation};
use crate::auth::access::Access;
use crate::config::{Inline, Key, OnUnsupported, Role};
use crate::feedback::Feedback;
use crate::objects::Objects;
use crate::overrides::Overrides;
use crate::provider::Provider;
use crate::routing::ask::Ask;
use crate::routing::config::Template;
use crate::routing::{Decision, Routing};
use crate::service;
use crate::shadow::Shadows;

mod choose;
mod compile;
mod names;
mod timed;

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
    /// What works outside of requests.
    timed: Vec<Need>,
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
            needs.push(Need::new(Capability::Clusters, "role", message));
        }
        if self.inline == Inline::Rewrite {
            let message = "on this proxy bodies can only be changed by the body bridge: give the route \
                           its two functions and set `bridge: true`, or write `call`";
            needs.push(Need::new(Capability::RewriteRequestBody, "inline", message));
        }
        needs.extend(self.timed.iter().cloned());
        needs
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
}
