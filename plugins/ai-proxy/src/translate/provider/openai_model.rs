//! What OpenAI's models that think refuse, which are known by their names only.
//! <https://platform.openai.com/docs/guides/reasoning>,
//! <https://platform.openai.com/docs/guides/latest-model#gpt-5-2-parameter-compatibility>

use crate::translate::ir::{Effort, Field, Request};

/// A line of models that take the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// gpt-oss, wherever it is served.
    Open,
    /// o1, o3-mini, o4-mini ...
    O,
    /// GPT-5.
    Five,
    /// GPT-5.1 and later, by what follows the point; 100 stands for GPT-6 and later. They need not think, but for
    /// those for code and the largest.
    Later { minor: u32, must: bool },
    /// All others.
    Other,
}

impl Line {
    fn of(model: &str) -> Line {
        let name = model.rsplit('/').next().unwrap_or_default();
        let name = name.strip_prefix("ft:").unwrap_or(name);
        if name.contains("gpt-oss") {
            return Line::Open;
        }
        if name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            return Line::O;
        }
        // `gpt-5-chat-latest` does not think.
        let Some(version) = name.strip_prefix("gpt-").filter(|_| !name.contains("chat")) else {
            return Line::Other;
        };
        let must = ["codex", "-pro"].iter().any(|kind| name.contains(kind));
        let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(5)), Some(Ok(minor @ 1..100))) => Line::Later { minor, must },
            (Some(Ok(5)), _) => Line::Five,
            (Some(Ok(6..100)), _) => Line::Later { minor: 100, must },
            _ => Line::Other,
        }
    }

    /// The nearest effort that it knows.
    fn effort(self, wanted: Effort) -> Effort {
        match (self, wanted) {
            (Line::Open | Line::O, Effort::None | Effort::Minimal) => Effort::Low,
            (Line::Open | Line::O | Line::Five, Effort::ExtraHigh) => Effort::High,
            (Line::Five, Effort::None) => Effort::Minimal,
            (Line::Later { .. }, Effort::Minimal) => Effort::Low,
            (Line::Later { must: true, .. }, Effort::None) => Effort::Low,
            (Line::Later { minor: 1, must: false }, Effort::ExtraHigh) => Effort::High,
            (_, wanted) => wanted,
        }
    }

    /// Whether it thinks, as it does unless it is told not to, or until GPT-5.4 if it is not told to.
    fn thinks(self, effort: Option<Effort>) -> bool {
        match self {
            Line::Open | Line::Other => false,
            Line::O | Line::Five | Line::Later { must: true, .. } => true,
            Line::Later { minor, .. } => match effort {
                Some(effort) => effort != Effort::None,
                None => minor > 4,
            },
        }
    }
}

/// Whether OpenAI's models of this name take less than others do.
pub(super) fn is_particular(model: &str) -> bool {
    Line::of(model) != Line::Other || calls_or_thinks(model)
}

/// Whether a model refuses to think where there are functions, which from GPT-5.4 on only the Responses API
/// allows. From GPT-5.6 on it must even be told not to.
/// <https://github.com/openai/openai-openapi/issues/541>
pub(super) fn calls_or_thinks(model: &str) -> bool {
    // Clouds have names of their own before it: `openai.gpt-5.4`.
    let name = model.find("gpt-").and_then(|at| model.get(at..));
    name.is_some_and(|name| matches!(Line::of(name), Line::Later { minor: 4.., .. }))
}

