//! What plugins tell each other about a request.
//!
//! In the bundle facts live in memory. Between separate plugins they travel as properties
//! (`ai.provider` ...), which neither client nor provider can see or set. A host without shared
//! properties (APISIX) carries those of the request in one variable, [`VARIABLE`], if its
//! configuration declares it; without it every plugin knows only what it has found out itself.

use crate::small_map::SmallMap;
use crate::usage::Usage;

use crate::host::{Capability, Host, Map};
use crate::json;

/// The nginx variable that carries facts where properties cannot. No client can set it.
pub const VARIABLE: &str = "wasm_ai_facts";

/// A header that could be taken for the plugins' own: removed, whoever sends it.
pub const HEADER: &str = "x-ai-facts";

/// Most bytes of [`VARIABLE`] that are read or written.
const MAX_VARIABLE: usize = 16 << 10;

/// One thing known about a request. Values are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// The model that the client asked for.
    RequestedModel,
    /// Where it may go, in order of preference: lines of `provider=model`, a tab and the numbers of rule
    /// and target, and for those that are there for some failures only a tab and their names.
    Targets,
    /// The provider that answered (or was chosen, before an answer).
    Provider,
    /// The model that was asked of the provider.
    Model,
    /// Providers tried, in order, separated by commas.
    Attempts,
    /// The path that the client asked for, with its query.
    Path,
    /// The client's `anthropic-version` and, in a second line, its `anthropic-beta`; absent if it has
    /// sent neither.
    Versions,
    /// `passthrough` where the provider gets the client's own key.
    Key,
    /// Token counts of the answer, as JSON of [`Usage`](crate::usage::Usage).
    Usage,
    /// Who asks, by the name in the configuration of ai-auth; absent if nobody has told.
    Consumer,
    /// The consumer's groups, separated by commas.
    Groups,
    /// Which of the consumer's keys was used; never the key.
    KeyId,
    /// What the request is accounted to besides its consumer (team, project ...), as a JSON object of
    /// strings.
    Tags,
    /// Claims of a token that ai-auth passes on, as a JSON object of strings.
    Claims,
    /// Patterns of the models that the consumer may ask for, separated by newlines; absent is any.
    AllowedModels,
    /// Regions that the request may go to, separated by commas; absent is any, empty is none.
    AllowedRegions,
    /// Most tokens of an answer that the consumer may ask for.
    MaxTokens,
    /// What prompt-guard decided: `pass`, `flag`, `mask`, `block` or, of the answer, `block_answer`.
    Guard,
    /// The rules that it went by, separated by commas.
    GuardRules,
    /// Kinds of personal data found in the request, separated by commas.
    Pii,
    /// Prompt tokens as estimated before the request was sent.
    Estimate,
    /// What semantic-cache-client did: `hit-exact`, `hit-semantic`, `miss`, `bypass` or `stale`.
    Cache,
    /// The limit that refused the request.
    Limit,
    /// Targets that a limit leaves out, as `provider=model` or `provider=*`, separated by newlines.
    Exhausted,
    /// A budget that asks for a cheaper model.
    Downgrade,
    /// The Envoy cluster that the next attempt goes to; Envoy's routing reads it as the filter state
    /// `wasm.ai.cluster`.
    Cluster,
    /// What came of the attempts: lines of their number, status, microseconds to the first event,
    /// seconds that the target is to rest, the target's number and the microseconds since the Unix epoch
    /// when it began, separated by spaces; `-` for what is not known.
    Outcomes,
    /// The route that was taken.
    Route,
    /// The experiment's variant, `experiment=variant`.
    Variant,
    /// The region of the target that was asked last; empty if it has none.
    Region,
    /// The kind of error that the client got.
    Error,
    /// Set once a rule's messages have been added and templates filled.
    Prepared,
    /// What a user thinks of an answer, as a JSON object: `provider`, `model`, `variant`, `score`.
    Feedback,
}

