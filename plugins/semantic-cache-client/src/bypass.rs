//! Which requests are not looked up, and why.

use shared::facts::Fact;
use shared::filter::Cx;
use shared::protocol::Endpoint;

use crate::policy::Policy;

/// Why a request is not looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// An API whose answers are not cached.
    Endpoint,
    /// Nobody knows who asks.
    NoConsumer,
    /// It has tools.
    Tools,
    /// It has images, sound or files.
    Media,
    /// Its temperature is too high.
    Temperature,
    /// It has personal data.
    PersonalData,
    /// prompt-guard has flagged it.
    Flagged,
    /// It goes on from something that the provider keeps.
    State,
    /// It cannot be read; what it gets is another's business.
    Unreadable,
    /// The client does not want it.
    NoStore,
    /// A rule says so.
    Rule,
}

impl Bypass {
    /// The word for it in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Bypass::Endpoint => "endpoint",
            Bypass::NoConsumer => "no_consumer",
            Bypass::Tools => "tools",
            Bypass::Media => "media",
            Bypass::Temperature => "temperature",
            Bypass::PersonalData => "personal_data",
            Bypass::Flagged => "flagged",
            Bypass::State => "state",
            Bypass::Unreadable => "unreadable",
            Bypass::NoStore => "no_store",
            Bypass::Rule => "rule",
        }
    }
}

/// Whether the answers of an API are cached.
pub fn cacheable(endpoint: Option<Endpoint>) -> Option<Endpoint> {
    endpoint.filter(|endpoint| {
        matches!(
            endpoint,
            Endpoint::OpenAiChat
                | Endpoint::OpenAiCompletions
                | Endpoint::OpenAiResponses
                | Endpoint::AnthropicMessages
                | Endpoint::Gemini
        )
    })
}

/// By what prompt-guard has found.
pub(crate) fn refuse_by_facts(policy: &Policy, cx: &mut Cx<'_>) -> Result<(), Bypass> {
    let guard = cx.facts.get(cx.host, Fact::Guard);
    // Without a verdict of prompt-guard's nobody has looked for personal data.
    if guard.is_some() && !policy.allow.personal_data && cx.facts.get(cx.host, Fact::Pii).is_some()
    {
        return Err(Bypass::PersonalData);
    }
    if !policy.allow.flagged && guard.as_deref() == Some("flag") {
        return Err(Bypass::Flagged);
    }
    Ok(())
}
