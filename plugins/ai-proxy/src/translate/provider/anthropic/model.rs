//! What depends on the model, which is known by its name only.

use crate::translate::ir::{Effort, Field, Request};

/// Models that take the same fields, oldest first.
/// <https://platform.claude.com/docs/en/about-claude/models/migration-guide>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::translate::provider) enum Generation {
    /// Up to Claude 4, and all whose name tells nothing: `budget_tokens`.
    Budgets,
    /// From 4.1: takes `temperature` or `top_p`, not both.
    OneSampler,
    /// 4.6: thinks by `budget_tokens` or by effort.
    Efforts,
    /// From 4.7: thinks by effort only, and refuses all sampling parameters.
    EffortsOnly,
    /// Fable and Mythos: the same, and cannot be told not to think.
    AlwaysThinking,
}

impl Generation {
    /// That of a model's name, in whatever id it stands (`us.anthropic.claude-...`,
    /// `claude-opus-4-6@20260101`).
    pub(in crate::translate::provider) fn of(model: &str) -> Generation {
        let name = model.split_once("claude-").map_or("", |(_, name)| name);
        let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
        match words.next().unwrap_or_default() {
            "fable" | "mythos" => return Generation::AlwaysThinking,
            "opus" | "sonnet" | "haiku" => {}
            // `claude-3-7-sonnet`, and what is not known.
            _ => return Generation::Budgets,
        }
        // A date has more digits than a version.
        let mut number = || words.next().filter(|word| word.len() < 3)?.parse::<u32>().ok();
        match (number(), number()) {
            (Some(4), None | Some(0)) | (Some(..4) | None, _) => Generation::Budgets,
            (Some(4), Some(..6)) => Generation::OneSampler,
            (Some(4), Some(6)) => Generation::Efforts,
            (Some(_), _) => Generation::EffortsOnly,
        }
    }

    /// The word for an effort. <https://platform.claude.com/docs/en/build-with-claude/effort>
    pub(in crate::translate::provider) fn word(self, effort: Effort) -> &'static str {
        match effort {
            Effort::None | Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            // `xhigh` came with 4.7.
            Effort::ExtraHigh if self == Generation::Efforts => "max",
            Effort::ExtraHigh => "xhigh",
        }
    }

    /// Takes the sampling parameters away that the model refuses.
    pub(in crate::translate::provider) fn leave_sampling_out(self, request: &mut Request<'_>) {
        let fixed = self >= Generation::EffortsOnly;
        let temperature = request.temperature.is_some();
        if fixed && request.temperature.take().is_some() {
            request.unsupported.push(Field::Temperature);
        }
        let one = self >= Generation::OneSampler && temperature;
        if (fixed || one) && request.top_p.take().is_some() {
            request.unsupported.push(Field::TopP);
        }
        if fixed && request.top_k.take().is_some() {
            request.unsupported.push(Field::TopK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells() {
        for (model, generation) in [
            ("claude-3-7-sonnet-20250219", Generation::Budgets),
            ("claude-sonnet-4-20250514", Generation::Budgets),
            ("anthropic.claude-sonnet-4-20250514-v1:0", Generation::Budgets),
            ("claude-opus-4-0", Generation::Budgets),
            ("my-model", Generation::Budgets),
            ("claude-opus-4-1-20250805", Generation::OneSampler),
            ("claude-haiku-4-5@20251001", Generation::OneSampler),
            ("us.anthropic.claude-opus-4-6-v1", Generation::Efforts),
            ("anthropic/claude-sonnet-4.6", Generation::Efforts),
            ("claude-opus-4-7", Generation::EffortsOnly),
            ("claude-opus-4-8-20260528", Generation::EffortsOnly),
            ("claude-sonnet-5", Generation::EffortsOnly),
            ("claude-haiku-5-5", Generation::EffortsOnly),
            ("claude-opus-5-20260801", Generation::EffortsOnly),
            ("claude-mythos-preview", Generation::AlwaysThinking),
            ("claude-fable-5-1", Generation::AlwaysThinking),
        ] {
            assert_eq!(Generation::of(model), generation, "{model}");
        }
    }

    #[test]
    fn the_most_effort_has_a_newer_name() {
        assert_eq!(Generation::Efforts.word(Effort::ExtraHigh), "max");
        assert_eq!(Generation::EffortsOnly.word(Effort::ExtraHigh), "xhigh");
    }
}