impl Fact {
    /// All of them.
    pub const ALL: [Fact; 33] = [
        Fact::RequestedModel,
        Fact::Targets,
        Fact::Provider,
        Fact::Model,
        Fact::Attempts,
        Fact::Path,
        Fact::Versions,
        Fact::Key,
        Fact::Usage,
        Fact::Consumer,
        Fact::Groups,
        Fact::KeyId,
        Fact::Tags,
        Fact::Claims,
        Fact::AllowedModels,
        Fact::AllowedRegions,
        Fact::MaxTokens,
        Fact::Guard,
        Fact::GuardRules,
        Fact::Pii,
        Fact::Estimate,
        Fact::Cache,
        Fact::Limit,
        Fact::Exhausted,
        Fact::Downgrade,
        Fact::Cluster,
        Fact::Outcomes,
        Fact::Route,
        Fact::Variant,
        Fact::Region,
        Fact::Error,
        Fact::Prepared,
        Fact::Feedback,
    ];

    /// The name; the property is `ai.<name>`.
    pub fn name(self) -> &'static str {
        let property = self.property();
        property.strip_prefix("ai.").unwrap_or(property)
    }

    /// Whether only ai-proxy states it.
    fn is_of_proxy(self) -> bool {
        let of_answer = self.is_of_answer() && self != Fact::Error;
        of_answer
            || matches!(
                self,
                Fact::RequestedModel
                    | Fact::Targets
                    | Fact::Path
                    | Fact::Versions
                    | Fact::Key
                    | Fact::Route
                    | Fact::Feedback
            )
    }

    /// Which plugin states it, if it is one besides ai-proxy.
    fn stated_by(self) -> Option<Stater> {
        match self {
            Fact::Consumer
            | Fact::Groups
            | Fact::KeyId
            | Fact::Tags
            | Fact::Claims
            | Fact::AllowedModels
            | Fact::MaxTokens => Some(Stater::Auth),
            Fact::Guard | Fact::GuardRules | Fact::Pii => Some(Stater::Guard),
            Fact::Cache => Some(Stater::Cache),
            Fact::Estimate | Fact::Limit | Fact::Exhausted | Fact::Downgrade => {
                Some(Stater::Limits)
            }
            _ => None,
        }
    }

    /// The property's path on hosts that share properties.
    pub fn property(self) -> &'static str {
        match self {
            Fact::RequestedModel => "ai.requested_model",
            Fact::Targets => "ai.targets",
            Fact::Provider => "ai.provider",
            Fact::Model => "ai.model",
            Fact::Attempts => "ai.attempts",
            Fact::Path => "ai.path",
            Fact::Versions => "ai.versions",
            Fact::Key => "ai.key",
            Fact::Usage => "ai.usage",
            Fact::Consumer => "ai.consumer",
            Fact::Groups => "ai.groups",
            Fact::KeyId => "ai.key_id",
            Fact::Tags => "ai.tags",
            Fact::Claims => "ai.claims",
            Fact::AllowedModels => "ai.allowed_models",
            Fact::AllowedRegions => "ai.allowed_regions",
            Fact::MaxTokens => "ai.max_tokens",
            Fact::Guard => "ai.guard",
            Fact::GuardRules => "ai.guard_rules",
            Fact::Pii => "ai.pii",
            Fact::Estimate => "ai.estimate",
            Fact::Cache => "ai.cache",
            Fact::Limit => "ai.limit",
            Fact::Exhausted => "ai.exhausted",
            Fact::Downgrade => "ai.downgrade",
            Fact::Cluster => "ai.cluster",
            Fact::Outcomes => "ai.outcomes",
            Fact::Route => "ai.route",
            Fact::Variant => "ai.variant",
            Fact::Region => "ai.region",
            Fact::Error => "ai.error",
            Fact::Prepared => "ai.prepared",
            Fact::Feedback => "ai.feedback",
        }
    }

    /// Whether it may change with each attempt at a provider.
    fn is_of_answer(self) -> bool {
        matches!(
            self,
            Fact::Provider
                | Fact::Model
                | Fact::Attempts
                | Fact::Usage
                | Fact::Cluster
                | Fact::Outcomes
                | Fact::Variant
                | Fact::Region
                | Fact::Error
        )
    }
}

