//! How a model is told to think.

use super::model::Generation;
use crate::translate::ir::{Body, Effort, Field, Request, Role, Thinking, ToolChoice, Turn};
use crate::translate::signature::{self, Origin};

/// The least that `thinking.budget_tokens` may be.
const MIN_THINKING: u64 = 1024;

/// What is written of [`Thinking`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::translate::provider) enum Thought {
    /// Nothing: as it does by itself.
    Default,
    /// Not at all.
    Off,
    /// So many tokens.
    Budget(u64),
    /// As the model likes, with this effort.
    /// <https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>
    Adaptive(Option<&'static str>),
}

impl Thought {
    /// For this model. Names what it cannot do in `request.unsupported`.
    pub(in crate::translate::provider) fn of(
        request: &mut Request<'_>,
        generation: Generation,
        default_max_tokens: u64,
    ) -> Thought {
        let Thinking { effort, budget: tokens, show } = request.thinking;
        let by_budget = generation == Generation::Efforts && tokens.is_some() && effort.is_none();
        if generation < Generation::Efforts || by_budget {
            return budget(request, default_max_tokens).map_or(Thought::Default, Thought::Budget);
        }
        let effort = match request.thinking.effort() {
            None if show != Some(true) => return Thought::Default,
            Some(Effort::None) if generation == Generation::AlwaysThinking => {
                request.unsupported.push(Field::Thinking);
                return Thought::Default;
            }
            // Which 4.6 does not unless it is told to.
            Some(Effort::None) if generation == Generation::Efforts => return Thought::Default,
            Some(Effort::None) => return Thought::Off,
            effort => effort.map(|effort| generation.word(effort)),
        };
        if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
            // Refused while it thinks.
            request.unsupported.push(Field::Thinking);
            return Thought::Default;
        }
        Thought::Adaptive(effort)
    }

    /// It thinks because it is told to.
    pub(in crate::translate::provider) fn is_on(self) -> bool {
        matches!(self, Thought::Budget(_) | Thought::Adaptive(_))
    }

    /// `output_config.effort`.
    pub(in crate::translate::provider) fn effort(self) -> Option<&'static str> {
        match self {
            Thought::Adaptive(effort) => effort,
            _ => None,
        }
    }

    /// `thinking`.
    pub(in crate::translate::provider) fn json(self, generation: Generation) -> Option<String> {
        Some(match self {
            Thought::Default => return None,
            Thought::Off => r#"{"type":"disabled"}"#.into(),
            Thought::Budget(budget) => {
                format!(r#"{{"type":"enabled","budget_tokens":{budget}}}"#)
            }
            // From 4.7 on thoughts are not shown unless they are asked for.
            Thought::Adaptive(_) if generation > Generation::Efforts => {
                r#"{"type":"adaptive","display":"summarized"}"#.into()
            }
            Thought::Adaptive(_) => r#"{"type":"adaptive"}"#.into(),
        })
    }
}

/// How many tokens to think with, if at all. Anthropic refuses to think where a forced tool is to be
/// called, or on top of a round of calls that was made without.
fn budget(request: &mut Request<'_>, default_max_tokens: u64) -> Option<u64> {
    let wanted = match request.thinking {
        Thinking { effort: Some(Effort::None | Effort::Minimal), budget: None, .. } => return None,
        thinking => thinking.budget().filter(|budget| *budget > 0)?,
    };
    let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    let limit = match request.max_tokens {
        Some(max) => max.saturating_sub(1),
        None => default_max_tokens.saturating_add(wanted),
    };
    let budget = wanted.min(limit);
    if forced || unthinking_round(&request.turns) || budget < MIN_THINKING {
        request.unsupported.push(Field::Thinking);
        return None;
    }
    Some(budget)
}

