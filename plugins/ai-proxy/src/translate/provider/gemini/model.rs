//! What depends on the model, which is known by its name only.

use crate::translate::ir::{Effort, Thinking};

/// Google's way to say that a call was not made by this model: Gemini 3 and later refuse calls
/// without a signature, <https://ai.google.dev/gemini-api/docs/thought-signatures#faqs>. Of the two
/// strings documented there this is the one that Vertex AI takes as well.
pub(super) const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// A line of models that take the same fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Gemini 3 and later: `thinkingLevel`, from this one up.
    Levels(Level),
    /// Gemini 2.5: `thinkingBudget`, at least and at most so many tokens.
    Budget {
        /// The least above 0.
        min: u64,
        /// The most.
        max: u64,
        /// 0 is allowed.
        off: bool,
    },
    /// Before that: no thoughts.
    None,
    /// Another name, a tuned model's perhaps: it is told what the client says.
    Unknown,
}

/// The values of `thinkingLevel`; which of them a model takes is in
/// <https://ai.google.dev/gemini-api/docs/thinking#levels-budgets>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Close to none.
    Minimal,
    /// Little.
    Low,
}

/// What is written of [`Thinking`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// `thinkingLevel`.
    pub(super) level: Option<&'static str>,
    /// `thinkingBudget`.
    pub(super) budget: Option<u64>,
    /// `includeThoughts`.
    pub(super) show: bool,
    /// It is not quite what was asked for.
    pub(super) differs: bool,
}

impl Family {
    /// That of a model's name, in whatever path it stands (`publishers/google/models/...`).
    pub(super) fn of(model: &str) -> Family {
        let name = model.rsplit('/').next().unwrap_or_default();
        let Some(version) = name.strip_prefix("gemini-") else { return Family::Unknown };
        let lowest = if version.contains("flash") { Level::Minimal } else { Level::Low };
        let digits = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        match digits.parse::<u32>() {
            // gemini-flash-latest and the like.
            Err(_) if version.ends_with("-latest") => Family::Levels(lowest),
            Err(_) => Family::Unknown,
            Ok(0 | 1) => Family::None,
            Ok(2) if !version.starts_with("2.5") || version.contains("image") => Family::None,
            Ok(2) if version.contains("pro") => {
                Family::Budget { min: 128, max: 32_768, off: false }
            }
            Ok(2) if version.contains("lite") => {
                Family::Budget { min: 512, max: 24_576, off: true }
            }
            Ok(2) => Family::Budget { min: 1, max: 24_576, off: true },
            // This Flash model no longer knows `minimal`.
            Ok(3) if version.starts_with("3.8-flash") => Family::Levels(Level::Low),
            Ok(_) => Family::Levels(lowest),
        }
    }

    /// Calls must be signed.
    pub(super) fn signs_calls(self) -> bool {
        matches!(self, Family::Levels(_))
    }

    /// A function's result can have pictures in it.
    pub(super) fn pictures_in_results(self) -> bool {
        matches!(self, Family::Levels(_))
    }

    /// Penalties other than 0 are refused, <https://github.com/google-gemini/cookbook/issues/1290>.
    pub(super) fn no_penalties(self) -> bool {
        matches!(self, Family::Levels(_) | Family::Budget { .. })
    }

    /// A schema of the answer and functions are refused together.
    pub(super) fn format_or_tools(self) -> bool {
        matches!(self, Family::Budget { .. } | Family::None)
    }