/// Leaves out what the model refuses. `own`: it is served by OpenAI itself.
pub(super) fn fit(request: &mut Request<'_>, model: &str, own: bool) {
    let line = Line::of(model);
    if !own && line != Line::Open {
        return;
    }
    if let Some(wanted) = request.thinking.effort() {
        let effort = line.effort(wanted);
        if wanted == Effort::None && effort != Effort::None {
            request.unsupported.push(Field::Thinking);
        }
        request.thinking.effort = Some(effort);
    }
    let mut out = |given: bool, field: Field| {
        if given && !request.unsupported.contains(&field) {
            request.unsupported.push(field);
        }
    };
    if line.thinks(request.thinking.effort()) {
        // 1 and 0 are what holds anyway.
        out(request.temperature.take().is_some_and(|value| value != 1.0), Field::Temperature);
        out(request.top_p.take().is_some_and(|value| value != 1.0), Field::TopP);
        out(request.logprobs.take().is_some(), Field::Logprobs);
        let frequency = request.frequency_penalty.take();
        out(frequency.is_some_and(|value| value != 0.0), Field::FrequencyPenalty);
        let presence = request.presence_penalty.take();
        out(presence.is_some_and(|value| value != 0.0), Field::PresencePenalty);
    }
    if matches!(line, Line::O | Line::Five | Line::Later { .. }) {
        out(!std::mem::take(&mut request.stop).is_empty(), Field::Stop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Protocol;
    use crate::presets;
    use crate::provider::Cloud;
    use crate::translate::client::Client;
    use crate::translate::provider::{Options, write};

    fn written(preset: &str, model: &str, more: &str) -> (serde_json::Value, Vec<Field>) {
        let text = format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}}]{more}}}"#
        );
        let mut request = Client::Anthropic.read(&text).unwrap();
        let quirks = presets::find(preset).unwrap().quirks;
        let protocol = presets::find(preset).unwrap().protocol;
        let options = Options { model, default_max_tokens: 9, quirks, cloud: Cloud::Own };
        let body = write(protocol, &mut request, &options).unwrap();
        (serde_json::from_str(&body).unwrap(), request.unsupported)
    }

    #[test]
    fn functions_or_thinking_is_told_by_the_version_whatever_stands_before() {
        for (model, is) in [
            ("openai.gpt-5.4", true),
            ("ft:gpt-5.6-terra:x", true),
            ("gpt-6", true),
            ("gpt-5.3", false),
            ("gpt-5", false),
            ("gpt-4.1", false),
            ("o4-mini", false),
            ("claude-opus-4-5", false),
        ] {
            assert_eq!(calls_or_thinks(model), is, "{model}");
        }
    }

    #[test]
    fn models_that_think_get_no_sampling() {
        let more = r#","temperature":0.2,"top_p":0.9,"stop_sequences":["x"]"#;
        let all = [Field::Temperature, Field::TopP, Field::Stop];
        for (preset, model, effort, kept) in [
            ("openai", "gpt-5-mini-2025-08-07", "", false),
            ("openai", "o4-mini", "", false),
            ("azure", "gpt-5", "", false),
            ("openai-responses", "gpt-5", "", false),
            ("openai", "gpt-5.2", r#","output_config":{"effort":"high"}"#, false),
            ("openai", "gpt-5.2-codex", "", false),
            ("openai", "gpt-5.6", "", false),
            ("openai", "gpt-4.1", "", true),
            ("openai", "gpt-5-chat-latest", "", true),
            ("openrouter", "openai/gpt-5", "", true),
        ] {
            let (body, left_out) = written(preset, model, &format!("{more}{effort}"));
            let said = ["temperature", "top_p", "stop"].map(|key| !body[key].is_null());
            assert_eq!(said, [kept; 3], "{preset} {model}");
            assert_eq!(all.iter().all(|field| left_out.contains(field)), !kept, "{model}");
        }
        // What need not think is only told no stops.
        let (body, left_out) = written("openai", "gpt-5.2", more);
        assert_eq!((&body["temperature"], left_out.as_slice()), (&0.2.into(), &[Field::Stop][..]));
        // What holds anyway is not missed.
        let (body, left_out) = written("openai", "gpt-5", r#","temperature":1,"top_p":1"#);
        assert!(body.get("temperature").is_none() && left_out.is_empty(), "{left_out:?}");
    }

    #[test]
    fn efforts_that_a_model_does_not_know_become_the_nearest() {
        for (model, effort, nearest) in [
            ("o3", "xhigh", "high"),
            ("o3", "minimal", "low"),
            ("gpt-5", "none", "minimal"),
            ("gpt-5", "xhigh", "high"),
            ("gpt-5.1", "minimal", "low"),
            ("gpt-5.1", "xhigh", "high"),
            ("gpt-5.1-codex-max", "xhigh", "xhigh"),
            ("gpt-5.2", "none", "none"),
            ("gpt-5.3-codex", "none", "low"),
            ("gpt-oss-120b", "none", "low"),
            ("gpt-4.1", "xhigh", "xhigh"),
        ] {
            let text = format!(
                r#"{{"messages":[{{"role":"user","content":"a"}}],"reasoning_effort":"{effort}"}}"#
            );
            let mut request = Client::OpenAiChat.read(&text).unwrap();
            let quirks = presets::find("openai").unwrap().quirks;
            let options = Options { model, default_max_tokens: 9, quirks, cloud: Cloud::Own };
            let body = write(Protocol::Openai, &mut request, &options).unwrap();
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["reasoning_effort"], nearest, "{model} {effort}");
        }
    }
}
