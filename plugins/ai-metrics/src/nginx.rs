//! Apache APISIX's own metrics and access log of models, which it reads from nginx variables.
//! <https://apisix.apache.org/docs/apisix/plugins/ai-proxy/#send-request-log-to-logger>

use shared::facts::Fact;
use shared::filter::Cx;
use shared::host::Capability;

use crate::record::Seen;

/// Says what an answer was, from the response phase, in which alone it can be said. A variable that the
/// gateway's version has not declared cannot be set, and is left.
pub(crate) fn state(cx: &mut Cx<'_>, seen: &Seen) {
    if cx.host.can(Capability::Metrics) {
        return;
    }
    let requested =
        cx.facts.get(cx.host, Fact::RequestedModel).or_else(|| seen.asked.model.clone());
    let model = cx.facts.get(cx.host, Fact::Model).or_else(|| requested.clone());
    let since = |then: u64| then.saturating_sub(seen.arrived) / 1_000_000;
    let now = cx.host.now_nanos();
    let first = seen.watch.first_token.unwrap_or(now);
    let usage = seen.watch.usage().unwrap_or_default();
    let kind = if seen.stream { "ai_stream" } else { "ai_chat" };
    for (name, value) in [
        ("request_type", kind.to_owned()),
        ("request_llm_model", requested.unwrap_or_default()),
        ("llm_model", model.unwrap_or_default()),
        ("llm_prompt_tokens", usage.prompt_tokens.to_string()),
        ("llm_completion_tokens", usage.completion_tokens.to_string()),
        ("llm_time_to_first_token", since(first).to_string()),
        ("apisix_upstream_response_time", since(now).to_string()),
    ] {
        let _ = cx.host.set_property(&[name], value.as_bytes());
    }
}