    /// What is written of what was asked for.
    pub(super) fn thinking(self, wanted: Thinking, model: &str) -> Config {
        let show = wanted.show == Some(true);
        match self {
            Family::None => {
                let differs = wanted.budget().is_some_and(|budget| budget > 0);
                Config { differs, ..Config::default() }
            }
            Family::Levels(lowest) => {
                let effort = wanted.effort();
                let differs = effort == Some(Effort::None);
                let level = effort.map(|effort| level(effort, lowest, model));
                Config { level, show, differs, ..Config::default() }
            }
            Family::Budget { min, max, off } => {
                let Some(budget) = wanted.budget() else {
                    return Config { show, ..Config::default() };
                };
                if budget == 0 && off {
                    return Config { budget: Some(0), ..Config::default() };
                }
                let budget = Some(budget.clamp(min, max));
                Config { budget, show, differs: wanted.budget() == Some(0), ..Config::default() }
            }
            Family::Unknown => {
                let budget = wanted.budget();
                Config { budget, show: show && budget != Some(0), ..Config::default() }
            }
        }
    }
}

fn level(effort: Effort, lowest: Level, model: &str) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal if lowest == Level::Minimal => "minimal",
        Effort::None | Effort::Minimal | Effort::Low => "low",
        // The first of them has nothing in between.
        Effort::Medium if model.contains("gemini-3-pro") => "high",
        Effort::Medium => "medium",
        Effort::High | Effort::ExtraHigh => "high",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effort(effort: Effort) -> Thinking {
        Thinking { effort: Some(effort), ..Thinking::default() }
    }

    fn budget(budget: u64) -> Thinking {
        Thinking { budget: Some(budget), show: Some(true), ..Thinking::default() }
    }

    fn of(model: &str, wanted: Thinking) -> Config {
        Family::of(model).thinking(wanted, model)
    }

    #[test]
    fn gemini_3_and_later_have_levels() {
        for (model, effort_, level) in [
            ("gemini-3-pro-preview", Effort::Minimal, "low"),
            ("gemini-3-pro-preview", Effort::Medium, "high"),
            ("gemini-3.1-pro-preview", Effort::Medium, "medium"),
            ("gemini-3-flash-preview", Effort::Minimal, "minimal"),
            ("gemini-3.1-flash-lite", Effort::Low, "low"),
            ("gemini-3.8-flash", Effort::Minimal, "low"),
            ("publishers/google/models/gemini-3-flash-preview", Effort::ExtraHigh, "high"),
            ("gemini-4-something", Effort::Minimal, "low"),
            ("gemini-flash-latest", Effort::Minimal, "minimal"),
        ] {
            let config = of(model, effort(effort_));
            assert_eq!((config.level, config.budget), (Some(level), None), "{model}");
            assert!(!config.differs);
        }
        assert_eq!(of("gemini-3-flash-preview", budget(9000)).level, Some("medium"));
        // It cannot be switched off.
        let off = of("gemini-3-pro-preview", budget(0));
        assert_eq!((off.level, off.differs), (Some("low"), true));
    }

    #[test]
    fn gemini_2_5_has_budgets_within_limits() {
        for (model, wanted, budget_, differs) in [
            ("gemini-2.5-pro", 0, 128, true),
            ("gemini-2.5-pro", 100_000, 32_768, false),
            ("gemini-2.5-flash", 0, 0, false),
            ("gemini-2.5-flash", 100_000, 24_576, false),
            ("gemini-2.5-flash-lite", 100, 512, false),
            ("gemini-2.5-flash-lite", 0, 0, false),
        ] {
            let config = of(model, budget(wanted));
            assert_eq!((config.budget, config.differs), (Some(budget_), differs), "{model}");
            // Thoughts that are not thought cannot be shown.
            assert_eq!(config.show, budget_ > 0);
        }
        let only_show = Thinking { show: Some(true), ..Thinking::default() };
        let config = of("gemini-2.5-pro", only_show);
        assert_eq!((config.budget, config.show, config.differs), (None, true, false));
    }

    #[test]
    fn older_and_unknown_models() {
        assert_eq!(of("gemini-2.0-flash", effort(Effort::None)), Config::default());
        assert!(of("gemini-2.0-flash", effort(Effort::High)).differs);
        assert!(of("gemini-2.5-flash-image", effort(Effort::High)).differs);
        assert_eq!(of("my-tuned-model", budget(100)).budget, Some(100));
    }
}