/// A plugin that states facts of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stater {
    /// ai-auth.
    Auth,
    /// prompt-guard.
    Guard,
    /// semantic-cache-client.
    Cache,
    /// token-ratelimit.
    Limits,
}

/// Some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staters(u8);

impl Staters {
    /// One more.
    pub fn add(&mut self, stater: Stater) {
        self.0 |= 1 << stater as u8;
    }

    fn has(self, stater: Stater) -> bool {
        self.0 >> stater as u8 & 1 == 1
    }
}

/// The facts of one exchange.
#[derive(Debug, Default)]
pub struct Facts {
    known: SmallMap<Fact, String>,
    /// What the proxy has said during the callback at hand, in which no other plugin runs.
    asked: SmallMap<Fact, Option<String>>,
    variable_read: bool,
    kept: bool,
    own: bool,
    here: Staters,
}

impl Facts {
    /// Facts of an exchange; those of the plugins that are `here`, in this module, have been stated here
    /// or nowhere, so that the proxy need not be asked for them.
    pub(crate) fn new(here: Staters) -> Facts {
        Facts { here, ..Facts::default() }
    }

    /// A fact, if some plugin stated it.
    pub fn get(&mut self, host: &dyn Host, fact: Fact) -> Option<String> {
        if let Some(value) = self.known.get(&fact) {
            return Some(value.clone());
        }
        if host.can(Capability::SharedProperties) {
            let here = fact.stated_by().is_some_and(|stater| self.here.has(stater));
            if here || (self.own && fact.is_of_proxy()) {
                return None;
            }
            if let Some(value) = self.asked.get(&fact) {
                return value.clone();
            }
            let value = host.property(&[fact.property()]);
            let value = value.and_then(|value| String::from_utf8(value).ok());
            self.asked.insert(fact, value.clone());
            return value;
        }
        self.read_variable(host);
        self.known.get(&fact).cloned()
    }

    /// Whether what a request says may be sent to a service in this region: one that does not say where
    /// it is, is nowhere that a request with [`Fact::AllowedRegions`] may go.
    pub fn allow_region(&mut self, host: &dyn Host, region: &str) -> bool {
        let Some(allowed) = self.get(host, Fact::AllowedRegions) else { return true };
        !region.is_empty() && allowed.split(',').any(|allowed| allowed.trim() == region)
    }

    /// [`Fact::Usage`], read; `None` if nobody has stated it.
    pub fn usage(&mut self, host: &dyn Host) -> Option<Usage> {
        json::parse(&self.get(host, Fact::Usage)?).ok()
    }

    /// States a fact.
    pub fn set(&mut self, host: &dyn Host, fact: Fact, value: impl Into<String>) {
        let value = value.into();
        if self.known.get(&fact) == Some(&value) {
            return;
        }
        if host.can(Capability::SharedProperties) {
            let _ = host.set_property(&[fact.property()], value.as_bytes());
        }
        self.known.insert(fact, value);
    }

    /// Another callback: other plugins may have stated facts since the last.
    pub(crate) fn ask_anew(&mut self) {
        self.asked.clear();
    }

    /// The answer is there. What another module has found out about it meanwhile (on Envoy the
    /// upstream role is one of its own) holds, not what was assumed before.
    pub(crate) fn answered(&mut self, host: &dyn Host) {
        if host.can(Capability::SharedProperties) && !self.own {
            self.known.retain(|fact, _| !fact.is_of_answer());
        }
    }

    /// At the start of an exchange, before any filter.
    pub(crate) fn begin(&mut self, host: &dyn Host) {
        let _ = host.remove_header(Map::Request, HEADER);
        // Asked for now: the end of an exchange has no request whose variables could be read.
        if !host.can(Capability::SharedProperties) {
            self.read_variable(host);
        }
    }