/// Whether the last thing the model said is a call that it made without thinking.
fn unthinking_round(turns: &[Turn<'_>]) -> bool {
    let last = turns.iter().rfind(|turn| turn.role == Role::Assistant);
    last.is_some_and(|turn| {
        let called = turn.parts.iter().any(|part| matches!(part.body, Body::ToolCall { .. }));
        let thought = turn.parts.first().is_some_and(|part| {
            let signed = match &part.body {
                Body::Thinking { signature: Some(s), .. } => signature::of(Origin::Anthropic, s),
                _ => None,
            };
            signed.is_some() || matches!(part.body, Body::RedactedThinking(_))
        });
        called && !thought
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::presets::Quirks;
    use crate::provider::Cloud;
    use crate::translate::client::Client;
    use crate::translate::ir::Field;
    use crate::translate::provider::Options;
    use crate::translate::provider::anthropic::write;

    /// What is written for a request with these members, and what is left out.
    fn written(model: &str, members: Value) -> (Value, Vec<Field>) {
        let mut body = json!({ "messages": [{ "role": "user", "content": "a" }] });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let text = body.to_string();
        let mut request = Client::OpenAiChat.read(&text).unwrap();
        let options =
            Options { model, default_max_tokens: 4096, quirks: Quirks::NONE, cloud: Cloud::Own };
        let body = write(&mut request, &options).unwrap();
        (serde_json::from_str(&body).unwrap(), request.unsupported)
    }

    #[test]
    fn each_generation_is_told_in_its_own_words() {
        for (model, effort, thinking, word) in [
            (
                "claude-sonnet-4-5",
                "medium",
                json!({ "type": "enabled", "budget_tokens": 8192 }),
                None,
            ),
            ("claude-opus-4-6", "xhigh", json!({ "type": "adaptive" }), Some("max")),
            ("claude-opus-4-6", "none", json!(null), None),
            (
                "claude-opus-4-7",
                "minimal",
                json!({ "type": "adaptive", "display": "summarized" }),
                Some("low"),
            ),
            ("claude-opus-4-7", "none", json!({ "type": "disabled" }), None),
            (
                "claude-fable-5",
                "xhigh",
                json!({ "type": "adaptive", "display": "summarized" }),
                Some("xhigh"),
            ),
        ] {
            let (body, left_out) = written(model, json!({ "reasoning_effort": effort }));
            assert_eq!(body["thinking"], thinking, "{model} {effort}");
            assert_eq!(body["output_config"]["effort"], json!(word), "{model} {effort}");
            assert_eq!(left_out, [], "{model} {effort}");
        }
        let (body, left_out) = written("claude-fable-5", json!({ "reasoning_effort": "none" }));
        assert_eq!((&body["thinking"], left_out), (&json!(null), vec![Field::Thinking]));
    }

    #[test]
    fn an_effort_stands_beside_a_format() {
        let schema = json!({ "type": "object", "additionalProperties": false });
        let format = json!({ "type": "json_schema", "json_schema": { "schema": schema } });
        let members = json!({ "reasoning_effort": "high", "response_format": format });
        let (body, _) = written("claude-opus-4-7", members);
        let format = json!({ "type": "json_schema", "schema": schema });
        assert_eq!(body["output_config"], json!({ "effort": "high", "format": format }));
    }

    #[test]
    fn a_forced_tool_is_called_without_thinking() {
        let tool = json!({ "type": "function", "function": { "name": "f" } });
        let members =
            json!({ "reasoning_effort": "high", "tools": [tool], "tool_choice": "required" });
        let (body, left_out) = written("claude-opus-4-7", members);
        assert_eq!((&body["thinking"], left_out), (&json!(null), vec![Field::Thinking]));
    }

    #[test]
    fn sampling_is_left_out_where_it_is_refused() {
        let members = || json!({ "temperature": 0.5, "top_p": 0.9, "top_k": 3 });
        let (body, left_out) = written("claude-opus-4-0", members());
        assert_eq!((&body["temperature"], &body["top_p"]), (&json!(0.5), &json!(0.9)));
        assert_eq!(left_out, []);
        let (body, left_out) = written("claude-opus-4-5", members());
        assert_eq!((&body["temperature"], &body["top_p"]), (&json!(0.5), &json!(null)));
        assert_eq!(left_out, [Field::TopP]);
        let (body, left_out) = written("claude-opus-4-7", members());
        assert_eq!((&body["temperature"], &body["top_k"]), (&json!(null), &json!(null)));
        assert_eq!(left_out, [Field::Temperature, Field::TopP, Field::TopK]);
    }
}
