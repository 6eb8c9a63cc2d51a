//! Which things are told, by what names, and who states them.

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
    /// Where plugins before ai-proxy see an answer as the provider has sent it (APISIX): the provider's
    /// protocol if it is not the client's, or `sealed` if names in it are changed; absent if the client
    /// gets the same.
    Form,
}

impl Fact {
    /// All of them.
    pub const ALL: [Fact; 34] = [
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
        Fact::Form,
    ];

    /// Whether only ai-proxy states it.
    pub(super) fn is_of_proxy(self) -> bool {
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
                    | Fact::Form
            )
    }

    /// Which plugin states it, if it is one besides ai-proxy.
    pub(super) fn stated_by(self) -> Option<Stater> {
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

    /// By which other modules know it: never to be changed.
    pub fn name(self) -> &'static str {
        match self {
            Fact::RequestedModel => "requested_model",
            Fact::Targets => "targets",
            Fact::Provider => "provider",
            Fact::Model => "model",
            Fact::Attempts => "attempts",
            Fact::Path => "path",
            Fact::Versions => "versions",
            Fact::Key => "key",
            Fact::Usage => "usage",
            Fact::Consumer => "consumer",
            Fact::Groups => "groups",
            Fact::KeyId => "key_id",
            Fact::Tags => "tags",
            Fact::Claims => "claims",
            Fact::AllowedModels => "allowed_models",
            Fact::AllowedRegions => "allowed_regions",
            Fact::MaxTokens => "max_tokens",
            Fact::Guard => "guard",
            Fact::GuardRules => "guard_rules",
            Fact::Pii => "pii",
            Fact::Estimate => "estimate",
            Fact::Cache => "cache",
            Fact::Limit => "limit",
            Fact::Exhausted => "exhausted",
            Fact::Downgrade => "downgrade",
            Fact::Cluster => "cluster",
            Fact::Outcomes => "outcomes",
            Fact::Route => "route",
            Fact::Variant => "variant",
            Fact::Region => "region",
            Fact::Error => "error",
            Fact::Prepared => "prepared",
            Fact::Feedback => "feedback",
            Fact::Form => "form",
        }
    }

    /// Whether it may change with each attempt at a provider.
    pub(super) fn is_of_answer(self) -> bool {
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

    pub(super) fn has(self, stater: Stater) -> bool {
        self.0 >> stater as u8 & 1 == 1
    }
}