    /// What comes after this plugin is no plugin of the suite: nothing is handed on.
    pub fn keep(&mut self) {
        self.kept = true;
    }

    /// All of ai-proxy is in this module: what it has not stated here has been stated nowhere.
    pub fn own(&mut self) {
        self.own = true;
    }

    /// Hands the facts of a request on to the next plugin of the chain, on hosts that need it done.
    pub(crate) fn hand_on(&mut self, host: &dyn Host) {
        if self.kept || host.can(Capability::SharedProperties) {
            return;
        }
        let by_name: SmallMap<&str, &str> =
            self.known.iter().map(|(fact, value)| (fact.name(), value.as_str())).collect();
        if let Ok(json) = serde_json::to_string(&by_name)
            && json.len() <= MAX_VARIABLE
        {
            // Not declared: then nobody asks.
            let _ = host.set_property(&[VARIABLE], json.as_bytes());
        }
    }

    fn read_variable(&mut self, host: &dyn Host) {
        if std::mem::replace(&mut self.variable_read, true) {
            return;
        }
        let Some(bytes) = host.property(&[VARIABLE]).filter(|b| b.len() <= MAX_VARIABLE) else {
            return;
        };
        let Ok(by_name) = json::from_bytes::<SmallMap<String, String>>(&bytes) else {
            return;
        };
        for fact in Fact::ALL {
            if let Some(value) = by_name.get(fact.name()) {
                self.known.entry(fact).or_insert_with(|| value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::exchange::Exchange;
    use crate::filter::{Cx, Filter, Flow};
    use crate::host::Body;
    use crate::host::script::ScriptHost;

    /// Writes down whom it is told to be asked by, in each callback twice.
    struct Looks(Rc<RefCell<Vec<Option<String>>>>);

    impl Looks {
        fn look(&self, cx: &mut Cx<'_>) -> Flow {
            let found = cx.facts.get(cx.host, Fact::Consumer);
            assert_eq!(cx.facts.get(cx.host, Fact::Consumer), found);
            self.0.borrow_mut().push(found);
            Flow::Continue
        }
    }

    impl Filter for Looks {
        fn request_head(&mut self, cx: &mut Cx<'_>) -> Flow {
            cx.read_body();
            self.look(cx)
        }

        fn request(&mut self, cx: &mut Cx<'_>, _: &mut crate::request::RequestBody) -> Flow {
            self.look(cx)
        }
    }

    #[test]
    fn what_another_plugin_states_between_two_callbacks_is_seen() {
        let seen = Rc::default();
        let host = ScriptHost::post("/v1/chat/completions");
        let mut exchange =
            Exchange::new(vec![Box::new(Looks(Rc::clone(&seen)))], Default::default());
        exchange.request_headers(&host, false);
        host.set_property(&["ai.consumer"], b"anna").unwrap();
        host.put_body(Body::Request, b"{}");
        exchange.request_body(&host, 2, true);
        assert_eq!(*seen.borrow(), [None, Some("anna".to_owned())]);
    }

    #[test]
    fn what_a_plugin_of_the_same_module_would_state_is_not_asked_of_the_proxy() {
        let host = ScriptHost::post("/v1/chat/completions");
        host.set_property(&["ai.consumer"], b"anna").unwrap();
        host.set_property(&["ai.guard"], b"flag").unwrap();
        let mut here = Staters::default();
        here.add(Stater::Auth);
        let mut facts = Facts::new(here);
        assert_eq!(facts.get(&host, Fact::Consumer), None);
        assert_eq!(facts.get(&host, Fact::Guard).as_deref(), Some("flag"));
        facts.set(&host, Fact::Consumer, "otto");
        assert_eq!(facts.get(&host, Fact::Consumer).as_deref(), Some("otto"));
    }
}
