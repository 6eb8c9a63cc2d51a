//! The targets that a request may go to, as they are stated from one role to the other: a line of
//! [`Fact::Targets`] each.

use shared::facts::Fact;
use shared::filter::Cx;
use shared::text;

use crate::routing::config::Failure;

/// One of the targets that were chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    /// The provider's name.
    pub(super) provider: String,
    /// The provider's name of the model.
    pub(super) model: String,
    /// Of the rule and its target.
    pub(super) numbers: Option<(usize, usize)>,
    /// It is asked after these failures only; after any if empty.
    pub(super) only_after: Vec<Failure>,
}

impl Goal {
    /// `provider=model`, if a rule has chosen it a tab and `rule.target`, and if it is there for some
    /// failures only a tab and their names.
    fn parse(line: &str) -> Option<Goal> {
        let (provider, rest) = line.split_once('=')?;
        let mut parts = rest.split('\t');
        let model = parts.next().unwrap_or_default();
        let numbers = parts.next().unwrap_or_default();
        let numbers = numbers
            .split_once('.')
            .and_then(|(rule, target)| Some((rule.parse().ok()?, target.parse().ok()?)));
        let only_after = parts.next().unwrap_or_default().split(',').filter_map(Failure::of_name);
        Some(Goal {
            provider: provider.to_owned(),
            model: model.to_owned(),
            numbers,
            only_after: only_after.collect(),
        })
    }

    fn line(&self) -> String {
        let mut line = text!(self.provider, "=", self.model);
        if let Some((rule, target)) = self.numbers {
            line.push_str(&text!("\t", rule, ".", target));
        }
        if !self.only_after.is_empty() {
            let names: Vec<_> = self.only_after.iter().map(|failure| failure.name()).collect();
            line.push('\t');
            line.push_str(&names.join(","));
        }
        line
    }
}

/// Those that are stated.
pub(super) fn stated(cx: &mut Cx<'_>) -> Vec<Goal> {
    let stated = cx.facts.get(cx.host, Fact::Targets).unwrap_or_default();
    stated.lines().filter_map(Goal::parse).collect()
}

/// As they are stated.
pub(super) fn write(goals: &[Goal]) -> String {
    goals.iter().map(Goal::line).collect::<Vec<_>>().join("\n")
}

/// Puts the first of those that are there for this failure at `place`, before those that would be
/// next; false if there is none.
pub(super) fn promote(goals: &mut Vec<Goal>, place: usize, failure: Failure) -> bool {
    let found = goals.iter().skip(place).position(|goal| goal.only_after.contains(&failure));
    let Some(at) = found.map(|at| at + place) else { return false };
    let mut goal = goals.remove(at);
    goal.only_after = Vec::new();
    goals.insert(place.min(goals.len()), goal);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_is_read_again_and_the_one_for_a_failure_comes_first() {
        let text = "a=x\t0.0\nb=y\t0.1\nc=z\t0.2\tcontext_length,content_filter\nd=";
        let mut goals: Vec<_> = text.lines().filter_map(Goal::parse).collect();
        assert_eq!(write(&goals), text);
        assert!(!promote(&mut goals, 3, Failure::ContentFilter));
        assert!(promote(&mut goals, 1, Failure::ContentFilter));
        assert_eq!(write(&goals), "a=x\t0.0\nc=z\t0.2\nb=y\t0.1\nd=");
    }
}
